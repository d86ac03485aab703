"""Concat, stack, the splits, where."""

from tests.mxnet.ops.case import Case, Given, Rand

X = (2, 3, 4)
INT = Rand(X, "int32", "int", -9, 9)
EVEN = Given([[1, 0], [0, 1]])

CASES = [
    *(Case("Concat", (X, X), {"num_args": 2, "dim": dim}) for dim in (0, 1, 2, -1, -3)),
    Case("Concat", (X, (2, 1, 4), (2, 2, 4)), {"num_args": 3}),
    Case("Concat", (X,), {"num_args": 1, "dim": 0}),
    Case("Concat", ((2,), (3,)), {"num_args": 2, "dim": 0}),
    Case("Concat", (INT, INT), {"num_args": 2, "dim": 0}),
    Case("Concat", (Rand(X, "float16"), Rand(X, "float16")), {"num_args": 2, "dim": 0}),
    Case("Concat", (X, X), {"num_args": 2, "dim": 3}, error=True),
    Case("Concat", (X, Rand(X, "float64")), {"num_args": 2}, error=True),
    Case("Concat", (X, (2, 1, 4)), {"num_args": 2, "dim": 2}, error=True),
    Case("Concat", (X, (2, 1)), {"num_args": 2}, error=True),
    *(Case("stack", (X, X), {"num_args": 2, "axis": axis}) for axis in (0, 1, 3, -1, -4)),
    Case("stack", ((3,), (3,), (3,)), {"num_args": 3}),
    Case("stack", (INT, INT), {"num_args": 2, "axis": 1}),
    Case("stack", (X, X), {"num_args": 2, "axis": 4}, error=True),
    Case("stack", (X, INT), {"num_args": 2}, error=True),
    Case("SliceChannel", (X,), {"num_outputs": 3}),
    Case("SliceChannel", (X,), {"num_outputs": 3, "squeeze_axis": True}),
    Case("SliceChannel", (X,), {"num_outputs": 2, "axis": -1}),
    Case("SliceChannel", (X,), {"num_outputs": 1, "axis": 0}),
    Case("SliceChannel", (INT,), {"num_outputs": 4, "axis": 2, "squeeze_axis": True}),
    Case("SliceChannel", (X,), {"num_outputs": 2}, error=True),
    Case("SliceChannel", (X,), {"num_outputs": 2, "axis": 2, "squeeze_axis": True}, error=True),
    Case("SliceChannel", (X,), {"num_outputs": 1, "axis": 3}, error=True),
    Case("_split_v2", (X,), {"indices": (0, 1), "axis": 1}),
    Case("_split_v2", (X,), {"indices": (), "axis": 1, "sections": 3}),
    Case("_split_v2", (X,), {"indices": (), "axis": 1, "sections": 3, "squeeze_axis": True}),
    Case("_split_v2", (X,), {"indices": (), "axis": 1, "sections": 2}),
    Case("_split_v2", (X,), {"indices": (0, 1, 2), "axis": -1}),
    Case("_split_v2", (X,), {"indices": (0, 1, 2), "axis": 1, "squeeze_axis": True}),
    Case("_split_v2", (X,), {"indices": (0, 1), "axis": 1, "squeeze_axis": True}, error=True),
    Case("_split_v2", (X,), {"indices": (0, 5), "axis": 1}, error=True),
    Case("_split_v2", (X,), {"indices": (0, 2, 1), "axis": 1}, error=True),
    Case("_split_v2", (X,), {"indices": (1, 2), "axis": 1}, error=True),
    Case("_split_v2", (X,), {"indices": (0, 2, 2), "axis": 1}, np=True, grad=False),
    Case("where", (EVEN, (2, 2), (2, 2))),
    Case("where", (Given([1, 0]), (2, 2), (2, 2))),
    Case("where", (Given([1, 0], "int32"), (2, 2, 3), (2, 2, 3))),
    Case("where", (Given([[float("nan"), 0], [0.5, -1]]), (2, 2), (2, 2))),
    Case("where", (Given([[1, 0]], "int64"), Rand((1, 2), "int32", "int", 0, 9), Rand((1, 2), "int32", "int", 0, 9))),
    Case("where", (EVEN, Given([[float("inf")] * 2] * 2), (2, 2)), note="inf"),
    Case("where", (Given([1, 0, 1]), (2, 2), (2, 2)), error=True),
    Case("where", (Given([[1, 0]]), (2, 2), (2, 2)), error=True),
    Case("where", (EVEN, (2, 2), (2,)), error=True),
]
