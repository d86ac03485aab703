"""`make demo` and `make tour` show what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages


def output(script: str, folder: Path) -> str:
    """What an example prints; it ends with exit status 0 and no claim that failed."""
    done = subprocess.run(
        [sys.executable, str(pages.ROOT / "examples" / script), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=300,
    )

    assert done.returncode == 0, done.stdout
    assert "✗" not in done.stdout
    return done.stdout


@pytest.mark.slow
def test_the_demo_resumes_to_the_same_bits(tmp_path: Path) -> None:
    """Killed in the middle of an epoch, resumed, equal to the bit, exported, and every claim holds."""
    pytest.importorskip("sklearn")
    pytest.importorskip("torchdata")

    shown = output("demo.py", tmp_path / "out")

    assert "step 130 of epoch 5: the power goes" in shown
    assert "✓ its final weights are those of the run without a power cut, bit for bit" in shown
    assert "11 of 11 claims hold" in shown
    assert (tmp_path / "out" / "whole" / "final.safetensors").read_bytes() == (
        tmp_path / "out" / "run" / "final.safetensors"
    ).read_bytes()


@pytest.mark.slow
def test_the_tour_runs_and_every_check_holds(tmp_path: Path) -> None:
    """Every part, and no file made by the hostile one."""
    shown = output("files.py", tmp_path / "out")

    assert [number for number in "12345" if f"\n{number}  " not in shown] == []
    assert not (tmp_path / "out" / "OWNED").exists()
