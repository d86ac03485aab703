"""`tkeep diff`: what differs between two files."""

from __future__ import annotations

import math
import os
from typing import Any

import click

from tensorkeep.api.diffing import Change, Diff
from tensorkeep.api.diffing import diff as diff_files
from tensorkeep.cli import _options
from tensorkeep.cli._errors import FOUND, OK
from tensorkeep.cli._text import (
    Column,
    bad,
    clean,
    count,
    dim,
    good,
    json_document,
    plural,
    shape_text,
    table,
    value_text,
    warn,
    write,
)
from tensorkeep.core.tensor import TensorSpec

__all__ = ["diff"]

_STYLES = {"changed": warn, "reshaped": warn, "added": good, "removed": bad}
_SHOWN_VALUES = 20


@click.command()
@click.argument("a", type=click.Path())
@click.argument("b", type=click.Path())
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Show at most N rows.")
@_options.as_json
def diff(a: str, b: str, limit: int | None, as_json: bool) -> int:
    """Compare the files A and B, of any formats, tensor by tensor. Identical tensors are only counted.

    \b
    Exit code: 0 identical, 1 different, 3 a file cannot be read.
    """
    from tensorkeep.cli._progress import progress, size_of

    with progress(f"diff {os.path.basename(a)} {os.path.basename(b)}", size_of(a) + size_of(b)):
        found = diff_files(a, b)
    if as_json:
        json_document(_document(found))
    else:
        write(_lines(found, limit))
    return OK if found.same else FOUND


def _lines(found: Diff, limit: int | None) -> list[str]:
    lines = []
    changes = found.changes if limit is None else found.changes[:limit]
    if changes:
        columns = [
            Column("name", elastic=True),
            Column("", style=_styled),
            Column("type", style=dim),
            Column("shape", elastic=True),
            Column("max |Δ|", right=True),
            Column("cosine", right=True),
            Column("differing", right=True),
        ]
        lines += [*table(columns, [_row(change) for change in changes])]
    if len(found.changes) > len(changes):
        lines.append(dim(f"  … and {plural(len(found.changes) - len(changes), 'more change', 'more changes')}"))
    if found.values:
        rows = [
            (clean(path), _value(before), "→", _value(after)) for path, before, after in found.values[:_SHOWN_VALUES]
        ]
        lines += [
            "",
            dim("  values"),
            *table([Column(""), Column("", elastic=True), Column(""), Column("")], rows, header=False),
        ]
        if len(found.values) > _SHOWN_VALUES:
            lines.append(dim(f"  … and {count(len(found.values) - _SHOWN_VALUES)} more (--json lists all)"))
    kinds = found.kinds()
    parts = [f"{count(len(found.identical))} identical"]
    parts += [f"{count(kinds[kind])} {kind}" for kind in _STYLES if kind in kinds]
    if found.values:
        parts.append(plural(len(found.values), "value differs", "values differ"))
    return [*lines, *([""] if lines else []), "  " + " · ".join(parts)]


def _styled(kind: str) -> str:
    return _STYLES.get(kind.strip(), str)(kind)


def _row(change: Change) -> tuple[str, ...]:
    numbers = ("", "", "")
    if change.kind == "changed":
        size = change.after.size if change.after is not None else 0
        share = f"{100 * change.differing / size:.3g} %" if size and change.differing else ""
        numbers = (_small(change.max_abs), _cosine(change.cosine), share)
    return (clean(change.name), change.kind, *_specs(change.before, change.after), *numbers)


def _specs(before: TensorSpec | None, after: TensorSpec | None) -> tuple[str, str]:
    if before is None or after is None:
        only = before or after
        return (str(only.dtype), shape_text(only.shape)) if only is not None else ("", "")
    types = str(before.dtype) if before.dtype == after.dtype else f"{before.dtype} → {after.dtype}"
    shapes = shape_text(before.shape)
    if before.shape != after.shape:
        shapes += f" → {shape_text(after.shape)}"
    return types, shapes


def _small(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _cosine(value: float) -> str:
    """Six digits, and never 1.000000 for what is not quite 1."""
    if math.isnan(value):
        return ""
    text = f"{value:.6f}"
    return ">0.999999" if text == "1.000000" and value < 1 else text


def _value(value: Any) -> str:
    return "(absent)" if value == "(absent)" else value_text(value, 40)


def _document(found: Diff) -> dict[str, Any]:
    from tensorkeep.cli.ls import value_document

    def spec(each: TensorSpec | None) -> dict[str, Any] | None:
        return None if each is None else {"dtype": str(each.dtype), "shape": list(each.shape)}

    def plain(value: float) -> float | str | None:
        return None if math.isnan(value) else value if math.isfinite(value) else repr(value)

    return {
        "a": found.a,
        "b": found.b,
        "same": found.same,
        "identical": list(found.identical),
        "changes": [
            {
                "name": each.name,
                "kind": each.kind,
                "before": spec(each.before),
                "after": spec(each.after),
                "max_abs": plain(each.max_abs),
                "cosine": plain(each.cosine),
                "differing": each.differing,
            }
            for each in found.changes
        ],
        "values": [
            {"path": path, "before": value_document(before), "after": value_document(after)}
            for path, before, after in found.values
        ],
    }
