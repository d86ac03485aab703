"""MXNet list files whose counts, shapes and indices lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tensorkeep.testing.hostile._case import Case

__all__ = ["array", "cases", "listing"]

V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA


def array(
    *,
    magic: int = V2,
    storage: int = 0,
    ndim: int | None = None,
    dims: tuple[int, ...] = (4,),
    code: int = 0,
    data: bytes = bytes(16),
) -> bytes:
    """A dense array; each number may be a lie."""
    shape = struct.pack("<i", len(dims) if ndim is None else ndim) + struct.pack(f"<{len(dims)}q", *dims)
    return struct.pack("<Ii", magic, storage) + shape + struct.pack("<iii", 1, 0, code) + data


def listing(
    arrays: list[bytes], names: list[bytes] | None = None, *, count: int | None = None, name_count: int | None = None
) -> bytes:
    """The list around them."""
    named = [f"a{i}".encode() for i in range(len(arrays))] if names is None else names
    out = struct.pack("<QQQ", 0x112, 0, len(arrays) if count is None else count) + b"".join(arrays)
    out += struct.pack("<Q", len(named) if name_count is None else name_count)
    return out + b"".join(struct.pack("<Q", len(name)) + name for name in named)


def _shape(*dims: int) -> bytes:
    return struct.pack("<i", len(dims)) + struct.pack(f"<{len(dims)}q", *dims)


def csr(
    *,
    shape: tuple[int, ...] = (2, 4),
    indptr: tuple[int, ...] = (0, 1, 3),
    indices: tuple[int, ...] = (0, 1, 3),
    stored: tuple[int, ...] | None = None,
    types: tuple[int, int] = (6, 6),
    indptr_shape: tuple[int, ...] | None = None,
    indices_shape: tuple[int, ...] | None = None,
) -> bytes:
    """A csr array: storage 2, storage shape, shape, context, type, (type, shape) of indptr and indices, data, both."""
    values = (len(indices),) if stored is None else stored
    out = struct.pack("<Ii", V2, 2) + _shape(*values) + _shape(*shape) + struct.pack("<iii", 1, 0, 0)
    out += struct.pack("<i", types[0]) + _shape(*((len(indptr),) if indptr_shape is None else indptr_shape))
    out += struct.pack("<i", types[1]) + _shape(*((len(indices),) if indices_shape is None else indices_shape))
    return (
        out
        + bytes(4 * len(indices))
        + struct.pack(f"<{len(indptr)}q", *indptr)
        + struct.pack(f"<{len(indices)}q", *indices)
    )


def row_sparse(
    *, shape: tuple[int, ...] = (4, 2), indices: tuple[int, ...] = (0, 2), stored: tuple[int, ...] | None = None
) -> bytes:
    """A row_sparse array: storage 1."""
    values = (len(indices), *shape[1:]) if stored is None else stored
    out = struct.pack("<Ii", V2, 1) + _shape(*values) + _shape(*shape) + struct.pack("<iii", 1, 0, 0)
    out += struct.pack("<i", 6) + _shape(len(indices))
    return out + bytes(8 * len(indices)) + struct.pack(f"<{len(indices)}q", *indices)


def cases() -> Iterator[Case]:
    """Counts, dimensions, codes, names and indices."""
    lies: dict[str, tuple[bytes, str]] = {
        "count-more": (listing([array()], count=2), "more arrays than there are"),
        "count-less": (listing([array(), array()], count=1), "fewer arrays than there are"),
        "count-2-40": (listing([array()], count=2**40), "2**40 arrays"),
        "count-2-63": (listing([array()], count=2**63), "2**63 arrays"),
        "count-max": (listing([array()], count=2**64 - 1), "2**64 - 1 arrays"),
        "count-of-nothing": (listing([], [], count=10**9), "10**9 arrays and nothing behind"),
        "ndim-max": (listing([array(ndim=2**31 - 1)]), "2**31 - 1 dimensions"),
        "ndim-negative": (listing([array(ndim=-2)]), "-2 dimensions"),
        "ndim-100": (listing([array(dims=(1,) * 99 + (4,))]), "100 dimensions"),
        "ndim-less": (listing([array(ndim=0)]), "no dimensions, and one follows"),
        "dim-negative": (listing([array(dims=(-4,))]), "a negative dimension"),
        "dim-negative-pair": (listing([array(dims=(-2, -2))]), "negative dimensions whose product fits"),
        "dim-huge": (listing([array(dims=(2**62,))]), "2**62 elements"),
        "dims-wrap": (listing([array(dims=(2**62, 4, 4))]), "a product that wraps around 2**64"),
        "dims-wrap-32": (listing([array(dims=(2**32, 2**32))]), "a product that wraps to 0"),
        "dim-beyond": (listing([array(dims=(5,))]), "more elements than the file has"),
        "code-unknown": (listing([array(code=99)]), "an unknown element type"),
        "code-negative": (listing([array(code=-1)]), "a negative element type"),
        "storage-unknown": (listing([array(storage=7)]), "an unknown storage type"),
        "storage-negative": (listing([array(storage=-2)]), "a negative storage type"),
        "magic-unknown": (
            listing([array(magic=0xF993FACF)]),
            "an unknown version, which would be read as 4 billion dimensions",
        ),
        "magic-small": (listing([array(magic=65)]), "a first version with 65 dimensions"),
        "names-less": (listing([array(), array()], [b"a"]), "fewer names than arrays"),
        "names-more": (listing([array()], [b"a", b"b"]), "more names than arrays"),
        "names-2-60": (listing([array()], name_count=2**60), "2**60 names"),
        "name-beyond": (listing([array()], [])[:-8] + struct.pack("<QQ", 1, 2**60) + b"a", "a name of 2**60 bytes"),
        "name-twice": (listing([array(), array()], [b"a", b"a"]), "a name twice"),
        "name-not-utf8": (listing([array()], [b"\xff\xfe"]), "a name that is no UTF-8"),
        "name-nul": (listing([array()], [b"a\0b"]), "a name with a zero byte"),
        "trailing": (listing([array()]) + b"more", "bytes behind the names"),
        "reserved-only": (struct.pack("<QQ", 0x112, 0), "nothing behind the reserved word"),
        "csr-column": (listing([csr(indices=(0, 1, 4))]), "a column beyond the shape"),
        "csr-column-negative": (listing([csr(indices=(0, 1, -1))]), "a negative column"),
        "csr-column-huge": (listing([csr(indices=(0, 1, 2**62))]), "column 2**62"),
        "csr-indptr-falls": (listing([csr(indptr=(0, 5, 3))]), "a row pointer that falls"),
        "csr-indptr-start": (listing([csr(indptr=(1, 1, 3))]), "a row pointer that does not begin at 0"),
        "csr-indptr-end": (listing([csr(indptr=(0, 1, 4))]), "a row pointer that ends beyond the values"),
        "csr-indptr-negative": (listing([csr(indptr=(0, -1, 3))]), "a negative row pointer"),
        "csr-indptr-length": (listing([csr(indptr=(0, 3))]), "a row pointer that is too short"),
        "csr-rows-huge": (listing([csr(shape=(2**40, 4))]), "2**40 rows and three pointers"),
        "csr-one-dimension": (listing([csr(shape=(8,))]), "one dimension"),
        "csr-three-dimensions": (listing([csr(shape=(2, 2, 2))]), "three dimensions"),
        "csr-float-indices": (listing([csr(types=(6, 0))]), "indices that are floats"),
        "csr-unknown-indices": (listing([csr(types=(99, 6))]), "row pointers of an unknown type"),
        "csr-values": (listing([csr(stored=(2**61,))]), "2**61 values"),
        "csr-values-negative": (listing([csr(stored=(-3,))]), "-3 values"),
        "csr-indices-shape": (listing([csr(indices_shape=(2**61,))]), "2**61 indices"),
        "csr-indptr-shape": (listing([csr(indptr_shape=(3, 2**60))]), "a row pointer of two dimensions"),
        "row-beyond": (listing([row_sparse(indices=(0, 4))]), "a row beyond the shape"),
        "row-negative": (listing([row_sparse(indices=(-1, 2))]), "a negative row"),
        "rows-unsorted": (listing([row_sparse(indices=(2, 0))]), "rows out of order"),
        "row-twice": (listing([row_sparse(indices=(2, 2))]), "a row twice"),
        "row-values": (listing([row_sparse(stored=(2**60, 2))]), "2**60 rows of values"),
        "row-columns": (listing([row_sparse(stored=(2, 3))]), "rows of another length"),
    }
    for name, (data, why) in lies.items():
        lazy = name.startswith(("csr-column", "csr-indptr", "row"))  # indices are read with the data
        yield Case(f"mxnet/{name}", "x.params", data, why, lazy=lazy, harmless=name == "trailing")
    good = listing([array(), csr(), row_sparse()])
    for size in (8, 16, 23, 24, 28, 40, 60, len(good) // 2, len(good) - 1):
        yield Case(f"mxnet/cut-{size}", "x.params", good[:size], f"only {size} of {len(good)} bytes")
