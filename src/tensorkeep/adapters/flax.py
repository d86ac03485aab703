"""Flax NNX modules: Params, BatchStats and whatever else is a Variable with an array. linen's variables are plain trees."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from tensorkeep.adapters._arrays import class_in, device_of, dtype_of, is_array, like, value_of
from tensorkeep.adapters.base import Adapter, Slot

__all__ = ["ADAPTER", "FlaxAdapter"]


class FlaxAdapter(Adapter):
    """The Variables of an nnx.Module by their paths, filled in place. Keys of random generators are no parameters."""

    name = "flax"
    layout = "flax"

    def owns(self, model: Any) -> bool:
        nnx = sys.modules.get("flax.nnx")
        return nnx is not None and isinstance(model, nnx.Module)

    def slots(self, model: Any) -> Sequence[Slot]:
        nnx = sys.modules["flax.nnx"]
        random = (nnx.RngCount, nnx.RngKey)
        found = []
        nodes = list(nnx.iter_graph(model))
        layers = {path: node for path, node in nodes if isinstance(node, nnx.Module)}
        for path, variable in nodes:
            if not isinstance(variable, nnx.Variable) or isinstance(variable, random):
                continue
            array = variable.get_value()
            if not is_array(array):
                continue
            name = ".".join(map(str, path))
            kind = "parameter" if isinstance(variable, nnx.Param) else "buffer"
            layer = _layer(layers.get(path[:-1]))
            dtype = dtype_of(array, name)
            found.append(Slot(name, tuple(array.shape), dtype, kind, (), device_of(array), variable, layer))
        return sorted(found, key=lambda slot: _natural(slot.name))

    def value(self, slot: Slot) -> Any:
        return value_of(slot.handle.get_value(), slot.name)

    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        slot.handle.set_value(like(slot.handle.get_value(), array, device))


def _layer(owner: Any) -> str:
    name = class_in(owner, "flax") if owner is not None else ""
    turned = name == "ConvTranspose" and owner.transpose_kernel  # its kernel lies as Keras has it
    return f"{name}(transpose_kernel)" if turned else name


def _natural(name: str) -> list[tuple[int, str]]:
    """Layer 10 after layer 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


ADAPTER = FlaxAdapter()
