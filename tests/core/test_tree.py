"""Nested data: names, structure as JSON, ties."""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import torch

from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import decode, encode, flatten, is_flat, leaves
from tensorkeep.errors import CorruptFileError, UnsupportedDataError


def back(data: object) -> object:
    content = flatten(data)
    return decode(json.loads(json.dumps(encode(content), allow_nan=False)), content.tensors, what="x")


def test_plain_values_keep_value_and_type() -> None:
    """Through JSON and back: numbers of any size, text, bytes, None, complex, NumPy scalars, containers."""
    data = {
        "ints": [0, -1, 2**80, True, False],
        "floats": (1.5, -0.0, float("inf"), float("-inf")),
        "text": "ä\n\"'\\ \x00",
        "bytes": b"\x00\xff",
        "none": None,
        "complex": 1 - 2j,
        "numpy": [np.float32(1.5), np.int8(-3), np.bool_(True)],
        "empty": [{}, [], (), OrderedDict()],
        3: {4: "int keys"},
        "ordered": OrderedDict([("b", 1), ("a", [2])]),
        "": {"": {"": 0}},
        "looks like a tag": ["s", "l", ["b"]],
    }

    result = back(data)

    assert result == data
    assert repr(result) == repr(data)  # types of everything, the sign of zero, the order of keys


def test_nan_stays_nan() -> None:
    """Not null, not an error."""
    (value,) = back([float("nan")])  # type: ignore[misc]

    assert value != value


def test_names_join_the_path_with_dots() -> None:
    """Keys and positions, as torch names parameters; clashes get a number."""
    x = [np.full(1, i) for i in range(5)]
    content = flatten({"a": {"b": x[0], 7: x[1]}, "l": [x[2]], "a.b": x[3]})

    assert list(content.tensors) == ["a.b", "a.7", "l.0", "a.b#2"]
    assert list(flatten(x[4]).tensors) == ["tensor"]
    assert list(flatten([x[0], x[1]]).tensors) == ["0", "1"]


def test_tied_tensors_are_one() -> None:
    """The same object, a view of all of it, and torch's two views of one storage: stored once, back as one."""
    x = np.arange(4.0)
    t = torch.ones(3)
    content = flatten({"a": x, "b": x, "c": x[:], "d": x[1:], "t": t, "u": t.view(3), "v": t.clone()})

    assert list(content.tensors) == ["a", "d", "t", "v"]
    result = decode(encode(content), content.tensors, what="x")
    assert result["a"] is result["b"] is result["c"]
    assert result["t"] is result["u"]


def test_equal_memory_of_other_shape_or_type_is_not_tied() -> None:
    """Reshaped, transposed, recast and empty views stand by themselves."""
    x = np.zeros((2, 2), np.int32)
    content = flatten([x, x.reshape(4), x.T, x.view(np.float32), x[:0], x[:0]])

    assert len(content.tensors) == 6


def test_freed_memory_does_not_tie() -> None:
    """Arrays that a container makes when asked, one after the other at one address, stay apart."""

    class Fresh:
        def __init__(self, value: float) -> None:
            self.value, self.shape, self.dtype = value, (64,), np.dtype(float)

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.full(64, self.value)

    content = flatten([Fresh(i) for i in range(50)])

    assert [tensor.numpy()[0] for tensor in content.tensors.values()] == list(range(50))


def test_flat_dicts_need_no_structure() -> None:
    """A dict of tensors by their names is told apart from everything else."""
    x, y = np.zeros(1), np.ones(1)

    assert is_flat(flatten({"a.b": x, "c": y}))
    assert not is_flat(flatten({"a": {"b": x}}))
    assert not is_flat(flatten({"a": x, "b": x}))
    assert not is_flat(flatten({"a": x, "n": 1}))
    assert not is_flat(flatten([x]))


def test_sparse_tensors_are_their_parts() -> None:
    """scipy's and torch's sparse matrices are kept with kind and shape."""
    matrix = scipy.sparse.csr_array(np.eye(3))
    content = flatten({"s": matrix, "t": torch.eye(2).to_sparse()})

    assert list(content.tensors) == ["s.data", "s.indices", "s.indptr", "t.data", "t.indices"]
    result = decode(encode(content), content.tensors, what="x")
    assert isinstance(result["s"], SparseTensor)
    np.testing.assert_array_equal(result["s"].to_dense(), np.eye(3))
    np.testing.assert_array_equal(result["t"].to_dense(), np.eye(2))


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({1, 2}, r"Save sorted\(\.\.\.\)"),
        (Point(1, 2), r"\._asdict\(\)"),
        (defaultdict(int), r"Save dict\(\.\.\.\)"),
        (SimpleNamespace(), "Store tensors, numbers"),
        (torch.nn.Linear(1, 1), r"\.state_dict\(\)"),
        (np.array(["text"]), "Python list of str"),
        (np.array([object()]), "dtype object"),
        (np.ma.masked_array([1]), r"\.mask"),
        (torch.empty(2, device="meta"), "meta device"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_named_with_its_path(value: object, hint: str) -> None:
    """A TypeError says where in the data it stands and what to save instead."""
    with pytest.raises(TypeError, match=hint) as caught:
        flatten({"model": [1, {"bad": value}]})

    assert "model.1.bad" in str(caught.value)
    assert isinstance(caught.value, UnsupportedDataError)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_quantized_tensors_say_what_to_save() -> None:
    """torch's quantized tensors hold more than their integers."""
    with pytest.raises(UnsupportedDataError, match="int_repr"):
        flatten({"q": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)})


def test_keys_are_strings_or_ints() -> None:
    """A tuple key is refused with its path."""
    with pytest.raises(UnsupportedDataError, match=r"a: the key \(1, 2\) is a tuple"):
        flatten({"a": {(1, 2): 0}})


def test_depth_is_limited_both_ways() -> None:
    """Sixty-four containers are stored, a self-containing list is an error and no endless loop."""
    data: list[object] = []
    for _ in range(64):
        data = [data]
    loop: list[object] = []
    loop.append(loop)

    assert back(data) == data
    with pytest.raises(UnsupportedDataError, match="more than 64 containers"):
        flatten([data])
    with pytest.raises(UnsupportedDataError, match="more than 64 containers"):
        flatten(loop)


@pytest.mark.parametrize(
    "structure",
    [
        "missing",
        ["x"],
        [],
        ["s"],
        ["s", 1],
        ["b", "*"],
        ["f", "1"],
        ["c", 1, 2],
        ["n", "O", "00"],
        ["n", "<f4", "00"],
        ["n", "nonsense", "00"],
        ["d", ["a"]],
        ["d", ["a", 1], ["a", 2]],
        ["d", [[], 1]],
        ["sp", "csr", [2, 2], {"data": "w"}],
        ["sp", "csr", [-1], {"data": "w", "indices": "w"}],
        ["sp", "odd", [1], {"data": "w", "indices": "w"}],
        ["sp", "csr", 3, {"data": "w", "indices": "w"}],
        {"a": ["l", "missing"]},
    ],
    ids=str,
)
def test_a_structure_that_is_not_ours_is_refused(structure: object) -> None:
    """Each malformed node is an error of ours, whatever stands in it."""
    with pytest.raises(CorruptFileError, match="stored structure"):
        decode(structure, {"w": Tensor((1,), None)}, what="x")  # type: ignore[arg-type]


def test_leaves_come_in_order() -> None:
    """Depth first, as the data are written down."""
    assert list(leaves({"a": [1, {"b": 2}], "c": 3})) == [("a.0", 1), ("a.1.b", 2), ("c", 3)]
    assert list(leaves(5)) == [("", 5)]
