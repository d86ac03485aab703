"""symbol.json of every generation: what it lists is what MXNet lists, its text comes back byte for byte."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorkeep as tk
from tensorkeep.core.graph import Graph, Node
from tensorkeep.errors import CorruptFileError, LimitError, TensorkeepError, UnsupportedDataError
from tensorkeep.formats import by_name
from tensorkeep.formats.symbol import dumps, loads
from tests.formats.mxnet_samples import GOLDEN, manifest, open_path, planned

FACTS = {name: facts for name, facts in manifest(GOLDEN).items() if name.endswith(".json")}
OF_191 = [name for name in FACTS if "legacy_" not in name]
LISTS = {"list_arguments": "arguments", "list_outputs": "outputs", "list_auxiliary_states": "auxiliary"}


def graph_of(value: Any) -> Graph:
    return loads(json.dumps(value).encode(), what="x-symbol.json")


def write(graph: Any) -> bytes:
    plan = by_name("symbol").plan
    assert plan is not None
    from tensorkeep.core.tree import Content

    segments = plan(Content(graph, {}, {})).segments
    assert all(isinstance(segment, bytes) for segment in segments)
    return b"".join(segment for segment in segments if isinstance(segment, bytes))


def check_lists(graph: Graph, facts: dict[str, Any], name: str) -> None:
    for key, attribute in LISTS.items():
        if key in facts:
            assert getattr(graph, attribute) == facts[key], (name, key)


@pytest.mark.parametrize("name", FACTS)
def test_symbols_of_mxnet_are_read_and_kept(name: str) -> None:
    """Arguments, outputs and auxiliary states as MXNet 1.9.1 lists them; saving gives the same bytes."""
    raw = (GOLDEN / name).read_bytes()
    with open_path(GOLDEN / name) as file:
        assert file.format == "symbol"
        assert len(file) == 0
        graph = file.graph
        assert graph is not None
        assert file.structure is graph
        assert file.notes[0].startswith("Written by MXNet")
    facts = dict(FACTS[name])
    if name == "sym/legacy_v08_bn_noaux-symbol.json":
        # MXNet adds the states that files of 0.8 do not have; the graph shows what the file says.
        assert facts.pop("list_auxiliary_states") == ["bn_moving_mean", "bn_moving_var"]
        assert graph.auxiliary == []
    check_lists(graph, facts, name)
    assert write(graph) == raw


@pytest.mark.parametrize("name", OF_191)
def test_the_writer_lays_text_out_as_mxnet_191(name: str) -> None:
    """A graph without its source text gives the very bytes that MXNet wrote for it."""
    raw = (GOLDEN / name).read_bytes()
    graph = dataclasses.replace(loads(raw, what=name))
    assert graph.text is None
    assert dumps(graph).encode() == raw


def test_every_symbol_beside_the_checkout_is_read(shared: Path) -> None:
    """The whole collection, with the files of MXNet's own history."""
    folder = shared / "mxnet" / "fixtures"
    count = 0
    for name, facts in manifest(folder).items():
        if not name.endswith("-symbol.json") and not name.endswith("save_000800.json"):
            continue
        count += 1
        with open_path(folder / name) as file:
            graph = file.graph
            assert graph is not None
            assert dumps(graph).encode() == (folder / name).read_bytes()
            if "oracle_tojson" in facts:  # MXNet upgrades these when it loads them
                facts = {key: facts[key] for key in ("list_arguments", "list_outputs")}
            check_lists(graph, facts, name)
    assert count > 40


def test_generations_give_the_same_fields() -> None:
    """param and attr of 0.8 (entries of two numbers), attr of 0.9, attrs of 1.0: one set of attributes."""
    node = {"op": "exp", "name": "e", "inputs": [[0, 0]]}
    base = {"nodes": [{"op": "null", "name": "a", "inputs": []}, node], "arg_nodes": [0], "heads": [[1, 0]]}
    wanted = {"p": "1", "u": "2"}
    for spelling in (
        {"param": {"p": "1"}, "attr": {"u": "2"}, "backward_source_id": -1},
        {"attr": wanted},
        {"attrs": wanted},
    ):
        graph = graph_of({**base, "nodes": [base["nodes"][0], {**node, **spelling}]})
        assert dict(graph.nodes[1].attrs) == wanted
        assert graph.nodes[1].inputs == ((0, 0, 0),)
        assert graph.heads == ((1, 0, 0),)


def test_of_attr_and_attrs_the_later_counts_and_param_fills_in() -> None:
    """MXNet's reader does so; its own answer for this file is in the fixture's oracle_tojson."""
    raw = (GOLDEN / "sym" / "legacy_both_attr_and_attrs-symbol.json").read_bytes()
    found = loads(raw, what="x").nodes[0].attrs
    assert dict(found) == {"k1": "param", "k2": "attrs", "k3": "attrs", "k4": "param"}
    node = {"op": "null", "name": "a", "inputs": [], "param": {"k": "param"}, "attr": {"k": "attr"}}
    assert dict(graph_of({"nodes": [node], "arg_nodes": [], "heads": []}).nodes[0].attrs) == {"k": "attr"}


def test_attributes_are_read_only() -> None:
    """A changed graph is a new one, so that the kept text never lies."""
    graph = loads((GOLDEN / "sym" / "rnn-symbol.json").read_bytes(), what="x")
    with pytest.raises(TypeError, match="item assignment"):
        graph.nodes[-1].attrs["mode"] = "gru"  # type: ignore[index]
    node = dataclasses.replace(graph.nodes[-1], attrs={**graph.nodes[-1].attrs, "mode": "gru"})
    changed = dataclasses.replace(graph, nodes=(*graph.nodes[:-1], node))
    assert '"mode": "gru"' in dumps(changed)
    assert '"mode": "lstm"' in dumps(graph)


def test_text_is_escaped_as_mxnet_reads_it() -> None:
    """Quote, backslash, newline, return and tab have escapes, other text stands as it is; MXNet knows no others."""
    graph = Graph((Node("null", 'a"b\\c\n\t\ré/数'),), ((0, 0, 0),), node_row_ptr=(0, 1))
    text = dumps(graph)
    assert r'"name": "a\"b\\c\n\t\ré/数"' in text
    assert loads(text.encode(), what="x") == graph
    with pytest.raises(UnsupportedDataError, match="could not read it back"):
        dumps(Graph((Node("null", "a\x01"),), ((0, 0, 0),)))


def test_only_a_graph_can_be_written() -> None:
    """Tensors are refused before a byte is written."""
    with pytest.raises(UnsupportedDataError, match="holds a Graph"):
        planned({}, "symbol")


def test_a_graph_is_no_content_for_files_of_tensors(tmp_path: Path) -> None:
    """tk.save says so before a byte is written; as a symbol file it is saved and loads again."""
    graph = tk.load(GOLDEN / "sym" / "cond-symbol.json")
    for name in ("x.safetensors", "x.params", "x.npz", "x.pt"):
        with pytest.raises(UnsupportedDataError, match=r"Save it as …-symbol\.json"):
            tk.save(tmp_path / name, graph)
    assert list(tmp_path.iterdir()) == []
    tk.save(tmp_path / "x-symbol.json", graph)
    assert (tmp_path / "x-symbol.json").read_bytes() == (GOLDEN / "sym" / "cond-symbol.json").read_bytes()
    assert tk.load(tmp_path / "x-symbol.json") == graph


# --- damage

ONE: dict[str, Any] = {
    "nodes": [{"op": "null", "name": "a", "inputs": []}, {"op": "exp", "name": "e", "inputs": [[0, 0, 0]]}],
    "arg_nodes": [0],
    "node_row_ptr": [0, 1, 2],
    "heads": [[1, 0, 0]],
    "attrs": {"mxnet_version": ["int", 10901]},
}


def changed(path: str, value: Any) -> Any:
    """ONE with `value` at the dotted path; a value of `...` removes what is there."""
    copy = json.loads(json.dumps(ONE))
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    at = copy
    for part in above:
        at = at[part]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("zzz", 1, "unknown field 'zzz'"),
        ("nodes.0.zzz", 1, "node 0: unknown field 'zzz'"),
        ("arg_nodes", ..., "'arg_nodes' is missing"),
        ("heads", ..., "'heads' is missing"),
        ("nodes.1.inputs", ..., "node 1: the field 'inputs' is missing"),
        ("nodes", {}, "is no list but an object"),
        ("nodes.0", 3, "node 0 is no object but 3"),
        ("nodes.0.name", 3, "not strings"),
        ("nodes.1.inputs", [[2, 0, 0]], "refers to node 2; there are 2"),
        ("nodes.1.inputs", [[-1, 0, 0]], "not .node, output, version."),
        ("nodes.1.inputs", [[0]], "not .node, output, version."),
        ("nodes.1.inputs", [[0, True, 0]], "not .node, output, version."),
        ("nodes.1.inputs", [[1, 0, 0]], "runs in a circle"),
        ("nodes.1.control_deps", [1], "runs in a circle"),
        ("nodes.1.control_deps", [5], "refer to node 5"),
        ("nodes.1.attrs", {"k": 1}, "MXNet keeps all of them as strings"),
        ("nodes.1.attrs", [], "is no object"),
        ("nodes.1.subgraphs", {}, "no list"),
        ("nodes.1.backward_source_id", "x", "no integer"),
        ("nodes.1.subgraphs", [{"nodes": []}], "subgraph 0: the field"),
        ("heads", [[7, 0, 0]], "refers to node 7"),
        ("heads", 3, "no list"),
        ("arg_nodes", [9], "refer to node 9"),
        ("arg_nodes", [1], "lists node 1, which is no variable"),
        ("node_row_ptr", [0, 2, 1], "rising"),
        ("attrs", [], "no object"),
    ],
)
def test_graphs_that_break_the_rules_are_refused(path: str, value: Any, why: str) -> None:
    """The field, what stands there, and the file's name."""
    with pytest.raises(CorruptFileError, match=why) as caught:
        graph_of(changed(path, value))
    assert "x-symbol.json" in str(caught.value)


def test_a_graph_is_a_json_object() -> None:
    """A list or number is none."""
    with pytest.raises(CorruptFileError, match="is a JSON object, not a list"):
        graph_of([])


def test_forward_references_are_read() -> None:
    """MXNet's reader takes nodes in any order; only circles are refused."""
    nodes = [{"op": "exp", "name": "e", "inputs": [[1, 0, 0]]}, {"op": "null", "name": "a", "inputs": []}]
    graph = graph_of({"nodes": nodes, "arg_nodes": [1], "heads": [[0, 0, 0]]})
    assert graph.arguments == ["a"]
    assert graph.order() == [1, 0]


def test_numbers_and_depth_are_limited() -> None:
    """An output number of 2**60 would size a table; subgraphs a thousand deep would end the stack."""
    with pytest.raises(LimitError, match="refers to output"):
        graph_of(changed("heads", [[1, 1 << 60, 0]]))
    text = '{"nodes":[{"op":"f","name":"","inputs":[],"subgraphs":[' * 1000
    with pytest.raises(LimitError, match="inside each other"):
        loads(text.encode() + b"}" * 3, what="deep")


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_no_changed_byte_gives_another_exception(at: int, byte: int) -> None:
    """One byte of a real file replaced: it loads, or one of our errors says why not."""
    data = bytearray((GOLDEN / "sym" / "cond-symbol.json").read_bytes())
    data[at % len(data)] = byte
    try:
        graph = loads(bytes(data), what="x")
        assert isinstance(graph.outputs, list)
        assert isinstance(graph.arguments, list)
    except TensorkeepError as err:
        assert "x" in str(err)  # noqa: PT017


@pytest.mark.parametrize("size", range(0, 2320, 40))
def test_a_cut_symbol_is_refused(size: int) -> None:
    """At any byte."""
    data = (GOLDEN / "sym" / "cond-symbol.json").read_bytes()[:size]
    with pytest.raises(CorruptFileError, match="x: "):
        loads(data, what="x")
