"""The first page that everybody reads: its example runs, its table of formats is the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorkeep import formats
from tests.docs import pages

README = pages.ROOT / "README.md"


def example() -> pages.Block:
    """The one block of Python in the README."""
    (block,) = [block for block in pages.blocks(README) if block.kind == "python"]
    return block


def test_the_example_runs_and_finds_the_flipped_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twenty lines run from top to bottom in an empty folder and end with the damage that they made."""
    monkeypatch.chdir(tmp_path)

    printed = pages.run_python(example(), "README.md", {}).splitlines()

    assert printed[0] == "['layers.0.w', 'layers.0.b'] (2, 3) [1. 1. 1.]"
    assert printed[1] == "True True"
    assert "'layers.0.w'" in "\n".join(printed[2:])
    assert len(example().text.splitlines()) <= 24


def test_every_format_that_is_written_stands_in_the_table() -> None:
    """A suffix that chooses a format when saving is named in the README's table."""
    table = README.read_text("utf-8").partition("## Formats")[2].partition("\n## ")[0]
    suffixes = {suffix for name in formats.names(written=True) for suffix in formats.by_name(name).suffixes}
    assert len(suffixes) > 8

    missing = {suffix for suffix in suffixes if suffix not in table}

    assert missing == set()
