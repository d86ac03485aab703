"""The mean of several steps: often better than any of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tensorkeep.checkpoint.steps import Step
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import map_tree
from tensorkeep.errors import CorruptFileError, MismatchError

__all__ = ["average"]


def average(steps: Sequence[Step], *, entry: str = "model") -> Any:
    """The mean of an entry's floating-point tensors over several steps, added up in float64; the rest is the last step's.

    Args:
        steps: as Checkpointer.steps() gives them; at least one.
        entry: the key of the state, "model" by default.
    Returns:
        What `load` gives for the entry: for a model, arrays by name, in their own dtypes.
    Raises:
        MismatchError: the steps hold different tensors. CorruptFileError: one is damaged.
    """
    if not steps:
        raise MismatchError("average() needs at least one step.")
    for step in steps:
        damage = step.damage()
        if damage:
            raise CorruptFileError(f"step {step.step} is damaged: {damage[0]}")
    with ExitStack() as stack:
        files = [stack.enter_context(step.open()) for step in steps]
        return _mean(steps, files, entry)


def _mean(steps: Sequence[Step], files: Sequence[TensorFile], entry: str) -> Any:
    import numpy as np

    from tensorkeep.storage.reading import read_tensors

    tree = files[-1].structure
    if entry not in tree:
        raise MismatchError(f"The steps have no entry {entry!r}; they have {', '.join(map(str, tree))}.")
    names = {id(tensor): name for name, tensor in files[-1].dense().items()}

    def leaf(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        name = names[id(value)]
        found = [each.get(name) for each in files]
        unlike = [
            step.step
            for step, tensor in zip(steps, found, strict=True)
            if tensor is None or tensor.shape != value.shape or tensor.dtype != value.dtype
        ]
        if unlike:
            raise MismatchError(f"{name}: steps {unlike} have no tensor like that of step {steps[-1].step}.")
        (own,) = read_tensors([value], verify=False)
        if value.dtype.kind != "float":
            return own
        total = np.zeros(own.shape, np.float64)
        for tensor in found:
            assert isinstance(tensor, Tensor)
            total += tensor.numpy().astype(np.float64)
        return (total / len(steps)).astype(own.dtype)

    return map_tree(tree[entry], leaf)
