"""What MXNet 1.9.1 does to the JSON of older versions when it loads it.

Source: src/nnvm/legacy_json_util.cc of MXNet 1.9.1. The versions are major * 10000 + minor * 100 + patch; a file that
names none counts as 0.8.0.
"""

from __future__ import annotations

import logging

from tensorkeep.mxnet.symbol._node import HIDDEN, Entry, Node, hidden_suffix, post_order

__all__ = ["unknown_as_minus_one", "upgrade"]

CURRENT = 10901


def upgrade(nodes: list[Node], version: int | None, heads: list[Entry]) -> None:
    """Change the nodes of a file of MXNet `version` into what 1.9.1 would hold; all parameters are checked.

    Raises:
        MXNetError: the parameters of an operator do not fit.
    """
    version = 800 if version is None else version
    if version > CURRENT:
        logging.getLogger(__name__).warning(
            "loading symbol saved by MXNet version %d with lower version of MXNet v%d. May cause undefined behavior. "
            "Please update MXNet if you encounter any issue",
            version,
            CURRENT,
        )
    old = version < CURRENT
    order = post_order(heads)
    for node in order:
        hidden = _take_hidden(node) if old else {}
        if not node.is_variable:
            node.check()
        for key, value in hidden.items():
            _put_hidden(node, key, value)
    if version < 900:
        for node in order:
            _add_missing_inputs(node)
    if version < 904:
        for node in order:
            node.initialise_inputs()
    if version < 905:
        for node in order:
            if node.op in ("argmin", "argmax") and node.attrs.get("axis") == "-1":
                del node.attrs["axis"]
                node._complete = None
    for sub in [sub for node in order for sub in node.subgraphs]:
        for node in post_order(sub):
            if not node.is_variable:
                node.check()


def _take_hidden(node: Node) -> dict[str, str]:
    found = {key: value for key, value in node.attrs.items() if hidden_suffix(key)}
    for key in found:
        del node.attrs[key]
    return found


def _put_hidden(node: Node, key: str, value: str) -> None:
    """lr_mult becomes `__lr_mult__`; weight_lr_mult of an operator that of its weight; anything else stays."""
    if key in HIDDEN:
        node.attrs[f"__{key}__"] = value
        return
    suffix = hidden_suffix(key)
    if suffix and key.endswith(suffix) and len(key) > len(suffix) + 1 and not node.is_variable:
        names = node.input_names()
        owner = key[: -len(suffix) - 1]
        if owner in names and names.index(owner) < len(node.inputs):
            target = node.inputs[names.index(owner)][0]
            if target.is_variable:
                target.attrs[f"__{suffix}__"] = value
                return
    node.attrs.setdefault(key, value)


def _add_missing_inputs(node: Node) -> None:
    """Auxiliary states, which files did not hold before 0.9: variables with a copy of the node's attributes."""
    found = node.schema
    if node.is_variable or found is None or found.variadic:  # what takes any number of inputs has no such states
        return
    for name in node.input_names()[len(node.inputs) :]:
        made = Node("null", f"{node.name}_{name}" if node.name else name, dict(node.attrs))
        node.inputs.append((made, 0, 0))


def unknown_as_minus_one(nodes: list[Node]) -> None:
    """Write -1 for the dimensions that variables do not know, which files without NumPy semantics write as 0."""
    for node in nodes:
        text = node.attrs.get("__shape__")
        if node.is_variable and text is not None:
            sizes = [size.strip() for size in text.strip("()[] ").replace("L", "").split(",") if size.strip()]
            node.attrs["__shape__"] = "[" + ",".join("-1" if size == "0" else size for size in sizes) + "]"
