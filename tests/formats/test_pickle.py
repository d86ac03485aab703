"""Pickles of MXNet and NumPy: equal to what was pickled, nothing executed, what is unknown listed or kept inert."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorkeep.core.bytesource import BufferSource, FileSource
from tensorkeep.core.graph import Graph
from tensorkeep.core.reports import ScanReport
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Inert
from tensorkeep.errors import CorruptFileError, LimitError, TensorkeepError, TruncatedFileError, UnsafeFileError
from tensorkeep.formats import by_name
from tests.formats.mxnet_samples import GOLDEN, V2, assert_equals, dense, f32, manifest, open_bytes, open_path, sparse

FACTS = manifest(GOLDEN)
ARRAYS = [name for name, facts in FACTS.items() if name.startswith("pickle/") and "arrays" in facts]
STATES = [name for name in FACTS if name.endswith(".states")]


def scan(data: bytes | Path) -> ScanReport:
    found = by_name("pickle").scan
    assert found is not None
    return found(BufferSource(data) if isinstance(data, bytes) else FileSource(data))


def open_pickle(value: Any, protocol: int = 4, unknown: str = "refuse") -> Any:
    return open_bytes(pickle.dumps(value, protocol), "pickle", unknown)


class Call:
    """Pickles as a call of `function(*args)`, with a state if one is given."""

    def __init__(self, module: str, name: str, *args: Any, state: Any = None) -> None:
        self.global_ = type(name, (), {"__module__": module, "__qualname__": name})
        self.args = args
        self.state = state


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]  # the Python one can write any global
    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Call):
            self.save_reduce(_Name(obj.global_), obj.args, obj.state)
        elif isinstance(obj, _Name):
            self.write(b"c" + obj.cls.__module__.encode() + b"\n" + obj.cls.__name__.encode() + b"\n")
        else:
            super().save(obj, save_persistent_id)


class _Name:
    def __init__(self, cls: type) -> None:
        self.cls = cls

    def __call__(self) -> None:
        """Only so that save_reduce takes it."""


def dumps(value: Any, protocol: int = 2) -> bytes:
    import io

    out = io.BytesIO()
    _Pickler(out, protocol).dump(value)
    return out.getvalue()


def ndarray(payload: bytes, cls: str = "NDArray", module: str = "mxnet.ndarray.ndarray") -> Call:
    return Call(module, cls, None, state={"handle": bytearray(payload)})


# --- files of real MXNet


@pytest.mark.parametrize("name", ARRAYS)
def test_pickled_ndarrays_are_read_equal(name: str) -> None:
    """Protocols 0 to 5, lists, dicts, csr, row_sparse, NumPy semantics, a pickle inside a pickle."""
    with open_path(GOLDEN / name) as file:
        assert file.format == "pickle"
        if name == "pickle/parameter.pkl":
            assert_equals(file["_data.0"], FACTS[name]["arrays"], name)
            assert isinstance(file.structure, Inert)
            return
        assert_equals(file.structure, FACTS[name]["arrays"], name)
        assert not file.inert
        assert ("A pickle inside" in " ".join(file.notes)) == (name == "pickle/nd_double.pkl")


@pytest.mark.parametrize("name", STATES)
def test_optimizer_states_are_read_equal(name: str) -> None:
    """Module: a dict by index. Trainer: (states, optimizer), the optimizer an Inert record without asking."""
    with open_path(GOLDEN / name) as file:
        states = file.structure
        if name.startswith("gluon/"):
            states, optimizer = states
            assert isinstance(optimizer, Inert)
            assert optimizer.module == "mxnet.optimizer.optimizer"
            for key, text in FACTS[name]["optimizer"].items():
                if key != "lr_scheduler":
                    assert str(optimizer.state[key]) == text, key
            assert any(optimizer.name in note for note in file.notes)
        assert all(type(key) is int for key in states)
        assert_equals(states, FACTS[name]["states"], name)


def test_a_schedule_inside_an_optimizer_is_a_record() -> None:
    """FactorScheduler with its numbers; it is not imported."""
    with open_path(GOLDEN / "gluon" / "trainer_adam_lr_scheduler.states") as file:
        schedule = file.structure[1].state["lr_scheduler"]
    assert (schedule.module, schedule.name) == ("mxnet.lr_scheduler", "FactorScheduler")
    assert schedule.state["step"] == 10 or type(schedule.state["step"]) is int


@pytest.mark.parametrize("name", [name for name in FACTS if name.startswith("pickle/symbol")])
def test_pickled_symbols_are_graphs(name: str) -> None:
    """The JSON inside is read as a symbol file is."""
    with open_path(GOLDEN / name) as file:
        assert isinstance(file.structure, Graph)
        assert file.graph is file.structure
        wanted = FACTS[name]["json"]
        assert [node.name for node in file.graph.nodes] == [node["name"] for node in wanted["nodes"]]
        assert file.graph.outputs == ["_plus2_output"]


@pytest.mark.parametrize("name", [name for name in FACTS if name.startswith("pickle/") or name.endswith(".states")])
def test_everything_that_mxnet_pickles_is_known_as_data(name: str) -> None:
    """A scan of each file: no class beyond the tables."""
    report = scan(GOLDEN / name)
    assert report.data_only
    assert report.unknown == ()
    assert report.pickles == (2 if name == "pickle/nd_double.pkl" else 1)


def test_every_pickle_beside_the_checkout_is_read(shared: Path) -> None:
    """The whole collection, with states of real runs of 2017 whose optimizer holds Parameters keyed by device."""
    folder = shared / "mxnet" / "fixtures"
    count = 0
    for name, facts in manifest(folder).items():
        if not name.endswith((".states", ".pkl")):
            continue
        count += 1
        with open_path(folder / name) as file:
            assert scan(folder / name).data_only, name
            if "states" in facts:
                states = file.structure[0] if name.startswith("gluon/") else file.structure
                assert_equals(states, facts["states"], name)
            if "arrays" in facts and name != "pickle/parameter.pkl":
                assert_equals(file.structure, facts["arrays"], name)
            if name == "legacy/2017_test.states":
                assert "1.param_dict.0._data.cpu(1)" in file
                assert file.structure[1].name == "SGD"
    assert count > 40


# --- NumPy and plain data


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "?", "i1", "u1", ">i2", ">f8", "u8", "c8", "c16"])
def test_numpy_arrays_are_read_equal(protocol: int, dtype: str) -> None:
    """Every protocol, either byte order, C and Fortran order, 0-d and empty; tensors are little-endian."""
    values = np.arange(6).reshape(2, 3).astype(dtype)
    given_ = {"c": values, "f": np.asfortranarray(values), "zero": values[0, 0:0], "number": np.array(values[1, 2])}
    file = open_pickle(given_, protocol)
    assert list(file) == list(given_)
    for name, array in given_.items():
        assert file[name].dtype == values.dtype.name
        np.testing.assert_array_equal(file[name].numpy(), array)
        assert file[name].shape == array.shape


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_comes_back_as_it_is(protocol: int) -> None:
    """Containers, numbers, text, bytes, None, numpy scalars, OrderedDict."""
    data = {
        "list": [1, -2.5, True, None, "tëxt", b"bytes", 1 << 40],
        "tuple": (1, (2, [3])),
        "ordered": OrderedDict(b=1, a=2),
        7: {"nested": {}},
        "scalar": np.float32(1.5),
    }
    structure = open_pickle(data, protocol).structure
    assert structure == data
    assert type(structure["ordered"]) is OrderedDict
    assert structure["scalar"].dtype == np.float32


def test_arrays_of_objects_are_records_not_code() -> None:
    """They have no tensor; what is in them stays untouched."""
    structure = open_pickle([np.array([1, "x"], dtype=object)]).structure
    assert isinstance(structure[0], Inert)


def test_names_are_the_paths_and_never_clash() -> None:
    """Keys with dots and integer keys can give the same path twice: the second gets a number."""
    one = np.ones(1)
    file = open_pickle({"a.b": one, "a": {"b": one + 1}, "0": one + 2, 0: one + 3})
    assert sorted((name, tensor.item()) for name, tensor in file.items()) == [
        ("0", 3.0),
        ("0#2", 4.0),
        ("a.b", 1.0),
        ("a.b#2", 2.0),
    ]
    assert list(open_pickle(one)) == ["tensor"]


# --- what is refused


def test_unknown_classes_are_refused_with_the_whole_list() -> None:
    """Each of them, and the way out; with unknown="inert" the rest is there and they are records."""
    data = dumps([Call("os", "system", "true"), Call("posix", "system", "x"), ndarray(dense((1,), 0, f32(3)))])
    with pytest.raises(UnsafeFileError, match=r"os\.system") as caught:
        open_bytes(data, "pickle")
    assert caught.value.requests == (("os", "system"), ("posix", "system"))
    assert 'unknown="inert"' in str(caught.value)
    report = scan(data)
    assert not report.data_only
    assert [(r.module, r.name) for r in report.unknown] == [("os", "system"), ("posix", "system")]
    file = open_bytes(data, "pickle", "inert")
    assert file["2"].tolist() == [3.0]  # type: ignore[union-attr]
    assert [(each.module, each.args) for each in file.inert] == [("os", ("true",)), ("posix", ("x",))]


def test_a_pickle_inside_a_pickle_is_looked_at_as_well() -> None:
    """Code hidden in the inner one is refused and reported; bytes that are no pickle stay bytes."""
    data = pickle.dumps(dumps([Call("os", "system", "true")]))
    with pytest.raises(UnsafeFileError, match=r"os\.system"):
        open_bytes(data, "pickle")
    report = scan(data)
    assert not report.data_only
    assert report.unknown[0].where == "the pickle inside"
    broken = scan(pickle.dumps(pickle.dumps(1)[:-2] + b"."))
    assert not broken.data_only
    assert "cannot be read to its end" in broken.notes[-1]
    assert open_pickle(b"\x80 no pickle.").structure == b"\x80 no pickle."


def test_only_one_pickle_stands_in_a_file() -> None:
    """A second one behind the STOP is refused, and told by the scan, which proves nothing then."""
    data = pickle.dumps(1) + dumps(Call("os", "system", "true"))
    with pytest.raises(CorruptFileError, match="another pickle"):
        open_bytes(data, "pickle")
    report = scan(data)
    assert not report.data_only
    assert "follow behind its end" in report.notes[0]
    with pytest.raises(CorruptFileError, match="something else"):
        open_bytes(pickle.dumps(1) + b"\0", "pickle")


GOOD = dense((2,), 0, f32(1, 2))


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (ndarray(GOOD[:-1]), "fewer than its shape needs"),
        (ndarray(GOOD + b"\0"), "41 bytes, but its shape needs 40"),
        (ndarray(b""), "fewer than its shape needs"),
        (ndarray(dense((2,), 99, f32(1, 2))), "type code 99"),
        (ndarray(dense((-2,), 0, b"")), "dimension of -2"),
        (ndarray(dense((1 << 62, 1 << 62), 0, b"")), r"2\*\*63 elements"),
        (ndarray(sparse(2, (1, 2), (1,), [(9,), (1,)], f32(1) + bytes(80))), "do not fit together"),
        (Call("mxnet.ndarray.ndarray", "NDArray", 3, state={"handle": bytearray(GOOD)}), "arguments"),
        (Call("mxnet.ndarray.ndarray", "NDArray", None, state={"handle": 3}), "int stands where bytes"),
        (Call("mxnet.ndarray.ndarray", "NDArray", None, state={"x": 3}), "its state is not the dict"),
        (Call("mxnet.ndarray.ndarray", "NDArray", None, state=[1]), "its state is not the dict"),
        (Call("mxnet.symbol.symbol", "Symbol", None, state={"handle": "{"}), "not valid JSON"),
        (Call("mxnet.symbol.symbol", "Symbol", None, state={"handle": b"{}"}), "not text"),
        (Call("mxnet.symbol.symbol", "Symbol", None, state={"handle": '{"nodes": []}'}), "'arg_nodes' is missing"),
        ({Call("mxnet.context", "Context"): 1}, "key"),
        (Call("mxnet.context", "Context", 3), "it has arguments"),
    ],
)
def test_objects_of_mxnet_that_are_not_what_mxnet_writes_are_refused(call: Any, why: str) -> None:
    """The rule, where in the pickle, the file's name."""
    with pytest.raises(TensorkeepError, match=why) as caught:
        open_bytes(dumps(call), "pickle")
    assert "<bytes>" in str(caught.value)


def test_arrays_without_values_and_sparse_ones_are_read() -> None:
    """A handle of None, a "none" array, csr; NDArrays of each module name that MXNet has used."""
    import struct

    none = struct.pack("<Iii", V2, 0, 0)
    csr = sparse(2, (1, 2), (1,), [(2,), (1,)], f32(5) + struct.pack("<3q", 0, 1, 1))
    calls = [
        Call("mxnet.ndarray.ndarray", "NDArray", None, state={"handle": None}),
        ndarray(none),
        ndarray(csr, "CSRNDArray", "mxnet.ndarray.sparse"),
        ndarray(GOOD, "NDArray", "mxnet.ndarray"),
        ndarray(GOOD, "ndarray", "mxnet.numpy"),
        ndarray(GOOD, "ndarray", "mxnet.numpy.multiarray"),
    ]
    file = open_bytes(dumps(calls), "pickle")
    assert file.structure[:2] == [None, None]
    assert isinstance(file["2"], SparseTensor)
    assert file["2"].to_dense().tolist() == [[0.0, 5.0]]
    assert [tensor.tolist() for tensor in list(file.values())[1:]] == [[1.0, 2.0]] * 3  # type: ignore[union-attr]


def test_names_that_would_fill_the_memory_are_refused() -> None:
    """One key of a megabyte above a million arrays: the names would take a terabyte."""
    one = np.ones(1)
    data = pickle.dumps({"k" * (1 << 20): [one] * 100_000})
    with pytest.raises(LimitError, match="names of its arrays"):
        open_bytes(data, "pickle")


# --- damage

SAMPLES = (
    "pickle/nd_proto0.pkl",
    "pickle/nd_proto2.pkl",
    "pickle/nd_csr.pkl",
    "pickle/parameter.pkl",
    "pickle/nd_double.pkl",
)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_cut_pickle_is_refused(name: str) -> None:
    """At every byte."""
    data = (GOLDEN / name).read_bytes()
    for size in range(len(data)):
        with pytest.raises((TruncatedFileError, CorruptFileError), match="<bytes>"):
            open_bytes(data[:size], "pickle")
        assert not scan(data[:size]).data_only


@given(st.sampled_from(SAMPLES), st.integers(0, 1 << 16), st.integers(0, 255))
def test_no_changed_byte_gives_another_exception(name: str, at: int, byte: int) -> None:
    """It loads, or one of our errors says why not, refused or inert; the scan never fails."""
    data = bytearray((GOLDEN / name).read_bytes())
    data[at % len(data)] = byte
    for unknown in ("refuse", "inert"):
        try:
            for leaf in open_bytes(bytes(data), "pickle", unknown).values():
                if isinstance(leaf, Tensor):
                    leaf.numpy()
        except TensorkeepError as err:
            assert "<bytes>" in str(err)  # noqa: PT017
    assert scan(bytes(data)).pickles >= 1
