"""The runner of the pages: it compares what it says it compares."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("a\nb\n", "a\nb"), ("a 12 b\n", "a … b"), ("a\nx\ny\nb\n", "a\n…\nb"), ("a  \nb", "a\nb"), ("(1.5)\n", "(1.5)")],
)
def test_output_that_fits_is_accepted(printed: str, expected: str) -> None:
    """The same lines, an ellipsis within a line and one for whole lines fit."""
    assert pages.fits(printed, expected)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("a\nc\n", "a\nb"),
        ("a\n", "a\nb"),
        ("a\nb\nc\n", "a\nb"),
        ("a 1\nb\n", "a … b"),
        ("(125)\n", "(1.5)"),
        ("", "a"),
    ],
)
def test_output_that_differs_is_refused(printed: str, expected: str) -> None:
    """Another line, a missing line, a line too many and an ellipsis over a line's end do not fit."""
    assert not pages.fits(printed, expected)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```python\nraise AssertionError\n```\n",
        "```console\n$ tkeep ls nothing.here\n```\n",
        "```console\n$ tkeep --version\ntensorkeep 99\n```\n",
    ],
)
def test_a_page_that_is_wrong_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Output that differs, an exception, a failing command and its other output are each noticed."""
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")

    with pytest.raises(AssertionError):
        pages.run(page)
