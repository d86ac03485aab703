"""Graph and Node: the order, the lists of names and the counts that MXNet gives for the same nodes."""

from __future__ import annotations

import dataclasses

import pytest

from tensorkeep.core.graph import Graph, Node
from tensorkeep.errors import CorruptFileError


def variable(name: str) -> Node:
    return Node("null", name)


def test_inputs_come_first_whatever_the_order_of_the_nodes() -> None:
    """MXNet walks depth first from the heads; what they do not need is left out."""
    nodes = (
        Node("elemwise_add", "sum", inputs=((2, 0, 0), (1, 0, 0))),
        variable("b"),
        variable("a"),
        variable("unused"),
    )
    graph = Graph(nodes, ((0, 0, 0),))
    assert graph.order() == [2, 1, 0]
    assert graph.arguments == ["a", "b"]
    assert graph.arg_nodes == (1, 2, 3)


def test_control_dependencies_run_before_a_node() -> None:
    """They come behind its inputs, as in nnvm's depth-first walk."""
    nodes = (
        variable("a"),
        Node("exp", "e", inputs=((0, 0, 0),)),
        Node("log", "l", inputs=((0, 0, 0),), control_deps=(1,)),
    )
    assert Graph(nodes, ((2, 0, 0),)).order() == [0, 1, 2]


def test_a_circle_is_refused() -> None:
    """Also one of a thousand nodes: the walk does not recurse."""
    nodes = tuple(Node("exp", f"n{i}", inputs=(((i + 1) % 5000, 0, 0),)) for i in range(5000))
    with pytest.raises(CorruptFileError, match="runs in a circle"):
        Graph(nodes, ((0, 0, 0),)).order()


def test_a_chain_of_a_hundred_thousand_nodes_is_walked() -> None:
    """Python's recursion limit does not matter."""
    nodes = (variable("x"), *(Node("exp", f"n{i}", inputs=((i, 0, 0),)) for i in range(100_000)))
    assert Graph(nodes, ((100_000, 0, 0),)).order() == list(range(100_001))


def test_auxiliary_states_are_the_inputs_that_an_operator_changes() -> None:
    """BatchNorm's fourth and fifth; a shared one is an auxiliary state everywhere."""
    names = ["data", "gamma", "beta", "mean", "var"]
    nodes = (*map(variable, names), Node("BatchNorm", "bn", inputs=tuple((i, 0, 0) for i in range(5))))
    graph = Graph(nodes, ((5, 0, 0), (3, 0, 0)))
    assert graph.arguments == ["data", "gamma", "beta"]
    assert graph.auxiliary == ["mean", "var"]
    assert graph.outputs == ["bn_output", "mean"]


def test_outputs_are_named_as_mxnet_names_them() -> None:
    """One output: _output; several: _output0 …; operators with names of their own; a variable keeps its name."""
    nodes = (
        variable("x"),
        Node("SliceChannel", "split", inputs=((0, 0, 0),)),
        Node("LayerNorm", "ln", inputs=((0, 0, 0),)),
        Node("RNN", "lstm", inputs=((0, 0, 0),)),
        Node("exp", "", inputs=((0, 0, 0),)),
    )
    heads = ((1, 2, 0), (2, 0, 0), (2, 2, 0), (3, 1, 0), (4, 0, 0), (0, 0, 0))
    graph = Graph(nodes, heads, node_row_ptr=(0, 1, 4, 7, 10, 11))
    assert graph.outputs == ["split_output2", "ln_output", "ln_std", "lstm_state_output", "output", "x"]
    # Files of 0.8 do not say how many outputs a node has: as many as are used.
    assert dataclasses.replace(graph, node_row_ptr=None).outputs[0] == "split_output2"


def test_operators_are_counted_inside_subgraphs_too() -> None:
    """The most frequent first, then by name."""
    body = Graph((variable("x"), Node("exp", "e", inputs=((0, 0, 0),))), ((1, 0, 0),))
    nodes = (
        variable("x"),
        Node("_foreach", "f", inputs=((0, 0, 0),), subgraphs=(body,)),
        Node("exp", "g", inputs=((1, 0, 0),)),
    )
    assert list(Graph(nodes, ((2, 0, 0),)).operators().items()) == [("exp", 2), ("_foreach", 1)]


def test_the_version_is_what_the_graph_says() -> None:
    """major * 10000 + minor * 100 + patch; None where it is missing or no number."""
    assert Graph((), (), attrs={"mxnet_version": ["int", 10901]}).version == 10901
    assert Graph((), ()).version is None
    assert Graph((), (), attrs={"mxnet_version": ["int", "1"]}).version is None


def test_graphs_are_equal_by_what_they_hold() -> None:
    """The source text does not count."""
    nodes = (variable("a"), Node("exp", "e", {"k": "v"}, ((0, 0, 0),)))
    assert Graph(nodes, ((1, 0, 0),)) == Graph(nodes, ((1, 0, 0),))
    assert Graph(nodes, ((1, 0, 0),)) != Graph(nodes, ((0, 0, 0),))
    assert Graph(nodes, ()) != 3
    assert "2 nodes" in repr(Graph(nodes, ()))
