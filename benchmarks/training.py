"""Measure what training feels: saves in the background, saves of little change, restores, parameters into a model.

    python -m benchmarks.training [--n 5] [--quick] [--rows blocked,lost,again,restore,parameters] [--write-docs]

Every sample is a process of its own; the contenders take turns. The state is W2 (1.25 GB in 292 tensors) as torch tensors, as JAX
arrays for Orbax. All saves end on the disk: where a library does not sync, its files and folders are synced after it.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _w, report, states
from benchmarks.savers import SAVERS, Saver, installed

PAGE = report.CHECKOUT / "docs" / "benchmarks-training.md"
TITLES = {
    "blocked": "Save in the background: how long the loop is blocked",
    "lost": "Save in the background: loop time lost in all",
    "again": "Save again when 1 % of the bytes changed",
    "restore": "Restore into a state that is there",
    "parameters": "Parameters into a torch model",
}
NOTES = {
    "blocked": "The fourth save; all tensors have changed. Extra MB: the most that the process held during all four saves, over\n"
    "the state itself, until the last one was on the disk.",
    "lost": "What a loop of matrix multiplications in one thread loses from the start of a save until the loop ends, which is\n"
    "longer than the save. The fourth save; all tensors have changed.",
    "again": "Until the step is durable. The fourth save: each time the same 1 % of the bytes, in whole tensors, has changed.",
    "restore": "The files are in the page cache. torch.load makes a second state, which is copied.",
    "parameters": "The file is in the page cache. tensorkeep checks the hash of every byte, the others check nothing.",
}
WARM = 3  # saves before the one that is measured: buffers are there, files are known
LOOP_STEP = 384  # a square matrix multiplication is a step of the loop


# ---- rows: each runs in a process of its own


def blocked(saver: Saver, sample: _w.Sample) -> None:
    """Until the loop may go on."""
    memory = _w.Sample()
    with memory:
        for step in range(WARM):
            change(saver, 1.0)
            saver.start(step)
            saver.finish()
        change(saver, 1.0)
        begin = time.perf_counter()
        saver.start(WARM)
        sample.seconds = time.perf_counter() - begin
        saver.finish()
    sample.peak_extra = memory.peak_extra


def lost(saver: Saver, sample: _w.Sample) -> None:
    """What a loop of matrix multiplications takes longer because of one save."""
    import torch

    torch.set_num_threads(1)
    a = torch.rand(LOOP_STEP, LOOP_STEP)
    for step in range(WARM):
        change(saver, 1.0)
        saver.start(step)
        saver.finish()
    change(saver, 1.0)

    def loop(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            a @ a
        return time.perf_counter() - begin

    each = min(loop(200) for _ in range(5)) / 200
    count = max(200, int(3.0 / each))  # longer than any save
    plain = loop(count)
    begin = time.perf_counter()
    saver.start(WARM)
    loop(count)
    total = time.perf_counter() - begin
    saver.finish()
    sample.seconds = max(0.0, total - plain)


def again(saver: Saver, sample: _w.Sample) -> None:
    """A durable save when 1 % of the bytes changed."""
    for step in range(WARM):
        change(saver, 0.01)
        saver.start(step)
        saver.finish()
    change(saver, 0.01)
    with sample:
        saver.start(WARM)
        saver.finish()


def restore(saver: Saver, sample: _w.Sample) -> None:
    """Bring a saved state back into memory that is there."""
    saver.start(0)
    saver.finish()
    for path in Path(saver.folder).rglob("*"):
        if path.is_file():
            _w.warm(path)
    saver.restore(0)
    with sample:
        saver.restore(0)


def change(saver: Saver, part: float) -> None:
    """Change tensors that make up this part of the bytes, the same ones each time."""
    total = sum(tensor.nbytes for tensor in saver.state.values())
    left = total * part
    for name in sorted(saver.state, key=lambda name: saver.state[name].nbytes):
        if part == 1.0 or saver.state[name].nbytes <= left:
            left -= saver.state[name].nbytes
            saver.touch(name)


def _load_ours(model: Any, path: str) -> None:
    import tensorkeep as tk

    tk.load_parameters(model, f"{path}.safetensors")


def _load_safetensors(model: Any, path: str) -> None:
    import safetensors.torch

    safetensors.torch.load_model(model, f"{path}.safetensors")


def _load_torch(model: Any, path: str) -> None:
    import torch

    model.load_state_dict(torch.load(f"{path}.pt", weights_only=True))


def _load_limit(model: Any, path: str) -> None:
    with open(f"{path}.safetensors", "rb", buffering=0) as file:
        for tensor in model.state_dict().values():
            file.readinto(tensor.numpy().reshape(-1).view(np.uint8).data)


LOADERS: dict[str, Callable[[Any, str], None]] = {
    "tensorkeep": _load_ours,
    "safetensors.torch.load_model": _load_safetensors,
    "torch.load + load_state_dict": _load_torch,
    "limit: read into the model's memory": _load_limit,
}


def parameters(name: str, state: dict[str, Any], folder: str, sample: _w.Sample) -> None:
    """Fill a torch model."""
    import torch

    import tensorkeep as tk

    path = os.path.join(folder, "model")
    model = _module(state)
    tk.save(f"{path}.safetensors", model.state_dict())
    torch.save(model.state_dict(), f"{path}.pt")
    for each in Path(folder).iterdir():
        _w.warm(each)
    LOADERS[name](model, path)
    with sample:
        LOADERS[name](model, path)


def _module(state: dict[str, Any]) -> Any:
    """A torch module with these parameters."""
    import torch

    root = torch.nn.Module()
    for name, tensor in state.items():
        *path, last = name.split(".")
        place = root
        for part in path:
            if part not in place._modules:
                place.add_module(part, torch.nn.Module())
            place = place._modules[part]
        place.register_parameter(last, torch.nn.Parameter(tensor))
    return root


# ---- the run


def measured(row: str, name: str, workload: str, folder: str | None) -> _w.Sample:
    """One measurement, in this process."""
    import torch

    warnings.simplefilter("ignore")
    sample = _w.Sample()
    with tempfile.TemporaryDirectory(dir=folder) as place:
        state = {key: torch.from_numpy(array) for key, array in states.state(workload).items()}
        if row in ("restore", "parameters"):  # what loads into memory of its own shall find the machine's warm
            sample.ballast_nbytes = int(1.1 * sum(tensor.nbytes for tensor in state.values()))
        if row == "parameters":
            parameters(name, state, place, sample)
            return sample
        saver = SAVERS[name](place, state)
        try:
            {"blocked": blocked, "lost": lost, "again": again, "restore": restore}[row](saver, sample)
        finally:
            saver.close()
    return sample


def run(options: argparse.Namespace) -> dict[str, dict[str, _w.Timing]]:
    """Every row: contender → what it took. A contender that fails keeps the last line that it printed."""
    results: dict[str, dict[str, _w.Timing]] = {}
    for row in options.rows.split(","):
        names = list(LOADERS) if row == "parameters" else installed()
        if row in ("lost", "again"):
            names = [name for name in names if not name.startswith("limit")]
        timings = results[row] = {name: _w.Timing() for name in names}
        for _ in range(options.n):
            for name in names:
                if timings[name].error:
                    continue
                command = [sys.executable, "-m", "benchmarks.training", "--sample", row, name]
                command += ["--quick"] if options.quick else []
                command += ["--folder", options.folder] if options.folder else []
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    timings[name].error = (done.stderr.strip().splitlines() or ["it died"])[-1]
                    print(f"{name}: {timings[name].error}", file=sys.stderr)
                else:
                    found = json.loads(done.stdout.splitlines()[-1])
                    timings[name].seconds.append(found["seconds"])
                    timings[name].peaks.append(found["peak_extra"])
        print(report.table(TITLES[row], timings, 0), flush=True)
    return results


def page(results: dict[str, dict[str, _w.Timing]], options: argparse.Namespace, before: str = "") -> str:
    """The page of the documentation; rows that were not run now keep their tables of the page before."""
    versions = []
    for name in ("tensorkeep", "torch", "safetensors", "orbax-checkpoint", "jax", "torchsnapshot"):
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    lines = [
        "# Benchmarks of training",
        "",
        "Made by the benchmark itself; `--rows` repeats single tables:",
        "",
        "```sh",
        f"python -m benchmarks.training --n {options.n} --write-docs",
        "```",
        "",
        f"Machine: {_w.machine()}. Versions: {', '.join(versions)}.",
        "",
        f"The state is {states.TITLES['w2'].partition(': ')[2]}, float32. Each sample is a process of its own, contenders take",
        "turns. Ratios are to tensorkeep's median: 2.00 took twice as long. Every save ends on the disk: where a library does not",
        "sync, its files and folders are synced after it. Compare within one table.",
    ]
    load = os.getloadavg()[2]
    when = (
        f"Measured on {datetime.date.today()}, {options.n} samples, load average {load:.1f} on {os.cpu_count()} cores."
    )
    sections = dict(part.split("\n", 1) for part in before.split("\n## ")[1:])
    for row, timings in results.items():
        sections[TITLES[row]] = f"\n{NOTES[row]}\n\n{when}\n\n{report.table('', timings, 0)}"
    for title in TITLES.values():
        if title in sections:
            lines += ["", f"## {title}", sections[title].rstrip()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print a table for each row; 1 when a contender failed."""
    options = arguments()
    if options.sample:
        sample = measured(*options.sample, "w2-quick" if options.quick else "w2", options.folder)
        print(json.dumps({"seconds": sample.seconds, "peak_extra": sample.peak_extra}))
        return 0
    results = run(options)
    if options.write_docs:
        before = PAGE.read_text("utf-8") if PAGE.exists() else ""
        PAGE.write_text(page(results, options, before), "utf-8")
    return int(any(timing.error for timings in results.values() for timing in timings.values()))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tiny state: shows that everything runs, measures nothing"
    )
    parser.add_argument("--n", type=int, default=5, help="samples of each contender")
    parser.add_argument("--rows", default=",".join(TITLES), help=f"which of {', '.join(TITLES)}")
    parser.add_argument("--folder", help="on the disk that is to be measured")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.relative_to(report.CHECKOUT)}")
    parser.add_argument("--sample", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
