"""npx.save and npx.load: real MXNet's files, byte for byte, and its errors; pickles."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet"
MANIFEST = json.loads((GOLDEN / "manifest.json").read_text("utf-8"))
FILES = sorted(name for name in MANIFEST if name.startswith("np/"))


@pytest.fixture(autouse=True)
def numpy_semantics() -> Any:
    """NumPy semantics are on."""
    before = state.np_shape, state.np_array
    state.np_shape = state.np_array = True
    yield
    state.np_shape, state.np_array = before


@pytest.mark.parametrize("name", FILES)
def test_mxnets_file_loads_and_saves_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    """What MXNet wrote is read as its own kind, shapes and values, and written again as it was."""
    facts = MANIFEST[name]

    found = mx.npx.load(str(GOLDEN / name))
    mx.npx.save(str(tmp_path / "again"), found)

    assert type(found).__name__ == facts["kind"]
    wanted = facts["arrays"]
    arrays = list(found.values()) if isinstance(found, dict) else found
    if isinstance(found, dict):
        assert list(found) == list(wanted)
        wanted = list(wanted.values())
    assert all(type(array) is mx.np.ndarray for array in arrays)
    assert [list(array.shape) for array in arrays] == [fact["shape"] for fact in wanted]
    assert [array.dtype.name for array in arrays] == [fact["dtype"] for fact in wanted]
    assert (tmp_path / "again").read_bytes() == (GOLDEN / name).read_bytes()


def test_one_array_loads_as_a_list_of_one(tmp_path: Path) -> None:
    """As in 1.9.1; 2.0 gives the array itself."""
    mx.npx.save(str(tmp_path / "x"), mx.np.arange(4))

    assert repr(mx.npx.load(str(tmp_path / "x"))) == "[array([0., 1., 2., 3.])]"


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (lambda: mx.nd.ones((2,)), ValueError, "data needs to either be a ndarray, dict of"),
        (lambda: [mx.nd.ones((2,))], TypeError, "Only accepts dict str->ndarray or list of ndarrays"),
        (lambda: {1: mx.np.ones(2)}, TypeError, "Only accepts dict str->ndarray or list of ndarrays"),
        (lambda: (mx.np.ones(2),), ValueError, "data needs to either be a ndarray, dict of"),
    ],
)
def test_what_cannot_be_saved_is_refused(data: Any, error: type[Exception], text: str, tmp_path: Path) -> None:
    """With MXNet's sentences; no file is made."""
    with pytest.raises(error, match=text):
        mx.npx.save(str(tmp_path / "x"), data())

    assert not (tmp_path / "x").exists()


def test_load_wants_a_text(tmp_path: Path) -> None:
    """A Path is refused, as by MXNet."""
    with pytest.raises(TypeError, match="file required to be a string"):
        mx.npx.load(tmp_path)


def test_files_need_numpy_semantics(tmp_path: Path) -> None:
    """Outside of set_np() nothing is saved or loaded."""
    array = mx.np.ones(2)
    state.np_array = False

    with pytest.raises(ValueError, match=r"Cannot save `mxnet\.numpy.ndarray` in legacy mode"):
        mx.npx.save(str(tmp_path / "x"), array)
    with pytest.raises(ValueError, match=r"Cannot load `mxnet\.numpy.ndarray` in legacy mode"):
        mx.npx.load(str(tmp_path / "x"))


def test_a_file_without_numpy_shapes_is_refused(tmp_path: Path) -> None:
    """A V2 file says that the semantics differ."""
    state.np_shape = state.np_array = False
    mx.nd.save(str(tmp_path / "x"), [mx.nd.ones((2,))])
    state.np_shape = state.np_array = True

    with pytest.raises(MXNetError, match="not saved in np shape semantics, but being loaded in np shape semantics"):
        mx.npx.load(str(tmp_path / "x"))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "int8", "uint8", "bool"])
def test_a_pickle_gives_the_array_back(dtype: str) -> None:
    """Class, dtype and values; 0-d and empty arrays too."""
    for array in (mx.np.ones((2, 3), dtype=dtype), mx.np.ones((), dtype=dtype), mx.np.ones((0, 2), dtype=dtype)):
        found = pickle.loads(pickle.dumps(array))

        assert type(found) is mx.np.ndarray
        assert found.dtype == array.dtype
        assert np.array_equal(found.asnumpy(), array.asnumpy())
