"""The functions of mx.np that have no operator: NumPy computes them on the values; they cannot be recorded.

MXNet 1.9.1 takes them from the NumPy of its time. Those that NumPy has dropped since, or renamed, are made here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as onp

from tensorkeep.mxnet._state import state

_NAMES = (
    "allclose apply_along_axis apply_over_axes argpartition argwhere array_equal array_equiv choose compress corrcoef "
    "correlate count_nonzero cov digitize divmod extract flatnonzero float_power frexp heaviside histogram2d "
    "histogram_bin_edges histogramdd i0 interp intersect1d isclose isin ix_ lexsort min_scalar_type modf nanargmax "
    "nanargmin nancumprod nancumsum nanmax nanmedian nanmin nanprod "
    "ndim partition packbits piecewise poly polyadd polydiv polyfit polyint polymul polysub positive promote_types ptp "
    "real result_type rollaxis roots searchsorted select setdiff1d setxor1d signbit size spacing take_along_axis "
    "tril_indices_from trim_zeros triu_indices_from union1d unpackbits unwrap vander"
)


def to_onp(value: Any) -> tuple[Any, Any]:
    """(the value with NumPy arrays in the place of mx.np's, the context of the first of them).

    Raises:
        ValueError: the arrays lie on different devices.
    """
    from tensorkeep.mxnet.numpy.multiarray import ndarray

    if isinstance(value, ndarray):
        return value.asnumpy(), value.ctx
    if not isinstance(value, (list, tuple)):
        return value, None
    context = None
    items = []
    for item in value:
        converted, found = to_onp(item)
        items.append(converted)
        context = context or found
        if found is not None and found != context:
            raise ValueError(
                "Ambiguous to set the context for the output ndarray since input ndarrays are allocated on different "
                f"devices: {context} and {found}"
            )
    return type(value)(items), context


def to_mx(value: Any, ctx: Any) -> Any:
    """What NumPy gave, with mx.np's arrays in the place of NumPy's; numbers stay numbers.

    Raises:
        TypeError: it is something that MXNet does not convert.
    """
    from tensorkeep.mxnet.numpy.multiarray import array

    if isinstance(value, (onp.ndarray, onp.bool_)):
        return array(value, dtype=value.dtype, ctx=ctx)
    if isinstance(value, (int, float, onp.generic)):
        return value
    if isinstance(value, (list, tuple)):
        items = [to_mx(item, ctx) for item in value]
        return tuple(items) if hasattr(value, "_fields") else type(value)(items)
    raise TypeError(f"Does not support converting {type(value)} to mx.np.ndarray.")


def compute(function: Callable[..., Any], name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy on mx.np's arrays.

    Raises:
        ValueError: inside `autograd.record()`: it would have no gradient.
    """
    plain, ctx = to_onp(tuple(args))
    options = {}
    for key, value in kwargs.items():
        options[key], found = to_onp(value)
        ctx = ctx or found
    if ctx is None:
        return function(*plain, **options)
    if state.recording:
        raise ValueError(
            f"Falling back to NumPy operator {name} with autograd active is not supported.Please consider moving the "
            "operator to the outside of the autograd scope.')"
        )
    return to_mx(function(*plain, **options), ctx)


def _fallback(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def on_values(*args: Any, **kwargs: Any) -> Any:
        return compute(function, name, args, kwargs)

    on_values.__name__ = on_values.__qualname__ = name
    on_values.__doc__ = f"NumPy's {name}, computed on the values; it has no gradient."
    on_values.__wrapped__ = function  # type: ignore[attr-defined]  # help() shows NumPy's signature
    return on_values


def _in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each element of the flat ar1 is in ar2."""
    return onp.isin(onp.ravel(ar1), ar2, assume_unique=assume_unique, invert=invert)


def _msort(a: Any) -> Any:
    """A copy sorted along the first axis."""
    return onp.sort(a, axis=0)


def _alltrue(*args: Any, **kwargs: Any) -> Any:
    """Whether all elements are true."""
    return onp.all(*args, **kwargs)


def _trapz(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral by the trapezoidal rule."""
    return onp.trapezoid(y, x, dx, axis)


def _interpolating(name: str) -> Callable[..., Any]:
    """nanpercentile or nanquantile with the keyword that NumPy has renamed to `method`."""
    function = getattr(onp, name)

    def renamed(*args: Any, interpolation: str | None = None, **kwargs: Any) -> Any:
        return function(*args, **kwargs) if interpolation is None else function(*args, method=interpolation, **kwargs)

    return renamed


_REPLACED: dict[str, Callable[..., Any]] = {"alltrue": _alltrue, "in1d": _in1d, "msort": _msort, "trapz": _trapz,
             **{name: _interpolating(name) for name in ("nanpercentile", "nanquantile")}}  # fmt: skip

_FINANCIAL = ("mirr", "npv", "ppmt", "pv", "rate")
"""NumPy dropped them in 1.20; MXNet lists them, and beside such a NumPy they only raise."""


def _financial(name: str) -> Callable[..., Any]:
    def dropped(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            f"In accordance with NEP 32, the function {name} was removed from NumPy version 1.20.  A replacement for "
            "this function is available in the numpy_financial library: https://pypi.org/project/numpy-financial"
        )

    dropped.__name__ = dropped.__qualname__ = name
    dropped.__doc__ = f"{name} has left NumPy; it raises RuntimeError and says where it is."
    return dropped


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _fallback(name, getattr(onp, name)) for name in _NAMES.split()},
    **{name: _fallback(name, function) for name, function in _REPLACED.items()},
    **{name: _financial(name) for name in _FINANCIAL},
}
"""Name → function."""

__all__: list[str] = []
__all__ += [*FUNCTIONS]  # noqa: PLE0604 - names of the table
globals().update(FUNCTIONS)
