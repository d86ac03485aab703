"""Symbols of arrays made from nothing, and functions that take symbols or numbers."""

from __future__ import annotations

from collections.abc import Callable
from math import hypot as _hypot
from numbers import Number
from typing import Any

import numpy as np

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.symbol.register import call
from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = [
    "arange", "eye", "full", "histogram", "hypot", "linspace", "maximum", "minimum", "ones", "pow", "power", "split_v2",
    "zeros",
]  # fmt: skip


def _dtype(dtype: Any) -> Any:
    return np.float32 if dtype is None else dtype


def zeros(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """A symbol of zeros; a dimension 0 follows from the network."""
    return call("_zeros", shape=shape, dtype=_dtype(dtype), **kwargs)


def ones(shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """A symbol of ones."""
    return call("_ones", shape=shape, dtype=_dtype(dtype), **kwargs)


def full(shape: Any, val: float, dtype: Any = None, **kwargs: Any) -> Any:
    """A symbol of one value everywhere."""
    return call("_full", shape=shape, dtype=_dtype(dtype), value=float(val), **kwargs)


def eye(N: int, M: int = 0, k: int = 0, dtype: Any = None, **kwargs: Any) -> Any:
    """A symbol of an N × M matrix with ones on the k-th diagonal; M=0 stands for N."""
    return call("_eye", N, M, k, dtype=_dtype(dtype), **kwargs)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    name: str | None = None,
    dtype: Any = None,
) -> Any:
    """A symbol of start, start + step … below stop, each `repeat` times; from 0 to start when stop is None."""
    return call(
        "_arange", start=start, stop=stop, step=step, repeat=repeat, infer_range=infer_range, name=name,
        dtype=_dtype(dtype),
    )  # fmt: skip


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, name: str | None = None, dtype: Any = None
) -> Any:
    """A symbol of `num` values at equal distances from start to stop."""
    return call("_linspace", start=start, stop=stop, num=num, endpoint=endpoint, name=name, dtype=_dtype(dtype))


def histogram(a: Symbol, bins: Any = 10, range: tuple[float, float] | None = None, **kwargs: Any) -> Any:
    """Counts and bin edges: `bins` is a symbol of edges, or their number within `range`."""
    if isinstance(bins, Symbol):
        return call("_histogram", data=a, bins=bins, **kwargs)
    if isinstance(bins, (int, np.integer)):
        if range is None:
            raise ValueError("null range is not supported in symbol mode")
        return call("_histogram", data=a, bin_cnt=bins, range=range, **kwargs)
    raise ValueError("bins argument should be either an integer or an NDArray")


def split_v2(ary: Symbol, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
    """Parts of a symbol along an axis: so many equal ones, or cut before the given positions."""
    if isinstance(indices_or_sections, int):
        indices, sections = [], indices_or_sections
    elif isinstance(indices_or_sections, tuple):
        indices, sections = [0, *indices_or_sections], 0
    else:
        raise ValueError("indices_or_sections must either int or tuple of ints")
    return call("_split_v2", ary, indices, axis, squeeze_axis, sections)


def _two(
    name: str, symbols: str, scalar: str, reflected: str, numbers: Callable[[Any, Any], Any], doc: str
) -> Callable[[Any, Any], Any]:
    def function(left: Any, right: Any) -> Any:
        a, b = isinstance(left, Symbol), isinstance(right, Symbol)
        if a and b:
            return call(symbols, left, right)
        if a and isinstance(right, Number):
            return call(scalar, left, scalar=right)
        if b and isinstance(left, Number):
            return call(reflected, right, scalar=left)
        if isinstance(left, Number) and isinstance(right, Number):
            return numbers(left, right)
        raise TypeError(f"types ({type(left)}, {type(right)}) not supported")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


pow = _two("pow", "_Power", "_PowerScalar", "_RPowerScalar", lambda a, b: a**b, "base to the power exp, elementwise.")
power = pow
maximum = _two(
    "maximum",
    "_Maximum",
    "_MaximumScalar",
    "_MaximumScalar",
    lambda a, b: a if a > b else b,
    "The larger, elementwise.",
)
minimum = _two(
    "minimum",
    "_Minimum",
    "_MinimumScalar",
    "_MinimumScalar",
    lambda a, b: a if a < b else b,
    "The smaller, elementwise.",
)
hypot = _two("hypot", "_Hypot", "_HypotScalar", "_HypotScalar", _hypot, "The hypotenuse over two sides, elementwise.")

claim(globals())
