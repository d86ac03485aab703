"""Train a network on the handwritten digits under SIGKILL.

    python tests/fuzz/killed_run.py FOLDER ROUNDS

Each run is killed at random moments and resumed until it ends; then the next begins, with another seed, until there were
ROUNDS kills; the last run is left alone then. After each kill every step on the disk is verified, and the newest must be at
least the newest that was acknowledged. A run is a process of its own, forked from one that has the libraries loaded. The last
line of the output is a report in JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

import tensorkeep as tk

STEPS = 240
LONGEST_S = 0.6  # of a round, once it has begun
EARLY = 0.15  # of the rounds may end while the libraries start and the step is restored


def train(folder: Path, seed: int, tell: Callable[[int], None]) -> None:
    """Train to the end, from where the steps in `folder` are; the weights go to folder/final.

    `tell` is called with the step that was restored, -1 for none, and with each that is durable.
    """
    torch.manual_seed(seed)
    digits = load_digits()
    images, labels = torch.from_numpy(digits.data).float() / 16, torch.from_numpy(digits.target)
    frozen = nn.Linear(64, 256)
    frozen.requires_grad_(requires_grad=False)
    net = nn.Sequential(
        frozen, nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 128), nn.Linear(128, 10)
    )
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 50)
    state: dict[str, Any] = {"model": net, "optimizer": optimizer, "schedule": schedule, "order": torch.arange(1797)}
    state["losses"] = []
    keep = (tk.keep_last(2), tk.keep_best(1, "loss", mode="min"), tk.keep_every(100))
    with tk.Checkpointer(folder / "run", every=tk.every(steps=3), keep=keep, provenance=False) as ckpt:
        start = ckpt.restore(state)
        handle = None
        tell(start.step if start else -1)
        for step in range(start.step + 1 if start else 0, STEPS):
            at = step * 32 % 1792
            if at == 0:
                state["order"] = torch.randperm(1797)
            batch = state["order"][at : at + 32]
            loss = nn.functional.cross_entropy(net(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            state["losses"].append(loss.item())
            if handle is not None and handle.done and handle.wait():
                tell(handle.step)
                handle = None
            handle = ckpt.step(step, state, {"loss": loss.item()}) or handle
    tk.save(folder / "final.safetensors", {**net.state_dict(), "losses": torch.tensor(state["losses"])})


def forked(folder: Path, seed: int) -> tuple[int, int]:
    """(process, descriptor from which its acknowledgements can be read)."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    try:
        os.close(read)
        train(folder, seed, lambda step: os.write(write, f"{step}\n".encode()) and None)
        os._exit(0)
    except BaseException:  # noqa: BLE001  # this process ends here
        import traceback

        traceback.print_exc()
        os._exit(1)


def looked_at(folder: Path, acknowledged: int) -> tuple[list[str], int]:
    """(what is wrong with the steps in a folder, the newest of them)."""
    ckpt = tk.Checkpointer(folder / "run", signals=False)
    wrong = [line for step in ckpt.steps() for line in step.damage()]
    newest = ckpt.latest()
    found = newest.step if newest else -1
    if found < acknowledged:
        wrong.append(f"lost: step {acknowledged} was acknowledged, and {found} is there")
    return wrong, found


def main(root: Path, rounds: int) -> None:
    """Run after run, until there were enough kills."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rng = random.Random(0)
    report: dict[str, Any] = {"kills": 0, "runs": 0, "resumed": 0, "acknowledged": 0, "wrong": []}
    while report["kills"] < rounds or report["runs"] == 0:
        seed = report["runs"]
        whole, killed = root / f"whole-{seed}", root / f"killed-{seed}"
        for each in (whole, killed):
            each.mkdir()
        child, acks = forked(whole, seed)
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit("the whole run failed")
        os.close(acks)
        newest = -1
        while True:
            child, acks = forked(killed, seed)
            if rng.random() > EARLY:
                select.select([acks], [], [], 60)  # it has begun
            if report["kills"] < rounds:
                time.sleep(rng.random() * LONGEST_S)
                os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            said = b""
            while more := os.read(acks, 1 << 16):
                said += more
            os.close(acks)
            acknowledged = max([newest, *map(int, said.split())])
            report["acknowledged"] += len(said.split())
            if os.waitstatus_to_exitcode(status) == 0:
                break
            if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                report["wrong"].append(f"seed {seed}: ended by itself with {status}")
                break
            report["kills"] += 1
            report["resumed"] += newest >= 0
            wrong, newest = looked_at(killed, acknowledged)
            report["wrong"] += wrong
        ends = [
            tk.load(each / "final.safetensors") for each in (whole, killed) if (each / "final.safetensors").exists()
        ]
        if len(ends) != 2 or not all(ends[0][name].tobytes() == ends[1][name].tobytes() for name in ends[0]):
            report["wrong"].append(f"seed {seed}: the weights differ")
        left = [name for name in os.listdir(killed / "run") if not name.startswith("step-") and name != ".lock"]
        report["wrong"] += [f"seed {seed}: left over: {name}" for name in left]
        report["runs"] += 1
        for each in (whole, killed):
            shutil.rmtree(each)
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
