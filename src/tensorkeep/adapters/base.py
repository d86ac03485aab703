"""Adapter and Slot: what a framework must say of a model so that parameters can be saved and loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorkeep.core.dtypes import DType
from tensorkeep.errors import UnsupportedDataError

__all__ = ["Adapter", "Slot"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor of a model: a place that holds values.

    Attributes:
        name: its path in the model, joined with "."; without the prefixes that wrappers add.
        shape: its dimensions; -1 where the model does not know one yet (MXNet's deferred initialisation).
        dtype: of its elements; None when the model does not know it yet.
        kind: "parameter" or "buffer".
        aliases: the other names of the same tensor (tied weights).
        device: where it lies, as the framework writes it; "meta" when it has no memory yet.
        handle: the adapter's own way to it.
        layer: the class of the layer that it belongs to ("Conv2d"); "" where there is none.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType | None
    kind: str
    aliases: tuple[str, ...]
    device: str
    handle: Any
    layer: str = ""


class Adapter(ABC):
    """One framework. Stateless: one object serves all models.

    Attributes:
        name: the framework's name.
        layout: how tensors of this framework lie, for rules between frameworks: "torch", "mxnet", "keras", "flax" or "".
    """

    name: str
    layout: str = ""

    @abstractmethod
    def owns(self, model: Any) -> bool:
        """Whether `model` is of this framework. Must not import it: its classes exist when a model does."""

    @abstractmethod
    def slots(self, model: Any) -> Sequence[Slot]:
        """All tensors that belong to the model's state, in its own order; tied ones once."""

    @abstractmethod
    def value(self, slot: Slot) -> Any:
        """The tensor of a slot, as `tk.save` takes it, without a copy where that can be.

        Raises:
            UnsupportedDataError: it has no values (meta device, not initialised).
        """

    def held(self, slot: Slot) -> Any:
        """The tensor of a slot as this process holds it: of a tensor in parts those that are here, else `value`."""
        return self.value(slot)

    def memory(self, slot: Slot) -> Any:
        """A writable C-contiguous numpy.ndarray on the slot's own memory, of just its shape and dtype; None if there is none."""
        return None

    @abstractmethod
    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        """Set a slot to the values of a numpy.ndarray of the slot's shape and dtype, which may be kept.

        Args:
            device: where the slot is to lie; None keeps it where it is.
        """

    def finish(self, model: Any, slots: Sequence[Slot]) -> Any:
        """The model with the values that were put: the same object, or a new one of frameworks whose models cannot change."""
        return model

    def part(self, array: Any, slot: Slot) -> Any:
        """The part of a whole tensor (anything that can be sliced) that this process holds; all of it by default."""
        return array

    def prefixes(self, model: Any) -> Sequence[str]:
        """Prefixes that files of this framework may carry before the names of this model (a Gluon block's own)."""
        return ()

    def other_names(self, model: Any, names: Sequence[str]) -> Mapping[str, str]:
        """name in a file → name of the model, where a file of this framework calls all of its tensors otherwise; else nothing."""
        return {}

    def order(self, model: Any) -> Sequence[str]:
        """The names of the model's layers in the order in which data pass them, as far as the model tells."""
        seen: dict[str, None] = {}
        for slot in self.slots(model):
            seen.setdefault(slot.name.rpartition(".")[0])
        return list(seen)

    def order_of_use(self, model: Any, inputs: Sequence[Any]) -> Sequence[str]:
        """The names of its layers in the order in which a call with `inputs` uses them.

        Raises:
            UnsupportedDataError: this framework cannot tell.
        """
        raise UnsupportedDataError(
            f"The order in which a {self.name} model uses its layers cannot be watched; leave example_inputs out."
        )
