"""mx.np's functions of one array, element by element."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import with_partials


def _rint(x: Tensor) -> Tensor:
    low, high = torch.floor(x), torch.ceil(x)
    return torch.where(x - low <= high - x, low, high)


_FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "absolute": (torch.abs, "|x|."),
    "arccos": (torch.arccos, "The angle whose cosine is x."),
    "arccosh": (torch.arccosh, "The inverse hyperbolic cosine."),
    "arcsin": (torch.arcsin, "The angle whose sine is x."),
    "arcsinh": (torch.arcsinh, "The inverse hyperbolic sine."),
    "arctan": (torch.arctan, "The angle whose tangent is x."),
    "arctanh": (torch.arctanh, "The inverse hyperbolic tangent."),
    "ceil": (torch.ceil, "The least integer that is not less."),
    "cos": (torch.cos, "The cosine of an angle in radians."),
    "cosh": (torch.cosh, "The hyperbolic cosine."),
    "degrees": (torch.rad2deg, "Radians as degrees."),
    "exp": (torch.exp, "e to the power of x."),
    "expm1": (torch.expm1, "exp(x) - 1, precise near 0."),
    "fix": (torch.trunc, "x without its fraction."),
    "floor": (torch.floor, "The greatest integer that is not greater."),
    "log": (torch.log, "The natural logarithm."),
    "log10": (torch.log10, "The logarithm to base 10."),
    "log1p": (torch.log1p, "log(1 + x), precise near 0."),
    "log2": (torch.log2, "The logarithm to base 2."),
    "negative": (torch.neg, "-x."),
    "radians": (torch.deg2rad, "Degrees as radians."),
    "reciprocal": (torch.reciprocal, "1 / x."),
    "rint": (_rint, "The nearest integer; from the middle down: 1.5 → 1, -1.5 → -2."),
    "sign": (torch.sign, "-1, 0 or 1."),
    "sin": (torch.sin, "The sine of an angle in radians."),
    "sinh": (torch.sinh, "The hyperbolic sine."),
    "sqrt": (torch.sqrt, "The square root."),
    "square": (torch.square, "x * x."),
    "tan": (torch.tan, "The tangent of an angle in radians."),
    "tanh": (torch.tanh, "The hyperbolic tangent."),
    "trunc": (torch.trunc, "x without its fraction."),
}
_EXACT = {"absolute", "negative", "sign", "square"}
_ROUNDING = {"ceil", "fix", "floor", "rint", "trunc"}


def _root(x: Tensor) -> Tensor:
    return torch.copysign(x.double().abs().pow(1 / 3), x.double()).to(x.dtype)


_cbrt = with_partials(_root, lambda x, y: 1 / (3 * y * y))


def _register(name: str, fn: Callable[[Tensor], Tensor], doc: str, *, exact: bool, unchanged: bool) -> None:
    """Integers keep their dtype: computed in float64 and cut; bool is refused."""

    def unary(x: Tensor) -> Tensor:
        if x.dtype.is_floating_point:
            return fn(x)
        if x.dtype is torch.bool:
            raise MXNetError(f"Operator _npi_{name} does not support boolean type")
        if exact:
            return fn(x)
        return x.clone() if unchanged else fn(x.double()).to(x.dtype)

    unary.__name__ = unary.__qualname__ = f"_npi_{name}"
    unary.__doc__ = doc
    operator(f"_npi_{name}", shape="same")(unary)


for _name, (_fn, _doc) in _FUNCTIONS.items():
    _register(_name, _fn, _doc, exact=_name in _EXACT, unchanged=_name in _ROUNDING)
_register("cbrt", _cbrt, "The cube root.", exact=False, unchanged=False)

_TESTS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "isfinite": (torch.isfinite, "Where x is neither infinite nor NaN."),
    "isinf": (torch.isinf, "Where x is infinite."),
    "isnan": (torch.isnan, "Where x is NaN."),
    "isneginf": (torch.isneginf, "Where x is -inf."),
    "isposinf": (torch.isposinf, "Where x is inf."),
    "logical_not": (torch.logical_not, "Where x is 0."),
}


def _register_test(name: str, fn: Callable[[Tensor], Tensor], doc: str) -> None:
    def asked(x: Tensor) -> Tensor:
        return fn(x)

    asked.__name__ = asked.__qualname__ = f"_npi_{name}"
    asked.__doc__ = doc
    operator(f"_npi_{name}", shape="same", dtype="bool")(asked)


for _name, (_fn, _doc) in _TESTS.items():
    _register_test(_name, _fn, _doc)


@operator("_npi_bitwise_not", shape="same")
def bitwise_not(x: Tensor) -> Tensor:
    """Every bit turned; of bool the opposite."""
    if x.dtype.is_floating_point:
        raise MXNetError("Only supports integer types.")
    return torch.bitwise_not(x)


@operator("_npi_around", shape="same")
def around(x: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to a number of decimals, halves to the even digit; whole numbers are cut."""
    if x.dtype in (torch.float16, torch.bool):
        raise MXNetError("This operation does not support float16 and bool.")
    scale = 10.0**decimals
    if x.dtype.is_floating_point:
        return (torch.round(x * scale) / scale) if decimals else torch.round(x)
    return x.clone() if decimals >= 0 else (torch.trunc(x.double() * scale) / scale).to(x.dtype)


@operator("_npx_relu", shape="same")
def relu(data: Tensor) -> Tensor:
    """The elements above 0; 0 in the place of the others."""
    return torch.relu(data)


@operator("_npx_sigmoid", shape="same")
def sigmoid(data: Tensor) -> Tensor:
    """1 / (1 + exp(-x)); whole numbers are computed in float64 and cut."""
    return torch.sigmoid(data) if data.dtype.is_floating_point else torch.sigmoid(data.double()).to(data.dtype)
