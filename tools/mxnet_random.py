"""Asks real MXNet 1.9.1 for random numbers: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_random.py    → tests/golden/mxnet/random.json: checksums of draws that follow one another
"""

import json
import zlib
from pathlib import Path

import mxnet as mx
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests" / "golden" / "mxnet" / "random.json"
DRAWS = {
    "default seed": [("seed", 0), ("uniform", 6), ("normal", 6)],
    "all twisters": [("seed", 11), ("uniform", 66000), ("normal", 70000), ("uniform", 5), ("normal", 66000)],
    "float64": [("seed", 12), ("uniform64", 300), ("normal64", 300), ("uniform64", 3)],
    "mixed": [("seed", 13), ("normal", 3), ("uniform", 200), ("normal", 129), ("uniform", 64), ("uniform", 65)],
    "negative seed": [("seed", -5), ("uniform", 10)],
    "seed of the cpu": [("seed cpu", 21), ("uniform", 100), ("normal", 100), ("shuffle", 9)],
    "dropout": [("seed", 15), ("dropout", 300), ("dropout16", 100), ("dropout64", 100), ("uniform", 3), ("rows", 300)],
    "serial": [("seed", 14), ("shuffle", 500), ("uniform", 3), ("shuffle", 10)],
}


def draw(kind, count):
    if kind == "shuffle":
        return mx.nd.random.shuffle(mx.nd.arange(count)).asnumpy()
    if kind.startswith("dropout") or kind == "rows":
        ones = mx.nd.ones(
            (count // 10, 10), dtype=f"float{kind.removeprefix('dropout')}" if kind[-1:] in "46" else "float32"
        )
        with mx.autograd.record():
            return mx.nd.Dropout(ones, p=0.3, axes=(1,) if kind == "rows" else ()).asnumpy() != 0
    law, dtype = kind.removesuffix("64"), "float64" if kind.endswith("64") else "float32"
    return getattr(mx.nd.random, law)(shape=(count,), dtype=dtype).asnumpy()


def main():
    found = {}
    for name, steps in DRAWS.items():
        rows = found[name] = []
        for kind, number in steps:
            if kind.startswith("seed"):
                mx.random.seed(number, **({"ctx": mx.cpu()} if kind == "seed cpu" else {}))
                rows.append([kind, number])
            else:
                values = draw(kind, number)
                rows.append(
                    [kind, number, zlib.crc32(np.ascontiguousarray(values).tobytes()), values.ravel()[-3:].tolist()]
                )
    OUT.write_text(json.dumps({"mxnet": mx.__version__, "draws": found}, indent=1) + "\n")


main()
