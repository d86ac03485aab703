"""Tensor: views of files, blocks, packing; values by NumPy."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from tensorkeep.core.bytesource import BufferSource, ByteSource
from tensorkeep.core.dtypes import DTYPES
from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.tensor import Extent, Tensor, pack, unpack
from tensorkeep.errors import UnsupportedDataError


class Counting(ByteSource):
    """A source that remembers how many bytes were asked for."""

    __slots__ = ("asked", "inner")

    def __init__(self, data: bytes) -> None:
        self.inner = BufferSource(data)
        self.name, self.size, self.asked = "<counting>", len(data), 0

    def view(self, offset: int, nbytes: int) -> memoryview:
        self.asked += nbytes
        return self.inner.view(offset, nbytes)


def stored(array: np.ndarray, source: ByteSource | None = None, **how: object) -> Tensor:
    data = array.tobytes()
    dtype = DTYPES[array.dtype.name]
    return Tensor(array.shape, dtype, extent=Extent(source or BufferSource(data), 0, len(data), **how))


def test_values_are_a_readonly_view() -> None:
    """No copy of a buffer is made, and nobody writes into it by accident."""
    data = np.arange(6, dtype=np.int32)
    tensor = stored(data.reshape(2, 3))

    array = tensor.numpy()

    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not array.flags.writeable
    assert not array.flags.owndata


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        slice(2, 4),
        slice(1, 100),
        slice(3, 1),
        (1, slice(0, 2)),
        (slice(1, 3), -1),
        ...,
        [0, 2],
        slice(None, None, 2),
    ],
)
def test_indexing_is_numpys(index: object) -> None:
    """Every kind of index gives what NumPy gives."""
    array = np.arange(60.0).reshape(5, 4, 3)

    np.testing.assert_array_equal(stored(array)[index], array[index])


def test_a_slice_reads_its_rows_only() -> None:
    """Ten rows of a thousand cost ten rows."""
    array = np.arange(10_000, dtype=np.float32).reshape(1000, 10)
    source = Counting(array.tobytes())
    tensor = stored(array, source)

    tensor[100:110], tensor[5], tensor[20:21, 3]

    assert source.asked == 12 * 10 * 4


def test_a_slice_of_big_endian_elements_reads_its_rows_only() -> None:
    """The order of the bytes in an element does not move the rows."""
    data = np.arange(1000, dtype=np.int16).reshape(100, 10)
    source = Counting(data.astype(">i2").tobytes())
    tensor = Tensor((100, 10), DTYPES["int16"], extent=Extent(source, 0, 2000, big_endian=True))

    rows = tensor[7:9]

    assert rows.tolist() == data[7:9].tolist()
    assert source.asked == 40


def test_an_index_outside_is_an_index_error() -> None:
    """As NumPy says, so that loops over a tensor end."""
    with pytest.raises(IndexError, match="has 3 entries"):
        stored(np.zeros((3, 2)))[3]
    assert [row.tolist() for row in stored(np.eye(2))] == [[1, 0], [0, 1]]


def test_strides_and_byte_order_are_undone() -> None:
    """A transposed, big-endian tensor reads as its values."""
    array = np.arange(6, dtype=np.float64).reshape(2, 3)
    raw = array.astype(">f8").tobytes()
    tensor = Tensor((3, 2), DTYPES["float64"], extent=Extent(BufferSource(raw), 0, 48, (1, 3), True))

    np.testing.assert_array_equal(tensor.numpy(), array.T)
    assert tensor.tobytes() == array.T.copy().tobytes()


@pytest.mark.parametrize("max_nbytes", [1, 8, 24, 100, 10**6])
def test_blocks_are_the_bytes_in_order_in_small_pieces(max_nbytes: int) -> None:
    """Contiguous, transposed, reversed, broadcast and Fortran arrays give the C-order bytes, a piece at a time."""
    base = np.arange(24, dtype=np.int64).reshape(2, 3, 4)
    views = [base, base.T, base[::-1, :, ::2], np.broadcast_to(base, (2, 2, 3, 4)), np.asfortranarray(base)]
    for array in [*views, base[:0], np.array(5), base.astype(">i8")]:
        tensor = as_tensor(array)
        assert isinstance(tensor, Tensor)
        blocks = [bytes(block) for block in tensor.blocks(max_nbytes)]

        assert b"".join(blocks) == np.ascontiguousarray(array).astype("<i8").tobytes()
        assert all(len(block) <= max(max_nbytes, 8) for block in blocks)


@pytest.mark.parametrize("name", ["int4", "uint4", "float4_e2m1fn", "int2", "uint2"])
def test_packed_types_unpack_to_what_ml_dtypes_has(name: str) -> None:
    """Every bit pattern, lowest bits first, signs included; packing again gives the same bytes."""
    dtype = DTYPES[name]
    raw = np.arange(256, dtype=np.uint8)
    per_byte = 8 // dtype.bits
    patterns = [(byte >> (dtype.bits * i)) & (2**dtype.bits - 1) for byte in range(256) for i in range(per_byte)]

    values = unpack(raw, (256 * per_byte,), dtype)

    if name.startswith("float"):
        table = [0, 0.5, 1, 1.5, 2, 3, 4, 6]  # OCP microscaling formats, E2M1
        expected = [(-1 if p & 8 else 1) * table[p & 7] for p in patterns]
    else:
        sign = 2 ** (dtype.bits - 1) if name.startswith("int") else 2**dtype.bits
        expected = [p - 2**dtype.bits if p >= sign else p for p in patterns]
    assert values.dtype == np.dtype(getattr(ml_dtypes, name))
    assert values.astype(np.float32).tolist() == expected
    np.testing.assert_array_equal(pack(values, dtype), raw)


def test_six_bit_types_keep_their_bytes_and_give_no_guess() -> None:
    """Values are refused, because no specification fixes the packing; the bytes are there."""
    tensor = Tensor((4,), DTYPES["float6_e2m3fn"], extent=Extent(BufferSource(b"abc"), 0, 3))

    with pytest.raises(UnsupportedDataError, match="no specification says"):
        tensor.numpy()
    assert tensor.tobytes() == b"abc"


def test_torch_gets_memory_of_its_own() -> None:
    """Writing into the torch tensor leaves the file's bytes."""
    tensor = stored(np.zeros(3, np.float32))

    made = tensor.torch()
    made += 1

    assert made.dtype == torch.float32
    assert tensor.tolist() == [0, 0, 0]
