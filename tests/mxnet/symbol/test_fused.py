"""Networks that MXNet's oneDNN backend rewrote: layers fused into one operator, with the layers in its body."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "fused"
"""Written by tools/mxnet_fused.py."""


@pytest.fixture
def symbol() -> mx.sym.Symbol:
    return mx.sym.load(str(GOLDEN / "network-symbol.json"))


def test_a_fused_network_gives_what_mxnet_gives(symbol) -> None:
    """Convolutions with BatchNorm, sums and relu, and dense layers, each one operator."""
    with np.load(GOLDEN / "values.npz") as file:
        values = {name: file[name] for name in file.files}
    arrays = {name[4:]: mx.nd.array(value) for name, value in values.items() if name[:4] == "arg:"}
    states = {name[4:]: mx.nd.array(value) for name, value in values.items() if name[:4] == "aux:"}

    output = symbol.bind(mx.cpu(), arrays, aux_states=states).forward()[0].asnumpy()

    assert {node["op"] for node in json.loads(symbol.tojson())["nodes"]} == {
        "null", "_sg_mkldnn_conv", "_sg_mkldnn_fully_connected", "Flatten",
    }  # fmt: skip
    np.testing.assert_allclose(output, values["output"], rtol=1e-5, atol=1e-6)


def test_the_moving_statistics_inside_are_auxiliary_states(symbol) -> None:
    """As MXNet lists them; shapes go through the bodies."""
    assert symbol.list_auxiliary_states() == [
        f"{name}_bn_moving_{what}" for name in ("c1", "c2", "c3") for what in ("mean", "var")
    ]
    assert symbol.infer_shape(data=(2, 3, 4, 4))[1] == [(2, 3)]


def test_eight_bit_fusions_are_refused(symbol) -> None:
    """The error names the node and what to do."""
    graph = json.loads(symbol.tojson())
    node = next(n for n in graph["nodes"] if n["op"] == "_sg_mkldnn_conv")
    node["attrs"]["quantized"] = "true"
    changed = mx.sym.load_json(json.dumps(graph))

    with pytest.raises(RuntimeError, match=f"{node['name']} computes with 8-bit values"):
        changed.simple_bind(mx.cpu(), data=(2, 3, 4, 4))


def test_a_body_that_does_not_fit_is_refused(symbol) -> None:
    """An input is missing."""
    graph = json.loads(symbol.tojson())
    node = next(n for n in graph["nodes"] if n["op"] == "_sg_mkldnn_conv")
    node["inputs"].pop()
    changed = mx.sym.load_json(json.dumps(graph))

    with pytest.raises(RuntimeError, match="its 2 inputs do not fit the variables of its body"):
        changed.simple_bind(mx.cpu(), data=(2, 3, 4, 4))
