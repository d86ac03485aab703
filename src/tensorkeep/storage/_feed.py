"""Lay the segments of a plan end to end into blocks of memory, checksummed there, for whoever writes the blocks.

Every byte is copied once, and the copy is what is hashed and written: an array that another thread changes meanwhile can
give a mixture of old and new values, never a file whose checksums do not fit.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate, pairwise, repeat
from typing import Any, Protocol

from tensorkeep.core.dtypes import dtype_of_numpy
from tensorkeep.core.hashing import XXH3_128, Digest, digest_of, new_hasher
from tensorkeep.core.plan import Deferred, Segment, TensorSegment

__all__ = ["Later", "Sink", "feed", "segment_sizes"]

SMALL_NBYTES = 16 << 10
"""Tensors up to this size are joined: a loop over 10,000 of them costs more than their bytes."""

PASS_NBYTES = 512 << 10
"""Copied and then hashed at once, so that the hash reads from the processor's cache."""

_BIG_ENDIAN = sys.byteorder == "big"

Later = list[tuple[int, Deferred]]
"""Offsets of segments that can be made only when all checksums are known."""


class Sink(Protocol):
    """Where blocks go."""

    def take(self) -> memoryview:
        """Memory for the next block; all blocks have one size."""

    def give(self, nbytes: int, offset: int) -> None:
        """The block taken last is filled: its first `nbytes` belong at `offset`."""


def segment_sizes(segments: Sequence[Segment]) -> list[int]:
    """The length of each segment."""
    import numpy as np

    ndarray = np.ndarray
    sizes = []
    for segment in segments:
        if type(segment) is TensorSegment:
            tensor = segment.tensor
            array = tensor._array
            # The array's own field costs a tenth of multiplying the shape out.
            sizes.append(array.nbytes if type(array) is ndarray and tensor.dtype.bits >= 8 else tensor.nbytes)
        else:
            sizes.append(len(segment) if isinstance(segment, bytes) else segment.nbytes)
    return sizes


def feed(
    segments: list[Segment], sizes: Sequence[int], checksum: str | None, sink: Sink
) -> tuple[dict[str, Digest], Later]:
    """Give all segments to `sink` in order; the checksums, and the Deferred segments, in whose places are zeros."""
    digests: dict[str, Digest] = {}
    later: Later = []
    blocks = _Blocks(sink)
    ends = list(accumulate(sizes))
    whole = [k for k, s in enumerate(segments) if sizes[k] > SMALL_NBYTES or type(s) is not TensorSegment]
    first = 0
    for k in [*whole, len(segments)]:
        while first < k:  # small tensors, as many as fit into the block
            before = ends[first] - sizes[first]
            last = bisect_right(ends, before + blocks.room, first, k)
            run: list[TensorSegment] = segments[first : max(last, first + 1)]  # type: ignore[assignment]  # see `whole`
            if last > first:
                blocks.add_small(run, sizes[first:last], checksum, digests)
            else:
                blocks.add_tensor(run[0], checksum, digests)
            first += len(run)
        first = k + 1
        if k == len(segments):
            break
        segment = segments[k]
        if type(segment) is TensorSegment:
            blocks.add_tensor(segment, checksum, digests)
        elif type(segment) is Deferred:
            later.append((blocks.offset, segment))
            for start in range(0, segment.nbytes, PASS_NBYTES):
                blocks.add(bytes(min(PASS_NBYTES, segment.nbytes - start)))
        else:
            assert isinstance(segment, bytes)
            blocks.add(segment)
    blocks.close()
    return digests, later


def _joined(arrays: list[Any]) -> bytes | None:
    """The bytes of the arrays as a file has them; None unless that is just their memory, one after the other."""
    import numpy as np

    if set(map(type, arrays)) != {np.ndarray}:
        return None
    opaque = False
    for dtype in {array.dtype for array in arrays}:
        known = dtype_of_numpy(dtype)
        if known is None or known.packed or (dtype.itemsize > 1 and dtype.isnative == _BIG_ENDIAN):
            return None
        opaque |= dtype.kind == "V"
    if opaque:  # ml_dtypes' types have no buffer format: join would refuse them
        arrays = [a.reshape(-1).view(np.uint8) if a.dtype.kind == "V" and a.flags.c_contiguous else a for a in arrays]
    try:
        return b"".join(arrays)
    except (BufferError, TypeError, ValueError):  # one is not contiguous
        return None


class _Blocks:
    """The block that is being filled."""

    __slots__ = ("base", "block", "filled", "sink")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.block = sink.take()
        self.filled = 0
        self.base = 0

    @property
    def offset(self) -> int:
        return self.base + self.filled

    @property
    def room(self) -> int:
        if self.filled == len(self.block):
            self._next()
        return len(self.block) - self.filled

    def _next(self) -> None:
        self.sink.give(self.filled, self.base)
        self.base += self.filled
        self.filled = 0
        self.block = self.sink.take()

    def add(self, data: bytes) -> None:
        for _ in self.copied(data):
            pass

    def copied(self, data: Any) -> Iterator[memoryview]:
        """Append bytes; gives them where they lie now, a piece at a time."""
        import numpy as np

        source = np.frombuffer(data, np.uint8)
        done = 0
        while done < len(source):
            size = min(self.room, len(source) - done, PASS_NBYTES)
            place = self.block[self.filled : self.filled + size]
            # NumPy copies without the interpreter lock: the training loop beside a background save goes on.
            np.copyto(np.frombuffer(place, np.uint8), source[done : done + size])
            done += size
            self.filled += size
            yield place

    def add_tensor(self, segment: TensorSegment, checksum: str | None, digests: dict[str, Digest]) -> None:
        hasher = None if checksum is None else new_hasher(checksum)
        for piece in segment.tensor.blocks():
            for place in self.copied(piece):
                if hasher is not None:
                    hasher.update(place)
        if hasher is not None and checksum is not None:
            digests[segment.name] = Digest(checksum, hasher.hexdigest())

    def add_small(
        self, segments: Sequence[TensorSegment], sizes: Sequence[int], checksum: str | None, digests: dict[str, Digest]
    ) -> None:
        """Append tensors that fit into the block together."""
        data = _joined([segment.tensor._array for segment in segments])
        if data is None:
            for segment in segments:
                self.add_tensor(segment, checksum, digests)
            return
        start = self.filled
        self.filled += len(data)
        self.block[start : self.filled] = data
        if checksum is None:
            return
        pieces = [self.block[a:b] for a, b in pairwise(accumulate(sizes, initial=start))]
        names = [segment.name for segment in segments]
        if checksum == XXH3_128:
            from xxhash import xxh3_128_hexdigest

            # As Digest(checksum, value) makes them, at a quarter of its cost.
            make: Any = partial(tuple.__new__, Digest)
            digests.update(zip(names, map(make, zip(repeat(checksum), map(xxh3_128_hexdigest, pieces))), strict=True))
        else:
            digests.update({name: digest_of(piece, checksum) for name, piece in zip(names, pieces, strict=True)})

    def close(self) -> None:
        if self.filled:
            self.sink.give(self.filled, self.base)
