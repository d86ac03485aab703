"""Trains Modules with real MXNet 1.9.1: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_modules.py    tests/mxnet/module/cases.py → tests/golden/mxnet/training.npz
"""

import importlib.util
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def main():
    spec = importlib.util.spec_from_file_location("cases", ROOT / "tests" / "mxnet" / "module" / "cases.py")
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    stored = {}
    for network in cases.NETWORKS:
        for optimizer in cases.OPTIMIZERS:
            for contexts in (1, 2):
                found = cases.train(mx, network, optimizer, contexts)
                stored.update({f"{network}/{optimizer}/{contexts}/{name}": value for name, value in found.items()})
    for name in ("train_buckets", "train_chain"):
        stored.update({f"{name}/{key}": value for key, value in getattr(cases, name)(mx).items()})
    with tempfile.TemporaryDirectory() as folder:
        for name, (found, lines) in {"fit": cases.fit(mx, folder), "feed_forward": cases.feed_forward(mx)}.items():
            stored.update({f"{name}/{key}": value for key, value in found.items()})
            stored[f"{name}/lines"] = np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)
    out = ROOT / "tests" / "golden" / "mxnet" / "training.npz"
    np.savez_compressed(out, **stored)
    print(f"{len(stored)} arrays, {out.stat().st_size} bytes")


main()
