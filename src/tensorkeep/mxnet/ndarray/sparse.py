"""nd.sparse: CSR matrices and arrays that store only some of their rows.

What has a rule in `_sparse_rules` stays sparse, as in MXNet; every other operator is given the dense values.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.tensor import SparseTensor
from tensorkeep.mxnet._dtypes import torch_of
from tensorkeep.mxnet._faces import serve
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet.base import MXNetError, NotSupportedForSparseNDArray, claim
from tensorkeep.mxnet.context import Context, parse_context
from tensorkeep.mxnet.ndarray import _creation
from tensorkeep.mxnet.ndarray import ndarray as dense
from tensorkeep.mxnet.ndarray._arithmetic import NUMBERS
from tensorkeep.mxnet.ndarray.ndarray import NDArray, call

__all__ = [
    "BaseSparseNDArray", "CSRNDArray", "RowSparseNDArray", "add", "array", "csr_matrix", "divide", "empty", "multiply",
    "retain", "row_sparse_array", "subtract", "zeros",
]  # fmt: skip


class BaseSparseNDArray(NDArray):
    """What CSRNDArray and RowSparseNDArray have in common.

    Attributes:
        _parts: the tensors of the values and of the int64 indices; of a CSR matrix also the row pointer.
    """

    __slots__ = ("_parts", "_shape")

    _parts: tuple[torch.Tensor, ...]
    _shape: tuple[int, ...]
    _kind = ""

    def __init__(self, handle: None = None, writable: bool = True) -> None:
        # Pickle makes an array of None and fills it; others come from `from_parts`.
        self._shape, self._parts = (), ()
        self._ctx = parse_context(None)
        self._grad = None

    @property
    def _t(self) -> torch.Tensor:
        """All values, densely, where dense arrays have a slot: what operators without a rule compute with."""
        return self._dense()

    @_t.setter
    def _t(self, tensor: torch.Tensor) -> None:
        self._fill(tensor)

    def _dense(self) -> torch.Tensor:
        raise NotImplementedError

    def _fill(self, tensor: torch.Tensor) -> None:
        """Take the values of a dense tensor."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""
        return self._shape

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self._shape)

    @property
    def size(self) -> int:
        """Not defined for sparse arrays."""
        raise NotImplementedError

    @property
    def dtype(self) -> Any:
        """NumPy's class of its elements."""
        return self.data.dtype

    @property
    def stype(self) -> str:
        """How it is stored: "row_sparse" or "csr"."""
        return self._kind

    @property
    def data(self) -> NDArray:
        """The values that are stored."""
        return wrap(self._parts[0], self._ctx, NDArray)

    @property
    def indices(self) -> NDArray:
        """Where they stand: the columns of a CSR matrix, the rows of a row_sparse array."""
        return wrap(self._parts[1], self._ctx, NDArray)

    def to_sparse_tensor(self) -> SparseTensor:
        """Its parts as tensorkeep's SparseTensor, without a copy on the CPU."""
        parts = [as_tensor(part.detach().cpu().contiguous()) for part in self._parts]
        return SparseTensor(self._kind, self._shape, *parts)

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """All its values, the zeros included, as a NumPy array."""
        return wrap(self._t, self._ctx, NDArray).asnumpy()

    def _with(self, *parts: torch.Tensor, ctx: Context | None = None) -> Any:
        return from_parts(self._kind, self._shape, *parts, ctx=ctx or self._ctx)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """A copy with another dtype; the array itself when copy=False and the dtype is its own."""
        target = torch_of(dtype)
        if not copy and target is self._parts[0].dtype:
            return self
        return self._with(self._parts[0].to(target, copy=True), *[part.clone() for part in self._parts[1:]])

    def copyto(self, other: Any) -> Any:
        """Its values in another array of the same storage type or a dense one, or in a new one on a device."""
        if isinstance(other, Context):
            device = other.torch_device
            return self._with(*[part.detach().to(device, copy=True) for part in self._parts], ctx=other)
        if not isinstance(other, NDArray):
            raise TypeError(f"copyto does not support type {type(other)}")
        if other is self:
            warnings.warn("You are attempting to copy an array to itself", RuntimeWarning, stacklevel=2)
            return False
        if other.stype not in ("default", self._kind):
            raise TypeError(f"copyto does not support destination NDArray stype {other.stype}")
        if other.shape != self._shape:
            raise MXNetError(f"Operator _copyto: out= has shape {other.shape}, the array {self._shape}.")
        if isinstance(other, BaseSparseNDArray):
            other._parts = (self._parts[0].to(other._parts[0].dtype, copy=True), *[p.clone() for p in self._parts[1:]])
        else:
            other[:] = wrap(self._t, self._ctx, NDArray)
        return other

    def detach(self) -> Any:
        """The same memory without gradient."""
        return self._with(*self._parts)

    def tostype(self, stype: str) -> Any:
        """The values in another storage type; a copy when it is the same one."""
        if stype == "default":
            return wrap(self._t, self._ctx, NDArray)
        if stype != self._kind:
            raise ValueError(f"cast_storage from {self._kind} to {stype} is not supported")
        return self.copy()

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """Not there for sparse arrays."""
        raise NotSupportedForSparseNDArray(self.reshape, None, shape)

    def check_format(self, full_check: bool = True) -> None:
        """Raise MXNetError unless the indices fit the shape; `full_check` looks at every one of them."""
        error = _format_error(self, full_check)
        if error:
            raise MXNetError(f"Check failed: {error}")

    @property
    def _num_aux(self) -> int:
        return len(self._parts) - 1

    @property
    def _aux_types(self) -> list[Any]:
        return [np.int64] * self._num_aux

    def __repr__(self) -> str:
        return f"\n<{type(self).__name__} {'x'.join(map(str, self._shape))} @{self._ctx}>"

    def __len__(self) -> int:
        return self._shape[0]

    def __iter__(self) -> Any:
        return iter([self[i] for i in range(len(self))])

    def __setitem__(self, key: Any, value: Any) -> None:
        if key != slice(None):
            raise ValueError(f"Assignment with slice for {type(self).__name__} is not implemented yet.")
        if isinstance(value, NDArray):
            if value is not self:
                value.copyto(self) if isinstance(value, BaseSparseNDArray) else self._fill(value._t.detach())
        elif isinstance(value, np.ndarray):
            warnings.warn(
                f"Assigning non-NDArray object to {type(self).__name__} is not efficient", RuntimeWarning, stacklevel=2
            )
            self._fill(_creation.array(value, dtype=self.dtype)._t)
        elif isinstance(value, NUMBERS) and self._kind == "row_sparse":
            self._fill(torch.full_like(self._t, float(value)))
        elif isinstance(value, NUMBERS):
            raise ValueError("Assigning numeric types to CSRNDArray is not implemented yet.")
        else:
            raise TypeError(f"type {type(value)} not supported")


class CSRNDArray(BaseSparseNDArray):
    """A matrix of which only some elements are stored, row after row."""

    __slots__ = ()
    _kind = "csr"

    @property
    def indptr(self) -> NDArray:
        """Where each row begins among the values, and where the last one ends."""
        return wrap(self._parts[2], self._ctx, NDArray)

    def _dense(self) -> torch.Tensor:
        data, indices, _ = self._parts
        dense = torch.zeros(self._shape, dtype=data.dtype, device=data.device)
        dense.index_put_((self._rows(), indices), data, accumulate=False)
        return dense

    def _rows(self) -> torch.Tensor:
        indptr = self._parts[2]
        return torch.repeat_interleave(torch.arange(self._shape[0], device=indptr.device), indptr.diff())

    def _fill(self, tensor: torch.Tensor) -> None:
        self._parts = csr_parts(tensor.to(self._parts[0].dtype))

    def asscipy(self) -> Any:
        """A scipy.sparse.csr_matrix with a copy of its values."""
        from tensorkeep._optional import require

        sparse = require("scipy.sparse", extra="scipy", for_="CSRNDArray.asscipy()")
        parts = [part.asnumpy() for part in (self.data, self.indices, self.indptr)]
        return sparse.csr_matrix(tuple(parts), shape=self._shape, dtype=self.dtype)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int):
            start = self._shape[0] - 1 if key == -1 else key
            return self._cut(start, start + 1)
        if isinstance(key, slice):
            if key.step is not None:
                raise ValueError("CSRNDArray only supports continuous slicing on axis 0")
            if key.start is None and key.stop is None:
                return self
            return self._cut(key.start or 0, key.stop or self._shape[0])
        if isinstance(key, tuple):
            raise ValueError("Multi-dimension indexing is not supported")
        raise ValueError(f"Undefined behaviour for {key}")

    def _cut(self, start: int, stop: int) -> CSRNDArray:
        """The rows from `start` to `stop`."""
        rows = self._shape[0]
        first, last, _ = slice(start, stop or None if stop <= 0 and start < 0 else stop).indices(rows)
        if first >= last:
            raise IndexError(f"rows {start} to {stop} are not among the {rows} rows of the matrix")
        data, indices, indptr = self._parts
        low, high = int(indptr[first]), int(indptr[last])
        parts = data[low:high].clone(), indices[low:high].clone(), indptr[first : last + 1] - low
        return from_parts("csr", (last - first, self._shape[1]), *parts, ctx=self._ctx)


class RowSparseNDArray(BaseSparseNDArray):
    """An array of which only some rows are stored; the others are zero."""

    __slots__ = ()
    _kind = "row_sparse"

    def _dense(self) -> torch.Tensor:
        data, indices = self._parts
        dense = torch.zeros(self._shape, dtype=data.dtype, device=data.device)
        dense[indices] = data
        return dense

    def _fill(self, tensor: torch.Tensor) -> None:
        self._parts = row_parts(tensor.to(self._parts[0].dtype))

    def retain(self, *args: Any, **kwargs: Any) -> Any:
        """Only the rows that are named in the last argument: `r.retain(indices)` and MXNet's `r.retain(r, indices)`."""
        return retain(self, kwargs["indices"] if "indices" in kwargs else args[-1])

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            if key != slice(None):
                raise IndexError("RowSparseNDArray only supports [:] for __getitem__")
            return self
        if isinstance(key, int):
            raise IndexError("__getitem__ with int key is not implemented for RowSparseNDArray yet")
        if isinstance(key, tuple):
            raise ValueError("Multi-dimension indexing is not supported")
        raise ValueError(f"Undefined behaviour for {key}")


_CLASSES: dict[str, Any] = {"csr": CSRNDArray, "row_sparse": RowSparseNDArray}


def from_parts(
    kind: str,
    shape: tuple[int, ...],
    data: torch.Tensor,
    indices: torch.Tensor,
    indptr: torch.Tensor | None = None,
    *,
    ctx: Context,
) -> Any:
    """A sparse array of tensors, which it keeps.

    Raises:
        MXNetError: an index lies outside the shape.
    """
    array = _CLASSES[kind]()
    array._shape = tuple(int(n) for n in shape)
    array._parts = (data, *[part.to(torch.int64) for part in (indices, indptr) if part is not None])
    array._ctx = ctx
    error = _format_error(array, True, ordered=False)
    if error:
        raise MXNetError(f"Check failed: {error}")
    return array


def _format_error(array: BaseSparseNDArray, full: bool, ordered: bool = True) -> str:
    """What is wrong with the indices of an array; "" when nothing is."""
    data, indices = array._parts[:2]
    rows = array._shape[0]
    if array._kind == "csr":
        indptr = array._parts[2]
        if (
            len(array._shape) != 2
            or tuple(indptr.shape) != (rows + 1,)
            or data.shape != indices.shape
            or data.dim() != 1
        ):
            return "CSRNDArray: the shapes of data, indices and indptr do not fit"
        if int(indptr[0]) or int(indptr[-1]) != len(indices) or bool((indptr.diff() < 0).any()):
            return "kCSRIndPtrErr: indptr begins with 0, rises, and ends with the number of values"
        limit = array._shape[1]
        if full and ordered and len(indices) > 1:
            new_row = torch.zeros(len(indices), dtype=torch.bool, device=indices.device)
            new_row[indptr[1:-1][indptr[1:-1] < len(indices)]] = True
            if bool(((indices.diff() <= 0) & ~new_row[1:]).any()):
                return "kCSRIdxErr: the indices of a row rise"
    else:
        if indices.dim() != 1 or tuple(data.shape) != (len(indices), *array._shape[1:]):
            return "RowSparseNDArray: the shapes of data and indices do not fit"
        limit = rows
        if full and ordered and bool((indices.diff() <= 0).any()):
            return "kRSPIdxErr: the indices of the rows rise"
    if full and indices.numel() and (int(indices.min()) < 0 or int(indices.max()) >= limit):
        return f"an index lies outside 0 to {limit - 1}"
    return ""


def csr_parts(dense: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
    """Values, columns and row pointer of a dense matrix; what `mask` (or being non-zero) says is stored."""
    mask = dense != 0 if mask is None else mask
    counts = torch.zeros(dense.shape[0] + 1, dtype=torch.int64, device=dense.device)
    counts[1:] = mask.sum(1).cumsum(0)
    return dense[mask], mask.nonzero()[:, 1], counts


def row_parts(dense: torch.Tensor, rows: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
    """The rows of a dense array that are not all zero (or those that the mask `rows` says), and their numbers."""
    rows = (dense != 0).flatten(1).any(1) if rows is None else rows
    indices = rows.nonzero()[:, 0]
    return dense[indices], indices


def cast_storage(data: NDArray, stype: str = "default", out: Any = None, name: Any = None) -> Any:
    """The values in another storage type: "default", "row_sparse" or "csr".

    Raises:
        ValueError: to csr from something that is no matrix, or between the two sparse types.
    """
    found = data.tostype(stype)
    if out is None:
        return found
    return found.copyto(out)


def to_sparse(array: NDArray, stype: str) -> Any:
    """A dense array as a sparse one.

    Raises:
        ValueError, MXNetError: it is no matrix, or there is no such storage type.
    """
    tensor = array._t.detach()
    if stype == "csr":
        if tensor.dim() != 2:
            raise ValueError(
                f"To convert to a CSR, the NDArray should be 2 Dimensional. Current shape is {tuple(tensor.shape)}"
            )
        return from_parts("csr", tuple(tensor.shape), *csr_parts(tensor), ctx=array._ctx)
    if stype == "row_sparse":
        if tensor.dim() < 2:
            tensor_rows = tensor.reshape(-1, 1)
            data, indices = row_parts(tensor_rows)
            return from_parts("row_sparse", tuple(tensor.shape), data.reshape(-1), indices, ctx=array._ctx)
        return from_parts("row_sparse", tuple(tensor.shape), *row_parts(tensor), ctx=array._ctx)
    raise MXNetError(
        f"Invalid Input: '{stype}', valid values are: {{'csr', 'default', 'row_sparse'}}, "
        f'in operator cast_storage(name="", stype="{stype}")'
    )


def zeros(stype: str, shape: Any, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An array of zeros of the storage type `stype`: nothing is stored."""
    if stype == "default":
        return _creation.zeros(shape, ctx, dtype, **kwargs)
    if stype not in _CLASSES:
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
    if stype not in _CLASSES:
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


def retain(data: Any, indices: NDArray, out: Any = None, name: Any = None) -> Any:
    """Of a row_sparse array the rows named by `indices`; those that are not stored are zero.

    Raises:
        MXNetError: it is not row_sparse.
    """
    if not isinstance(data, RowSparseNDArray):
        raise MXNetError("sparse_retain takes a row_sparse array")
    wanted = indices._t.detach().to(torch.int64)
    found = from_parts("row_sparse", data._shape, data._dense()[wanted], wanted, ctx=data._ctx)
    return found if out is None else found.copyto(out)


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
