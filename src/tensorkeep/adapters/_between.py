"""From one framework's file into another's model: which tensors of the file make which slot, and how. Nothing is read but sizes.

The result is what `match.plan` takes: tensors under labels, where each goes, and what is done to its axes. Names that are
the same in common words (see `_layouts`) meet; what a user's rules rename comes renamed already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tensorkeep.adapters import _recurrent
from tensorkeep.adapters._layouts import (
    CHANNELS_LAST,
    Piece,
    Want,
    common,
    convert,
    flattened,
    kind_of,
    shape_after,
    split,
)
from tensorkeep.adapters._turned import Turned
from tensorkeep.adapters.base import Slot
from tensorkeep.adapters.match import Named
from tensorkeep.core.tensor import Tensor

if TYPE_CHECKING:
    from tensorkeep.core.graph import Graph

__all__ = ["Translation", "translate"]

Move = tuple[str, Callable[[Any], Any], tuple[int, ...]]

_COUNTERS = ("num_batches_tracked", "seed_generator_state", "seed", "n_averaged")
"""Tensors that only their own framework has: no partner is missed."""

_FIXED_GAMMA = "ones: fix_gamma of MXNet's BatchNorm"


@dataclass
class Translation:
    """What `match.plan` needs, and what is to be told beside.

    Attributes:
        tensors: label → tensor. A label is the file's own name where one tensor makes one slot.
        named: label → the model's name.
        slots: those that have a partner in the source's framework.
        parts: label → the file's tensors that it is made from.
        moves: label → what is done to its axes.
        problems, notes: sentences; with problems the load is refused.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    named: Named = field(default_factory=lambda: Named("", {}))
    slots: list[Slot] = field(default_factory=list)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    moves: dict[str, Move] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def translate(
    source: str,
    target: str,
    slots: Sequence[Slot],
    tensors: Mapping[str, Tensor],
    *,
    rename: Callable[[list[str], list[Slot]], Named],
    given: Mapping[str, str] | None = None,
    flatten: Mapping[str, Sequence[int] | None] | None = None,
    graph: Graph | None = None,
    turned: Mapping[str, bool] | None = None,
) -> Translation:
    """The Translation of a file of the framework `source` for the slots of a model of `target`.

    Args:
        rename: finds the way from the source's common names to the model's.
        given: name in the file → new name, where the user says so; then `rename` is not asked.
        flatten: dense layer of the model → the shape (channels, height, width) of the image that is flattened before it; None
            where there is none.
        graph: of the source, which knows fix_gamma.
        turned: which kernels of a Flax source were made with transpose_kernel, as far as it says so; None: all that may be.
    """
    result = Translation()
    origin = _origin(source, tensors, given)
    by_new = {new: tensors[old] for new, old in origin.items()}
    pieces, beside = _pieces(source, target, by_new, graph, result, origin)
    wants = _wants(source, target, slots, pieces, result)
    pseudo = {
        need: replace(want.slot, name=need, aliases=()) for want in wants for need in (want.needs or (want.slot.name,))
    }
    named = Named("as rename= says", {name: name for name in pieces}) if given is not None else None
    if named is None:
        named = rename(list(pieces), list(pseudo.values()))
    at = {new: pieces[name] for name, new in named.names.items()}
    _part_vectors(target, at, wants, result)
    used: set[str] = set()
    flat = _Flatten(source, target, dict(flatten or {}), result)
    kernels = Turned(turned)
    for want in wants:
        flat.see(want, at)
    for want in wants:
        _fill_want(source, target, want, at, by_new, origin, flat, kernels, used, result)
    flat.finish()
    result.notes += kernels.notes()
    names = {label: result.named.names[label] for label in result.named.names}
    for new, piece in at.items():
        for part in piece.parts:
            if origin[part] not in used and origin[part] not in names:
                names[origin[part]] = new
                result.tensors[origin[part]] = by_new[part]
    beside |= {name for old, name in ((old, old) for old in tensors) if old not in names and old not in used} - {
        origin[part] for piece in at.values() for part in piece.parts
    }
    rule = named.rule if any(old != new for old, new in named.names.items()) or given is not None else ""
    result.named = Named(rule, names, named.beside | beside)
    result.slots = [want.slot for want in wants]
    return result


def _origin(source: str, tensors: Mapping[str, Tensor], given: Mapping[str, str] | None) -> dict[str, str]:
    """New name → name in the file. The collections of a linen model's variables are no layers."""
    names = dict(given) if given is not None else {name: name for name in tensors}
    collections = ("params.", "batch_stats.")
    if source == "flax" and names and all(new.startswith(collections) for new in names.values()):
        names = {old: new.partition(".")[2] for old, new in names.items()}
    if source == "mxnet":
        plain = _recurrent.unfused(list(names.values()))
        names = {old: plain.get(new, new) for old, new in names.items()}
    return {new: old for old, new in names.items()}


def _pieces(
    source: str,
    target: str,
    tensors: Mapping[str, Tensor],
    graph: Graph | None,
    result: Translation,
    origin: Mapping[str, str],
) -> tuple[dict[str, Piece], set[str]]:
    """The source in common words, and the names that have no partner by nature."""
    pieces, used, problems = _recurrent.cells(source, tensors)
    result.problems += problems
    ones = _fixed_gammas(graph) if source == "mxnet" and graph is not None else frozenset()
    beside: set[str] = set()
    for name, tensor in tensors.items():
        if name in used:
            continue
        _, leaf = split(source, name)
        if leaf in _COUNTERS and not (source == "torch" and target == "torch"):
            beside.add(origin[name])
            continue
        bare = origin[name].removeprefix("arg:").removeprefix("aux:")
        word = common(source, name)
        shape = tuple(tensor.shape)
        settled = source not in CHANNELS_LAST
        make = None
        said = ""
        if bare in ones:
            make, said = _ones, _FIXED_GAMMA
        piece = Piece((name,), shape, tensor.dtype, make, leaf, settled, name, said)
        pieces[word if word not in pieces else name] = piece
    return pieces, beside


def _ones(array: Any) -> Any:
    import numpy as np

    return np.ones_like(array)


def _fixed_gammas(graph: Graph) -> frozenset[str]:
    """The gammas that a graph reads as 1, whatever the file holds: fix_gamma is on unless the graph says otherwise."""
    found = set()
    for node in graph.nodes:
        if node.op in ("BatchNorm", "CuDNNBatchNorm") and str(node.attrs.get("fix_gamma", "True")).lower() in (
            "true",
            "1",
        ):
            entry = node.inputs[1]
            found.add(graph.nodes[entry[0]].name)
    return frozenset(found)


def _wants(
    source: str, target: str, slots: Sequence[Slot], pieces: Mapping[str, Piece], result: Translation
) -> list[Want]:
    recurrent, used = _recurrent.wants(target, slots)
    by_slot: dict[str, list[Want]] = {}
    for want in recurrent:
        by_slot.setdefault(want.slot.name, []).append(want)
    found: list[Want] = []
    plain = _recurrent.unfused([slot.name for slot in slots]) if target == "mxnet" else {}
    states = 0
    for slot in slots:
        if slot.name in used:
            found += by_slot.get(slot.name, [])
            continue
        _, leaf = split(target, slot.name)
        if leaf in _COUNTERS:
            continue
        if target == "equinox" and ".init" in slot.name and "_index." in f".{slot.name}":
            states += 1
            continue
        word = common(target, plain.get(slot.name, slot.name))
        if target == "mxnet" and leaf == "parameters" and word not in pieces:
            found.append(Want(slot, (), lambda *_: ""))
            continue
        found.append(Want(slot, (word,), lambda piece: piece))
    if states:
        result.notes.append(
            "Equinox keeps the running statistics of BatchNorm in its State, which is no part of the module: they are not filled."
        )
    return found


def _part_vectors(target: str, at: dict[str, Piece], wants: Sequence[Want], result: Translation) -> None:
    """MXNet's flat recurrent vectors become separate pieces where the model has separate tensors."""
    shapes = {want.needs[0]: want.slot.shape for want in wants if len(want.needs) == 1}
    for name in [name for name, piece in at.items() if piece.leaf == "parameters" and len(piece.shape) == 1]:
        if name in shapes:
            continue
        layer = name.rpartition(".")[0]
        inside = {each: shape for each, shape in shapes.items() if _recurrent.of_layer(each, layer)}
        if not inside or target in CHANNELS_LAST:
            continue
        made = _recurrent.separate(at[name], layer, inside)
        if isinstance(made, str):
            result.problems.append(made)
            continue
        del at[name]
        at.update(made)


def _fill_want(
    source: str,
    target: str,
    want: Want,
    at: Mapping[str, Piece],
    tensors: Mapping[str, Tensor],
    origin: Mapping[str, str],
    flat: _Flatten,
    kernels: Turned,
    used: set[str],
    result: Translation,
) -> None:
    slot = want.slot
    if not want.needs:  # a flat vector of MXNet
        piece: Piece | str | None = _recurrent.fused_of(at, split(target, slot.name)[0])
    elif all(need in at for need in want.needs):
        chosen = [at[need] for need in want.needs]
        piece = want.build(*chosen)
        if want.last_gate_free and _last_gate(chosen[1], tensors):
            piece = "the source's GRU has a bias inside its reset gate, for which a Flax GRUCell has no place."
    else:
        return
    if piece is None:
        return
    if isinstance(piece, str):
        result.problems.append(f"{slot.name}: {piece}")
        used.update(origin[part] for need in want.needs for part in at[need].parts)
        return
    move = None
    if want.needs and len(want.needs) == 1 and (piece.make is None or piece.said == _FIXED_GAMMA):
        move = _moved(source, target, want, piece, origin[piece.parts[0]], flat, kernels, result)
    if slot.layer == "BatchNorm(fix_gamma)" and want.needs[0].endswith("weight") and not _all_ones(piece, tensors):
        result.problems.append(
            f"{slot.name}: the layer has fix_gamma set, which reads every gamma as 1, and the source's are others. Make "
            "the layer with scale=True (of a symbol: fix_gamma=False)."
        )
        used.update(origin[part] for part in piece.parts)
        return
    label = piece.label
    for part in sorted(piece.parts, key=len, reverse=True):
        label = label.replace(part, origin[part])
    if label in result.tensors or (not piece.parts):
        label = f"{label} for {slot.name}"
    if piece.make is None:
        result.tensors[label] = tensors[piece.parts[0]]
    else:
        result.tensors[label] = _made(piece, tensors)
        if piece.said and move is None:
            move = (piece.said, _same, piece.shape)
    if move is not None:
        result.moves[label] = move
    result.parts[label] = tuple(origin[part] for part in piece.parts)
    used.update(result.parts[label])
    result.named = Named("", {**result.named.names, label: slot.name})


def _last_gate(piece: Piece, tensors: Mapping[str, Tensor]) -> bool:
    import numpy as np

    values = _made(piece, tensors).numpy() if piece.make is not None else tensors[piece.parts[0]].numpy()
    return bool(np.any(values[2 * (len(values) // 3) :]))


def _all_ones(piece: Piece, tensors: Mapping[str, Tensor]) -> bool:
    import numpy as np

    values = _made(piece, tensors).numpy() if piece.make is not None else tensors[piece.parts[0]].numpy()
    return bool(np.all(values == 1))


def _same(array: Any) -> Any:
    return array


def _made(piece: Piece, tensors: Mapping[str, Tensor]) -> Tensor:
    def make() -> Any:
        import numpy as np

        assert piece.make is not None
        return np.ascontiguousarray(piece.make(*(tensors[part].numpy() for part in piece.parts))).reshape(piece.shape)

    return Tensor(piece.shape, piece.dtype, make=make)


def _moved(
    source: str,
    target: str,
    want: Want,
    piece: Piece,
    name: str,
    flat: _Flatten,
    kernels: Turned,
    result: Translation,
) -> Move | None:
    """What is done to the axes of a tensor that is one slot's alone; `name` is what the file calls it."""
    slot, word = want.slot, want.needs[0].rpartition(".")[2]
    _, own = split(target, slot.name)
    kind = kind_of(slot, piece.leaf)
    if word == "weight" and len(piece.shape) > 1 and kind != "norm":
        other = (source in CHANNELS_LAST) != (target in CHANNELS_LAST)
        if not kind and other and own != piece.leaf:
            result.problems.append(
                f"{slot.name}: how the axes of a {slot.layer or 'layer'} correspond between {source} and {target} is not known. "
                "Leave it out with only= and fill it yourself, or load it by itself with layout='same' to take it as it lies."
            )
            return None
        if source == "flax" and kind.startswith("deconv") and len(piece.shape) > 2:
            source = kernels.layout(name, target, kind, piece.shape, slot.shape)
        found = convert(source, target, kind, piece.shape, slot.shape)
        said, act = found if found is not None else ("", _same)
        shape = shape_after(act, [piece.shape]) if found is not None else piece.shape
        if kind == "dense" and other:
            turn = flat.turn(want, shape)
            if turn is not None:
                before = act
                said, act = f"{said}, flattened image reordered", lambda array: turn(before(array))
        return (said, act, shape) if said else None
    if len(slot.shape) != len(piece.shape) and -1 not in slot.shape and math.prod(slot.shape) == math.prod(piece.shape):
        shape = slot.shape
        return "reshaped", lambda array: array.reshape(shape), shape
    return None


class _Flatten:
    """Dense layers behind a flattened image: their inputs are in another order where channels come last."""

    def __init__(self, source: str, target: str, given: dict[str, Sequence[int] | None], result: Translation) -> None:
        self.crossing = (source in CHANNELS_LAST) != (target in CHANNELS_LAST)
        self.target = target
        self.given = given
        self.result = result
        self.last = 0  # channels of the convolution just before, 0 behind a dense layer
        self.channels: list[int] = []
        self.dense: list[tuple[str, int, int]] = []
        self.outs: set[int] = set()
        self.met: set[str] = set()

    def see(self, want: Want, at: Mapping[str, Piece]) -> None:
        """Remember convolutions and dense layers in the model's order."""
        slot = want.slot
        if len(want.needs) != 1 or want.needs[0].rpartition(".")[2] != "weight" or want.needs[0] not in at:
            return
        kind = kind_of(slot, at[want.needs[0]].leaf)
        last = self.target in CHANNELS_LAST
        if kind in ("conv", "depthwise") or kind.startswith("deconv"):
            outs = slot.shape[-1] if last else slot.shape[0]
            if kind == "depthwise":
                outs = slot.shape[-1] * slot.shape[-2]
            elif kind == "deconv":
                outs = slot.shape[1] if not last else slot.shape[-1] if self.target == "flax" else slot.shape[-2]
            self.last = outs
            self.channels.append(outs)
            self.outs.add(outs)
        elif kind == "dense" and len(slot.shape) == 2:
            ins, outs = slot.shape if last else slot.shape[::-1]
            self.dense.append((split(self.target, slot.name)[0], ins, self.last))
            self.outs.add(outs)
            self.last = 0

    def turn(self, want: Want, shape: tuple[int, ...]) -> Callable[[Any], Any] | None:
        """The reordering of a dense layer's inputs, when the caller named the image's shape."""
        layer = split(self.target, want.slot.name)[0]
        dims = self.given.get(layer)
        self.met.add(layer)
        if dims is None:
            return None
        last = self.target in CHANNELS_LAST
        ins = shape[0] if last else shape[1]
        if math.prod(dims) != ins:
            self.result.problems.append(
                f"{want.slot.name}: flatten= says an image of {tuple(dims)}, that is {math.prod(dims)} values, but the layer "
                f"takes {ins}. Give (channels, height, width) of what is flattened."
            )
            return None
        return flattened(dims, last, last)

    def finish(self) -> None:
        """Refuse to guess where an image was probably flattened."""
        if not self.crossing:
            return
        unmet = sorted(set(self.given) - self.met)
        if unmet:
            known = ", ".join(sorted({layer for layer, _, _ in self.dense})) or "none"
            self.result.problems.append(
                f"flatten= names {', '.join(map(repr, unmet))}, which is no dense layer that is loaded. There are: {known}."
            )
        for layer, ins, before in self.dense:
            if layer in self.given or ins < 0:
                continue
            if self.target == "flax":  # its order is that of names
                near = [c for c in self.channels if c > 1 and ins > c and ins % c == 0] if ins not in self.outs else []
            else:
                near = [before] if before and ins != before and ins % before == 0 else []
            if near:
                channels = near[-1]
                self.result.problems.append(
                    f"{layer}: a dense layer of {ins} inputs behind a convolution of {channels} channels. An image that is "
                    "flattened lies channels first in one framework and channels last in the other. Give its shape: "
                    f"flatten={{{layer!r}: ({channels}, height, width)}}, with height · width = {ins // channels}; "
                    f"or flatten={{{layer!r}: None}} where no image is flattened."
                )
            elif before and ins != before:
                self.result.notes.append(
                    f"{layer}: a dense layer of {ins} inputs follows a convolution of {before} channels; its inputs were "
                    "taken in the order in which the file has them."
                )
