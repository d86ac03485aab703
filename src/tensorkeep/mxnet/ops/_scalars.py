"""How a number meets an array: in the array's dtype, as MXNet casts it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs
from tensorkeep.mxnet.ops._shapes import DTypes

__all__ = ["as_tensor", "fit", "scalar_dtype"]

_UNSIGNED = {torch.uint8: 8}
_SIGNED = {torch.int8: 8, torch.int16: 16, torch.int32: 32, torch.int64: 64}


def fit(data: Tensor, scalar: float, is_int: bool) -> tuple[Tensor, float]:
    """An array and a number as the operator computes with them; for every dtype but float32.

    Whole numbers cut the number off and wrap it (300 is 44 in int8); with is_int=False the array becomes float64.
    bool becomes int64.
    """
    dtype = data.dtype
    if dtype is torch.float64:
        return data, scalar
    if dtype is torch.float16:
        with np.errstate(over="ignore"):
            return data, float(np.float16(scalar))
    if dtype is torch.bfloat16:
        return data, float(torch.tensor(scalar, dtype=dtype))
    if not is_int:
        return data.double(), scalar
    if dtype is torch.bool:
        return data.to(torch.int64), whole(scalar, torch.int64)
    return data, whole(scalar, dtype)


def whole(scalar: float, dtype: torch.dtype) -> int:
    """The number cut off and wrapped into a dtype of whole numbers; NaN and infinity become its least value."""
    if dtype in _UNSIGNED:
        bits = _UNSIGNED[dtype]
        return int(scalar) % (1 << bits) if np.isfinite(scalar) else 0
    half = 1 << (_SIGNED[dtype] - 1)
    return (int(scalar) + half) % (2 * half) - half if np.isfinite(scalar) else -half


def as_tensor(scalar: float, data: Tensor) -> Tensor:
    """The number as a 0-d array of the dtype of `data`: torch's own reversed functions round twice."""
    return torch.scalar_tensor(scalar, dtype=data.dtype, device=data.device)


def scalar_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    """The rule for dtypes: the array's own, int64 of bool, float64 of whole numbers with is_int=False."""
    dtype = dtypes[0]
    if dtype is None or dtype.startswith(("float", "bfloat")):
        return dtypes, [dtype]
    return dtypes, ["float64" if not attrs["is_int"] else "int64" if dtype == "bool" else dtype]
