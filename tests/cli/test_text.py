"""Sizes, widths, escapes and tables of the command line."""

from __future__ import annotations

import pytest

from tensorkeep.cli import _text
from tensorkeep.cli._text import Column, clean, shape_text, shorten, table, value_text, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain.name", "plain.name"),
        ("größe 重み", "größe 重み"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u202eabc", "\\u202eabc"),
        ("\x9b\x7f\x00", "\\x9b\\x7f\\x00"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text: str, shown: str) -> None:
    """Letters of any language stay."""
    assert clean(text) == shown


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("重み", 4), ("e\u0301", 1), ("é", 1)])
def test_widths_are_those_of_a_terminal(text: str, columns: int) -> None:
    """Wide characters take two columns, combining marks none."""
    assert width(text) == columns


def test_the_middle_is_left_out() -> None:
    """Beginning and end stay, the width fits exactly or one short of a wide character."""
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("abc", 7) == "abc"
    assert width(shorten("重み重み重み重み", 7)) <= 7


def test_a_table_is_aligned_with_wide_characters() -> None:
    """The second column begins in the same terminal column in each row."""
    lines = table([Column("name"), Column("n", right=True)], [("重み", "1"), ("w", "100")])

    assert lines == ["  name    n", "  重み    1", "  w     100"]


def test_columns_without_text_are_left_out() -> None:
    """No title over nothing."""
    assert table([Column("a"), Column("b"), Column("c")], [("1", "", "3")]) == ["  a  c", "  1  3"]


def test_an_elastic_column_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 40 columns no line is longer; a name that does not fit has its own line."""
    monkeypatch.setattr(_text, "terminal_width", lambda: 40)
    columns = [Column("name", elastic=True), Column("shape"), Column("size", right=True)]
    name = "a.long.name.of.a.tensor.in.some.block.weight"
    lines = table(columns, [(name, "3 × 4", "48 B"), ("b", "3", "12 B")])

    assert lines[1] == f"  {name}"
    assert lines[2].split() == ["3", "×", "4", "48", "B"]
    assert all(width(line) <= 40 for line in [lines[0], *lines[2:]])


def test_the_last_elastic_column_gives_way_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name stays whole as long as another column can be shortened."""
    monkeypatch.setattr(_text, "terminal_width", lambda: 50)
    columns = [Column("name", elastic=True), Column("attributes", elastic=True)]
    (line,) = table(columns, [("a.name.of.26.characters.ab", "x" * 60)], header=False)

    assert line.startswith("  a.name.of.26.characters.ab  xxxx")
    assert width(line) == 50


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (True, "True"),
        (None, "None"),
        (0.1, "0.1"),
        ("a\x1b", '"a\\x1b"'),
        (b"abc", "3 bytes 61 62 63"),
        ([], "empty list"),
        (10**200, "a whole number of 665 bits"),
    ],
)
def test_plain_values_take_one_line(value: object, text: str) -> None:
    """Typed, escaped and short."""
    assert value_text(value) == text


def test_long_strings_are_shortened() -> None:
    """At most so many columns, still in quotes."""
    text = value_text("x" * 10_000, 50)

    assert width(text) <= 50
    assert text.endswith('x"')


def test_shapes_are_for_people() -> None:
    """A number without dimensions is a scalar."""
    assert shape_text((512, 784)) == "512 × 784"
    assert shape_text(()) == "scalar"


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and dumb terminals get none."""

    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _text.colours(Terminal())  # type: ignore[arg-type]  # all that it asks for
    monkeypatch.setenv("NO_COLOR", "1")
    assert not _text.colours(Terminal())  # type: ignore[arg-type]  # the same
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not _text.colours(Terminal())  # type: ignore[arg-type]  # the same
