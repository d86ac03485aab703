"""Measure tensorkeep, its peers and the physical limit, interleaved in one run: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _w, limits, peers, report, states
from benchmarks.peers import Foreign, Peer

Table = dict[str, _w.Timing]

ROWS = ("save", "load", "cold", "one", "names", "start")
UNSYNCED = ("safetensors.numpy", "safetensors.torch", "torch.save, torch.load")  # shown without fsync too
BALLAST = {"save": 1.3, "load": 2.3, "cold": 2.3}  # of the data's size: what the hungriest contender of the row takes


class Bench:
    """One workload: its arrays, a file of each contender to load, and the rows that are measured on them."""

    def __init__(self, workload: str, folder: Path, contenders: list[Peer], foreign: list[Foreign]) -> None:
        self.workload = workload
        self.folder = folder
        self.peers = contenders
        self.foreign = foreign
        self.state = states.state(workload)
        self.size = _w.nbytes(self.state)
        self.given = {peer.name: peer.given(self.state) for peer in contenders}
        self.name = list(self.state)[len(self.state) // 2]

    def file(self, peer: Peer | Foreign) -> Path:
        """The file (or folder) of a contender that the loading rows read."""
        return self.folder / "load" / (peer.name.replace(" ", "-").replace("/", "-") + peer.suffix)

    def fresh(self, suffix: str) -> Path:
        """A path in an empty folder, for a save; the disk has nothing else to do."""
        folder = self.folder / "save"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        os.sync()
        return folder / f"new{suffix}"

    def prepare(self) -> None:
        """Write the file of each contender, each in a process of its own."""
        (self.folder / "load").mkdir()
        for peer in self.peers:
            path = self.file(peer)
            done = _w.in_child(lambda sample, peer=peer, path=path: peer.save(self.given[peer.name], path))
            if isinstance(done, str):
                raise RuntimeError(f"{peer.name}: {done}")
        for other in self.foreign:
            other.run("save", self.workload, self.file(other), 0)
        os.sync()

    def ballast(self, row: str) -> int:
        """Bytes to touch and free before a sample of this row."""
        return int(BALLAST.get(row, 0) * self.size) if self.size > 64 << 20 else 0

    def ready(self, peer: Peer) -> None:
        """Let a library import what it imports when first used, in the process of the sample."""
        path = self.folder / f"warm-{os.getpid()}{peer.suffix}"
        peer.save(peer.given({"a": np.zeros(64, np.float32), "b": np.zeros(64, np.float32)}), path)
        own(peer.load(path))
        peer.one(path, "b")
        peer.names(path)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    # ---- rows

    def save(self) -> dict[str, Callable[[_w.Sample], Any]]:
        """Durable saves of all, then the saves that are not durable by themselves without an fsync."""
        found: dict[str, Callable[[_w.Sample], Any]] = {}
        for peer in self.peers:
            found[peer.name if peer.durable else f"{peer.name} + fsync"] = self._save(peer, sync=not peer.durable)
        for other in self.foreign:
            found[f"{other.name} + fsync"] = self._elsewhere(other, "save")
        found["limit: write, fsync"] = self._write(limits.write_and_sync)
        found["limit: O_DIRECT, 4 threads, fsync"] = self._write(limits.write_direct)
        for peer in self.peers:
            if peer.name in UNSYNCED:
                found[f"{peer.name}, not synced"] = self._save(peer, sync=False)
        return found

    def _save(self, peer: Peer, *, sync: bool) -> Callable[[_w.Sample], Any]:
        def contender(sample: _w.Sample) -> None:
            self.ready(peer)
            path = self.fresh(peer.suffix)
            with sample:
                peer.save(self.given[peer.name], path)
                if sync:
                    sync_all(path)

        return contender

    def _write(self, write: Callable[[int, Path], None]) -> Callable[[_w.Sample], Any]:
        def contender(sample: _w.Sample) -> None:
            path = self.fresh(".bin")
            with sample:
                write(self.size, path)

        return contender

    def _elsewhere(self, other: Foreign, verb: str) -> Callable[[_w.Sample], Any]:
        def contender(sample: _w.Sample) -> None:
            path = self.fresh(other.suffix) if verb in ("save", "cached") else self.file(other)
            if verb == "cold":
                forget_all(path)
            elif verb == "load":
                warm_all(path)
            sample.seconds, sample.peak_extra = other.run(verb, self.workload, path, sample.ballast_nbytes)

        return contender

    def load(self, *, cold: bool = False) -> dict[str, Callable[[_w.Sample], Any]]:
        """Every tensor into memory of the caller's own, from the page cache or from the disk."""
        before = forget_all if cold else warm_all

        def loader(peer: Peer) -> Callable[[_w.Sample], Any]:
            def contender(sample: _w.Sample) -> None:
                self.ready(peer)
                before(self.file(peer))
                with sample:
                    own(peer.load(self.file(peer)))

            return contender

        found = {peer.name: loader(peer) for peer in self.peers}
        for other in self.foreign:
            found[other.name] = self._elsewhere(other, "cold" if cold else "load")
        ours = self.file(self.peers[0])

        def limit(sample: _w.Sample) -> None:
            before(ours)
            with sample:
                limits.read(ours, direct=cold, threads=limits.THREADS if cold else 2)

        found["limit: O_DIRECT, 4 threads" if cold else "limit: read into huge pages, 2 threads"] = limit
        return found

    def cold(self) -> dict[str, Callable[[_w.Sample], Any]]:
        """As `load`, with the file dropped from the page cache first."""
        return self.load(cold=True)

    def one(self) -> dict[str, Callable[[_w.Sample], Any]]:
        """One tensor by its name."""
        found = {peer.name: self._quick(lambda path, peer=peer: peer.one(path, self.name), peer) for peer in self.peers}
        return found | {other.name: self._elsewhere(other, "one") for other in self.foreign if other.kind == "mxnet"}

    def names(self) -> dict[str, Callable[[_w.Sample], Any]]:
        """The names of all tensors."""
        return {peer.name: self._quick(peer.names, peer) for peer in self.peers}

    def _quick(self, action: Callable[[Path], Any], peer: Peer) -> Callable[[_w.Sample], Any]:
        path = self.file(peer)

        def contender(sample: _w.Sample) -> None:
            self.ready(peer)
            warm_all(path)
            with sample:
                action(path)

        return contender


def own(values: Iterable[Any]) -> None:
    """Write one byte of every page of the larger tensors, so that all of them are the caller's; copy what is read-only."""
    for value in values:
        if value.nbytes > 4096:
            array = value if isinstance(value, np.ndarray) else value.numpy()
            if not array.flags.writeable:
                array = array.copy()
            array.reshape(-1).view(np.uint8)[::4096] |= 0


def files_of(path: Path) -> list[Path]:
    """The file, or all files of the folder."""
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path]


def sync_all(path: Path) -> None:
    """fsync of the files, and of the folders that name them."""
    for each in {*files_of(path), path.parent, *([path] if path.is_dir() else [])}:
        fd = os.open(each, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def warm_all(path: Path) -> None:
    for each in files_of(path):
        _w.warm(each)


def forget_all(path: Path) -> None:
    for each in files_of(path):
        _w.forget(each)


# ---- start-up


def start(folder: Path, n: int) -> Table:
    """Seconds until a fresh Python has imported a library, or until `tkeep ls` has answered."""
    path = folder / "start.safetensors"
    import tensorkeep as tk

    tk.save(path, states.state("w5"))
    tkeep = str(Path(sys.executable).with_name("tkeep"))
    commands = {"bare Python": [sys.executable, "-c", "pass"]}
    for module in ("numpy", "tensorkeep", "safetensors", "safetensors.numpy", "torch"):
        commands[f"import {module}"] = [sys.executable, "-c", f"import {module}"]
    commands["tkeep ls (267 tensors)"] = [tkeep, "ls", str(path)]
    timings = {name: _w.Timing() for name in commands}
    for _ in range(n):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            timings[name].seconds.append(time.perf_counter() - begin)
    return timings


# ---- the run


def main() -> int:
    """Measure what the command line asks for, print tables, write documents."""
    options = arguments()
    workloads = [f"{name}-quick" if options.quick else name for name in options.workloads.split(",")]
    rows = options.rows.split(",")
    results: dict[str, dict[str, Table]] = {}

    def kept() -> report.Run:
        run = report.Run(results, peers.versions(), _w.machine(), sys.argv[1:])
        return run.added_to(Path(options.json)) if options.json else run

    with _w.folder(options.folder) as folder:
        if "start" in rows:
            results["start"] = {"start": start(folder, 3 if options.quick else 15)}
            print(report.table("Start-up", results["start"]["start"], 0), flush=True)
        contenders, foreign = peers.installed(), peers.foreigners()
        for workload in workloads:
            place = folder / workload
            place.mkdir()
            results[workload] = {}
            for row, table in measure(Bench(workload, place, contenders, foreign), rows, options.n):
                results[workload][row] = table
                kept()  # so that a run that is stopped leaves what it has
            shutil.rmtree(place)
            gc.collect()
    document = kept()
    if options.write_docs:
        report.write(document)
    failed = [
        f"{name}: {t.error}"
        for tables in results.values()
        for table in tables.values()
        for name, t in table.items()
        if t.error
    ]
    print("\n".join(failed), end="\n" if failed else "")
    return 1 if failed else 0


def measure(bench: Bench, rows: list[str], n: int) -> Iterator[tuple[str, Table]]:
    """The tables of one workload."""
    bench.prepare()
    for row in ROWS:
        if row in rows and row != "start":
            table = _w.compare(getattr(bench, row)(), n=n, ballast_nbytes=bench.ballast(row))
            print(
                report.table(f"{bench.workload}: {report.ROWS[row]}", table, bench.size if row in BALLAST else 0),
                flush=True,
            )
            yield row, table


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything runs, measures nothing")
    parser.add_argument("--workloads", default="w5,w3,w2", help="which of w2, w3, w5 (default: all)")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"which of {', '.join(ROWS)} (default: all)")
    parser.add_argument("-n", type=int, default=5, help="samples of each contender (default: 5)")
    parser.add_argument(
        "--folder", help="where to write: on the disk that is to be measured (default: the temporary folder)"
    )
    parser.add_argument("--json", metavar="FILE", help="keep every sample in a file, with what it has of other tables")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md and the table in README.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
