"""The first page that everybody reads: its example runs, its table of formats is the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorkeep import formats
from tests.docs import pages

README = pages.ROOT / "README.md"


def test_the_examples_run_and_find_the_flipped_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both blocks run from top to bottom in an empty folder; the first ends with the damage that it made."""
    monkeypatch.chdir(tmp_path)
    first, second = (block for block in pages.blocks(README) if block.kind == "python")

    printed = pages.run_python(first, "README.md", {}).splitlines()

    assert printed[0] == "['cat', 'dog']"
    assert printed[1] == "net.safetensors: 4 of 4 tensors of the model loaded, 4 verified"
    assert printed[2].startswith("[")
    assert "19" in printed[2]
    assert "1 tensor is damaged" in "\n".join(printed[3:])
    assert len(first.text.splitlines()) <= 42
    assert pages.run_python(second, "README.md", {}).strip() == "(1, 2)"


def test_every_format_that_is_written_stands_in_the_table() -> None:
    """A suffix that chooses a format when saving is named in the README's table."""
    table = README.read_text("utf-8").partition("## Formats")[2].partition("\n## ")[0]
    suffixes = {suffix for name in formats.names(written=True) for suffix in formats.by_name(name).suffixes}
    assert len(suffixes) > 8

    missing = {suffix for suffix in suffixes if suffix not in table}

    assert missing == set()
