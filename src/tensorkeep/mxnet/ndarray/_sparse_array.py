"""The classes of nd.sparse: CSR matrices, and arrays that store only some of their rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.tensor import SparseTensor
from tensorkeep.mxnet._dtypes import torch_of
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, NotSupportedForSparseNDArray, claim
from tensorkeep.mxnet.context import Context, parse_context
from tensorkeep.mxnet.ndarray import _creation
from tensorkeep.mxnet.ndarray._arithmetic import NUMBERS
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "BaseSparseNDArray", "CSRNDArray", "RowSparseNDArray", "csr_parts", "from_parts", "retain", "row_parts", "to_sparse",
]  # fmt: skip


class BaseSparseNDArray(NDArray):
    """What CSRNDArray and RowSparseNDArray have in common.

    Attributes:
        _parts: the tensors of the values and of the int64 indices; of a CSR matrix also the row pointer.
        _collect: of a variable, takes its gradient; None otherwise.
        _leaf: (_parts, their version, all values densely): what is recorded of a variable, as long as it is not changed.
    """

    __slots__ = ("_collect", "_leaf", "_parts", "_shape")

    _collect: Callable[[torch.Tensor], None] | None
    _leaf: tuple[tuple[torch.Tensor, ...], int, torch.Tensor] | None
    _parts: tuple[torch.Tensor, ...]
    _shape: tuple[int, ...]
    _kind = ""

    def __init__(self, handle: None = None, writable: bool = True) -> None:
        # Pickle makes an array of None and fills it; others come from `from_parts`.
        self._shape, self._parts = (), ()
        self._collect = self._leaf = None
        self._ctx = parse_context(None)
        self._grad = None

    @property
    def _t(self) -> torch.Tensor:
        """All values, densely, where dense arrays have a slot: what operators without a rule compute with."""
        if self._collect is not None:
            leaf = self._leaf
            if leaf is not None and leaf[0] is self._parts and leaf[1] == self._parts[0]._version:
                return leaf[2]
            if state.recording:
                dense = self._dense().detach().requires_grad_()
                dense.register_post_accumulate_grad_hook(self._collect)
                self._leaf = (self._parts, self._parts[0]._version, dense)
                return dense
        with torch.set_grad_enabled(state.recording):
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
    if rows is None:
        rows = dense != 0 if dense.dim() == 1 else (dense != 0).flatten(1).any(1)
    indices = rows.nonzero()[:, 0]
    return dense[indices], indices


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
        return from_parts("row_sparse", tuple(tensor.shape), *row_parts(tensor), ctx=array._ctx)
    raise MXNetError(
        f"Invalid Input: '{stype}', valid values are: {{'csr', 'default', 'row_sparse'}}, "
        f'in operator cast_storage(name="", stype="{stype}")'
    )


def retain(data: Any, indices: NDArray | None = None, out: Any = None, name: Any = None, **kwargs: Any) -> Any:
    """Of a row_sparse array the rows named by `indices`; those that are not stored are zero.

    Raises:
        MXNetError: it is not row_sparse.
    """
    if not isinstance(data, RowSparseNDArray):
        raise MXNetError("sparse_retain takes a row_sparse array")
    if indices is None or kwargs:
        raise MXNetError(f"sparse_retain takes an array and indices, not {', '.join(kwargs) or 'one array'}")
    wanted = indices._t.detach().to(torch.int64)
    with torch.set_grad_enabled(state.recording):
        rows = data._t[wanted]
    found = from_parts("row_sparse", data._shape, rows, wanted, ctx=data._ctx)
    return found if out is None else found.copyto(out)


claim(globals(), "mxnet.ndarray.sparse")
