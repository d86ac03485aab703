"""A run that is killed at random moments, again and again: no acknowledged step is lost, none is damaged, the end is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import FUZZ_EXAMPLES

pytest.importorskip("torch")
pytest.importorskip("sklearn")

ROUNDS = 500 if FUZZ_EXAMPLES else 5
SCRIPT = Path(__file__).with_name("killed_run.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="runs are forked")
def test_no_kill_loses_or_damages_a_step(tmp_path: Path) -> None:
    """Background saves, links and retention are going on; the weights are those of the run that was never killed."""
    # In memory where the system has such a folder: a kill leaves there what it leaves on a disk, in less time.
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        command = [sys.executable, str(SCRIPT), scratch, str(ROUNDS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])

    print(report)
    assert report["wrong"] == []
    assert report["kills"] >= ROUNDS
    assert report["runs"] > 0
    assert report["resumed"] > 0
