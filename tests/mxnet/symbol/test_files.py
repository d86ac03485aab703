"""Symbol files that real MXNet wrote or upgraded: read, run, and written as MXNet 1.9.1 writes them."""

from __future__ import annotations

import json
import lzma
import pickle
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError

SYM = Path(__file__).parents[2] / "golden" / "mxnet" / "sym"
FACTS = json.loads(lzma.decompress((SYM / "facts.json.xz").read_bytes()))
LEGACY = [name for name, facts in FACTS.items() if "oracle_tojson" in facts]
CURRENT = [name for name in FACTS if name not in LEGACY]
COMPUTED = [name for name, facts in FACTS.items() if "outputs" in facts]


@pytest.fixture
def np_shape() -> Any:
    before = state.np_shape
    yield
    state.np_shape = before


@pytest.mark.usefixtures("np_shape")
@pytest.mark.parametrize("name", CURRENT)
def test_a_file_is_written_to_the_byte(name: str, tmp_path: Path) -> None:
    """load and save give MXNet 1.9.1's file back."""
    state.np_shape = name.startswith("np_")
    symbol = mx.sym.load(str(SYM / name))
    symbol.save(str(tmp_path / "again.json"), remove_amp_cast=not name.startswith("amp_raw"))

    assert (tmp_path / "again.json").read_bytes() == (SYM / name).read_bytes()


def test_casts_of_mixed_precision_are_left_out_unless_asked() -> None:
    """tojson() drops amp_cast nodes, as MXNet's does."""
    symbol = mx.sym.load(str(SYM / "amp_raw-symbol.json"))

    assert symbol.tojson() == (SYM / "amp_removed-symbol.json").read_text()


@pytest.mark.parametrize("name", LEGACY)
def test_an_old_file_is_upgraded_as_mxnet_upgrades_it(name: str) -> None:
    """Files of 0.8 to 1.0 become what MXNet 1.9.1 makes of them."""
    facts = FACTS[name]
    symbol = mx.sym.load(str(SYM / name))

    assert json.loads(symbol.tojson()) == facts["oracle_tojson"]
    assert symbol.list_arguments() == facts["list_arguments"]
    assert symbol.list_auxiliary_states() == facts["list_auxiliary_states"]
    assert symbol.list_outputs() == facts["list_outputs"]
    assert symbol.attr_dict() == facts["attr_dict"]


def values(facts: dict[str, Any]) -> np.ndarray:
    found = facts["values"] if facts.get("all_values") is None else facts["all_values"]
    return np.array(found, dtype=facts["dtype"]).reshape(facts["shape"])


@pytest.mark.parametrize("name", COMPUTED)
def test_a_file_computes_what_mxnet_computed(name: str) -> None:
    """Loops, branches, recurrent layers, convolutions: the outputs for MXNet's inputs are MXNet's."""
    facts = FACTS[name]
    symbol = mx.sym.load(str(SYM / name))
    arrays = {key: mx.nd.array(values(item), dtype=item["dtype"]) for key, item in facts["inputs"].items()}
    aux = {key: arrays.pop(key) for key in symbol.list_auxiliary_states()}

    found = symbol.bind(mx.cpu(), arrays, aux_states=aux).forward()

    shapes = symbol.infer_shape(**{key: array.shape for key, array in arrays.items()})
    assert shapes[1] == [tuple(item["shape"]) for item in facts["outputs"]]
    for output, item in zip(found, facts["outputs"], strict=True):
        np.testing.assert_allclose(output.asnumpy(), values(item), rtol=2e-6, atol=2e-6)


def test_loads_takes_a_text_or_a_file_name(tmp_path: Path) -> None:
    """The function that MXNet never had, and a chapter uses."""
    path = SYM / "seed002-symbol.json"

    assert mx.sym.loads(str(path)).tojson() == path.read_text()
    assert mx.sym.loads(path.read_text()).tojson() == path.read_text()


def test_a_symbol_is_pickled_as_mxnet_pickles_it() -> None:
    """The pickle names MXNet's class and holds the JSON; copies have the same text and nodes of their own."""
    symbol = mx.sym.load(str(SYM / "seed002-symbol.json"))
    data = pickle.dumps(symbol)

    assert symbol.__reduce__() == (mx.sym.Symbol, (None,), {"handle": symbol.tojson()})
    assert b"mxnet.symbol.symbol" in data
    for twin in (copy(symbol), deepcopy(symbol)):
        twin._set_attr(__note__="changed")
        assert twin.tojson() != symbol.tojson()


def test_a_newer_file_is_loaded_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """MXNet 2.0's version is noted, and the file read."""
    text = (SYM / "seed002-symbol.json").read_text().replace("10901", "20000")

    assert mx.sym.load_json(text).list_arguments() == ["a", "b"]
    assert "loading symbol saved by MXNet version 20000 with lower version of MXNet v10901" in caplog.text


@pytest.mark.parametrize("text", ["not json", "{}", '{"nodes": [], "arg_nodes": [], "heads": [[0, 0, 0]]}'])
def test_a_damaged_text_is_refused(text: str) -> None:
    """Whatever is wrong with it, it is an MXNetError, as in MXNet."""
    with pytest.raises(MXNetError):
        mx.sym.load_json(text)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Saving makes no folders, and says so in MXNet's words."""
    path = str(tmp_path / "no" / "x.json")

    with pytest.raises(MXNetError, match=r"LocalFileSystem: Open .*x\.json\": No such file or directory"):
        mx.sym.var("x").save(path)
