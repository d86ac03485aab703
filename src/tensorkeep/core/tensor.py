"""TensorSpec, Tensor and SparseTensor: shape and dtype, and a way to get the bytes when they are asked for.

A Tensor's bytes lie in one of three places: a range of a ByteSource (`Extent`), an array in memory, or behind a function
that makes them. Nothing is read, computed or copied before a value is asked for.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.dtypes import DType, numpy_dtype
from tensorkeep.core.hashing import Digest
from tensorkeep.errors import CorruptFileError, UnsupportedDataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Extent", "SparseTensor", "Tensor", "TensorSpec", "check_bools", "pack", "unpack"]

_SWAP_NATIVE = sys.byteorder == "big"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and dtype, no data."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def size(self) -> int:
        """The number of elements; 1 for a 0-d tensor."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes the elements take in a file (types below 8 bits packed)."""
        return (self.size * self.dtype.bits + 7) // 8

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class Extent(NamedTuple):
    """A tensor's elements in a ByteSource.

    Attributes:
        source, offset, nbytes: the range of bytes that holds all its elements.
        strides: step between elements along each axis, in elements, all >= 0; None for C order without gaps.
        big_endian: multi-byte elements lie most significant byte first.
    """

    source: ByteSource
    offset: int
    nbytes: int
    strides: tuple[int, ...] | None = None
    big_endian: bool = False

    @property
    def plain(self) -> bool:
        """Whether the range holds just the elements, in C order, little-endian."""
        return self.strides is None and not self.big_endian


class Tensor:
    """A TensorSpec and a way to get its bytes. Made by opening a file; `tk.save` takes it as data.

    `shape`, `dtype`, `nbytes` cost nothing. `numpy()`, indexing and `torch()` read; from an uncompressed local file they
    give read-only views of the mapped file without a copy.
    """

    __slots__ = ("__weakref__", "_array", "_make", "digest", "extent", "shape", "dtype")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DType,
        *,
        extent: Extent | None = None,
        array: Any = None,
        make: Callable[[], Any] | None = None,
        digest: Digest | None = None,
    ) -> None:
        """One of `extent`, `array` (a numpy.ndarray of just this shape and dtype, or an object with
        `blocks(max_nbytes)` and `numpy()` for memory that NumPy cannot see) and `make` (a function that gives such
        an array) is given."""
        self.shape = shape
        self.dtype = dtype
        self.extent = extent
        self._array = array
        self._make = make
        self.digest = digest

    @property
    def spec(self) -> TensorSpec:
        """Shape and dtype as one record."""
        return TensorSpec(self.shape, self.dtype)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements; 1 for a 0-d tensor."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes the elements take in a file (types below 8 bits packed)."""
        return (math.prod(self.shape) * self.dtype.bits + 7) // 8

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a numpy.ndarray of `shape`, native byte order.

        A read-only view of the file where it can be one, else a fresh array. bfloat16, float8 and the types below 8
        bits have ml_dtypes' dtypes.
        """
        if self.extent is not None:
            return _from_extent(self.extent, self.shape, self.dtype)
        if self._array is not None:
            if hasattr(self._array, "blocks"):
                made: np.ndarray[Any, Any] = self._array.numpy()
                return made
            array: np.ndarray[Any, Any] = self._array
            return array
        assert self._make is not None
        result: np.ndarray[Any, Any] = self._make()
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __getitem__(self, index: Any) -> np.ndarray[Any, Any]:
        """The indexed values as NumPy gives them. A leading slice or number reads only the rows that it selects."""
        first = index[0] if isinstance(index, tuple) and index else index
        rest = index[1:] if isinstance(index, tuple) else ()
        ext = self.extent
        if hasattr(self._array, "box") and self.shape and (box := _as_box(index, self.shape)) is not None:
            return cast("np.ndarray[Any, Any]", self._array.box(*box))
        if ext is None or ext.strides is not None or self.dtype.packed or not self.shape:
            return cast("np.ndarray[Any, Any]", self.numpy()[index])
        if isinstance(first, slice) and first.step in (None, 1):
            start, stop, _ = first.indices(self.shape[0])
            rows: np.ndarray[Any, Any] = self._rows(start, max(start, stop))
            return cast("np.ndarray[Any, Any]", rows[(slice(None), *rest)]) if rest else rows
        if isinstance(first, int) and not isinstance(first, bool):
            at = first + self.shape[0] if first < 0 else first
            if not 0 <= at < self.shape[0]:
                raise IndexError(f"index {first} is outside the first axis, which has {self.shape[0]} entries")
            return cast("np.ndarray[Any, Any]", self._rows(at, at + 1)[(0, *rest)])
        return cast("np.ndarray[Any, Any]", self.numpy()[index])

    def _rows(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        assert self.extent is not None
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        offset, nbytes = self.extent.offset + start * row, (stop - start) * row
        part = Extent(self.extent.source, offset, nbytes, big_endian=self.extent.big_endian)
        return _from_extent(part, (stop - start, *self.shape[1:]), self.dtype)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a 0-d tensor has no length")
        return self.shape[0]

    def item(self) -> Any:
        """The only element as a Python number."""
        return self.numpy().item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self.numpy().tolist()

    def torch(self, device: Any = None) -> Any:
        """The values as a torch.Tensor in memory of its own, on `device` (default: CPU). Needs torch."""
        from tensorkeep.core.foreign import to_torch

        return to_torch(self.numpy(), device=device, copy=True)

    def jax(self, device: Any = None) -> Any:
        """The values as a jax.Array. Needs jax."""
        from tensorkeep.core.foreign import to_jax

        return to_jax(self.numpy(), device=device)

    def blocks(self, max_nbytes: int = 4 << 20) -> Iterator[memoryview]:
        """The bytes as a file holds them (C order, little-endian, packed), in pieces of at most `max_nbytes`.

        No more than one piece is copied at a time; contiguous memory is not copied at all.
        """
        if self.extent is not None and self.extent.plain:
            ext = self.extent
            for start in range(0, ext.nbytes, max_nbytes):
                yield ext.source.view(ext.offset + start, min(max_nbytes, ext.nbytes - start))
        elif self._array is not None and hasattr(self._array, "blocks"):
            yield from self._array.blocks(max_nbytes)
        else:
            yield from _array_blocks(self.numpy(), self.dtype, max_nbytes)

    def tobytes(self) -> bytes:
        """All the bytes as a file holds them: C order, little-endian, packed."""
        return b"".join(self.blocks())

    def __repr__(self) -> str:
        return f"Tensor({self.dtype}, shape={self.shape})"


def _as_box(index: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """(start, shape) of what slices without steps select; None of any other index."""
    slices = index if isinstance(index, tuple) else (index,)
    if len(slices) > len(shape) or not all(isinstance(each, slice) and each.step in (None, 1) for each in slices):
        return None
    ranges = [each.indices(n) for each, n in zip(slices, shape, strict=False)]
    rest = shape[len(slices) :]
    start = (*(a for a, _, _ in ranges), *(0 for _ in rest))
    return start, (*(max(b - a, 0) for a, b, _ in ranges), *rest)


def _from_extent(ext: Extent, shape: tuple[int, ...], dtype: DType) -> np.ndarray[Any, Any]:
    import numpy as np

    raw = np.frombuffer(ext.source.view(ext.offset, ext.nbytes), np.uint8)
    if dtype.packed:
        return unpack(raw, shape, dtype)
    item = numpy_dtype(dtype)
    if not raw.size:
        return np.empty(shape, item)
    array: np.ndarray[Any, Any]
    if ext.strides is None:
        array = raw.view(item).reshape(shape)
    else:
        steps = tuple(step * item.itemsize for step in ext.strides)
        array = np.lib.stride_tricks.as_strided(raw.view(item), shape, steps, writeable=False)
    if ext.big_endian != _SWAP_NATIVE and item.itemsize > 1:
        array = array.byteswap()
    if dtype.kind == "bool":
        check_bools(array, what=f"{ext.source.name}: the tensor at byte {ext.offset}")
    return array


def check_bools(array: np.ndarray[Any, Any], *, what: str) -> None:
    """Raise CorruptFileError unless every byte of a bool array is 0 or 1.

    NumPy and torch take both for granted: with a byte of 2 a value is true and equals neither True nor False.
    """
    import numpy as np

    values = array.view(np.uint8)
    if values.size and int(values.max()) > 1:
        raise CorruptFileError(
            f"{what}: a byte of {int(values.max())} stands among booleans, which are 0 or 1. The file is damaged."
        )


def unpack(raw: np.ndarray[Any, Any], shape: tuple[int, ...], dtype: DType) -> np.ndarray[Any, Any]:
    """One byte an element from packed bytes: 2- and 4-bit types, the first element in the lowest bits.

    Raises:
        UnsupportedDataError: a 6-bit type, whose packing no specification fixes; its raw bytes can still be copied.
    """
    import numpy as np

    if dtype.bits not in (2, 4):
        raise UnsupportedDataError(
            f"{dtype}: no specification says how 6-bit elements are packed, so their values cannot be given. "
            "Converting between files keeps their bytes; .tobytes() gives them."
        )
    per_byte = 8 // dtype.bits
    out = np.empty((raw.size, per_byte), np.uint8)
    for i in range(per_byte):
        out[:, i] = (raw >> (dtype.bits * i)) & ((1 << dtype.bits) - 1)
    count = math.prod(shape)
    values = out.reshape(-1)[:count]
    if dtype.kind == "int":  # ml_dtypes keeps the sign in the high bits
        sign = 1 << (dtype.bits - 1)
        values = ((values ^ sign).astype(np.int8) - np.int8(sign)).view(np.uint8)
    result: np.ndarray[Any, Any] = values.view(numpy_dtype(dtype)).reshape(shape)
    return result


def pack(array: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """The packed bytes of a 2- or 4-bit array, the first element in the lowest bits; see `unpack`."""
    import numpy as np

    if dtype.bits not in (2, 4):
        raise UnsupportedDataError(
            f"{dtype}: no specification says how 6-bit elements are packed, so an array of them cannot be written. "
            "Save it as float8_e4m3fn or float16."
        )
    per_byte = 8 // dtype.bits
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8) & ((1 << dtype.bits) - 1)
    flat = np.pad(flat, (0, -flat.size % per_byte)).reshape(-1, per_byte)
    out = np.zeros(len(flat), np.uint8)
    for i in range(per_byte):
        out |= flat[:, i] << (dtype.bits * i)
    return out


def _array_blocks(array: np.ndarray[Any, Any], dtype: DType, max_nbytes: int) -> Iterator[memoryview]:
    import numpy as np

    if dtype.packed:
        array = pack(array, dtype)
    elif array.dtype.byteorder == ">" or (_SWAP_NATIVE and array.itemsize > 1 and array.dtype.byteorder != "<"):
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.flags.c_contiguous:
        flat = array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")
        for start in range(0, flat.nbytes, max_nbytes):
            yield flat[start : start + max_nbytes]
        return
    # Not contiguous: whole rows at a time, or a row's own rows when one is too large.
    row_nbytes = array.nbytes // len(array)
    if row_nbytes > max_nbytes and array.ndim > 1:
        for row in array:
            yield from _array_blocks(row, dtype, max_nbytes)
        return
    step = max(1, max_nbytes // row_nbytes)
    for start in range(0, len(array), step):
        yield np.ascontiguousarray(array[start : start + step]).reshape(-1).view(np.uint8).data


@dataclass(frozen=True, slots=True)
class SparseTensor:
    """A sparse matrix or row-sparse tensor as its parts.

    Attributes:
        kind: "csr" (2-D: `data` (nnz,), `indices` (nnz,), `indptr` (rows + 1,)) or "row_sparse" (`data`
            (rows kept, *shape[1:]), `indices` (rows kept,), no `indptr`), as MXNet has them, or "coo" (torch's: `data`
            (nnz, …), `indices` (sparse dims, nnz)), "csc", "bsr", "bsc".
        shape: of the dense tensor.
        data, indices, indptr: numpy arrays (or Tensors when it came from `tk.open`).
    """

    kind: str
    shape: tuple[int, ...]
    data: Any
    indices: Any
    indptr: Any = None

    @property
    def dtype(self) -> DType:
        """The element type of `data`."""
        return DType.of(self.data.dtype)

    @property
    def nbytes(self) -> int:
        """The bytes of all parts."""
        return sum(int(part.nbytes) for _, part in self.parts())

    @property
    def spec(self) -> TensorSpec:
        """Shape of the dense tensor and dtype."""
        return TensorSpec(self.shape, self.dtype)

    def parts(self) -> list[tuple[str, Any]]:
        """The (name, array) pairs that are there."""
        pairs = [("data", self.data), ("indices", self.indices), ("indptr", self.indptr)]
        return [(name, part) for name, part in pairs if part is not None]

    def to_dense(self) -> np.ndarray[Any, Any]:
        """A fresh dense numpy array; entries that stand twice are added."""
        from tensorkeep.core.sparse import to_dense

        return to_dense(self)

    def to_scipy(self) -> Any:
        """A scipy.sparse array (csr_array; row_sparse and coo become coo_array). Needs scipy; 2-D only."""
        from tensorkeep.core.sparse import to_scipy

        return to_scipy(self)

    def to_torch(self) -> Any:
        """A torch sparse tensor (csr as sparse_csr, row_sparse and coo as hybrid sparse_coo). Needs torch."""
        from tensorkeep.core.sparse import to_torch

        return to_torch(self)
