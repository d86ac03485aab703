"""nd.save, nd.load and the creation functions that know every storage type."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._files import load_arrays, load_buffer, save_arrays
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.ndarray import _creation, sparse
from tensorkeep.mxnet.ndarray.ndarray import NDArray, is_np

__all__ = ["array", "empty", "load", "load_frombuffer", "save", "zeros"]


def zeros(
    shape: Any, ctx: Context | None = None, dtype: Any = None, stype: str | None = None, **kwargs: Any
) -> NDArray:
    """An array of zeros; float32, on the current context and dense by default.

    Args:
        stype: "default", "row_sparse" or "csr".
    """
    if stype is None or stype == "default":
        return _creation.zeros(shape, ctx, dtype, **kwargs)
    return sparse.zeros(stype, shape, ctx, dtype, **kwargs)


def empty(shape: Any, ctx: Context | None = None, dtype: Any = None, stype: str | None = None) -> NDArray:
    """An array whose values are whatever the memory held; a sparse one holds zeros."""
    if stype is None or stype == "default":
        return _creation.empty(shape, ctx, dtype)
    return sparse.empty(stype, shape, ctx, dtype)


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A copy of anything like an array: float32 unless `dtype` says otherwise, or `source_array` is an NDArray.

    A sparse NDArray and a scipy CSR matrix stay sparse.
    """
    if sparse.is_scipy_csr(source_array) or (isinstance(source_array, NDArray) and source_array.stype != "default"):
        return sparse.array(source_array, ctx=ctx, dtype=dtype)
    return _creation.array(source_array, ctx=ctx, dtype=dtype)


def save(fname: str, data: Any) -> None:
    """Write an array, a list of arrays or a dict of arrays by name to a file that MXNet reads.

    The file is whole or as it was before: the bytes take its name only once they are on the disk.

    Raises:
        TypeError, ValueError: `data` is something else, or holds arrays of mx.np, which npx.save writes.
        MXNetError: the file cannot be made there.
    """
    if not isinstance(fname, str):
        raise TypeError("fname required to be a string")
    if isinstance(data, NDArray):
        data = [data]
    if isinstance(data, dict):
        values = list(data.values())
        if not all(isinstance(name, str) for name in data):
            raise TypeError("save only accept dict str->NDArray or list of NDArray")
    elif isinstance(data, list):
        values = data
    else:
        raise ValueError("data needs to either be a NDArray, dict of str, NDArray pairs or a list of NDarrays.")
    if not all(isinstance(value, NDArray) for value in values):
        raise TypeError("save only accept dict str->NDArray or list of NDArray")
    if any(is_np(value) for value in values):
        raise TypeError("cannot save mxnet.numpy.ndarray using mxnet.ndarray.save; use mxnet.numpy.save instead.")
    save_arrays(fname, data)


def load(fname: str) -> Any:
    """The arrays of a file that save() or MXNet wrote: a dict by name, or a list when it has no names.

    Raises:
        TypeError: `fname` is no string.
        MXNetError: there is no such file, it is damaged, or was saved under the other shape semantics.
    """
    if not isinstance(fname, str):
        raise TypeError("fname required to be a string")
    return load_arrays(fname, NDArray)


def load_frombuffer(buf: Any) -> Any:
    """What load() gives, from the bytes of a file.

    Raises:
        TypeError: `buf` is neither bytes nor a string.
        MXNetError: the bytes are damaged, or were saved under the other shape semantics.
    """
    if not isinstance(buf, (str, bytes)):
        raise TypeError("buf required to be a string or bytes")
    return load_buffer(buf.encode("latin-1", "replace") if isinstance(buf, str) else buf, NDArray)


claim(globals())
