"""Would a file load into a model of which only a file of its parameters is at hand? What `tkeep load-check` asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.api.loading import Source
from tensorkeep.api.loading import open as open_file
from tensorkeep.api.planning import Options, layout_of, make_plan
from tensorkeep.core.loadreport import LoadReport
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import UnsupportedDataError

__all__ = ["load_check"]


def load_check(model: Source, path: Source, **options: Any) -> LoadReport:
    """The LoadReport of a load that is not done, into the model whose parameters a file holds.

    Args:
        model: the file that stands for the model.
        path: the file that would be loaded.
        options: those of `load_parameters` that say what is allowed.
    Raises:
        MismatchError: with `.report`: it would be refused; the text names every difference and what helps.
    """
    with open_file(model) as target, open_file(path) as file:
        adapter = _FileAdapter(layout_of(target)[0])
        slots = adapter.slots(target)
        plan, _ = make_plan(adapter, target, slots, file.path, file, Options(**options))
        plan.refuse()
        return plan.report


class _FileAdapter(Adapter):
    """A file in the place of a model: its tensors are the slots."""

    name = "file"

    def __init__(self, layout: str) -> None:
        self.layout = layout

    def owns(self, model: Any) -> bool:
        return isinstance(model, TensorFile)

    def slots(self, model: Any) -> Sequence[Slot]:
        found: dict[int, list[str]] = {}
        tensors: dict[int, Any] = {}
        for name, tensor in model.items():
            found.setdefault(id(tensor), []).append(name)
            tensors[id(tensor)] = tensor
        return [
            Slot(names[0], tuple(t.shape), t.dtype, "parameter", tuple(names[1:]), "file", t)
            for names, t in ((names, tensors[key]) for key, names in found.items())
        ]

    def value(self, slot: Slot) -> Any:
        tensor = slot.handle
        return tensor if isinstance(tensor, Tensor) else tensor.to_dense()

    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        raise UnsupportedDataError(f"{slot.name}: a file is looked at and not filled. Use tk.convert or tk.save.")
