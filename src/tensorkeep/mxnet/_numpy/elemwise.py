"""Element by element: arithmetic, comparisons, functions of one array. Made from two tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as onp

from tensorkeep.mxnet._numpy.face import NUMBERS, Face, unsupported
from tensorkeep.mxnet.util import refuse_ufunc_options

__all__ = ["BINARY", "UNARY", "Elementwise"]

_SAME_NAME = (
    "absolute arccos arccosh arcsin arcsinh arctan arctanh bitwise_not cbrt ceil cos cosh degrees exp expm1 fix floor "
    "isfinite isinf isnan isneginf isposinf log log10 log1p log2 logical_not negative radians reciprocal rint sign sin "
    "sinh sqrt square tan tanh trunc"
)
UNARY: dict[str, str] = {
    **{name: name for name in _SAME_NAME.split()},
    "abs": "abs", "fabs": "abs", "deg2rad": "radians", "rad2deg": "degrees", "invert": "bitwise_not",
}  # fmt: skip
"""Function → the operator behind it, without `_npi_`."""

_TESTS = frozenset({"isfinite", "isinf", "isnan", "isneginf", "isposinf", "logical_not"})
"""Functions whose results are bools."""

BINARY: dict[str, tuple[str, str]] = {
    "add": ("add", ""), "subtract": ("subtract", "rsubtract"), "multiply": ("multiply", ""),
    "divide": ("true_divide", "rtrue_divide"), "true_divide": ("true_divide", "rtrue_divide"),
    "mod": ("mod", "rmod"), "remainder": ("mod", "rmod"), "power": ("power", "rpower"),
    "maximum": ("maximum", ""), "minimum": ("minimum", ""), "copysign": ("copysign", "rcopysign"),
    "arctan2": ("arctan2", "rarctan2"), "hypot": ("hypot", ""), "ldexp": ("ldexp", "rldexp"), "lcm": ("lcm", ""),
    "bitwise_and": ("bitwise_and", ""), "bitwise_or": ("bitwise_or", ""), "bitwise_xor": ("bitwise_xor", ""),
    "equal": ("equal", ""), "not_equal": ("not_equal", ""), "greater": ("greater", "less"),
    "less": ("less", "greater"), "greater_equal": ("greater_equal", "less_equal"),
    "less_equal": ("less_equal", "greater_equal"),
}  # fmt: skip
"""Function → the operator of two arrays, and that of a number and an array where it is another one than reversed."""

PLAIN = {"equal", "greater", "greater_equal", "less", "less_equal", "not_equal", "true_divide"}
"""Those without NumPy's ufunc keywords."""


def unary(name: str, operator: str) -> Callable[..., Any]:
    """The function of one array or number."""
    full = f"_npi_{operator}"
    number: Callable[..., Any] = getattr(onp, name)

    def function(self: Face, x: Any, out: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            refuse_ufunc_options(name, kwargs, unary=True)
        if isinstance(x, NUMBERS):
            return number(x)
        if not isinstance(x, self.array):
            raise self.refusal(full, x)
        if out is not None and name in _TESTS and self.eager and out.dtype != onp.bool_:
            raise TypeError("the `out` parameter should be a boolean array")
        return self.call(full, (x,), out)

    return _named(function, name, full)


def binary(name: str, operator: str, reverse: str) -> Callable[..., Any]:
    """The function of two arrays, or of an array and a number."""
    arrays, right = f"_npi_{operator}", f"_npi_{operator}_scalar"
    left = f"_npi_{reverse}_scalar" if reverse else right
    numbers: Callable[..., Any] = getattr(onp, name)

    def of_two(self: Face, x1: Any, x2: Any, out: Any = None) -> Any:
        if isinstance(x1, NUMBERS):
            if isinstance(x2, NUMBERS):
                return numbers(x1, x2, out=out)
            return self.with_number(left, x2, x1, out, True)
        if isinstance(x2, NUMBERS):
            return self.with_number(right, x1, x2, out)
        if not isinstance(x2, self.array):
            raise unsupported(x2)
        if not isinstance(x1, self.array):
            raise unsupported(x2)
        return self.call(arrays, (x1, x2), out)

    def as_ufunc(self: Face, x1: Any, x2: Any, out: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            refuse_ufunc_options(name, kwargs, unary=False)
        return of_two(self, x1, x2, out)

    return _named(of_two if name in PLAIN else as_ufunc, name, arrays)


def _named(function: Callable[..., Any], name: str, operator: str) -> Callable[..., Any]:
    function.__name__ = name
    function.__qualname__ = f"Elementwise.{name}"
    function.__doc__ = f"{name}, element by element: the operator {operator}. Numbers alone are computed by NumPy."
    return function


class Elementwise(Face):
    """The functions of both tables, and those with a parameter of their own."""

    def around(self, x: Any, decimals: int = 0, out: Any = None, **kwargs: Any) -> Any:
        """Rounded to a number of decimals; halves go to the even digit."""
        if isinstance(x, NUMBERS):
            return onp.around(x, decimals, **kwargs)
        if not isinstance(x, self.array):
            raise unsupported(x)
        return self.call("_npi_around", (x,), out, decimals=decimals, **kwargs)

    round = round_ = around

    def nan_to_num(
        self, x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None, **kwargs: Any
    ) -> Any:
        """NaN as a number (0), and infinities as numbers: the largest of the dtype unless others are given.

        Args:
            copy: False writes into `x`.
        """
        if isinstance(x, NUMBERS):
            return onp.nan_to_num(x, copy, nan, posinf, neginf)
        if not isinstance(x, self.array):
            raise unsupported(x)
        if getattr(x, "_t", None) is not None and not x._t.dtype.is_floating_point:
            return x
        attrs = {"copy": copy, "nan": nan, "posinf": posinf, "neginf": neginf}
        return self.call("_npi_nan_to_num", (x,), None if copy else x, **attrs)

    def clip(self, a: Any, a_min: Any, a_max: Any, out: Any = None) -> Any:
        """Values below a_min as a_min, above a_max as a_max; None leaves that side open.

        Raises:
            ValueError: both are None.
        """
        if a_min is None and a_max is None:
            raise ValueError("array_clip: must set either max or min")
        if isinstance(a, NUMBERS):
            return onp.clip(a, a_min, a_max, out)
        low = float("-inf") if a_min is None else a_min
        high = float("inf") if a_max is None else a_max
        return self.call("_npi_clip", (a,), out, a_min=low, a_max=high)

    def where(self, condition: Any, x: Any = None, y: Any = None) -> Any:
        """x where the condition holds, else y; without both the positions where it holds."""
        if x is None and y is None:
            return self.nonzero(condition)  # type: ignore[attr-defined]  # of Shapes
        if isinstance(condition, NUMBERS):
            return x if condition != 0 else y
        left, right = isinstance(x, NUMBERS), isinstance(y, NUMBERS)
        if left and right:
            return self.call("_npi_where_scalar2", (condition,), x=float(x), y=float(y))
        if isinstance(x, self.array) and isinstance(y, self.array):
            return self.call("_npi_where", (condition, x, y))
        if left and isinstance(y, self.array):
            return self.call("_npi_where_lscalar", (condition, y), scalar=float(x))
        if right and isinstance(x, self.array):
            return self.call("_npi_where_rscalar", (condition, x), scalar=float(y))
        raise TypeError(f"type {type(x)} and {type(y)} not supported")


for _name, _operator in UNARY.items():
    setattr(Elementwise, _name, unary(_name, _operator))
for _name, (_operator, _reverse) in BINARY.items():
    setattr(Elementwise, _name, binary(_name, _operator, _reverse))
