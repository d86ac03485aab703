"""The tables of the benchmark say what was measured."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report, training
from benchmarks._w import Timing

ROOT = Path(__file__).resolve().parents[2]

TIMINGS = {
    "tensorkeep": Timing([0.3, 0.2, 0.4], [5_000_000]),
    "torch.save, torch.load + fsync": Timing([0.9, 0.6, 0.8], [0]),
    "other + fsync": Timing([0.6, 0.7, 0.5], [1_000_000]),
    "limit: write, fsync": Timing([0.25, 0.28], [0]),
    "other, not synced": Timing([0.1], [0]),
    "broken": Timing(error="Traceback …\nOSError: no"),
}


def test_a_table_has_medians_minima_and_ratios() -> None:
    """The median of three is the middle one; the ratio is to tensorkeep's."""
    lines = report.table("save", TIMINGS, 600_000_000).splitlines()

    assert "| tensorkeep | 300 ms | 200 ms | 2.00 | 5 | 1.00 |" in lines
    assert "| other + fsync | 600 ms | 500 ms | 1.00 | 1 | 2.00 |" in lines
    assert any(line.startswith("| broken | failed") for line in lines)
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_nothing_is_a_multiple_of_no_time() -> None:
    """Where ours loses no time at all, there is no ratio to it."""
    lines = report.table("lost", {"tensorkeep": Timing([0.0], [0]), "other": Timing([0.5], [0])}, 0).splitlines()

    assert "| other | 500 ms | 500 ms |" in lines


@pytest.mark.slow
def test_the_benchmark_of_training_runs(tmp_path: Path) -> None:
    """A tiny run of one row measures every library that is installed."""
    command = [sys.executable, "-m", "benchmarks.training", "--quick", "--n", "1", "--rows", "again"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split("|")[1].strip() for line in done.stdout.splitlines() if " ms |" in line][:2] == [
        "tensorkeep",
        "DCP async_save",
    ]


def test_a_row_alone_keeps_the_other_tables() -> None:
    """The page of training: what is measured again is replaced, the rest stays."""
    options = argparse.Namespace(n=3)
    first = training.page({"again": TIMINGS, "restore": TIMINGS}, options)

    second = training.page({"again": {"tensorkeep": Timing([7.0], [0])}}, options, first)

    assert "7.00 s" in second
    assert second.count("## ") == first.count("## ") == 2
    assert second.partition("## Restore")[2] == first.partition("## Restore")[2]


def test_the_summary_compares_with_the_best_durable_peer() -> None:
    """What is not synced is no peer of a durable save; the limit is the fastest one."""
    run = report.Run({"w2": {"save": TIMINGS}}, {}, "", [])

    (row,) = [line for line in report.summary(run).splitlines() if "save 1.25 GB" in line]

    assert row == "| save 1.25 GB, on the disk | 300 ms | 600 ms (other) | 800 ms | 265 ms |"


@pytest.mark.parametrize(
    ("value", "text"), [(1.234, "1.23 s"), (0.1234, "123 ms"), (0.01234, "12.3 ms"), (0.001234, "1.2 ms")]
)
def test_times_have_three_digits_at_most(value: float, text: str) -> None:
    """Seconds and milliseconds, as short as they are told apart."""
    assert report.seconds(value) == text


def test_places_of_one_machine_are_not_published() -> None:
    """The folder that was measured in is left out of the command that the page shows."""
    assert report.public(["--folder", "/x", "-n", "5", "--json", "y"]) == ["-n", "5"]


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path: Path) -> None:
    """A tiny run measures every library that is installed."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "-n", "1", "--workloads", "w5", "--rows", "save,names"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=300
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "| tensorkeep |" in done.stdout
    assert "failed" not in done.stdout


def test_a_later_run_replaces_the_same_table_and_keeps_the_others(tmp_path: Path) -> None:
    """Tables of several runs meet in one file."""
    first = report.Run({"w5": {"save": TIMINGS, "load": TIMINGS}}, {}, "", [])
    again = {"tensorkeep": Timing([0.5], [0])}
    second = report.Run({"w5": {"save": again}}, {}, "", [])
    first.added_to(tmp_path / "runs.json")

    both = second.added_to(tmp_path / "runs.json")

    assert both.results["w5"] == {"save": again, "load": TIMINGS}
