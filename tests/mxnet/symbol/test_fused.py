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


def load(name: str) -> tuple[mx.sym.Symbol, dict[str, dict[str, np.ndarray]]]:
    """A network and its arrays: arguments, auxiliary states, what inner layers give; "output" under "output"."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        found = {key: file[key] for key in file.files}
    kinds = {kind: {k[len(kind) + 1 :]: v for k, v in found.items() if k.startswith(f"{kind}:")} for kind in KINDS}
    return mx.sym.load(str(GOLDEN / f"{name}-symbol.json")), {**kinds, "output": {"": found["output"]}}


KINDS = ("arg", "aux", "inner")


def run(symbol: mx.sym.Symbol, arrays: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    """The first output for those of the arrays that the network takes."""
    args, aux = symbol.list_arguments(), symbol.list_auxiliary_states()
    executor = symbol.bind(
        mx.cpu(),
        {name: mx.nd.array(arrays["arg"][name], dtype=arrays["arg"][name].dtype) for name in args},
        aux_states={name: mx.nd.array(arrays["aux"][name]) for name in aux},
    )
    return executor.forward()[0].asnumpy()


@pytest.fixture
def symbol() -> mx.sym.Symbol:
    return load("network")[0]


def test_a_fused_network_gives_what_mxnet_gives() -> None:
    """Convolutions with BatchNorm, sums and relu, and dense layers, each one operator."""
    symbol, arrays = load("network")

    assert {node["op"] for node in json.loads(symbol.tojson())["nodes"]} == {
        "null", "_sg_mkldnn_conv", "_sg_mkldnn_fully_connected", "Flatten",
    }  # fmt: skip
    np.testing.assert_allclose(run(symbol, arrays), arrays["output"][""], rtol=1e-5, atol=1e-6)


def test_an_eight_bit_network_gives_mxnets_bytes() -> None:
    """Every layer's 8-bit values are equal; the floats at the end are, up to rounding."""
    symbol, arrays = load("eight_bit")

    assert len(arrays["inner"]) == 7
    for name, want in arrays["inner"].items():
        got = run(symbol.get_internals()[name], arrays)
        assert got.dtype == want.dtype
        assert np.array_equal(got, want) if want.dtype != np.float32 else np.allclose(got, want, rtol=1e-5), name
    np.testing.assert_allclose(run(symbol, arrays), arrays["output"][""], rtol=1e-5, atol=1e-6)


def test_the_moving_statistics_inside_are_auxiliary_states(symbol) -> None:
    """As MXNet lists them; shapes go through the bodies."""
    assert symbol.list_auxiliary_states() == [
        f"{name}_bn_moving_{what}" for name in ("c1", "c2", "c3") for what in ("mean", "var")
    ]
    assert symbol.infer_shape(data=(2, 3, 4, 4))[1] == [(2, 3)]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda node: node["attrs"].pop("max_calib_range"), "without a calibrated range are not computed"),
        (lambda node: node["attrs"].update(max_calib_range="x"), "its max_calib_range 'x' is no number"),
        (lambda node: node["inputs"].pop(), "do not fit the variables of its body"),
        (
            lambda node: node["subgraphs"][0]["nodes"][-1]["attrs"].update(act_type="tanh"),
            "is not computed on 8-bit values",
        ),
    ],
)
def test_what_is_not_computed_on_eight_bits_is_refused(change, text) -> None:
    """The error names the node."""
    symbol, arrays = load("eight_bit")
    graph = json.loads(symbol.tojson())
    node = next(n for n in graph["nodes"] if n["op"] == "_sg_mkldnn_conv")
    change(node)
    changed = mx.sym.load_json(json.dumps(graph))

    with pytest.raises(RuntimeError, match=f"_sg_mkldnn_conv {node['name']}.*{text}"):
        run(changed, arrays)


def test_a_body_that_does_not_fit_is_refused(symbol) -> None:
    """An input is missing."""
    graph = json.loads(symbol.tojson())
    node = next(n for n in graph["nodes"] if n["op"] == "_sg_mkldnn_conv")
    node["inputs"].pop()
    changed = mx.sym.load_json(json.dumps(graph))

    with pytest.raises(RuntimeError, match="its 2 inputs do not fit the variables of its body"):
        changed.simple_bind(mx.cpu(), data=(2, 3, 4, 4))
