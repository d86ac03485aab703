"""A sampler that takes every n-th example."""

from __future__ import annotations

from collections.abc import Iterator

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.data.sampler import Sampler

__all__ = ["IntervalSampler"]


class IntervalSampler(Sampler):
    """0, interval, 2 · interval, …; then, with `rollover`, 1, interval + 1, … until all were taken."""

    def __init__(self, length: int, interval: int, rollover: bool = True) -> None:
        assert interval <= length, f"Interval {interval} must be smaller than or equal to length {length}"
        self._length = length
        self._interval = interval
        self._rollover = rollover

    def __iter__(self) -> Iterator[int]:
        for start in range(self._interval if self._rollover else 1):
            yield from range(start, self._length, self._interval)

    def __len__(self) -> int:
        return self._length


claim(globals())
