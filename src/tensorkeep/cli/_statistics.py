"""Minimum, maximum, mean, deviation, NaN, infinities, zeros and histogram of a tensor, block by block.

Two passes over the bytes (the histogram needs the range first); never more than a block of them is held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tensorkeep.cli._text import count, number
from tensorkeep.core.progress import advance
from tensorkeep.core.tensor import Tensor, unpack

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Statistics", "comparable", "statistics"]

_BLOCK_NBYTES = 4 << 20
_FEW_VALUES = 16
"""Whole numbers that take at most so many values get a row of the histogram each."""


@dataclass(slots=True)
class Statistics:
    """What is known of a tensor's values. Minimum to deviation are of the finite ones; of complex numbers, of |z|.

    Attributes:
        kind: "bool", "int", "uint", "float" or "complex".
        size: how many values there are.
        histogram: (label, how many) rows from the smallest value up.
        edges: the borders of the rows where they are ranges.
    """

    kind: str
    size: int
    finite: int = 0
    minimum: float | int = 0
    maximum: float | int = 0
    mean: float = 0.0
    deviation: float = 0.0
    nan: int = 0
    infinite: int = 0
    zeros: int = 0
    histogram: list[tuple[str, int]] = field(default_factory=list)
    edges: list[float] = field(default_factory=list)
    known: bool = True

    def pairs(self) -> list[tuple[str, str]]:
        """(label, text) pairs for people."""
        if not self.size or not self.known:
            return []
        share = 100 * self.zeros / self.size
        zeros = count(self.zeros) + (f" ({share:.3g} %)" if self.zeros else "")
        if self.kind == "bool":
            return [("true", count(self.size - self.zeros)), ("false", zeros)]
        left, right = [], []
        if self.finite:
            of = " |z|" if self.kind == "complex" else ""
            left = [("min" + of, number(self.minimum)), ("max" + of, number(self.maximum))]
            right = [("mean" + of, number(self.mean)), ("std" + of, number(self.deviation))]
        left.append(("zeros", zeros))
        if self.kind in ("float", "complex"):
            right.append(("NaN, inf", f"{count(self.nan)}, {count(self.infinite)}"))
        return left + right

    def document(self) -> dict[str, Any]:
        """The same for programs; None where there is no such number."""
        some = self.finite > 0

        def plain(value: float | int) -> Any:
            return value if some and (isinstance(value, int) or math.isfinite(value)) else None

        return {
            "size": self.size,
            "min": plain(self.minimum),
            "max": plain(self.maximum),
            "mean": plain(self.mean),
            "std": plain(self.deviation),
            "zeros": self.zeros,
            "nan": self.nan,
            "inf": self.infinite,
            "histogram": {
                "rows": [{"label": label, "count": many} for label, many in self.histogram],
                "edges": self.edges or None,
            },
        }


def statistics(tensor: Tensor, bins: int) -> Statistics:
    """The Statistics of a tensor, with a histogram of `bins` rows."""
    import numpy as np

    result = Statistics(tensor.dtype.kind, tensor.size)
    if tensor.dtype.bits == 6:
        result.known = False
        return result
    with np.errstate(all="ignore"):
        _first_pass(tensor, result)
        if result.finite:
            _histogram(tensor, result, bins)
    return result


def _arrays(tensor: Tensor) -> Iterator[np.ndarray[Any, Any]]:
    """The values in flat pieces, of a type that NumPy calculates with."""
    import numpy as np

    from tensorkeep.core.dtypes import numpy_dtype

    dtype = numpy_dtype(tensor.dtype)
    left = tensor.size
    size = _BLOCK_NBYTES // 16 * 16
    held = b""
    for block in tensor.blocks(size):
        raw = np.frombuffer(block, np.uint8)
        advance(raw.size)
        if tensor.dtype.packed:
            many = min(left, raw.size * 8 // tensor.dtype.bits)
            array = unpack(raw, (many,), tensor.dtype)
        else:
            whole = len(held) + raw.size
            if held or whole % dtype.itemsize:  # a block that ends inside an element: keep its rest for the next
                joined = held + bytes(block)
                cut = len(joined) // dtype.itemsize * dtype.itemsize
                raw, held = np.frombuffer(joined[:cut], np.uint8), joined[cut:]
            array = raw.view(dtype.newbyteorder("<") if dtype.kind in "iufc" else dtype)
        left -= array.size
        yield comparable(array)


def comparable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values in a type that NumPy itself has: ml_dtypes' floats as float32, its small integers as int8."""
    import numpy as np

    name = array.dtype.name
    if array.dtype.kind in "biufc" and name in _NUMPY:
        return array
    if name.startswith(("int", "uint")):
        return array.astype(np.int8)
    return array.astype(np.float32)


_WHOLE = frozenset(["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
_NUMPY = _WHOLE | {"float16", "float32", "float64", "complex64", "complex128"}


def _first_pass(tensor: Tensor, result: Statistics) -> None:
    import numpy as np

    lowest: float | int | None = None
    highest: float | int | None = None
    mean, square, many = 0.0, 0.0, 0
    for block in _arrays(tensor):
        result.zeros += int(block.size - np.count_nonzero(block))
        values = block
        if block.dtype.kind in "fc":
            finite = np.isfinite(block)
            if not finite.all():
                result.nan += int(np.count_nonzero(np.isnan(block)))
                values = block[finite]
        if not values.size:
            continue
        if values.dtype.kind == "c":
            values = np.abs(values.astype(np.complex128))
        low, high = values.min().item(), values.max().item()
        lowest = low if lowest is None else min(lowest, low)
        highest = high if highest is None else max(highest, high)
        wide = values.astype(np.float64)
        own = float(wide.mean())
        wide -= own
        # Chan, Golub, LeVeque: the sums of two parts join without losing digits to a large mean.
        total = many + values.size
        gap = own - mean
        square += float(np.dot(wide, wide)) + gap * gap * many * values.size / total
        mean += gap * values.size / total
        many = total
    result.finite = many
    result.infinite = result.size - result.nan - many if result.kind in ("float", "complex") else 0
    if lowest is not None and highest is not None:
        result.minimum, result.maximum = lowest, highest
        result.mean, result.deviation = mean, math.sqrt(square / many) if square >= 0 else math.nan


def _histogram(tensor: Tensor, result: Statistics, bins: int) -> None:
    import numpy as np

    low, high = result.minimum, result.maximum
    if result.kind == "bool":
        result.histogram = [("false", result.zeros), ("true", result.size - result.zeros)]
        return
    if low == high or not math.isfinite(float(high) - float(low)):
        return
    if result.kind in ("int", "uint") and int(high) - int(low) < _FEW_VALUES:
        counts = np.zeros(int(high) - int(low) + 1, np.int64)
        for block in _arrays(tensor):
            offsets = (block.astype(np.object_) - int(low)).astype(np.int64) if block.dtype.itemsize == 8 else None
            offsets = block.astype(np.int64) - int(low) if offsets is None else offsets
            counts += np.bincount(offsets, minlength=counts.size)
        result.histogram = [(str(int(low) + i), int(many)) for i, many in enumerate(counts)]
        return
    edges = np.linspace(float(low), float(high), bins + 1)
    if not np.all(np.diff(edges) > 0):  # the values lie closer together than float64 can part
        return
    counts = np.zeros(bins, np.int64)
    for block in _arrays(tensor):
        values = np.abs(block.astype(np.complex128)) if block.dtype.kind == "c" else block.astype(np.float64)
        values = values[np.isfinite(values)]
        counts += np.histogram(values, bins, (edges[0], edges[-1]))[0]
    result.edges = [float(edge) for edge in edges]
    result.histogram = [
        (f"{_edge(edges[i], edges)} to {_edge(edges[i + 1], edges)}", int(many)) for i, many in enumerate(counts)
    ]


def _edge(value: float, edges: Any) -> str:
    """A border with as many digits as the width of the rows needs."""
    step = abs(float(edges[1] - edges[0]))
    largest = max(abs(float(edges[0])), abs(float(edges[-1])))
    if 1e-4 <= largest < 1e7:
        digits = max(0, min(12, 1 - math.floor(math.log10(step))))
        text = f"{value:.{digits}f}"
        return text.replace("-", "", 1) if float(text) == 0 else text
    return f"{value:.3g}"
