"""How the command line writes: sizes and counts for people, strangers' strings made harmless, aligned tables.

Names and strings of a file are untrusted: whatever a terminal would obey (escape sequences, direction marks, line breaks)
is shown as a backslash escape.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from tensorkeep.core.sizes import nbytes_text

__all__ = [
    "Column",
    "bad",
    "bold",
    "clean",
    "colours",
    "count",
    "dim",
    "good",
    "json_document",
    "nbytes_text",
    "number",
    "paint",
    "plural",
    "shape_text",
    "shorten",
    "table",
    "terminal_width",
    "value_text",
    "warn",
    "width",
    "write",
]

_PIPED_WIDTH = 0
"""The width that stands for "no terminal": nothing is shortened for programs that read along."""

_FIRST_COMBINING = "\u0300"
"""Every printable character below takes one column."""

_NARROWEST = 16
"""An elastic column is never squeezed below this; a line then runs over the edge."""


def clean(text: str) -> str:
    """`text` with every character that could steer a terminal as an escape: controls, direction marks, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(each: str) -> str:
    code = ord(each)
    simple = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(each)
    if simple is not None:
        return simple
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width(text: str) -> int:
    """The columns that `text` takes in a terminal: wide characters two, combining marks none."""
    if text.isascii() or max(text) < _FIRST_COMBINING:
        return len(text)
    return sum(_cell(each) for each in text)


def _cell(each: str) -> int:
    if unicodedata.combining(each):
        return 0
    return 2 if unicodedata.east_asian_width(each) in "WF" else 1


def shorten(text: str, room: int) -> str:
    """`text` in at most `room` columns, with "…" in its middle where something is left out."""
    if room <= 0 or width(text) <= room:
        return text
    tail = (room - 1) // 2
    head = room - 1 - tail
    return _taken(text, head) + "…" + _taken(text[::-1], tail)[::-1]


def _taken(text: str, room: int) -> str:
    used = 0
    for i, each in enumerate(text):
        used += _cell(each)
        if used > room:
            return text[:i]
    return text


def count(value: int) -> str:
    """A whole number with thousands apart: "1,234,567"."""
    return f"{value:,}"


def plural(value: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 tensor", "12 tensors"."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def shape_text(shape: Sequence[int]) -> str:
    """A shape for people: "512 × 784"; "scalar" for none."""
    return " × ".join(map(str, shape)) if shape else "scalar"


def number(value: float | int) -> str:
    """A value of a tensor in a few digits."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.6g}"


_LONGEST_VALUE = 200


def value_text(value: Any, room: int = _LONGEST_VALUE) -> str:
    """A plain value that stands beside tensors, on one line: strings quoted, bytes counted, long ones shortened."""
    from tensorkeep.core.tree import Inert

    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():  # a NumPy scalar
        value = item()
    if isinstance(value, str):
        text = '"' + clean(value[: room + 1]) + '"'
        return text if len(value) <= room and width(text) <= room else shorten(text[:-1], room - 1) + '"'
    if isinstance(value, bytes):
        shown = value[:8].hex(" ") + (" …" if len(value) > 8 else "")
        return f"{plural(len(value), 'byte')} {shown}".rstrip()
    if isinstance(value, Inert):
        return f"object of {clean(value.module)}.{clean(value.name)}"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length():,} bits"
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    if isinstance(value, (dict, list, tuple)):
        return f"empty {type(value).__name__}" if not value else plural(len(value), "entry", "entries")
    return clean(type(value).__name__)


def colours(stream: TextIO | None = None) -> bool:
    """Whether `stream` (standard output) is a terminal that wants colours; NO_COLOR and TERM=dumb say no."""
    stream = stream or sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(codes: str) -> Callable[[str], str]:
    """A function that puts text in a style, where standard output shows colours."""

    def painted(text: str) -> str:
        return f"\x1b[{codes}m{text}\x1b[0m" if text and colours() else text

    return painted


bold, dim, good, bad, warn = paint("1"), paint("2"), paint("32"), paint("1;31"), paint("33")


def terminal_width() -> int:
    """The columns of the terminal on standard output, 0 when it is none (then nothing is shortened)."""
    if not sys.stdout.isatty():
        return _PIPED_WIDTH
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


class Column:
    """One column of a table.

    `right` aligns to the right (numbers); an `elastic` column gives way when the terminal is too narrow: names in the
    first column then take a line of their own, other cells are shortened; `style` paints its cells.
    """

    __slots__ = ("elastic", "right", "style", "title")

    def __init__(
        self, title: str, *, right: bool = False, elastic: bool = False, style: Callable[[str], str] | None = None
    ) -> None:
        self.title = title
        self.right = right
        self.elastic = elastic
        self.style = style


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
    *,
    total: Sequence[str] | None = None,
    indent: str = "  ",
    header: bool = True,
) -> list[str]:
    """The lines of an aligned table; cells are clean text, "" for none. Columns without any text are left out."""
    body = [tuple(row) for row in rows]
    every = [*body, *([tuple(total)] if total is not None else [])]
    if not every:
        return []
    # By column: a file may have 10,000 rows, and loops over cells would take longer than reading it.
    cells = [list(column) for column in zip(*every, strict=True)]
    wide = [list(map(width, column)) for column in cells]
    used = [i for i, widths in enumerate(wide) if any(widths)]
    room = [max(wide[i]) for i in range(len(columns))]
    if header:
        for i in used:
            room[i] = max(room[i], width(columns[i].title))
    _squeeze(columns, room, used, len(indent))
    names = _set_apart(cells, wide, room, columns, used)
    painted = len(body) if colours() else 0
    padded = [_padded(cells[i], wide[i], room[i], columns[i], i == used[-1], painted) for i in used]
    lines = [indent + "  ".join(row) for row in zip(*padded, strict=True)]
    lines = [line.rstrip() for line in lines]
    if total is not None:
        lines[-1] = dim(lines[-1])
    if names:
        lines = [each for i, line in enumerate(lines) for each in ([indent + names[i]] if i in names else []) + [line]]
    if header and used:
        titles = [columns[i].title for i in used]
        heads = [
            _padded([t], [width(t)], room[i], columns[i], i == used[-1], 0)[0]
            for i, t in zip(used, titles, strict=True)
        ]
        lines.insert(0, dim((indent + "  ".join(heads)).rstrip()))
    return lines


def _squeeze(columns: Sequence[Column], room: list[int], used: list[int], indent: int) -> None:
    screen = terminal_width()
    if not screen:
        return
    over = indent + sum(room[i] for i in used) + 2 * (len(used) - 1) - screen
    for i in reversed(used):  # what is on the left matters most, names above all
        if over > 0 and columns[i].elastic:
            smaller = max(min(room[i], _NARROWEST), room[i] - over)
            over -= room[i] - smaller
            room[i] = smaller


def _set_apart(
    cells: list[list[str]], wide: list[list[int]], room: list[int], columns: Sequence[Column], used: list[int]
) -> dict[int, str]:
    """The names (row → cell of the first column) that do not fit: they get a line of their own, above their row.

    A name is shown whole, because what tells it from the next may be in its middle.
    """
    if not used or not columns[used[0]].elastic:
        return {}
    first = used[0]
    names = {i: cells[first][i] for i, each in enumerate(wide[first]) if each > room[first]}
    for i in names:
        cells[first][i], wide[first][i] = "", 0
    return names


def _padded(cells: list[str], wide: list[int], room: int, column: Column, last: bool, painted: int) -> list[str]:
    """The cells of a column, shortened and filled to `room`; the first `painted` of them in the column's style."""
    if max(wide, default=0) > room:
        cells = [shorten(cell, room) for cell in cells]
        wide = list(map(width, cells))
    spaces = [" " * n for n in range(room + 1)]
    shown = cells
    if column.style is not None and painted:
        style = column.style
        shown = [style(cell) if i < painted else cell for i, cell in enumerate(cells)]
    if column.right:
        return [spaces[room - n] + cell for cell, n in zip(shown, wide, strict=True)]
    if last:
        return shown
    return [cell + spaces[room - n] for cell, n in zip(shown, wide, strict=True)]


def write(lines: Iterable[str] | str) -> None:
    """Print lines at once."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    sys.stdout.write(text + "\n")


def json_document(document: Any) -> None:
    """Print one JSON document, ASCII only, so that no string in it steers a terminal; indented where a person reads it."""
    import json

    sys.stdout.write(json.dumps(document, indent=2 if sys.stdout.isatty() else None, allow_nan=False) + "\n")
