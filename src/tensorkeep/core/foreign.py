"""Tensors of any framework, recognised without importing the framework.

What the caller holds decides: a module is looked up in `sys.modules`, never imported, so a NumPy-only program stays one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tensorkeep._optional import require
from tensorkeep.core.dtypes import DType, dtype_of_numpy
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.errors import UnsupportedDataError

__all__ = ["as_tensor", "to_framework", "to_jax", "to_torch"]

_TORCH_AS_BITS = {
    "bfloat16": ("int16", "bfloat16"),
    "float8_e4m3fn": ("uint8", "float8_e4m3fn"),
    "float8_e4m3fnuz": ("uint8", "float8_e4m3fnuz"),
    "float8_e5m2": ("uint8", "float8_e5m2"),
    "float8_e5m2fnuz": ("uint8", "float8_e5m2fnuz"),
    "float8_e8m0fnu": ("uint8", "float8_e8m0fnu"),
}


def as_tensor(value: Any, *, where: str = "the data") -> Tensor | SparseTensor | None:
    """The Tensor (no copy where the memory can be shared) of an array of any framework; None when it is no array.

    Args:
        value: a Tensor or SparseTensor, a numpy.ndarray, a torch.Tensor, a jax.Array, a scipy sparse matrix, or any object
            with `__dlpack__` or `__array__` that is not a Python scalar or container.
        where: what error messages call it (the path inside the data).
    Raises:
        UnsupportedDataError: an array that cannot be stored (object or string elements, the meta device, quantized …).
    """
    if isinstance(value, (Tensor, SparseTensor)):
        return value
    kind = type(value)
    if kind in _PLAIN:
        return None
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            return _from_numpy(value, where)
        if isinstance(value, numpy.generic):
            return None
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, getattr(torch, "Tensor", ())):
        return _from_torch(value, torch, where)
    root = kind.__module__.partition(".")[0]
    if root == "scipy" and hasattr(value, "tocsr"):
        return _from_scipy(value, where)
    if hasattr(value, "__array__") and hasattr(value, "shape") and hasattr(value, "dtype"):
        return _from_numpy(_asarray(value, where), where)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        import numpy as np

        try:
            return _from_numpy(np.from_dlpack(value), where)
        except (BufferError, RuntimeError, TypeError, ValueError) as err:
            raise UnsupportedDataError(
                f"{where}: the {kind.__name__} cannot be read as a CPU array ({err}). Move it to the CPU first."
            ) from err
    return None


_PLAIN = frozenset({dict, list, tuple, int, float, bool, str, bytes, complex, type(None)})


def _asarray(value: Any, where: str) -> Any:
    import numpy as np

    try:
        return np.asarray(value)
    except Exception as err:
        raise UnsupportedDataError(
            f"{where}: the {type(value).__name__} gives no array ({type(err).__name__}: {err}). "
            "Move it to the CPU or convert it with numpy.asarray first."
        ) from err


def _from_numpy(array: Any, where: str) -> Tensor:
    import numpy as np

    if type(array) is not np.ndarray:  # memmap, matrix, masked arrays and other subclasses
        if isinstance(array, np.ma.MaskedArray):
            raise UnsupportedDataError(f"{where}: a masked array would lose its mask. Save .data and .mask separately.")
        array = array.view(np.ndarray)
    if array.dtype.names == ("bfloat16",):  # how MXNet 1.9.1 shows bfloat16
        array = array["bfloat16"].view(_ml("bfloat16"))
    dtype = dtype_of_numpy(array.dtype)
    if dtype is None:
        raise UnsupportedDataError(
            f"{where}: elements of dtype {array.dtype} cannot be stored as a tensor. "
            "Convert it: numbers with .astype(...), strings as a Python list of str."
        )
    return Tensor(array.shape, dtype, array=array)


def _ml(name: str) -> Any:
    import ml_dtypes

    return getattr(ml_dtypes, name)


def _from_torch(value: Any, torch: Any, where: str) -> Tensor | SparseTensor:
    plain = _plain_torch_dtypes(torch).get(value.dtype)
    if plain is not None and value.is_cpu and value.layout is torch.strided and not value.is_neg():
        if value.requires_grad:
            value = value.detach()
        array = value.numpy()
        return Tensor(array.shape, plain, array=array)
    if value.layout != torch.strided:
        return _from_torch_sparse(value, torch, where)
    if value.device.type == "meta":
        raise UnsupportedDataError(
            f"{where}: the tensor is on the meta device and has no values. Load or initialise it before saving."
        )
    if value.is_quantized:
        raise UnsupportedDataError(
            f"{where}: a quantized torch tensor. Save .int_repr() and its scale and zero point, or .dequantize()."
        )
    name = str(value.dtype).removeprefix("torch.")
    value = value.detach()
    if value.is_conj() or value.is_neg():
        value = value.resolve_conj().resolve_neg()
    shape = tuple(value.shape)
    if value.device.type != "cpu":
        dtype = DType.of("float4_e2m1fn" if name == "float4_e2m1fn_x2" else name)
        if name == "float4_e2m1fn_x2":
            shape = (*shape[:-1], shape[-1] * 2)
        return Tensor(shape, dtype, array=_DeviceMemory(value))
    if name == "float4_e2m1fn_x2":
        raw = value.contiguous().view(torch.uint8).numpy()
        shape = (*shape[:-1], shape[-1] * 2)
        from tensorkeep.core.tensor import unpack

        fp4 = DType.of("float4_e2m1fn")
        return Tensor(shape, fp4, make=lambda: unpack(raw.reshape(-1), shape, fp4))
    if name in _TORCH_AS_BITS:
        bits, wanted = _TORCH_AS_BITS[name]
        return Tensor(shape, DType.of(wanted), array=value.view(getattr(torch, bits)).numpy().view(_ml(wanted)))
    try:
        array = value.numpy()
    except (TypeError, RuntimeError) as err:
        raise UnsupportedDataError(
            f"{where}: a torch tensor of dtype {value.dtype} cannot be stored ({err}). Convert it with .to(...) first."
        ) from err
    return _from_numpy(array, where)


def _plain_torch_dtypes(torch: Any) -> dict[Any, DType]:
    """The torch dtypes that NumPy has as well and that need no look at conjugation: the usual case, decided in one look-up."""
    if not _plain_torch:
        names = [
            "bool",
            "uint8",
            "int8",
            "int16",
            "int32",
            "int64",
            "float16",
            "float32",
            "float64",
            "uint16",
            "uint32",
            "uint64",
        ]
        _plain_torch.update({getattr(torch, name): DType.of(name) for name in names if hasattr(torch, name)})
    return _plain_torch


_plain_torch: dict[Any, DType] = {}


class _DeviceMemory:
    """A torch tensor on an accelerator, brought to the host a piece at a time."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def key(self) -> tuple[Any, ...]:
        value = self.value
        return (str(value.device), value.data_ptr(), tuple(value.stride()))

    def numpy(self) -> Any:
        tensor = _from_torch(self.value.cpu(), sys.modules["torch"], "the tensor")
        assert isinstance(tensor, Tensor)
        return tensor.numpy()

    def blocks(self, max_nbytes: int) -> Iterator[memoryview]:
        torch = sys.modules["torch"]
        value = self.value
        if not value.is_contiguous() and value.dim() and value.numel() * value.element_size() > max_nbytes:
            for row in value:
                yield from _DeviceMemory(row).blocks(max_nbytes)
            return
        flat = value.contiguous().reshape(-1).view(torch.uint8)
        for start in range(0, flat.numel(), max_nbytes):
            yield memoryview(flat[start : start + max_nbytes].cpu().numpy())


def _from_torch_sparse(value: Any, torch: Any, where: str) -> SparseTensor:
    kinds = {torch.sparse_coo: "coo", torch.sparse_csr: "csr", torch.sparse_csc: "csc"}
    kind = kinds.get(value.layout)
    if kind is None:
        raise UnsupportedDataError(
            f"{where}: a torch tensor of layout {value.layout}. Convert it with .to_dense() first."
        )
    value = value.detach()
    if kind == "coo":
        value = value.coalesce()
        parts = (value.values(), value.indices(), None)
    elif kind == "csr":
        parts = (value.values(), value.col_indices(), value.crow_indices())
    else:
        parts = (value.values(), value.row_indices(), value.ccol_indices())
    arrays = [None if part is None else as_tensor(part, where=where) for part in parts]
    return SparseTensor(kind, tuple(value.shape), *arrays)


def _from_scipy(value: Any, where: str) -> SparseTensor:
    kind = value.format
    if kind not in ("csr", "csc"):
        value, kind = value.tocsr(), "csr"
    arrays = [_from_numpy(part, where) for part in (value.data, value.indices, value.indptr)]
    return SparseTensor(kind, tuple(int(n) for n in value.shape), *arrays)


def to_torch(array: Any, *, device: Any = None, copy: bool = False) -> Any:
    """A torch.Tensor of a numpy array's values and dtype, sharing its memory unless `copy` or a device needs one.

    Raises:
        MissingExtraError: torch is not installed.
        UnsupportedDataError: torch has no such dtype.
    """
    torch = require("torch", extra="torch", for_="giving tensors as torch.Tensor")
    name = DType.of(array.dtype)
    if copy or not array.flags.writeable:
        array = array.copy()
    if not array.flags.c_contiguous and any(stride < 0 for stride in array.strides):
        array = array.copy()
    if name in _TORCH_AS_BITS:
        import numpy as np

        bits, wanted = _TORCH_AS_BITS[name]
        tensor = torch.from_numpy(array.view(np.dtype(bits))).view(getattr(torch, wanted))
    else:
        try:
            tensor = torch.from_numpy(array)
        except TypeError as err:
            raise UnsupportedDataError(f"torch has no dtype {name}. Load it with dtype='float32' or as numpy.") from err
    return tensor if device is None else tensor.to(device)


def to_jax(array: Any, *, device: Any = None) -> Any:
    """A jax.Array of a numpy array's values. Needs jax; 64-bit types stay so only under jax_enable_x64 (JAX's rule)."""
    jax = require("jax", extra="jax", for_="giving tensors as jax.Array")
    return jax.device_put(array, device)


def to_framework(array: Any, framework: str | None, device: Any) -> Any:
    """`array` as the named framework has it ("numpy", "torch", "jax"), on `device`."""
    if framework in (None, "numpy"):
        return array
    if framework == "torch":
        return to_torch(array, device=device)
    if framework == "jax":
        return to_jax(array, device=device)
    raise UnsupportedDataError(f"framework={framework!r} is not known; use 'numpy', 'torch' or 'jax'.")
