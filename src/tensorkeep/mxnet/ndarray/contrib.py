"""nd.contrib: operators that MXNet called experimental; loops and branches; optimizer steps for many arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tensorkeep.mxnet._faces import serve
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.context import current_context
from tensorkeep.mxnet.ndarray._creation import full, zeros
from tensorkeep.mxnet.ndarray.ndarray import NDArray, logical_and
from tensorkeep.mxnet.ndarray.register import call

__all__ = ["cond", "foreach", "getnnz", "isfinite", "isinf", "isnan", "rand_zipfian", "while_loop"]


def getnnz(data: Any, axis: int | None = None) -> NDArray:
    """How many values a CSR matrix stores: in all, as shape (1,), or in each row (axis=1).

    Raises:
        MXNetError: it is no CSR matrix, or another axis.
    """
    if getattr(data, "stype", None) != "csr":
        raise MXNetError("getnnz takes a CSRNDArray")
    if axis not in (None, 1):
        raise MXNetError(f"getnnz with axis = {axis} is not supported yet")
    starts = data._parts[2]
    return wrap(starts[-1:].clone() if axis is None else starts.diff(), data._ctx, NDArray)


Nested = Any
"""An NDArray, or a list or tuple of them, nested as deep as one likes."""


def _flatten(nested: Nested, what: str) -> tuple[list[NDArray], Any]:
    """The arrays in their order, and the nesting: 0 for an array, a list for a list.

    Raises:
        AssertionError: something else than an array is among them.
    """
    if isinstance(nested, NDArray):
        return [nested], 0
    if not isinstance(nested, (list, tuple)):
        raise AssertionError(f"{what} must be (nested) list of NDArray, but got {nested} of type {type(nested)}")
    arrays: list[NDArray] = []
    nesting = []
    for item in nested:
        inner, form = _flatten(item, what)
        arrays += inner
        nesting.append(form)
    return arrays, nesting


def _nest(arrays: list[NDArray], nesting: Any) -> Nested:
    """The arrays, taken from the front of the list, nested again."""
    return arrays.pop(0) if nesting == 0 else [_nest(arrays, form) for form in nesting]


def _joined(name: str, arrays: Sequence[NDArray], **attrs: Any) -> Any:
    return call(get(name), list(arrays), {"num_args": len(arrays), **attrs}, None, None)


def foreach(
    body: Callable[[Nested, Nested], tuple[Nested, Nested]], data: Nested, init_states: Nested
) -> tuple[Nested, Nested]:
    """What `body` gives for each slice of data along axis 0, stacked, and the last states.

    Args:
        body: (slice or list of slices, states) → (outputs, new states).
        data: an array, or a list of arrays of one length.
        init_states: the states that the first call gets.
    """
    _flatten(data, "foreach input")
    _flatten(init_states, "foreach states")
    single = isinstance(data, NDArray)
    states, steps = init_states, []
    nesting: Any = []
    for i in range((data if single else data[0]).shape[0]):
        outputs, states = body(data[i] if single else [array[i] for array in data], states)
        arrays, nesting = _flatten(outputs, "foreach output")
        steps.append(arrays)
    stacked = [_joined("stack", arrays) for arrays in zip(*steps, strict=True)]
    return _nest(stacked, nesting), states


def _scalar(value: Any, kind: type, name: str) -> Any:
    """An array of one element or anything else as a Python number.

    Raises:
        ValueError: it is none.
    """
    if hasattr(value, "asscalar"):
        value = value.asscalar()
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"Cannot convert {name} to python {kind.__name__}") from None


def while_loop(
    cond: Callable[..., Any], func: Callable[..., Any], loop_vars: Nested, max_iterations: Any = None
) -> tuple[Nested, Nested]:
    """What `func` gives in each step while `cond` holds, stacked to max_iterations rows, and the last loop_vars.

    Rows that no step has written are 0 (MXNet leaves them undefined). Without a step the outputs are [].

    Args:
        cond: loop variables → an array of one element, or a bool.
        func: loop variables → (outputs or None, new loop variables).
        max_iterations: no more steps than this.
    Raises:
        ValueError: no max_iterations, no loop_vars, or steps that differ in what they give.
    """
    if max_iterations is None:
        raise ValueError("max_iterations should be specified")
    limit = _scalar(max_iterations, int, "max_iteration")
    single = isinstance(loop_vars, NDArray)
    if not single and len(loop_vars) == 0:
        raise ValueError("loop_vars should contain at least one element")
    variables = [loop_vars] if single else list(loop_vars)
    steps: list[list[NDArray]] = []
    nesting: Any = []
    while len(steps) < limit and _scalar(cond(*variables), bool, "Return value of cond"):
        outputs, new = func(*variables)
        new = [new] if isinstance(new, NDArray) else list(new or [])
        if len(new) != len(variables):
            raise ValueError("The length of loop_vars should be consistent during the loop")
        variables = new
        arrays, nesting = _flatten([] if outputs is None else outputs, "while output")
        steps.append(arrays)
        if len(arrays) != len(steps[0]):
            raise ValueError("Number of elements in step_output should be the same in each step")
    stacked = [_padded(number, list(arrays), limit) for number, arrays in enumerate(zip(*steps, strict=True), 1)]
    return _nest(stacked, nesting), variables[0] if single else variables


def _padded(number: int, arrays: list[NDArray], limit: int) -> NDArray:
    """The arrays along a new axis 0 of `limit` rows."""
    if any(array.shape != arrays[0].shape for array in arrays):
        raise ValueError(
            f"Shapes of {number}-th elements in step_outputs are inconsistent, which are:\n"
            + "\n".join(f"  Step {i}, shape is {(1, *array.shape)}" for i, array in enumerate(arrays))
        )
    first = arrays[0]
    found: NDArray = _joined("stack", arrays)
    if len(arrays) < limit:
        rest = zeros((limit - len(arrays), *first.shape), ctx=first.context, dtype=first.dtype)
        found = _joined("Concat", [found, rest], dim=0)
    return found


def cond(pred: Any, then_func: Callable[[], Nested], else_func: Callable[[], Nested]) -> Nested:
    """What then_func() gives if pred, an array of one element, is not 0; else what else_func() gives."""
    return then_func() if _scalar(pred, bool, "pred") else else_func()


def isinf(data: Any) -> Any:
    """1 where an element is infinite, else 0."""
    return data.abs() == math.inf


def isnan(data: Any) -> Any:
    """1 where an element is not a number, else 0."""
    return data != data


def isfinite(data: Any) -> Any:
    """1 where an element is neither infinite nor not a number, else 0."""
    return logical_and(data.abs() != math.inf, data == data)


def rand_zipfian(
    true_classes: NDArray, num_sampled: int, range_max: int, ctx: Any = None
) -> tuple[NDArray, NDArray, NDArray]:
    """Classes drawn with P(class) = log((class + 2) / (class + 1)) / log(range_max + 1), for a sampled softmax.

    Returns:
        num_sampled classes, int64; how often each of true_classes and each drawn one is expected, float64.
    """
    ctx = current_context() if ctx is None else ctx
    log_range = math.log(range_max + 1)
    attrs = {"low": 0, "high": log_range, "shape": (num_sampled,), "dtype": "float64", "ctx": str(ctx)}
    drawn = call(get("_random_uniform"), [], attrs, None, None)
    classes = (drawn.exp() - 1).astype("int64") % range_max

    def expected(values: Any) -> Any:
        wide = values.astype("float64")
        return ((wide + 2.0) / (wide + 1.0)).log() / log_range * num_sampled

    return classes, expected(true_classes.as_in_context(ctx)), expected(classes)


def _rescale(rescale_grad: Any, like: NDArray) -> NDArray:
    """The factor as an array on the device of `like`."""
    if isinstance(rescale_grad, NDArray):
        return rescale_grad.as_in_context(like.context)
    return full((1,), rescale_grad, ctx=like.context)


def _interleaved(*columns: Sequence[NDArray]) -> list[NDArray]:
    """weight0, grad0, …, weight1, grad1, …: how operators take many arrays at once."""
    return [array for row in zip(*columns, strict=True) for array in row]


def adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, rescale_grad: Any, lr: float, eta: float,
    beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0, clip_gradient: float = -1,
    out: Any = None, name: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """A step of AdamW; nothing is changed when rescale_grad is 0, infinite or not a number."""
    attrs = {
        "lr": lr, "eta": eta, "beta1": beta1, "beta2": beta2, "epsilon": epsilon, "wd": wd,
        "clip_gradient": clip_gradient, **kwargs,
    }  # fmt: skip
    arrays = [weight, grad, mean, var, _rescale(rescale_grad, weight)]
    return call(get("_adamw_update"), arrays, attrs, out, name)


def mp_adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, weight32: NDArray, rescale_grad: Any, lr: float,
    eta: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0,
    clip_gradient: float = -1, out: Any = None, name: str | None = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """The same for float16 weights with a float32 copy."""
    attrs = {
        "lr": lr, "eta": eta, "beta1": beta1, "beta2": beta2, "epsilon": epsilon, "wd": wd,
        "clip_gradient": clip_gradient, **kwargs,
    }  # fmt: skip
    arrays = [weight, grad, mean, var, weight32, _rescale(rescale_grad, weight)]
    return call(get("_mp_adamw_update"), arrays, attrs, out, name)


def multi_adamw_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    rescale_grad: Any, lrs: Any, wds: Any, etas: Any, out: Any = None, name: str | None = None, size: int = 0,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Steps of AdamW for many weights at once."""
    arrays = [*_interleaved(weights, grads, mean, var), _rescale(rescale_grad, weights[0])]
    attrs = {"num_weights": size or len(weights), "lrs": lrs, "wds": wds, "etas": etas, **kwargs}
    return call(get("_multi_adamw_update"), arrays, attrs, out, name)


def multi_mp_adamw_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    weights32: Sequence[NDArray], rescale_grad: Any, lrs: Any, wds: Any, etas: Any, out: Any = None,
    name: str | None = None, size: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """The same for float16 weights with float32 copies."""
    arrays = [*_interleaved(weights, grads, mean, var, weights32), _rescale(rescale_grad, weights[0])]
    attrs = {"num_weights": size or len(weights), "lrs": lrs, "wds": wds, "etas": etas, **kwargs}
    return call(get("_multi_mp_adamw_update"), arrays, attrs, out, name)


def multi_lamb_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    step_count: Any, lrs: Any, wds: Any, out: Any = None, num_tensors: int = 0, **kwargs: Any,
) -> Any:  # fmt: skip
    """Steps of LAMB for many weights at once."""
    attrs = {
        "num_tensors": num_tensors or len(weights), "step_count": step_count, "learning_rates": lrs, "wds": wds,
        **kwargs,
    }  # fmt: skip
    return call(get("_multi_lamb_update"), _interleaved(weights, grads, mean, var), attrs, out, None)


def multi_mp_lamb_update(
    weights: Sequence[NDArray], grads: Sequence[NDArray], mean: Sequence[NDArray], var: Sequence[NDArray],
    weights32: Sequence[NDArray], step_count: Any, lrs: Any, wds: Any, out: Any = None, num_tensors: int = 0,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """The same for float16 weights with float32 copies."""
    attrs = {
        "num_tensors": num_tensors or len(weights), "step_count": step_count, "learning_rates": lrs, "wds": wds,
        **kwargs,
    }  # fmt: skip
    return call(get("_multi_mp_lamb_update"), _interleaved(weights, grads, mean, var, weights32), attrs, out, None)


claim(globals())

__getattr__, __dir__ = serve(globals(), "contrib", call, "mxnet.ndarray.contrib")
