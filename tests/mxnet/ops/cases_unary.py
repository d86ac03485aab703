"""Functions of one array."""

from tests.mxnet.ops.case import Case, Given, Rand

ANYWHERE = [
    "abs", "sign", "negative", "square", "relu", "ceil", "floor", "trunc", "fix", "rint", "round", "cbrt", "rcbrt",
    "exp", "expm1", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh", "degrees", "radians", "gamma",
    "gammaln", "erf", "sigmoid", "softsign", "reciprocal",
]  # fmt: skip
POSITIVE = ["sqrt", "rsqrt", "log", "log10", "log2", "log1p"]
INSIDE_ONE = ["arcsin", "arccos", "arctanh", "erfinv"]
NAN, INF = float("nan"), float("inf")
FLOAT32_CONSTANTS = ("degrees", "radians", "gammaln", "erf", "erfinv", "gamma")
"""MXNet computes them (or their derivatives) of float64 with constants rounded to float32; we do not."""
EDGES = Given([0, -0.0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3, INF, -INF])

CASES = [
    case
    for op, low, high in [
        *[(op, -3.0, 3.0) for op in ANYWHERE],
        *[(op, 0.1, 5.0) for op in POSITIVE],
        *[(op, -0.9, 0.9) for op in INSIDE_ONE],
        ("arccosh", 1.1, 5.0),
    ]
    for case in [
        Case(op, (Rand((2, 3), "float32", "uniform", low, high),)),
        Case(op, (Rand((2, 3), "float64", "uniform", low, high),), rtol=1e-6 if op in FLOAT32_CONSTANTS else None),
        Case(op, (Rand((2, 3), "float16", "uniform", low, high),), rtol=2e-2 if op in ("gamma", "tan") else None),
        Case(op, (EDGES if op != "rsqrt" else Given([0, 1, -1, INF, -INF]),), note="edges"),
        Case(op, (Given([NAN]),), note="NaN", grad=False),
        Case(op, (Rand((), "float32", "uniform", low, high),), np=True),
        Case(op, (Rand((0, 2)),), np=True),
        Case(op, (Given([1, 2, 3] if op != "erfinv" else [0, 0], "int32"),)),
        Case(op, (Given([1, 2, 3] if op != "erfinv" else [0, 0], "uint8"),)),
        Case(op, (Given([True], "bool"),), error=True),
    ]
] + [
    Case("round", (Given([0.49999997, -0.49999997, 8388609.0, 0.5]),), note="near the middle"),
    Case("clip", (Rand((2, 3)),), {"a_min": -0.5, "a_max": 0.5}),
    Case("clip", (Given([0, 1, 1.5, 2, 3]),), {"a_min": 1, "a_max": 2}, note="edges"),
    Case("clip", (Rand((2, 3), "float64"),), {"a_min": -0.5, "a_max": 0.5}),
    Case("clip", (Given([0, 1, 2, 3, -4], "int32"),), {"a_min": -1.5, "a_max": 2.5}),
    Case("clip", (Given([0, 1, 2, 3], "uint8"),), {"a_min": 1, "a_max": 2}),
    Case("clip", (Given([1.0]),), {"a_min": 1}, error=True),
    Case("clip", (Given([True], "bool"),), {"a_min": 0, "a_max": 1}, error=True),
    Case("hard_sigmoid", (Rand((2, 3)),)),
    Case("hard_sigmoid", (Given([-2.5, 2.5, 0, 10, -10, INF, -INF]),), note="edges"),
    Case("hard_sigmoid", (Rand((2, 3), "float64"),), {"alpha": 0.3, "beta": 0.4}),
    Case("hard_sigmoid", (Given([1, 2], "int32"),), error=True),
    Case("smooth_l1", (Rand((2, 3)),), {"scalar": 1.0}),
    Case("smooth_l1", (Given([0, 1, 2, 0.25, -0.25, -3]),), {"scalar": 2}, note="edges"),
    Case("smooth_l1", (Rand((2, 3), "float64"),), {"scalar": 3.0}),
    Case("smooth_l1", (Rand((2, 3)),), note="no scalar"),
    Case("smooth_l1", (Given([1, 2, -3], "int32"),), {"scalar": 2}),
]
