"""The rules of layers give the shapes and dtypes that real MXNet infers (tools/mxnet_layer_shapes.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tensorkeep.mxnet._registry import get
from tests.mxnet.ops.queries_layers import SHAPES, TYPES

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "mxnet" / "ops" / "layer_shapes.json").read_text("utf-8"))


def named(queries: list[Any], answers: list[Any]) -> list[Any]:
    return [
        pytest.param(*query, answer, id=f"{query[0]}-{query[1]}-{query[2]}".replace(" ", ""))
        for query, answer in zip(queries, answers, strict=True)
    ]


def inputs(op: Any, attrs: dict[str, Any]) -> tuple[dict[str, Any], int]:
    complete = op.complete(attrs)
    return complete, len(op.input_names(complete))


@pytest.mark.parametrize(("name", "attrs", "known", "wanted"), named(SHAPES, GOLDEN[: len(SHAPES)]))
def test_shapes_follow_as_in_mxnet(name: str, attrs: dict[str, Any], known: dict[int, Any], wanted: Any) -> None:
    """Parameters, labels and outputs have the shapes that MXNet infers; hidden outputs are counted as it counts them."""
    op = get(name)
    complete, count = inputs(op, attrs)
    given = [tuple(size or -1 for size in known[i]) if i in known else None for i in range(count)]

    found = [given, given[:1]] if op.shape == "same" else op.shape(given, complete)

    assert [[s and list(s) for s in shapes] for shapes in found] == wanted[:2]
    assert op.outputs(complete) == wanted[2]


@pytest.mark.parametrize(("name", "attrs", "known", "wanted"), named(TYPES, GOLDEN[len(SHAPES) :]))
def test_dtypes_follow_as_in_mxnet(name: str, attrs: dict[str, Any], known: dict[int, str], wanted: Any) -> None:
    """Parameters and outputs have the dtypes that MXNet infers from the same inputs."""
    op = get(name)
    complete, count = inputs(op, attrs)
    given = [known.get(i) for i in range(count)]

    if op.dtype == "same":
        found = [[known[0]] * count, [known[0]] * op.visible(complete)]
    else:
        found = [list(dtypes) for dtypes in op.dtype(given, complete)]

    assert found == wanted
