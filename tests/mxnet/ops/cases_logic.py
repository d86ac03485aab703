"""Comparisons and logic."""

from tests.mxnet.ops.case import Case, Given, Rand

NAMES = [
    "equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal", "logical_and", "logical_or",
    "logical_xor",
]  # fmt: skip
NAN, INF = float("nan"), float("inf")
LEFT = Given([0, 0, 1, 2, NAN, 1, INF, -1, -2, -7.5])
RIGHT = Given([0, 1, 0, 2, 1, NAN, INF, 2, -2, -0.0])

CASES = [
    case
    for name in NAMES
    for case in [
        Case(f"broadcast_{name}", (Rand((2, 1), "float32", "int", 0, 3), Rand((1, 3), "float32", "int", 0, 3))),
        Case(f"broadcast_{name}", (LEFT, RIGHT), note="edges"),
        Case(f"broadcast_{name}", (Given([0, 1, 2], "int32"), Given([1, 1, 1], "int32"))),
        Case(f"broadcast_{name}", (Rand((2, 3), "float64"), Rand((3,), "float64"))),
        Case(f"broadcast_{name}", ((2, 3), (3, 2)), error=True),
        Case(f"broadcast_{name}", ((2, 3), Rand((2, 3), "float16")), error=True),
        Case(f"broadcast_{name}", (Given([True], "bool"), Given([False], "bool")), error=True),
        Case(f"_{name}", (LEFT, RIGHT), note="edges"),
        Case(f"_{name}", (Given([0, 1, 2], "int64"), Given([1, 1, 1], "int64"))),
        Case(f"_{name}", (Given([0, 1, 2], "float16"), Given([1, 1, 1], "float16"))),
        Case(f"_{name}", ((2, 3), (3,)), error=True),
        Case(f"_{name}_scalar", (LEFT,), {"scalar": 1}),
        Case(f"_{name}_scalar", (LEFT,), {"scalar": 0}),
        Case(f"_{name}_scalar", (Given([0.1, 0.2, 0.0]),), {"scalar": 0.1}, note="rounded"),
        Case(f"_{name}_scalar", (Given([0.1, 0.2, 0.0], "float16"),), {"scalar": 0.1}, note="rounded"),
        Case(f"_{name}_scalar", (Given([0, 1, 2], "int32"),), {"scalar": 1.5}),
        Case(f"_{name}_scalar", (Given([0, 1, 2], "int32"),), {"scalar": 1.5, "is_int": False}),
        Case(f"_{name}_scalar", (Given([True, False], "bool"),), {"scalar": 1}),
    ]
] + [
    Case("logical_not", (LEFT,)),
    Case("logical_not", (Given([0, 1, 2], "int32"),)),
    Case("logical_not", (Given([True], "bool"),), error=True),
]
CASES = [Case(**{**vars(case), "grad": False}) for case in CASES]
