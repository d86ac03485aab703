"""Arithmetic of an array and a number, which takes the dtype of the array."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.ops._binary import div, hypot, mod, power
from tensorkeep.mxnet.ops._elementwise import in_floats, with_partials
from tensorkeep.mxnet.ops._scalars import as_tensor, fit, scalar_dtype

_Float32 = torch.float32


def _div(data: Tensor, scalar: float) -> Tensor:
    if data.is_floating_point():
        return torch.div(data, scalar)
    return torch.div(data, scalar, rounding_mode="trunc")


_zero = with_partials(torch.zeros_like, lambda a, y: 1.0)


def _mod(data: Tensor, scalar: float) -> Tensor:
    return torch.remainder(data, scalar) if scalar else _zero(data)


def _power(data: Tensor, scalar: float) -> Tensor:
    if not data.is_floating_point():
        return in_floats(lambda a: torch.pow(a, scalar), data)
    # torch gives the exponent 0 the derivative 0 everywhere, MXNet 0·x⁻¹
    return torch.pow(data, scalar) if scalar else power(data, as_tensor(scalar, data))


def _rpower(data: Tensor, scalar: float) -> Tensor:
    if not data.is_floating_point():
        return in_floats(lambda a: torch.pow(scalar, a), data)
    return torch.pow(scalar, data) if scalar else power(as_tensor(scalar, data), data)


_SCALAR: dict[str, tuple[Callable[[Tensor, float], Tensor], str]] = {
    "_plus_scalar": (torch.add, "data + scalar."),
    "_minus_scalar": (torch.sub, "data - scalar."),
    "_rminus_scalar": (torch.rsub, "scalar - data."),
    "_mul_scalar": (torch.mul, "data * scalar."),
    "_div_scalar": (_div, "data / scalar; the quotient of whole numbers is cut off."),
    "_rdiv_scalar": (lambda a, s: div(as_tensor(s, a), a), "scalar / data; the quotient of whole numbers is cut off."),
    "_mod_scalar": (_mod, "data % scalar with the sign of scalar; 0 where scalar is 0."),
    "_rmod_scalar": (lambda a, s: mod(as_tensor(s, a), a), "scalar % data with the sign of data; 0 where data is 0."),
    "_power_scalar": (_power, "data to the power of scalar."),
    "_rpower_scalar": (_rpower, "scalar to the power of data."),
    "_maximum_scalar": (torch.clamp_min, "The larger of data and scalar."),
    "_minimum_scalar": (torch.clamp_max, "The smaller of data and scalar."),
    "_hypot_scalar": (lambda a, s: hypot(a, as_tensor(s, a)), "The square root of data² + scalar²."),
    "_scatter_plus_scalar": (torch.add, "data + scalar."),
    "_scatter_minus_scalar": (torch.sub, "data - scalar."),
}


def _with_scalar(fn: Callable[[Tensor, float], Tensor], text: str) -> Callable[..., Tensor]:
    def scalar_operator(data: Tensor, *, scalar: float = 1.0, is_int: bool = True) -> Tensor:
        if data.dtype is not _Float32:
            data, scalar = fit(data, scalar, is_int)
        return fn(data, scalar)

    scalar_operator.__doc__ = (
        f"{text}\n\nThe number takes the dtype of the array: of whole numbers it is cut off, unless is_int=False, which "
        "computes in float64."
    )
    return scalar_operator


for _name, (_fn, _text) in _SCALAR.items():
    operator(_name, shape="same", dtype=scalar_dtype)(_with_scalar(_fn, _text))
