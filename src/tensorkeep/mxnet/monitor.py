"""Monitor: statistics of the outputs, parameters and gradients of executors while they run."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from math import sqrt
from typing import Any

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["Monitor"]


def _mean_norm(array: Any) -> Any:
    return nd.norm(array) / sqrt(array.size)


class Monitor:
    """Applies a statistic to every array whose name fits a pattern, in every `interval`-th batch.

    Args:
        stat_func: an array → an array or a list of them; by default its norm divided by the root of its size.
        pattern: a regular expression, which the beginning of a name must fit.
        sort: whether toc() sorts by name.
        monitor_all: whether the inputs of operators are looked at besides their outputs.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable[[Any], Any] | None = None,
        pattern: str = ".*",
        sort: bool = False,
        monitor_all: bool = False,
    ) -> None:
        self.interval = interval
        self.stat_func = stat_func or _mean_norm
        self.re_prog = re.compile(pattern)
        self.sort = sort
        self.monitor_all = monitor_all
        self.activated = False
        self.step = 0
        self.queue: list[tuple[int, str, Any]] = []
        self.exes: list[Any] = []

    def stat_helper(self, name: str | bytes, array: Any) -> None:
        """What executors call: notes the statistic of an array."""
        name = name.decode() if isinstance(name, bytes) else name
        if self.activated and self.re_prog.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def install(self, exe: Any) -> None:
        """Watch an executor."""
        exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.exes.append(exe)

    def tic(self) -> None:
        """Call it before forward()."""
        if self.step % self.interval == 0:
            self.queue = []
            self.activated = True
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """Call it after forward() or backward(): (step, name, statistic as text); nothing between the intervals."""
        if not self.activated:
            return []
        for exe in self.exes:
            pairs = [
                *zip(exe._symbol.list_arguments(), exe.arg_arrays, strict=True),
                *zip(exe._symbol.list_auxiliary_states(), exe.aux_arrays, strict=True),
            ]
            for name, array in pairs:
                self.stat_helper(name, array)
        self.activated = False
        if self.sort:
            self.queue.sort(key=lambda item: item[1])
        found = [(step, name, _shown(value)) for step, name, value in self.queue]
        self.queue = []
        return found

    def toc_print(self) -> None:
        """toc(), logged."""
        for step, name, text in self.toc():
            logging.info(f"Batch: {step:7d} {name:30s} {text:s}")


def _shown(value: Any) -> str:
    values = [value] if isinstance(value, NDArray) else value
    assert isinstance(values, list)
    text = ""
    for array in values:
        assert isinstance(array, NDArray)
        text += f"{array.asscalar() if array.shape == (1,) else array.asnumpy()}\t"
    return text


claim(globals())
