"""Saving and loading local files: tensorkeep beside safetensors, torch and the machine itself, in one interleaved run.

    python -m benchmarks.storage [--n 5] [--dir FOLDER] [w2] [w3] [w5]

Saves are durable (the file and its folder are synced); loads give memory that belongs to the caller, every page touched,
from a warm page cache and from the disk. "limit" is the plainest system calls that move the same bytes.
"""

from __future__ import annotations

import argparse
import mmap
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

import tensorkeep as tk
from benchmarks import _w

Contenders = dict[str, _w.Contender]


def sync(path: Path) -> None:
    """What makes another library's save durable."""
    for each in (path, path.parent):
        fd = os.open(each, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


def saves(state: _w.State, where: Path) -> Contenders:
    """Each writes the state into a new file of `where`, durably."""
    import safetensors.numpy
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in state.items()}

    def ours(sample: _w.Sample) -> None:
        with sample:
            tk.save(where / "ours.safetensors", state)

    def theirs(sample: _w.Sample) -> None:
        with sample:
            safetensors.numpy.save_file(state, where / "theirs.safetensors")
            sync(where / "theirs.safetensors")

    def torchs(sample: _w.Sample) -> None:
        with sample:
            torch.save(tensors, where / "torch.pt")
            sync(where / "torch.pt")

    def torchs_cached(sample: _w.Sample) -> None:
        with sample:
            torch.save(tensors, where / "torch.pt")

    def limit(sample: _w.Sample) -> None:
        with sample:
            _write_direct(where / "limit", _w.nbytes(state))

    return {
        "tensorkeep": _then_remove(ours, where),
        "safetensors + fsync": _then_remove(theirs, where),
        "torch.save + fsync": _then_remove(torchs, where),
        "torch.save, not synced": _then_remove(torchs_cached, where),
        "limit: O_DIRECT, 4 threads": _then_remove(limit, where),
    }


def _then_remove(save: _w.Contender, where: Path) -> _w.Contender:
    def run(sample: _w.Sample) -> None:
        save(sample)
        for path in where.iterdir():
            path.unlink()
        os.sync()  # the next sample does not pay for our removal

    return run


def _write_direct(path: Path, size: int, block: int = 4 << 20) -> None:
    buffer = mmap.mmap(-1, block)
    buffer.write(os.urandom(4096) * (block // 4096))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
    os.posix_fallocate(fd, 0, size)
    offsets = iter(range(0, -(-size // block) * block, block))

    def work() -> None:
        for offset in offsets:
            os.pwrite(fd, buffer, offset)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.ftruncate(fd, size)
    os.fsync(fd)
    os.close(fd)
    sync(path)


def loads(where: Path, *, cold: bool) -> Contenders:
    """Each reads one of the files in `where` into memory of its own."""
    import safetensors.numpy
    import safetensors.torch
    import torch

    def prepared(path: Path, load: Any, touch: Any) -> _w.Contender:
        def run(sample: _w.Sample) -> None:
            (_w.forget if cold else _w.warm)(path)
            with sample:
                touch(load(path))

        return run

    def pages(found: dict[str, Any]) -> None:
        for array in found.values():
            array.reshape(-1)[::1024].sum()

    def clones(path: Path) -> dict[str, Any]:
        return {name: tensor.clone() for name, tensor in safetensors.torch.load_file(path).items()}

    def limit(path: Path) -> mmap.mmap:
        size = path.stat().st_size
        memory = mmap.mmap(-1, -(-size // (2 << 20)) * (2 << 20), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
        view = memoryview(memory)
        block = 8 << 20
        fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if cold else 0))
        offsets = iter(range(0, size, block))

        def work() -> None:
            for offset in offsets:
                os.preadv(fd, [view[offset : offset + block]], offset)

        threads = [threading.Thread(target=work) for _ in range(4 if cold else 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os.close(fd)
        return memory

    ours, theirs = where / "ours.safetensors", where / "torch.pt"
    return {
        "tensorkeep, verified": prepared(ours, tk.load, pages),
        "tensorkeep, verify=False": prepared(ours, lambda path: tk.load(path, verify=False), pages),
        "safetensors.numpy": prepared(ours, safetensors.numpy.load_file, pages),
        "safetensors.torch": prepared(ours, safetensors.torch.load_file, pages),
        "safetensors.torch, clones": prepared(ours, clones, pages),
        "torch.load": prepared(theirs, lambda path: torch.load(path, weights_only=True), pages),
        f"limit: preadv, {4 if cold else 2} threads": prepared(ours, limit, lambda memory: memory),
    }


def main() -> None:
    """Run what the command line asks for and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", default=["w2", "w3", "w5"])
    parser.add_argument("--n", type=int, default=5)
    parser.add_argument("--dir", default=None, help="a folder on the disk to be measured")
    parser.add_argument("--only", default="save,warm,cold", help="which of save, warm, cold")
    args = parser.parse_args()
    print(_w.machine(), f"numpy {np.__version__}", "\n")
    import torch

    with _w.folder(args.dir) as where:  # what is imported at first use is imported here, before the children
        tk.save(where / "x.safetensors", {"x": np.zeros(3)})
        tk.load(where / "x.safetensors")

    for workload in args.workloads:
        state = getattr(_w, workload)()
        size = _w.nbytes(state)
        title = f"{workload}: {len(state)} tensors, {size / 1e9:.2f} GB"
        ballast = size + (64 << 20)
        with _w.folder(args.dir) as where:
            if "save" in args.only:
                timings = _w.compare(saves(state, where), n=args.n, ballast_nbytes=ballast)
                print(_w.table(f"save, durable; {title}", timings, size, "tensorkeep"), flush=True)
            tk.save(where / "ours.safetensors", state)
            torch.save({name: torch.from_numpy(array) for name, array in state.items()}, where / "torch.pt")
            del state
            os.sync()
            for how in ("warm", "cold"):
                if how in args.only:
                    timings = _w.compare(loads(where, cold=how == "cold"), n=args.n, ballast_nbytes=2 * ballast)
                    print(_w.table(f"load, {how}; {title}", timings, size, "tensorkeep, verified"), flush=True)


if __name__ == "__main__":
    main()
