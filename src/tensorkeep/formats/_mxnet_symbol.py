"""The JSON of MXNet's symbols: read every generation of it, write it as MXNet 1.9.1 does, to the byte.

    {"nodes": [{"op", "name", "attrs", "inputs": [[node, output, version], …]}, …], "arg_nodes", "node_row_ptr", "heads", "attrs"}

Before 1.0 a node's "attrs" was "attr"; before 0.9 its parameters were "param" and entries had two numbers. Source:
src/nnvm/legacy_json_util.cc and nnvm's saveload_json.cc of MXNet 1.9.1; docs/formats/symbol.md has the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from tensorkeep.core.bounds import MAX_HEADER_NBYTES
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.graph import Entry, Graph, Node
from tensorkeep.errors import CorruptFileError, LimitError, UnsupportedDataError
from tensorkeep.formats._json import parse

__all__ = ["dumps", "loads", "read"]

_GRAPH_KEYS = {"nodes", "arg_nodes", "node_row_ptr", "heads", "attrs"}
_NODE_KEYS = {"op", "name", "attrs", "attr", "param", "inputs", "control_deps", "subgraphs", "backward_source_id"}

_DAMAGED = "The file is damaged, or no symbol of MXNet."


def read(source: ByteSource) -> Graph:
    """The Graph of a symbol file; its `text` is the file's."""
    if source.size > MAX_HEADER_NBYTES:
        raise LimitError(
            f"{source.name}: a symbol file of {source.size} bytes; at most {MAX_HEADER_NBYTES} are read. "
            "Real ones stay below 10 MB."
        )
    return loads(source.read(0, source.size), what=source.name)


def loads(data: bytes, *, what: str) -> Graph:
    """The Graph of a symbol's JSON text, checked: positions in range, no circles, the keys that MXNet knows.

    Raises:
        CorruptFileError, LimitError: what is wrong with it.
    """
    graph = _graph(parse(data, what=what), what)
    object.__setattr__(graph, "text", data.decode("utf-8"))
    return graph


def _graph(value: Any, what: str) -> Graph:
    if type(value) is not dict:
        raise CorruptFileError(f"{what}: a graph is a JSON object, not {_show(value)}. {_DAMAGED}")
    _check_keys(value, _GRAPH_KEYS, ("nodes", "arg_nodes", "heads"), what)
    raw = value["nodes"]
    if type(raw) is not list:
        raise CorruptFileError(f'{what}: "nodes" is no list but {_show(raw)}. {_DAMAGED}')
    count = len(raw)
    nodes = tuple([_node(node, i, count, what) for i, node in enumerate(raw)])
    heads = _entries(value["heads"], count, f'{what}: "heads"')
    arg_nodes = _ids(value["arg_nodes"], count, f'{what}: "arg_nodes"')
    for at in arg_nodes:
        if not nodes[at].is_variable:
            raise CorruptFileError(f'{what}: "arg_nodes" lists node {at}, which is no variable. {_DAMAGED}')
    rows = value.get("node_row_ptr")
    attrs = value.get("attrs", {})
    if type(attrs) is not dict:
        raise CorruptFileError(f'{what}: the "attrs" of the graph are no object but {_show(attrs)}. {_DAMAGED}')
    graph = Graph(nodes, heads, arg_nodes, None if rows is None else _rows(rows, nodes, what), MappingProxyType(attrs))
    _check_acyclic(nodes, what)
    return graph


def _node(value: Any, i: int, count: int, what: str) -> Node:
    where = f"{what}: node {i}"
    if type(value) is not dict:
        raise CorruptFileError(f"{where} is no object but {_show(value)}. {_DAMAGED}")
    _check_keys(value, _NODE_KEYS, ("op", "name", "inputs"), where)
    op, name = value["op"], value["name"]
    if type(op) is not str or type(name) is not str:
        raise CorruptFileError(
            f"{where}: its operator and name are {_show(op)} and {_show(name)}, not strings. {_DAMAGED}"
        )
    if type(value.get("backward_source_id", -1)) is not int:
        raise CorruptFileError(f'{where}: its "backward_source_id" is no integer. {_DAMAGED}')
    subgraphs = value.get("subgraphs", [])
    if type(subgraphs) is not list:
        raise CorruptFileError(f'{where}: its "subgraphs" are no list but {_show(subgraphs)}. {_DAMAGED}')
    return Node(
        op,
        name,
        _node_attrs(value, where),
        _entries(value["inputs"], count, f"{where}: an input"),
        _ids(value.get("control_deps", []), count, f"{where}: its control dependencies"),
        # JSON's own limit of depth bounds this recursion.
        tuple(_graph(subgraph, f"{where}, subgraph {k}") for k, subgraph in enumerate(subgraphs)),
    )


def _node_attrs(value: dict[str, Any], where: str) -> Mapping[str, str]:
    """The attributes of a node: of "attr" and "attrs" the later one counts, then "param" fills in what is missing."""
    attrs: dict[str, str] = {}
    for key, found in value.items():
        if key in ("attr", "attrs"):
            attrs = _strings(found, f"{where}: its {key!r}")
    if "param" in value:
        attrs = {**_strings(value["param"], f"{where}: its 'param'"), **attrs}
    return MappingProxyType(attrs)


def _strings(value: Any, what: str) -> dict[str, str]:
    if type(value) is not dict:
        raise CorruptFileError(f"{what} is no object but {_show(value)}. {_DAMAGED}")
    for key, item in value.items():
        if type(item) is not str:
            raise CorruptFileError(
                f"{what}[{key!r:.80}] is {_show(item)}; MXNet keeps all of them as strings. {_DAMAGED}"
            )
    return value


def _entries(value: Any, count: int, what: str) -> tuple[Entry, ...]:
    if type(value) is not list:
        raise CorruptFileError(f"{what}: no list but {_show(value)}. {_DAMAGED}")
    found = []
    for entry in value:
        if type(entry) is not list or not 2 <= len(entry) <= 3 or any(type(n) is not int or n < 0 for n in entry):
            raise CorruptFileError(f"{what} is {_show(entry)}, not [node, output, version]. {_DAMAGED}")
        at, index, version = entry if len(entry) == 3 else (*entry, 0)
        if at >= count:
            raise CorruptFileError(f"{what} refers to node {at}; there are {count}. The file is damaged or hostile.")
        if index > _MAX_OUTPUT:
            raise LimitError(f"{what} refers to output {index}; at most {_MAX_OUTPUT} are read. The file is damaged.")
        found.append((at, index, version))
    return tuple(found)


_MAX_OUTPUT = 1 << 24
"""Outputs of one node: MXNet counts them in 32 bits, real nodes have at most hundreds."""


def _ids(value: Any, count: int, what: str) -> tuple[int, ...]:
    if type(value) is not list or any(type(at) is not int for at in value):
        raise CorruptFileError(f"{what}: no list of integers but {_show(value)}. {_DAMAGED}")
    for at in value:
        if not 0 <= at < count:
            raise CorruptFileError(f"{what} refer to node {at}; there are {count}. The file is damaged or hostile.")
    return tuple(value)


def _rows(value: Any, nodes: Sequence[Node], what: str) -> tuple[int, ...]:
    good = type(value) is list and all(type(n) is int and n >= 0 for n in value)
    if not good or any(b < a for a, b in pairwise(value)):
        raise CorruptFileError(f'{what}: "node_row_ptr" is no list of rising integers but {_show(value)}. {_DAMAGED}')
    return tuple(value)


def _check_keys(value: dict[str, Any], known: set[str], required: tuple[str, ...], what: str) -> None:
    strange = value.keys() - known
    if strange:
        listed = ", ".join(sorted(known))
        raise CorruptFileError(f"{what}: unknown field {min(strange)!r:.80}; known are {listed}. {_DAMAGED}")
    for key in required:
        if key not in value:
            raise CorruptFileError(f"{what}: the field {key!r} is missing. {_DAMAGED}")


def _check_acyclic(nodes: tuple[Node, ...], what: str) -> None:
    # Files of MXNet list every node behind its inputs; only others need the walk.
    if all(at < i for i, node in enumerate(nodes) for at in (*(e[0] for e in node.inputs), *node.control_deps)):
        return
    try:
        Graph(nodes, tuple((i, 0, 0) for i in range(len(nodes))), ()).order()
    except CorruptFileError as err:
        raise CorruptFileError(f"{what}: {err}") from None


def _show(value: Any) -> str:
    if value is None or type(value) in (bool, int, float, str):
        return f"{value!r:.60}"
    return "an object" if type(value) is dict else "a list"


def dumps(graph: Graph) -> str:
    """The JSON text of a graph: the source text when it was read and not changed, else laid out as MXNet 1.9.1 does.

    MXNet's text has no newline at the end, sorted attributes, and ", " before each line break.
    """
    if graph.text is not None:
        return graph.text
    return _dump_graph(graph, 0)


def _dump_graph(graph: Graph, indent: int) -> str:
    inner = indent + 2
    fields = [
        ("nodes", _block("[", [_dump_node(node, inner + 2) for node in graph.nodes], "]", inner)),
        ("arg_nodes", _dump_list(map(str, graph.arg_nodes), inner)),
    ]
    if graph.node_row_ptr is not None:
        fields.append(("node_row_ptr", _dump_list(map(str, graph.node_row_ptr), inner)))
    fields.append(("heads", _dump_list(map(_entry, graph.heads), inner)))
    if graph.attrs:
        attrs = {key: _flat_value(value) for key, value in graph.attrs.items()}
        fields.append(("attrs", _dump_object(attrs, inner)))
    return _block("{", [f'"{key}": {text}' for key, text in fields], "}", indent)


def _dump_node(node: Node, indent: int) -> str:
    inner = indent + 2
    fields = [("op", _string(node.op)), ("name", _string(node.name))]
    if node.attrs:
        fields.append(("attrs", _dump_object({key: _string(node.attrs[key]) for key in node.attrs}, inner)))
    fields.append(("inputs", _dump_list(map(_entry, node.inputs), inner)))
    if node.control_deps:
        fields.append(("control_deps", _dump_list(map(str, node.control_deps), inner)))
    if node.subgraphs:
        subgraphs = [_dump_graph(subgraph, inner + 2) for subgraph in node.subgraphs]
        fields.append(("subgraphs", _block("[", subgraphs, "]", inner)))
    return _block("{", [f'"{key}": {text}' for key, text in fields], "}", indent)


def _dump_object(items: dict[str, str], indent: int) -> str:
    """One key stands on the line, several on lines of their own."""
    texts = [f"{_string(key)}: {items[key]}" for key in sorted(items, key=lambda key: key.encode("utf-8"))]
    if len(texts) == 1:
        return f"{{{texts[0]}}}"
    return _block("{", texts, "}", indent)


def _dump_list(items: Iterable[str], indent: int) -> str:
    """Up to ten items stand on one line, more on lines of their own."""
    texts = list(items)
    return "[" + ", ".join(texts) + "]" if len(texts) <= 10 else _block("[", texts, "]", indent)


def _block(opening: str, items: list[str], closing: str, indent: int) -> str:
    if not items:
        return opening + closing
    pad = " " * indent
    return f"{opening}\n" + ", \n".join(f"{pad}  {item}" for item in items) + f"\n{pad}{closing}"


def _entry(entry: Entry) -> str:
    return f"[{entry[0]}, {entry[1]}, {entry[2]}]"


def _flat_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""All that MXNet's own reader of JSON understands; it has no \\u."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def _string(text: str) -> str:
    found = _CONTROL.search(text)
    if found:
        raise UnsupportedDataError(
            f"A symbol file cannot hold the character {found.group()!r} (in {text!r:.80}): MXNet could not read it "
            "back. Take it out."
        )
    return f'"{text.translate(_ESCAPES)}"'
