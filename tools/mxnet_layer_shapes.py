"""Asks real MXNet 1.9.1 what shapes and dtypes of layers follow: run by an interpreter that has it.

python tools/mxnet_layer_shapes.py    tests/mxnet/ops/queries_layers.py → tests/golden/mxnet/ops/layer_shapes.json
"""

import importlib.util
import json
from pathlib import Path

import mxnet as mx
import numpy as np

ROOT = Path(__file__).resolve().parent.parent


def symbol(op, attrs):
    """The operator on variables; MXNet makes those that are not given."""
    made = getattr(mx.sym, op, None) or getattr(mx.sym.contrib, op.removeprefix("_contrib_"))
    return made(mx.sym.var("a0"), name="n", **attrs)


def inputs_of(sym):
    """The names of all inputs in the order of the operator: arguments, then auxiliary states."""
    nodes = json.loads(sym.tojson())["nodes"]
    return [nodes[at]["name"] for at, _, _ in nodes[-1]["inputs"]]


def plain(shape):
    return None if not shape else [size or -1 for size in shape]


def name_of(dtype):
    return None if dtype is None else np.dtype(dtype).name


def main():
    path = ROOT / "tests" / "mxnet" / "ops" / "queries_layers.py"
    spec = importlib.util.spec_from_file_location("queries_layers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shapes, types = [], []
    for op, attrs, known in module.SHAPES:
        sym = symbol(op, attrs)
        names = inputs_of(sym)
        args, outs, aux = sym.infer_shape_partial(**{names[at]: shape for at, shape in known.items()})
        found = dict(zip(sym.list_arguments() + sym.list_auxiliary_states(), args + aux, strict=True))
        rows = json.loads(sym.tojson())["node_row_ptr"]
        shapes.append([[plain(found[name]) for name in names], [plain(shape) for shape in outs], rows[-1] - rows[-2]])
    for op, attrs, known in module.TYPES:
        sym = symbol(op, attrs)
        names = inputs_of(sym)
        args, outs, aux = sym.infer_type_partial(**{names[at]: dtype for at, dtype in known.items()})
        found = dict(zip(sym.list_arguments() + sym.list_auxiliary_states(), args + aux, strict=True))
        types.append([[name_of(found[name]) for name in names], [name_of(dtype) for dtype in outs]])
    out = ROOT / "tests" / "golden" / "mxnet" / "ops" / "layer_shapes.json"
    lines = [json.dumps(line) for line in (*shapes, *types)]
    out.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{len(shapes)} shapes, {len(types)} dtypes")


main()
