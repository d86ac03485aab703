"""Arithmetic of an array and a number."""

from tests.mxnet.ops.case import Case, Given, Rand

NAMES = [
    "plus", "minus", "rminus", "mul", "div", "rdiv", "mod", "rmod", "power", "rpower", "maximum", "minimum", "hypot",
]  # fmt: skip
NAN, INF = float("nan"), float("inf")
EDGES = Given([0, 1, 2, 2.5, -1, -2, -2.5, NAN, INF, -INF])
INTS = [1, 2, -7, 5]


def reversed_by_zero(name):
    return name in ("rdiv", "rmod")


CASES = [
    case
    for name in NAMES
    for op in [f"_{name}_scalar"]
    for case in [
        Case(op, (Rand((2, 3), "float32", "uniform", 0.5, 3.0),), {"scalar": 1.3}),
        Case(op, (Rand((2, 3), "float32", "uniform", 0.5, 3.0),)),
        Case(op, (Rand((2, 3), "float64", "uniform", 0.5, 3.0),), {"scalar": 1.3}),
        Case(op, (Rand((2, 3), "float16", "uniform", 0.5, 3.0),), {"scalar": 1.3}),
        Case(op, (EDGES,), {"scalar": 2}, note="edges"),
        Case(op, (EDGES,), {"scalar": -1.5}, note="edges"),
        Case(op, (EDGES,), {"scalar": 0}, note="edges"),
        Case(op, (Given(INTS, "int32"),), {"scalar": 2.7}),
        Case(op, (Given(INTS, "int32"),), {"scalar": -2}),
        Case(op, (Given(INTS, "int32"),), {"scalar": 2.5, "is_int": False}),
        Case(op, (Given([1, 2, 5], "int64"),), {"scalar": 3}),
        Case(op, (Given([1, 2, 5], "int8"),), {"scalar": 3}),
        Case(op, (Given([1, 2, 5], "uint8"),), {"scalar": 2.2}),
        Case(op, (Given([True, True], "bool"),), {"scalar": 2.7}),
        Case(op, (Rand((), "float32", "uniform", 0.5, 3.0),), {"scalar": 1.3}, np=True),
        Case(op, (Rand((0, 2)),), {"scalar": 1.3}, np=True),
    ]
] + [
    Case("_plus_scalar", (Given([1, 2, 3], "int8"),), {"scalar": 300.7}, note="wraps"),
    Case("_mul_scalar", (Given([1, 2, 3], "uint8"),), {"scalar": 300}, note="wraps"),
    Case("_mod_scalar", (Given([1, -2, 3], "int32"),), {"scalar": 0}, note="by zero"),
    Case("_plus_scalar", (Given([1, 2, 3]),), {"scalar": "1.5"}, note="text"),
    Case("_plus_scalar", (Given([1, 2, 3]),), {"scalar": "many"}, error=True),
    Case("_plus_scalar", (Given([1, 2, 3]),), {"scaler": 1}, error=True),
    Case("_scatter_plus_scalar", ((2, 3),), {"scalar": 1.5}, grad=False),
    Case("_scatter_minus_scalar", ((2, 3),), {"scalar": 1.5}, grad=False),
]
