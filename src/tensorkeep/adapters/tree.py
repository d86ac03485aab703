"""Dicts, lists, tuples, named tuples and dataclasses of arrays: JAX pytrees, linen's variables, plain NumPy models."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from tensorkeep.adapters._arrays import device_of, dtype_of, is_array, is_jax, like, value_of
from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.errors import UnsupportedDataError

__all__ = ["ADAPTER", "TreeAdapter"]


class _Leaf:
    """An array's place in a tree: the steps that lead there, the array, and the new one when it was put."""

    __slots__ = ("array", "new", "path")

    def __init__(self, path: tuple[Any, ...], array: Any) -> None:
        self.path = path
        self.array = array
        self.new: Any = None


class TreeAdapter(Adapter):
    """Arrays by their paths. NumPy arrays are written into; others are replaced, in dicts and lists in place.

    Tuples and frozen dataclasses cannot change: the report's `.model` is a new tree then, which shares all that stayed.
    """

    name = "tree"

    def owns(self, model: Any) -> bool:
        return (isinstance(model, (Mapping, list, tuple)) or _is_record(model)) and any(True for _ in _leaves(model))

    def slots(self, model: Any) -> Sequence[Slot]:
        found: dict[int, tuple[list[str], _Leaf]] = {}
        for path, array in _leaves(model):
            name = ".".join(map(str, path))
            if id(array) in found:
                found[id(array)][0].append(name)
            else:
                found[id(array)] = ([name], _Leaf(path, array))
        # A tied array has one slot: the others of its places are found again by `finish`.
        return [
            Slot(
                names[0],
                tuple(leaf.array.shape),
                dtype_of(leaf.array, names[0]),
                "parameter",
                tuple(names[1:]),
                device_of(leaf.array),
                leaf,
            )
            for names, leaf in found.values()
        ]

    def value(self, slot: Slot) -> Any:
        return value_of(slot.handle.array, slot.name)

    def memory(self, slot: Slot) -> Any:
        array = slot.handle.array
        plain = type(array).__module__ == "numpy" and array.flags.c_contiguous and array.flags.writeable
        return array if plain and array.dtype.isnative else None

    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        leaf = slot.handle
        if type(leaf.array).__module__ == "numpy" and leaf.array.flags.writeable:
            leaf.array[...] = array
        else:
            leaf.new = like(leaf.array, array, device)

    def part(self, array: Any, slot: Slot) -> Any:
        """A jax.Array that is spread over devices takes the bytes of each part straight from the file."""
        old = slot.handle.array
        if is_jax(old) and getattr(old, "sharding", None) is not None and len(old.sharding.device_set) > 1:
            return _Parts(array)
        return array

    def finish(self, model: Any, slots: Sequence[Slot]) -> Any:
        new = {id(slot.handle.array): slot.handle.new for slot in slots if slot.handle.new is not None}
        return _replaced(model, new) if new else model


class _Parts:
    """A lazy array of which only what is indexed is read."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = tuple(array.shape)
        self.dtype = array.dtype

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def astype(self, dtype: Any) -> Any:
        from tensorkeep.core.tensor import Tensor

        whole = self.array.numpy() if isinstance(self.array, Tensor) else self.array
        return whole.astype(dtype)


def _is_record(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, tuple) and hasattr(node, "_fields"):
        yield from zip(node._fields, node, strict=True)
    elif isinstance(node, (list, tuple)):
        yield from enumerate(node)
    elif _is_record(node):
        for field in dataclasses.fields(node):
            yield field.name, getattr(node, field.name)


def _leaves(
    node: Any, path: tuple[Any, ...] = (), inside: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if id(node) in inside:
        raise UnsupportedDataError(f"{'.'.join(map(str, path))}: the container holds itself.")
    for key, child in _children(node):
        if is_array(child):
            yield (*path, key), child
        else:
            yield from _leaves(child, (*path, key), (*inside, id(node)))


def _replaced(node: Any, new: Mapping[int, Any]) -> Any:
    """The tree with new arrays: mutable containers changed in place, others made anew where something in them changed."""
    changed = {}
    for key, child in _children(node):
        found = new.get(id(child)) if is_array(child) else _replaced(child, new)
        if found is not None and found is not child:
            changed[key] = found
    if not changed:
        return node
    if isinstance(node, (MutableMapping, list)):
        for key, value in changed.items():
            node[key] = value
        return node
    if isinstance(node, tuple):
        if hasattr(node, "_fields"):
            return node._replace(**changed)  # type: ignore[attr-defined]  # a named tuple has it
        return type(node)([changed.get(i, value) for i, value in enumerate(node)])
    if isinstance(node, Mapping):
        return type(node)({**node, **changed})  # type: ignore[call-arg]  # as frozen mappings are made
    if node.__dataclass_params__.frozen:
        return dataclasses.replace(node, **changed)
    for key, value in changed.items():
        setattr(node, key, value)
    return node


ADAPTER = TreeAdapter()
