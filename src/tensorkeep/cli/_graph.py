"""The network of a symbol.json: nodes, operators, arguments, auxiliary states, heads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tensorkeep.cli._text import Column, clean, count, dim, plural, table, terminal_width

if TYPE_CHECKING:
    from tensorkeep.core.graph import Graph

__all__ = ["graph_document", "graph_lines"]

_NO_OPERATOR = "null"  # MXNet's word for a variable


def _operators(graph: Graph) -> list[tuple[str, int]]:
    counts = Counter(node.op for node in graph.nodes if node.op != _NO_OPERATOR)
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def graph_lines(graph: Graph, limit: int | None) -> list[str]:
    """The page of a network: a row a node, then operators with counts and the lists of names."""
    computed = [node for node in graph.nodes if node.op != _NO_OPERATOR]
    shown = computed if limit is None else computed[:limit]
    rows = [(clean(node.name), clean(node.op), _inputs(graph, node), _attributes(node)) for node in shown]
    columns = [
        Column("node", elastic=True),
        Column("operator", style=dim),
        Column("inputs", elastic=True),
        Column("attributes", elastic=True),
    ]
    lines = ["", *table(columns, rows)] if rows else []
    if len(computed) > len(shown):
        lines.append(dim(f"  … and {plural(len(computed) - len(shown), 'more node', 'more nodes')}"))
    operators = _operators(graph)
    lines += ["", f"  {plural(len(computed), 'node')}, {plural(len(operators), 'operator')}"]
    blocks = [
        ("operators", [f"{clean(op)} {count(many)}" for op, many in operators]),
        ("arguments", [clean(name) for name in graph.arguments]),
        ("auxiliary states", [clean(name) for name in graph.auxiliary]),
        ("heads", [clean(name) for name in graph.outputs]),
    ]
    for title, names in blocks:
        lines += _names(title, names)
    return lines


def _inputs(graph: Graph, node: Any) -> str:
    return ", ".join(clean(_input_name(graph, each)) for each in node.inputs)


def _input_name(graph: Graph, each: Any) -> str:
    index, output = int(each[0]), int(each[1])
    name = str(graph.nodes[index].name)
    return f"{name}[{output}]" if output else name


def _attributes(node: Any) -> str:
    return ", ".join(f"{clean(str(key))}={clean(str(value))}" for key, value in node.attrs.items())


def _names(title: str, names: list[str]) -> list[str]:
    if not names:
        return []
    import textwrap

    room = (terminal_width() or 100) - 4
    wrapped = textwrap.wrap(", ".join(names), max(room, 40), break_long_words=False, break_on_hyphens=False)
    return ["", dim(f"  {title} ({count(len(names))})"), *(f"  {line}" for line in wrapped)]


def graph_document(graph: Graph) -> dict[str, Any]:
    """The network as `--json` gives it."""
    return {
        "nodes": [
            {
                "name": node.name,
                "op": node.op,
                "inputs": [[int(part) for part in each] for each in node.inputs],
                "attrs": {str(key): str(value) for key, value in node.attrs.items()},
            }
            for node in graph.nodes
        ],
        "operators": dict(_operators(graph)),
        "arguments": _strings(graph.arguments),
        "auxiliary": _strings(graph.auxiliary),
        "outputs": _strings(graph.outputs),
    }


def _strings(names: Iterable[Any]) -> list[str]:
    return [str(name) for name in names]
