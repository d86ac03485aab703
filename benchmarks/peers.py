"""The contenders: each library's own way to save, load, take one tensor and list the names.

All of them get the same arrays and give tensors that belong to the caller. Libraries that are not installed are left out. MXNet and
Orbax live in virtual environments of their own and are driven as programs (`foreign.py`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _w


@dataclass(frozen=True)
class Peer:
    """One library.

    Attributes:
        name: in the tables.
        suffix: of its file; "" where it writes a folder.
        save: writes what `given` made of the arrays to a path.
        load: the tensors of a file, all of them.
        one: one tensor by its name, the rest of the file not wanted.
        names: the names in a file.
        given: the arrays as the library takes them; not timed.
        durable: its save returns when the data are on the disk; other saves are followed by fsync.
    """

    name: str
    suffix: str
    save: Callable[[Any, Path], Any]
    load: Callable[[Path], Iterable[Any]]
    one: Callable[[Path, str], Any]
    names: Callable[[Path], Iterable[str]]
    given: Callable[[_w.State], Any] = lambda state: state
    durable: bool = False


def tensorkeep() -> Peer:
    """We ourselves: every save durable and hashed, every load verified."""
    import tensorkeep as tk

    return Peer(
        "tensorkeep",
        ".safetensors",
        save=lambda data, path: tk.save(path, data),
        load=lambda path: tk.load(path).values(),
        one=lambda path, name: tk.load(path, only=[name])[name],
        names=lambda path: list(tk.open(path)),
        durable=True,
    )


def tensorkeep_pt() -> Peer:
    """We ourselves, writing and reading PyTorch's format."""
    import tensorkeep as tk

    return Peer(
        "tensorkeep, .pt",
        ".pt",
        save=lambda data, path: tk.save(path, data),
        load=lambda path: tk.load(path).values(),
        one=lambda path, name: tk.load(path, only=[name])[name],
        names=lambda path: list(tk.open(path)),
        durable=True,
    )


def safetensors_numpy() -> Peer:
    import safetensors
    import safetensors.numpy

    def one(path: Path, name: str) -> Any:
        with safetensors.safe_open(path, "numpy") as file:
            return file.get_tensor(name)

    return Peer(
        "safetensors.numpy",
        ".safetensors",
        save=safetensors.numpy.save_file,
        load=lambda path: safetensors.numpy.load_file(path).values(),
        one=one,
        names=lambda path: list(safetensors.safe_open(path, "numpy").keys()),
    )


def safetensors_torch() -> Peer:
    import safetensors
    import safetensors.torch

    def one(path: Path, name: str) -> Any:
        with safetensors.safe_open(path, "pt") as file:
            return file.get_tensor(name)

    return Peer(
        "safetensors.torch",
        ".safetensors",
        save=safetensors.torch.save_file,
        load=lambda path: safetensors.torch.load_file(path).values(),
        one=one,
        names=lambda path: list(safetensors.safe_open(path, "pt").keys()),
        given=torch_state,
    )


def torch_state(state: _w.State) -> dict[str, Any]:
    """The arrays as torch tensors, without a copy."""
    import torch

    return {name: torch.from_numpy(array) for name, array in state.items()}


def torch_zip() -> Peer:
    import torch

    return Peer(
        "torch.save, torch.load",
        ".pt",
        save=torch.save,
        load=lambda path: torch.load(path, weights_only=True).values(),
        one=lambda path, name: torch.load(path, weights_only=True, mmap=True)[name].clone(),
        names=lambda path: list(torch.load(path, weights_only=True, mmap=True)),
        given=torch_state,
    )


def numpy_npz() -> Peer:
    def one(path: Path, name: str) -> Any:
        with np.load(path) as file:
            return file[name]

    def load(path: Path) -> list[Any]:
        with np.load(path) as file:
            return [file[name] for name in file.files]

    def names(path: Path) -> list[str]:
        with np.load(path) as file:
            return list(file.files)

    return Peer("NumPy .npz", ".npz", lambda data, path: np.savez(path, **data), load, one, names)


def torch_dcp() -> Peer:
    import torch
    import torch.distributed.checkpoint as dcp

    def empty(path: Path, only: str | None = None) -> dict[str, Any]:
        found = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
        return {
            name: torch.empty(each.size, dtype=each.properties.dtype)
            for name, each in found.items()
            if only in (None, name)
        }

    def load(path: Path, only: str | None = None) -> Iterable[Any]:
        state = empty(path, only)
        dcp.load(state, checkpoint_id=path, no_dist=True)
        return state.values()

    return Peer(
        "torch DCP",
        "",
        save=lambda data, path: dcp.save(data, checkpoint_id=path, no_dist=True),
        load=load,
        one=lambda path, name: next(iter(load(path, name))),
        names=lambda path: list(dcp.FileSystemReader(path).read_metadata().state_dict_metadata),
        given=torch_state,
    )


def hdf5() -> Peer:
    import h5py

    def save(data: _w.State, path: Path) -> None:
        with h5py.File(path, "w") as file:
            for name, array in data.items():
                file[name] = array

    def load(path: Path) -> list[Any]:
        with h5py.File(path) as file:
            return [file[name][...] for name in file]

    def one(path: Path, name: str) -> Any:
        with h5py.File(path) as file:
            return file[name][...]

    def names(path: Path) -> list[str]:
        with h5py.File(path) as file:
            return list(file)

    return Peer("h5py", ".h5", save, load, one, names)


MAKERS: dict[str, tuple[Callable[[], Peer], ...]] = {
    "tensorkeep": (tensorkeep, tensorkeep_pt),
    "safetensors": (safetensors_numpy, safetensors_torch),
    "torch": (torch_zip, torch_dcp),
    "numpy": (numpy_npz,),
    "h5py": (hdf5,),
}


def installed() -> list[Peer]:
    """The peers whose library is here, tensorkeep first."""
    warnings.simplefilter("ignore")  # torch on storages and on processes that are not there
    peers = []
    for module, makers in MAKERS.items():
        if importlib.util.find_spec(module) is not None:
            peers += [maker() for maker in makers]
    return peers


def versions() -> dict[str, str]:
    """The libraries and their versions."""
    found = {}
    for name in ("tensorkeep", "numpy", "xxhash", "safetensors", "torch", "h5py"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    for foreign in foreigners():
        found |= foreign.versions
    return found


# ---- libraries in environments of their own


@dataclass(frozen=True)
class Foreign:
    """A library that another Python runs: "mxnet" or "orbax"."""

    name: str
    kind: str
    python: str
    suffix: str
    versions: dict[str, str]

    def run(self, verb: str, workload: str, path: Path, ballast_nbytes: int) -> tuple[float, int]:
        """Seconds and peak extra bytes of one operation in a process of its own."""
        program = Path(__file__).with_name("foreign.py")
        command = [self.python, str(program), self.kind, verb, workload, str(path), str(ballast_nbytes)]
        env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr.strip().splitlines()[-1:]}")
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        return answer["seconds"], answer["peak_extra"]


def foreigners() -> list[Foreign]:
    """The libraries that an environment variable names a Python for."""
    found = []
    for name, kind, variable, suffix in (
        ("MXNet", "mxnet", "TENSORKEEP_MXNET_PYTHON", ".params"),
        ("Orbax", "orbax", "TENSORKEEP_ORBAX_PYTHON", ""),
    ):
        python = os.environ.get(variable, "")
        if python and shutil.which(python):
            distribution = {"mxnet": "mxnet", "orbax": "orbax-checkpoint"}[kind]
            code = f"from importlib.metadata import version; print(version({distribution!r}))"
            version = subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()
            found.append(Foreign(name, kind, python, suffix, {distribution: version}))
    return found
