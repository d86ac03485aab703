"""Asks real MXNet 1.9.1 what its metrics give: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_metrics.py    tests/mxnet/cases_metric.py → tests/golden/mxnet/metric.json
"""

import importlib.util
import json
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def main():
    spec = importlib.util.spec_from_file_location("cases", ROOT / "tests" / "mxnet" / "cases_metric.py")
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    found = {cases.key_of(case): cases.run(mx, case) for case in cases.CASES}
    out = ROOT / "tests" / "golden" / "mxnet" / "metric.json"
    out.write_text(json.dumps({"mxnet": mx.__version__, "cases": found}) + "\n")
    print(len(found), "cases,", out.stat().st_size, "bytes")


main()
