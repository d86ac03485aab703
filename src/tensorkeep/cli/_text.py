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
    if text.isascii():
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


def nbytes_text(nbytes: int) -> str:
    """A number of bytes for people, in powers of 1000: "512 B", "4.2 GB"."""
    if nbytes < 1000:
        return f"{nbytes} B"
    value = float(nbytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:,.1f} TB"


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
    # max over a transposed column is three times as fast as a loop over cells.
    widths = [max(map(width, cells)) if cells else 0 for cells in zip(*every, strict=True)] or [0] * len(columns)
    used = [i for i, wide in enumerate(widths) if wide]
    if header:
        for i in used:
            widths[i] = max(widths[i], width(columns[i].title))
    _squeeze(columns, widths, used, len(indent))
    plain = not colours()
    lines = []
    if header and used:
        lines.append(
            dim(_line([columns[i].title for i in used], [columns[i] for i in used], widths, used, indent, True))
        )
    chosen = [columns[i] for i in used]
    for row in body:
        cells = [row[i] for i in used]
        if chosen[0].elastic and width(cells[0]) > widths[used[0]]:
            lines.append(indent + cells[0])  # a name is shown whole: what tells it from the next may be in its middle
            cells[0] = ""
        lines.append(_line(cells, chosen, widths, used, indent, plain))
    if total is not None:
        lines.append(dim(_line([total[i] for i in used], chosen, widths, used, indent, True)))
    return lines


def _squeeze(columns: Sequence[Column], widths: list[int], used: list[int], indent: int) -> None:
    screen = terminal_width()
    if not screen:
        return
    over = indent + sum(widths[i] for i in used) + 2 * (len(used) - 1) - screen
    for i in used:
        if over > 0 and columns[i].elastic:
            smaller = max(min(widths[i], _NARROWEST), widths[i] - over)
            over -= widths[i] - smaller
            widths[i] = smaller


def _line(
    cells: Sequence[str], columns: Sequence[Column], widths: list[int], used: list[int], indent: str, plain: bool
) -> str:
    out = []
    last = len(cells) - 1
    for at, (text, column, i) in enumerate(zip(cells, columns, used, strict=True)):
        wide = width(text)
        if wide > widths[i]:
            text = shorten(text, widths[i])
            wide = width(text)
        pad = " " * (widths[i] - wide)
        if not plain and column.style is not None:
            text = column.style(text)
        out.append(pad + text if column.right else text if at == last else text + pad)
    return (indent + "  ".join(out)).rstrip()


def write(lines: Iterable[str] | str) -> None:
    """Print lines at once."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    sys.stdout.write(text + "\n")


def json_document(document: Any) -> None:
    """Print one JSON document, ASCII only, so that no string in it steers a terminal; indented where a person reads it."""
    import json

    sys.stdout.write(json.dumps(document, indent=2 if sys.stdout.isatty() else None, allow_nan=False) + "\n")
