"""Made-up and damaged networks: loading, asking for shapes and dtypes, running. MXNetError or a result, and in time."""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet._schema import all_names, schema
from tensorkeep.testing.guard import alarm
from tests.conftest import FUZZ_EXAMPLES
from tests.fuzz.corpus import GOLDEN

COUNT = FUZZ_EXAMPLES or 300
SEED = int(os.environ.get("TENSORKEEP_FUZZ_SEED", "1"))
SECONDS = 20.0  # of a case; most take a millisecond, and a busy machine is no hang
OPERATORS = sorted(all_names())
SHAPES: tuple[tuple[int, ...], ...] = ((2, 3), (1,), (2,), (1, 3, 8, 8), (4,), (2, 2), (1, 2, 4), (0,), (3,))
VALUES = (
    "0", "-1", "1", "2", "3", "1000000000000", "-1000000000000", "9223372036854775807", "9223372036854775808", "1e400",
    "nan", "inf", "", "None", "True", "False", "()", "(0,)", "(1,)", "(2, 2)", "(-1,)", "(1000000000,1000000000)",
    "(1,2,3,4,5,6,7)", "[1", "(0, 0)", "(2,)", "(1, 1)", "float16", "float64", "int32", "bool", "x", "[]", "1L", "-1.5",
    "(99999999999999999999,)", "(10000000000000,)",
)  # fmt: skip
ENORMOUS = 10**8
"""What a call may honestly be asked to make takes its time; here only what can't be made is tried."""


def graphs() -> list[dict[str, Any]]:
    """Networks that real MXNet wrote."""
    paths = [
        *GOLDEN.glob("mxnet/sym/*.json"),
        *GOLDEN.glob("mxnet/fused/*.json"),
        *GOLDEN.glob("mxnet/module/*symbol.json"),
    ]
    return [json.loads(path.read_text("utf-8")) for path in sorted(paths)]


def damaged(graph: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """One to five changes: other operators, parameters, inputs, heads."""
    made: dict[str, Any] = json.loads(json.dumps(graph))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        node = rng.choice(made["nodes"])
        key = next((key for key in ("attrs", "attr", "param") if key in node), "attrs")
        kind = rng.randrange(9)
        if kind == 0:
            node["op"] = rng.choice(OPERATORS)
        elif kind in (1, 2):
            attrs = node.setdefault(key, {})
            attrs[rng.choice([*attrs, "shape", "axis", "dtype", "__shape__", "__dtype__", "num_args"])] = rng.choice(
                VALUES
            )
        elif kind == 3 and node["inputs"]:
            entry = rng.choice(node["inputs"])
            entry[rng.randrange(len(entry))] = rng.choice((0, 1, 2, 3, 5, len(made["nodes"]) - 1, 100_000, -1))
        elif kind == 4 and node["inputs"]:
            node["inputs"].pop(rng.randrange(len(node["inputs"])))
        elif kind == 5:
            node["inputs"].append([rng.randrange(len(made["nodes"])), 0, 0])
        elif kind == 6:
            made["heads"] = [
                [rng.randrange(len(made["nodes"])), rng.choice((0, 0, 1)), 0] for _ in range(rng.randrange(3))
            ]
        elif kind == 7 and node.get(key):
            node[key].pop(rng.choice(list(node[key])))
        else:
            node["op"] = rng.choice(OPERATORS)
            node.pop(key, None)
    return made


def invented(rng: random.Random) -> dict[str, Any]:
    """A few operators with parameters of theirs, on inputs that may be too many or too few."""
    nodes: list[dict[str, Any]] = [{"op": "null", "name": f"v{i}", "inputs": []} for i in range(3)]
    for i in range(rng.choice((1, 1, 2, 4))):
        op = rng.choice(OPERATORS)
        facts = schema(op)
        attrs = {name: rng.choice(VALUES) for name in facts.params or {} if rng.random() < 0.5}
        count = rng.choice((len(facts.inputs), len(facts.inputs), 0, 1, 2, 3))
        entries = [[rng.randrange(len(nodes)), 0, 0] for _ in range(count)]
        nodes.append({"op": op, "name": f"n{i}", "attrs": attrs, "inputs": entries})
    return {
        "nodes": nodes,
        "arg_nodes": [0, 1, 2],
        "heads": [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }


def run(text: str, rng: random.Random) -> str:
    """Load a network, ask all that can be asked of it, and run it; what came of it."""
    symbol = mx.sym.load_json(text)
    names, states = symbol.list_arguments(), symbol.list_auxiliary_states()
    symbol.list_outputs()
    symbol.tojson()
    given = {name: rng.choice(SHAPES) for name in names if rng.random() < 0.7}
    shapes, outputs, state_shapes = symbol.infer_shape(**given)
    symbol.infer_type()
    if shapes is None:
        return "unknown shapes"
    if re.search(r'"max_iterations": "\d{5}', text):
        return "endless"  # a loop runs as long as it says
    if any(float(np.prod([float(n) for n in shape])) > ENORMOUS for shape in (*shapes, *outputs, *state_shapes)):
        return "enormous"
    made = [
        {n: mx.nd.array(np.ones(s, "float32")) for n, s in zip(*pair, strict=True)}
        for pair in ((names, shapes), (states, state_shapes))
    ]
    for out in symbol.bind(mx.cpu(), made[0], aux_states=made[1]).forward():
        out.asnumpy()
    return "ran"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("np_shape", [False, True], ids=["legacy", "np"])
def test_damaged_networks_do_no_harm(np_shape: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Each is refused by an MXNetError at one of the stages, or runs."""
    rng = random.Random(SEED + np_shape)
    good = graphs()
    outcomes: Counter[str] = Counter()
    bad: dict[str, str] = {}

    with mx.util.np_shape(np_shape):
        for _ in range((COUNT + 1) // 2):
            text = json.dumps(invented(rng) if rng.random() < 0.5 else damaged(rng.choice(good), rng))
            try:
                with alarm(SECONDS):
                    outcomes[run(text, rng)] += 1
            except mx.MXNetError:
                outcomes["refused"] += 1
            except BaseException as err:
                if isinstance(err, KeyboardInterrupt):
                    raise
                bad[f"{type(err).__name__}: {err!s:.150}"] = text

    print(dict(outcomes))
    assert bad == {}
    assert outcomes["ran"] > 0
    assert outcomes["refused"] > outcomes["ran"]
