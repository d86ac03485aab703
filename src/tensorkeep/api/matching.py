"""`match` and `graft`: proposals for names that differ, and the first layers of one network in another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorkeep.adapters import find
from tensorkeep.api.loading import Source
from tensorkeep.api.loading import open as open_file
from tensorkeep.api.parameters import load_parameters
from tensorkeep.api.planning import layout_of
from tensorkeep.core.loadreport import LoadReport
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import MismatchError

if TYPE_CHECKING:
    from tensorkeep.adapters._propose import Match

__all__ = ["graft", "match"]


def match(model: Any, path: Source) -> Match:
    """A proposal how a file's names correspond to a model's, with a confidence for each pair. Nothing is loaded or changed.

    Args:
        model: a model, as load_parameters takes it, or a second file (a path) in its place.
        path: the file whose names are to be translated.
    Returns:
        A Match: print it to read it, give its `.rules` to load_parameters as rename=, or keep `.dumps()` as a file.
    Raises:
        MissingExtraError: SciPy is not installed. Others: as `open`.
    """
    from tensorkeep.adapters._propose import propose

    if isinstance(model, (str, os.PathLike)):
        with open_file(model) as target:
            wanted = {name: tuple(tensor.shape) for name, tensor in target.items()}
            layout = layout_of(target)[0]
    else:
        adapter = find(model)
        wanted = {slot.name: slot.shape for slot in adapter.slots(model)}
        layout = adapter.layout
    with open_file(path) as file:
        theirs = {name: tuple(tensor.shape) for name, tensor in file.items()}
        source = layout_of(file)[0]
    if source and layout and source != layout:  # axes lie otherwise: sizes tell, not their order
        wanted = {name: tuple(sorted(shape)) for name, shape in wanted.items()}
        theirs = {name: tuple(sorted(shape)) for name, shape in theirs.items()}
    return propose(wanted, theirs)


def graft(
    model: Any,
    path: Source,
    *,
    first: int,
    example_inputs: Sequence[Any] | None = None,
    cast_dtype: bool = False,
    device: Any = None,
    verify: bool = True,
) -> LoadReport:
    """Fill the first layers of a model, in order of use, from the first layers of another network's file.

    Layers are what holds tensors: the n-th layer of the model takes the n-th of the file, whatever both are called.

    Args:
        first: how many layers.
        example_inputs: what the model is called with once, so that the order of use is seen; by default it is that of registration.
        cast_dtype, device, verify: as load_parameters has them.
    Returns:
        A LoadReport about these layers only.
    Raises:
        MismatchError: there are fewer layers, or their tensors differ in kind or shape; nothing was changed.
    """
    adapter = find(model)
    order = list(adapter.order(model) if example_inputs is None else adapter.order_of_use(model, example_inputs))
    slots = adapter.slots(model)
    with open_file(path) as file:
        theirs = list(dict.fromkeys(name.rpartition(".")[0] for name in file))
        if not 0 < first <= min(len(order), len(theirs)):
            raise MismatchError(
                f"{file.path}: first={first}, but the model has {len(order)} layers with tensors and the file {len(theirs)}."
            )
        names = _renamed(file, list(zip(theirs[:first], order[:first], strict=True)))
        wanted = [slot.name for slot in slots if slot.name.rpartition(".")[0] in order[:first]]
        inside = {old: file[old] for old in names}
        part = TensorFile(source=None, path=file.path, format=file.format, tensors=inside, metadata=file.metadata)
        return load_parameters(
            model,
            part,
            only=wanted,
            rename=lambda name: names[name],
            cast_dtype=cast_dtype,
            device=device,
            verify=verify,
        )


def _renamed(file: TensorFile, layers: Sequence[tuple[str, str]]) -> dict[str, str]:
    found = {}
    for old, new in layers:
        for name in file:
            layer, _, last = name.rpartition(".")
            if layer == old:
                found[name] = f"{new}.{last}" if new else last
    return found
