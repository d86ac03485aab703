"""The tensors of a save as what is written of them: whole, or the parts that this process holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tensorkeep.adapters._sharded import boxes
from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import Content, unique_name
from tensorkeep.errors import UnsupportedDataError
from tensorkeep.formats._step_manifest import TensorRecord

__all__ = ["Pieces", "Shards", "pieces_of", "shards_of"]

Start = tuple[int, ...]


class Shards:
    """What a Tensor's elements are when this process holds parts of it.

    Attributes:
        boxes: where each part begins, and the part.
    """

    def __init__(self, shape: tuple[int, ...], boxes: list[tuple[Start, Tensor]]) -> None:
        self._shape = shape
        self.boxes = boxes

    @property
    def nbytes(self) -> int:
        """Bytes of the parts that are here."""
        return sum(part.nbytes for _, part in self.boxes)

    def key(self) -> tuple[Any, ...]:
        """What tells it from other memory."""
        return (id(self),)

    def numpy(self) -> Any:
        """The whole, when all parts are here."""
        import numpy as np

        if sum(part.size for _, part in self.boxes) != math.prod(self._shape):
            raise UnsupportedDataError(
                f"a tensor of shape {list(self._shape)} of which other processes hold a part. Save it with a Checkpointer."
            )
        out = np.empty(self._shape, self.boxes[0][1].numpy().dtype)
        for start, part in self.boxes:
            out[tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))] = part.numpy()
        return out

    def blocks(self, max_nbytes: int) -> Iterator[memoryview]:
        """The bytes of the whole, in pieces."""
        yield from Tensor(self._shape, self.boxes[0][1].dtype, array=self.numpy()).blocks(max_nbytes)


def shards_of(value: Any, where: str) -> Tensor | None:
    """A Tensor of the whole's shape, for a DTensor or a jax.Array on several devices; None for everything else."""
    found = boxes(value, where)
    if found is None:
        return None
    parts: list[tuple[Start, Tensor]] = []
    for start, array in found:
        part = as_tensor(array, where=where)
        assert isinstance(part, Tensor)
        parts.append((start, part))
    shape = tuple(int(n) for n in value.shape)
    if parts:
        return Tensor(shape, parts[0][1].dtype, array=Shards(shape, parts))
    from tensorkeep.core.dtypes import DTYPES

    return Tensor(shape, DTYPES[str(value.dtype).removeprefix("torch.")], array=Shards(shape, parts))


@dataclass
class Pieces:
    """What this process writes.

    Attributes:
        tensors: key → a whole tensor or a part. The key is the tensor's name; of further parts of it, a name made from it.
        whole: name → dtype, shape, and the key and beginning of each of its parts here.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    whole: dict[str, tuple[str, tuple[int, ...], list[tuple[str, Start]]]] = field(default_factory=dict)

    def add(self, name: str, tensor: Tensor, takes: Callable[[Start], bool] = lambda start: True) -> None:
        """Take in a tensor, or those of its parts that `takes` says yes to."""
        shards = tensor._array
        shape = tuple(tensor.shape)
        rows: list[tuple[str, Start]] = []
        found = shards.boxes if isinstance(shards, Shards) else [((0,) * len(shape), tensor)]
        for start, part in found:
            if takes(start):
                key = unique_name(name, self.tensors)
                self.tensors[key] = part
                rows.append((key, start))
        self.whole[name] = (str(tensor.dtype), shape, rows)

    def records(self, found: Mapping[str, TensorRecord]) -> dict[str, TensorRecord]:
        """From what was written by key: by name, the parts where they belong."""
        made = {}
        for name, (dtype, shape, rows) in self.whole.items():
            parts = [(found[key].whole, start) for key, start in rows]
            made[name] = TensorRecord(
                dtype, shape, tuple(replace(p, start=start) for p, start in parts if p is not None)
            )
        return made


def pieces_of(content: Content) -> Pieces:
    """Everything, for a process that is alone.

    Raises:
        UnsupportedDataError: other processes hold parts of a tensor.
    """
    pieces = Pieces()
    for name, tensor in content.tensors.items():
        shards = tensor._array
        if isinstance(shards, Shards) and sum(part.size for _, part in shards.boxes) != tensor.size:
            raise UnsupportedDataError(
                f"{name}: other processes hold parts of this tensor, and this one writes alone. Under torch.distributed every "
                "rank calls save; arrays of JAX that span processes are gathered first "
                "(jax.experimental.multihost_utils.process_allgather)."
            )
        pieces.add(name, tensor)
    return pieces
