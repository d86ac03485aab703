"""Flax's ConvTranspose keeps its kernel (…, in, out) and mirrored; with transpose_kernel=True as Keras has it, (…, out, in).

The names and often the shapes are the same for both. A file that `save_parameters` wrote from an nnx module says which; of
others the shape tells it unless the layer has as many inputs as outputs; then only the caller can.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tensorkeep.adapters._layouts import convert, shape_after
from tensorkeep.adapters.base import Slot
from tensorkeep.core.loadreport import grouped

__all__ = ["TURNED_KEY", "TURNED_LAYOUT", "Turned", "disagreement", "read_mark", "write_mark"]

TURNED_LAYOUT = "flax(transpose_kernel)"
"""What the caller gives as layout= to say that the kernels are those of transpose_kernel=True."""

TURNED_KEY = "transpose_kernel"
"""In a file's metadata: by name of each kernel of a ConvTranspose of Flax, whether it was made with transpose_kernel."""

_PLAIN, _TURNED = "ConvTranspose", "ConvTranspose(transpose_kernel)"


def write_mark(slots: Sequence[Slot]) -> dict[str, str]:
    """The entry of the metadata for a Flax model's kernels; none when it has no ConvTranspose."""
    found = {slot.name: slot.layer == _TURNED for slot in slots if _is_kernel(slot)}
    return {TURNED_KEY: json.dumps(found, ensure_ascii=False)} if found else {}


def _is_kernel(slot: Slot) -> bool:
    return slot.layer in (_PLAIN, _TURNED) and slot.name.rpartition(".")[2] == "kernel"


def read_mark(metadata: Mapping[str, Any]) -> dict[str, bool]:
    """What a file says of its kernels, by name; nothing where it does not say it in this form."""
    text = metadata.get(TURNED_KEY)
    if not isinstance(text, str):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, bool)} if isinstance(found, dict) else {}


def disagreement(slot: Slot, turned: bool | None) -> str:
    """Why a Flax file's tensor does not belong into a Flax model's slot; "" where it does, or nobody knows.

    Args:
        turned: whether the tensor is a kernel that was made with transpose_kernel; None when that is not known.
    """
    if turned is None or not _is_kernel(slot) or turned == (slot.layer == _TURNED):
        return ""
    return (
        f"{slot.name}: the file's ConvTranspose has transpose_kernel={turned}, the model's {not turned}: the same values "
        f"mean another kernel. Make the layer with transpose_kernel={turned}, or take them as they lie with layout='same'."
    )


class Turned:
    """Which way each kernel of a Flax file lies, as far as it can be known; what could not is noted.

    Args:
        said: what the file says, by the names in it; None when the caller says that they are turned.
    """

    def __init__(self, said: Mapping[str, bool] | None) -> None:
        self._said = said
        self._unknown: list[str] = []

    def layout(self, name: str, target: str, kind: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
        """The layout whose rules hold for a kernel: "keras" for those with transpose_kernel, else "flax"."""
        if self._said is not None and name in self._said:
            return "keras" if self._said[name] else "flax"
        fits = [way for way in ("flax", "keras") if _fits(way, target, kind, shape, wanted)]
        if len(fits) == 1:
            return fits[0]
        if self._said is None:
            return "keras"
        self._unknown.append(name)
        return "flax"

    def notes(self) -> list[str]:
        """The sentence about kernels that both readings fit, when there are any."""
        if not self._unknown:
            return []
        names = grouped(sorted(self._unknown))
        text = (
            f"{names}: kernels of Flax's ConvTranspose lie otherwise when it has transpose_kernel=True, and the file does not "
            "say it; they were read as those of transpose_kernel=False. If it was True, the network's outputs are wrong: load "
            f"with layout={TURNED_LAYOUT!r}."
        )
        return [text]


def _fits(way: str, target: str, kind: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    found = convert(way, target, kind, shape, wanted)
    got = shape if found is None else shape_after(found[1], [shape])
    return len(got) == len(wanted) and all(b in (-1, a) for a, b in zip(got, wanted, strict=True))
