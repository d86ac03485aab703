"""Tensors' values in memory of their own, read and verified in one pass.

Ranges of a file that lie close together are read as one image into one arena, in blocks that several threads take in
turn; each block is checksummed while it is in the processor's cache. The arrays are slices of the arenas.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorkeep.core.bytesource import ByteSource, FileSource
from tensorkeep.core.dtypes import numpy_dtype
from tensorkeep.core.hashing import Digest, new_hasher
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import CorruptFileError
from tensorkeep.storage._arena import Range, fill

if TYPE_CHECKING:
    import numpy as np

__all__ = ["checksum_tensors", "read_tensors"]

_CHECK_BLOCK_NBYTES = 1 << 20
_SHOWN = 20  # damaged tensors that an error lists


def read_tensors(
    tensors: Sequence[Tensor], *, names: Sequence[str] | None = None, verify: bool = True
) -> list[np.ndarray[Any, Any]]:
    """An array for each Tensor: owned, writable, C-contiguous, aligned. The same Tensor twice gives one array twice.

    Small tensors that lie together in the file share an allocation of at most 32 MiB, which lives as long as one of them.

    Args:
        tensors: of any files, in any order; each file is read in its own order.
        names: what errors call them.
        verify: check the bytes of those that carry a digest.
    Raises:
        CorruptFileError: digests differ; all such tensors are named.
        TruncatedFileError: a file ends before its tensors do.
    """
    out: list[Any] = [None] * len(tensors)
    first: dict[int, int] = {}
    twice: list[tuple[int, int]] = []
    by_source: dict[FileSource, list[tuple[int, int]]] = {}
    others: list[int] = []
    source = rows = None
    for i, tensor in enumerate(tensors):
        if first.setdefault(id(tensor), i) != i:
            twice.append((i, first[id(tensor)]))
            continue
        ext = tensor.extent
        if ext is None or ext.strides is not None or ext.big_endian or tensor.dtype.bits < 8 or not ext.nbytes:
            others.append(i)
        elif ext.source is source and rows is not None:
            rows.append((ext.offset, i))
        elif type(ext.source) is FileSource and hasattr(os, "preadv"):
            source = ext.source
            rows = by_source.setdefault(source, [])
            rows.append((ext.offset, i))
        else:
            others.append(i)

    damaged: list[tuple[int, Digest]] = []
    for file, found in by_source.items():
        _read_file(file, found, tensors, out, others, damaged, verify=verify)
    for i in others:
        out[i] = _read_other(tensors[i], i, damaged, verify=verify)
    if damaged:
        raise CorruptFileError(_damage_text(tensors, names, damaged))
    for i, earlier in twice:
        out[i] = out[earlier]
    return out


def checksum_tensors(tensors: Sequence[Tensor], names: Sequence[str]) -> dict[str, Digest]:
    """The checksum of the bytes of each Tensor that carries a digest, by the same algorithm, computed anew.

    Memory is bounded by the threads' blocks, however large the tensors are.
    """
    return {
        name: _checksum(tensor, tensor.digest.algorithm)
        for tensor, name in zip(tensors, names, strict=True)
        if tensor.digest is not None
    }


def _read_file(
    source: FileSource,
    rows: list[tuple[int, int]],
    tensors: Sequence[Tensor],
    out: list[Any],
    others: list[int],
    damaged: list[tuple[int, Digest]],
    *,
    verify: bool,
) -> None:
    import numpy as np

    rows.sort()
    ranges: list[Range] = []
    end = 0
    for offset, i in rows:
        ext = tensors[i].extent
        assert ext is not None
        if offset < end:  # it shares bytes with the one before: an array of its own all the same
            others.append(i)
            continue
        end = offset + ext.nbytes
        ranges.append((offset, end, i))
    if ranges:
        source.check(min(0, ranges[0][0]), 0)
        source.check(0, end)

    digests = [tensor.digest for tensor in tensors] if verify else None
    make = np.ndarray
    kinds: dict[str, Any] = {}
    for arena in fill(source, ranges, digests, damaged):
        memory, shift = arena.memory, arena.base - arena.start
        free = 0  # where the array before ends in the arena
        for start, stop, i in arena.ranges:
            tensor = tensors[i]
            kind = kinds.get(tensor.dtype)
            if kind is None:
                kind = kinds[tensor.dtype] = numpy_dtype(tensor.dtype)
            at = start + shift
            off = at % kind.itemsize
            if off:
                if at - off >= free:
                    arena.move(at, at - off, stop - start)
                    at -= off
                else:
                    memory, at = arena.copy_of(at, stop - start), 0
            array: Any = make(tensor.shape, kind, memory, at)
            if array.nbytes != stop - start:
                raise CorruptFileError(
                    f"{source.name}: a tensor of {tensor.spec} takes {array.nbytes} bytes, but {stop - start} are "
                    f"there at offset {start}. The file is damaged."
                )
            out[i] = array
            if memory is not arena.memory:
                memory = arena.memory
            else:
                free = at + stop - start


def _read_other(tensor: Tensor, i: int, damaged: list[tuple[int, Digest]], *, verify: bool) -> Any:
    import numpy as np

    if verify and tensor.digest is not None:
        got = _checksum(tensor, tensor.digest.algorithm)
        if got != tensor.digest:
            damaged.append((i, got))
    array = np.array(tensor.numpy(), order="C", copy=True)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _checksum(tensor: Tensor, algorithm: str) -> Digest:
    """Over the bytes of the file that hold the tensor, or over those that a file would hold."""
    hasher = new_hasher(algorithm)
    ext = tensor.extent
    if ext is None:
        for block in tensor.blocks(_CHECK_BLOCK_NBYTES):
            hasher.update(block)
    else:
        for start in range(0, ext.nbytes, _CHECK_BLOCK_NBYTES):
            hasher.update(ext.source.view(ext.offset + start, min(_CHECK_BLOCK_NBYTES, ext.nbytes - start)))
    return Digest(algorithm, hasher.hexdigest())


def _damage_text(tensors: Sequence[Tensor], names: Sequence[str] | None, damaged: list[tuple[int, Digest]]) -> str:
    damaged.sort(key=lambda row: row[0])
    sources: dict[str, ByteSource] = {}
    lines = []
    for i, got in damaged:
        ext = tensors[i].extent
        place = ""
        if ext is not None:
            sources[ext.source.name] = ext.source
            place = f" (bytes {ext.offset} to {ext.offset + ext.nbytes})"
        label = repr(names[i]) if names is not None else f"number {i}"
        lines.append(f"  {label}{place}: expected {tensors[i].digest}, got {got}")
    where = ", ".join(sources) or "the data"
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"  and {len(lines) - _SHOWN} more"]
    count = "1 tensor is" if len(damaged) == 1 else f"{len(damaged)} tensors are"
    return "\n".join(
        [
            f"{where}: {count} damaged: the bytes are not those that were written.",
            *lines,
            "Copy the file again from its source or restore a backup. verify=False reads the damaged values anyway.",
        ]
    )
