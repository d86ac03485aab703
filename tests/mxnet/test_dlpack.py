"""Memory shared with torch, NumPy and DLPack."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet import nd  # noqa: E402


def test_torch_shares_the_memory_of_an_array() -> None:
    """What is written through the tensor is read in the array."""
    array = nd.zeros((2, 3))
    array.to_torch()[0, 1] = 5

    assert array.asnumpy()[0, 1] == 5


def test_array_shares_the_memory_of_a_tensor() -> None:
    """What is written through the array is read in the tensor."""
    tensor = torch.zeros(2, 3)
    array = nd.from_torch(tensor)
    array[1] = 2

    assert tensor.tolist() == [[0, 0, 0], [2, 2, 2]]


def test_tensor_that_is_not_contiguous_is_refused() -> None:
    """Nor is one of a dtype that MXNet lacks taken: a copy behind the caller's back would not be shared."""
    with pytest.raises(ValueError, match="Only c-contiguous"):
        nd.from_torch(torch.zeros(2, 3).t())
    with pytest.raises(ValueError, match="complex64 is not supported"):
        nd.from_torch(torch.zeros(2, dtype=torch.complex64))


def test_numpy_array_is_shared_and_becomes_read_only() -> None:
    """The array writes into NumPy's memory, which NumPy may then only read, as in MXNet."""
    values = np.zeros((2, 3), np.float32)
    array = nd.from_numpy(values)
    array[0, 0] = 7

    assert values[0, 0] == 7
    assert not values.flags["WRITEABLE"]


def test_numpy_array_is_copied_when_asked() -> None:
    """With zero_copy=False neither sees what the other writes."""
    values = np.zeros(3)
    array = nd.from_numpy(values, zero_copy=False)
    array[:] = 1

    assert values.tolist() == [0, 0, 0]
    assert array.dtype is np.float64
    assert values.flags["WRITEABLE"]


def test_capsule_shares_memory_and_is_used_once() -> None:
    """A second use would free the memory twice, and is refused."""
    array = nd.arange(4)
    capsule = array.to_dlpack_for_write()
    other = nd.from_dlpack(capsule)
    other[0] = 9

    assert array.asnumpy().tolist() == [9, 1, 2, 3]
    with pytest.raises(AssertionError, match="consumed only once"):
        nd.from_dlpack(capsule)


def test_dlpack_protocol_goes_both_ways() -> None:
    """torch and NumPy take our arrays, and we take tensors, all of one memory."""
    array = nd.arange(4)
    tensor = torch.from_dlpack(array)
    tensor[1] = 5

    assert np.from_dlpack(array).tolist() == [0, 5, 2, 3]
    assert nd.from_dlpack(tensor).asnumpy().tolist() == [0, 5, 2, 3]


def test_capsule_goes_to_torch() -> None:
    """Values and the dtype arrive."""
    tensor = torch.utils.dlpack.from_dlpack(nd.to_dlpack_for_read(nd.ones((2,), dtype="int64")))

    assert tensor.tolist() == [1, 1]
    assert tensor.dtype is torch.int64


def test_numpy_functions_take_arrays() -> None:
    """Arrays convert to NumPy's, to numbers and to indices, as their dtypes allow."""
    array = nd.array([1, 2, 3], dtype="int32")

    assert np.asarray(array).dtype == np.int32
    assert np.isclose(array, [1, 2, 3]).all()
    assert np.asarray(array, dtype=np.float64).dtype == np.float64
    assert float(nd.array([2.5])) == 2.5
    assert int(nd.array([2.5])) == 2
    assert [10, 20, 30][nd.array([1], dtype="int32")] == 20
    with pytest.raises(TypeError, match="only integer scalar arrays"):
        [10, 20][nd.array([1])]


def test_gpu_context_of_the_arrays_is_cpu_here() -> None:
    """What is made of NumPy's memory lies on the CPU."""
    assert nd.from_numpy(np.zeros(1)).context == mx.cpu(0)
