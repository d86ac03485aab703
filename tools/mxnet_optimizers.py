"""Asks real MXNet 1.9.1 what its optimizers do: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_optimizers.py    tests/mxnet/cases_optimizer.py → tests/golden/mxnet/optimizer.npz
"""

import importlib.util
import json
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def main():
    spec = importlib.util.spec_from_file_location("cases", ROOT / "tests" / "mxnet" / "cases_optimizer.py")
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    stored = {}
    for number, case in enumerate(cases.CASES):
        stored.update({f"{number}/{name}": value for name, value in cases.run(mx, case).items()})
    index = {
        "mxnet": mx.__version__,
        "cases": [case[0] for case in cases.CASES],
        "rates": [cases.rates(mx, *row) for row in cases.SCHEDULERS],
    }
    stored["index"] = np.frombuffer(json.dumps(index).encode(), dtype=np.uint8)
    out = ROOT / "tests" / "golden" / "mxnet" / "optimizer.npz"
    np.savez_compressed(out, **stored)
    print(len(cases.CASES), "cases,", out.stat().st_size, "bytes")


main()
