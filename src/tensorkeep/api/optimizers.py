"""`save_optimizer`, `load_optimizer`: a torch optimizer's state by the names of its parameters, outside of checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorkeep.adapters import find
from tensorkeep.adapters.base import Slot
from tensorkeep.api.loading import Source, damage_text
from tensorkeep.api.loading import open as open_file
from tensorkeep.api.saving import write
from tensorkeep.api.selecting import Rename, renamed
from tensorkeep.core.loadreport import LoadReport, grouped
from tensorkeep.core.plan import Receipt
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import leaves, map_tree
from tensorkeep.errors import CorruptFileError, MismatchError, UnsupportedDataError

__all__ = ["load_optimizer", "save_optimizer"]

_ENTRIES = ("optimizer", "optimizer_state_dict", "optim", "opt", "optimizers", "optimizer_states")
"""Where training scripts keep an optimizer's state; Lightning's is a list of one."""


def save_optimizer(optimizer: Any, path: str | os.PathLike[str], model: Any, *, format: str | None = None) -> Receipt:
    """Write a torch optimizer's state by the names of its parameters, atomically and durably.

    Args:
        optimizer: a torch.optim.Optimizer.
        path: the suffix chooses the format, as in `save`.
        model: the nn.Module whose parameters it has, which knows their names.
    Raises:
        UnsupportedDataError: the optimizer is not torch's. Others: as `save`; nothing was written then.
    """
    from tensorkeep.adapters._torch_optimizer import state_by_name

    slots = _slots(optimizer, model)
    return write(path, state_by_name(optimizer, _ids(slots)), format, None, None)


def load_optimizer(
    optimizer: Any,
    path: Source,
    model: Any,
    *,
    entry: str | None = None,
    rename: Rename | None = None,
    mismatched: str = "error",
    verify: bool = True,
) -> LoadReport:
    """Fill a torch optimizer's state by the names of its parameters: new ones start fresh, gone ones are told and left out.

    Args:
        optimizer: a torch.optim.Optimizer with as many parameter groups as the saved one.
        path: what save_optimizer wrote, a step of a Checkpointer, or a training script's .pt. States by number, as torch has
            them, get their names from the parameter groups (`param_names`), or from the model's state dict in the same file;
            where neither is there and the numbers of parameters are the same, their order is taken.
        model: the nn.Module whose parameters it has.
        entry: the entry of the file that holds it ("optimizer", or "states.1"); by default the usual ones are looked through.
        rename: from the saved names to the model's, as load_parameters has it.
        mismatched: "error"; "skip" lets parameters whose shapes differ start fresh.
    Returns:
        A LoadReport of parameters: `matched` have their state, `missing` start fresh, `extra` are gone.
    Raises:
        MismatchError: the state is not found, its groups or shapes differ, or names cannot be told; nothing was changed.
        CorruptFileError and others: as `load`; nothing was changed.
    """
    if mismatched not in ("error", "skip"):
        raise UnsupportedDataError(f"mismatched={mismatched!r} is not known; use 'error' or 'skip'.")
    from tensorkeep.adapters._torch_optimizer import plan_state
    from tensorkeep.storage.filling import check_tensors

    slots = _slots(optimizer, model)
    names = _ids(slots)
    with open_file(path) as file:
        saved, rule = _by_name(_find(file, entry), file, slots, optimizer)
        if rename is not None:
            saved = {**saved, "state": renamed(saved["state"], rename, where=file.path)}
        own = [names[id(t)] for group in optimizer.param_groups for t in group["params"] if id(t) in names]
        shapes = {slot.name: slot.shape for slot in slots}
        skipped = {}
        if mismatched == "skip":
            skipped = _unlike(saved["state"], shapes)
            saved = {**saved, "state": {name: each for name, each in saved["state"].items() if name not in skipped}}
        found = [name for name in own if name in saved["state"]]
        used = {name: saved["state"][name] for name in found}
        actions: list[Callable[[], None]] = []
        problems = plan_state(optimizer, {**saved, "state": used}, names, actions, _arrays)
        gone = [name for name in saved["state"] if name not in shapes]
        if saved["state"] and not found:
            problems.append(
                f"none of the saved parameters is one of the optimizer's: {grouped(list(saved['state']))}. Say how the names "
                "correspond with rename=."
            )
        report = LoadReport(
            file.path,
            model=optimizer,
            matched=tuple(found),
            rule=rule,
            skipped=skipped,
            missing=tuple(name for name in own if name not in saved["state"] and name not in skipped),
            extra=tuple(gone),
        )
        if problems:
            text = "\n".join(f"  {problem}" for problem in problems)
            raise MismatchError(
                f"{file.path} does not fit the optimizer; nothing was changed.\n{text.replace('the step', 'the file')}",
                report=report,
            )
        tensors = {name: leaf for name, leaf in leaves({**saved, "state": used}) if isinstance(leaf, Tensor)}
        if verify:
            damage = file.check()
            if damage:
                raise CorruptFileError(damage_text(file, damage))
            check_tensors(list(tensors.values()), list(tensors), where=file.path)
        for act in actions:
            act()
    return report


def _slots(optimizer: Any, model: Any) -> list[Slot]:
    if not {"torch"} <= {kind.__module__.partition(".")[0] for kind in type(optimizer).__mro__}:
        kind = type(optimizer)
        raise UnsupportedDataError(
            f"A {kind.__module__}.{kind.__qualname__} is no torch.optim.Optimizer. Optax states are trees: tk.save and "
            "tk.load take them; a Checkpointer takes optimizers of torch, Keras and tensorkeep.mxnet."
        )
    adapter = find(model)
    if adapter.name != "torch":
        raise UnsupportedDataError(
            f"The parameters of a torch optimizer get their names from an nn.Module, not from a {type(model).__name__}."
        )
    return [slot for slot in adapter.slots(model) if slot.kind == "parameter"]


def _ids(slots: Sequence[Slot]) -> dict[int, str]:
    return {id(slot.handle.tensor): slot.name for slot in slots}


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("state"), Mapping) and "param_groups" in value


def _find(file: TensorFile, entry: str | None) -> Mapping[str, Any]:
    """The optimizer's state within a file."""
    structure = file.structure
    if entry is not None:
        value: Any = structure
        for key in entry.split("."):
            if isinstance(value, (list, tuple)) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                value = value.get(key) if isinstance(value, Mapping) else None
        if not _is_state(value):
            raise MismatchError(f"{file.path}: the entry {entry!r} holds no optimizer's state. {_has(structure)}")
        found: Mapping[str, Any] = value
        return found
    candidates = [structure]
    if isinstance(structure, Mapping):
        for key in _ENTRIES:
            value = structure.get(key)
            candidates += list(value) if isinstance(value, (list, tuple)) else [value]
    states = [value for value in candidates if _is_state(value)]
    if len(states) != 1:
        what = "no optimizer's state" if not states else f"{len(states)} optimizers' states"
        raise MismatchError(f"{file.path}: {what} found. Name the one that is meant with entry=. {_has(structure)}")
    chosen: Mapping[str, Any] = states[0]
    return chosen


def _has(structure: Any) -> str:
    if isinstance(structure, Mapping):
        return f"The file has {', '.join(map(repr, list(structure)[:10]))}."
    return f"The file holds a {type(structure).__name__}."


def _by_name(
    saved: Mapping[str, Any], file: TensorFile, slots: Sequence[Slot], optimizer: Any
) -> tuple[dict[str, Any], str]:
    """The state by parameters' names, and how they were found."""
    groups = [dict(group) for group in saved["param_groups"]]
    state = dict(saved["state"])
    if all(isinstance(key, str) for key in state) and not all(key.isdigit() for key in state):
        return {**saved, "state": state}, ""
    order = [int(number) for group in groups for number in group["params"]]
    named: dict[int, str]
    if all("param_names" in group for group in groups):
        named = {int(n): _bare(name) for g in groups for n, name in zip(g["params"], g["param_names"], strict=True)}
        rule = "parameters named by the groups' param_names"
    elif len(groups) == 1 and (names := _names_beside(file, slots, len(order))):
        named = dict(zip(order, names, strict=True))
        rule = "parameters named by the model's state in the same file, in their order"
    else:
        now = [[id(tensor) for tensor in group["params"]] for group in optimizer.param_groups]
        if [len(group["params"]) for group in groups] != [len(group) for group in now]:
            raise MismatchError(
                f"{file.path}: the state is by number, of {len(order)} parameters, the optimizer has "
                f"{sum(map(len, now))}, and nothing in the file tells their names. "
                "Save with tk.save_optimizer or a Checkpointer, which write names."
            )
        ids = _ids(slots)
        named = {
            number: ids.get(each, f"group{g}.{i}")
            for g, (group, own) in enumerate(zip(groups, now, strict=True))
            for i, (number, each) in enumerate(zip(map(int, group["params"]), own, strict=True))
        }
        rule = "parameters by their order"
    unknown = [number for number in map(int, state) if number not in named]
    if unknown:
        raise MismatchError(f"{file.path}: the state has parameters {unknown[:8]}, which are in none of its groups.")
    return {**saved, "state": {named[int(number)]: each for number, each in state.items()}}, rule


def _names_beside(file: TensorFile, slots: Sequence[Slot], count: int) -> list[str]:
    """The names of a model's parameters in a checkpoint, when they are as many as the optimizer has."""
    from tensorkeep.adapters.match import rename_automatically

    structure = file.structure
    if not isinstance(structure, Mapping):
        return []
    entries = [key for key, value in structure.items() if isinstance(key, str) and isinstance(value, dict)]
    names = [name for name in file if name.partition(".")[0] not in _ENTRIES]
    found = rename_automatically(names, slots, {}, entries=frozenset(entries))
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    unique = {id(file[old]): new for old, new in reversed(list(found.names.items())) if not new.endswith(buffers)}
    inside = [new for old, new in found.names.items() if unique.get(id(file[old])) == new]
    return inside if len(inside) == count else []


def _bare(name: str) -> str:
    from tensorkeep.adapters.match import WRAPPERS

    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _unlike(
    state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """Parameters whose averages have another shape than they."""
    found = {}
    for name, each in state.items():
        for key in ("exp_avg", "exp_avg_sq", "momentum_buffer"):
            shape = getattr(each.get(key), "shape", None)
            if shape is not None and name in shapes and tuple(shape) != shapes[name]:
                found[name] = (tuple(shape), shapes[name])
    return found


def _arrays(data: Any) -> Any:
    """Tensors of the file as arrays with memory of their own."""
    import numpy as np

    return map_tree(data, lambda value: np.array(value.numpy()) if isinstance(value, Tensor) else value)
