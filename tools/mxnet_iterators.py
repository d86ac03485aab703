"""Asks real MXNet 1.9.1 what its iterators give: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_iterators.py    tests/mxnet/cases_io.py → tests/golden/mxnet/io.json.gz
"""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def answer(name):
    """One case, in a process of its own: MXNet's file iterators crash when several are made and dropped."""
    path = ROOT / "tests" / "mxnet" / "cases_io.py"
    spec = importlib.util.spec_from_file_location("cases", path)
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    if name is None:
        return list(cases.CASES)
    with tempfile.TemporaryDirectory() as folder:
        cases.write_files(Path(folder))
        print(json.dumps(cases.run(mx, name, Path(folder))), flush=True)
    os._exit(0)  # not through MXNet's destructors


def main():
    if len(sys.argv) > 1:
        answer(sys.argv[1])
    found = {}
    for name in answer(None):
        done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    out = ROOT / "tests" / "golden" / "mxnet" / "io.json.gz"
    text = json.dumps({"mxnet": mx.__version__, "cases": found})
    out.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(len(found), "cases,", out.stat().st_size, "bytes")


main()
