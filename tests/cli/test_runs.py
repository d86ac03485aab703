"""`tkeep runs`: what it tells of a run, and that it removes only what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tensorkeep as tk
from tests.cli.conftest import Run

LOSSES = [0.9, 0.3, 0.5, 0.7]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Four steps with a loss; the policies are the last two and the best."""
    folder = tmp_path / "run"
    keep = (tk.keep_last(3), tk.keep_best(1, "loss", mode="min"))
    with tk.Checkpointer(folder, keep=keep) as ckpt:
        for i, loss in enumerate(LOSSES):
            model = {"w": np.full((2, 3), i, np.float32), "b": np.zeros(2, np.float32)}
            ckpt.save(i * 100, {"model": model, "epoch": i}, metrics={"loss": loss})
    return folder


def test_the_steps_are_listed_with_why_each_is_kept(tkeep: Run, run: Path) -> None:
    """Numbers, metrics, reasons, and a curve of the loss."""
    result = tkeep("runs", run)

    rows = {line[0]: line for line in result.lines() if line and line[0].isdigit()}
    assert result.code == 0
    assert list(rows) == ["100", "200", "300"]
    assert rows["100"][-1] == "last 3, best loss"
    assert rows["300"][-1] == "last 3, newest"
    assert rows["200"][-2] == "0.5"
    assert "▁" in result.out
    assert "0.3 to 0.7, least 0.3, most 0.7" in result.out


def test_damage_is_shown_and_gives_1(tkeep: Run, run: Path) -> None:
    """A missing file, a flipped bit; `verify` finds what a look at the headers cannot."""
    (run / "step-0000000200" / "model.safetensors").unlink()
    path = run / "step-0000000300" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    listed, checked = tkeep("runs", run), tkeep("runs", run, "verify")

    assert listed.code == 1
    assert "damaged" in listed.out
    assert "step 200: " in listed.out
    assert checked.code == 1
    assert [line[1] for line in checked.lines() if line[0].startswith("step ")] == ["good", "damaged", "damaged"]
    assert tkeep("runs", run, "verify", "100").code == 0


def test_best_and_last_print_paths(tkeep: Run, run: Path) -> None:
    """By the run's own policy, or by what is asked."""
    assert tkeep("runs", run, "best").out.strip().endswith("step-0000000100")
    assert tkeep("runs", run, "best", "--metric", "loss", "--mode", "max").out.strip().endswith("step-0000000300")
    assert tkeep("runs", run, "last").out.strip().endswith("step-0000000300")
    missing = tkeep("runs", run, "best", "--metric", "acc", "--mode", "max")
    assert missing.code == 2
    assert "no step has the metric 'acc'. There are: loss." in missing.err


def test_prune_says_first_and_then_does(tkeep: Run, run: Path) -> None:
    """A dry run removes nothing; pinned steps stay."""
    assert tkeep("runs", run, "pin", "200").code == 0
    dry = tkeep("runs", run, "prune", "--keep", "last:1", "--dry-run")
    assert "1 step would go: 100" in dry.out
    assert (run / "step-0000000100").exists()

    wet = tkeep("runs", run, "prune", "--keep", "last:1")

    assert "1 step removed: 100" in wet.out
    assert sorted(p.name for p in run.glob("step-*")) == ["step-0000000200", "step-0000000300"]
    assert tkeep("runs", run, "unpin", "200").code == 0
    assert "1 step removed: 200" in tkeep("runs", run, "prune", "--keep", "last:1").out
    assert tkeep("runs", run, "prune", "--keep", "first:1").code == 2


def test_prune_waits_for_no_living_writer(tkeep: Run, run: Path) -> None:
    """A run that is under way is told, and nothing is removed."""
    with tk.Checkpointer(run, keep=tk.keep_all()) as ckpt:
        ckpt.save(400, {"w": np.ones(2)})
        result = tkeep("runs", run, "prune", "--keep", "last:1")

    assert result.code == 3
    assert "writes steps here. Wait until it ends." in result.err
    assert (run / "step-0000000100").exists()


def test_the_model_is_exported_for_others(tkeep: Run, run: Path) -> None:
    """For torch, safetensors, NumPy and MXNet; an existing file stays unless forced."""
    from safetensors.numpy import load_file

    for suffix in ("safetensors", "pt", "npz", "params"):
        assert tkeep("runs", run, "export", "100", f"out.{suffix}").code == 0
        assert np.array_equal(tk.load(f"out.{suffix}")["w"], np.ones((2, 3), np.float32))
    assert list(load_file("out.safetensors")) == ["w", "b"] or set(load_file("out.safetensors")) == {"w", "b"}
    assert tkeep("runs", run, "export", "100", "out.pt").code == 2
    assert "It has model, epoch" in tkeep("runs", run, "export", "100", "x.pt", "--entry", "ema").err


def test_two_steps_are_compared(tkeep: Run, run: Path) -> None:
    """What changed between them; exit code 1."""
    result = tkeep("runs", run, "diff", "100", "300")

    assert result.code == 1
    assert "model.w" in result.out
    assert tkeep("runs", run, "diff", "100", "100").code == 0


def test_a_step_is_a_file_for_the_other_commands(tkeep: Run, run: Path) -> None:
    """`ls`, `verify` and `tk.open` take a step's folder."""
    listed = tkeep("ls", run / "step-0000000100")

    assert listed.code == 0
    assert "model.w" in listed.out
    assert tkeep("verify", run / "step-0000000100").code == 0


def test_clean_removes_what_killed_saves_left(tkeep: Run, run: Path) -> None:
    """Drafts whose writer is gone; crash steps when asked."""
    (run / ".tmp-step-0000000900-0123456789ab").mkdir()
    (run / "crash-0000000350").mkdir()

    assert "1 folder removed" in tkeep("runs", run, "clean").out
    assert "1 folder removed: crash-0000000350" in tkeep("runs", run, "clean", "--crashes").out


def test_json_has_everything(tkeep: Run, run: Path) -> None:
    """One document, for programs."""
    document = json.loads(tkeep("runs", run, "--json").out)

    assert [each["step"] for each in document["steps"]] == [100, 200, 300]
    assert document["steps"][0]["metrics"] == {"loss": 0.3}
    assert document["steps"][0]["kept"] == ["last 3", "best loss"]
