"""Arithmetic of arrays: broadcast_*, elemwise_*, _maximum and their kin, add_n."""

from tests.mxnet.ops.case import Case, Given, Rand

BROADCASTING = ["add", "sub", "mul", "div", "mod", "power", "maximum", "minimum", "hypot"]
MATCHING = [
    "elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div", "_mod", "_power", "_maximum", "_minimum", "_hypot",
]  # fmt: skip
NAN, INF = float("nan"), float("inf")
LEFT = [0, 0, 1, 2, NAN, 1, INF, -1, -2, -7.5]
RIGHT = [0, 1, 0, 2, 1, NAN, 1, 2, 1.5, 2]


def floats(shape, dtype="float32"):
    return Rand(shape, dtype, "uniform", 0.5, 3.0)


CASES = [
    case
    for op in [f"broadcast_{name}" for name in BROADCASTING]
    for case in [
        Case(op, (floats((2, 3)), floats((2, 3)))),
        Case(op, (floats((2, 1, 3)), floats((1, 4, 1))), note="both broadcast"),
        Case(op, (floats((3,)), floats((2, 3))), note="ranks differ"),
        Case(op, (floats((2, 3), "float64"), floats((1, 3), "float64"))),
        Case(op, (floats((2, 3), "float16"), floats((2, 1), "float16"))),
        Case(op, (Given([7, -7, 5, 0], "int32"), Given([2, 2, -3, 4], "int32"))),
        Case(op, (Given([7, 100, 5, 0], "int8"), Given([2, 3, 1, 4], "int8"))),
        Case(op, (Given([7, 9, 5, 0], "uint8"), Given([2, 3, 3, 4], "uint8"))),
        Case(op, (Given([7, -9, 5, 0], "int64"), Given([2, 3, -3, 4], "int64"))),
        Case(op, (Given(LEFT), Given(RIGHT)), note="edges"),
        Case(op, (floats(()), floats((2,))), np=True),
        Case(op, (floats((0, 3)), floats((1, 3))), np=True),
        Case(op, (floats((2, 3)), floats((3, 2))), error=True),
        Case(op, (floats((2, 3)), floats((2, 3), "float64")), error=True),
        Case(op, (Given([True, False], "bool"), Given([True, True], "bool")), error=True),
    ]
]
CASES += [
    case
    for op in MATCHING
    for case in [
        Case(op, (floats((2, 3)), floats((2, 3)))),
        Case(op, (floats((2, 3), "float64"), floats((2, 3), "float64"))),
        Case(op, (floats((2, 3), "float16"), floats((2, 3), "float16"))),
        Case(op, (Given([7, -7, 5, 0], "int32"), Given([2, 2, -3, 4], "int32"))),
        Case(op, (Given(LEFT), Given(RIGHT)), note="edges"),
        Case(op, (floats(()), floats(())), np=True),
        Case(op, (floats((2, 3)), floats((1, 3))), error=True),
        Case(op, (floats((2, 3)), floats((2, 3), "float64")), error=True),
        Case(op, (Given([True, False], "bool"), Given([True, True], "bool")), error=True),
    ]
]
CASES += [
    Case("broadcast_mod", (Given([7, -7, 0], "int32"), Given([0, 0, 0], "int32")), note="by zero"),
    Case("_grad_add", ((2, 3), (2, 3)), grad=False),
    Case("_grad_add", ((2, 3), (3,)), error=True),
    Case("_scatter_elemwise_div", (floats((2, 3)), floats((2, 3))), grad=False),
    Case("add_n", ((2, 3),), {"num_args": 1}),
    Case("add_n", ((2, 3), (2, 3), (2, 3)), {"num_args": 3}),
    Case("add_n", (Given([1, 2], "int32"), Given([3, 4], "int32")), {"num_args": 2}),
    Case("add_n", ((2, 3), (2, 1)), {"num_args": 2}, error=True),
    Case("add_n", ((2, 3), Rand((2, 3), "float64")), {"num_args": 2}, error=True),
    Case("add_n", (), {"num_args": 0}, error=True),
]
