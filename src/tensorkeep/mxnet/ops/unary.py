"""Functions of one array, element by element."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import in_floats, with_partials

_Function = Callable[[Tensor], Tensor]


def _cube_root(data: Tensor) -> Tensor:
    # pow(1/3) alone is off by some roundings; one step of Newton in float64 would not show, so float32 goes that way
    wide = data.double()
    return torch.copysign(wide.abs().pow(1.0 / 3.0), wide).to(data.dtype)


_cbrt = with_partials(_cube_root, lambda x, y: 1.0 / (3.0 * y * y))
_rcbrt = with_partials(lambda x: torch.reciprocal(_cube_root(x)), lambda x, y: -1.0 / (3.0 * x * _cube_root(x)))


def _gamma_of(data: Tensor) -> Tensor:
    wide = data.double()
    sign = torch.where((wide < 0) & (torch.floor(wide) % 2 != 0), -1.0, 1.0)
    found = torch.copysign(torch.exp(torch.lgamma(wide)), torch.where(wide == 0, wide, sign))
    pole = (wide < 0) & (torch.floor(wide) == wide)
    return found.masked_fill(pole, float("nan")).to(data.dtype)


def _digamma(data: Tensor) -> Tensor:
    """torch's, with MXNet's +inf at 0, -1, -2 …"""
    pole = (data <= 0) & (torch.floor(data) == data)
    return torch.digamma(data).masked_fill(pole, float("inf"))


_gamma = with_partials(_gamma_of, lambda x, y: y * _digamma(x))
_gammaln = with_partials(torch.lgamma, lambda x, y: _digamma(x))


def _rint(data: Tensor) -> Tensor:
    """The nearest whole number; MXNet's goes down from the middle: 1.5 → 1, -1.5 → -2."""
    low, high = torch.floor(data), torch.ceil(data)
    return torch.where(data - low <= high - data, low, high)


def _round(data: Tensor) -> Tensor:
    """The nearest whole number, away from zero from the middle; torch.round goes to the even one."""
    whole = torch.trunc(data)
    return torch.where((data - whole).abs() >= 0.5, whole + torch.sign(data), whole)


_softsign = with_partials(torch.nn.functional.softsign, lambda x, y: 1.0 / (1.0 + x.abs()).square())

_FUNCTIONS: dict[str, tuple[_Function, str]] = {
    "sqrt": (torch.sqrt, "The square root."),
    "rsqrt": (torch.rsqrt, "One over the square root."),
    "cbrt": (_cbrt, "The cube root."),
    "rcbrt": (_rcbrt, "One over the cube root."),
    "exp": (torch.exp, "e to the power of each element."),
    "expm1": (torch.expm1, "exp(data) - 1, exact for small elements."),
    "log": (torch.log, "The natural logarithm."),
    "log10": (torch.log10, "The logarithm to the base 10."),
    "log2": (torch.log2, "The logarithm to the base 2."),
    "log1p": (torch.log1p, "log(1 + data), exact for small elements."),
    "sin": (torch.sin, "The sine of an angle in radians."),
    "cos": (torch.cos, "The cosine of an angle in radians."),
    "tan": (torch.tan, "The tangent of an angle in radians."),
    "arcsin": (torch.asin, "The angle in radians, -π/2 to π/2, whose sine each element is."),
    "arccos": (torch.acos, "The angle in radians, 0 to π, whose cosine each element is."),
    "arctan": (torch.atan, "The angle in radians, -π/2 to π/2, whose tangent each element is."),
    "sinh": (torch.sinh, "The hyperbolic sine."),
    "cosh": (torch.cosh, "The hyperbolic cosine."),
    "tanh": (torch.tanh, "The hyperbolic tangent."),
    "arcsinh": (torch.asinh, "The inverse hyperbolic sine."),
    "arccosh": (torch.acosh, "The inverse hyperbolic cosine."),
    "arctanh": (torch.atanh, "The inverse hyperbolic tangent."),
    "degrees": (lambda x: x * (180.0 / pi), "The angle in degrees of one in radians."),
    "radians": (lambda x: x * (pi / 180.0), "The angle in radians of one in degrees."),
    "gamma": (_gamma, "The gamma function, (n-1)! of a whole number."),
    "gammaln": (_gammaln, "The logarithm of the gamma function's absolute value."),
    "erf": (torch.erf, "The error function."),
    "erfinv": (torch.erfinv, "The inverse of the error function."),
    "sigmoid": (torch.sigmoid, "1 / (1 + exp(-data))."),
    "softsign": (_softsign, "data / (1 + |data|)."),
    "reciprocal": (torch.reciprocal, "1 / data."),
    "rint": (_rint, "The nearest whole number; from the middle down: 1.5 → 1, -1.5 → -2."),
}
"""Of whole numbers computed in float32 and cut off."""

_EXACT: dict[str, tuple[_Function, str]] = {
    "abs": (torch.abs, "The absolute value."),
    "sign": (lambda x: torch.sign(x).nan_to_num(0.0), "-1, 0 or 1: the sign of each element; 0 of NaN."),
    "negative": (torch.neg, "-data."),
    "square": (torch.square, "data * data."),
    "relu": (torch.relu, "data where it is positive, else 0."),
    "ceil": (torch.ceil, "The least whole number that is not smaller."),
    "floor": (torch.floor, "The largest whole number that is not greater."),
    "trunc": (torch.trunc, "Without the digits behind the point."),
    "fix": (torch.trunc, "The nearest whole number towards zero."),
}
"""Of whole numbers exact."""


def _no_bool(data: Tensor) -> None:
    if data.dtype is torch.bool:
        raise MXNetError("Unknown type enum 7: the operator does not take bool, cast it.")


def _for_floats(fn: _Function, text: str) -> _Function:
    def function(data: Tensor) -> Tensor:
        if data.is_floating_point():
            return fn(data)
        _no_bool(data)
        return in_floats(fn, data)

    function.__doc__ = text
    return function


def _for_numbers(fn: _Function, text: str) -> _Function:
    def function(data: Tensor) -> Tensor:
        if data.dtype is torch.bool:
            _no_bool(data)
        return fn(data)

    function.__doc__ = text
    return function


for _name, (_fn, _text) in _FUNCTIONS.items():
    operator(_name, shape="same")(_for_floats(_fn, _text))
for _name, (_fn, _text) in _EXACT.items():
    operator(_name, shape="same")(_for_numbers(_fn, _text))


@operator("round", shape="same")
def round_(data: Tensor) -> Tensor:
    """The nearest whole number; from the middle away from zero: 0.5 → 1, -1.5 → -2."""
    _no_bool(data)
    return _round(data) if data.is_floating_point() else data.clone()


_clamp = torch.clamp


@operator("clip", shape="same")
def clip(data: Tensor, *, a_min: float, a_max: float) -> Tensor:
    """Each element, at least a_min and at most a_max."""
    if data.is_floating_point():
        return _clamp(data, a_min, a_max)
    _no_bool(data)
    info = torch.iinfo(data.dtype)  # a bound that the dtype cannot hold bounds nothing
    return _clamp(data, *[int(min(max(bound, info.min), info.max)) for bound in (a_min, a_max)])


@operator("hard_sigmoid", shape="same")
def hard_sigmoid(data: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """alpha * data + beta, at least 0 and at most 1."""
    if not data.is_floating_point():
        raise MXNetError(f"This operation only support floating point types, not {NAMES[data.dtype]}")
    line = alpha * data + beta
    # torch.clamp lets the gradient pass on the edges, MXNet only between them
    return torch.where((line > 0) & (line < 1), line, line.detach().clamp(0.0, 1.0))


def _smooth_l1(data: Tensor, sigma: float) -> Tensor:
    square = sigma * sigma
    size = data.abs()
    return torch.where(size > 1.0 / square, size - 0.5 / square, 0.5 * square * data * data)


@operator("smooth_l1", shape="same")
def smooth_l1(data: Tensor, *, scalar: float = 1.0) -> Tensor:
    """(scalar·x)²/2 where |x| ≤ 1/scalar², else |x| - 1/(2·scalar²)."""
    if data.is_floating_point():
        return _smooth_l1(data, scalar)
    _no_bool(data)
    return in_floats(lambda x: _smooth_l1(x, scalar), data)
