"""Asks real MXNet 1.9.1 what expressions with arrays give: run by an interpreter that has it, never by the tests.

python tools/mxnet_ndarray.py    tests/mxnet/ndarray/expressions.py → tests/golden/mxnet/ndarray.json.gz
"""

import gzip
import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("MXNET_STORAGE_FALLBACK_LOG_VERBOSE", "0")

import mxnet as mx

ROOT = Path(__file__).resolve().parent.parent


def main():
    path = ROOT / "tests" / "mxnet" / "ndarray" / "expressions.py"
    spec = importlib.util.spec_from_file_location("expressions", path)
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    found = {
        group: {expression: cases.answer(mx, expression) for expression in expressions}
        for group, expressions in cases.GROUPS.items()
        if not sys.argv[1:] or group in sys.argv[1:]
    }
    out = ROOT / "tests" / "golden" / "mxnet" / "ndarray.json.gz"
    if sys.argv[1:]:
        found = {**json.loads(gzip.decompress(out.read_bytes())), **found}
    out.write_bytes(gzip.compress(json.dumps(found, ensure_ascii=False).encode(), 9, mtime=0))
    print({group: len(answers) for group, answers in found.items()}, out.stat().st_size, "bytes")


main()
