"""Files that hold a model's weights twice: as they were trained, and averaged (EMA, SWA). Which of them is meant.

Known are entries of a training script's dict (timm's `state_dict_ema`, `model_ema`, `ema_state_dict`, `ema` …), torch's
AveragedModel (`module.` and `n_averaged`), the flat copies of LitEma in Stable Diffusion's checkpoints (`model_ema.` and the
names without dots), and lists of averages in the order of the parameters (`shadow_params` of torch_ema and diffusers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tensorkeep.adapters.base import Slot
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import MismatchError

__all__ = ["View", "choose"]

AVERAGED = (
    "ema", "ema_state_dict", "state_dict_ema", "model_ema", "ema_model", "ema_weights", "params_ema", "ema_params", "g_ema",
    "swa", "swa_model", "swa_state_dict", "averaged_model", "avg_model",
)  # fmt: skip
"""Entries under which training scripts keep averaged weights."""

_OUTER = ("", "state_dict.")
"""Where such an entry stands: beside the trained weights' entry, or within it (Lightning)."""

_SHADOW = "shadow_params"
_COUNTS = ("n_averaged", "decay", "num_updates")


@dataclass
class View:
    """One of a file's sets of weights.

    Attributes:
        tensors: name → tensor, of that set and of what belongs to no set.
        entries: top-level keys of the file that hold containers.
        beside: names that are of the other sets, and counts.
        notes: what the caller should know.
    """

    tensors: dict[str, Tensor]
    entries: list[str] = field(default_factory=list)
    beside: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)


def choose(file: TensorFile, tensors: dict[str, Tensor], slots: Sequence[Slot], weights: str | None) -> View:
    """The View that is meant.

    Args:
        weights: "ema" for averaged weights, "raw" for those that were trained, another string for an entry of that name; None
            takes the trained ones where the file has both.
    Raises:
        MismatchError: the file has no such weights; the text names those that it has.
    """
    structure = file.structure if not file.is_flat else None
    entries = []
    if isinstance(structure, dict):
        entries = [key for key, value in structure.items() if isinstance(key, str) and isinstance(value, dict)]
    counts = frozenset(name for name in tensors if name in _COUNTS and tensors[name].size == 1)
    kept = {name: tensor for name, tensor in tensors.items() if name not in counts}
    sets = _averaged(kept, slots)
    if weights is None or weights == "raw":
        return _raw(kept, entries, counts, sets, asked=weights is not None, where=file.path)
    if weights == "ema":
        if not sets and counts:  # an AveragedModel is nothing else
            return View(kept, entries, counts)
        if len(sets) != 1:
            has = f"several: {', '.join(map(repr, sets))}" if sets else f"none. It has {_few(kept)}"
            raise MismatchError(
                f"{file.path}: weights='ema' asks for averaged weights, and the file has {has}. Name the "
                f"entry that is meant, as in weights={next(iter(sets), 'averages')!r}."
            )
        chosen = next(iter(sets.values()))
    else:
        chosen = sets.get(weights) or {
            name.removeprefix(f"{weights}."): tensor for name, tensor in kept.items() if name.startswith(f"{weights}.")
        }
        if not chosen:
            raise MismatchError(
                f"{file.path}: weights={weights!r} is no entry of the file. It has {_few(kept)}; averaged weights are in "
                f"{', '.join(map(repr, sets)) or 'none of them'}."
            )
    inside = {id(tensor) for tensor in chosen.values()}
    others = frozenset(name for name, tensor in tensors.items() if id(tensor) not in inside)
    return View(dict(chosen), [], others - frozenset(chosen))


def _raw(
    kept: dict[str, Tensor],
    entries: list[str],
    counts: frozenset[str],
    sets: Mapping[str, Mapping[str, Tensor]],
    *,
    asked: bool,
    where: str,
) -> View:
    averaged = {id(tensor) for each in sets.values() for tensor in each.values()}
    left = {name: tensor for name, tensor in kept.items() if id(tensor) not in averaged}
    names = ", ".join(map(repr, sets))
    if not sets or not left:
        if asked and sets:
            raise MismatchError(
                f"{where}: weights='raw' asks for weights as they were trained; the file has only {names}."
            )
        return View(kept, entries, counts)
    starts = tuple(f"{outer}{name}." for name in sets for outer in _OUTER)
    beside = frozenset(name for name in kept if name.startswith(starts) or id(kept[name]) in averaged) | counts
    left = {name: tensor for name, tensor in left.items() if not name.startswith(starts)}
    note = f"the file also has averaged weights ({names}); weights='ema' loads those"
    return View(left, [entry for entry in entries if entry not in sets], beside, [] if asked else [note])


def _averaged(tensors: Mapping[str, Tensor], slots: Sequence[Slot]) -> dict[str, dict[str, Tensor]]:
    """Entry → its tensors, under names that a model may have."""
    own = {slot.name for slot in slots}
    found: dict[str, dict[str, Tensor]] = {}
    for entry, start in ((entry, f"{outer}{entry}.") for entry in AVERAGED for outer in _OUTER):
        if entry in found or any(name.startswith(f"{entry}.") for name in own):
            continue  # a part of the model is called so
        inside = {name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)}
        shadow = _shadow(inside, slots)
        if shadow:
            found[entry] = shadow
        elif inside:
            inside = {name: tensor for name, tensor in inside.items() if name not in _COUNTS}
            found[entry] = _with_dots(inside, tensors, slots)
    shadow = _shadow(tensors, slots)
    if shadow:
        found[_SHADOW] = shadow
    return found


def _shadow(tensors: Mapping[str, Tensor], slots: Sequence[Slot]) -> dict[str, Tensor]:
    """A list of averages, given the names of the parameters in their order; nothing where the numbers differ."""
    start = f"{_SHADOW}."
    rows = [tensor for name, tensor in tensors.items() if name.startswith(start) and name[len(start) :].isdigit()]
    parameters = [slot for slot in slots if slot.kind == "parameter"]
    if not rows or len(rows) != len(parameters):
        return {}
    return {slot.name: tensor for slot, tensor in zip(parameters, rows, strict=True)}


def _with_dots(inside: dict[str, Tensor], tensors: Mapping[str, Tensor], slots: Sequence[Slot]) -> dict[str, Tensor]:
    """LitEma writes names without their dots: they get those of the file's own names, or of the model's."""
    if any("." in name for name in inside) or not inside:
        return inside
    dotted = {name.replace(".", ""): name for slot in slots for name in (slot.name, *slot.aliases)}
    for name in tensors:
        bare = name.removeprefix("state_dict.").removeprefix("model.")
        dotted.setdefault(bare.replace(".", ""), bare)
    return {dotted.get(name, name): tensor for name, tensor in inside.items()}


def _few(names: Mapping[str, Tensor]) -> str:
    starts = list(dict.fromkeys(name.partition(".")[0] for name in names))
    return ", ".join(map(repr, starts[:8])) + (f" and {len(starts) - 8} more" if len(starts) > 8 else "")
