"""Asks real MXNet 1.9.1 about symbols: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_symbols.py    tests/mxnet/symbol/cases.py, operators.json → tests/golden/mxnet/symbols.json.xz
"""

import contextlib
import ctypes
import importlib.util
import io
import json
import lzma
import os
import re
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402
from mxnet._ctypes.symbol import _symbol_creator  # noqa: E402
from mxnet.base import _LIB, check_call  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
GUESSES = {
    "int": "2", "int (non-negative)": "2", "long (non-negative)": "2", "long": "2", "float": "1.0", "double": "1.0",
    "real_t": "1.0", "boolean": "1", "string": "x", "Shape(tuple)": "(2,2)", "Shape or None": "(2,2)",
    "tuple of <float>": "(1,)", "tuple of <double>": "(1,)", "tuple of <long>": "(1,)", "float or None": "1.0",
    "int or None": "1", "tuple of <Shape(tuple)>": "((1,),)",
}  # fmt: skip
"""A value for each type of required parameter."""


def plain(text):
    """What an error says, without the C++ file, line and condition."""
    text = text.strip()
    if text.startswith("Traceback"):
        text = text.split("\n", 2)[2]
    text = re.sub(r"^(simple_bind error\. Arguments:\n(?:.*\n)*?)Traceback.*\n.*\n", r"\1", text)
    text = re.sub(r"\[\d\d:\d\d:\d\d\] \S+?:\d+: ", "", text)
    text = re.sub(r"(^|\n)MXNetError: ", r"\1", text)
    text = re.sub(r"Check failed: .*? : (?=\S)", "", text)
    text = re.sub(r"Check failed: [^:]*(?:::[^:]+)*: ", "", text)
    return text.strip()


def required(row):
    """The required parameters of an operator, with guessed values."""
    found = {}
    for arg in row["args"]:
        if len(arg) > 2 and (arg[3] or arg[0] == row.get("count")):
            kind = arg[1]
            if kind.startswith("{"):
                choices = [item.strip() for item in kind[1:-1].split(",")]
                found[arg[0]] = next(item for item in choices if item != "None").strip("'")
            else:
                found[arg[0]] = GUESSES.get(kind, "1")
    return found


def facts(row):
    handle = ctypes.c_void_p()
    check_call(_LIB.NNGetOpHandle(row["name"].encode(), ctypes.byref(handle)))
    attrs = required(row)
    symbol = _symbol_creator(handle.value, None, {}, list(attrs), list(attrs.values()), "n", False)
    graph = json.loads(symbol.tojson(remove_amp_cast=False))
    rows = graph["node_row_ptr"]
    return {
        "attrs": attrs,
        "outputs": rows[-1] - rows[-2],
        "names": symbol.list_outputs(),
        "inputs": symbol.list_inputs(),
        "aux": symbol.list_auxiliary_states(),
        "init": {n["name"]: n["attrs"]["__init__"] for n in graph["nodes"] if "__init__" in n.get("attrs", {})},
    }


def operators():
    """Facts of every operator that can be composed of variables. Some kill the process, so each has its own."""
    found = {}
    rows = json.loads((ROOT / "src/tensorkeep/mxnet/operators.json").read_text())
    for row in rows:
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                os.write(writer, json.dumps(facts(row)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            text = pipe.read()
        os.waitpid(pid, 0)
        if text:
            found[row["name"]] = json.loads(text)
    return found


def dtype_names(group):
    return None if group is None else [None if d is None else d.__name__ for d in group]


def summary(symbol, shapes):
    """What print_summary prints; None where it raises."""
    lines = io.StringIO()
    try:
        with contextlib.redirect_stdout(lines):
            mx.viz.print_summary(symbol, shapes)
    except Exception:  # noqa: BLE001  # it has no answer for networks without a batch dimension
        return None
    return lines.getvalue()


def symbols(cases):
    found = {}
    for name, (make, shapes, dtypes) in cases.SYMBOLS.items():
        mx.AttrScope._subgraph_names.clear()
        with mx.name.NameManager():
            symbol = make(mx)
        found[name] = {
            "json": symbol.tojson(),
            "name": symbol.name,
            "repr": repr(symbol),
            "arguments": symbol.list_arguments(),
            "auxiliary": symbol.list_auxiliary_states(),
            "outputs": symbol.list_outputs(),
            "inputs": symbol.list_inputs(),
            "internals": symbol.get_internals().list_outputs(),
            "attrs": symbol.attr_dict(),
            "own attrs": symbol.list_attr(),
            "debug": symbol.debug_str(),
            "summary": summary(symbol, shapes),
            "shapes": symbol.infer_shape(**shapes),
            "dtypes": [dtype_names(group) for group in symbol.infer_type(**dtypes)],
        }
    return found


def refusals(cases):
    found = {}
    for name, call in cases.REFUSED.items():
        try:
            result = call(mx)
        except BaseException as err:  # noqa: BLE001  # whatever it is, it is written down
            found[name] = [type(err).__name__, plain(str(err))]
        else:
            print(f"{name}: not refused, {result!r}")
    return found


def main():
    spec = importlib.util.spec_from_file_location("cases", ROOT / "tests" / "mxnet" / "symbol" / "cases.py")
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    record = {"operators": operators(), "symbols": symbols(cases), "refusals": refusals(cases)}
    out = ROOT / "tests" / "golden" / "mxnet" / "symbols.json.xz"
    out.write_bytes(lzma.compress(json.dumps(record, ensure_ascii=False, sort_keys=True).encode(), preset=9))
    print({name: len(group) for name, group in record.items()}, out.stat().st_size, "bytes")


sys.exit(main())
