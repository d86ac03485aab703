"""Asks real MXNet 1.9.1 what its initializers give: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_initializers.py    tests/mxnet/cases_initializer.py → tests/golden/mxnet/initializer.json
"""

import importlib.util
import json
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def main():
    spec = importlib.util.spec_from_file_location("cases", ROOT / "tests" / "mxnet" / "cases_initializer.py")
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    found = {}
    for key, make, name, shape, dtype in cases.CASES:
        mx.random.seed(31)
        arr = mx.nd.zeros(shape, dtype=dtype)
        row = found[key] = {}
        try:
            init = make(mx.init)
            init(mx.init.InitDesc(name), arr)
            row["values"] = arr.asnumpy().ravel().tolist()
            row["dumps"] = init.dumps() if hasattr(init, "dumps") else None
        except (AssertionError, ValueError) as err:
            row["error"] = [type(err).__name__, str(err)]
    out = ROOT / "tests" / "golden" / "mxnet" / "initializer.json"
    out.write_text(json.dumps({"mxnet": mx.__version__, "cases": found}) + "\n")


main()
