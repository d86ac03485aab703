"""Sorting and searching."""

from tests.mxnet.ops.case import Case, Given, Rand

TIES = Given([[3, 1, 3], [0, 5, 5]])
INTS = Given([[3, 1, 2], [0, 5, 5]], "int32")
SHUFFLED = Rand((2, 3, 4), "float32", "perm")

CASES = [
    Case("sort", (SHUFFLED,), grad=False),
    Case("sort", (SHUFFLED,), {"axis": -1}),
    Case("sort", (SHUFFLED,), {"axis": 1}),
    Case("sort", (SHUFFLED,), {"axis": None}),
    Case("sort", (SHUFFLED,), {"axis": 0, "is_ascend": False}),
    Case("sort", (Rand((2, 3), "float64"),), {"axis": 1}),
    Case("sort", (INTS,)),
    Case("sort", (Given([3, 1, 2], "uint8"),), {"is_ascend": 0}),
    Case("sort", (Rand((0, 2)),), {"axis": 0}, np=True, grad=False),
    Case("sort", (SHUFFLED,), {"axis": 3}, error=True),
    Case("sort", (SHUFFLED,), {"axis": -4}, error=True),
    Case("sort", (Rand(()),), np=True, error=True),
    Case("sort", (Given([True], "bool"),), error=True),
    Case("argsort", (SHUFFLED,), grad=False),
    Case("argsort", (SHUFFLED,), {"axis": 0}, grad=False),
    Case("argsort", (SHUFFLED,), {"axis": None}, grad=False),
    Case("argsort", (SHUFFLED,), {"is_ascend": False}, grad=False),
    Case("argsort", (SHUFFLED,), {"dtype": "int32"}, grad=False),
    Case("argsort", (TIES,), {"dtype": "int64"}, grad=False, note="ties"),
    Case("argsort", (TIES,), {"is_ascend": False}, grad=False, note="ties"),
    Case("argsort", (INTS,), {"dtype": "uint8"}),
    Case("argsort", (SHUFFLED,), {"axis": 3}, error=True),
    *[
        case
        for kind in ("indices", "value", "both", "mask")
        for case in [
            Case("topk", (SHUFFLED,), {"ret_typ": kind, "k": 2}, grad=kind in ("value", "both")),
            Case("topk", (SHUFFLED,), {"ret_typ": kind, "k": 2, "axis": 1}, grad=kind in ("value", "both")),
            Case("topk", (SHUFFLED,), {"ret_typ": kind, "k": 5, "axis": None}, grad=kind in ("value", "both")),
            Case("topk", (SHUFFLED,), {"ret_typ": kind, "k": 0}, grad=kind in ("value", "both")),
            Case("topk", (SHUFFLED,), {"ret_typ": kind, "k": 1, "is_ascend": True}, grad=kind in ("value", "both")),
            Case("topk", (TIES,), {"ret_typ": kind, "k": 2}, grad=kind in ("value", "both"), note="ties"),
            Case("topk", (INTS,), {"ret_typ": kind, "k": 2}),
            Case("topk", (INTS,), {"ret_typ": kind, "k": 2, "dtype": "int64"}),
            Case("topk", (Rand((3,), "float64"),), {"ret_typ": kind, "k": 2}, grad=kind in ("value", "both")),
        ]
    ],
    Case("topk", (SHUFFLED,), grad=False),
    Case("topk", (SHUFFLED,), {"k": -1}, grad=False),
    Case("topk", (SHUFFLED,), {"k": 5}, error=True),
    Case("topk", (SHUFFLED,), {"axis": 3}, error=True),
    Case("topk", (SHUFFLED,), {"ret_typ": "values"}, error=True),
    Case("topk", (Given([True], "bool"),), error=True),
    *[
        case
        for op in ("argmax", "argmin")
        for case in [
            Case(op, (SHUFFLED,), grad=False),
            Case(op, (SHUFFLED,), {"keepdims": True}, grad=False),
            Case(op, (SHUFFLED,), {"axis": 1}, grad=False),
            Case(op, (SHUFFLED,), {"axis": -1, "keepdims": True}, grad=False),
            Case(op, (TIES,), {"axis": 1}, grad=False, note="ties"),
            Case(op, (Given([[0, 3, float("nan")], [1, 2, 1]]),), {"axis": 1}, grad=False, note="NaN"),
            Case(op, (Rand((3,)),), {"axis": 0}, grad=False),
            Case(op, (Rand((3,), "float64"),), {"axis": 0}, grad=False),
            Case(op, (Rand((3,), "float16"),), {"axis": 0}, grad=False),
            Case(op, (INTS,), {"axis": 1}),
            Case(op, (Given([3, 1, 2], "uint8"),)),
            Case(op, (Rand((2, 3)),), {"axis": 0}, np=True, grad=False),
            Case(op, (Rand(()),), np=True, grad=False),
            Case(op, (Rand((0, 3)),), np=True, error=True),
            Case(op, (Rand((0, 3)),), {"axis": 0}, np=True, error=True),
            Case(op, (SHUFFLED,), {"axis": 3}, error=True),
            Case(op, (Given([True], "bool"),), error=True),
        ]
    ],
    Case("argmax_channel", (Rand((2, 3)),), grad=False),
    Case("argmax_channel", (SHUFFLED,), grad=False),
    Case("argmax_channel", (Given([[3, 1, 2], [0, 5, 5]], "int32"),)),
    Case("argmax_channel", (Rand((3,)),), error=True),
]
