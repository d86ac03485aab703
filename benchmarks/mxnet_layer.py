"""Measure tensorkeep.mxnet beside torch, which it computes with, and beside MXNet 1.9.1.

    python -m benchmarks.mxnet_layer [--mxnet PYTHON] [--n 7] [--batch 32] [--size 224] [--threads 1] [--clock cpu] [--write-docs]

Each contender is a process of its own, whose networks and arrays stay. They take turns case by case, so that what else the
machine does meets all of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks import _mxnet_worker, _w

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-mxnet.md"
CALLS = 30
"""Calls in one sample of an eager case: so few that many samples are not interrupted on a busy machine."""

Samples = dict[str, dict[str, list[float]]]
"""Contender → case → seconds."""


class Worker:
    """A contender's process."""

    def __init__(self, contender: str, python: str, options: argparse.Namespace) -> None:
        threads = str(options.threads)
        env = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        command = [python, "-W", "ignore", str(ROOT / "benchmarks" / "_mxnet_worker.py"), contender]
        self.process = subprocess.Popen(
            [*command, str(options.batch), str(options.size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )

    def seconds(self, case: str, repeat: int, clock: str) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"case": case, "repeat": repeat, "clock": clock}), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


def measure(options: argparse.Namespace) -> Samples:
    """All cases of all contenders, in turns."""
    pythons = {"tensorkeep": sys.executable, "torch": sys.executable}
    if options.mxnet:
        pythons["mxnet"] = options.mxnet
    workers = {name: Worker(name, python, options) for name, python in pythons.items()}
    samples: Samples = {name: {} for name in workers}
    try:
        for case in [*_cases(), *_mxnet_worker.NETWORKS]:
            repeat, clock = (1, options.clock) if case in _mxnet_worker.NETWORKS else (CALLS, "wall")
            for turn in range(options.n * (1 if case in _mxnet_worker.NETWORKS else 8)):
                for name in list(workers) if turn % 2 else reversed(list(workers)):
                    samples[name].setdefault(case, []).append(workers[name].seconds(case, repeat, clock))
            print(f"{case}: {_figure(min(samples['tensorkeep'][case]))}", file=sys.stderr, flush=True)
    finally:
        for worker in workers.values():
            worker.close()
    return samples


def _cases() -> list[str]:
    import torch

    return list(_mxnet_worker.eager_in_torch(torch))


def _figure(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.2f} µs"


def eager_table(samples: Samples) -> str:
    """The calls: minimum and median of each contender, and how much tensorkeep takes on top of torch."""
    others = [name for name in samples if name != "tensorkeep"]
    heads = [f"{name} {what}" for name in ("tensorkeep", *others) for what in ("min", "median")]
    lines = [f"| call | {' | '.join(heads)} | over torch | to MXNet |", "|---|" + "---:|" * (len(heads) + 2)]
    for case in _cases():
        found = [
            f"{what(samples[name][case]) * 1e6:.2f}"
            for name in ("tensorkeep", *others)
            for what in (min, statistics.median)
        ]
        own = min(samples["tensorkeep"][case])
        over = f"{(own - min(samples['torch'][case])) * 1e6:+.2f}"
        ratio = f"{own / min(samples['mxnet'][case]):.2f}" if "mxnet" in samples else ""
        lines.append(f"| `{case}` | {' | '.join(found)} | {over} | {ratio} |")
    return "\n".join(lines)


def network_table(samples: Samples) -> str:
    """The networks: minimum and median of each contender, and tensorkeep's ratio to the others."""
    lines = ["| | " + " | ".join(f"{name} min | median" for name in samples), ""]
    lines[0] += " | to torch | to MXNet |"
    lines[1] = "|---|" + "---:|" * (2 * len(samples) + 2)
    for case in _mxnet_worker.NETWORKS:
        found = [_figure(what(each[case])) for each in samples.values() for what in (min, statistics.median)]
        own = min(samples["tensorkeep"][case])
        ratios = [f"{own / min(samples[n][case]):.2f}" if n in samples else "" for n in ("torch", "mxnet")]
        lines.append(f"| {case} | {' | '.join([*found, *ratios])} |")
    return "\n".join(lines)


def page(samples: Samples, options: argparse.Namespace) -> str:
    """The page of the documentation."""
    names = ("n", "batch", "size", "threads", "clock")
    used = " ".join(f"--{name} {getattr(options, name)}" for name in names)
    beside = " --mxnet /path/to/python" if options.mxnet else ""
    load, cores = os.getloadavg()[0], os.cpu_count()
    busy = ": other programs were running. Compare within one row, and minima rather than medians" if load > 1.5 else ""
    clock = "processor seconds of the whole process" if options.clock == "cpu" else "seconds"
    return f"""# Benchmarks of the MXNet layer

Made by the benchmark itself, with

```sh
python -m benchmarks.mxnet_layer {used}{beside} --write-docs
```

Measured on {datetime.date.today()}, threads: {options.threads}. Load average at the end: {load:.1f} on {cores} cores{busy}.

Machine: {_w.machine()}. tensorkeep {version("tensorkeep")}, torch {version("torch")}, MXNet 1.9.1.

Each contender is a process of its own; they take turns case by case: {options.n} samples of each network,
{8 * options.n} of each call.

## Eager calls

µs a call, {CALLS} calls a sample, on arrays of 32 × 64 and smaller: what counts is the call, not the work. "Over torch" is what
tensorkeep takes beyond torch's own call for the same result. MXNet computes in threads of its own; its calls are waited for at
the end of a sample.

{eager_table(samples)}

Below 16 rows and 16 columns `FullyConnected` without gradients takes 20 µs more: it adds in MXNet's order there, so that small
examples print its digits.

## resnet18_v1

Batch {options.batch}, {options.size} × {options.size} pixels, float32, in {clock}. A training step is forward and
backward. "Executor": the exported network by `simple_bind`, one image.

{network_table(samples)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mxnet", default="", help="an interpreter that has MXNet 1.9.1")
    parser.add_argument("--n", type=int, default=7, help="samples of each case")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224, help="pixels in a row")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="of the networks; cpu on a busy machine"
    )
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    text = page(measure(options), options)
    print(text)
    if options.write_docs:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
