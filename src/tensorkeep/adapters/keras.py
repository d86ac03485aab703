"""Keras 3 models, on any of its frameworks: weights by their layers' names."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from tensorkeep.adapters._arrays import class_in
from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.core.dtypes import DType
from tensorkeep.errors import UnsupportedDataError

__all__ = ["ADAPTER", "KerasAdapter"]


class KerasAdapter(Adapter):
    """The weights of a keras.Model or Layer. Layers that Keras named itself are counted anew in each model.

    Keras counts over the whole process: the first Dense of a second model is `dense_7`. Here it is `dense` in each, so that
    a fresh network finds its own.
    """

    name = "keras"
    layout = "keras"

    def owns(self, model: Any) -> bool:
        return isinstance(model, sys.modules["keras"].layers.Layer)

    def slots(self, model: Any) -> Sequence[Slot]:
        if not model.built:
            raise UnsupportedDataError(
                f"The Keras model {model.name!r} is not built: its weights have no shapes yet. Call it on an input, or "
                "model.build(input_shape), first."
            )
        found: dict[int, tuple[list[str], Any, str]] = {}
        for name, variable, layer in _weights(model, ""):
            found.setdefault(id(variable), ([], variable, layer))[0].append(name)
        return [
            Slot(
                names[0],
                tuple(variable.shape),
                DType.of(str(variable.dtype)),
                "parameter" if variable.trainable else "buffer",
                tuple(names[1:]),
                "cpu",
                variable,
                layer,
            )
            for names, variable, layer in found.values()
        ]

    def value(self, slot: Slot) -> Any:
        return slot.handle.value

    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        slot.handle.assign(array)


def _weights(layer: Any, start: str) -> Iterator[tuple[str, Any, str]]:
    for variable in layer._trainable_variables + layer._non_trainable_variables:
        yield start + variable.name, variable, class_in(layer, "keras")
    used: Counter[str] = Counter()
    for child in layer._layers:
        base = _own_name(child)
        count = used[base]
        used[base] += 1
        name = f"{base}_{count}" if count else base
        yield from _weights(child, f"{start}{name}.")


def _own_name(layer: Any) -> str:
    """The name that the user gave, or that of the class without Keras' counter."""
    kind = re.sub(r"([A-Z][a-z0-9]+)(?=[A-Z])", r"\1_", type(layer).__name__)
    kind = re.sub(r"\W+", "", re.sub(r"(?<=[a-z])([A-Z])", r"_\1", kind)).lower()
    return kind if re.fullmatch(rf"{re.escape(kind)}(_\d+)?", layer.name) else str(layer.name)


ADAPTER = KerasAdapter()
