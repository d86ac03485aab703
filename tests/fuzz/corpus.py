"""Good files of every format to start from: ours, real tools', literal ones."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import tensorkeep as tk
from tensorkeep.testing.hostile import _mxnet, _torch
from tensorkeep.testing.samples import KINDS

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
LARGEST_NBYTES = 20_000  # small files are hit where it matters


def ours(name: str, *kinds: str) -> Iterator[bytes]:
    """What we write of these kinds of data."""
    for kind in kinds:
        out = io.BytesIO()
        tk.save(out, KINDS[kind](), format=name)
        yield out.getvalue()


def golden(*patterns: str) -> Iterator[bytes]:
    """The small files of real tools that travel with the tests."""
    for pattern in patterns:
        for path in sorted(GOLDEN.glob(pattern)):
            if path.is_file() and 0 < path.stat().st_size <= LARGEST_NBYTES:
                yield path.read_bytes()


def numpys() -> Iterator[bytes]:
    """What numpy.savez writes."""
    for save in (np.savez, np.savez_compressed):
        out = io.BytesIO()
        save(out, a=np.arange(5.0), b=np.array([[1, 2]], np.int8))
        yield out.getvalue()


def pickled() -> Iterator[bytes]:
    """What Python pickles of plain data and NumPy arrays."""
    data: Any = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "l": [1, 2.5, "x", None, True, (b"raw", 2**80)],
        3: {},
    }
    for protocol in range(2, 6):
        yield pickle.dumps(data, protocol)


def corpus() -> dict[str, list[bytes]]:
    """Format → its good files."""
    everything = ("dict", "list", "nested", "plain values", "bytes and numbers", "sparse", "dots in keys")
    return {
        "safetensors": [*ours("safetensors", *everything, "numpy scalars", "empty dict")],
        "npz": [*ours("npz", *everything), *numpys(), *golden("npz/*.npz", "mxnet/np/*.npz", "mxnet/np/*.params")],
        "npy": [*ours("npy", "tensor"), *golden("npy/*.npy", "mxnet/np/*.npy")],
        "torch": [*ours("torch", *everything), *golden("torch/*.pt")],
        "torch-legacy": [_torch._legacy(), *golden("torch/*legacy*")],
        "torch-tar": [_torch._tar({})],
        "mxnet": [
            *ours("mxnet", "dict", "list", "sparse"),
            _mxnet.listing([_mxnet.array(), _mxnet.csr(), _mxnet.row_sparse()]),
            *golden("mxnet/nd/*", "mxnet/gluon/*.params"),
        ],
        "pickle": [*pickled(), *golden("mxnet/pickle/*")],
        "symbol": [*golden("mxnet/sym/*.json")],
    }
