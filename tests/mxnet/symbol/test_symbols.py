"""Symbols against real MXNet 1.9.1's answers: JSON, names, attributes, shapes, dtypes, refusals.

The cases are in cases.py; `python tools/mxnet_symbols.py`, run by an interpreter that has MXNet 1.9.1, asks it again.
"""

from __future__ import annotations

import json
import lzma
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet._registry import registered
from tensorkeep.mxnet.symbol._node import Node
from tests.mxnet.symbol.cases import REFUSED, SYMBOLS

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "symbols.json.xz"


pytestmark = pytest.mark.filterwarnings("ignore:NTC layout detected")


@cache
def golden() -> dict[str, Any]:
    return json.loads(lzma.decompress(GOLDEN.read_bytes()))


def made(name: str) -> Any:
    mx.AttrScope._subgraph_names.clear()
    with mx.name.NameManager():
        return SYMBOLS[name][0](mx)


def lists(groups: Any) -> Any:
    return json.loads(json.dumps(groups))


@pytest.mark.parametrize("name", SYMBOLS)
def test_a_symbol_is_written_as_mxnet_writes_it(name: str) -> None:
    """tojson() gives MXNet's text to the byte, also after a round trip."""
    want = golden()["symbols"][name]
    symbol = made(name)

    assert symbol.tojson() == want["json"]
    assert mx.sym.load_json(want["json"]).tojson() == want["json"]


@pytest.mark.parametrize("loaded", [False, True], ids=["made", "loaded"])
@pytest.mark.parametrize("name", SYMBOLS)
def test_a_symbol_lists_what_mxnet_lists(name: str, loaded: bool) -> None:
    """Names, attributes and debug text are MXNet's, of symbols that are made here and of those from JSON."""
    want = golden()["symbols"][name]
    symbol = mx.sym.load_json(want["json"]) if loaded else made(name)

    assert symbol.name == want["name"]
    assert repr(symbol) == want["repr"]
    assert symbol.list_arguments() == want["arguments"]
    assert symbol.list_auxiliary_states() == want["auxiliary"]
    assert symbol.list_outputs() == want["outputs"]
    assert symbol.list_inputs() == want["inputs"]
    assert symbol.get_internals().list_outputs() == want["internals"]
    assert symbol.attr_dict() == want["attrs"]
    assert symbol.list_attr() == want["own attrs"]
    assert symbol.debug_str() == want["debug"]


@pytest.mark.filterwarnings("ignore:Cannot decide")
@pytest.mark.parametrize("name", SYMBOLS)
def test_shapes_and_dtypes_are_inferred_as_by_mxnet(name: str) -> None:
    """infer_shape and infer_type give what MXNet gives, forwards and backwards."""
    want = golden()["symbols"][name]
    _, shapes, dtypes = SYMBOLS[name]
    symbol = made(name)

    found = symbol.infer_shape(**shapes)
    if name not in ("branches", "while"):  # MXNet does not look into their bodies
        assert lists(found) == want["shapes"]
    found = [None if group is None else [d and d.__name__ for d in group] for group in symbol.infer_type(**dtypes)]
    assert found == want["dtypes"]


@pytest.mark.parametrize("name", SYMBOLS)
def test_a_summary_is_printed_as_mxnet_prints_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Layers, output shapes and numbers of parameters."""
    want = golden()["symbols"][name]["summary"]
    if want is None:
        pytest.skip("MXNet has no summary of it")

    mx.viz.print_summary(made(name), SYMBOLS[name][1])

    assert capsys.readouterr().out == want


class _Digraph:
    """Takes what plot_network draws."""

    def __init__(self, name: str, format: str) -> None:
        self.nodes: dict[str, dict[str, str]] = {}
        self.edges: list[tuple[str, str, str]] = []

    def node(self, name: str, **attrs: str) -> None:
        self.nodes[name] = attrs

    def edge(self, tail_name: str, head_name: str, label: str, **attrs: str) -> None:
        self.edges.append((head_name, tail_name, label))


def test_a_network_is_drawn_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers and data become boxes, and the edges carry shapes; graphviz itself is replaced."""
    monkeypatch.setitem(sys.modules, "graphviz", SimpleNamespace(Digraph=_Digraph))

    dot = mx.viz.plot_network(made("mlp"), shape={"data": (4, 5)})

    assert sorted(dot.nodes) == ["activation0", "data", "fullyconnected0", "out", "softmax", "softmax_label"]
    assert dot.nodes["fullyconnected0"]["label"] == "FullyConnected\n8"
    assert ("data", "fullyconnected0", "5") in dot.edges
    assert ("fullyconnected0", "activation0", "8") in dot.edges


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_mxnet_says(name: str) -> None:
    """The same type of error with the same sentence."""
    kind, text = golden()["refusals"][name]

    # A new NameManager: the names in the texts do not depend on other tests.
    with mx.name.NameManager(), pytest.raises(Exception) as caught:  # its type is compared below
        REFUSED[name](mx)
    assert type(caught.value).__name__ == kind
    assert str(caught.value).strip() == text


@pytest.mark.parametrize("name", sorted(registered()))
def test_an_operator_has_mxnets_inputs_and_outputs(name: str) -> None:
    """Names of inputs and outputs, auxiliary states, hidden outputs and initializers are MXNet's."""
    want = golden()["operators"].get(name)
    if "multi" in name and name.endswith("_update"):
        pytest.skip("it changes many weights at once, and makes no sense in a network")
    if want is None:
        pytest.skip("MXNet cannot compose it of variables alone")
    node = Node(name, "n", dict(want["attrs"]))

    names = node.input_names()
    assert [f"n_{name}" for name in names] == want["inputs"]
    assert [node.output_name(i) for i in range(node.visible)] == want["names"]
    assert node.counted == want["outputs"]
