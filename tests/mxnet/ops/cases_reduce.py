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
CASES += [
    Case("norm", (TABLE,), {"axis": 1}, note="zero and NaN"),
    Case("norm", (TABLE,), {"axis": 1, "ord": 1}, note="zero and NaN"),
    *[
        case
        for order in (1, 2)
        for case in [
            Case("norm", (Rand((2, 3, 4)),), {"ord": order}),
            Case("norm", (Rand((2, 3, 4)),), {"ord": order, "axis": 1}),
            Case("norm", (Rand((2, 3, 4)),), {"ord": order, "axis": (0, -1)}),
            Case("norm", (Rand((2, 3, 4)),), {"ord": order, "axis": (0, 1, 2)}),
            Case("norm", (Rand((2, 3, 4)),), {"ord": order, "axis": -1, "keepdims": True}),
            Case("norm", (Rand((2, 3), "float64"),), {"ord": order, "axis": 1}),
            Case("norm", (Rand((2, 3), "float16"),), {"ord": order, "axis": 1}, rtol=1e-2),
            Case("norm", (Rand(()),), {"ord": order}, np=True),
            Case("norm", (Rand((0, 2)),), {"ord": order}, np=True, grad=False),
        ]
    ],
    Case("norm", (Given([[3, -4], [1, 2]], "int32"),), {"ord": 1, "axis": 1}),
    Case("norm", (Given([1e30, 1e30]),), note="large"),
    Case("norm", (Given([1e-30, 1e-30]),), note="small"),
    Case("norm", (Rand((2, 3)),), {"out_dtype": "float32"}),
    Case("norm", (Rand((2, 3)),), {"ord": 3}, error=True),
    Case("norm", (Rand((2, 3)),), {"axis": 2}, error=True),
    Case("moments", (Rand((2, 3, 4)),), {"axes": 0}),
    Case("moments", (Rand((2, 3, 4)),), {"axes": (0, 2)}),
    Case("moments", (Rand((2, 3)),), {"axes": (0, 1)}),
    Case("moments", (Rand((2, 3)),), {"axes": -1, "keepdims": True}),
    Case("moments", (Rand((2, 3), "float64"),), {"axes": 0}),
    Case("moments", (Rand((2, 3), "float16"),), {"axes": 0}, rtol=1e-2),
    Case("moments", (Given([[1, 2], [3, 5]], "int32"),), {"axes": 0}),
    Case("moments", (Rand((2, 3)),), error=True),
    Case("moments", (Rand((2, 3)),), {"axes": 3}, error=True),
]
