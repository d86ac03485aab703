"""Asks real MXNet 1.9.1 what it does to pictures: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_images.py    tests/mxnet/cases_image.py → tests/golden/mxnet/image.json.gz
"""

import gzip
import importlib.util
import json
import os
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def main():
    spec = importlib.util.spec_from_file_location("cases", ROOT / "tests" / "mxnet" / "cases_image.py")
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    found = {name: cases.run(mx, name) for name in cases.CASES}
    out = ROOT / "tests" / "golden" / "mxnet" / "image.json.gz"
    out.write_bytes(gzip.compress(json.dumps({"mxnet": mx.__version__, "cases": found}).encode(), mtime=0))
    print(len(found), "cases,", out.stat().st_size, "bytes", flush=True)
    os._exit(0)


main()
