"""mx.np's arithmetic of two arrays and of an array and a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._binary import mod, power
from tensorkeep.mxnet.ops._elementwise import in_floats, with_partials
from tensorkeep.mxnet.ops._numpy_types import (
    comparing,
    differ,
    floats_only,
    kind,
    mixed,
    mixing,
    named,
    quotient,
    scalar_quotient,
    unlike,
)  # fmt: skip
from tensorkeep.mxnet.ops._scalars import as_tensor, fit, scalar_dtype, whole
from tensorkeep.mxnet.ops._shapes import broadcast


def _ldexp(a: Tensor, b: Tensor) -> Tensor:
    return a * torch.exp2(b)


def _any(fn: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """`fn` for whole numbers too."""

    def through_floats(a: Tensor, b: Tensor) -> Tensor:
        return fn(a, b) if a.is_floating_point() else in_floats(fn, a, b)

    return through_floats


_copysign = _any(torch.copysign)
_arctan2 = _any(torch.arctan2)
_ldexp_any = _any(_ldexp)


def _plain(name: str, fn: Callable[..., Any], doc: str, **options: Any) -> None:
    fn.__name__ = fn.__qualname__ = name
    fn.__doc__ = doc
    operator(name, **options)(fn)


def _mixing(name: str, fn: Callable[[Tensor, Tensor], Tensor], doc: str, *, integers: bool, bools: bool) -> None:
    """An operator that computes in the common dtype of both arrays."""

    def mixing_dtypes(lhs: Tensor, rhs: Tensor) -> Tensor:
        if lhs.dtype is not rhs.dtype:
            lhs, rhs = mixed(name, lhs, rhs, integers=integers)
        elif not bools and lhs.dtype is torch.bool:
            raise MXNetError(f"Operator {name} does not support boolean type")
        return fn(lhs, rhs)

    _plain(name, mixing_dtypes, doc, shape=broadcast, dtype=mixing(name, integers=integers))


_mixing("_npi_add", torch.add, "x1 + x2; unlike dtypes are mixed.", integers=True, bools=True)
_mixing("_npi_subtract", torch.sub, "x1 - x2; a float may meet an integer.", integers=False, bools=False)
_mixing("_npi_multiply", torch.mul, "x1 * x2; unlike dtypes are mixed.", integers=True, bools=True)
_mixing("_npi_mod", mod, "The remainder with the sign of x2; 0 where x2 is 0.", integers=False, bools=False)
_mixing("_npi_power", power, "x1 ** x2; unlike dtypes are mixed.", integers=True, bools=True)


@operator("_npi_true_divide", shape=broadcast, dtype=quotient)
def true_divide(lhs: Tensor, rhs: Tensor) -> Tensor:
    """x1 / x2; two integers give float32."""
    if lhs.dtype is not rhs.dtype:
        kinds = kind(lhs.dtype), kind(rhs.dtype)
        if kinds.count("f") != 1:
            raise MXNetError(f"true_divide of {named(lhs.dtype)} by {named(rhs.dtype)}: not implemented yet...")
        lhs, rhs = mixed("_npi_true_divide", lhs, rhs)
    elif not lhs.dtype.is_floating_point:
        lhs, rhs = lhs.float(), rhs.float()
    return torch.div(lhs, rhs)


def _alike(
    name: str,
    fn: Callable[[Tensor, Tensor], Tensor],
    doc: str,
    *,
    allowed: Callable[[torch.dtype], None] | None = None,
) -> None:
    """An operator that wants one dtype."""

    def of_one_dtype(x1: Tensor, x2: Tensor) -> Tensor:
        if x1.dtype is not x2.dtype:
            raise unlike(x1.dtype, x2.dtype)
        if allowed is not None:
            allowed(x1.dtype)
        return fn(x1, x2)

    _plain(name, of_one_dtype, doc, shape=broadcast)


def _no_bool(name: str) -> Callable[[torch.dtype], None]:
    def check(dtype: torch.dtype) -> None:
        if dtype is torch.bool:
            raise MXNetError(f"Operator {name} does not support boolean type")

    return check


def _integers_only(dtype: torch.dtype) -> None:
    if dtype.is_floating_point:
        raise MXNetError("Only supports integer types.")


def _lcm(a: Tensor, b: Tensor) -> Tensor:
    return a & b if a.dtype is torch.bool else torch.lcm(a, b)


_alike("_npi_copysign", _copysign, "|x1| with the sign of x2.", allowed=_no_bool("_npi_copysign"))
_alike("_npi_ldexp", _ldexp_any, "x1 * 2 ** x2.", allowed=_no_bool("_npi_ldexp"))
_alike("_npi_hypot", torch.hypot, "The square root of x1 ** 2 + x2 ** 2.", allowed=floats_only)
_alike("_npi_arctan2", torch.arctan2, "The angle of the point (x2, x1), -pi to pi.", allowed=floats_only)
_alike("_npi_lcm", _lcm, "The least common multiple of integers.", allowed=_integers_only)
_alike("_npi_bitwise_and", torch.bitwise_and, "x1 & x2, bit by bit.", allowed=_integers_only)
_alike("_npi_bitwise_or", torch.bitwise_or, "x1 | x2, bit by bit.", allowed=_integers_only)
_alike("_npi_bitwise_xor", torch.bitwise_xor, "x1 ^ x2, bit by bit.", allowed=_integers_only)


_WHOLE = (torch.int8, torch.uint8, torch.int32, torch.int64)


def _comparison(name: str, fn: Callable[..., Tensor], sign: str) -> None:
    def compared(lhs: Tensor, rhs: Tensor) -> Tensor:
        if lhs.dtype is not rhs.dtype:
            raise differ(lhs.dtype, rhs.dtype)
        return fn(lhs, rhs)

    def compared_to(data: Tensor, *, scalar: float = 1.0, is_int: bool = True) -> Tensor:
        if data.dtype in _WHOLE:
            scalar = whole(scalar, data.dtype)  # 1.5 is 1 beside whole numbers, as in arithmetic
        return fn(data, scalar)

    _plain(f"_npi_{name}", compared, f"Where x1 {sign} x2, as bool.", shape=broadcast, dtype=comparing)
    _plain(f"_npi_{name}_scalar", compared_to, f"Where x {sign} scalar, as bool.", shape="same", dtype="bool")


_comparison("equal", torch.eq, "==")
_comparison("not_equal", torch.ne, "!=")
_comparison("greater", torch.gt, ">")
_comparison("less", torch.lt, "<")
_comparison("greater_equal", torch.ge, ">=")
_comparison("less_equal", torch.le, "<=")


def _with_number(name: str, fn: Callable[[Tensor, Any], Tensor], doc: str) -> None:
    """An operator with a number, which takes the array's dtype: 1.5 is 1 beside integers."""

    def with_number(data: Tensor, *, scalar: float = 1.0, is_int: bool = True) -> Tensor:
        if data.dtype is not torch.float32:
            data, scalar = fit(data, scalar, is_int)
        return fn(data, scalar)

    _plain(f"_npi_{name}_scalar", with_number, doc, shape="same", dtype=scalar_dtype)


_turned = with_partials(lambda x, s: torch.arctan2(s, x), lambda x, s, y: -x / (x * x + s * s), None)
"""arctan2(s, x) with the derivative that MXNet gives it, -x / (x² + s²); the true one is -s / (x² + s²)."""


def _rarctan2(data: Tensor, scalar: Any) -> Tensor:
    number = as_tensor(scalar, data)
    return _turned(data, number) if data.is_floating_point() else _arctan2(number, data)


def _right(fn: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Any], Tensor]:
    return lambda data, scalar: fn(data, as_tensor(scalar, data))


def _left(fn: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Any], Tensor]:
    return lambda data, scalar: fn(as_tensor(scalar, data), data)


_with_number("add", torch.add, "x + scalar.")
_with_number("subtract", torch.sub, "x - scalar.")
_with_number("rsubtract", torch.rsub, "scalar - x.")
_with_number("multiply", torch.mul, "x * scalar.")
_with_number("mod", _right(mod), "The remainder of x by scalar, with the sign of scalar; 0 where scalar is 0.")
_with_number("rmod", _left(mod), "The remainder of scalar by x, with the sign of x; 0 where x is 0.")
_with_number("power", _right(power), "x ** scalar.")
_with_number("rpower", _left(power), "scalar ** x.")
_with_number("copysign", _right(_copysign), "|x| with the sign of scalar.")
_with_number("rcopysign", _left(_copysign), "|scalar| with the sign of x.")
_with_number("ldexp", _right(_ldexp_any), "x * 2 ** scalar.")
_with_number("rldexp", _left(_ldexp_any), "scalar * 2 ** x.")
_with_number("arctan2", _right(_arctan2), "The angle of the point (scalar, x).")
_with_number("rarctan2", _rarctan2, "The angle of the point (x, scalar).")


@operator("_npi_true_divide_scalar", shape="same", dtype=scalar_quotient)
def true_divide_scalar(data: Tensor, *, scalar: float = 1.0, is_int: bool = True) -> Tensor:
    """x / scalar; integers give float32."""
    return torch.div(data if data.dtype.is_floating_point else data.float(), scalar)


@operator("_npi_rtrue_divide_scalar", shape="same", dtype=scalar_quotient)
def rtrue_divide_scalar(data: Tensor, *, scalar: float = 1.0, is_int: bool = True) -> Tensor:
    """scalar / x; integers give float32."""
    return torch.div(scalar, data if data.dtype.is_floating_point else data.float())


def _integers_with_number(name: str, fn: Callable[[Tensor, Any], Tensor], doc: str) -> None:
    def with_number(data: Tensor, *, scalar: float = 1.0, is_int: bool = True) -> Tensor:
        _integers_only(data.dtype)
        return fn(data, torch.tensor(scalar).to(data.dtype).to(data.device))

    _plain(f"_npi_{name}_scalar", with_number, doc, shape="same")


_integers_with_number("lcm", _lcm, "The least common multiple of x and scalar.")
_integers_with_number("bitwise_and", torch.bitwise_and, "x & scalar, bit by bit.")
_integers_with_number("bitwise_or", torch.bitwise_or, "x | scalar, bit by bit.")
_integers_with_number("bitwise_xor", torch.bitwise_xor, "x ^ scalar, bit by bit.")
