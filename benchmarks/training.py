"""Measure what training feels: saves in the background, saves of little change, restores, parameters into a model.

    python -m benchmarks.training [--n 5] [--quick] [--rows blocked,lost,again,restore,parameters]

Every sample is a process of its own; the contenders take turns. The state is W2 (1.25 GB in 292 tensors) as torch tensors, as JAX
arrays for Orbax. All saves end on the disk: where a library does not sync, its files and folders are synced after it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _w, states

TITLES = {
    "blocked": "Save in the background: seconds that the loop is blocked (third save, all tensors changed)",
    "lost": "Save in the background: loop time lost in all, until the step is durable",
    "again": "Save again when 1 % of the bytes changed, durable",
    "restore": "Restore into a state that is there, file in the page cache",
    "parameters": "Parameters into a fresh torch model, file in the page cache",
}
WARM = 3  # saves before the one that is measured: buffers are there, files are known
LOOP_STEP = 384  # a square matrix multiplication is a step of the loop


def sync_all(path: str) -> None:
    """fsync of everything below a path, and of the folder it lies in."""
    for folder, _, files in os.walk(path):
        for name in (*files, "."):
            sync_one(os.path.join(folder, name))
    if os.path.isfile(path):
        sync_one(path)
    sync_one(os.path.dirname(path))


def sync_one(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


class Saver:
    """A way to save in the background: `start` returns when the loop may go on, `finish` when the data are on the disk."""

    background = True

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        self.folder = folder
        self.state = state

    def start(self, step: int) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        raise NotImplementedError

    def touch(self, name: str) -> None:
        """Change a tensor as a training step does."""
        self.state[name] += 1

    def restore(self, step: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Give everything back."""


class Tensorkeep(Saver):
    """tensorkeep's Checkpointer: hashed, durable, unchanged tensors for free."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        super().__init__(folder, state)
        import tensorkeep as tk

        options: Any = {"keep": tk.keep_last(2), "provenance": False, "generators": False, "signals": False}
        self.checkpointer = tk.Checkpointer(folder, **options)
        self.handle: Any = None

    def start(self, step: int) -> None:
        self.handle = self.checkpointer.save(step, {"model": self.state}, background=True)

    def finish(self) -> None:
        self.handle.wait()

    def restore(self, step: int) -> None:
        self.checkpointer.restore({"model": self.state}, step=step)

    def close(self) -> None:
        self.checkpointer.close()


class TorchSave(Saver):
    """torch.save in the loop, then fsync: what most scripts do, made durable."""

    background = False

    def start(self, step: int) -> None:
        import torch

        torch.save(self.state, self.path(step))
        sync_all(self.path(step))

    def finish(self) -> None:
        pass

    def path(self, step: int) -> str:
        return os.path.join(self.folder, f"{step % 2}.pt")

    def restore(self, step: int) -> None:
        import torch

        found = torch.load(self.path(step), weights_only=True)
        for name, tensor in self.state.items():
            tensor.copy_(found[name])


class Dcp(Saver):
    """torch.distributed.checkpoint.async_save, one process, gloo."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        super().__init__(folder, state)
        import torch.distributed as dist

        if not dist.is_initialized():
            store = os.path.join(tempfile.mkdtemp(), "store")
            dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
        self.future: Any = None
        self.last = 0

    def start(self, step: int) -> None:
        import torch.distributed.checkpoint as dcp

        self.last = step
        shutil.rmtree(self.path(step), ignore_errors=True)
        self.future = dcp.async_save(dict(self.state), checkpoint_id=self.path(step))

    def finish(self) -> None:
        getattr(self.future, "upload_completion", self.future).result()
        sync_all(self.path(self.last))

    def path(self, step: int) -> str:
        return os.path.join(self.folder, f"dcp-{step % 2}")

    def restore(self, step: int) -> None:
        import torch.distributed.checkpoint as dcp

        dcp.load(dict(self.state), checkpoint_id=self.path(step))


class Orbax(Saver):
    """Orbax's AsyncCheckpointer on JAX arrays."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        import jax
        import orbax.checkpoint as ocp

        super().__init__(folder, {name: jax.device_put(tensor.numpy()) for name, tensor in state.items()})
        self.saver = ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler())
        self.last = 0

    def touch(self, name: str) -> None:
        self.state[name] = (self.state[name] + 1).block_until_ready()

    def start(self, step: int) -> None:
        import orbax.checkpoint as ocp

        self.last = step
        self.saver.save(self.path(step), args=ocp.args.StandardSave(self.state), force=True)

    def finish(self) -> None:
        self.saver.wait_until_finished()
        sync_all(self.path(self.last))

    def path(self, step: int) -> str:
        return os.path.join(self.folder, f"orbax-{step % 2}")

    def restore(self, step: int) -> None:
        import orbax.checkpoint as ocp

        found = self.saver.restore(self.path(step), args=ocp.args.StandardRestore(self.state))
        for array in found.values():
            array.block_until_ready()


class Memcpy(Saver):
    """The limit: a copy into a buffer that is warm. It saves nothing."""

    def __init__(self, folder: str, state: dict[str, Any]) -> None:
        super().__init__(folder, state)
        self.buffer = {name: tensor.clone() for name, tensor in state.items()}

    def start(self, step: int) -> None:
        for name, tensor in self.state.items():
            self.buffer[name].copy_(tensor)

    def finish(self) -> None:
        pass

    def restore(self, step: int) -> None:
        for name, tensor in self.state.items():
            tensor.copy_(self.buffer[name])


SAVERS: dict[str, type[Saver]] = {
    "tensorkeep": Tensorkeep,
    "DCP async_save": Dcp,
    "Orbax": Orbax,
    "torch.save + fsync": TorchSave,
    "limit: memcpy into a warm buffer": Memcpy,
}


# ---- rows: each runs in a process of its own and returns seconds


def blocked(saver: Saver) -> float:
    """Seconds until the loop may go on."""
    for step in range(WARM):
        change(saver, 1.0)
        saver.start(step)
        saver.finish()
    change(saver, 1.0)
    begin = time.perf_counter()
    saver.start(WARM)
    seconds = time.perf_counter() - begin
    saver.finish()
    return seconds


def lost(saver: Saver) -> float:
    """Seconds that a loop of matrix multiplications takes longer because of one save."""
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
    return max(0.0, total - plain)


def again(saver: Saver) -> float:
    """Seconds for a durable save when 1 % of the bytes changed."""
    for step in range(WARM):
        change(saver, 0.01)
        saver.start(step)
        saver.finish()
    change(saver, 0.01)
    begin = time.perf_counter()
    saver.start(WARM)
    saver.finish()
    return time.perf_counter() - begin


def restore(saver: Saver) -> float:
    """Seconds to bring a saved state back into memory that is there."""
    saver.start(0)
    saver.finish()
    for path in Path(saver.folder).rglob("*"):
        if path.is_file():
            _w.warm(path)
    saver.restore(0)
    begin = time.perf_counter()
    saver.restore(0)
    return time.perf_counter() - begin


def change(saver: Saver, part: float) -> None:
    """Change tensors that make up this part of the bytes, the same ones each time."""
    total = sum(tensor.nbytes for tensor in saver.state.values())
    left = total * part
    for name in sorted(saver.state, key=lambda name: saver.state[name].nbytes):
        if part == 1.0 or saver.state[name].nbytes <= left:
            left -= saver.state[name].nbytes
            saver.touch(name)


LOADERS: dict[str, Callable[[Any, str], Any]] = {}


def loader(name: str) -> Callable[[Callable[[Any, str], Any]], Callable[[Any, str], Any]]:
    def add(function: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        LOADERS[name] = function
        return function

    return add


@loader("tensorkeep")
def _load_ours(model: Any, path: str) -> None:
    import tensorkeep as tk

    tk.load_parameters(model, f"{path}.safetensors")


@loader("safetensors.torch.load_model")
def _load_safetensors(model: Any, path: str) -> None:
    import safetensors.torch

    safetensors.torch.load_model(model, f"{path}.safetensors")


@loader("torch.load + load_state_dict")
def _load_torch(model: Any, path: str) -> None:
    import torch

    model.load_state_dict(torch.load(f"{path}.pt", weights_only=True))


@loader("limit: read into the model's memory")
def _load_limit(model: Any, path: str) -> None:
    with open(f"{path}.safetensors", "rb", buffering=0) as file:
        for tensor in model.state_dict().values():
            file.readinto(tensor.numpy().reshape(-1).view(np.uint8).data)


def parameters(name: str, state: dict[str, Any], folder: str) -> float:
    """Seconds to fill a torch model."""
    import torch

    import tensorkeep as tk

    path = os.path.join(folder, "model")
    model = _module(state)
    tk.save(f"{path}.safetensors", model.state_dict())
    torch.save(model.state_dict(), f"{path}.pt")
    for each in Path(folder).iterdir():
        _w.warm(each)
    LOADERS[name](model, path)
    begin = time.perf_counter()
    LOADERS[name](model, path)
    return time.perf_counter() - begin


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


def sample(row: str, name: str, workload: str, folder: str | None) -> float:
    """One measurement, in this process."""
    import torch

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        state = {key: torch.from_numpy(array) for key, array in states.state(workload).items()}
        if row == "parameters":
            return parameters(name, state, place)
        saver = SAVERS[name](place, state)
        try:
            return {"blocked": blocked, "lost": lost, "again": again, "restore": restore}[row](saver)
        finally:
            saver.close()


def main() -> int:
    """Print a table for each row: median and minimum of each contender, and how many times as long as ours it takes."""
    options = arguments()
    workload = "w2-quick" if options.quick else "w2"
    if options.sample:
        print(json.dumps(sample(options.sample[0], options.sample[1], workload, options.folder)))
        return 0
    failed = 0
    for row in options.rows.split(","):
        names = list(LOADERS if row == "parameters" else SAVERS)
        if row in ("lost", "again"):
            names = [name for name in names if not name.startswith("limit")]
        found: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(options.n):
            for name in names:
                command = [sys.executable, "-m", "benchmarks.training", "--sample", row, name]
                command += ["--quick"] if options.quick else []
                command += ["--folder", options.folder] if options.folder else []
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    failed += 1
                    print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
                else:
                    found[name].append(float(done.stdout.splitlines()[-1]))
        print(f"\n{TITLES[row]}  (n = {options.n})")
        ours = statistics.median(found["tensorkeep"]) if found["tensorkeep"] else float("nan")
        for name, seconds in found.items():
            if seconds:
                middle = statistics.median(seconds)
                print(
                    f"  {name:36} median {middle:7.3f} s   min {min(seconds):7.3f} s   {middle / ours:6.2f} × ours",
                    flush=True,
                )
    return 1 if failed else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a tiny state: shows that everything runs, measures nothing"
    )
    parser.add_argument("--n", type=int, default=5, help="samples of each contender")
    parser.add_argument("--rows", default=",".join(TITLES), help=f"which of {', '.join(TITLES)}")
    parser.add_argument("--folder", help="on the disk that is to be measured")
    parser.add_argument("--sample", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
