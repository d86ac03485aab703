"""`make demo` shows what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages


@pytest.mark.slow
def test_the_tour_runs_and_every_check_holds(tmp_path: Path) -> None:
    """Exit status 0, every part, no check that failed, and no file made by the hostile one."""
    done = subprocess.run(
        [sys.executable, str(pages.ROOT / "examples" / "demo.py"), str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=300,
    )

    assert done.returncode == 0, done.stdout
    assert [number for number in "12345" if f"\n{number}  " not in done.stdout] == []
    assert "✗" not in done.stdout
    assert not (tmp_path / "out" / "OWNED").exists()
