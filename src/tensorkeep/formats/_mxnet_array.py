"""One NDArray as MXNet writes it: in a list file many stand one behind the other, in a pickle one is the whole payload.

    u32 0xF993FACA (V3) or 0xF993FAC9 (V2)      0xF993FAC8 is V1; any other value is V0's number of dimensions
    i32 storage type                            0 dense, 1 row_sparse, 2 csr (V2 and V3)
    [shape of the stored values]                sparse only
    shape                                       i32 ndim, ndim × i64 (V0: ndim × u32); a "none" array ends here
    i32 device type, i32 device id
    i32 element type
    [i32 type, shape] of each index array       sparse only; csr: row pointer, then indices
    values | index arrays                       C order, little-endian, no padding

Source: NDArray::Save and NDArray::Load in src/ndarray/ndarray.cc of MXNet 1.9.1; compared with files of 0.10 to 2.0.
"""

from __future__ import annotations

import struct
from math import prod

from tensorkeep.core.bounds import MAX_NDIM, checked_nbytes
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.dtypes import DTYPES, DType
from tensorkeep.core.tensor import Extent, SparseTensor, Tensor
from tensorkeep.errors import CorruptFileError, LimitError, UnsupportedFormatError

__all__ = [
    "HEADER_NBYTES",
    "CutError",
    "Dense",
    "Leaf",
    "code_of",
    "dense_header",
    "find_dense",
    "make_dense",
    "none_header",
    "read_array",
    "sparse_header",
]

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_VERSIONS = frozenset({V2, V3})

HEADER_NBYTES = 2304
"""At least as long as any array's header: a csr one of 64 dimensions in each of its four shapes takes 2,100 bytes."""

TYPES: tuple[DType, ...] = tuple(
    DTYPES[name]
    for name in (
        *("float32", "float64", "float16", "uint8", "int32", "int8", "int64"),
        *("bool", "int16", "uint16", "uint32", "uint64", "bfloat16"),
    )
)
"""The element type of each code (mshadow/base.h)."""

_CODES = {dtype: code for code, dtype in enumerate(TYPES)}
_ITEMSIZES = tuple(dtype.itemsize for dtype in TYPES)

_CPU = (1, 0)
_HEAD = struct.Struct("<Iii")
_U32 = struct.Struct("<I")
_I32 = struct.Struct("<i")
_TAIL = struct.Struct("<3i")
_BODIES = tuple(struct.Struct(f"<{ndim}q3i") for ndim in range(MAX_NDIM + 1))

_SPARSE = {1: ("row_sparse", ("indices",)), 2: ("csr", ("indptr", "indices"))}
_SPARSE_CODES = {"row_sparse": 1, "csr": 2}

Leaf = Tensor | SparseTensor | None
"""What an array is to us; None for a "none" array."""


class CutError(Exception):
    """The bytes end inside the array; never leaves the formats: callers say which array and what is whole."""


Dense = tuple[tuple[int, ...], int, int, int]
"""A dense array that was found and not yet made a Tensor: shape, type code, offset of the values, their bytes."""


def find_dense(window: bytes, at: int, base: int) -> Dense | None:
    """The dense array of version 2 or 3 at `window[at]`, as a cheap record; None for what `read_array` must look at.

    Whether its values lie inside the file is for the caller to check.
    """
    try:
        magic, stype, ndim = _HEAD.unpack_from(window, at)
        if stype or not 0 < ndim <= MAX_NDIM or magic not in _VERSIONS:
            return None
        body = _BODIES[ndim].unpack_from(window, at + 12)
    except struct.error:
        return None
    shape, code = body[:ndim], body[-1]
    if min(shape) <= 0 or not 0 <= code <= 12 or body[-3] != 1 or body[-2]:
        return None
    return shape, code, base + at + 24 + 8 * ndim, prod(shape) * _ITEMSIZES[code]


def make_dense(found: Dense, source: ByteSource) -> Tensor:
    """The Tensor of a record that `find_dense` gave."""
    shape, code, offset, nbytes = found
    return Tensor(shape, TYPES[code], extent=Extent(source, offset, nbytes))


def read_array(window: bytes, at: int, base: int, source: ByteSource) -> tuple[Leaf, int, int, tuple[int, int]]:
    """The array whose header begins at `window[at]`, where `window` holds the bytes of `source` from `base` on.

    The window must reach HEADER_NBYTES behind `at`, or to the end of the source.

    Returns:
        The Tensor (of an Extent; nothing is read), SparseTensor or None, the offset behind it, the version (0 to 3),
        the device (type, id).
    Raises:
        CutError: the source ends inside it.
        CorruptFileError, LimitError, UnsupportedFormatError: what is wrong with it; the text begins with where.
    """
    try:
        return _Reader(window, at, base, source).array()
    except struct.error:
        raise CutError from None


class _Reader:
    """Reads every version, storage type and strange shape."""

    __slots__ = ("at", "base", "source", "start", "window")

    def __init__(self, window: bytes, at: int, base: int, source: ByteSource) -> None:
        self.window = window
        self.at = at
        self.start = at
        self.base = base
        self.source = source

    @property
    def where(self) -> str:
        return f"{self.source.name}: the array at byte {self.base + self.start}"

    def array(self) -> tuple[Leaf, int, int, tuple[int, int]]:
        magic = self.u32()
        if magic in (V2, V3):
            return self.versioned(3 if magic == V3 else 2)
        if magic == V1:
            dims = self.shape("its shape")
            return self.dense(dims, 1) if dims else (None, self.base + self.at, 1, _CPU)
        if magic > MAX_NDIM:
            raise CorruptFileError(
                f"{self.where} begins with 0x{magic:08X}, which is neither a version (0xF993FAC8 to 0xF993FACA) nor "
                f"a number of dimensions up to {MAX_NDIM}. The file is damaged there, or hostile."
            )
        dims = struct.unpack_from(f"<{magic}I", self.window, self.at)
        self.at += 4 * magic
        return self.dense(dims, 0) if magic else (None, self.base + self.at, 0, _CPU)

    def versioned(self, version: int) -> tuple[Leaf, int, int, tuple[int, int]]:
        stype = self.i32()
        if stype not in (0, 1, 2):
            raise UnsupportedFormatError(
                f"{self.where} has storage type {stype}; 0 (dense), 1 (row_sparse) and 2 (csr) exist. The file is "
                "damaged."
            )
        if stype and version == 3:
            raise CorruptFileError(
                f"{self.where} is version 3 with storage type {stype}; MXNet writes only dense arrays (0) so. The "
                "file is damaged."
            )
        stored = self.shape("the shape of its values") if stype else ()
        shape = self.shape("its shape", lowest=-1 if version == 3 else 0)
        if -1 in shape or (version == 2 and not shape):
            return None, self.base + self.at, version, _CPU
        return self.sparse(stype, stored, shape) if stype else self.dense(shape, version)

    def dense(self, shape: tuple[int, ...], version: int) -> tuple[Leaf, int, int, tuple[int, int]]:
        device, dtype = self.device_and_type()
        tensor, end = self.tensor(shape, dtype, self.base + self.at)
        return tensor, end, version, device

    def sparse(
        self, stype: int, stored: tuple[int, ...], shape: tuple[int, ...]
    ) -> tuple[Leaf, int, int, tuple[int, int]]:
        kind, index_names = _SPARSE[stype]
        device, dtype = self.device_and_type()
        specs = []
        for name in index_names:
            index_type = self.dtype(self.i32())
            if index_type.kind not in ("int", "uint"):
                raise CorruptFileError(
                    f"{self.where} ({kind}) has {name} of type {index_type}, not integers. The file is damaged."
                )
            specs.append((name, self.shape(f"the shape of its {name}"), index_type))
        self.check_parts(kind, shape, stored, {name: dims for name, dims, _ in specs})
        data, end = self.tensor(stored, dtype, self.base + self.at)
        parts = {}
        for name, dims, index_type in specs:
            parts[name], end = self.tensor(dims, index_type, end)
        return SparseTensor(kind, shape, data, **parts), end, 2, device

    def check_parts(
        self,
        kind: str,
        shape: tuple[int, ...],
        stored: tuple[int, ...],
        parts: dict[str, tuple[int, ...]],
    ) -> None:
        """The lengths that the header gives must agree; the indices themselves are checked when they are read."""
        indices = parts["indices"]
        if kind == "csr":
            good = len(shape) == 2 and len(stored) == 1 and indices == stored and parts["indptr"] == (shape[0] + 1,)
        else:
            good = len(indices) == 1 and stored == (*indices, *shape[1:]) and indices[0] <= shape[0]
        if not good:
            raise CorruptFileError(
                f"{self.where} is {kind} of shape {shape}, with values of shape {stored} and "
                + ", ".join(f"{name} of shape {dims}" for name, dims in parts.items())
                + ": they do not fit together. The file is damaged or hostile."
            )

    def tensor(self, shape: tuple[int, ...], dtype: DType, offset: int) -> tuple[Tensor, int]:
        nbytes = checked_nbytes(shape, dtype.bits, what=self.where)
        if offset + nbytes > self.source.size:
            raise CutError
        return Tensor(shape, dtype, extent=Extent(self.source, offset, nbytes)), offset + nbytes

    def device_and_type(self) -> tuple[tuple[int, int], DType]:
        device_type, device_id, code = _TAIL.unpack_from(self.window, self.at)
        self.at += 12
        return (device_type, device_id), self.dtype(code)

    def dtype(self, code: int) -> DType:
        if not 0 <= code < len(TYPES):
            raise UnsupportedFormatError(
                f"{self.where} has elements of type code {code}; codes 0 to {len(TYPES) - 1} exist. The file is "
                "damaged, or newer than MXNet 2.0."
            )
        return TYPES[code]

    def shape(self, what: str, *, lowest: int = 0) -> tuple[int, ...]:
        """A shape. With `lowest` -1, dimensions may be -1; an unknown number of dimensions is the shape (-1,)."""
        ndim = self.i32()
        if ndim == -1 and lowest == -1:
            return (-1,)
        if ndim < 0:
            raise CorruptFileError(f"{self.where}: {what} has {ndim} dimensions. The file is damaged.")
        if ndim > MAX_NDIM:
            raise LimitError(
                f"{self.where}: {what} has {ndim} dimensions; at most {MAX_NDIM} are read. The file is damaged or "
                "hostile."
            )
        dims = struct.unpack_from(f"<{ndim}q", self.window, self.at)
        self.at += 8 * ndim
        if min(dims, default=0) < lowest:
            raise CorruptFileError(f"{self.where}: {what} has a dimension of {min(dims)}. The file is damaged.")
        return dims

    def u32(self) -> int:
        value: int = _U32.unpack_from(self.window, self.at)[0]
        self.at += 4
        return value

    def i32(self) -> int:
        value: int = _I32.unpack_from(self.window, self.at)[0]
        self.at += 4
        return value


def code_of(dtype: DType) -> int | None:
    """MXNet's code of an element type; None when it has none."""
    return _CODES.get(dtype)


def dense_header(shape: tuple[int, ...], dtype: DType, version: int, device: tuple[int, int] = _CPU) -> bytes:
    """What stands before the values of a dense array, version 2 or 3; on cpu(0) unless a device (type, id) is given."""
    magic = V3 if version == 3 else V2
    return _HEAD.pack(magic, 0, len(shape)) + _BODIES[len(shape)].pack(*shape, *device, _CODES[dtype])


def none_header(version: int) -> bytes:
    """All of a "none" array: no dimensions; in V3, where that is a number, one unknown dimension."""
    # An unknown number of dimensions (-1) means the same, but reading it back crashes MXNet 1.9.1.
    return _HEAD.pack(V3, 0, 1) + struct.pack("<q", -1) if version == 3 else _HEAD.pack(V2, 0, 0)


def sparse_header(sparse: SparseTensor, device: tuple[int, int] = _CPU) -> bytes:
    """What stands before the values of a sparse array (version 2) whose index parts are int64."""
    index_names = _SPARSE[_SPARSE_CODES[sparse.kind]][1]
    out = [_U32.pack(V2), _I32.pack(_SPARSE_CODES[sparse.kind]), _shape(sparse.data.shape), _shape(sparse.shape)]
    out.append(_TAIL.pack(*device, _CODES[sparse.data.dtype]))
    for name in index_names:
        out += [_I32.pack(_CODES[DTYPES["int64"]]), _shape(getattr(sparse, name).shape)]
    return b"".join(out)


def _shape(dims: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(dims)}q", len(dims), *dims)
