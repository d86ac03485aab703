"""What a file will consist of, decided before a byte is written: literal bytes, tensors, and bytes that need checksums.

A format makes a WritePlan; storage carries it out, in parallel or in order, to a file or to a stream. The size is known
beforehand, so the disk is checked first and nothing is written for data that a format cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tensorkeep.core.hashing import Digest
from tensorkeep.core.tensor import Tensor

__all__ = ["Deferred", "Receipt", "Segment", "WritePlan"]


@dataclass(frozen=True, slots=True)
class Deferred:
    """Bytes whose length is known now and whose content once the tensors' checksums are.

    `make` gets the Digest of every tensor of the plan by name and returns exactly `nbytes` bytes.
    """

    nbytes: int
    make: Callable[[Mapping[str, Digest]], bytes]


class TensorSegment(NamedTuple):
    """The bytes of a tensor (`Tensor.blocks`), checksummed under `name` as they pass."""

    name: str
    tensor: Tensor

    @property
    def nbytes(self) -> int:
        """The bytes the tensor takes in the file."""
        return self.tensor.nbytes


Segment = bytes | TensorSegment | Deferred


@dataclass(slots=True)
class WritePlan:
    """The segments of a file in their order.

    Attributes:
        format: the name of the format.
        segments: their lengths add up to the file's size.
        checksum: the algorithm that every TensorSegment is checksummed with ("xxh3-128", "crc32"); None for none.
        tensors: how many tensors the file holds (for the Receipt).
    """

    format: str
    segments: list[Segment] = field(default_factory=list)
    checksum: str | None = None
    tensors: int = 0

    @property
    def nbytes(self) -> int:
        """The size of the file."""
        return sum(len(s) if isinstance(s, bytes) else s.nbytes for s in self.segments)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a save wrote, durable when it is returned.

    Attributes:
        path: of the file (or the index file of a sharded one; the stream's name for a file object).
        format: its name, e.g. "safetensors".
        nbytes: size of the file; all files together when sharded.
        tensors: how many tensors were written (tied ones count once).
        files: the paths of all files written.
        digests: checksum of each tensor by name; empty where the format carries none.
    """

    path: str
    format: str
    nbytes: int
    tensors: int
    files: tuple[str, ...] = ()
    digests: Mapping[str, Digest] = field(default_factory=dict)
