"""Recurrent layers between frameworks: fused and separate gates, biases that are one or two, MXNet's flat vectors.

In common words (torch's, which are cuDNN's and MXNet's): weight_ih (g·H, in), weight_hh (g·H, H), bias_ih, bias_hh (g·H); gates
of an LSTM in the order i f g o, of a GRU r z n with n = tanh(x + b_in + r · (h + b_hn)).

    keras    kernel (in, g·H), recurrent_kernel (H, g·H); one bias of an LSTM and a SimpleRNN; GRU: gates z r n, bias (2, 3·H) when
             reset_after (the default; another layer is meant without)
    flax     OptimizedLSTMCell, GRUCell, SimpleCell: dense_i, dense_h, one bias; LSTMCell: a pair of layers a gate (ii, hi, …)
    equinox  LSTMCell: one bias; GRUCell: bias, and bias_n for the last gate's state
    mxnet    i2h and h2h; the operator RNN: all weights, then all biases, in one vector
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tensorkeep.adapters._layouts import Piece, Want, recurrent_name, shape_after
from tensorkeep.adapters.base import Slot
from tensorkeep.core.tensor import Tensor

__all__ = ["cells", "fused_of", "of_layer", "separate", "unfused", "wants"]

_FUSED = ("weight_ih", "weight_hh", "weight_hr", "bias_ih", "bias_hh")
_OTHER_GRU = "a Keras GRU with reset_after=False computes what no layer of other frameworks computes."


def _find(layout: str, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """A cell's name → its own words → the tensors' names."""
    known = set(names)
    found: dict[str, dict[str, str]] = {}
    marks = {
        "keras": (".recurrent_kernel", ("kernel", "recurrent_kernel", "bias")),
        "flax": (".dense_h.kernel", ("dense_i.kernel", "dense_i.bias", "dense_h.kernel", "dense_h.bias")),
        "equinox": (".weight_hh", ("weight_ih", "weight_hh", "bias", "bias_n")),
    }
    if layout not in marks:
        return {}
    end, words = marks[layout]
    gates = [(end, words)]
    if layout == "flax":
        pairs = [f"{side}{gate}" for side in "ih" for gate in ("i", "f", "f_", "g", "o")]
        gates.append((".hi.kernel", tuple(f"{pair}.{leaf}" for pair in pairs for leaf in ("kernel", "bias"))))
    for end, words in gates:
        for name in names:
            if f".{name}".endswith(end):
                cell = name[: max(0, len(name) - len(end))]
                start = f"{cell}." if cell else ""
                members = {word: start + word for word in words if start + word in known}
                if any(word.startswith(("kernel", "dense_i.kernel", "weight_ih", "ii.kernel")) for word in members):
                    found[cell] = members
    return found


def cells(layout: str, tensors: Mapping[str, Tensor]) -> tuple[dict[str, Piece], set[str], list[str]]:
    """(pieces by common name, the names that they use up, what cannot be said in common words) of a source's cells."""
    pieces: dict[str, Piece] = {}
    used: set[str] = set()
    problems: list[str] = []
    for cell, members in _find(layout, list(tensors)).items():
        used |= set(members.values())
        made = _common_cell(layout, {word: (name, tensors[name]) for word, name in members.items()})
        if isinstance(made, str):
            problems.append(f"{cell}: {made}")
            continue
        for word, piece in made.items():
            pieces[recurrent_name(cell, word)] = piece
    return pieces, used, problems


def _common_cell(layout: str, members: Mapping[str, tuple[str, Tensor]]) -> dict[str, Piece] | str:
    import numpy as np

    dtype = next(iter(members.values()))[1].dtype

    def piece(words: Sequence[str], make: Callable[..., Any], said: str, of: str) -> Piece:
        parts = tuple(members[word][0] for word in words)
        shape = shape_after(make, [tuple(members[word][1].shape) for word in words])
        label = " + ".join(parts)
        return Piece(parts, shape, dtype, make, settled=True, label=f"{label}{of}", said=said)

    if layout == "keras":
        hidden = members["recurrent_kernel"][1].shape[0]
        gates = members["recurrent_kernel"][1].shape[1] // max(1, hidden)
        order = _swapped if gates == 3 else _kept
        made = {
            "weight_ih": piece(["kernel"], lambda a: order(a.T), "recurrent kernel transposed", ""),
            "weight_hh": piece(["recurrent_kernel"], lambda a: order(a.T), "recurrent kernel transposed", ""),
        }
        if "bias" in members:
            if gates == 3 and len(members["bias"][1].shape) != 2:
                return f"{_OTHER_GRU} Train it with reset_after=True."
            if gates == 3:
                made["bias_ih"] = piece(["bias"], lambda a: order(a[0]), "bias of two rows parted", "[0]")
                made["bias_hh"] = piece(["bias"], lambda a: order(a[1]), "bias of two rows parted", "[1]")
            else:
                made["bias_ih"] = piece(["bias"], lambda a: a, "one bias for both", "")
                made["bias_hh"] = _zeros(made["bias_ih"])
        return made
    if layout == "equinox":
        made = {word: piece([word], _kept, "", "") for word in ("weight_ih", "weight_hh")}
        if "bias" in members:
            made["bias_ih"] = piece(["bias"], _kept, "one bias for both", "")
            made["bias_hh"] = _zeros(made["bias_ih"])
        if "bias_n" in members:
            made["bias_hh"] = piece(
                ["bias_n"], lambda a: np.concatenate([np.zeros(2 * len(a), a.dtype), a]), "bias of the last gate", ""
            )
        return made
    said = "recurrent kernel transposed"
    if "dense_h.kernel" in members:
        made = {
            "weight_ih": piece(["dense_i.kernel"], lambda a: a.T, said, ""),
            "weight_hh": piece(["dense_h.kernel"], lambda a: a.T, said, ""),
        }
        for word, leaf in (("bias_ih", "dense_i.bias"), ("bias_hh", "dense_h.bias")):
            if leaf in members:
                made[word] = piece([leaf], _kept, "one bias for both", "")
    else:
        gates_in = [f"i{gate}" if f"i{gate}.kernel" in members else f"i{gate}_" for gate in "ifgo"]
        gates_own = [f"h{gate}" for gate in "ifgo"]
        fused = "gates joined"
        made = {
            "weight_ih": piece([f"{gate}.kernel" for gate in gates_in], _rows, fused, ""),
            "weight_hh": piece([f"{gate}.kernel" for gate in gates_own], _rows, fused, ""),
        }
        if "hi.bias" in members:
            made["bias_hh"] = piece([f"{gate}.bias" for gate in gates_own], lambda *a: np.concatenate(a), fused, "")
    for word, other in (("bias_ih", "bias_hh"), ("bias_hh", "bias_ih")):
        if word not in made and other in made:
            made[word] = _zeros(made[other])
    return made


def _kept(array: Any) -> Any:
    return array


def _swapped(array: Any) -> Any:
    """The first two of three gates change places."""
    import numpy as np

    third = len(array) // 3
    return np.concatenate([array[third : 2 * third], array[:third], array[2 * third :]])


def _rows(*arrays: Any) -> Any:
    import numpy as np

    return np.concatenate([array.T for array in arrays])


def _zeros(like: Piece) -> Piece:
    import numpy as np

    from tensorkeep.core.dtypes import numpy_dtype

    shape, dtype = like.shape, like.dtype
    return Piece(
        (), shape, dtype, lambda: np.zeros(shape, numpy_dtype(dtype)), settled=True, label=f"(zeros for {like.label})",
        said="zeros: the source has one bias",
    )  # fmt: skip


def wants(layout: str, slots: Sequence[Slot]) -> tuple[list[Want], set[str]]:
    """(what the slots of recurrent cells are made from, their names) of a model that fuses or parts them in its own way."""
    by_name = {slot.name: slot for slot in slots}
    found: list[Want] = []
    used: set[str] = set()
    for cell, members in _find(layout, list(by_name)).items():
        used |= set(members.values())
        for word, name in members.items():
            found.append(_want(layout, cell, word, by_name[name], members, by_name))
    return found, used


def _want(layout: str, cell: str, word: str, slot: Slot, members: Mapping[str, str], slots: Mapping[str, Slot]) -> Want:
    import numpy as np

    def needs(*words: str) -> tuple[str, ...]:
        return tuple(recurrent_name(cell, each) for each in words)

    def from_one(act: Callable[[Any], Any], said: str) -> Callable[..., Piece | str]:
        return lambda piece: then([piece], act, said)

    both = needs("bias_ih", "bias_hh")
    if layout == "keras":
        gates = slots[members["recurrent_kernel"]].shape[1] // slots[members["recurrent_kernel"]].shape[0]
        order = _swapped if gates == 3 else _kept
        if word != "bias":
            return Want(
                slot,
                needs("weight_ih" if word == "kernel" else "weight_hh"),
                from_one(lambda a: order(a).T, "recurrent kernel transposed"),
            )
        if gates == 3 and len(slot.shape) != 2:
            refused = f"{_OTHER_GRU} Make it with reset_after=True."
            return Want(slot, both, lambda *_: refused)
        if gates == 3:
            return Want(
                slot, both, lambda a, b: then([a, b], lambda x, y: np.stack([order(x), order(y)]), "biases stacked")
            )
        return Want(slot, both, lambda a, b: then([a, b], np.add, "biases added"))
    if layout == "equinox":
        if word.startswith("weight"):
            return Want(slot, needs(word), lambda piece: piece)
        if word == "bias_n":
            return Want(slot, needs("bias_hh"), from_one(lambda a: a[2 * (len(a) // 3) :], "bias of the last gate"))
        if "bias_n" in members:
            return Want(slot, both, lambda a, b: then([a, b], _added_but_last, "biases added"))
        return Want(slot, both, lambda a, b: then([a, b], np.add, "biases added"))
    gate, _, leaf = word.partition(".")
    if gate in ("dense_i", "dense_h"):
        if leaf == "kernel":
            weight = needs("weight_ih" if gate == "dense_i" else "weight_hh")
            return Want(slot, weight, from_one(_turned, "recurrent kernel transposed"))
        kernel = slots[members["dense_h.kernel"]].shape
        if kernel[1] == 3 * kernel[0]:  # a GRUCell has no bias inside the reset gate
            return Want(slot, both, lambda a, b: then([a, b], _added_but_last, "biases added"), last_gate_free=True)
        return Want(slot, both, lambda a, b: then([a, b], np.add, "biases added"))
    at = "ifgo".index(gate[1])

    def quarter(array: Any) -> Any:
        size = len(array) // 4
        part = array[at * size : (at + 1) * size]
        return part.T if part.ndim == 2 else part

    if leaf == "kernel":
        return Want(slot, needs("weight_ih" if gate[0] == "i" else "weight_hh"), from_one(quarter, "gates parted"))
    return Want(slot, both, lambda a, b: then([a, b], lambda x, y: quarter(x + y), "gates parted, biases added"))


def _turned(array: Any) -> Any:
    return array.T


def _added_but_last(a: Any, b: Any) -> Any:
    """The sum of two GRU biases, but the last gate's own of the state, which stands inside the reset gate."""
    import numpy as np

    third = 2 * (len(a) // 3)
    return np.concatenate([a[:third] + b[:third], a[third:]])


def then(pieces: Sequence[Piece], act: Callable[..., Any], said: str) -> Piece:
    """A Piece made from others."""
    counts = [len(piece.parts) for piece in pieces]

    def make(*arrays: Any) -> Any:
        made, at = [], 0
        for piece, count in zip(pieces, counts, strict=True):
            mine = arrays[at : at + count]
            made.append(piece.make(*mine) if piece.make is not None else mine[0])
            at += count
        return act(*made)

    parts = tuple(part for piece in pieces for part in piece.parts)
    shape = shape_after(act, [piece.shape for piece in pieces])
    labels = [piece.label for piece in pieces if piece.parts]
    return Piece(
        parts, shape, pieces[0].dtype, make, settled=True, label=" + ".join(labels) or pieces[0].label, said=said
    )


def fused_of(pieces: Mapping[str, Piece], layer: str) -> Piece | None:
    """MXNet's flat vector from the separate tensors of a layer; None when it has none."""
    import numpy as np

    chosen = _in_order([name for name in pieces if of_layer(name, layer)], layer)
    if not chosen:
        return None
    return then(
        [pieces[name] for name in chosen],
        lambda *a: np.concatenate([each.reshape(-1) for each in a]),
        "joined into one vector",
    )


def separate(piece: Piece, layer: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Piece] | str:
    """The separate tensors of a layer from MXNet's flat vector; a string says why not.

    Args:
        shapes: common name → shape, of the layer's tensors in the model.
    """
    import math

    made: dict[str, Piece] = {}
    at = 0
    for name in _in_order(list(shapes), layer):
        shape = shapes[name]
        size = math.prod(shape)

        def cut(array: Any, at: int = at, size: int = size, shape: tuple[int, ...] = shape) -> Any:
            return array[at : at + size].reshape(shape)

        made[name] = Piece(
            piece.parts, shape, piece.dtype, cut, settled=True, label=f"{piece.label}[{at}:{at + size}]",
            said="taken from one vector",
        )  # fmt: skip
        at += size
    if (at,) != piece.shape:
        return f"the vector {piece.label} has {piece.shape[0]} elements, and the model's layer {layer!r} has {at}."
    return made


_UNFUSED = re.compile(r"((?:.*\.)?)_unfused\.(\d+)\.(?:([lr])_cell\.)?((?:i2h|h2h|h2r)_(?:weight|bias))")


def unfused(names: Sequence[str]) -> dict[str, str]:
    """Gluon's files call the layers of an LSTM `_unfused.0.l_cell.i2h_weight`: those names → `l0_i2h_weight` and so on.

    Dropout between the layers has a number too, so that layers are counted anew.
    """
    found = [(name, match) for name in names if (match := _UNFUSED.fullmatch(name))]
    numbers: dict[str, set[int]] = {}
    for _, match in found:
        numbers.setdefault(match[1], set()).add(int(match[2]))
    places = {layer: {n: i for i, n in enumerate(sorted(used))} for layer, used in numbers.items()}
    return {name: f"{m[1]}{m[3] or 'l'}{places[m[1]][int(m[2])]}_{m[4]}" for name, m in found}


def of_layer(name: str, layer: str) -> bool:
    """Whether a common name is that of a tensor of a recurrent layer."""
    inside = name[len(layer) + 1 :] if layer else name
    return (not layer or name.startswith(f"{layer}.")) and inside.removesuffix("_reverse").rpartition(".")[2] in _FUSED


def _in_order(names: list[str], layer: str) -> list[str]:
    """As the operator RNN has them: the weights of all layers and directions, then the biases."""

    def place(name: str) -> tuple[int, int, int, int]:
        inside = name[len(layer) + 1 :] if layer else name
        number, _, word = inside.rpartition(".")
        back = word.endswith("_reverse")
        word = word.removesuffix("_reverse")
        return (word.startswith("bias"), int(number[1:] or 0) if number else 0, back, _FUSED.index(word))

    return sorted(names, key=place)
