"""Tensors' values in memory of their own, read and verified in one pass.

Ranges of a file that lie close together are read as one image into one arena, in blocks that several threads take in
turn; each block is checksummed while it is in the processor's cache. The arrays are slices of the arenas.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from operator import lt
from typing import TYPE_CHECKING, Any

from tensorkeep.core.bytesource import ByteSource, FileSource
from tensorkeep.core.dtypes import numpy_dtype
from tensorkeep.core.hashing import Digest, new_hasher
from tensorkeep.core.progress import advance
from tensorkeep.core.tensor import Tensor, check_bools
from tensorkeep.errors import CorruptFileError
from tensorkeep.storage._arena import Ranges, fill, is_cached
from tensorkeep.storage._direct import do_all, threads

if TYPE_CHECKING:
    import numpy as np

__all__ = ["checksum_tensors", "read_tensors"]

_CHECK_BLOCK_NBYTES = 1 << 20

_CHECK_NBYTES = 64 << 20
"""What `checksum_tensors` holds of a file at a time; larger tensors are passed block by block."""

_VIEW_FROM_NBYTES = 256 << 10

_UNMAP_NBYTES = 32 << 20
"""What a thread holds mapped of a file at a time."""

_THREADED_FROM_NBYTES = 16 << 20
"""Below this, starting threads costs more than it gains."""

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
    first: dict[int, int] | None = None
    if len(set(map(id, tensors))) < len(tensors):
        first = {}
        for i, tensor in enumerate(tensors):
            first.setdefault(id(tensor), i)
    by_source: dict[FileSource, list[tuple[int, int, int]]] = {}
    others: list[int] = []
    last = rows = None
    for i, tensor in enumerate(tensors):
        if first is not None and first[id(tensor)] != i:
            continue
        if tensor.extent is None:
            others.append(i)
            continue
        source, offset, nbytes, strides, big_endian = tensor.extent
        if strides is not None or big_endian or not nbytes or tensor.dtype.bits < 8:
            others.append(i)
        elif source is last and rows is not None:
            rows.append((offset, offset + nbytes, i))
        elif type(source) is FileSource and hasattr(os, "preadv"):
            last = source
            rows = by_source.setdefault(source, [])
            rows.append((offset, offset + nbytes, i))
        else:
            others.append(i)

    damaged: list[tuple[int, Digest]] = []
    for file, found in by_source.items():
        _read_file(file, found, tensors, out, others, damaged, verify=verify)
    for i in others:
        out[i] = _read_other(tensors[i], i, damaged, verify=verify)
    if damaged:
        raise CorruptFileError(_damage_text(tensors, names, damaged))
    if first is not None:
        for i, tensor in enumerate(tensors):
            out[i] = out[first[id(tensor)]]
    return out


def checksum_tensors(tensors: Sequence[Tensor], names: Sequence[str]) -> dict[str, Digest]:
    """The checksum of the bytes of each Tensor that carries a digest, by the same algorithm, computed anew.

    Files are read as `read_tensors` reads them, 64 MiB at a time, however large the tensors are.
    """
    found: dict[int, Digest] = {}
    by_source: dict[FileSource, list[tuple[int, int, int]]] = {}
    for i, tensor in enumerate(tensors):
        ext, digest = tensor.extent, tensor.digest
        if digest is None:
            continue
        if ext is not None and type(ext.source) is FileSource and ext.nbytes and hasattr(os, "preadv"):
            by_source.setdefault(ext.source, []).append((ext.offset, ext.offset + ext.nbytes, i))
            found[i] = digest  # unless it turns out to be damaged
        else:
            found[i] = _checksum(tensor, digest.algorithm)
    damaged: list[tuple[int, Digest]] = []
    digests = [tensor.digest for tensor in tensors]
    for file, rows in by_source.items():
        rows.sort()
        rows, shared = _apart(rows)
        for i in shared:
            found[i] = _checksum(tensors[i], found[i].algorithm)
        if rows and is_cached(file, rows[0][0], rows[-1][1]):
            # Hashed where they lie in the cache, by several threads: nothing is copied first.
            found.update(_checksum_views(file, tensors, [row for row in rows if row[1] - row[0] >= _VIEW_FROM_NBYTES]))
            rows = [row for row in rows if row[1] - row[0] < _VIEW_FROM_NBYTES]
        for start, end, i in rows:
            if end - start > _CHECK_NBYTES:
                found[i] = _checksum(tensors[i], found[i].algorithm)
        rows = [row for row in rows if row[1] - row[0] <= _CHECK_NBYTES]
        first = 0
        while first < len(rows):
            last = bisect_right(rows, rows[first][0] + _CHECK_NBYTES, first, key=lambda row: row[1])
            starts, ends, numbers = zip(*rows[first:last], strict=True)
            fill(file, Ranges(starts, ends, numbers), digests, damaged)
            first = last
    found.update(damaged)
    return {name: found[i] for i, name in enumerate(names) if i in found}


def _read_file(
    source: FileSource,
    rows: list[tuple[int, int, int]],
    tensors: Sequence[Tensor],
    out: list[Any],
    others: list[int],
    damaged: list[tuple[int, Digest]],
    *,
    verify: bool,
) -> None:
    import numpy as np

    rows.sort()
    starts, ends, numbers = zip(*rows, strict=True)
    if any(map(lt, starts[1:], ends)):
        rows, shared = _apart(rows)
        others += shared
        starts, ends, numbers = zip(*rows, strict=True)
    ranges = Ranges(starts, ends, numbers)
    digests = [tensor.digest for tensor in tensors] if verify else None

    array_of = np.ndarray
    dtype = kind = None
    itemsize = 1
    for arena in fill(source, ranges, digests, damaged):
        memory, shift = arena.memory, arena.shift
        free = 0  # where the array before ends in the arena
        for k in range(arena.first, arena.last):
            at, end, i = starts[k] + shift, ends[k] + shift, numbers[k]
            tensor = tensors[i]
            if tensor.dtype is not dtype:
                dtype = tensor.dtype
                kind = numpy_dtype(dtype)
                itemsize = kind.itemsize
            off = at % itemsize
            if not off:
                array: Any = array_of(tensor.shape, kind, memory, at)
            elif at - off >= free:
                arena.move(at, at - off, end - at)
                array = array_of(tensor.shape, kind, memory, at - off)
            else:
                array = array_of(tensor.shape, kind, arena.copy_of(at, end - at))
            if array.nbytes != end - at:
                raise CorruptFileError(
                    f"{source.name}: a tensor of {tensor.spec} takes {array.nbytes} bytes, but {end - at} are "
                    f"there at offset {starts[k]}. The file is damaged."
                )
            if dtype == "bool":
                check_bools(array, what=f"{source.name}: the tensor at byte {starts[k]}")
            out[i] = array
            free = end


def _apart(rows: list[tuple[int, int, int]]) -> tuple[list[tuple[int, int, int]], list[int]]:
    """The rows that share no bytes with the ones before, and the numbers of the others (views of one storage)."""
    kept: list[tuple[int, int, int]] = []
    shared = []
    end = 0
    for row in rows:
        if row[0] < end:
            shared.append(row[2])
        else:
            kept.append(row)
            end = row[1]
    return kept, shared


def _read_other(tensor: Tensor, i: int, damaged: list[tuple[int, Digest]], *, verify: bool) -> Any:
    import numpy as np

    if verify and tensor.digest is not None:
        got = _checksum(tensor, tensor.digest.algorithm)
        if got != tensor.digest:
            damaged.append((i, got))
    array = np.array(tensor.numpy(), order="C", copy=True)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _checksum_views(
    file: FileSource, tensors: Sequence[Tensor], rows: Sequence[tuple[int, int, int]]
) -> dict[int, Digest]:
    """The checksums of tensors of one file that are in the page cache, by the positions that end the rows."""
    found: dict[int, Digest] = {}
    if not rows:
        return found
    file.view(rows[0][0], rows[0][1] - rows[0][0])  # mapped once, before several ask for it

    def work(row: tuple[int, int, int]) -> None:
        digest = tensors[row[2]].digest
        assert digest is not None
        found[row[2]] = _checksum(tensors[row[2]], digest.algorithm, views=True)

    large = sum(end - start for start, end, _ in rows) >= _THREADED_FROM_NBYTES
    jobs = deque(sorted(rows, key=lambda row: row[0] - row[1]))  # the largest first: all end at about the same time
    do_all(jobs, work, threads(4) if large else 1)
    return found


def _checksum(tensor: Tensor, algorithm: str, *, views: bool = False) -> Digest:
    """Over the bytes of the file that hold the tensor, or over those that a file would hold.

    A file is read into a buffer; with `views` it is mapped, which is quicker when it is cached and slower when not.
    """
    if hasattr(tensor._array, "checksum"):  # a tensor in parts, each with a checksum of its own
        made: Digest = tensor._array.checksum()
        return made
    hasher = new_hasher(algorithm)
    ext = tensor.extent
    if ext is None:
        for block in tensor.blocks(_CHECK_BLOCK_NBYTES):
            hasher.update(block)
            advance(len(block))
        return Digest(algorithm, hasher.hexdigest())
    ext.source.check(ext.offset, ext.nbytes)
    buffer = memoryview(bytearray(min(_CHECK_BLOCK_NBYTES, ext.nbytes)))
    for start in range(0, ext.nbytes, _CHECK_BLOCK_NBYTES):
        block = buffer[: ext.nbytes - start]
        if views:
            block = ext.source.view(ext.offset + start, len(block))
        else:
            ext.source.readinto(ext.offset + start, block)
        hasher.update(block)
        advance(len(block))
        end = start + len(block)
        if views and isinstance(ext.source, FileSource) and (end % _UNMAP_NBYTES == 0 or end == ext.nbytes):
            # Here, where several threads do it: at the end of all, one would take as long again.
            since = (end - 1) // _UNMAP_NBYTES * _UNMAP_NBYTES
            ext.source.unmap(ext.offset + since, end - since)
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
