"""Sums, means, products, extremes, norms over axes."""

from tests.mxnet.ops.case import Case, Given, Rand

NAN, INF = float("nan"), float("inf")
NAMES = ["sum", "mean", "prod", "nansum", "nanprod", "max", "min"]
TABLE = Given([[1, 2, 2], [0, 3, NAN], [0, 0, 0], [-1, -1, 2]])

CASES = [
    case
    for op in NAMES
    for case in [
        Case(op, (Rand((2, 3, 4)),)),
        Case(op, (Rand((2, 3, 4)),), {"axis": 1}),
        Case(op, (Rand((2, 3, 4)),), {"axis": -1}),
        Case(op, (Rand((2, 3, 4)),), {"axis": (0, 2)}),
        Case(op, (Rand((2, 3, 4)),), {"axis": (1, -1), "keepdims": True}),
        Case(op, (Rand((2, 3, 4)),), {"axis": ()}),
        Case(op, (Rand((2, 3, 4)),), {"keepdims": True}),
        Case(op, (Rand((2, 3, 4)),), {"axis": 1, "exclude": True}),
        Case(op, (Rand((2, 3, 4)),), {"axis": (0, -1), "exclude": True, "keepdims": True}),
        Case(op, (Rand((2, 3)),), {"axis": (0, 1), "exclude": True}, note="nothing reduced"),
        Case(op, (TABLE,), {"axis": 1}, note="ties and NaN"),
        Case(op, (Rand((2, 3), "float64"),), {"axis": 0}),
        Case(op, (Rand((2, 3), "float16"),), {"axis": 0}, rtol=1e-2),
        Case(op, (Given([[7, -2], [0, -5]], "int32"),)),
        Case(op, (Given([[7, -2], [3, -5]], "int64"),), {"axis": 1}),
        Case(op, (Given([[100, 100], [3, 5]], "int8"),), {"axis": 1}),
        Case(op, (Given([[7, 2], [200, 100]], "uint8"),), {"axis": 1}),
        Case(op, (Given([[True, False], [True, True], [False, False]], "bool"),), {"axis": 1}),
        Case(op, (Rand((2, 3)),), np=True),
        Case(op, (Rand(()),), np=True),
        Case(op, (Rand((2, 3)),), {"axis": 2}, error=True),
        Case(op, (Rand((2, 3)),), {"axis": (0, 0)}, error=True),
        Case(op, (Rand((2, 3)),), {"axis": -3}, error=True),
    ]
] + [
    Case("sum", (Rand((0, 3)),), {"axis": 0}, np=True),
    Case("sum", (Rand((2, 3)),), {"axis": "(0,)"}, note="text"),
    Case("sum", (Rand((2, 3)),), {"axis": "[0,1]"}, note="text of 2.0"),
    Case("max", (Rand((0, 3)),), np=True, error=True),
    Case("max", (Rand((0, 3)),), {"axis": 0}, np=True, error=True),
]
