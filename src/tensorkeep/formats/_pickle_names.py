"""Names for the tensors inside an unpickled tree, the contents of Inert records too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import SINGLE_NAME, Inert

__all__ = ["name_tensors"]

_MODULE_PARTS = ("_parameters", "_buffers", "_modules")


def name_tensors(tree: Any) -> dict[str, Tensor | SparseTensor]:
    """The tensors of `tree` by name, keys and positions joined with "."; a tensor that stands twice has both names.

    A pickled module (an Inert record) gives its tensors the names that its state_dict has.
    """
    if isinstance(tree, dict) and all(type(key) is str and type(value) is Tensor for key, value in tree.items()):
        return dict(tree)
    found: dict[str, Tensor | SparseTensor] = {}
    stack: list[tuple[str, Any]] = [("", tree)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, (Tensor, SparseTensor)):
            name, i = path or SINGLE_NAME, 1
            while name in found:
                i += 1
                name = f"{path or SINGLE_NAME}#{i}"
            found[name] = node
        else:
            inside = [(f"{path}.{key}" if path and key else path or key, value) for key, value in _children(node)]
            stack.extend(reversed(inside))
    return found


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from ((str(key), value) for key, value in node.items())
    elif isinstance(node, (list, tuple)):
        yield from ((str(i), value) for i, value in enumerate(node))
    elif isinstance(node, Inert):
        yield from _children(node.args)
        state = node.state
        if isinstance(state, dict):
            for key, value in state.items():
                yield ("" if key in _MODULE_PARTS else str(key), value)
        elif state is not None:
            yield "state", state
        yield from _children(node.items)
