"""mx.viz: networks as a table of layers, or drawn by graphviz."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.symbol._node import Node, post_order
from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = ["plot_network", "print_summary"]

_WEIGHTS = (
    "_weight", "_bias", "_beta", "_gamma", "_moving_var", "_moving_mean", "_running_var", "_running_mean",
)  # fmt: skip
_COLOURS = ("#8dd3c7", "#fb8072", "#ffffb3", "#bebada", "#80b1d3", "#fdb462", "#b3de69", "#fccde5")
_COLOUR_OF = {
    "null": 0, "Convolution": 1, "FullyConnected": 1, "Activation": 2, "LeakyReLU": 2, "BatchNorm": 3, "Pooling": 4,
    "Concat": 5, "Flatten": 5, "Reshape": 5, "Softmax": 6,
}  # fmt: skip


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text)


def _by_times(numbers: Sequence[Any]) -> str:
    return "x".join(str(number) for number in numbers)


def _facts(symbol: Symbol, given: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """Output name → shape or dtype, of all nodes; nothing without known ones."""
    if given is None:
        return {}
    internals = symbol.get_internals()
    infer = internals.infer_shape if what == "shape" else internals.infer_type
    _, found, _ = infer(**given)
    if found is None:
        raise ValueError(f"Input {what} is incomplete")
    return dict(zip(internals.list_outputs(), found, strict=True))


def _key(node: Node) -> str:
    return node.name if node.is_variable else f"{node.name}_output"


def print_summary(
    symbol: Symbol,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    line_length: int = 120,
    positions: Sequence[float] = (0.44, 0.64, 0.74, 1.0),
) -> None:
    """Print a table of the layers: output shapes, numbers of parameters, what comes before.

    Args:
        shape: the shapes of the inputs; without them there are no output shapes.
        line_length: the width of the table.
        positions: where columns end, as shares of the width or in characters.
    """
    if not isinstance(symbol, Symbol):
        raise TypeError("symbol must be Symbol")
    shapes = _facts(symbol, shape, "shape")
    ends = [int(line_length * p) for p in positions] if positions[-1] <= 1 else [int(p) for p in positions]
    nodes = post_order(symbol._outputs)
    # MXNet takes all three numbers of the first head for node numbers; so do we, to print what it prints.
    place = {id(node): i for i, node in enumerate(nodes)}
    first = symbol._outputs[0]
    heads = {place[id(first[0])], first[1], first[2]}

    lines = ["_" * line_length]
    lines.append(_row(["Layer (type)", "Output Shape", "Param #", "Previous Layer"], ends))
    lines.append("=" * line_length)
    total = 0
    for i, node in enumerate(nodes):
        if node.is_variable and i > 0:
            continue
        shown = ()
        if not node.is_variable or i in heads:
            shown = shapes.get(_key(node), ())[1:]
        before = [n for n, _, _ in node.inputs if not n.is_variable or place[id(n)] in heads]
        filters = sum(int(shapes[_key(n)][1]) for n in before if len(shapes.get(_key(n), ())) > 1)
        count = _parameters(node, filters, shapes)
        total += count
        names = [n.name for n in before] or [""]
        lines.append(_row([f"{node.name}({node.op})", _by_times(shown), count, names[0]], ends))
        lines += [_row(["", "", "", name], ends) for name in names[1:]]
        lines.append(("=" if i == len(nodes) - 1 else "_") * line_length)
    lines.append(f"Total params: {total}")
    lines.append("_" * line_length)
    print("\n".join(lines))  # noqa: T201  # printing is what it is for


def _row(fields: Sequence[Any], ends: Sequence[int]) -> str:
    line = ""
    for field, end in zip(fields, ends, strict=True):
        line = (line + str(field))[:end].ljust(end)
    return line


def _parameters(node: Node, filters: int, shapes: Mapping[str, Any]) -> int:
    """How many parameters a layer has, given the channels of what comes before."""
    attrs = node.attrs
    biased = attrs.get("no_bias") != "True"
    if node.op == "Convolution":
        count = filters * int(attrs["num_filter"]) // int(attrs.get("num_group", "1"))
        for size in _numbers(attrs["kernel"]):
            count *= int(size)
        return count + (int(attrs["num_filter"]) if biased else 0)
    if node.op == "FullyConnected":
        return (filters + (1 if biased else 0)) * int(attrs["num_hidden"])
    if node.op == "BatchNorm" and shapes:
        return 2 * int(shapes[_key(node)][1])
    if node.op == "Embedding":
        return int(attrs["input_dim"]) * int(attrs["output_dim"])
    return 0


def plot_network(
    symbol: Symbol,
    title: str = "plot",
    save_format: str = "pdf",
    shape: Mapping[str, tuple[int, ...]] | None = None,
    dtype: Mapping[str, Any] | None = None,
    node_attrs: Mapping[str, str] | None = None,
    hide_weights: bool = True,
) -> Any:
    """A graphviz Digraph of the network.

    Args:
        title, save_format: the Digraph's name and format.
        shape, dtype: of the inputs; then the edges carry shapes and dtypes.
        node_attrs: graphviz attributes of all nodes.
        hide_weights: whether variables that look like parameters are left out.
    Raises:
        ImportError: the Python package graphviz is not installed.
    """
    try:
        digraph = import_module("graphviz").Digraph
    except ImportError:
        raise ImportError("Draw network requires graphviz library") from None
    if not isinstance(symbol, Symbol):
        raise TypeError("symbol must be a Symbol")
    shapes, dtypes = _facts(symbol, shape, "shape"), _facts(symbol, dtype, "type")
    nodes = post_order(symbol._outputs)
    names = [node.name for node in nodes]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        warnings.warn(
            "There are multiple variables with the same name in your graph, this may result in cyclic graph. Repeated "
            f"names: {','.join(repeated)}",
            RuntimeWarning,
            stacklevel=2,
        )
    common = {"shape": "box", "fixedsize": "true", "width": "1.3", "height": "0.8034", "style": "filled"}
    common.update(node_attrs or {})
    dot = digraph(name=title, format=save_format)
    hidden = set()
    for node in nodes:
        attrs = {**common, "fillcolor": _COLOURS[_COLOUR_OF.get(node.op, 7)]}
        if node.is_variable:
            if node.name.endswith(_WEIGHTS):
                if hide_weights:
                    hidden.add(node.name)
                continue
            attrs["shape"] = "oval"
        dot.node(name=node.name, label=_label(node), **attrs)
    for node in nodes:
        inputs = node.inputs[:1] if node.op == "_contrib_BilinearResize2D" else node.inputs
        for source, index, _ in inputs:
            if source.name in hidden:
                continue
            key = source.output_name(index)
            label = _by_times(shapes[key][1:]) if shapes else ""
            if dtypes:
                label += f"({dtypes[key].__name__})"
            dot.edge(tail_name=node.name, head_name=source.name, dir="back", arrowtail="open", label=label)
    return dot


def _label(node: Node) -> str:
    attrs = node.attrs
    kernel = _by_times(_numbers(attrs["kernel"])) if "kernel" in attrs else "[]"
    stride = _by_times(_numbers(attrs["stride"])) if "stride" in attrs else "1"
    if node.op == "Convolution":
        return f"Convolution\n{kernel}/{stride}, {attrs['num_filter']}"
    if node.op == "FullyConnected":
        return f"FullyConnected\n{attrs['num_hidden']}"
    if node.op == "Activation":
        return f"Activation\n{attrs['act_type']}"
    if node.op == "LeakyReLU":
        return f"LeakyReLU\n{attrs.get('act_type', 'Leaky')}"
    if node.op == "Pooling":
        return f"Pooling\n{attrs.get('pool_type', 'max')}, {kernel}/{stride}"
    if node.op == "Custom":
        return attrs["op_type"]
    return node.name


claim(globals())
