"""A training with a stateful loader is killed with SIGKILL at random moments in mid-epoch and resumed: it ends with the same bits.

20 rounds; 500 with TENSORKEEP_FUZZ set (make fuzz). One process loads torch and forks the runs, so that a round costs no import.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FUZZ_EXAMPLES

ROUNDS = 500 if FUZZ_EXAMPLES else 20
STEPS, BATCHES = 24, 7
LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT if hasattr(os, "WNOWAIT") else 0


def train(folder: str) -> bytes:
    """24 steps over three and a half epochs, a stateful loader in mid-epoch, dropout, AdamW and a schedule; the weights."""
    import torch
    from torchdata.stateful_dataloader import StatefulDataLoader

    import tensorkeep as tk

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.BatchNorm1d(16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 1)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [9, 17])
    loader = StatefulDataLoader(torch.utils.data.TensorDataset(torch.randn(4 * BATCHES, 6)), 4, shuffle=True)
    state: dict[str, Any] = {
        "model": net,
        "optimizer": optimizer,
        "scheduler": schedule,
        "loader": loader,
        "losses": [],
    }
    with tk.Checkpointer(folder, every=tk.every(steps=4), keep=tk.keep_last(2), provenance=False) as ckpt:
        start = ckpt.restore(state)
        step = start.step + 1 if start else 0
        while step < STEPS:
            for (x,) in loader:
                loss = ((net(x) - x.sum(1, keepdim=True)) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                state["losses"].append(loss.item())
                ckpt.step(step, state)
                step += 1
                if step == STEPS:
                    break
    assert len(state["losses"]) == STEPS
    return b"".join(value.numpy().tobytes() for value in net.state_dict().values()) + repr(state["losses"]).encode()


def forked(folder: Path, result: Path) -> int:
    """A run in a process of its own; its number."""
    number = os.fork()
    if number == 0:
        code = 1
        try:
            result.write_bytes(train(str(folder)))
            code = 0
        except BaseException:  # noqa: BLE001  # told by the exit status and the text
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return number


def rounds(scratch: Path, count: int, seed: int) -> dict[str, Any]:
    """How many kills there were, and what ended otherwise."""
    import warnings

    import torch
    import torchdata.stateful_dataloader  # noqa: F401  # what the runs need is loaded once

    import tensorkeep.adapters.torch
    import tensorkeep.checkpoint.checkpointer
    import tensorkeep.storage.filling  # noqa: F401

    warnings.simplefilter("ignore")  # torchdata calls what torch deprecates
    torch.set_num_threads(1)
    torch.optim.AdamW(torch.nn.Linear(1, 1).parameters()).zero_grad()  # its first one imports for seconds
    chance = random.Random(seed)
    began = time.monotonic()
    number = forked(scratch / "whole", scratch / "whole.bin")
    assert os.waitpid(number, 0)[1] == 0
    longest_s = time.monotonic() - began
    expected = (scratch / "whole.bin").read_bytes()
    kills, resumed, wrong = 0, 0, []
    for i in range(count):
        folder, result = scratch / f"run{i}", scratch / f"{i}.bin"
        for _ in range(chance.randint(1, 2)):
            number = forked(folder, result)
            if chance.random() < 0.7:  # most runs get as far as their first step, however busy the machine is
                while not any(folder.glob("step-*")) and not os.waitid(os.P_PID, number, LOOK):
                    time.sleep(0.002)
            time.sleep(chance.uniform(0, longest_s / 2))  # the moment is what is random here
            os.kill(number, signal.SIGKILL)
            kills += os.WIFSIGNALED(os.waitpid(number, 0)[1])
        resumed += any(folder.glob("step-*")) if folder.exists() else 0
        result.unlink(missing_ok=True)
        status = os.waitpid(forked(folder, result), 0)[1]
        if status or result.read_bytes() != expected:
            wrong.append(f"round {i}: {'failed' if status else 'other bits'}")
        if left := [name for name in os.listdir(folder) if name.startswith((".tmp", ".trash"))]:
            wrong.append(f"round {i}: left {left}")
    return {"kills": kills, "resumed": resumed, "wrong": wrong}


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_runs_end_with_the_same_bits(tmp_path: Path) -> None:
    """Whatever was under way: a step, a save in the background, its commit, the removal of an old step."""
    import subprocess
    import tempfile

    pytest.importorskip("torchdata")
    root = Path(__file__).resolve().parents[2]
    # In memory where there is such a folder: a kill leaves there what it leaves on a disk, in less time.
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.test_killed_loader", scratch, str(ROUNDS), "7"],
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=60 + 30 * ROUNDS,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])

    assert found["wrong"] == [], done.stderr[-3000:]
    assert found["kills"] >= ROUNDS // 2
    assert found["resumed"] >= ROUNDS // 3


if __name__ == "__main__":
    print(json.dumps(rounds(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
