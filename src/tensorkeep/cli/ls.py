"""`tkeep ls`: what is in files, from their headers alone."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from tensorkeep.api.loading import open as open_file
from tensorkeep.cli import _options
from tensorkeep.cli._errors import error_document, exit_code, paragraph, tell, worst
from tensorkeep.cli._text import (
    Column,
    bold,
    clean,
    count,
    dim,
    json_document,
    nbytes_text,
    plural,
    shape_text,
    shorten,
    table,
    terminal_width,
    value_text,
    width,
    write,
)
from tensorkeep.cli._values import with_records
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import TensorkeepError

__all__ = ["Listing", "ls"]

_SHOWN_VALUES = 20
"""Plain values, and entries of the metadata, that are listed before "and 12 more"; --limit says otherwise."""


_OTHER_COLUMNS = 40
"""The width that type, shape and size mostly take; where the longest name does not fit beside them, the beginning that
all names share is shown once, above the table."""


@dataclass(slots=True)
class Listing:
    """What `ls` says of one file: the rows that were asked for, in their order.

    Attributes:
        rows: (name, tensor) pairs.
        tied: (name, name of the tensor that it is) pairs of tied tensors that the file's structure has.
        values: (path, value) pairs of what stands beside the tensors.
        hidden: tensors that --limit leaves out.
    """

    file: TensorFile
    rows: list[tuple[str, Tensor | SparseTensor]]
    tied: list[tuple[str, str]] = field(default_factory=list)
    values: list[tuple[str, Any]] = field(default_factory=list)
    hidden: int = 0
    chosen: int = 0
    elements: int = 0
    nbytes: int = 0


@click.command()
@_options.files
@click.option("--tree", is_flag=True, help="Group by the parts of the names, with subtotals.")
@click.option(
    "--depth", type=click.IntRange(min=1), metavar="N", help="With --tree: show N levels, sum up what is below."
)
@_options.globs("Only the tensors (and values) whose name fits GLOB.")
@click.option("--sort", type=click.Choice(["file", "name", "size"]), default="file", help="Order of the rows.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Show at most N rows of each list.")
@_options.epoch
@_options.as_json
def ls(
    paths: tuple[str, ...],
    tree: bool,
    depth: int | None,
    only: tuple[str, ...],
    sort: str,
    limit: int | None,
    epoch: int | None,
    as_json: bool,
) -> int:
    """List the tensors of files: name, type, shape, size; with metadata, plain values and the network, where there are.

    FILE is a tensor file of any framework, a folder of shards or a checkpoint folder. Only headers are read.
    """
    codes = [0]
    documents = []
    for i, path in enumerate(paths):
        try:
            with open_file(path, unknown="inert", epoch=epoch) as file:
                listing = _listing(file, only, sort, limit)
                if as_json:
                    documents.append(_document(listing, limit))
                else:
                    write(([""] if i else []) + _page(listing, tree or depth is not None, depth, limit))
        except (TensorkeepError, OSError) as err:
            codes.append(exit_code(err))
            documents.append(error_document(path, err))
            tell(paragraph(err) or str(err))
    if as_json:
        json_document({"files": documents})
    return worst(codes)


def _listing(file: TensorFile, only: Sequence[str], sort: str, limit: int | None) -> Listing:
    tensors, tied, values = _content(file)
    names: set[str] = set()
    if only:
        names = _options.matches(only, [*tensors, *(path for path, _ in values), *(name for name, _ in tied)])
    rows = [(name, tensor) for name, tensor in tensors.items() if name in names] if only else list(tensors.items())
    if sort == "name":
        rows.sort(key=lambda row: _natural(row[0]))
    elif sort == "size":
        rows.sort(key=lambda row: -row[1].nbytes)
    listing = Listing(file, rows, tied, values, chosen=len(rows))
    if only:
        listing.tied = [pair for pair in tied if pair[0] in names]
        listing.values = [pair for pair in values if pair[0] in names]
    distinct = {id(tensor): tensor for _, tensor in rows}.values()
    listing.nbytes = sum(tensor.nbytes for tensor in distinct)
    listing.elements = sum(math.prod(tensor.shape) for tensor in distinct)
    if limit is not None and len(rows) > limit:
        listing.hidden = len(rows) - limit
        del rows[limit:]
    return listing


_Tensors = dict[str, Tensor | SparseTensor]
_KINDS = frozenset([Tensor, SparseTensor])


def _content(file: TensorFile) -> tuple[_Tensors, list[tuple[str, str]], list[tuple[str, Any]]]:
    """Tensors by name, names of tensors that another name has already, and plain values. Most files have only tensors."""
    structure = file.structure
    flat = (
        type(structure) is dict and _KINDS.issuperset(map(type, structure.values())) and list(structure) == list(file)
    )
    tensors: _Tensors = structure if flat else dict(file.items())
    own: dict[int, str] = {}
    tied = [(name, first) for name, tensor in tensors.items() if (first := own.setdefault(id(tensor), name)) != name]
    values: list[tuple[str, Any]] = []
    if flat or (file.graph is not None and not tensors):
        return tensors, tied, values
    seen: set[int] = set()
    for path, leaf in with_records(structure):
        if not isinstance(leaf, (Tensor, SparseTensor)):
            values.append((path, leaf))
        elif path not in tensors and id(leaf) in own and id(leaf) in seen:
            tied.append((path, own[id(leaf)]))
        seen.add(id(leaf))
    return tensors, tied, values


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that puts layer.2 before layer.10."""
    import re

    parts = re.split(r"(\d{1,18})", name)
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts) if part]


# ---- for people


def _page(listing: Listing, tree: bool, depth: int | None, limit: int | None) -> list[str]:
    file = listing.file
    lines = [_headline(file)]
    if tree and listing.rows:
        from tensorkeep.cli._tree import tree_lines

        lines += ["", *tree_lines(listing.rows, depth, {name for name, _ in listing.tied})]
        lines += [dim(f"  … and {plural(listing.hidden, 'more tensor')}")] if listing.hidden else []
        lines += [dim(f"  {_sum(listing)}")]
    elif listing.rows or listing.hidden:
        lines += ["", *_tensor_table(listing)]
    elif not len(file) and file.graph is None:
        lines += ["", "  no tensors"]
    elif not listing.chosen and len(file) and not listing.values and not listing.tied:
        lines += ["", f"  none of its {plural(len(file), 'tensor')} fits"]
    graph = file.graph
    if graph is not None:
        from tensorkeep.cli._graph import graph_lines

        lines += graph_lines(graph, limit)
    shown = _SHOWN_VALUES if limit is None else limit
    lines += _pairs("tied", [(clean(name), f"= {clean(same)}") for name, same in listing.tied], shown)
    lines += _pairs("values", [(clean(path or "(all)"), value_text(value)) for path, value in listing.values], shown)
    metadata = [(clean(str(key)), _metadata_text(value)) for key, value in file.metadata.items()]
    lines += _pairs("metadata", metadata, shown)
    lines += _notes(file.notes)
    return lines


def _headline(file: TensorFile) -> str:
    parts = [file.format, nbytes_text(file.nbytes)]
    if file.checksum is not None:
        parts.append(f"checksums {file.checksum}")
    return bold(clean(os.path.normpath(file.path))) + dim("  " + " · ".join(parts))


def _tensor_table(listing: Listing) -> list[str]:
    columns = [
        Column("name", elastic=True),
        Column("type", style=dim),
        Column("shape", elastic=True),
        Column("size", right=True),
    ]
    names = [clean(name) for name, _ in listing.rows]
    tied = {clean(name) for name, _ in listing.tied}
    before = _common(names) if max(map(len, names), default=0) > terminal_width() - _OTHER_COLUMNS > 0 else ""
    cells: dict[Any, tuple[str, str, str]] = {}  # few kinds of tensors make up a large file
    rows = []
    for name, (_, tensor) in zip(names, listing.rows, strict=True):
        shape = tensor.shape
        dense = isinstance(tensor, Tensor)
        key = (shape, tensor.dtype) if dense else id(tensor)
        found = cells.get(key)
        if found is None:
            found = cells[key] = (type_text(tensor), shape_text(shape), nbytes_text(tensor.nbytes))
        if name in tied:
            found = (*found[:2], "tied")
        rows.append(("…" + name[len(before) :] if before else name, *found))
    total = (plural(listing.chosen, "tensor"), "", plural(listing.elements, "value"), nbytes_text(listing.nbytes))
    lines = table(columns, rows, total=total if listing.chosen > 1 else None)
    if listing.hidden:
        lines.insert(-1 if listing.chosen > 1 else len(lines), dim(f"  … and {plural(listing.hidden, 'more tensor')}"))
    return [f"  {dim('… =')} {before}", "", *lines] if before else lines


def _common(names: Sequence[str]) -> str:
    """What all names begin with, up to a "." or "/"."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)  # all others begin with what these two share
    end = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: max(first.rfind(".", 0, end), first.rfind("/", 0, end)) + 1]


def type_text(tensor: Tensor | SparseTensor) -> str:
    """The element type, with the kind of a sparse tensor."""
    return str(tensor.dtype) if isinstance(tensor, Tensor) else f"{tensor.dtype} {tensor.kind}"


def _sum(listing: Listing) -> str:
    tensors = plural(listing.chosen, "tensor")
    return f"{tensors} · {plural(listing.elements, 'value')} · {nbytes_text(listing.nbytes)}"


def _metadata_text(value: Any) -> str:
    return clean(value) if isinstance(value, str) and value else value_text(value)


def _pairs(title: str, pairs: list[tuple[str, str]], shown: int) -> list[str]:
    if not pairs:
        return []
    screen = terminal_width()
    left = min(max(width(name) for name, _ in pairs[: max(shown, 1)]), (screen or 200) // 2)
    lines = ["", dim(f"  {title}")]
    for name, text in pairs[:shown]:
        name = shorten(name, left)
        pad = " " * (left - width(name))
        room = max(screen - left - 6, 20) if screen else 0
        lines.append(f"  {name}{pad}  {shorten(text, room)}".rstrip())
    if len(pairs) > shown:
        lines.append(dim(f"  … and {count(len(pairs) - shown)} more (--limit N shows N)"))
    return lines


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    import textwrap

    lines = ["", dim("  notes")]
    for note in notes:
        text = clean(note)
        lines += [
            f"  {line}" for line in textwrap.wrap(text, max(terminal_width() - 4, 40) if terminal_width() else 10**6)
        ]
    return lines


# ---- for programs


def _document(listing: Listing, limit: int | None) -> dict[str, Any]:
    file = listing.file
    document: dict[str, Any] = {
        "path": file.path,
        "format": file.format,
        "nbytes": file.nbytes,
        "checksum": file.checksum,
        "totals": {"tensors": listing.chosen, "values": listing.elements, "nbytes": listing.nbytes},
        "tensors": [tensor_document(name, tensor) for name, tensor in listing.rows],
        "tied": [{"name": name, "same_as": same} for name, same in listing.tied],
        "values": [{"path": path, **value_document(value)} for path, value in listing.values[:limit]],
        "metadata": {str(key): value_document(value)["value"] for key, value in file.metadata.items()},
        "notes": list(file.notes),
        "graph": None,
    }
    if file.graph is not None:
        from tensorkeep.cli._graph import graph_document

        document["graph"] = graph_document(file.graph)
    return document


def tensor_document(name: str, tensor: Tensor | SparseTensor) -> dict[str, Any]:
    """A tensor as `--json` gives it."""
    found: dict[str, Any] = {
        "name": name,
        "dtype": str(tensor.dtype),
        "shape": list(tensor.spec.shape),
        "nbytes": tensor.nbytes,
        "kind": "dense" if isinstance(tensor, Tensor) else tensor.kind,
    }
    if isinstance(tensor, SparseTensor):
        found["parts"] = [tensor_document(part, each) for part, each in tensor.parts()]
    elif tensor.digest is not None:
        found["checksum"] = str(tensor.digest)
    return found


def value_document(value: Any) -> dict[str, Any]:
    """A plain value as `--json` gives it: its type's name and a JSON value (text, where JSON has no such value)."""
    from tensorkeep.core.tree import Inert

    kind = type(value).__name__
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        value = item()
    if value is None or isinstance(value, (bool, str)):
        return {"type": kind, "value": value}
    if isinstance(value, int):
        return {"type": kind, "value": value if abs(value) < 1 << 63 else hex(value)}
    if isinstance(value, float):
        return {"type": kind, "value": value if math.isfinite(value) else repr(value)}
    if isinstance(value, bytes):
        return {"type": kind, "value": value.hex()}
    if isinstance(value, Inert):
        return {"type": "inert", "value": f"{value.module}.{value.name}"}
    return {"type": kind, "value": value_text(value)}
