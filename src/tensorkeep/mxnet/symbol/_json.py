"""A symbol's JSON: between nodes that refer to each other and the Graph that tensorkeep.formats reads and writes."""

from __future__ import annotations

from itertools import pairwise
from types import MappingProxyType
from typing import Any

from tensorkeep.core.graph import Graph
from tensorkeep.core.graph import Node as Stored
from tensorkeep.errors import LimitError
from tensorkeep.formats import _mxnet_symbol as text
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.symbol._node import Entry, Node, copied, post_order
from tensorkeep.mxnet.symbol._upgrade import unknown_as_minus_one, upgrade

__all__ = ["dump", "parse"]

VERSION = 10901
"""What this package writes as the version of MXNet: it writes what 1.9.1 writes."""

_AMP = ("amp_cast", "amp_multicast")


_MAX_NESTED = 8
"""Loops within loops: each runs the inner one many times."""

_MAX_TOTAL = 1 << 22
"""Outputs of a whole network, each of which costs memory before anything is run."""


def dump(heads: list[Entry], remove_amp_cast: bool = True) -> str:
    """The text that MXNet 1.9.1's tojson() gives.

    Args:
        remove_amp_cast: leave out the casts that automatic mixed precision put in.
    """
    attrs: dict[str, Any] = {"mxnet_version": ["int", VERSION]}
    if state.np_shape:
        attrs["is_np_shape"] = ["int", 1]
    if remove_amp_cast:
        heads = [_behind_casts(entry) for entry in heads]
    return text.dumps(_graph(heads, attrs, remove_amp_cast))


def _behind_casts(entry: Entry) -> Entry:
    """What a cast of mixed precision was given; the entry itself where it is none."""
    while entry[0].op in _AMP:
        at = entry[1] if entry[0].op == "amp_multicast" else 0
        if at >= len(entry[0].inputs):
            raise MXNetError(f"Operator {entry[0].op} {entry[0].name}: it has no input {at}.")
        entry = entry[0].inputs[at]
    return entry


def _graph(heads: list[Entry], attrs: dict[str, Any], remove_amp_cast: bool) -> Graph:
    if remove_amp_cast and any(node.op in _AMP for node in post_order(heads)):
        heads = _without_casts(heads)
    order = post_order(heads)
    at = {id(node): i for i, node in enumerate(order)}
    nodes, rows = [], [0]
    for node in order:
        nodes.append(
            Stored(
                node.op,
                node.name,
                MappingProxyType(node.attrs),
                tuple([(at[id(n)], i, v) for n, i, v in node.inputs]),
                tuple([at[id(n)] for n in node.control_deps]),
                tuple([_graph(sub, {}, remove_amp_cast) for sub in node.subgraphs]),
            )
        )
        rows.append(rows[-1] + (1 if node.is_variable else node.counted))
    found = tuple([(at[id(n)], i, v) for n, i, v in heads])
    return Graph(tuple(nodes), found, node_row_ptr=tuple(rows), attrs=MappingProxyType(attrs))


def _without_casts(heads: list[Entry]) -> list[Entry]:
    """The heads of a copy in which every cast of mixed precision is bridged."""
    twins = copied(heads)
    for node in post_order(twins):
        node.inputs = [_behind_casts(entry) for entry in node.inputs]
    return [_behind_casts(entry) for entry in twins]


def parse(data: bytes, *, what: str) -> list[Entry]:
    """The heads of the network in a JSON text of any version; old ones are upgraded as MXNet 1.9.1 does.

    Raises:
        CorruptFileError, LimitError: it is no such text.
        MXNetError: the parameters of an operator do not fit.
    """
    graph = text.loads(data, what=what)
    heads, nodes = _nodes(graph)
    upgrade(nodes, graph.version, heads)
    total = sum([node.counted for node in nodes if not node.is_variable])
    if total > _MAX_TOTAL:
        raise LimitError(f"{what}: its operators have {total} outputs; at most {_MAX_TOTAL} are taken. It is hostile.")
    if state.np_shape and graph.attrs.get("is_np_shape") != ["int", 1]:
        unknown_as_minus_one(nodes)
    return heads


def _nodes(graph: Graph, depth: int = 0) -> tuple[list[Entry], list[Node]]:
    if depth > _MAX_NESTED:
        raise LimitError(f"Loops and branches lie in each other, more than {_MAX_NESTED} deep. The file is hostile.")
    nodes = [Node(stored.op, stored.name, dict(stored.attrs)) for stored in graph.nodes]
    for node, stored, count in zip(nodes, graph.nodes, _output_counts(graph), strict=True):
        node.inputs = [(nodes[at], i, version) for at, i, version in stored.inputs]
        node.control_deps = [nodes[at] for at in stored.control_deps]
        node.subgraphs = tuple([_nodes(sub, depth + 1)[0] for sub in stored.subgraphs])
        node.stored_outputs = count
        for n, _, version in node.inputs:
            n.version = max(n.version, version)
    return [(nodes[at], i, version) for at, i, version in graph.heads], nodes


def _output_counts(graph: Graph) -> list[int]:
    """How many outputs each node has, for operators that nothing else is known of."""
    rows = graph.node_row_ptr
    if rows is not None and len(rows) == len(graph.nodes) + 1:
        return [after - before for before, after in pairwise(rows)]
    counts = [1] * len(graph.nodes)
    for entries in (graph.heads, *(node.inputs for node in graph.nodes)):
        for at, index, _ in entries:
            counts[at] = max(counts[at], index + 1)
    return counts
