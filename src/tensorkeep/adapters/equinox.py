"""Equinox modules: the arrays of a pytree. A module cannot change; the report's `.model` is the filled one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from tensorkeep.adapters._arrays import class_in, device_of, dtype_of, is_array, like, value_of
from tensorkeep.adapters.base import Adapter, Slot

__all__ = ["ADAPTER", "EquinoxAdapter"]


class _Leaf:
    """A leaf of the flattened module: its number, the array, and the new one when it was put."""

    __slots__ = ("array", "new", "number")

    def __init__(self, number: int, array: Any) -> None:
        self.number = number
        self.array = array
        self.new: Any = None


class EquinoxAdapter(Adapter):
    """The arrays of an equinox.Module by their paths: layers.0.weight."""

    name = "equinox"
    layout = "equinox"

    def owns(self, model: Any) -> bool:
        return isinstance(model, sys.modules["equinox"].Module)

    def slots(self, model: Any) -> Sequence[Slot]:
        jax = sys.modules["jax"]
        found = []
        for number, (path, array) in enumerate(jax.tree_util.tree_flatten_with_path(model)[0]):
            if is_array(array):
                name = jax.tree_util.keystr(path, simple=True, separator=".")
                leaf = _Leaf(number, array)
                dtype, layer = dtype_of(array, name), class_in(_owner(model, path), "equinox")
                found.append(Slot(name, tuple(array.shape), dtype, "parameter", (), device_of(array), leaf, layer))
        return found

    def value(self, slot: Slot) -> Any:
        return value_of(slot.handle.array, slot.name)

    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        slot.handle.new = like(slot.handle.array, array, device)

    def finish(self, model: Any, slots: Sequence[Slot]) -> Any:
        jax = sys.modules["jax"]
        leaves, structure = jax.tree_util.tree_flatten(model)
        for slot in slots:
            if slot.handle.new is not None:
                leaves[slot.handle.number] = slot.handle.new
        return jax.tree_util.tree_unflatten(structure, leaves)


def _owner(model: Any, path: Sequence[Any]) -> Any:
    """The innermost module on the way to a leaf."""
    module = sys.modules["equinox"].Module
    owner = node = model
    for key in path:
        if isinstance(node, module):
            owner = node
        node = getattr(node, key.name) if hasattr(key, "name") else node[getattr(key, "idx", getattr(key, "key", None))]
    return owner


ADAPTER = EquinoxAdapter()
