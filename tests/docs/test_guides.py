"""The guides, and the pages that show how to extend tensorkeep, do what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages

DOCS = pages.ROOT / "docs"
PAGES = [DOCS / "index.md", *sorted((DOCS / "guides").glob("*.md")), DOCS / "extending.md"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "index.md"], ids=lambda page: page.stem)
def test_the_page_runs_as_printed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of Python and every command of the page runs and prints what the page shows."""
    monkeypatch.chdir(tmp_path)
    # Pages are read as on a screen of 100 columns, whatever the tests run in.
    monkeypatch.setenv("COLUMNS", "100")

    count = pages.run(page)

    assert count >= 2
