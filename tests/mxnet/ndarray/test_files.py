"""nd.save, nd.load and pickles: real MXNet's files read, and written again byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet import _files, nd
from tensorkeep.mxnet._state import settings, state
from tensorkeep.mxnet.base import MXNetError

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet"
MANIFEST: dict[str, Any] = json.loads((GOLDEN / "manifest.json").read_text("utf-8"))
LISTS = [name for name, facts in MANIFEST.items() if "kind" in facts and not name.startswith("pickle/")]
PICKLES = [name for name, facts in MANIFEST.items() if "kind" in facts and name.startswith("pickle/nd_")]


@contextmanager
def np_shape(active: bool) -> Iterator[None]:
    before, state.np_shape = state.np_shape, active
    try:
        yield
    finally:
        state.np_shape = before


def check(array: Any, facts: dict[str, Any]) -> None:
    """An array is what the manifest says of it: shape, dtype, storage, and the hash of its values."""
    assert list(array.shape) == facts["shape"]
    assert array.stype == facts.get("stype", "default")
    if "as_float32" in facts:
        assert array.astype("float32").asnumpy().reshape(-1).tolist() == facts["as_float32"]
        return
    assert np.dtype(array.dtype).name == facts["dtype"]
    for part in ("data", "indices", "indptr"):
        if part in facts:
            check(getattr(array, part), facts[part])
    values = array.asnumpy()
    if "sha256" in facts or "dense" in facts:
        wanted = facts["sha256"] if "sha256" in facts else facts["dense"]["sha256"]
        assert hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() == wanted


def check_all(found: Any, facts: dict[str, Any]) -> None:
    arrays = facts["arrays"]
    if facts["kind"] == "array":
        check(found, arrays)
        return
    assert isinstance(found, dict if facts["kind"] == "dict" else list)
    assert len(found) == len(arrays)
    if isinstance(found, dict):
        assert list(found) == list(arrays)
    for key, wanted in arrays.items() if isinstance(arrays, dict) else enumerate(arrays):
        check(found[key], wanted)


@pytest.mark.parametrize("name", LISTS)
def test_file_of_mxnet_is_read(name: str) -> None:
    """From the disk and from memory: names, shapes, dtypes and values are those that real MXNet wrote."""
    with np_shape(MANIFEST[name].get("np_semantics", False)):
        check_all(nd.load(str(GOLDEN / name)), MANIFEST[name])
        check_all(nd.load_frombuffer((GOLDEN / name).read_bytes()), MANIFEST[name])


@pytest.mark.parametrize("name", LISTS)
def test_file_of_mxnet_is_written_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    """Read and saved, a file of real MXNet has the same bytes."""
    path = str(tmp_path / "again.params")
    with np_shape(MANIFEST[name].get("np_semantics", False)):
        nd.save(path, nd.load(str(GOLDEN / name)))

    assert Path(path).read_bytes() == (GOLDEN / name).read_bytes()


@pytest.mark.parametrize("name", PICKLES)
def test_pickle_of_mxnet_is_read(name: str) -> None:
    """What real MXNet pickled, with any protocol, comes back as arrays of ours."""
    found = pickle.loads((GOLDEN / name).read_bytes())
    if isinstance(found, bytes):  # nd_double.pkl is the pickle of a pickle
        found = pickle.loads(found)

    check_all(found, MANIFEST[name])


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_is_the_one_that_mxnet_writes(protocol: int) -> None:
    """The files of the manifest are pickles of arange(6) in a 2×3 array."""
    wanted = (GOLDEN / f"pickle/nd_proto{protocol}.pkl").read_bytes()

    assert pickle.dumps(pickle.loads(wanted), protocol) == wanted


def test_a_process_unpickles_that_never_imported_mxnet() -> None:
    """A pickle names `mxnet` in its text; importing tensorkeep.mxnet is enough to read it."""
    code = "import pickle, sys, tensorkeep.mxnet; print(pickle.load(open(sys.argv[1], 'rb')).shape)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(GOLDEN / "pickle/nd_proto4.pkl")], capture_output=True, text=True, check=True
    )

    assert done.stdout == "(2, 3)\n"


def test_pickle_names_tensorkeep_where_another_mxnet_was_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a foreign `mxnet` in the process a pickle of ours must not ask that one for its class."""
    import types

    for name in [name for name in sys.modules if name.split(".")[0] == "mxnet"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("mxnet", "mxnet.ndarray", "mxnet.ndarray.ndarray"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    kept = pickle.dumps(nd.array([1, 2]))

    assert pickle.loads(kept).asnumpy().tolist() == [1, 2]
    assert b"tensorkeep.mxnet._pickling" in kept


def test_pickled_none_is_an_array_without_values() -> None:
    """MXNet pickles an array that was never allocated as handle None."""
    made = nd.NDArray.__new__(nd.NDArray)
    made.__setstate__({"handle": None})

    assert made._t is None


@pytest.mark.parametrize("record", [b"", b"\0" * 3, b"\xc9\xfa\x93\xf9" + b"\xff" * 20])
def test_damaged_pickle_is_refused(record: bytes) -> None:
    """The record inside a pickle is checked like a file."""
    with pytest.raises(MXNetError, match="Invalid NDArray file format"):
        nd.NDArray(None).__setstate__({"handle": bytearray(record)})


def test_device_is_kept_in_the_file(tmp_path: Path) -> None:
    """Type and number of each array's device are written as MXNet writes them, and load on the CPU that is here."""
    path = str(tmp_path / "a.params")
    nd.save(path, {"a": nd.ones((2,), ctx=mx.cpu(1)), "b": nd.ones((2,), ctx=mx.cpu_pinned(3))})
    raw = Path(path).read_bytes()

    # The bytes behind each array's shape: device type and number, as real MXNet writes them.
    assert raw[24 + 20 :][:8] == b"\x01\0\0\0\x01\0\0\0"
    assert raw[24 + 40 + 20 :][:8] == b"\x03\0\0\0\x03\0\0\0"
    assert [array.context for array in nd.load(path).values()] == [mx.cpu(0), mx.cpu(0)]


def test_gpu_arrays_that_are_computed_on_the_cpu_stay_gpu_arrays_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files say gpu(1), and loading follows the setting of the process that loads."""
    if mx.num_gpus():
        pytest.skip("this machine has a GPU")
    path = str(tmp_path / "a.params")
    monkeypatch.setattr(settings, "gpu", "cpu")
    nd.save(path, [nd.ones((2,), ctx=mx.gpu(1))])
    there = nd.load(path)[0]
    monkeypatch.setattr(settings, "gpu", None)
    here = nd.load(path)[0]

    assert Path(path).read_bytes()[24 + 20 :][:8] == b"\x02\0\0\0\x01\0\0\0"
    assert str(there.context) == "gpu(1)"
    assert here.context == mx.cpu(0)


def test_save_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    """A refused save leaves the file as it was, and nothing beside it."""
    path = tmp_path / "a.params"
    nd.save(str(path), [nd.ones(2)])
    before = path.read_bytes()
    with pytest.raises(MXNetError, match="zero byte"):
        nd.save(str(path), {"a\0b": nd.ones(2)})

    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.params"]


def test_empty_list_and_dict_are_saved(tmp_path: Path) -> None:
    """Both are the file that real MXNet writes for an empty list, and come back as one."""
    for data in ([], {}):
        nd.save(str(tmp_path / "a"), data)

        assert (tmp_path / "a").read_bytes() == (GOLDEN / "nd/empty_list.params").read_bytes()
        assert nd.load(str(tmp_path / "a")) == []


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        # The sentences of manifest.json's errors, of real MXNet.
        (
            lambda p: nd.save(p, (nd.ones(1),)),
            ValueError,
            "data needs to either be a NDArray, dict of str, NDArray pairs ",
        ),
        (
            lambda p: nd.save(p, 3),
            ValueError,
            "data needs to either be a NDArray, dict of str, NDArray pairs or a list ",
        ),
        (lambda p: nd.save(p, [np.ones(1)]), TypeError, "save only accept dict str->NDArray or list of NDArray"),
        (lambda p: nd.save(p, {1: nd.ones(1)}), TypeError, "save only accept dict str->NDArray or list of NDArray"),
        (
            lambda p: nd.save("/nonexistent/x", [nd.ones(1)]),
            MXNetError,
            'Open "/nonexistent/x": No such file or directory',
        ),
        (
            lambda p: nd.load("/nonexistent/x"),
            MXNetError,
            'LocalFileSystem: Open "/nonexistent/x": No such file or dir',
        ),
        (lambda p: nd.load(Path(p)), TypeError, "fname required to be a string"),
        (lambda p: nd.load_frombuffer(3), TypeError, "buf required to be a string or bytes"),
        (lambda p: nd.load_frombuffer(b"abc"), MXNetError, "Invalid NDArray file format"),
        (lambda p: nd.load_frombuffer(b"a" * 99), MXNetError, "Invalid NDArray file format"),
        (
            lambda p: nd.load(str(GOLDEN / "np/single")),
            MXNetError,
            "ndarray was saved in np shape semantics, must be load",
        ),
        (lambda p: nd.load("s3://a/b"), MXNetError, "Please compile with DMLC_USE_S3=1 to use S3"),
        (lambda p: nd.save(p, nd.array(3)), MXNetError, "no dimensions"),
        (lambda p: nd.load(os.path.dirname(p)), MXNetError, "LocalFileSystem|Invalid NDArray file format"),
    ],
)
def test_refusals_are_mxnets(call: Any, error: type[Exception], text: str, tmp_path: Path) -> None:
    """Wrong arguments and files raise MXNet's exceptions with the beginning of MXNet's texts."""
    with pytest.raises(error, match=text):
        call(str(tmp_path / "a.params"))


def test_file_without_np_shapes_is_refused_while_they_are_on() -> None:
    """As in MXNet, where a dimension 0 would mean two things."""
    with (
        np_shape(True),
        pytest.raises(MXNetError, match="ndarray was not saved in np shape semantics, but being loaded"),
    ):
        nd.load(str(GOLDEN / "nd/list.params"))


def test_either_semantics_can_be_asked_for() -> None:
    """Readers that know both, such as those of whole models, ask for any."""
    with np_shape(True):
        found = _files.load_arrays(str(GOLDEN / "nd/list.params"), nd.NDArray, any_semantics=True)

    assert [array.shape for array in found] == [(3,), (4,)]


def test_sparse_is_not_saved_under_np_shapes(tmp_path: Path) -> None:
    """MXNet's format has no place for it, so it is refused with MXNet's text."""
    with np_shape(True), pytest.raises(MXNetError, match="only allow serializing ndarray of default storage type"):
        nd.save(str(tmp_path / "a"), nd.zeros((2, 2), stype="csr"))


def test_scalars_and_empty_arrays_come_back_under_np_shapes(tmp_path: Path) -> None:
    """Shapes () and (0, 3) are values and not unknown there."""
    path = str(tmp_path / "a")
    with np_shape(True):
        nd.save(path, {"s": nd.array(3.5), "e": nd.zeros((0, 3))})
        found = nd.load(path)

    assert found["s"].asnumpy().tolist() == 3.5
    assert found["e"].shape == (0, 3)


def test_arrays_that_are_not_contiguous_are_saved_in_order(tmp_path: Path) -> None:
    """The elements go to the file in the order of their indices, not of the memory."""
    path = str(tmp_path / "a")
    array = nd.from_torch(nd.arange(6).reshape((2, 3)).to_torch()[:, :3])
    array._t = array._t.t()
    nd.save(path, [array])

    assert nd.load(path)[0].asnumpy().tolist() == [[0, 3], [1, 4], [2, 5]]


def test_indices_outside_a_sparse_array_are_refused() -> None:
    """One above the last column and one below 0 are told with the bounds."""
    raw = bytearray((GOLDEN / "nd/csr.params").read_bytes())
    last = len(raw) - len("csr") - 8 - 8  # the indices stand before the names
    assert int.from_bytes(raw[last - 8 : last], "little") < 5
    for index in (5, -1):
        raw[last - 8 : last] = index.to_bytes(8, "little", signed=True)
        with pytest.raises(MXNetError, match="an index lies outside 0 to 4"):
            nd.load_frombuffer(bytes(raw))


def test_every_prefix_of_a_file_is_refused() -> None:
    """Wherever a file is cut, it is damaged and never a shorter list."""
    raw = (GOLDEN / "nd/sparse_mixed.params").read_bytes()
    for stop in range(0, len(raw), 7):
        with pytest.raises(MXNetError, match="Invalid NDArray file format"):
            nd.load_frombuffer(raw[:stop])
