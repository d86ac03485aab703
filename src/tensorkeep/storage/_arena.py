"""Read ranges of a file into arenas, by several threads, and checksum them on the way.

The plan is made before anything is read: ranges that lie close together share an arena, whose memory is an image of its
part of the file; blocks of it are what the threads take. A block holds whole small tensors or a part of a large one. The
parts of a large tensor are checksummed in order by whichever thread has just read the next one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import sub
from typing import Any, NamedTuple

from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.hashing import XXH3_128, Digest, Hasher, digest_of, new_hasher
from tensorkeep.core.progress import advance
from tensorkeep.errors import LimitError
from tensorkeep.storage._direct import ALIGN, aligned_memory, direct_is_known, join_all, open_direct, round_up, threads

__all__ = ["Arena", "Ranges", "fill", "is_cached"]

ARENA_NBYTES = 32 << 20
"""The most that small tensors share: keeping one of them keeps no more than this."""

OWN_NBYTES = 4 << 20
"""A tensor from this size on has an arena of its own."""

GAP_NBYTES = 64 << 10
"""Bytes between two tensors that are read along rather than begin another read."""

BLOCK_NBYTES = 4 << 20
"""What a thread reads at once: smaller blocks make the threads wait for each other more often."""

MAP_FROM_NBYTES = 1 << 20
"""Below this an arena is an ordinary allocation: mapping and unmapping would cost more than the read."""

THREADS_FROM_NBYTES = 16 << 20
"""Below this, starting threads costs more than it gains."""

DIRECT_FROM_NBYTES = 8 << 20
"""Below this a file that is not cached is read through the cache."""

_CACHED_THREADS = 4  # beyond that the memory is the limit
_DISK_THREADS = 4
_PROBES = 8


class Ranges(NamedTuple):
    """Parts of a file that hold a tensor each, by column, in the file's order; they do not overlap.

    10,000 of them are grouped in 2 ms where a loop over records took 5.
    """

    starts: Sequence[int]
    ends: Sequence[int]
    numbers: Sequence[int]


class Arena:
    """An image of a part of a file in memory of its own.

    Attributes:
        first, last: which of the Ranges are in it (`last` no more).
        memory: what arrays are made of; `view` is the same as a memoryview.
        shift: where a byte of the file lies in the memory, less its offset in the file.
    """

    __slots__ = ("first", "last", "memory", "shift", "view")

    def __init__(self, first: int, last: int, start: int, end: int) -> None:
        self.first = first
        self.last = last
        base = start % ALIGN  # in step with the file, for direct reads and for the tensors' alignment
        self.shift = base - start
        size = round_up(base + end - start, ALIGN)
        self.memory = _memory(size)
        self.view = memoryview(self.memory)

    def move(self, at: int, to: int, nbytes: int) -> None:
        """Move bytes down inside the memory."""
        self.view[to : to + nbytes] = self.view[at : at + nbytes]

    def copy_of(self, at: int, nbytes: int) -> Any:
        """A copy of some of the bytes, in memory of its own."""
        import numpy as np

        return np.frombuffer(self.view[at : at + nbytes], np.uint8).copy()


def _memory(nbytes: int) -> Any:
    if nbytes >= MAP_FROM_NBYTES:
        try:
            return aligned_memory(nbytes)
        except (MemoryError, OSError, OverflowError) as err:
            raise LimitError(
                f"{nbytes} bytes of memory are needed for the tensors, and the system does not give them ({err}). "
                "Load some with only=, or use tensorkeep.open, which reads what is asked for."
            ) from err
    import numpy as np

    # NumPy's own allocations are aligned to 16 bytes, which is enough: only mapped arenas are read directly.
    return np.empty(nbytes, np.uint8)


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


class _Block(NamedTuple):
    """Bytes that one thread reads at once: the Ranges from `first` to before `last`, or a part of one (`chain`)."""

    arena: Arena
    start: int
    end: int
    first: int
    last: int
    chain: _Chain | None = None
    position: int = 0


def fill(
    source: FileSource,
    ranges: Ranges,
    digests: Sequence[Digest | None] | None,
    damaged: list[tuple[int, Digest]],
) -> list[Arena]:
    """The arenas that hold all `ranges`, read.

    Args:
        digests: expected of each tensor, by number; None to check nothing.
        damaged: gets the number and actual digest of each tensor whose bytes give another one.
    Raises:
        TruncatedFileError: the file is shorter than its ranges, or was cut since it was opened.
        OSError: the system cannot read it.
    """
    source.check(ranges.starts[0], ranges.ends[-1] - ranges.starts[0])
    fd = source.fileno()
    sizes = list(map(sub, ranges.ends, ranges.starts))
    total = sum(sizes)
    direct = None
    if total >= DIRECT_FROM_NBYTES and not is_cached(source, ranges.starts[0], ranges.ends[-1]) and direct_is_known(fd):
        direct = open_direct(fd, os.O_RDONLY)
    arenas = _arenas(ranges, sizes)
    blocks = deque(_blocks(arenas, ranges, digests))
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
                    _check(block, data, ranges, digests, damaged)
                advance(len(data))
        except BaseException as err:  # noqa: BLE001  # handed to the thread that waits
            failures.append(err)

    many = _DISK_THREADS if direct is not None else threads(_CACHED_THREADS)
    helpers = [threading.Thread(target=work) for _ in range(min(many, len(blocks)) - 1)]
    if total < THREADS_FROM_NBYTES:
        helpers = []
    started = []
    try:
        with contextlib.suppress(RuntimeError):  # the limit of threads is reached: fewer do the work
            for helper in helpers:
                helper.start()
                started.append(helper)
        work()
    finally:
        blocks.clear()  # on an interrupt the others stop after their block
        interrupt = join_all(started)
        if direct is not None:
            os.close(direct)
    if interrupt is not None:
        raise interrupt
    if failures:
        raise failures[0]
    return arenas


def _arenas(ranges: Ranges, sizes: list[int]) -> list[Arena]:
    """Large tensors by themselves, neighbours together."""
    starts, ends, _ = ranges
    count = len(starts)
    cuts = {k for k, size in enumerate(sizes) if size >= OWN_NBYTES}
    cuts |= {k + 1 for k in cuts}
    cuts |= {k for k, (start, end) in enumerate(zip(starts[1:], ends, strict=False), 1) if start - end > GAP_NBYTES}
    arenas = []
    first = 0
    for cut in [*sorted(cuts - {0, count}), count]:
        while first < cut:
            last = max(first + 1, bisect_right(ends, starts[first] + ARENA_NBYTES, first, cut))
            arenas.append(Arena(first, last, starts[first], ends[last - 1]))
            first = last
    return arenas


def _blocks(arenas: list[Arena], ranges: Ranges, digests: Sequence[Digest | None] | None) -> Iterator[_Block]:
    starts, ends, numbers = ranges
    for arena in arenas:
        first = arena.first
        while first < arena.last:
            start = starts[first]
            last = bisect_right(ends, start + BLOCK_NBYTES, first, arena.last)
            if last > first:
                yield _Block(arena, start, ends[last - 1], first, last)
            else:
                last, end, i = first + 1, ends[first], numbers[first]
                # Cut at aligned places, so that direct reads need not overlap.
                cuts = [start, *range(start // ALIGN * ALIGN + BLOCK_NBYTES, end, BLOCK_NBYTES), end]
                wanted = digests[i] if digests is not None else None
                chain = None if wanted is None else _Chain(i, new_hasher(wanted.algorithm), len(cuts) - 1)
                for position, (at, stop) in enumerate(pairwise(cuts)):
                    yield _Block(arena, at, stop, first, first, chain, position)
            first = last


def _read(source: FileSource, fd: int, direct: int | None, block: _Block) -> memoryview:
    """Read a block into its arena; the memory."""
    view = block.arena.view
    at = block.start + block.arena.shift
    data = view[at : at + block.end - block.start]
    done = 0
    if direct is not None:
        # Rounded outwards: neighbours may read the same edge, but what they write there are the same bytes.
        before = block.start % ALIGN
        whole = view[at - before : round_up(at + len(data), ALIGN)]
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
    block: _Block,
    data: memoryview,
    ranges: Ranges,
    digests: Sequence[Digest | None],
    damaged: list[tuple[int, Digest]],
) -> None:
    chain = block.chain
    if chain is not None:
        if chain.add(block.position, data):
            wanted = digests[chain.number]
            assert wanted is not None
            got = Digest(wanted.algorithm, chain.hasher.hexdigest())
            if got != wanted:
                damaged.append((chain.number, got))
        return
    origin = block.start
    starts, ends, numbers = (column[block.first : block.last] for column in ranges)
    pieces = [data[start - origin : end - origin] for start, end in zip(starts, ends, strict=True)]
    expected = [digests[i] for i in numbers]
    if {digest and digest[0] for digest in expected} == {XXH3_128}:
        from xxhash import xxh3_128_hexdigest

        # The usual case at the speed of C: all are there and all are good.
        values = list(map(xxh3_128_hexdigest, pieces))
        if values == [digest and digest[1] for digest in expected]:
            return
    for piece, digest, i in zip(pieces, expected, numbers, strict=True):
        if digest is not None and (other := digest_of(piece, digest.algorithm)) != digest:
            damaged.append((i, other))


def is_cached(source: FileSource, start: int, end: int) -> bool:
    """Whether most of a few bytes between lie in the page cache; True as well where the system cannot tell."""
    flag = getattr(os, "RWF_NOWAIT", None)
    if flag is None:
        return True
    fd = source.fileno()
    byte = bytearray(1)
    missing = 0
    for k in range(_PROBES):
        try:
            os.preadv(fd, [byte], start + (end - 1 - start) * k // (_PROBES - 1), flag)
        except BlockingIOError:
            missing += 1
        except OSError:
            return True
    return missing <= _PROBES // 2
