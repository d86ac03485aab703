"""MXNet's element types: names, type flags, NumPy's and torch's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet.base import MXNetError

__all__ = ["BFLOAT16", "FLAGS", "NAMES", "TORCH", "flag_of", "name_of", "numpy_of", "to_numpy", "torch_of"]

BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
"""What MXNet 1.9.1 says the dtype of a bfloat16 array is."""

TORCH: dict[str, torch.dtype] = {
    "float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "uint8": torch.uint8,
    "int32": torch.int32, "int8": torch.int8, "int64": torch.int64, "bool": torch.bool, "int16": torch.int16,
    "uint16": torch.uint16, "uint32": torch.uint32, "uint64": torch.uint64, "bfloat16": torch.bfloat16,
}  # fmt: skip
NAMES: dict[torch.dtype, str] = {dtype: name for name, dtype in TORCH.items()}
FLAGS: dict[str, int] = {name: flag for flag, name in enumerate(TORCH)}
"""MXNet's type flags, as files and `__dtype__` attributes hold them (mshadow/base.h)."""
_BY_FLAG = {flag: name for name, flag in FLAGS.items()}

_NUMPY: dict[torch.dtype, Any] = {
    dtype: BFLOAT16 if name == "bfloat16" else np.bool_ if name == "bool" else getattr(np, name)
    for name, dtype in TORCH.items()
}


def name_of(dtype: Any) -> str:
    """ "float32" of whatever names a dtype: a string, NumPy's or torch's type, a type flag, Python's float, int, bool.

    Raises:
        TypeError: MXNet has no such dtype.
    """
    if type(dtype) is str and dtype in TORCH:
        return dtype
    if isinstance(dtype, torch.dtype):
        return NAMES[dtype]
    if type(dtype) is int and dtype in _BY_FLAG:
        return _BY_FLAG[dtype]
    found = np.dtype(dtype)
    name = "bfloat16" if found == BFLOAT16 else found.name
    if name not in TORCH:
        raise TypeError(f"data type {name!r} is not one of MXNet's: {', '.join(TORCH)}")
    return name


def torch_of(dtype: Any) -> torch.dtype:
    """torch's dtype of whatever names one."""
    return dtype if isinstance(dtype, torch.dtype) else TORCH[name_of(dtype)]


def flag_of(dtype: Any) -> int:
    """MXNet's type flag: 0 of float32."""
    return FLAGS[name_of(dtype)]


def numpy_of(dtype: torch.dtype) -> Any:
    """What `NDArray.dtype` is: numpy.float32, the class; a structured dtype for bfloat16."""
    return _NUMPY[dtype]


def to_numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """The values as an array that owns its memory; bfloat16 comes as MXNet's structured dtype."""
    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        raw: np.ndarray[Any, Any] = tensor.contiguous().view(torch.uint16).cpu().numpy().copy()
        return raw.view(BFLOAT16)
    if tensor.device.type != "cpu":
        found: np.ndarray[Any, Any] = tensor.cpu().numpy()
        return found
    if tensor.device.type == "meta":
        raise MXNetError("An array that only has a shape has no values.")
    copied: np.ndarray[Any, Any] = tensor.numpy(force=True).copy()
    return copied
