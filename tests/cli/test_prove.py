"""`tkeep prove-resume`: a script whose resume is exact, and ones with something forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorkeep.checkpoint.prove import ProofError, prove
from tests.cli.conftest import Run

pytest.importorskip("torch")

SCRIPT = """
import sys, time, warnings
import torch
import tensorkeep as tk

warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.set_num_threads(1)
net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Dropout(0.3), torch.nn.Linear(16, 2))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
state = {"model": net, "optimizer": optimizer, "losses": []}
if "forget" in sys.argv:
    del state["optimizer"]
with tk.Checkpointer("runs/x", every=tk.every(steps=4), generators="unseeded" not in sys.argv) as ckpt:
    start = ckpt.restore(state)
    for step in range(start.step + 1 if start else 0, 40):
        loss = ((net(torch.randn(4, 8)) - torch.randn(4, 2)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state["losses"].append(loss.item())
        ckpt.step(step, state)
        time.sleep(0.01)  # long enough to be killed between two steps
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    return path


@pytest.mark.slow
def test_an_exact_resume_is_proven(tkeep: Run, script: Path, tmp_path: Path) -> None:
    """Killed twice, resumed, every step equal to the bit; nothing is left in the script's folder."""
    result = tkeep("prove-resume", "--kills", "2", "--seed", "5", script)

    assert result.code == 0, result.out + result.err
    assert "exact" in result.out
    assert "10 steps" in result.out
    assert [p.name for p in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.slow
@pytest.mark.parametrize(("argument", "named"), [("forget", "losses"), ("unseeded", "losses")])
def test_what_was_forgotten_is_found(script: Path, argument: str, named: str) -> None:
    """Without the optimizer's moments, or without the generators, the first loss after the resume tells."""
    proof = prove([str(script), argument], seed=1)

    assert not proof.exact
    assert proof.difference.startswith("step ")
    assert "model." in proof.difference or named in proof.difference


def test_a_script_that_fails_is_told_with_its_last_words(tkeep: Run, tmp_path: Path) -> None:
    """Exit code 3, and the end of its traceback."""
    (tmp_path / "broken.py").write_text("raise SystemExit('no data here')")

    result = tkeep("prove-resume", "broken.py")

    assert result.code == 3
    assert "broken.py ended with exit status 1:" in result.err
    assert "no data here" in result.err


def test_a_script_that_saves_nothing_is_told(tmp_path: Path) -> None:
    """There is nothing to compare."""
    (tmp_path / "idle.py").write_text("print('nothing')")

    with pytest.raises(ProofError, match="The script saved 0 steps; at least 2 are needed"):
        prove([str(tmp_path / "idle.py")])
