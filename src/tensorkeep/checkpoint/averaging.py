"""The mean of several steps: often better than any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorkeep.checkpoint.steps import Step
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import decode, map_tree
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
    import numpy as np

    from tensorkeep.storage.reading import read_tensors

    if not steps:
        raise MismatchError("average() needs at least one step.")
    for step in steps:
        damage = step.damage()
        if damage:
            raise CorruptFileError(f"step {step.step} is damaged: {damage[0]}")
    last = steps[-1]
    tensors = [step.tensors() for step in steps]
    tree = decode(last.manifest.tree, tensors[-1], what=last.path)
    if entry not in tree:
        raise MismatchError(f"The steps have no entry {entry!r}; they have {', '.join(map(str, tree))}.")
    names = {id(tensor): name for name, tensor in tensors[-1].items()}

    def leaf(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        name = names[id(value)]
        found = [each.get(name) for each in tensors]
        unlike = [
            step.step
            for step, tensor in zip(steps, found, strict=True)
            if tensor is None or tensor.shape != value.shape or tensor.dtype != value.dtype
        ]
        if unlike:
            raise MismatchError(f"{name}: steps {unlike} have no tensor like that of step {last.step}.")
        (own,) = read_tensors([value], verify=False)
        if value.dtype.kind != "float":
            return own
        total = np.zeros(own.shape, np.float64)
        for tensor in found:
            assert tensor is not None
            total += tensor.numpy().astype(np.float64)
        return (total / len(steps)).astype(own.dtype)

    return map_tree(tree[entry], leaf)
