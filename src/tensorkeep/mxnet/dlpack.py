"""Arrays shared with other libraries without a copy: DLPack, NumPy, torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import settings
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, cpu

if TYPE_CHECKING:
    from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["from_dlpack", "from_numpy", "from_torch", "to_dlpack_for_read", "to_dlpack_for_write"]


def to_dlpack_for_read(data: NDArray) -> Any:
    """A DLPack capsule of the array's memory, for libraries that only read it."""
    return torch.utils.dlpack.to_dlpack(data._t.detach())


def to_dlpack_for_write(data: NDArray) -> Any:
    """A DLPack capsule of the array's memory; what is written there is the array's new value."""
    return torch.utils.dlpack.to_dlpack(data._t.detach())


def from_dlpack(dlpack: Any) -> NDArray:
    """An NDArray in the memory of a DLPack capsule, or of an object with `__dlpack__`.

    Raises:
        AssertionError: the capsule was used already: each can be consumed once.
    """
    if type(dlpack).__name__ == "PyCapsule":
        assert '"dltensor"' in repr(dlpack), ValueError(
            "Invalid DLPack Tensor. DLTensor capsules can be consumed only once."
        )
    return from_torch(torch.from_dlpack(dlpack))


def from_torch(tensor: torch.Tensor, array_cls: Any = None) -> NDArray:
    """An NDArray in the memory of a torch tensor, without its history: writes go both ways.

    Raises:
        ValueError: MXNet has no such dtype, or the tensor is not contiguous.
    """
    if tensor.dtype not in NAMES:
        raise ValueError(f"{tensor.dtype} is not supported.")
    if not tensor.is_contiguous():
        raise ValueError("Only c-contiguous arrays are supported for zero-copy")
    on_gpu = tensor.device.type == "cuda"
    ctx = Context("gpu", tensor.device.index or 0) if on_gpu and settings.gpu is None else cpu(0)
    return wrap(tensor.detach(), ctx, _class(array_cls))


def from_numpy(ndarray: np.ndarray[Any, Any], zero_copy: bool = True, array_cls: Any = None) -> NDArray:
    """An NDArray of a NumPy array, in its memory unless zero_copy=False; the NumPy array becomes read-only then.

    Raises:
        ValueError: it is not C-contiguous, or MXNet has no such dtype.
    """
    from tensorkeep.mxnet.ndarray._creation import array

    if not zero_copy:
        return array(ndarray, dtype=ndarray.dtype)
    if not ndarray.flags["C_CONTIGUOUS"]:
        raise ValueError("Only c-contiguous arrays are supported for zero-copy")
    if ndarray.dtype.name not in NAMES.values():
        raise ValueError(f"{ndarray.dtype} is not supported.")
    if not ndarray.flags["WRITEABLE"]:
        ndarray = ndarray.copy()  # torch has no memory that must not be written
    made = wrap(torch.from_numpy(ndarray), cpu(0), _class(array_cls))
    ndarray.flags["WRITEABLE"] = False
    return made


def _class(array_cls: Any) -> Any:
    from tensorkeep.mxnet.ndarray.ndarray import NDArray

    return NDArray if array_cls is None else array_cls


claim(globals())
