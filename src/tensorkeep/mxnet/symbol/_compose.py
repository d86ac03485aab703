"""Composition: an operator called on symbols, and a network called on others in place of its variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet._registry import Operator
from tensorkeep.mxnet.attribute import AttrScope
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.name import NameManager, scope_of
from tensorkeep.mxnet.symbol._node import HIDDEN, Entry, Node, hidden_suffix, post_order

__all__ = ["annotation", "atomic", "dtype_text", "mismatch", "replace_variables", "scoped", "set_attrs"]


def dtype_text(value: Any) -> str:
    """ "float16" of whatever a `dtype` parameter is given."""
    dtype = np.dtype(value)
    return dtype.names[0] if dtype.names else dtype.name


def annotation(key: str, value: Any) -> str:
    """The key under which an annotation is stored: lr_mult becomes `__lr_mult__`.

    Raises:
        MXNetError: "weight_lr_mult" and its like, which 0.8 understood.
    """
    for hidden in HIDDEN:
        if key == hidden:
            return f"__{key}__"
        if key.endswith(hidden):
            raise MXNetError(
                f"setting variable attributes with {key} is deprecated. please instead use\n"
                f"w = Variable({hidden}={value})\nsym = YourSymbolName({key[: -len(hidden) - 1]}=w)"
            )
    return key


def set_attrs(node: Node, attrs: Mapping[str, str]) -> None:
    """Store annotations of a node.

    Raises:
        ValueError: a value is no string.
    """
    for key, value in attrs.items():
        if not isinstance(value, str):
            raise ValueError("Set Attr only accepts string values")
        node.set(key if key[:2] == "__" else annotation(key, value), value)


def scoped(attr: Mapping[str, Any] | None) -> dict[str, Any]:
    """A call's `attr=` over those of the AttrScope."""
    found: dict[str, Any] = scope_of(AttrScope).get(attr)
    return found


def atomic(
    op: Operator,
    inputs: Sequence[Sequence[Entry]] | Mapping[str, Sequence[Entry]],
    attrs: Mapping[str, Any],
    *,
    name: str | None,
    hint: str,
) -> Node:
    """A new node: an operator called on outputs of others.

    Args:
        inputs: in order, or by the names of the operator's inputs; those that are missing become variables.
        attrs: parameters and annotations; `str` of a value is what is stored.
        name, hint: the name, or what it is made of.
    Raises:
        MXNetError: what MXNet says of parameters and inputs that do not fit.
    """
    texts = {}
    for key, value in attrs.items():
        text = value if type(value) is str else dtype_text(value) if key == "dtype" else _text(value)
        texts[key if key[:2] == "__" or not hidden_suffix(key) else annotation(key, text)] = text
    node = Node(op.name, "", texts)
    wanted = node.input_names()
    if op.schema.variadic and not op.schema.count:  # nothing but the call says how many it takes
        wanted += [f"arg{i}" for i in range(len(wanted), len(inputs))]
    node.name = scope_of(NameManager).get(name, hint)
    if isinstance(inputs, Mapping):
        node.inputs = _by_name(node, wanted, inputs)
    else:
        node.inputs = _in_order(node, wanted, inputs)
    node.initialise_inputs()
    node.take_versions()
    return node


def _text(value: Any) -> str:
    """`str` of a value; NumPy's numbers in a tuple or list as plain ones: NumPy 2 writes np.int64(1), MXNet reads 1."""
    if not isinstance(value, (tuple, list)) or not any(hasattr(item, "dtype") for item in value):
        return str(value)
    inner = ", ".join([str(item) for item in value])
    if isinstance(value, list):
        return f"[{inner}]"
    return f"({inner},)" if len(value) == 1 else f"({inner})"


def _in_order(node: Node, wanted: list[str], inputs: Sequence[Sequence[Entry]]) -> list[Entry]:
    for at, heads in enumerate(inputs):
        if len(heads) != 1:
            raise MXNetError(f"Argument {at} is a tuple, single value is required")
    if len(inputs) > len(wanted):
        raise MXNetError(f"Incorrect number of arguments, requires {len(wanted)}, provided {len(inputs)}")
    return [*[heads[0] for heads in inputs], *[_automatic(node, name) for name in wanted[len(inputs) :]]]


def _by_name(node: Node, wanted: list[str], inputs: Mapping[str, Sequence[Entry]]) -> list[Entry]:
    for name, heads in inputs.items():
        if len(heads) != 1:
            raise MXNetError(f"Keyword Argument {name} is a tuple, single value is required")
    if len(inputs) > len(wanted):
        raise MXNetError(f"Incorrect number of arguments, requires {len(wanted)}, provided {len(inputs)}")
    if not inputs.keys() <= set(wanted):
        raise mismatch("Symbol.Compose", inputs, wanted)
    return [inputs[name][0] if name in inputs else _automatic(node, name) for name in wanted]


def _automatic(node: Node, name: str) -> Entry:
    """A variable for an input that was not given. It carries the node's attributes, as MXNet's do."""
    return Node("null", f"{node.name}_{name}" if node.name else name, dict(node.attrs)), 0, 0


def mismatch(source: str, given: Mapping[str, Any], wanted: Sequence[str]) -> MXNetError:
    """The error for the first name that is not wanted."""
    strange = next(name for name in given if name not in wanted)
    listed = "".join(f"\t[{i}]{name}\n" for i, name in enumerate(wanted))
    return MXNetError(f"{source}Keyword argument name {strange} not found.\nCandidate arguments:\n{listed}")


def replace_variables(heads: list[Entry], given: Mapping[str, Sequence[Entry]], name: str | None) -> None:
    """Put other outputs in the place of variables, in the nodes themselves; `name` becomes the name of the result.

    Raises:
        MXNetError: there is no such variable, or the other has several outputs.
    """
    order = post_order(heads)
    for key, value in given.items():
        if len(value) != 1:
            raise MXNetError(f"Keyword Argument {key} is a tuple, single value is required")
    names = [node.name for node in order if node.is_variable]
    if not given.keys() <= set(names):
        raise mismatch("Symbol.Compose", given, names)
    for node in order:
        if any(n.is_variable and n.name in given for n, _, _ in node.inputs):
            node.inputs = [given[e[0].name][0] if e[0].is_variable and e[0].name in given else e for e in node.inputs]
            node.take_versions()
    heads[:] = [given[e[0].name][0] if e[0].is_variable and e[0].name in given else e for e in heads]
    if name:
        heads[0][0].name = name
