"""Which tensor of a file belongs to which slot of a model: names first, then shapes and dtypes. Nothing is read or changed here.

Wrappers add segments to names (`module.`, `_orig_mod.`), trainers put the state dict into an entry of a larger one, Gluon
puts a block's prefix in front. Such known ways are tried; the one that fits exactly is used, and the report says which.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorkeep.adapters.base import Slot
from tensorkeep.core.loadreport import LoadReport, grouped
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import MismatchError

__all__ = ["Named", "Plan", "Row", "plan", "rename_automatically"]

WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""Segments that DataParallel, DDP, torch.compile, FSDP and activation checkpointing put into names."""

ENTRIES = ("state_dict", "model_state_dict", "model", "module", "net", "network", "params", "weights")
"""Entries under which training scripts keep a model's state dict, and the attribute that Lightning modules call it."""

_DEEPEST = 3  # a Lightning checkpoint of a compiled DDP model: state_dict. model. module.


@dataclass(frozen=True)
class Named:
    """A way from the file's names to the model's.

    Attributes:
        rule: in words; "" when the names stay.
        names: name in the file → name in the model. Names outside of the entry that was taken are not in it.
        beside: names that stand in other entries of the file and are not meant.
    """

    rule: str
    names: Mapping[str, str]
    beside: frozenset[str] = frozenset()


def rename_automatically(
    names: Sequence[str],
    slots: Sequence[Slot],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    prefixes: Sequence[str] = (),
    others: Mapping[str, str] | None = None,
    entries: frozenset[str] = frozenset(),
    outside: frozenset[str] = frozenset(),
) -> Named:
    """The way that fits: the only exact one, else the one that fits more names than all others, else the names as they are.

    Args:
        names: those of the file.
        shapes: of the file's tensors, by name.
        prefixes: further ones that the model's framework knows.
        others: name in the file → name in the model, as the framework knows them; see `Adapter.other_names`.
        entries: top-level keys of the file that hold containers.
        outside: names of the model that are not asked for; a file that has them fits all the same.
    """
    wanted = {name: slot for slot in slots for name in (slot.name, *slot.aliases)}
    same = Named("", {name: name for name in names})
    best: list[tuple[int, Named]] = []
    seen: set[frozenset[tuple[str, str]]] = set()
    ways = [same, *_ways(list(names), wanted, prefixes, entries)]
    if others:
        ways.append(Named("the framework's other names", dict(others)))
    for way in ways:
        key = frozenset(way.names.items())
        if key in seen or len(set(way.names.values())) < len(way.names):
            continue
        seen.add(key)
        fits = {
            id(wanted[new])
            for old, new in way.names.items()
            if new in wanted and _shape_fits(shapes.get(old), wanted[new].shape)
        }
        exact = len(fits) == len(slots) and all(new in wanted or new in outside for new in way.names.values())
        if way is same and exact:
            return same
        best.append((len(fits) + (len(slots) + 1 if exact else 0), way))
    top = max(score for score, _ in best)
    found = [way for score, way in best if score == top]
    return found[0] if len(found) == 1 or found[0] is same else same


def _shape_fits(got: tuple[int, ...] | None, want: tuple[int, ...]) -> bool:
    return got is None or (len(got) == len(want) and all(b in (-1, a) for a, b in zip(got, want, strict=True)))


def _ways(
    names: list[str], wanted: Mapping[str, Slot], prefixes: Sequence[str], entries: frozenset[str]
) -> Iterator[Named]:
    bare = {name: _without_wrappers(name) for name in names}
    yield Named(_said(names, bare), bare)
    marked = {name: name[4:] if name.startswith(("arg:", "aux:")) else name for name in names}
    if marked != {name: name for name in names}:
        yield Named("'arg:' and 'aux:' removed", marked)
    for prefix in prefixes:
        if prefix:
            stripped = {old: new.removeprefix(prefix) for old, new in marked.items()}
            yield Named(f"prefix {prefix!r} removed", stripped)
            yield Named(f"prefix {prefix!r} added", {old: prefix + new for old, new in marked.items()})
    yield from _inside(bare, "", frozenset(), entries, 0)
    for entry in ENTRIES:
        start = f"{entry}."
        if any(name.startswith(start) for name in wanted):
            yield Named(f"prefix {start!r} added", {old: start + new for old, new in bare.items()})


def _inside(
    names: Mapping[str, str], taken: str, beside: frozenset[str], entries: frozenset[str], depth: int
) -> Iterator[Named]:
    """The ways that take an entry of the file, or strip a prefix that all names (or all inside the entry) carry."""
    if depth == _DEEPEST:
        return
    starts = {new.partition(".")[0] for new in names.values() if "." in new}
    for entry in sorted(starts & ({*ENTRIES} | (entries if depth == 0 else frozenset()))):
        start = f"{entry}."
        inner = {old: new[len(start) :] for old, new in names.items() if new.startswith(start)}
        outside = frozenset(names) - frozenset(inner)
        if outside and not (depth == 0 and entry in entries):
            inner |= {old: names[old] for old in outside}  # they would be extra
            outside = frozenset()
        inner = {old: _without_wrappers(new) for old, new in inner.items()}
        said = f"{taken}{start}"
        yield Named(f"prefix {said!r} removed", inner, beside | outside)
        yield from _inside(inner, said, beside | outside, entries, depth + 1)


def _without_wrappers(name: str) -> str:
    parts = name.split(".")
    if WRAPPERS.isdisjoint(parts):
        return name
    return ".".join([part for part in parts if part not in WRAPPERS])


def _said(names: list[str], bare: Mapping[str, str]) -> str:
    found = sorted({part for name in names if bare[name] != name for part in name.split(".") if part in WRAPPERS})
    return f"{', '.join(repr(part + '.') for part in found)} removed"


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor on its way: from the file into a slot."""

    slot: Slot
    source: str
    tensor: Tensor
    move: Callable[[Any], Any] | None = None
    crop: bool = False


@dataclass
class Plan:
    """What will be done, and all that stands against it.

    Attributes:
        rows: what is copied.
        report: what the caller will be told.
        problems: sentences; the load is refused when there are any.
        parts: a row's source → the file's tensors that it is made from, where that is another number than one.
    """

    rows: list[Row] = field(default_factory=list)
    report: LoadReport = field(default_factory=lambda: LoadReport(""))
    problems: list[str] = field(default_factory=list)
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def refuse(self) -> None:
        """Raise the MismatchError that says everything, when there is something."""
        if self.problems:
            text = "\n".join(f"  {problem}" for problem in self.problems)
            raise MismatchError(
                f"{self.report.path} does not fit the model; nothing was changed.\n{text}", report=self.report
            )


def plan(
    path: str,
    tensors: Mapping[str, Tensor],
    named: Named,
    slots: Sequence[Slot],
    *,
    allow_missing: bool = False,
    ignore_extra: bool = False,
    mismatched: str = "error",
    cast_dtype: bool = False,
    outside: frozenset[str] = frozenset(),
    moves: Callable[[Slot, str, Tensor], tuple[str, Callable[[Any], Any], tuple[int, ...]] | None] | None = None,
) -> Plan:
    """The Plan for loading `tensors` into `slots`.

    Args:
        named: the names' way; see `rename_automatically`.
        outside: the model's names that were not selected: in the file they are neither extra nor missing.
        moves: for frameworks whose tensors lie otherwise: a slot, the source's name and tensor → what to say, the function
            that moves the axes, and the shape that comes of it; None when it stays.
    """
    targets: dict[str, Slot] = {name: slot for slot in slots for name in (slot.name, *slot.aliases)}
    found: dict[str, tuple[str, Tensor]] = {}
    extra, tied = [], []
    for old, new in named.names.items():
        slot = targets.get(new)
        if slot is None:
            if new not in outside:
                extra.append(old)
        elif slot.name not in found or new == slot.name:
            if slot.name in found:
                tied.append((slot, old))
            found[slot.name] = (old, tensors[old])
        else:
            tied.append((slot, old))
    result = Plan()
    rows, cast, moved, skipped, cropped, differing = result.rows, {}, {}, {}, {}, {}
    shapes, dtypes = [], []
    for slot in slots:
        if slot.name not in found:
            continue
        old, tensor = found[slot.name]
        said = moves(slot, old, tensor) if moves is not None else None
        shape = said[2] if said else tuple(tensor.shape)
        wanted = (
            tuple(a if b == -1 else b for a, b in zip(shape, slot.shape, strict=True))
            if len(shape) == len(slot.shape)
            else slot.shape
        )
        if shape != wanted:
            pair = (tuple(tensor.shape), slot.shape)
            if mismatched == "skip":
                skipped[slot.name] = pair
                continue
            if mismatched == "crop" and len(shape) == len(wanted):
                cropped[slot.name] = pair
            else:
                differing[slot.name] = (str(list(tensor.shape)), str(list(slot.shape)))
                shapes.append(f"{slot.name}: file {list(tensor.shape)}, model {list(slot.shape)}")
                continue
        if slot.dtype is not None and tensor.dtype != slot.dtype:
            if not cast_dtype:
                differing[slot.name] = (str(tensor.dtype), str(slot.dtype))
                dtypes.append(f"{slot.name}: file {tensor.dtype}, model {slot.dtype}")
                continue
            cast[slot.name] = (str(tensor.dtype), str(slot.dtype))
        if said:
            moved[slot.name] = said[0]
        rows.append(Row(slot, old, tensor, said[1] if said else None, slot.name in cropped))
    missing = [slot.name for slot in slots if slot.name not in found]
    result.report = LoadReport(
        path,
        matched=tuple(row.slot.name for row in rows),
        renamed={row.source: row.slot.name for row in rows if row.source != row.slot.name},
        rule=named.rule if any(old != new for old, new in named.names.items()) else "",
        cast=cast,
        moved=moved,
        skipped=skipped,
        cropped=cropped,
        missing=tuple(missing),
        extra=tuple(extra),
        differing=differing,
    )
    problems = result.problems
    unlike = _unlike(tied, found, tensors)
    if missing and not allow_missing:
        problems.append(
            f"missing in the file, {len(missing)} of {len(slots)}: {grouped(missing)}.{_did_you_mean(missing, extra, named)} "
            "Set allow_missing=True to keep the model's own values."
        )
    if extra and not ignore_extra:
        problems.append(f"extra in the file, {len(extra)}: {grouped(extra)}. Set ignore_extra=True to leave them out.")
    if shapes:
        problems.append(
            f"shapes differ, {len(shapes)} of {len(slots)}: {_some(shapes)}. mismatched='skip' keeps the model's own values "
            "there, mismatched='crop' fills what both have."
        )
    if dtypes:
        problems.append(
            f"dtypes differ, {len(dtypes)} of {len(slots)}: {_some(dtypes)}. Set cast_dtype=True to cast the file's values."
        )
    if unlike:
        problems.append(
            f"one tensor in the model, different ones in the file: {_some(unlike)}. Untie them in the model, or choose one "
            "of the names with rename=."
        )
    if not problems and slots and len(rows) * 2 < len(slots):
        kept = len(slots) - len(rows)
        problems.append(
            f"only {len(rows)} of {len(slots)} tensors of the model would be loaded; you would keep {kept} that were not. "
            "Say which part is meant with only=, or how the names correspond with rename= (tk.match proposes it)."
            f"{_did_you_mean(missing, extra, named)}"
        )
    return result


def _some(lines: Sequence[str], most: int = 12) -> str:
    return "; ".join(lines[:most]) + (f"; and {len(lines) - most} more" if len(lines) > most else "")


def _did_you_mean(missing: Sequence[str], extra: Sequence[str], named: Named) -> str:
    """The nearest names of the file for the first few that are missing."""
    news = {named.names[old]: old for old in extra}
    hints = []
    for name in missing[:3]:
        near = difflib.get_close_matches(name, list(news), 1, 0.6)
        if near:
            hints.append(f"{news[near[0]]!r} for {name!r}")
    return f" Did you mean {', '.join(hints)}?" if hints else ""


def _unlike(
    tied: Sequence[tuple[Slot, str]], found: Mapping[str, tuple[str, Tensor]], tensors: Mapping[str, Tensor]
) -> list[str]:
    """The tied slots for which the file has different values under their names."""
    lines = []
    for slot, other in tied:
        chosen, tensor = found[slot.name]
        against = tensors[other]
        if against is tensor:
            continue
        if tensor.shape != against.shape or tensor.dtype != against.dtype or not _equal(tensor, against):
            lines.append(f"{slot.name} (file: {chosen!r} and {other!r})")
    return lines


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.digest is not None and a.digest == b.digest:
        return True
    if a.digest is not None and b.digest is not None and a.extent is not None and b.extent is not None:
        return False  # of tensors in parts, equal ones may be cut differently
    return all(x == y for x, y in zip(a.blocks(), b.blocks(), strict=True))
