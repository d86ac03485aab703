"""Recording operators for backward(): torch's autograd behind MXNet's words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim

if TYPE_CHECKING:
    from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["backward", "is_recording", "is_training", "mark_variables", "pause", "predict_mode", "record", "train_mode"]


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


def mark_variables(variables: Any, gradients: Any, grad_reqs: str | Sequence[str] = "write") -> None:
    """Attach gradient arrays to variables: backward() writes ("write") or adds ("add") there."""
    if not isinstance(variables, (list, tuple)):
        variables, gradients = [variables], [gradients]
    requests = [grad_reqs] * len(variables) if isinstance(grad_reqs, str) else grad_reqs
    for variable, gradient, request in zip(variables, gradients, requests, strict=True):
        _mark(variable, gradient, request)


def _mark(variable: NDArray, gradient: NDArray, request: str) -> None:
    variable._t = tensor = variable._t.detach()
    variable._grad = mark = [gradient, request, False]
    if request != "null" and (tensor.is_floating_point() or tensor.is_complex()):
        tensor.requires_grad_()
        tensor.register_post_accumulate_grad_hook(_collector(mark))


def _collector(mark: list[Any]) -> Callable[[torch.Tensor], None]:
    """Moves what backward() found for a leaf into its gradient array; once for each backward().

    Args:
        mark: gradient array, request, and whether backward() wrote since this was last set to False.
    """
    gradient, request, _ = mark

    def collect(leaf: torch.Tensor) -> None:
        found, leaf.grad = leaf.grad, None
        if found is None:
            return
        if request == "add":
            gradient._t = gradient._t + found
        else:
            gradient._t = found.detach()
        mark[2] = True

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
        MXNetError: no head was recorded. One that no gradient passes (indices of topk) is left out.
    """
    if not isinstance(heads, (list, tuple)):
        heads, head_grads = [heads], None if head_grads is None else [head_grads]
    given = head_grads or [None] * len(heads)
    pairs = [(head._t, grad) for head, grad in zip(heads, given, strict=True) if head._t.requires_grad]
    if heads and not pairs:
        raise MXNetError(_NOT_RECORDED)
    tensors = [tensor for tensor, _ in pairs]
    grads = [torch.ones_like(tensor) if grad is None else grad._t.detach() for tensor, grad in pairs]
    with _Scope(None, train_mode):
        torch.autograd.backward(tensors, grads, retain_graph=retain_graph)


claim(globals())
