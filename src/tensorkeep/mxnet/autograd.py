"""Recording operators for backward(): torch's autograd behind MXNet's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from tensorkeep.mxnet._history import below, clock, collect, forget, mark_leaf, shadow, shadows
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim

if TYPE_CHECKING:
    from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "Function", "NDArray", "backward", "get_symbol", "grad", "is_recording", "is_training", "mark_variables", "pause",
    "predict_mode", "record", "set_recording", "set_training", "train_mode",
]  # fmt: skip


class _Scope:
    """A `with` block in which recording and training are set; None leaves one as it is."""

    def __init__(self, recording: bool | None, training: bool | None) -> None:
        self._wanted = (recording, training)
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((state.recording, state.training))
        recording, training = self._wanted
        if recording is not None:
            state.recording = recording
        if training is not None:
            state.training = training

    def __exit__(self, *exc: object) -> None:
        state.recording, state.training = self._before.pop()


def record(train_mode: bool = True) -> _Scope:
    """A scope whose operators are recorded for backward(), as in training unless train_mode=False."""
    return _Scope(True, train_mode)


def pause(train_mode: bool = False) -> _Scope:
    """A scope inside `record()` whose operators are not recorded."""
    return _Scope(False, train_mode)


def train_mode() -> _Scope:
    """A scope whose operators behave as in training; recording stays as it is."""
    return _Scope(None, True)


def predict_mode() -> _Scope:
    """A scope whose operators behave as at inference; recording stays as it is."""
    return _Scope(None, False)


def is_recording() -> bool:
    """Whether operators are recorded."""
    return state.recording


def is_training() -> bool:
    """Whether operators behave as in training."""
    return state.training


def set_recording(is_recording: bool) -> bool:
    """Switch recording on or off; how it was before."""
    before, state.recording = state.recording, bool(is_recording)
    return before


def set_training(train_mode: bool) -> bool:
    """Switch training on or off; how it was before."""
    before, state.training = state.training, bool(train_mode)
    return before


_REQUESTS = ("null", "write", "add")


def mark_variables(variables: Any, gradients: Any, grad_reqs: str | Sequence[str] = "write") -> None:
    """Attach gradient arrays to variables: backward() writes ("write") or adds ("add") there."""
    if not isinstance(variables, (list, tuple)):
        variables, gradients = [variables], [gradients]
    requests = [grad_reqs] * len(variables) if isinstance(grad_reqs, str) else grad_reqs
    for variable, gradient, request in zip(variables, gradients, requests, strict=True):
        if request not in _REQUESTS:
            raise KeyError(request)
        _mark(variable, gradient, request)


def _mark(variable: Any, gradient: NDArray, request: str) -> None:
    if variable.stype != "default":
        variable._grad = mark = [gradient, request, False, 0]
        variable._collect, variable._leaf = None if request == "null" else _collector(mark), None
        return
    variable._t = tensor = variable._t.detach()
    variable._grad = mark = [gradient, request, False, 0]
    if request != "null":
        mark_leaf(tensor, mark, _collector(mark))


def _collector(mark: list[Any]) -> Callable[[torch.Tensor], None]:
    """Moves what backward() found for a leaf into its gradient array; once for each backward().

    Args:
        mark: gradient array, request, whether backward() wrote since this was last set to False, and the clock then.
    """
    gradient, request, _, _ = mark

    def collect(leaf: torch.Tensor) -> None:
        found, leaf.grad = leaf.grad, None
        if found is None:
            return
        if found.dtype is torch.float64 and not gradient._t.is_floating_point():  # of the shadow of whole numbers
            found = found.to(gradient._t.dtype)
        if request == "add":
            gradient._t = gradient._t + found
        else:
            gradient._t = found.detach()
        mark[2] = True
        mark[3] = next(clock)

    return collect


_NOT_RECORDED = (
    "Cannot differentiate node because it is not in a computational graph. You need to set is_recording to true or use "
    "autograd.record() to save computational graphs for backward. If you want to differentiate the same graph twice, "
    "you need to pass retain_graph=True to backward."
)


def backward(heads: Any, head_grads: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
    """Compute the gradients of `heads` and put them where attach_grad or mark_variables said.

    Args:
        heads: an array or a list of them.
        head_grads: their own gradients; None stands for ones.
        retain_graph: whether backward() can be called again for the same heads.
    Raises:
        MXNetError: no head was recorded. One of several that was not is left out.
    """
    tensors, grads = _heads(heads, head_grads)
    began = next(clock)
    state.reached.clear()
    with _Scope(None, train_mode), _errors():
        torch.autograd.backward(tensors, grads, retain_graph=retain_graph)
    if state.reached:
        collect(began)
    if not retain_graph:
        _forget(heads)


def _forget(heads: Any) -> None:
    """The heads are plain arrays again, as their graph is used up; torch would let some go backward twice."""
    for head in heads if isinstance(heads, (list, tuple)) else (heads,):
        if head._t.grad_fn is not None:
            head._t = head._t.detach()
        elif shadows and (history := shadow(head._t)) is not None and not history.is_leaf:
            forget(head._t)


def _heads(heads: Any, head_grads: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The tensors of the heads that were recorded, and their own gradients."""
    heads = list(heads) if isinstance(heads, (list, tuple)) else [heads]
    given = list(head_grads) if isinstance(head_grads, (list, tuple)) else [head_grads]
    if head_grads is None:
        given = [None] * len(heads)
    assert len(heads) == len(given), "heads and head_grads must be lists of the same length"
    recorded = []
    for head, grad in zip(heads, given, strict=True):
        tensor = head._t if head._t.requires_grad or not shadows else shadow(head._t)
        if tensor is not None and tensor.requires_grad:
            recorded.append((tensor, grad))
    pairs = list({id(tensor): (tensor, grad) for tensor, grad in recorded}.values())  # a head given twice: MXNet's last
    if heads and not pairs:
        raise MXNetError(_NOT_RECORDED)
    tensors = [tensor for tensor, _ in pairs]
    grads = [torch.ones_like(tensor) if grad is None else grad._t.detach().to(tensor.dtype) for tensor, grad in pairs]
    return tensors, grads


@contextmanager
def _errors() -> Iterator[None]:
    """What torch says of a graph, in MXNet's words."""
    try:
        yield
    except RuntimeError as err:
        if isinstance(err, MXNetError):
            raise
        again = "backward through the graph a second time" in str(err)
        raise MXNetError(_NOT_RECORDED if again else f"Error in backward: {err}") from err


class _Constant(torch.autograd.Function):
    """The slope of a straight line: it stays in the graph, and its own gradient is 0."""

    @staticmethod
    def forward(ctx: Any, slope: torch.Tensor, variable: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(variable)
        return slope.clone()

    @staticmethod
    def backward(ctx: Any, head: torch.Tensor) -> tuple[None, torch.Tensor]:
        return None, torch.zeros_like(ctx.saved_tensors[0])


def grad(
    heads: Any,
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> list[NDArray]:
    """The gradients of `heads` with respect to `variables`, as new arrays; those of attach_grad stay as they are.

    Args:
        heads: an array or a list of them.
        variables: an array or a list of them, marked by attach_grad() or mark_variables() before they were used.
        head_grads: their own gradients; None stands for ones.
        retain_graph: whether the graph can be used again; by default as create_graph.
        create_graph: record the gradients themselves, so that they can be differentiated again.
    Raises:
        MXNetError: a head was not recorded, a variable was not marked, or no head depends on it.
    """
    from tensorkeep.mxnet._invoke import wrap

    variables = list(variables) if isinstance(variables, (list, tuple)) else [variables]
    assert len(variables), "variables cannot be an empty list."
    tensors, grads = _heads(heads, head_grads)
    which = "Cannot differentiate with respect to the {}-th variable because it {}."
    for i, variable in enumerate(variables):
        if variable._grad is None or variable._grad[1] == "null":
            raise MXNetError(which.format(i + 1, "does not require gradient"))
    leaves = [variable._t if variable._t.requires_grad else shadow(variable._t) for variable in variables]
    with _Scope(create_graph or None, train_mode), _errors(), torch.set_grad_enabled(create_graph):
        found = torch.autograd.grad(
            tensors,
            leaves,
            grads,
            retain_graph=create_graph if retain_graph is None else retain_graph,
            create_graph=create_graph,
            allow_unused=True,
        )
    if any(tensor is None for tensor in found):
        reached = below(tensors)  # by ways that no gradient passes
        found = [
            torch.zeros_like(leaf) if tensor is None and id(leaf) in reached else tensor
            for tensor, leaf in zip(found, leaves, strict=True)
        ]
    for i, tensor in enumerate(found):
        if tensor is None:
            raise MXNetError(which.format(i + 1, "is unreachable from the outputs"))
    if create_graph:
        with torch.enable_grad():
            found = [
                tensor if tensor.requires_grad else _Constant.apply(tensor, leaf)
                for tensor, leaf in zip(found, leaves, strict=True)
            ]
    return [wrap(t.to(v._t.dtype), v._ctx, type(v)) for t, v in zip(found, variables, strict=True)]


def get_symbol(x: Any) -> Any:
    """Refused: torch's history of an array has no operators of MXNet in it.

    Raises:
        MXNetError: always, for an array.
    """
    from tensorkeep.mxnet.ndarray.ndarray import NDArray

    assert isinstance(x, NDArray), f"get_symbol: Invalid argument type, expecting {NDArray}, got {type(x)}"
    raise MXNetError(
        "autograd.get_symbol: tensorkeep records with torch, which keeps no symbols. Build the network as a "
        "HybridBlock, whose export() and call with mx.sym.var give its symbol."
    )


def __getattr__(name: str) -> Any:
    if name == "NDArray":  # MXNet's module has it, and old scripts take it from here with *
        from tensorkeep.mxnet.ndarray.ndarray import NDArray

        return NDArray
    raise AttributeError(f"module 'mxnet.autograd' has no attribute {name!r}")


class Function:
    """An operation with a gradient of its own: a subclass has forward(*arrays) and backward(*gradients of the outputs).

    Both get and give arrays; what backward() needs, forward() hands to save_for_backward(). An instance is called once.
    """

    def __init__(self) -> None:
        self._used = False
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *args: Any) -> None:
        """Keep arrays for backward(), which finds them in `saved_tensors`."""
        self.saved_tensors = args

    def __call__(self, *inputs: Any) -> Any:
        """What forward() gives, recorded where recording is on."""
        assert not self._used, "Each Function instance can only be called once. Please create another instance."
        self._used = True
        before = set_recording(False)
        try:
            outputs = self.forward(*inputs)
        finally:
            set_recording(before)
        if before:
            listed = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
            with torch.enable_grad():
                tensors = _Recorded.apply(self, inputs, listed, *[array._t for array in inputs])
            for array, tensor in zip(listed, tensors, strict=True):
                array._t = tensor
        return outputs

    def forward(self, *inputs: Any) -> Any:
        """The outputs: an array or a tuple of them. Nothing is recorded."""
        raise NotImplementedError

    def backward(self, *output_grads: Any) -> Any:
        """The gradients of the inputs from those of the outputs: an array or a tuple of them."""
        raise NotImplementedError


class _Recorded(torch.autograd.Function):
    """A Function in torch's history."""

    @staticmethod
    def forward(ctx: Any, function: Function, inputs: Any, outputs: Any, *tensors: torch.Tensor) -> Any:
        ctx.function = function
        ctx.places = [(array._ctx, type(array)) for array in outputs]
        ctx.count = len(inputs)
        return tuple(array._t.detach().clone() for array in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        from tensorkeep.mxnet._invoke import wrap

        arrays = [wrap(grad, place, cls) for grad, (place, cls) in zip(grads, ctx.places, strict=True)]
        with _Scope(False, None):
            found = ctx.function.backward(*arrays)
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        name = type(ctx.function).__name__
        if len(found) != ctx.count:
            raise MXNetError(
                f"{name}.backward must return exactly the same number of NDArrays as the number of NDArrays arguments "
                f"to forward. Expecting {ctx.count} got {len(found)}"
            )
        for each in found:
            if not hasattr(each, "_t"):
                raise MXNetError(f"autograd.Function.backward must return NDArrays, not {type(each)}")
        return None, None, None, *[each._t.detach() for each in found]


claim(globals())
