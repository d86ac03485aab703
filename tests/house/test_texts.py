"""What is published names no private place: no folder of one machine or beside the checkout, no bare issue number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = {
    "a folder beside the checkout": re.compile(r"\.\./shared\b"),
    "a folder of one machine": re.compile(r"(?<![\w.~*-])/(work|farm)/"),
    "an issue by bare number": re.compile(r"\bissue #", re.IGNORECASE),
}
TEXTS = {".md", ".py", ".toml", ".txt", ".yml", ".yaml", ".json", ".cfg", ".css", ".svg", ""}


def published() -> Iterator[Path]:
    """The texts that users see: sources, docs, examples, benchmarks and what lies at the root."""
    for folder in ("src", "docs", "examples", "benchmarks", "tools"):
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.is_file() and path.suffix in TEXTS)
    yield from (ROOT / name for name in ("Makefile", "constraints.txt", "mkdocs.yml", "pyproject.toml"))
    yield from sorted(ROOT.glob("*.md"))


def private(text: str) -> list[str]:
    """The lines of a text that speak of a private place, with what that is."""
    return [
        f"{number}: {what}: {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in PRIVATE.items()
        if pattern.search(line)
    ]


def test_published_texts_name_no_private_place() -> None:
    """Sources, docs and the pages at the root can be read by anybody, anywhere."""
    paths = [path for path in published() if "__pycache__" not in path.parts]
    assert len(paths) > 15

    found = {str(path.relative_to(ROOT)): lines for path in paths if (lines := private(path.read_text("utf-8")))}

    assert found == {}


@pytest.mark.parametrize("line", ["see ../shared/design.md", "cd /work/main", "see issue #12", "`/farm/x.pt`"])
def test_a_private_place_is_found(line: str) -> None:
    """Each kind of private place is seen in the middle of a text."""
    assert len(private(f"first\n{line}\nlast")) == 1


@pytest.mark.parametrize(
    "line", ["the /network/ of", "an issue with", "https://example.org/work/x", "shared/weights", "issue 3"]
)
def test_ordinary_words_are_not_private(line: str) -> None:
    """Words that only look alike pass."""
    assert private(line) == []
