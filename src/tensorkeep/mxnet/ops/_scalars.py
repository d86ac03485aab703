"""How a number meets an array: in the array's dtype, as MXNet casts it."""

from __future__ import annotations

from math import isfinite

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs
from tensorkeep.mxnet.ops._shapes import DTypes

__all__ = ["as_tensor", "fit", "scalar_dtype"]

_RANGES = {
    torch.int32: (-(1 << 31), 1 << 32), torch.int64: (-(1 << 63), 1 << 64), torch.uint8: (0, 1 << 8),
    torch.int8: (-(1 << 7), 1 << 8), torch.int16: (-(1 << 15), 1 << 16),
}  # fmt: skip
"""Whole numbers: the least one, how many there are."""


def fit(data: Tensor, scalar: float, is_int: bool) -> tuple[Tensor, float]:
    """An array and a number as the operator computes with them; for every dtype but float32.

    Whole numbers cut the number off and wrap it (300 is 44 in int8); with is_int=False the array becomes float64.
    bool becomes int64.
    """
    dtype = data.dtype
    if dtype in _RANGES:
        return (data, whole(scalar, dtype)) if is_int else (data.double(), scalar)
    if dtype is torch.float16:
        with np.errstate(over="ignore"):
            return data, float(np.float16(scalar))
    if dtype is torch.bfloat16:
        return data, float(torch.tensor(scalar, dtype=dtype))
    if dtype is torch.bool:
        return (data.to(torch.int64), whole(scalar, torch.int64)) if is_int else (data.double(), scalar)
    return data, scalar


def whole(scalar: float, dtype: torch.dtype) -> int:
    """The number cut off and wrapped into a dtype of whole numbers; NaN and infinity become its least value."""
    low, count = _RANGES[dtype]
    if not isfinite(scalar):
        return low
    number = int(scalar)
    return number if low <= number < low + count else (number - low) % count + low


def as_tensor(scalar: float, data: Tensor) -> Tensor:
    """The number as a 0-d array of the dtype of `data`: torch's own reversed functions round twice."""
    return torch.scalar_tensor(scalar, dtype=data.dtype, device=data.device)


def scalar_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    """The rule for dtypes: the array's own, int64 of bool, float64 of whole numbers with is_int=False."""
    dtype = dtypes[0]
    if dtype is None or dtype.startswith(("float", "bfloat")):
        return dtypes, [dtype]
    return dtypes, ["float64" if not attrs["is_int"] else "int64" if dtype == "bool" else dtype]
