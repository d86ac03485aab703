"""Checks of symbols: their outputs and gradients against given ones, numeric ones, and each other's."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet._test_compare import (
    assert_almost_equal,
    default_context,
    default_numeric_eps,
    get_tolerance,
    get_tols,
)
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.ndarray.utils import array, zeros

__all__ = [
    "check_consistency", "check_numeric_gradient", "check_speed", "check_symbolic_backward", "check_symbolic_forward",
    "numeric_grad", "same_symbol_structure", "simple_forward",
]  # fmt: skip

_FLOATS = (np.float16, np.float32, np.float64)


def simple_forward(sym: Any, ctx: Any = None, is_train: bool = False, **inputs: Any) -> Any:
    """The outputs of a symbol as NumPy arrays (one output: the array itself) for inputs given by name."""
    executor = sym.bind(ctx or default_context(), args={name: array(value) for name, value in inputs.items()})
    executor.forward(is_train=is_train)
    outputs = [output.asnumpy() for output in executor.outputs]
    return outputs[0] if len(outputs) == 1 else outputs


def _check_dtype(dtype: Any) -> None:
    assert (isinstance(dtype, str) and dtype == "asnumpy") or dtype in _FLOATS


def _placed(value: Any, ctx: Any, dtype: Any) -> Any:
    if not isinstance(value, (np.ndarray, np.generic, float, int, list)):
        return value
    kind = np.asarray(value).dtype if isinstance(dtype, str) else dtype
    return array(np.asarray(value), ctx=ctx, dtype=kind)


def _named(names: Sequence[str], given: Any, what: str, ctx: Any, dtype: Any) -> dict[str, Any]:
    """Arrays by name from a dict or from a list in the order of the names, sorted by name."""
    assert isinstance(given, (dict, list, tuple))
    if not isinstance(given, dict):
        given = dict(zip(names, given, strict=False))
    elif set(given) != set(names):
        raise ValueError(
            f"Symbol {what} and keys of the given location do not match."
            f"symbol args:{set(names)}, location.keys():{set(given)}"
        )
    return {name: _placed(value, ctx, dtype) for name, value in sorted(given.items())}


def _aux(sym: Any, given: Any, ctx: Any, dtype: Any) -> Any:
    return None if given is None else _named(sym.list_auxiliary_states(), given, "aux_states", ctx, dtype)


def numeric_grad(
    executor: Any,
    location: dict[str, Any],
    aux_states: dict[str, Any] | None = None,
    eps: float = 1e-4,
    use_forward_train: bool = True,
    dtype: Any = np.float32,
) -> dict[str, Any]:
    """The gradients of the sum of an executor's first output by differences: of every input, element by element."""

    def total() -> Any:
        for name, value in (aux_states or {}).items():
            executor.aux_dict[name][:] = value
        executor.forward(is_train=use_forward_train)
        return executor.outputs[0].asnumpy()

    found = {name: np.zeros(value.shape, dtype=dtype) for name, value in location.items()}
    for name, value in location.items():
        executor.arg_dict[name][:] = value
    for name, given in location.items():
        value = np.array(given, order="C")
        if value.dtype.kind != "f":
            continue
        flat = value.reshape(-1)
        for i in range(flat.size):
            before = flat[i]
            flat[i] = before + eps / 2.0
            executor.arg_dict[name][:] = value
            above = total()
            flat[i] -= eps
            executor.arg_dict[name][:] = value
            below = total()
            flat[i] = before
            found[name].reshape(-1)[i] = (above - below).sum() / eps
        executor.arg_dict[name][:] = value
    return found


def _requests(given: Any, names: Sequence[str]) -> dict[str, str]:
    if given is None:
        return dict.fromkeys(names, "write")
    if isinstance(given, (list, tuple)):
        return dict.fromkeys(given, "write")
    if isinstance(given, dict):
        return dict(given)
    raise ValueError(f"grad_nodes must be a list of names or a dict of requests, got {type(given)}")


def _compare_gradient(
    name: str, request: str, want: Any, got: Any, before: Any, rtol: Any, atol: Any, **more: Any
) -> None:
    names = (f"EXPECTED_{name}", f"BACKWARD_{name}")
    if request == "write":
        assert_almost_equal(want, got, rtol, atol, names, **more)
    elif request == "add":
        got = got.asnumpy() if isinstance(got, NDArray) else got
        assert_almost_equal(want, got - before, rtol, atol, names, **more)
    elif request == "null":
        assert_almost_equal(before, got, rtol, atol, names, **more)
    else:
        raise ValueError(f"Invalid grad_req {request} for argument {name}")


def check_numeric_gradient(
    sym: Any,
    location: Any,
    aux_states: Any = None,
    numeric_eps: Any = None,
    rtol: Any = None,
    atol: Any = None,
    grad_nodes: Any = None,
    use_forward_train: bool = True,
    ctx: Any = None,
    grad_stype_dict: dict[str, str] | None = None,
    dtype: Any = np.float32,
) -> None:
    """Raise AssertionError unless a symbol's gradients are those of differences, for a random projection of its output.

    Args:
        location: its arguments, by name or in their order.
        aux_states: the same for its auxiliary states.
        numeric_eps: the step; by dtype by default.
        grad_nodes: the names whose gradients are checked, or name → request; all by default.
        grad_stype_dict: name → storage type of the gradient.
    """
    from tensorkeep.mxnet import symbol

    assert dtype in _FLOATS
    ctx = ctx or default_context()
    args = _named(sym.list_arguments(), location, "arguments", ctx, dtype)
    states = _aux(sym, aux_states, ctx, dtype)
    plain = {name: value.asnumpy() for name, value in args.items()}
    plain_states = {name: value.asnumpy() for name, value in states.items()} if states else None
    requests = _requests(grad_nodes, sym.list_arguments())
    _, shapes, _ = sym.infer_shape(**{name: value.shape for name, value in args.items()})
    projection = symbol.Variable("__random_proj")
    is_np = hasattr(sym, "as_nd_ndarray") and type(sym).__name__ == "_Symbol"
    out = sym * (projection.as_np_ndarray() if is_np else projection)
    out = symbol.make_loss(out.as_nd_ndarray() if is_np else out)
    args["__random_proj"] = array(np.random.rand(*shapes[0]) + 0.1, ctx=ctx, dtype=dtype)
    before = {name: np.random.normal(0, 0.01, size=args[name].shape) for name in (*requests, "__random_proj")}
    gradients = {name: array(value, ctx=ctx, dtype=dtype) for name, value in before.items()}
    for name, stype in (grad_stype_dict or {}).items():
        if name in gradients and stype != "default":
            gradients[name] = zeros(gradients[name].shape, ctx, dtype, stype)
    executor = out.bind(ctx, grad_req=requests, args=args, args_grad=gradients, aux_states=states)
    if len(executor.arg_arrays) != len(args):
        raise ValueError(
            "Executor arg_arrays and and location len do not match."
            f"Got {len(executor.arg_arrays)} inputs and {len(args)} locations"
        )
    executor.forward(is_train=True)
    assert len(executor.outputs) == 1
    eps = get_tolerance(executor.outputs[0], numeric_eps, default_numeric_eps())
    assert eps >= 1e-5 or dtype is np.float64
    executor.backward()
    found = {name: executor.grad_dict[name] for name in requests}
    found = {name: value.copy() if isinstance(value, NDArray) else value for name, value in found.items()}
    numeric = numeric_grad(executor, plain, plain_states, eps=eps, use_forward_train=use_forward_train, dtype=dtype)
    for name, request in requests.items():
        _compare_gradient(name, request, numeric[name], found[name], before[name], rtol, atol)


def check_symbolic_forward(
    sym: Any,
    location: Any,
    expected: Any,
    rtol: Any = None,
    atol: Any = None,
    aux_states: Any = None,
    ctx: Any = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> Any:
    """The outputs of a symbol; AssertionError unless they are the expected ones.

    Args:
        location: its arguments, by name or in their order.
        expected: its outputs, by name or in their order.
        dtype: of the arguments, or "asnumpy": each its own.
    """
    _check_dtype(dtype)
    ctx = ctx or default_context()
    args = _named(sym.list_arguments(), location, "arguments", ctx, dtype)
    if isinstance(expected, dict):
        expected = [expected[name] for name in sym.list_outputs()]
    gradients = {name: zeros(v.shape, ctx, v.dtype if isinstance(dtype, str) else dtype) for name, v in args.items()}
    executor = sym.bind(ctx=ctx, args=args, args_grad=gradients, aux_states=_aux(sym, aux_states, ctx, dtype))
    executor.forward(is_train=False)
    for name, want, got in zip(sym.list_outputs(), expected, executor.outputs, strict=False):
        names = (f"EXPECTED_{name}", f"FORWARD_{name}")
        assert_almost_equal(want, got, rtol, atol, names, equal_nan=equal_nan)
    return executor.outputs


def check_symbolic_backward(
    sym: Any,
    location: Any,
    out_grads: Any,
    expected: Any,
    rtol: Any = None,
    atol: Any = None,
    aux_states: Any = None,
    grad_req: Any = "write",
    ctx: Any = None,
    grad_stypes: dict[str, str] | None = None,
    equal_nan: bool = False,
    dtype: Any = np.float32,
) -> dict[str, Any]:
    """The gradients of a symbol's arguments; AssertionError unless they are the expected ones.

    Args:
        location: its arguments, by name or in their order.
        out_grads: the gradients of its outputs, by name or in their order; None for ones.
        expected: the gradients, by name or in the order of the arguments.
        grad_req: one request, or one for each argument.
        grad_stypes: name → storage type of the gradient.
        dtype: of the arguments, or "asnumpy": each its own.
    """
    _check_dtype(dtype)
    ctx = ctx or default_context()
    names = sym.list_arguments()
    args = _named(names, location, "arguments", ctx, dtype)
    if not isinstance(expected, dict):
        expected = dict(zip(names, expected, strict=False))
    before = {name: np.random.normal(size=value.shape) for name, value in sorted(expected.items())}
    gradients = {}
    for name, value in before.items():
        kind = expected[name].dtype if isinstance(dtype, str) else dtype
        stype = (grad_stypes or {}).get(name) or "default"
        dense = stype == "default"
        gradients[name] = array(value, ctx=ctx, dtype=kind) if dense else zeros(value.shape, ctx, kind, stype)
    if not isinstance(grad_req, dict):
        each = [grad_req] * len(names) if isinstance(grad_req, str) else grad_req
        grad_req = dict(zip(names, each, strict=False))
    states = _aux(sym, aux_states, ctx, dtype)
    executor = sym.bind(ctx=ctx, args=args, args_grad=gradients, aux_states=states, grad_req=grad_req)
    executor.forward(is_train=True)
    if isinstance(out_grads, dict):
        out_grads = {name: _placed(value, ctx, dtype) for name, value in out_grads.items()}
    elif out_grads is not None:
        out_grads = [_placed(value, ctx, dtype) for value in out_grads]
    executor.backward(out_grads)
    for name, want in expected.items():
        _compare_gradient(name, grad_req[name], want, gradients[name], before[name], rtol, atol, equal_nan=equal_nan)
    return gradients


def check_speed(
    sym: Any,
    location: dict[str, Any] | None = None,
    ctx: Any = None,
    N: int = 20,
    grad_req: Any = None,
    typ: str = "whole",
    **kwargs: Any,
) -> float:
    """Seconds that one forward (typ="forward") or forward and backward ("whole") of a symbol takes, the mean of N."""
    if typ not in ("whole", "forward"):
        raise ValueError('typ can only be "whole" or "forward".')
    shapes = kwargs if location is None else {name: value.shape for name, value in location.items()}
    executor = sym.simple_bind(grad_req=grad_req or "write", ctx=ctx or default_context(), **shapes)
    if location is None:
        location = {name: np.random.normal(size=value.shape) for name, value in executor.arg_dict.items()}
    for name, value in location.items():
        executor.arg_dict[name][:] = np.asarray(value)

    def once() -> None:
        executor.forward(is_train=typ == "whole")
        if typ == "whole":
            executor.backward(out_grads=executor.outputs)

    once()
    start = time.perf_counter()
    for _ in range(N):
        once()
    executor.outputs[0].wait_to_read()
    return (time.perf_counter() - start) / N


def check_consistency(
    sym: Any,
    ctx_list: list[dict[str, Any]],
    scale: float = 1.0,
    grad_req: Any = "write",
    arg_params: dict[str, Any] | None = None,
    aux_params: dict[str, Any] | None = None,
    rtol: Any = None,
    atol: Any = None,
    raise_on_err: bool = True,
    ground_truth: Any = None,
    equal_nan: bool = False,
    use_uniform: bool = False,
    rand_type: Any = np.float64,
) -> Any:
    """The outputs and gradients of a symbol; AssertionError unless they are the same in all settings.

    Args:
        sym: a symbol, or one for each setting.
        ctx_list: arguments for simple_bind(): {"ctx": …, "data": shape, "type_dict": {"data": dtype}}.
        scale: of the random arguments.
        ground_truth: what they are compared with; by default the setting with the widest dtype.
        raise_on_err: otherwise differences are logged.
    """
    assert len(ctx_list) > 1
    symbols = list(sym) if isinstance(sym, (list, tuple)) else [sym] * len(ctx_list)
    assert len(symbols) == len(ctx_list)
    outputs, arguments = symbols[0].list_outputs(), symbols[0].list_arguments()
    executors = [each.simple_bind(grad_req=grad_req, **ctx) for each, ctx in zip(symbols, ctx_list, strict=True)]
    values, states = dict(arg_params or {}), dict(aux_params or {})
    for name, value in sorted(executors[0].arg_dict.items()):
        if name not in values:
            if use_uniform:
                drawn = np.random.uniform(low=-0.92 * scale, high=0.92 * scale, size=value.shape)
            else:
                drawn = np.random.normal(size=value.shape, scale=scale)
            values[name] = drawn.astype(rand_type)
    for executor in executors:
        for name, value in executor.arg_dict.items():
            value[:] = values[name]
        for name, value in executor.aux_dict.items():
            value[:] = states.get(name, 0)
        if grad_req == "add":
            for value in executor.grad_arrays:
                value[:] = 0
        executor.forward(is_train=False)
    dtypes = [np.dtype(executor.outputs[0].dtype) for executor in executors]
    best = int(np.argmax(dtypes))
    truth = ground_truth or dict(executors[best].output_dict)

    def compare(name: str, got: Any, which: int, when: str) -> None:
        want = truth[name]
        if want is None:
            assert got is None
            return
        tolerances = get_tols(_least(got, dtypes[which]), _least(want, dtypes[best]), rtol, atol)
        try:
            assert_almost_equal(got, want, *tolerances, equal_nan=equal_nan)
        except AssertionError as err:
            text = f"{when} Err: ctx {which} vs ctx {best} at {name}: {err}"
            if raise_on_err:
                raise AssertionError(text) from err
            logging.error(text)

    for i, executor in enumerate(executors):
        if i != best:
            for name, value in zip(outputs, executor.outputs, strict=True):
                compare(name, value, i, "Predict")
    if grad_req == "null":
        return truth
    for executor in executors:
        executor.forward(is_train=True)
    heads = []
    for i, output in enumerate(executors[0].outputs):
        smallest = min((np.dtype(e.outputs[i].dtype) for e in executors), key=lambda d: d.itemsize)
        heads.append(output.asnumpy().astype(smallest))
    for executor, ctx in zip(executors, ctx_list, strict=True):
        grads = [array(h, ctx=ctx["ctx"], dtype=o.dtype) for h, o in zip(heads, executor.outputs, strict=True)]
        executor.backward(grads)
    if ground_truth is None:
        truth = {**executors[best].output_dict, **executors[best].grad_dict}
    for i, executor in enumerate(executors):
        if i != best:
            found = [*zip(outputs, executor.outputs, strict=True), *zip(arguments, executor.grad_arrays, strict=True)]
            for name, value in found:
                compare(name, value, i, "Train")
    return truth


def _least(value: Any, dtype: np.dtype[Any]) -> Any:
    """Something with the narrower of two dtypes, for its tolerance."""
    own = np.dtype(value.dtype)
    return np.empty(0, own if own.itemsize < dtype.itemsize else dtype)


def same_symbol_structure(sym1: Any, sym2: Any) -> bool:
    """Whether two symbols have the same operators in the same order."""
    import json

    first, second = (json.loads(each.tojson())["nodes"] for each in (sym1, sym2))
    return all(a["op"] == b["op"] for a, b in zip(first, second, strict=False))


claim(globals(), "mxnet.test_utils")
