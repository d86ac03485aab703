"""The plan of a load: which tensors of a file are meant, what they are called, how they lie, what differs. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.api.selecting import Only, Rename, renamed, selector
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import UnsupportedDataError

if TYPE_CHECKING:
    from tensorkeep.adapters.match import Named, Plan

__all__ = ["Options", "layout_marks", "layout_of", "make_plan"]

LAYOUT_KEY = "tensor_layout"
"""In a file's metadata: the framework whose way of laying out tensors it follows; `save_parameters` writes it."""

_FORMATS = {"torch": "torch", "torch-legacy": "torch", "torch-tar": "torch", "mxnet": "mxnet", "mxnet-np": "mxnet"}


@dataclass(frozen=True)
class Options:
    """What `load_parameters` was asked for; see there."""

    only: Only | None = None
    rename: Rename | str | None = "auto"
    allow_missing: bool = False
    ignore_extra: bool = False
    mismatched: str = "error"
    cast_dtype: bool = False
    layout: str | None = None
    flatten: Mapping[str, Sequence[int] | None] | None = None
    weights: str | None = None

    def __post_init__(self) -> None:
        from tensorkeep.adapters._layouts import LAYOUTS
        from tensorkeep.adapters._turned import TURNED_LAYOUT

        if self.mismatched not in ("error", "skip", "crop"):
            raise UnsupportedDataError(f"mismatched={self.mismatched!r} is not known; use 'error', 'skip' or 'crop'.")
        if self.layout is not None and self.layout not in (*LAYOUTS, TURNED_LAYOUT, "same"):
            known = ", ".join(map(repr, (*LAYOUTS, TURNED_LAYOUT)))
            raise UnsupportedDataError(
                f"layout={self.layout!r} is not known; use {known}, or 'same' to take tensors as they lie."
            )
        if isinstance(self.rename, str) and self.rename != "auto":
            raise UnsupportedDataError(
                f"rename={self.rename!r} is not known; use 'auto', None, a dict, rules or a function."
            )


def make_plan(
    adapter: Adapter, model: Any, slots: Sequence[Slot], where: str, file: TensorFile, options: Options
) -> tuple[Plan, list[str]]:
    """(the plan, the names of the tensors that it reads). Raises nothing for differences: `plan.refuse()` does."""
    from tensorkeep.adapters._averaged import choose
    from tensorkeep.adapters._turned import disagreement
    from tensorkeep.adapters.match import plan

    outside: frozenset[str] = frozenset()
    if options.only is not None:
        everything = [name for slot in slots for name in (slot.name, *slot.aliases)]
        wanted = selector(options.only, everything, where=f"the {adapter.name} model")
        chosen = [slot for slot in slots if any(map(wanted, (slot.name, *slot.aliases)))]
        outside = frozenset(everything) - {name for slot in chosen for name in (slot.name, *slot.aliases)}
        slots = chosen
    view = choose(file, {name: _dense(name, tensor) for name, tensor in file.items()}, slots, options.weights)
    limits: dict[str, Any] = {
        "allow_missing": options.allow_missing,
        "ignore_extra": options.ignore_extra,
        "mismatched": options.mismatched,
        "cast_dtype": options.cast_dtype,
    }
    source = _source(adapter, model, slots, file, view.tensors, options, outside)
    if source:
        return _translated(source, adapter, model, slots, where, file, view, options, outside, limits)
    named = _named(adapter, model, slots, view.entries, file, view.tensors, options.rename, outside)
    result = plan(where, view.tensors, _beside(named, view.beside), slots, outside=outside, **limits)
    if view.notes:
        result.report = replace(result.report, notes=tuple(view.notes))
    if adapter.layout == "flax" and options.layout != "same":
        said = _turned(file, options)
        for row in result.rows:
            text = disagreement(row.slot, True if said is None else said.get(row.source))
            result.problems += [text] if text else []
    return result, [row.source for row in result.rows]


def _translated(
    source: str,
    adapter: Adapter,
    model: Any,
    slots: Sequence[Slot],
    where: str,
    file: TensorFile,
    view: Any,
    options: Options,
    outside: frozenset[str],
    limits: Mapping[str, Any],
) -> tuple[Plan, list[str]]:
    """The plan between two frameworks."""
    from tensorkeep.adapters._between import translate
    from tensorkeep.adapters._layouts import common
    from tensorkeep.adapters.match import plan, rename_automatically

    given = None
    tensors = view.tensors
    if options.rename is None:
        given = {name: name for name in tensors}
    elif not isinstance(options.rename, str):
        new = renamed({name: name for name in tensors}, options.rename, where=file.path)
        given = {old: name for name, old in new.items()}
    beyond = frozenset(common(adapter.layout, name) for name in outside)
    done = translate(
        source,
        adapter.layout,
        slots,
        tensors,
        rename=lambda names, pseudo: rename_automatically(
            names, pseudo, {}, entries=frozenset(view.entries), outside=beyond
        ),
        given=given,
        flatten=options.flatten,
        graph=file.graph,
        turned=_turned(file, options),
    )
    moves = done.moves
    result = plan(
        where,
        done.tensors,
        _beside(done.named, view.beside),
        done.slots,
        outside=outside | beyond,
        moves=lambda slot, label, tensor: moves.get(label),
        **limits,
    )
    result.problems += done.problems
    notes = (*view.notes, *done.notes)
    result.report = replace(result.report, layout=f"{source} to {adapter.layout}", notes=notes)
    result.parts = done.parts
    parts = [part for row in result.rows for part in done.parts.get(row.source, (row.source,))]
    return result, list(dict.fromkeys(parts))


def layout_marks(adapter: Adapter, slots: Sequence[Slot]) -> dict[str, str]:
    """What the metadata of a file of these slots say of how its tensors lie."""
    from tensorkeep.adapters._turned import write_mark

    marks = {LAYOUT_KEY: adapter.layout} if adapter.layout else {}
    return marks | write_mark(slots) if adapter.layout == "flax" else marks


def _turned(file: TensorFile, options: Options) -> dict[str, bool] | None:
    """Which kernels of a Flax file were made with transpose_kernel, as it says itself; None: the caller says that all were."""
    from tensorkeep.adapters._turned import TURNED_LAYOUT, read_mark

    return None if options.layout == TURNED_LAYOUT else read_mark(file.metadata)


def layout_of(file: TensorFile) -> tuple[str, bool]:
    """(the framework in whose way a file's tensors lie, or ""; whether the file says so itself)."""
    from tensorkeep.adapters._layouts import LAYOUTS, named_in

    said = file.metadata.get(LAYOUT_KEY)
    if said in LAYOUTS:
        return str(said), True
    found = _FORMATS.get(file.format, "")
    if file.format.startswith("safetensors") and file.checksum is None:  # the mark is the writer's, not ours
        found = "torch" if file.metadata.get("format") == "pt" else ""
    return named_in(found, file), False


def _source(
    adapter: Adapter,
    model: Any,
    slots: Sequence[Slot],
    file: TensorFile,
    tensors: Mapping[str, Tensor],
    options: Options,
    outside: frozenset[str],
) -> str:
    """The source's framework where its rules are to be applied, else ""."""
    if options.layout == "same" or not adapter.layout:
        return ""
    if options.layout is not None:
        given = options.layout.partition("(")[0]
        return given if given != adapter.layout else ""
    found, certain = layout_of(file)
    if not found or found == adapter.layout:
        return ""
    if not certain and not any(slot.layer.startswith(("ConvTranspose", "Deconv")) for slot in slots):
        # The framework is guessed from the format: tensors that fit just as they lie are taken so.
        sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if sizes.keys() - outside == {slot.name for slot in slots} and all(sizes[s.name] == s.shape for s in slots):
            return ""
    return found


def _beside(named: Named, names: frozenset[str]) -> Named:
    if not names:
        return named
    kept = {old: new for old, new in named.names.items() if old not in names}
    return replace(named, names=kept, beside=named.beside | names)


def _dense(name: str, tensor: Tensor | SparseTensor) -> Tensor:
    if isinstance(tensor, Tensor):
        return tensor
    return Tensor(tensor.shape, tensor.dtype, make=tensor.to_dense)


def _named(
    adapter: Adapter,
    model: Any,
    slots: Sequence[Slot],
    entries: Iterable[str],
    file: TensorFile,
    tensors: Mapping[str, Tensor],
    rename: Rename | str | None,
    outside: frozenset[str],
) -> Named:
    from tensorkeep.adapters.match import Named, rename_automatically

    if rename == "auto":
        names = list(tensors)
        return rename_automatically(
            names,
            slots,
            {name: tensor.shape for name, tensor in tensors.items()},
            prefixes=adapter.prefixes(model),
            others=adapter.other_names(model, names),
            entries=frozenset(entries),
            outside=outside,
        )
    if rename is None:
        return Named("", {name: name for name in tensors})
    assert not isinstance(rename, str)
    new = renamed({name: name for name in tensors}, rename, where=file.path)
    return Named("as rename= says", {old: given for given, old in new.items()})
