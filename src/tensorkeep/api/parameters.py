"""`save_parameters`, `load_parameters`: a model's parameters to a file, and from any file into a fresh model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tensorkeep.adapters import find
from tensorkeep.api._ranks import talking, together, write_first
from tensorkeep.api.loading import Source, damage_text
from tensorkeep.api.loading import open as open_file
from tensorkeep.api.planning import Options, layout_marks, make_plan
from tensorkeep.api.saving import write
from tensorkeep.api.selecting import Only, Rename, selector
from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.loadreport import LoadReport
from tensorkeep.core.plan import Receipt
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import flatten as flatten_tree
from tensorkeep.core.tree import leaves
from tensorkeep.errors import CorruptFileError

if TYPE_CHECKING:
    from tensorkeep.adapters.match import Plan
    from tensorkeep.checkpoint._ranks import Ranks

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
        path: the suffix chooses the format, as in `save`. What it has no room for is left out: .params files do not say which
            framework's layout they have.
        only: the names to save: a glob, a list of names and globs, or a function of the name.
    With tensors in parts (FSDP2, DTensor) all ranks call it together: the tensors are gathered one by one, rank 0 writes, and
    what fails there is raised on all.

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
    inherited = layout_marks(adapter, slots)
    with talking(slots) as ranks:
        values: dict[str, Any] = {}
        for slot in slots:
            value = adapter.value(slot)
            if ranks is not None:
                if not ranks.first:
                    continue  # it took part in gathering; rank 0 keeps it, in the host's memory
                value = value.to("cpu")
            if slot.aliases:
                value = as_tensor(value, where=slot.name)  # one object, so that it is stored once
            for name in (slot.name, *slot.aliases):
                values[name] = value
        return write_first(ranks, lambda: write(path, values, format, metadata, None, inherited=inherited))


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
    layout: str | None = None,
    flatten: Mapping[str, Sequence[int] | None] | None = None,
    weights: str | None = None,
    verify: bool = True,
    unknown: str = "refuse",
    epoch: int | None = None,
) -> LoadReport:
    """Fill a model's parameters and buffers from a file of any format, in place.

    Everything is planned first: names, shapes, dtypes. When something differs, all of it is told at once and nothing is changed.
    With tensors in parts (FSDP2, DTensor) all ranks call it together: each reads its own part, and they share the checking.

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
        layout: the framework in whose way the file's tensors lie ("torch", "mxnet", "keras", "flax", "equinox"), where neither the
            file nor its format says it; "flax(transpose_kernel)" when Flax's transposed convolutions were made with that
            option; "same" takes them as they lie. Between frameworks kernels, recurrent layers and the
            names of a layer's tensors are translated.
        flatten: dense layer of the model → shape (channels, height, width) of the image that is flattened just before it, where
            one framework has its channels first and the other last; None for a layer behind no flattened image.
        weights: "ema" for averaged weights where the file has both, "raw" for those that were trained (the default), or the
            name of an entry of the file.
        verify: check every checksum that the file carries before anything is changed.
        unknown, epoch: as `open` has them.
    Returns:
        A LoadReport; its `.model` is the model (a new one for frameworks whose models cannot change).
    Raises:
        MismatchError: with `.report`; the text names every difference and what helps. The model is as it was.
        CorruptFileError and others: as `load`. The model is as it was.
    """
    from tensorkeep.adapters._fill import fill

    options = Options(only, rename, allow_missing, ignore_extra, mismatched, cast_dtype, layout, flatten, weights)
    adapter = find(model)
    slots = list(adapter.slots(model))
    with ExitStack() as stack, talking(slots) as ranks:

        def prepare() -> tuple[Plan, LoadReport]:
            file, where = _opened(stack, path, unknown, epoch)
            plan, names = make_plan(adapter, model, slots, where, file, options)
            plan.refuse()
            verified = _check(file, plan, names, where, ranks) if verify else ()
            return plan, replace(plan.report, verified=verified)

        plan, report = together(ranks, prepare)
        together(ranks, lambda: fill(adapter, plan.rows, device))
    return replace(report, model=adapter.finish(model, [row.slot for row in plan.rows]))


def _opened(
    stack: ExitStack, path: Source | TensorFile | Mapping[str, Any], unknown: str, epoch: int | None
) -> tuple[TensorFile, str]:
    if isinstance(path, TensorFile):
        return path, path.path
    if isinstance(path, Mapping):
        content = flatten_tree(dict(path))
        named = {name: leaf for name, leaf in leaves(content.tree) if isinstance(leaf, Tensor)}
        return TensorFile(source=None, path="the dict", format="", tensors=named, tree=content.tree), "the dict"
    file = stack.enter_context(open_file(path, unknown=unknown, epoch=epoch))
    return file, file.path


def _check(file: TensorFile, plan: Plan, names: Sequence[str], where: str, ranks: Ranks | None) -> tuple[str, ...]:
    """Check the checksums of what will be read, this rank's share of it; the model's names that were checked."""
    from tensorkeep.storage.filling import check_tensors

    damage = file.check() if ranks is None or ranks.first else []
    if damage:
        raise CorruptFileError(damage_text(file, damage))
    tensors = {name: tensor for name in names if isinstance(tensor := file.get(name), Tensor)}
    own = list(tensors) if ranks is None else list(tensors)[ranks.rank :: ranks.size]
    check_tensors([tensors[name] for name in own], own, where=where)
    checked = {name for name, tensor in tensors.items() if tensor.digest is not None}
    return tuple(row.slot.name for row in plan.rows if checked.issuperset(plan.parts.get(row.source, (row.source,))))
