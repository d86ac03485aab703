"""`save_parameters`, `load_parameters`: a model's parameters to a file, and from any file into a fresh model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tensorkeep.adapters import find
from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.api.loading import Source
from tensorkeep.api.loading import open as open_file
from tensorkeep.api.saving import write
from tensorkeep.api.selecting import Only, Rename, renamed, selector
from tensorkeep.core.loadreport import LoadReport
from tensorkeep.core.plan import Receipt
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import flatten, leaves
from tensorkeep.errors import UnsupportedDataError

if TYPE_CHECKING:
    from tensorkeep.adapters.match import Named, Plan

__all__ = ["load_parameters", "save_parameters"]


def save_parameters(
    model: Any,
    path: str | os.PathLike[str],
    *,
    only: Only | None = None,
    format: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Receipt:
    """Write a model's parameters and buffers by their names, atomically and durably.

    Args:
        model: a torch.nn.Module, a Block or Module of tensorkeep.mxnet, a Keras, Flax or Equinox model, or a dict, list or
            dataclass of arrays. Names carry no segments of wrappers (`module.`, `_orig_mod.`); tied tensors are stored once.
        path: the suffix chooses the format, as in `save`.
        only: the names to save: a glob, a list of names and globs, or a function of the name.
    Raises:
        UnsupportedDataError: what is given is no model, or a tensor has no values (meta device, not initialised).
        NotEnoughSpaceError, SaveError, UnsupportedFormatError, TensorNotFoundError: as `save`.
        Nothing was written then, and an old file is whole.
    """
    adapter = find(model)
    slots = adapter.slots(model)
    if only is not None:
        wanted = selector(only, [slot.name for slot in slots], where=f"the {adapter.name} model")
        slots = [slot for slot in slots if wanted(slot.name)]
    values: dict[str, Any] = {}
    for slot in slots:
        value = adapter.value(slot)
        for name in (slot.name, *slot.aliases):
            values[name] = value
    return write(path, values, format, metadata, None)


def load_parameters(
    model: Any,
    path: Source | TensorFile | Mapping[str, Any],
    *,
    only: Only | None = None,
    rename: Rename | str | None = "auto",
    allow_missing: bool = False,
    ignore_extra: bool = False,
    mismatched: str = "error",
    cast_dtype: bool = False,
    device: Any = None,
    verify: bool = True,
    unknown: str = "refuse",
    epoch: int | None = None,
) -> LoadReport:
    """Fill a model's parameters and buffers from a file of any format, in place.

    Everything is planned first: names, shapes, dtypes. When something differs, all of it is told at once and nothing is changed.

    Args:
        model: as `save_parameters` takes it. A model on torch's meta device gets its memory from here.
        path: as `open` takes it, an open TensorFile, or a dict of arrays by name.
        only: the model's names to fill: a glob, a list of names and globs, or a function. What lies outside counts as neither
            missing nor extra.
        rename: "auto" removes or adds the prefixes of known wrappers where just one way fits; None takes the names as they are;
            a dict, a list of (pattern, replacement) or a function from the file's name to the model's replaces that.
        allow_missing: tensors that the file lacks keep the model's own values.
        ignore_extra: tensors that the model lacks are left out.
        mismatched: "error"; "skip" keeps the model's own values where shapes differ, "crop" fills what both shapes have.
        cast_dtype: cast the file's values to the model's dtypes where they differ.
        device: where the filled tensors go; by default each stays where it is, and those on the meta device go to the CPU.
        verify: check every checksum that the file carries before anything is changed.
        unknown, epoch: as `open` has them.
    Returns:
        A LoadReport; its `.model` is the model (a new one for frameworks whose models cannot change).
    Raises:
        MismatchError: with `.report`; the text names every difference and what helps. The model is as it was.
        CorruptFileError and others: as `load`. The model is as it was.
    """
    if mismatched not in ("error", "skip", "crop"):
        raise UnsupportedDataError(f"mismatched={mismatched!r} is not known; use 'error', 'skip' or 'crop'.")
    adapter = find(model)
    slots = list(adapter.slots(model))
    if isinstance(path, TensorFile):
        return _load(adapter, model, slots, path.path, path, locals())
    if isinstance(path, Mapping):
        content = flatten(dict(path))
        named = {name: leaf for name, leaf in leaves(content.tree) if isinstance(leaf, Tensor)}
        file = TensorFile(source=None, path="the dict", format="", tensors=named, tree=content.tree)
        return _load(adapter, model, slots, "the dict", file, locals())
    with open_file(path, unknown=unknown, epoch=epoch) as file:
        return _load(adapter, model, slots, file.path, file, locals())


def _load(
    adapter: Adapter, model: Any, slots: list[Slot], where: str, file: TensorFile, options: Mapping[str, Any]
) -> LoadReport:
    from tensorkeep.adapters._fill import fill
    from tensorkeep.storage.filling import check_tensors

    plan = make_plan(adapter, model, slots, where, file, options)
    plan.refuse()
    report = plan.report
    if options["verify"]:
        damage = file.check()
        if damage:
            from tensorkeep.api.loading import damage_text
            from tensorkeep.errors import CorruptFileError

            raise CorruptFileError(damage_text(file, damage))
        names = [row.source for row in plan.rows]
        check_tensors([row.tensor for row in plan.rows], names, where=where)
        verified = tuple(row.slot.name for row in plan.rows if row.tensor.digest is not None)
        report = replace(report, verified=verified)
    fill(adapter, plan.rows, options["device"])
    return replace(report, model=adapter.finish(model, [row.slot for row in plan.rows]))


def make_plan(
    adapter: Adapter, model: Any, slots: Sequence[Slot], where: str, file: TensorFile, options: Mapping[str, Any]
) -> Plan:
    """The plan of a load, which reads no values and changes nothing."""
    from tensorkeep.adapters.match import plan

    outside: frozenset[str] = frozenset()
    if options["only"] is not None:
        everything = [name for slot in slots for name in (slot.name, *slot.aliases)]
        wanted = selector(options["only"], everything, where=f"the {adapter.name} model")
        chosen = [slot for slot in slots if any(map(wanted, (slot.name, *slot.aliases)))]
        outside = frozenset(everything) - {name for slot in chosen for name in (slot.name, *slot.aliases)}
        slots = chosen
    tensors = {name: _dense(name, tensor) for name, tensor in file.items()}
    named = _named(adapter, model, slots, file, tensors, options["rename"], outside)
    return plan(
        where,
        tensors,
        named,
        slots,
        allow_missing=options["allow_missing"],
        ignore_extra=options["ignore_extra"],
        mismatched=options["mismatched"],
        cast_dtype=options["cast_dtype"],
        outside=outside,
    )


def _dense(name: str, tensor: Tensor | SparseTensor) -> Tensor:
    if isinstance(tensor, Tensor):
        return tensor
    return Tensor(tensor.shape, tensor.dtype, make=tensor.to_dense)


def _named(
    adapter: Adapter,
    model: Any,
    slots: Sequence[Slot],
    file: TensorFile,
    tensors: Mapping[str, Tensor],
    rename: Rename | str | None,
    outside: frozenset[str],
) -> Named:
    from tensorkeep.adapters.match import Named, rename_automatically

    if rename == "auto":
        entries: Iterable[str] = ()
        if not file.is_flat and isinstance(file.structure, dict):
            entries = [key for key, value in file.structure.items() if isinstance(key, str) and isinstance(value, dict)]
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        names = list(tensors)
        return rename_automatically(
            names,
            slots,
            shapes,
            prefixes=adapter.prefixes(model),
            others=adapter.other_names(model, names),
            entries=frozenset(entries),
            outside=outside,
        )
    if rename is None:
        return Named("", {name: name for name in tensors})
    if isinstance(rename, str):
        raise UnsupportedDataError(f"rename={rename!r} is not known; use 'auto', None, a dict, rules or a function.")
    new = renamed({name: name for name in tensors}, rename, where=file.path)
    return Named("as rename= says", {old: given for given, old in new.items()})
