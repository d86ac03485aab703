"""Carry out a WritePlan: to a file, atomically and durably, or to a stream, in order.

Small files are written through the page cache and synced. Large ones on local file systems go around it: their blocks
are copied and checksummed by one thread and written directly by others, so that the disk is busy from the first block on;
writing through the cache begins to fill the disk only at the sync.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Mapping
from typing import Any

from tensorkeep.core.hashing import Digest
from tensorkeep.core.plan import Deferred, Receipt, Segment, TensorSegment, WritePlan
from tensorkeep.core.progress import advance
from tensorkeep.errors import SaveError
from tensorkeep.storage._direct import direct_is_known, open_direct, threads
from tensorkeep.storage._feed import Later, feed, segment_sizes
from tensorkeep.storage._pool import Inline, Pool
from tensorkeep.storage.atomic import replace_file, save_error, sync_file, write_all

__all__ = ["write_file", "write_new", "write_stream"]

POOL_FROM_NBYTES = 32 << 20
"""From this size on threads write while others fill. Below, starting them and their memory cost more than they gain."""

DEFERRED_EVERY_NBYTES = 1 << 20
"""Direct writes are for files with at most one Deferred segment in so many bytes: each is a page to be read back."""

BLOCK_NBYTES = 2 << 20
"""What is filled and written at once by the pool; 8 of them are 16 MiB of extra memory."""

INLINE_BLOCK_NBYTES = 1 << 20
"""What is filled and written at once without threads: it stays in the processor's cache."""

COPY_NBYTES = 256 << 10
"""What a file object of an unknown kind is given at once, as bytes of its own."""

_BUFFERS = 8
_DIRECT_THREADS = 4  # requests that the disk has at once
_CACHED_THREADS = 2  # one file has one lock for writes through the cache


def write_file(path: str | os.PathLike[str], plan: WritePlan) -> Receipt:
    """Write the plan's file durably in place of `path`; see `replace_file` for what a failure leaves.

    Raises:
        SaveError, NotEnoughSpaceError: as `replace_file`.
    """
    name = os.fsdecode(path)
    sizes = segment_sizes(plan.segments)
    total = sum(sizes)
    with replace_file(name, nbytes=total) as out:
        digests = _write_whole(out.fd, plan, sizes, total)
    return Receipt(name, plan.format, total, plan.tensors, (name,), digests)


def write_new(path: str | os.PathLike[str], plan: WritePlan) -> Receipt:
    """Write the plan's file under a name that is not taken, synced when it returns; its name is not: sync the folder.

    For files of a folder that is not yet where readers look (see `storage.folders`).

    Raises:
        SaveError, NotEnoughSpaceError: the system refuses, or the name is taken; the file may be there in part.
    """
    name = os.fsdecode(path)
    sizes = segment_sizes(plan.segments)
    total = sum(sizes)
    try:
        fd = os.open(
            name, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o666
        )
        try:
            digests = _write_whole(fd, plan, sizes, total)
            sync_file(fd)
        finally:
            os.close(fd)
    except OSError as err:
        raise save_error(name, err, state="The steps that are there are untouched.") from err
    return Receipt(name, plan.format, total, plan.tensors, (name,), digests)


def _write_whole(fd: int, plan: WritePlan, sizes: list[int], total: int) -> dict[str, Digest]:
    if total < POOL_FROM_NBYTES or not hasattr(os, "pwrite"):
        sink = Inline(fd, max(1, min(total, INLINE_BLOCK_NBYTES)))
        digests, later = feed(plan.segments, sizes, plan.checksum, sink)
    else:
        digests, later = _write_large(fd, plan, sizes, total)
    for offset, segment in later:
        write_all(fd, memoryview(_made(segment, digests)), offset)
    return digests


def _write_large(fd: int, plan: WritePlan, sizes: list[int], total: int) -> tuple[dict[str, Digest], Later]:
    direct = None
    deferred = sum([type(segment) is Deferred for segment in plan.segments])
    if deferred * DEFERRED_EVERY_NBYTES <= total and direct_is_known(fd):
        direct = open_direct(fd, os.O_WRONLY)
    try:
        if direct is not None:
            _reserve(fd, total)
        count = threads(_CACHED_THREADS) if direct is None else _DIRECT_THREADS
        with Pool(fd, direct, BLOCK_NBYTES, buffers=_BUFFERS, threads=count) as pool:
            return feed(plan.segments, sizes, plan.checksum, pool)
    finally:
        if direct is not None:
            os.close(direct)


def _reserve(fd: int, nbytes: int) -> None:
    # Direct writes that extend a file wait for one another; into reserved blocks they run side by side.
    try:
        os.posix_fallocate(fd, 0, nbytes)
    except OSError as err:
        if err.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def write_stream(file: Any, plan: WritePlan) -> Receipt:
    """Write the plan's bytes in order to an open binary file object, which stays open; nothing is synced.

    Raises:
        SaveError: the file object refuses (an OSError of its write, chained), or a tensor changed between its checksum
            and its bytes. The stream then holds a part of the data.
    """
    name = getattr(file, "name", None)
    label = name if isinstance(name, str) else f"<{type(file).__name__}>"
    sizes = segment_sizes(plan.segments)
    body = 1 + max((i for i, s in enumerate(plan.segments) if type(s) is TensorSegment), default=-1)
    segments: list[Segment] = plan.segments[:body]
    early: Mapping[str, Digest] = {}
    if any(type(segment) is Deferred for segment in segments):
        # What stands before the tensors needs their checksums: they are passed twice.
        early, _ = feed(segments, sizes, plan.checksum, _Nowhere())
        segments = [_made(s, early) if isinstance(s, Deferred) else s for s in segments]
    try:
        digests, _ = feed(segments, sizes, plan.checksum, _Stream(file))
        _check_unchanged(label, early, digests)
        for segment in plan.segments[body:]:
            _write_to(file, _made(segment, digests) if isinstance(segment, Deferred) else segment)
    except OSError as err:
        raise save_error(label, err, state="The stream holds a part of the data.") from err
    return Receipt(label, plan.format, sum(sizes), plan.tensors, (), digests)


def _check_unchanged(label: str, early: Mapping[str, Digest], digests: Mapping[str, Digest]) -> None:
    changed = [name for name, digest in early.items() if digests[name] != digest]
    if changed:
        shown = ", ".join(map(repr, changed[:5])) + (" …" if len(changed) > 5 else "")
        raise SaveError(
            errno.EBUSY,
            f"{label}: tensors changed while they were saved ({shown}), so that their checksums do not fit. "
            "The stream holds a part of the data. Pause what writes to them, or save copies.",
        )


class _Nowhere:
    """A Sink for the checksums alone."""

    def __init__(self) -> None:
        self._block = memoryview(bytearray(INLINE_BLOCK_NBYTES))

    def take(self) -> memoryview:
        return self._block

    def give(self, nbytes: int, offset: int) -> None:
        pass


class _Stream(_Nowhere):
    """A Sink that writes to a file object in order."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def give(self, nbytes: int, offset: int) -> None:
        _write_to(self._file, self._block[:nbytes])
        advance(nbytes)


def _write_to(file: Any, data: Any) -> None:
    # Other objects than these may keep what they are given, and our buffer is used again: they get a copy.
    known = isinstance(file, (io.BytesIO, io.BufferedWriter, io.FileIO, io.BufferedRandom))
    view = memoryview(data)
    done = 0
    while done < view.nbytes:
        part = view[done:] if known else bytes(view[done : done + COPY_NBYTES])
        count = file.write(part)
        if count == 0:
            raise OSError(errno.EIO, "the stream takes no more bytes")
        done += len(part) if count is None else count


def _made(segment: Deferred, digests: Mapping[str, Digest]) -> bytes:
    data = segment.make(digests)
    assert len(data) == segment.nbytes, (len(data), segment.nbytes)
    return data
