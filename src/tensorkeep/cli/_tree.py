"""The tree of tensor names, with subtotals."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

from tensorkeep.cli._text import Column, clean, dim, nbytes_text, plural, shape_text, table
from tensorkeep.core.tensor import SparseTensor, Tensor

__all__ = ["tree_lines"]

_DEEPEST = 32
"""A name with more parts keeps the rest of them together."""


@dataclass(slots=True)
class _Node:
    label: str
    tensor: Tensor | SparseTensor | None = None
    inside: dict[str, _Node] = field(default_factory=dict)
    tensors: int = 0
    nbytes: int = 0


def tree_lines(
    rows: Sequence[tuple[str, Tensor | SparseTensor]], depth: int | None, tied: Set[str] = frozenset()
) -> list[str]:
    """The lines of the tree of these (name, tensor) pairs, `depth` levels deep (None: all). `tied` names take no bytes.

    Names are parted at "." and "/"; where no name has one of these, at "_" (as MXNet's names are).
    """
    separators = "./" if any("." in name or "/" in name for name, _ in rows) else "_"
    root = _Node("")
    for name, tensor in rows:
        _add(root, _parts(name, separators), tensor, 0 if name in tied else tensor.nbytes)
    cells: list[tuple[str, str, str, str]] = []
    _walk(root, "", depth, cells)
    columns = [Column("name", elastic=True), Column("type", style=dim), Column("shape", elastic=True)]
    return table([*columns, Column("size", right=True)], cells)


def _parts(name: str, separators: str) -> list[str]:
    parts: list[str] = []
    start = 0
    for i, each in enumerate(name):
        if each in separators and start < i < len(name) - 1 and len(parts) < _DEEPEST:
            parts.append(name[start : i + 1])
            start = i + 1
    return [*parts, name[start:]]


def _add(root: _Node, parts: list[str], tensor: Tensor | SparseTensor, nbytes: int) -> None:
    node = root
    root.tensors += 1
    root.nbytes += nbytes
    for part in parts:
        node = node.inside.setdefault(part, _Node(part))
        node.tensors += 1
        node.nbytes += nbytes
    node.tensor = tensor


def _walk(node: _Node, lead: str, depth: int | None, cells: list[tuple[str, str, str, str]]) -> None:
    last = len(node.inside) - 1
    for i, each in enumerate(node.inside.values()):
        # A group that holds nothing but one group is shown with it: "encoder.layer." rather than two lines.
        label = each.label
        while each.tensor is None and len(each.inside) == 1:
            each = next(iter(each.inside.values()))
            label += each.label
        branch, below = ("└─ ", "   ") if i == last else ("├─ ", "│  ")
        shown = lead + branch + clean(label if each.tensor is not None else label.rstrip("._/") or label)
        if each.tensor is not None:
            size = nbytes_text(each.nbytes) if each.nbytes or not each.tensor.nbytes else "tied"
            kind = each.tensor.dtype if isinstance(each.tensor, Tensor) else f"{each.tensor.dtype} {each.tensor.kind}"
            cells.append((shown, str(kind), shape_text(each.tensor.spec.shape), size))
        else:
            cells.append((shown, "", plural(each.tensors, "tensor"), nbytes_text(each.nbytes)))
        if each.inside and depth != 1:
            _walk(each, lead + below, None if depth is None else depth - 1, cells)
