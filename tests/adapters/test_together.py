"""Models whose tensors two processes share, over gloo: FSDP2, DDP, and the older FSDP's refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch.distributed.fsdp")

SCRIPT = Path(__file__).with_name("ranks.py")


def both(case: str, folder: Path) -> list[Any]:
    """What each of two ranks answers."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2] / "src")}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), case, str(rank), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in (0, 1)
    ]
    answers = []
    try:
        for process in started:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            answers.append(json.loads(out.splitlines()[-1]))
    finally:
        for process in started:
            process.kill()
    return answers


@pytest.mark.slow
def test_fsdp2_saves_wholes_and_loads_parts(tmp_path: Path) -> None:
    """Rank 0 writes all tensors; each rank fills its rows; a bare model reads the same file."""
    first, second = both("fsdp2", tmp_path)

    assert first[:4] == second[:4] == [True, True, 9, 9]
    assert first[4] == [4, 5]
    assert second[4] == [3, 5]


@pytest.mark.slow
def test_a_model_sharded_on_the_meta_device_gets_its_parts(tmp_path: Path) -> None:
    """It computes what the whole one computes."""
    assert both("meta", tmp_path) == [True, True]


@pytest.mark.slow
def test_what_one_rank_meets_is_raised_on_both(tmp_path: Path) -> None:
    """A file that only one has, a folder that is not there: both raise, and the model is as it was."""
    (first, first_kept), (second, second_kept) = both("refused", tmp_path)

    assert len(first) == len(second) == 2
    assert "rank 1" in first[0]
    assert "absent.safetensors" in first[0]
    assert second[0].startswith("FileNotFoundError")
    assert "nowhere" in first[1]
    assert "rank 0" in second[1]
    assert first_kept
    assert second_kept


@pytest.mark.slow
def test_ddp_saves_bare_names_and_loads_them(tmp_path: Path) -> None:
    """Rank 0 saves, all load."""
    first, second = both("ddp", tmp_path)

    assert first == second
    assert first[0]
    assert "0.weight" in first[1]


@pytest.mark.slow
def test_the_older_fsdp_is_refused_with_what_works(tmp_path: Path) -> None:
    """summon_full_params, which the text names, saves bare names and loads."""
    first, second = both("fsdp1", tmp_path)

    assert "summon_full_params" in first[0]
    assert "summon_full_params" in second[0]
    assert first[1][0] == "0.bias"
    assert first[2]
    assert second[2]
