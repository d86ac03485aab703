"""The first autograd of MXNet, on top of mx.autograd: training and recording are one switch here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet import autograd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray import NDArray, zeros_like

__all__ = [
    "TrainingStateScope", "backward", "compute_gradient", "grad", "grad_and_loss", "mark_variables", "set_is_training",
    "test_section", "train_section",
]  # fmt: skip

mark_variables = autograd.mark_variables


def set_is_training(is_train: bool) -> bool:
    """Switch recording and training mode on or off; the state before of recording."""
    autograd.set_training(is_train)
    return autograd.set_recording(is_train)


class TrainingStateScope:
    """A `with` block in which set_is_training is as given."""

    def __init__(self, enter_state: bool) -> None:
        self._enter_state = enter_state
        self._prev: bool | None = None

    def __enter__(self) -> None:
        self._prev = set_is_training(self._enter_state)

    def __exit__(self, ptype: Any, value: Any, trace: Any) -> None:
        if self._prev != self._enter_state:
            set_is_training(bool(self._prev))


def train_section() -> TrainingStateScope:
    """A `with` block that records, in training mode."""
    return TrainingStateScope(True)


def test_section() -> TrainingStateScope:
    """A `with` block inside train_section() that does not record and predicts."""
    return TrainingStateScope(False)


def backward(outputs: Any, out_grads: Any = None, retain_graph: bool = False) -> None:
    """Write the gradients of a list of outputs into the marked variables.

    Args:
        out_grads: a gradient for each output; None, for all or for one, stands for ones.
    """
    assert isinstance(outputs, list | tuple), "outputs must be a list or tuple of NDArrays"
    if out_grads is not None:
        assert len(out_grads) == len(outputs), "outputs and out_grads must have the same length"
    autograd.backward(list(outputs), out_grads, retain_graph)


def compute_gradient(outputs: Any) -> None:
    """The same as backward(outputs); deprecated in MXNet."""
    backward(outputs)


def grad_and_loss(func: Callable[..., Any], argnum: int | list[int] | None = None) -> Callable[..., Any]:
    """A function that gives (gradients of the arguments, what `func` gives).

    Args:
        argnum: the arguments to derive by; None for all.
    """

    @functools.wraps(func)
    def wrapped(*args: Any) -> Any:
        chosen = [argnum] if isinstance(argnum, int) else argnum
        variables = list(args) if chosen is None else [args[i] for i in chosen]
        for x in variables:
            assert isinstance(x, NDArray), "type of autograd input should NDArray."
        grads = [zeros_like(x) for x in variables]
        mark_variables(variables, grads)
        with train_section():
            outputs = func(*args)
        backward([outputs] if isinstance(outputs, NDArray) else outputs)
        return grads, outputs

    return wrapped


def grad(func: Callable[..., Any], argnum: int | list[int] | None = None) -> Callable[..., Any]:
    """A function that gives the gradients of the arguments of `func`."""
    both = grad_and_loss(func, argnum)

    @functools.wraps(both)
    def wrapped(*args: Any) -> Any:
        return both(*args)[0]

    return wrapped


claim(globals())
