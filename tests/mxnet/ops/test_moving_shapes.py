"""Shapes of operators that move values, when not every dimension is known; and what their errors can be caught as."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx

sym = mx.sym
X, Y = sym.var("x"), sym.var("y")

# What MXNet 1.9.1's infer_shape_partial gives: 0 is a dimension, () a shape that is not known.
PARTIAL: list[tuple[str, Any, dict[str, tuple[int, ...]], list[tuple[int, ...]], tuple[int, ...]]] = [
    ("keep the rest", sym.reshape(X, shape=(0, -1)), {"x": (0, 3, 4)}, [(0, 3, 4)], (0, 0)),
    ("merge unknown", sym.reshape(X, shape=(-3, 0)), {"x": (0, 3, 4)}, [(0, 3, 4)], (0, 4)),
    ("copy all", sym.reshape(X, shape=(-2,)), {"x": (0, 3, 4)}, [(0, 3, 4)], (0, 3, 4)),
    ("split", sym.reshape(X, shape=(0, 0, -4, 2, -1)), {"x": (0, 3, 4)}, [(0, 3, 4)], (0, 3, 2, 2)),
    ("backwards", sym.reshape(X, shape=(2, 12)), {"x": (0, 3, 4)}, [(2, 3, 4)], (2, 12)),
    ("transpose", sym.transpose(X, axes=(2, 0, 1)), {"x": (0, 3, 4)}, [(0, 3, 4)], (4, 0, 3)),
    ("swapaxes", sym.swapaxes(X, dim1=0, dim2=1), {"x": (0, 3)}, [(0, 3)], (3, 0)),
    ("expand_dims", sym.expand_dims(X, axis=1), {"x": (0, 3)}, [(0, 3)], (0, 1, 3)),
    ("slice_axis", sym.slice_axis(X, axis=1, begin=1, end=2), {"x": (0, 3)}, [(0, 3)], (0, 1)),
    ("slice_like", sym.slice_like(X, Y), {"x": (4, 3), "y": (2, 0)}, [(4, 3), (2, 0)], (2, 0)),
    ("split into parts", sym.split(X, num_outputs=3, axis=1)[0], {"x": (0, 3)}, [(0, 3)], (0, 1)),
    ("concat to input", sym.concat(X, Y, dim=1), {"x": (0, 3), "y": (4, 0)}, [(4, 3), (4, 0)], (4, 0)),
    ("pick to index", sym.pick(X, Y), {"x": (2, 3)}, [(2, 3), (2,)], (2,)),
    ("dot", sym.dot(X, Y), {"x": (0, 3), "y": (3, 4)}, [(0, 3), (3, 4)], (0, 4)),
    ("batch_dot", sym.batch_dot(X, Y), {"x": (0, 2, 3), "y": (0, 3, 4)}, [(0, 2, 3), (0, 3, 4)], (0, 2, 4)),
    ("repeat", sym.repeat(X, repeats=2, axis=1), {"x": (0, 3)}, [(0, 3)], (0, 6)),
    ("reverse", sym.reverse(X, axis=0), {"x": (0, 3)}, [(0, 3)], (0, 3)),
    (
        "pad", sym.pad(X, mode="constant", pad_width=(0, 0, 0, 0, 1, 1, 1, 1)), {"x": (0, 3, 4, 4)},
        [(0, 3, 4, 4)], (0, 3, 6, 6),
    ),
    ("depth_to_space", sym.depth_to_space(X, block_size=2), {"x": (0, 4, 2, 2)}, [(0, 4, 2, 2)], (0, 1, 4, 4)),
    ("anchors", sym.contrib.MultiBoxPrior(X), {"x": (0, 3, 4, 5)}, [(0, 3, 4, 5)], (1, 20, 4)),
    ("box_iou", sym.contrib.box_iou(X, Y), {"x": (0, 4), "y": (3, 4)}, [(0, 4), (3, 4)], (0, 3)),
    ("stack", sym.stack(X, Y, axis=1), {"x": (0, 3), "y": (2, 3)}, [(2, 3), (2, 3)], (2, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "given", "inputs", "output"), [row[1:] for row in PARTIAL], ids=[r[0] for r in PARTIAL]
)
def test_unknown_dimensions_go_through(symbol, given, inputs, output) -> None:
    """What is known of the inputs says as much of the output as MXNet says, and what follows for other inputs."""
    found, outputs, _ = symbol.infer_shape_partial(**given)

    assert found == inputs
    assert outputs == [output]


def test_the_condition_of_where_may_be_a_vector() -> None:
    """Nothing is deduced of it from the values."""
    symbol = sym.where(sym.var("c"), X, Y)

    assert symbol.infer_shape(c=(2,), x=(2, 3))[1] == [(2, 3)]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: mx.nd.gather_nd(mx.nd.zeros((2, 3)), mx.nd.array([[0, 5]])), "index 5 is out of bounds for axis 0"),
        (lambda: mx.nd.gather_nd(mx.nd.zeros((2, 3)), mx.nd.array([[0, -3]])), "index -3 is out of bounds for axis 0"),
        (lambda: mx.nd.scatter_nd(mx.nd.zeros(2), mx.nd.array([[0, 5]]), shape=(3,)), "index 5 is out of bounds"),
    ],
)
def test_an_index_outside_is_an_index_error(call, text) -> None:
    """MXNet raises IndexError there; it is an MXNetError as well."""
    with pytest.raises(IndexError, match=text):
        call()
    with pytest.raises(mx.MXNetError, match=text):
        call()


def test_a_dimension_is_inferred_behind_a_split_too() -> None:
    """MXNet 1.9.1 writes beyond its array for these codes and crashes."""
    data = mx.nd.zeros((2, 3, 4))

    assert mx.nd.reshape(data, shape=(-4, 1, 2, -1)).shape == (1, 2, 12)
    assert mx.nd.reshape(data, shape=(-2, -1)).shape == (2, 3, 4, 1)
