"""Asks real MXNet 1.9.1 what it does to pictures with boxes: run by an interpreter that has it.

python tools/mxnet_detection.py FOLDER    tests/mxnet/cases_detection.py → tests/golden/mxnet/detection.json

FOLDER holds a.png and b.png, any pictures.
"""

import importlib.util
import json
import os
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def main():
    spec = importlib.util.spec_from_file_location("cases", ROOT / "tests" / "mxnet" / "cases_detection.py")
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    found = {name: function(mx) for name, function in cases.CASES.items()}
    found["iterator"] = cases.iterated(mx, sys.argv[1])
    out = ROOT / "tests" / "golden" / "mxnet" / "detection.json"
    out.write_text(json.dumps({"mxnet": mx.__version__, "cases": found}) + "\n", encoding="utf-8")
    print(len(found), "cases", flush=True)
    os._exit(0)


main()
