"""nd.sparse: CSR matrices and arrays that store only some of their rows.

What has a rule in `_sparse_rules` stays sparse, as in MXNet; every other operator is given the dense values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import torch_of
from tensorkeep.mxnet._faces import serve
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, parse_context
from tensorkeep.mxnet.ndarray import _creation
from tensorkeep.mxnet.ndarray import ndarray as dense
from tensorkeep.mxnet.ndarray._sparse_array import (
    BaseSparseNDArray,
    CSRNDArray,
    RowSparseNDArray,
    from_parts,
    retain,
    to_sparse,
)  # fmt: skip
from tensorkeep.mxnet.ndarray.ndarray import NDArray, call

__all__ = [
    "BaseSparseNDArray", "CSRNDArray", "RowSparseNDArray", "add", "array", "cast_storage", "csr_matrix", "divide", "empty",
    "from_parts", "multiply", "retain", "row_sparse_array", "subtract", "to_sparse", "zeros",
]  # fmt: skip


def cast_storage(data: NDArray, stype: str = "default", out: Any = None, name: Any = None) -> Any:
    """The values in another storage type: "default", "row_sparse" or "csr".

    Raises:
        ValueError: to csr from something that is no matrix, or between the two sparse types.
    """
    found = data.tostype(stype)
    if out is None:
        return found
    return found.copyto(out)


def zeros(stype: str, shape: Any, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An array of zeros of the storage type `stype`: nothing is stored."""
    if stype == "default":
        return _creation.zeros(shape, ctx, dtype, **kwargs)
    if stype not in ("csr", "row_sparse"):
        raise ValueError(f"unknown storage type{stype}")
    dims = (shape,) if isinstance(shape, int) else tuple(shape)
    ctx = parse_context(ctx)
    device, kind = ctx.torch_device, torch_of(dtype or "float32")
    empty_indices = torch.zeros(0, dtype=torch.int64, device=device)
    if stype == "csr":
        indptr = torch.zeros(dims[0] + 1, dtype=torch.int64, device=device)
        return from_parts(stype, dims, torch.zeros(0, dtype=kind, device=device), empty_indices, indptr, ctx=ctx)
    data = torch.zeros((0, *dims[1:]), dtype=kind, device=device)
    return from_parts(stype, dims, data, empty_indices, ctx=ctx)


def empty(stype: str, shape: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """What zeros() gives."""
    if stype not in ("csr", "row_sparse"):
        raise ValueError(f"unknown stype : {stype}")
    return zeros(stype, shape, ctx, dtype)


def is_scipy_csr(value: Any) -> bool:
    """Whether it is a CSR matrix or array of scipy, which is not imported to find out."""
    return type(value).__module__.startswith("scipy.sparse") and getattr(value, "format", "") == "csr"


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> Any:
    """A copy of a sparse NDArray, or of a CSR matrix of scipy.

    Raises:
        ValueError, AssertionError: it is dense.
    """
    ctx = parse_context(ctx)
    if isinstance(source_array, NDArray):
        assert source_array.stype != "default", (
            "Please use `tostype` to create RowSparseNDArray or CSRNDArray from an NDArray"
        )
        return source_array.astype(dtype or source_array.dtype).copyto(ctx)
    if is_scipy_csr(source_array):
        matrix = source_array.sorted_indices()
        matrix.sum_duplicates()
        parts = matrix.data, matrix.indices, matrix.indptr
        return csr_matrix(parts, shape=matrix.shape, dtype=dtype or matrix.dtype, ctx=ctx)
    if isinstance(source_array, (np.ndarray, np.generic)):
        raise ValueError("Please use mx.nd.array to create an NDArray with source_array of type ", type(source_array))
    raise ValueError("Unexpected source_array type: ", type(source_array))


def csr_matrix(arg1: Any, shape: Any = None, ctx: Context | None = None, dtype: Any = None) -> Any:
    """A CSRNDArray: of anything like a matrix, a shape, (data, indices, indptr), or (data, (rows, columns))."""
    if isinstance(arg1, tuple):
        if len(arg1) == 3:
            return _csr_of_parts(*arg1, shape, ctx, dtype)
        if len(arg1) != 2:
            raise ValueError(f"Unexpected length of input tuple: {len(arg1)}")
        if not isinstance(arg1[1], tuple):
            _same_shape(arg1, shape)
            return empty("csr", arg1, ctx, dtype)
        data, (rows, columns) = arg1
        return _csr_of_coordinates(data, rows, columns, shape, ctx, dtype)
    if isinstance(arg1, CSRNDArray) or is_scipy_csr(arg1):
        _same_shape(arg1.shape, shape)
        return array(arg1, ctx=ctx, dtype=dtype)
    if isinstance(arg1, RowSparseNDArray):
        raise ValueError("Unexpected input type: RowSparseNDArray")
    return _of_dense("csr", arg1, shape, ctx, dtype)


def row_sparse_array(arg1: Any, shape: Any = None, ctx: Context | None = None, dtype: Any = None) -> Any:
    """A RowSparseNDArray: of anything like an array, a shape, or (data, indices of the rows)."""
    if isinstance(arg1, tuple):
        if len(arg1) < 2:
            raise ValueError(f"Unexpected length of input tuple: {len(arg1)}")
        if len(arg1) > 2 or all(isinstance(item, (int, np.integer)) for item in arg1):
            _same_shape(arg1, shape)
            return empty("row_sparse", arg1, ctx, dtype)
        data, indices = _values(arg1[0], dtype, ctx), _values(arg1[1], np.int64, ctx)
        if shape is None:
            if not len(indices):
                raise ValueError("invalid shape")
            shape = (int(indices[-1]) + 1, *data.shape[1:])
        if data.dim() != len(shape) or indices.dim() != 1 or 0 in shape[1:]:
            raise ValueError("invalid shape")
        return from_parts("row_sparse", tuple(shape), data, indices, ctx=parse_context(ctx))
    if isinstance(arg1, RowSparseNDArray):
        _same_shape(arg1.shape, shape)
        return array(arg1, ctx=ctx, dtype=dtype)
    if isinstance(arg1, CSRNDArray):
        raise ValueError("Unexpected input type: CSRNDArray")
    return _of_dense("row_sparse", arg1, shape, ctx, dtype)


def _of_dense(stype: str, source: Any, shape: Any, ctx: Context | None, dtype: Any) -> Any:
    if dtype is None:
        dtype = source.dtype if isinstance(source, (NDArray, np.ndarray)) else np.float32
    dense = _creation.array(source, ctx=ctx, dtype=dtype)
    _same_shape(dense.shape, shape)
    return dense.tostype(stype)


def _values(source: Any, dtype: Any, ctx: Context | None) -> torch.Tensor:
    """A new tensor of anything like an array; float32 where neither it nor `dtype` says otherwise."""
    if dtype is None:
        dtype = source.dtype if isinstance(source, (NDArray, np.ndarray)) else np.float32
    return _creation.array(source, ctx=ctx, dtype=dtype)._t


def _csr_of_parts(data: Any, indices: Any, indptr: Any, shape: Any, ctx: Context | None, dtype: Any) -> Any:
    values = _values(data, dtype, ctx)
    columns, starts = _values(indices, np.int64, ctx), _values(indptr, np.int64, ctx)
    if shape is None:
        if not len(columns):
            raise ValueError("invalid shape")
        shape = (len(starts) - 1, int(columns.max()) + 1)
    if values.dim() != 1 or columns.dim() != 1 or starts.dim() != 1 or not len(starts) or len(shape) != 2:
        raise ValueError("invalid shape")
    return from_parts("csr", tuple(shape), values, columns, starts, ctx=parse_context(ctx))


def _csr_of_coordinates(data: Any, rows: Any, columns: Any, shape: Any, ctx: Context | None, dtype: Any) -> Any:
    values = _values(data, dtype, ctx)
    places = torch.stack([_values(rows, np.int64, ctx), _values(columns, np.int64, ctx)])
    if shape is None:
        shape = tuple(int(n) + 1 for n in places.max(1).values)
    summed = torch.sparse_coo_tensor(places, values, tuple(shape), check_invariants=True).coalesce()
    (row, column), counts = summed.indices(), torch.zeros(shape[0] + 1, dtype=torch.int64, device=values.device)
    counts[1:] = torch.bincount(row, minlength=shape[0]).cumsum(0)
    return from_parts("csr", tuple(shape), summed.values(), column, counts, ctx=parse_context(ctx))


def _same_shape(found: Any, wanted: Any) -> None:
    if found and wanted and tuple(found) != tuple(wanted):
        raise ValueError(f"Shape mismatch detected. {found} v.s. {wanted}")


def _elementwise(name: str, same: str) -> Any:
    """nd.sparse.add and so on: arrays of equal shape stay sparse where their zeros do."""
    broadcast = getattr(dense, name)

    def function(lhs: Any, rhs: Any) -> Any:
        if isinstance(lhs, NDArray) and isinstance(rhs, NDArray) and lhs.shape == rhs.shape:
            return call(get(same), [lhs, rhs], {}, None)
        return broadcast(lhs, rhs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name}() of two arrays, or of an array and a number, which stays sparse where its zeros do."
    return function


add = _elementwise("add", "elemwise_add")
subtract = _elementwise("subtract", "elemwise_sub")
multiply = _elementwise("multiply", "elemwise_mul")
divide = _elementwise("divide", "elemwise_div")


def _in_place(function: Any) -> Any:
    def in_place(self: Any, other: Any) -> Any:
        function(self, other).copyto(self)
        return self

    return in_place


for _python, _function in (("add", add), ("sub", subtract), ("mul", multiply)):
    setattr(BaseSparseNDArray, f"__{_python}__", _function)
    setattr(BaseSparseNDArray, f"__i{_python}__", _in_place(_function))
BaseSparseNDArray.__itruediv__ = _in_place(dense.divide)  # type: ignore[attr-defined]  # NDArray's are set the same way

__getattr__, __dir__ = serve(globals(), "sparse", call, "mxnet.ndarray.sparse")

claim(globals())
