"""A run of the benchmarks as tables, as docs/benchmarks.md, and as the short table in README.md."""

from __future__ import annotations

import datetime
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import states
from benchmarks._w import Timing

CHECKOUT = Path(__file__).resolve().parents[1]

ROWS = {
    "save": "save",
    "load": "load, page cache warm",
    "cold": "load, page cache cold",
    "one": "one tensor by its name",
    "names": "list the names",
    "start": "start-up",
}

BUSY = ": other programs were running, so the seconds are longer than they need be, and the ratios are what counts"

ORDER = ("w2", "w5", "w3", "start")

HOW = """\
Each of three to five samples runs in a process of its own, contenders take turns, and the table shows the median and the minimum.
Ratios are to tensorkeep's median: 2.00 took twice as long. Absolute seconds move with the machine and the minute; compare
within one table.

- **save**: until the data are on the disk. tensorkeep's saves are durable and hashed; the others' are followed by `fsync` of the
  file and its folder, and shown without it at the end of the table ("not synced": a power cut loses those).
- **load**: every tensor in memory that belongs to the caller, who writes to each page of it. tensorkeep's loads check every
  byte's hash. "Cold" means that the file is not in the page cache.
- **extra MB**: the most memory that the process held over what it held before. For loads this contains the data themselves.
- **limit**: the same number of bytes to and from the disk with nothing else: no names, no hashes, no tensors.
- MXNet and Orbax run in virtual environments of their own, whose Pythons are named by `TENSORKEEP_MXNET_PYTHON` and
  `TENSORKEEP_ORBAX_PYTHON`.
- Tables of several runs can be joined with `--json FILE`; every table is of one run.
"""


@dataclass(frozen=True)
class Run:
    """What a run measured: workload → row → contender → Timing, and what it was measured on."""

    results: dict[str, dict[str, dict[str, Timing]]]
    versions: dict[str, str]
    machine: str
    arguments: list[str]

    def added_to(self, path: Path) -> Run:
        """This run with the tables that an earlier one left in a file, which is then written."""
        kept = json.loads(path.read_text("utf-8")) if path.exists() else {"results": {}}
        results: dict[str, dict[str, dict[str, Timing]]] = {}
        for found in (kept["results"], self.as_json()["results"]):
            for workload, tables in found.items():
                for row, table in tables.items():
                    results.setdefault(workload, {})[row] = {name: Timing(**each) for name, each in table.items()}
        arguments = ["--write-docs"] if "--write-docs" in self.arguments else []
        run = replace(self, results=results, arguments=arguments)
        path.write_text(json.dumps(run.as_json(), indent=1), "utf-8")
        return run

    def as_json(self) -> dict[str, Any]:
        """All samples, for programs."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "results": {
                workload: {
                    row: {name: {"seconds": t.seconds, "peaks": t.peaks, "error": t.error} for name, t in table.items()}
                    for row, table in tables.items()
                }
                for workload, tables in self.results.items()
            },
        }


def seconds(value: float) -> str:
    """A time with three digits."""
    if math.isnan(value):
        return ""
    return (
        f"{value:.2f} s"
        if value >= 1
        else f"{value * 1e3:.0f} ms"
        if value >= 0.1
        else f"{value * 1e3:.2g} ms"
        if value < 0.01
        else f"{value * 1e3:.1f} ms"
    )


def table(title: str, timings: dict[str, Timing], size: int) -> str:
    """One row of measurements as a Markdown table; the ratios are to the first contender that is tensorkeep."""
    base = timings.get("tensorkeep", Timing()).median or math.nan  # nothing is a multiple of 0
    with_peaks = any(timing.peak for timing in timings.values())
    lines = [f"### {title}", ""] if title else []
    heads = [
        "",
        "median",
        "minimum",
        *(["GB/s"] if size >= 1 << 26 else []),
        *(["extra MB"] if with_peaks else []),
        "ratio",
    ]
    if math.isnan(base):
        heads.pop()
    lines += ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for name, timing in timings.items():
        if timing.error:
            lines.append(f"| {name} | failed" + " |" * (len(heads) - 1))
            continue
        cells = [name, seconds(timing.median), seconds(timing.minimum)]
        if size >= 1 << 26:
            cells.append(f"{size / timing.median / 1e9:.2f}")
        if with_peaks:
            cells.append(f"{timing.peak / 1e6:.0f}")
        if not math.isnan(base):
            cells.append(f"{timing.median / base:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write(run: Run) -> None:
    """Write docs/benchmarks.md, and the table between the marks in README.md."""
    (CHECKOUT / "docs" / "benchmarks.md").write_text(page(run), "utf-8")
    readme = CHECKOUT / "README.md"
    marked = re.compile(r"(<!-- benchmark -->\n).*?(<!-- end of benchmark -->)", re.S)
    text, count = marked.subn(lambda m: m[1] + summary(run) + m[2], readme.read_text("utf-8"))
    assert count == 1, "README.md has lost its marks"
    readme.write_text(text, "utf-8")


def page(run: Run) -> str:
    """docs/benchmarks.md."""
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    command = " ".join(["python -m benchmarks", *public(run.arguments)])
    lines = [
        "# Benchmarks",
        "",
        "Made by the benchmark itself. `make bench` repeats it on your machine; this page is what the following wrote:",
        "",
        "```sh",
        command,
        "```",
        "",
        (
            f"Measured on {date}. Load average at the end: {os.getloadavg()[1]:.1f} "
            f"on {os.cpu_count()} cores{BUSY if os.getloadavg()[1] > 2.5 else ''}."
        ),
        "",
        f"Machine: {run.machine}. Versions: " + ", ".join(f"{name} {v}" for name, v in run.versions.items()) + ".",
        "",
        "## In short",
        "",
        summary(run),
        "",
        "## How it is measured",
        "",
        HOW,
    ]
    for workload in sorted(run.results, key=lambda name: ORDER.index(name.partition("-")[0])):
        tables = run.results[workload]
        title = states.TITLES.get(workload.partition("-")[0], "Start-up")
        lines += [f"## {title}{' (quick: sizes are tiny)' if 'quick' in workload else ''}", ""]
        for row, timings in sorted(tables.items(), key=lambda pair: list(ROWS).index(pair[0])):
            size = _size(workload) if row in ("save", "load", "cold") else 0
            lines += [table(ROWS[row] if row != "start" else "", timings, size)]
    return "\n".join(lines).rstrip() + "\n"


def public(arguments: list[str]) -> list[str]:
    """The arguments without the places of one machine."""
    shown, skip = [], False
    for each in arguments:
        if not skip and each not in ("--folder", "--json"):
            shown.append(each)
        skip = each in ("--folder", "--json")
    return shown


def _size(workload: str) -> int:
    return {"w2": 1_250_000_000, "w5": 102_440_608, "w3": 10_240_000}.get(workload, 0)


def summary(run: Run) -> str:
    """A few rows: tensorkeep, the best peer, torch, the limit."""
    lines = [
        "| what | tensorkeep | best other | torch.save, torch.load | limit of the machine |",
        "|---|---:|---:|---:|---:|",
    ]
    for workload, row, what in (
        ("w2", "save", "save 1.25 GB, on the disk"),
        ("w2", "load", "load 1.25 GB, file in the page cache"),
        ("w2", "cold", "load 1.25 GB from the disk"),
        ("w5", "save", "save a ResNet-50 (102 MB), on the disk"),
        ("w5", "load", "load it, file in the page cache"),
        ("w5", "names", "list its names"),
        ("w3", "save", "save 10,000 tensors of 1 KiB"),
        ("w3", "load", "load them"),
        ("w3", "one", "load one of them"),
    ):
        timings = run.results.get(workload, run.results.get(f"{workload}-quick", {})).get(row)
        if timings:
            lines.append(_summary_row(what, timings))
    if "start" in run.results:
        start = run.results["start"]["start"]
        bare = start["bare Python"].median
        lines.append(
            f"| `import`, over bare Python | {seconds(start['import tensorkeep'].median - bare)} | "
            f"{seconds(start['import safetensors.numpy'].median - bare)} (safetensors.numpy) | "
            f"{seconds(start['import torch'].median - bare)} | |"
        )
    return "\n".join(lines) + "\n"


def _summary_row(what: str, timings: dict[str, Timing]) -> str:
    others = {
        name: t
        for name, t in timings.items()
        if not name.startswith(("tensorkeep", "limit")) and "not synced" not in name and not t.error
    }
    best = min(others, key=lambda name: others[name].median)
    torch = next(
        (t for name, t in timings.items() if name.startswith("torch.save, torch.load") and "not synced" not in name),
        Timing(),
    )
    limit = min(_medians(t for name, t in timings.items() if name.startswith("limit")), default=math.nan)
    ours = timings["tensorkeep"].median
    shown = best.removesuffix(" + fsync")
    return f"| {what} | {seconds(ours)} | {seconds(others[best].median)} ({shown}) | {seconds(torch.median)} | {seconds(limit)} |"


def _medians(timings: Iterable[Timing]) -> list[float]:
    return [timing.median for timing in timings if not timing.error]
