"""Read ranges of a file into arenas, by several threads, and checksum them on the way.

The plan is made before anything is read: ranges that lie close together share an arena, whose memory is an image of its
part of the file; blocks of it are what the threads take. A block holds whole small tensors or a part of a large one. The
parts of a large tensor are checksummed in order by whichever thread has just read the next one.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.hashing import XXH3_128, Digest, Hasher, digest_of, new_hasher
from tensorkeep.core.progress import advance
from tensorkeep.storage._direct import ALIGN, aligned_memory, direct_is_known, open_direct, round_up, threads

__all__ = ["Arena", "Range", "fill"]

Range = tuple[int, int, int]
"""Start and end of a tensor in the file, and its number."""

ARENA_NBYTES = 32 << 20
"""The most that small tensors share: keeping one of them keeps no more than this."""

OWN_NBYTES = 4 << 20
"""A tensor from this size on has an arena of its own."""

GAP_NBYTES = 64 << 10
"""Bytes between two tensors that are read along rather than begin another read."""

BLOCK_NBYTES = 2 << 20
"""What a thread reads at once from the page cache: large enough for few calls, small enough for the processor's cache."""

DIRECT_BLOCK_NBYTES = 4 << 20
"""What a thread reads at once from the disk."""

MAP_FROM_NBYTES = 1 << 20
"""Below this an arena is an ordinary allocation: mapping and unmapping would cost more than the read."""

THREADS_FROM_NBYTES = 4 << 20
"""Below this, starting threads costs more than it gains."""

DIRECT_FROM_NBYTES = 8 << 20
"""Below this a file that is not cached is read through the cache."""

_CACHED_THREADS = 4  # beyond that the memory is the limit
_DISK_THREADS = 4
_PROBES = 8


class Arena:
    """An image of the bytes from `start` to `end` of a file, which begins at `base` in `memory`.

    Attributes:
        ranges: the tensors in it, in the file's order.
    """

    __slots__ = ("base", "end", "memory", "ranges", "start", "view")

    def __init__(self, ranges: Sequence[Range]) -> None:
        self.ranges = ranges
        self.start = ranges[0][0]
        self.end = ranges[-1][1]
        self.base = self.start % ALIGN  # in step with the file, for direct reads and for the tensors' alignment
        size = round_up(self.base + self.end - self.start, ALIGN)
        if size < MAP_FROM_NBYTES:
            import numpy as np

            # NumPy's own allocations are aligned to 16 bytes: `base` has to be in step with the item sizes only.
            memory: Any = np.empty(size, np.uint8)
        else:
            memory = aligned_memory(size)
        self.memory = memory
        self.view = memoryview(memory)

    def move(self, at: int, to: int, nbytes: int) -> None:
        """Move bytes down inside the memory."""
        self.view[to : to + nbytes] = self.view[at : at + nbytes]

    def copy_of(self, at: int, nbytes: int) -> Any:
        """A copy of some of the bytes, in memory of its own."""
        import numpy as np

        copy = np.empty(nbytes, np.uint8)
        memoryview(copy)[:] = self.view[at : at + nbytes]
        return copy


@dataclass(slots=True)
class _Chain:
    """The checksum of a tensor that is read in several blocks: they are hashed in order, each by one thread."""

    number: int
    hasher: Hasher
    blocks: int = 0
    next: int = 0
    busy: bool = False
    ready: dict[int, memoryview] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, position: int, data: memoryview) -> bool:
        """Take a block that was read and hash what can be hashed; True from the call that hashed the last block."""
        with self.lock:
            self.ready[position] = data
            if self.busy:
                return False  # whoever is hashing now will find it
            self.busy = True
        while True:
            with self.lock:
                block = self.ready.pop(self.next, None)
                if block is None:
                    self.busy = False
                    return self.next == self.blocks
                self.next += 1
            self.hasher.update(block)


@dataclass(slots=True)
class _Block:
    """Bytes of an arena that one thread reads: whole tensors (`ranges`) or a part of one (`chain`)."""

    arena: Arena
    start: int
    end: int
    ranges: Sequence[Range] = ()
    chain: _Chain | None = None
    position: int = 0


def fill(
    source: FileSource,
    ranges: Sequence[Range],
    digests: Sequence[Digest | None] | None,
    damaged: list[tuple[int, Digest]],
) -> list[Arena]:
    """The arenas that hold all `ranges` (sorted, apart, inside the source), read.

    Args:
        digests: expected of each tensor, by number; None to check nothing.
        damaged: gets the number and actual digest of each tensor whose bytes give another one.
    Raises:
        TruncatedFileError: the file was cut since it was opened.
        OSError: the system cannot read it.
    """
    fd = source.fileno()
    total = sum([end - start for start, end, _ in ranges])
    direct = None
    if total >= DIRECT_FROM_NBYTES and not _is_cached(fd, ranges) and direct_is_known(fd):
        direct = open_direct(fd, os.O_RDONLY)
    arenas = _arenas(ranges)
    blocks = deque(_blocks(arenas, digests, BLOCK_NBYTES if direct is None else DIRECT_BLOCK_NBYTES))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while blocks and not failures:
                try:
                    block = blocks.popleft()
                except IndexError:  # another thread was faster
                    return
                data = _read(source, fd, direct, block)
                if digests is not None:
                    _check(block, data, digests, damaged)
                advance(len(data))
        except BaseException as err:  # noqa: BLE001  # handed to the thread that waits
            failures.append(err)

    many = _DISK_THREADS if direct is not None else threads(_CACHED_THREADS)
    helpers = [threading.Thread(target=work) for _ in range(min(many, len(blocks)) - 1)]
    if total < THREADS_FROM_NBYTES:
        helpers = []
    started = []
    try:
        for helper in helpers:
            helper.start()
            started.append(helper)
        work()
    finally:
        blocks.clear()  # on an interrupt the others stop after their block
        for helper in started:
            helper.join()
        if direct is not None:
            os.close(direct)
    if failures:
        raise failures[0]
    return arenas


def _arenas(ranges: Sequence[Range]) -> list[Arena]:
    arenas = []
    first = 0
    start, end = ranges[0][:2]
    for k, (at, stop, _) in enumerate(ranges):
        if k > first and (
            at - end > GAP_NBYTES
            or stop - start > ARENA_NBYTES
            or stop - at >= OWN_NBYTES
            or ranges[k - 1][1] - ranges[k - 1][0] >= OWN_NBYTES
        ):
            arenas.append(Arena(ranges[first:k]))
            first, start = k, at
        end = stop
    arenas.append(Arena(ranges[first:]))
    return arenas


def _blocks(arenas: list[Arena], digests: Sequence[Digest | None] | None, nbytes: int) -> Iterator[_Block]:
    for arena in arenas:
        ranges = arena.ranges
        first = 0
        for k, (start, end, i) in enumerate(ranges):
            if end - start > nbytes:
                if k > first:
                    yield _Block(arena, ranges[first][0], ranges[k - 1][1], ranges[first:k])
                first = k + 1
                wanted = digests[i] if digests is not None else None
                chain = None if wanted is None else _Chain(i, new_hasher(wanted.algorithm), -(-(end - start) // nbytes))
                for position, at in enumerate(range(start, end, nbytes)):
                    yield _Block(arena, at, min(at + nbytes, end), (), chain, position)
            elif end - ranges[first][0] > nbytes:
                if k > first:
                    yield _Block(arena, ranges[first][0], ranges[k - 1][1], ranges[first:k])
                first = k
        if first < len(ranges):
            yield _Block(arena, ranges[first][0], ranges[-1][1], ranges[first:])


def _read(source: FileSource, fd: int, direct: int | None, block: _Block) -> memoryview:
    """Read a block into its arena; the memory."""
    arena = block.arena
    at = arena.base + block.start - arena.start
    data = arena.view[at : at + block.end - block.start]
    done = 0
    if direct is not None:
        # Rounded outwards: neighbours may read the same edge, but what they write there are the same bytes.
        before = block.start % ALIGN
        whole = arena.view[at - before : round_up(at + len(data), ALIGN)]
        try:
            done = max(0, os.preadv(direct, [whole], block.start - before) - before)
        except OSError as err:
            if err.errno != errno.EINVAL:  # the device asks for another alignment: read through the cache
                raise
    while done < len(data):
        count = os.preadv(fd, [data[done:]], block.start + done)
        if count == 0:
            source.size = min(source.size, block.start + done)
            source.check(block.start, len(data))
        done += count
    return data


def _check(
    block: _Block, data: memoryview, digests: Sequence[Digest | None], damaged: list[tuple[int, Digest]]
) -> None:
    if block.chain is not None:
        chain = block.chain
        if chain.add(block.position, data):
            wanted = digests[chain.number]
            assert wanted is not None
            got = chain.hasher.hexdigest()
            if got != wanted.value:
                damaged.append((chain.number, Digest(wanted.algorithm, got)))
        return
    from xxhash import xxh3_128_hexdigest

    origin = block.start
    for start, end, i in block.ranges:
        wanted = digests[i]
        if wanted is None:
            continue
        piece = data[start - origin : end - origin]
        if wanted[0] == XXH3_128:
            value = xxh3_128_hexdigest(piece)
            if value != wanted[1]:
                damaged.append((i, Digest(XXH3_128, value)))
        elif (other := digest_of(piece, wanted[0])) != wanted:
            damaged.append((i, other))


def _is_cached(fd: int, ranges: Sequence[Range]) -> bool:
    """Whether most of a few probed bytes lie in the page cache; True as well where the system cannot tell."""
    flag = getattr(os, "RWF_NOWAIT", None)
    if flag is None:
        return True
    first, last = ranges[0][0], ranges[-1][1] - 1
    byte = bytearray(1)
    missing = 0
    for k in range(_PROBES):
        try:
            os.preadv(fd, [byte], first + (last - first) * k // (_PROBES - 1), flag)
        except BlockingIOError:
            missing += 1
        except OSError:
            return True
    return missing <= _PROBES // 2
