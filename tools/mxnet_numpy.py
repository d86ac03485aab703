"""Asks real MXNet 1.9.1 what mx.np gives: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_numpy.py    tests/mxnet/numpy/expressions.py and symbols.py → tests/golden/mxnet/numpy.json
"""

import importlib.util
import inspect
import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def module(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "mxnet" / "numpy" / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def public(space):
    """The names of a namespace that are its own and not a module's helper."""
    found = {}
    for name in sorted(dir(space)):
        value = getattr(space, name)
        if name[0] == "_" or inspect.ismodule(value):
            continue
        parameters = None
        if inspect.isfunction(value) and (value.__module__ or "").startswith("mxnet."):
            parameters = [p for p in inspect.signature(value).parameters if p != "kwargs"]
        found[name] = parameters
    return found


def main():
    expressions, symbols = module("expressions"), module("symbols")
    mx.npx.set_np()
    golden = {
        "mxnet": mx.__version__,
        "names": {
            "np": public(mx.np), "np.linalg": public(mx.np.linalg), "np.random": public(mx.np.random),
            "npx": public(mx.npx), "npx.random": public(mx.npx.random), "sym.np": public(mx.sym.np),
            "sym.np.linalg": public(mx.sym.np.linalg), "sym.np.random": public(mx.sym.np.random),
            "sym.npx": public(mx.sym.npx), "ndarray": dict.fromkeys(n for n in dir(mx.np.ndarray) if n[0] != "_"),
            "_Symbol": dict.fromkeys(n for n in dir(mx.sym.np._Symbol) if n[0] != "_"),
        },
        "expressions": {
            topic: {name: expressions.shown(mx, function) for name, function in cases.items()}
            for topic, cases in expressions.TOPICS.items()
        },
        "symbols": {name: symbols.shown(mx, function) for name, function in symbols.CASES.items()},
    }  # fmt: skip
    out = ROOT / "tests" / "golden" / "mxnet" / "numpy.json"
    out.write_text(json.dumps(golden, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{sum(map(len, golden['expressions'].values()))} expressions, {len(golden['symbols'])} symbols")


main()
