"""mx.np's reductions, and its calculations over whole arrays."""

from tests.mxnet.ops.case import Case, Given, Rand

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int32", "int64")
NAN, INF = float("nan"), float("inf")
X = (2, 3, 4)

CASES = []
for name in ("_np_sum", "_np_prod", "_npi_mean", "_np_max", "_np_min"):
    CASES += [
        Case(name, (X,), np=True),
        Case(name, (X,), {"axis": 1}, np=True),
        Case(name, (X,), {"axis": (0, -1), "keepdims": True}, np=True),
        Case(name, (X,), {"axis": ()}, np=True),
        Case(name, (X,), {"keepdims": True}, np=True),
        Case(name, ((),), np=True, note="0-d"),
        Case(name, (X,), {"axis": 3}, np=True, error=True),
        Case(name, (X,), {"axis": (1, 1)}, np=True, error=True),
        Case(name, (X,), {"initial": 1.0}, np=True, error=True),
    ]
    for dtype in (*FLOATS, *INTEGERS):
        values = Rand((2, 3), dtype, "int", 1, 4)
        CASES.append(Case(name, (values,), {"axis": 0}, np=True, note=dtype, grad=False))
    CASES.append(Case(name, (Rand((2, 3), "float64"),), np=True, note="float64"))
    CASES.append(Case(name, (Rand((2, 3), "float16", "uniform", 0.5, 1.5),), np=True, note="float16"))
for name in ("_np_sum", "_np_prod", "_npi_mean"):
    CASES += [
        Case(name, (Rand((2, 3), "bool", "int", 0, 2),), np=True, note="bool"),
        Case(name, (Rand((0, 3)),), np=True, grad=False, note="of nothing"),
        Case(name, (Rand((2, 3), "int32", "int", 1, 4),), {"dtype": "float64"}, np=True, note="int32"),
        Case(name, (Rand((2, 3), "float32", "uniform", 1, 4),), {"dtype": "int32"}, np=True, grad=False),
        Case(name, (Rand((2, 3)),), {"dtype": "float64", "axis": 1}, np=True),
    ]
CASES += [
    Case("_np_max", (Given([[1, 3, 3], [3, 2, 1]]),), np=True, note="ties"),
    Case("_np_min", (Given([[1, 3, 3], [3, 2, 1]]),), {"axis": 1}, np=True, note="ties"),
    Case("_np_max", (Given([1, NAN, 3]),), np=True, grad=False, note="NaN"),
    Case("_np_max", (Rand((0, 3)),), np=True, grad=False, error=True),
    Case("_np_prod", (Given([[1, 0, 3], [0, 0, 2]]),), {"axis": 1}, np=True, grad=False, note="zeros"),
    Case("_np_prod", (Given([[1, 2, 3], [4, 5, 2]]),), {"axis": (0, 1)}, np=True, note="both"),
]
for name in ("_npi_std", "_npi_var"):
    CASES += [
        Case(name, (X,), np=True, grad=False),
        Case(name, (X,), {"axis": 1, "ddof": 1}, np=True, grad=False),
        Case(name, (X,), {"axis": (0, 2), "keepdims": True}, np=True, grad=False),
        Case(name, (X,), {"ddof": 24}, np=True, grad=False),
        Case(name, (X,), {"dtype": "float64"}, np=True, grad=False, rtol=1e-6),
        Case(name, (Rand((2, 3), "bool", "int", 0, 2),), np=True, error=True),
    ]
    for dtype in (*FLOATS, *INTEGERS):
        CASES.append(Case(name, (Rand((2, 6), dtype, "int", 1, 9),), {"axis": 1}, np=True, note=dtype, grad=False))
for name in ("_np_all", "_np_any"):
    for dtype in ("float32", "int32", "bool"):
        values = Given([[1, 0, 1], [1, 1, 1], [0, 0, 0]], dtype)
        CASES += [
            Case(name, (values,), np=True, grad=False, note=dtype),
            Case(name, (values,), {"axis": 1}, np=True, grad=False, note=dtype),
            Case(name, (values,), {"axis": (0, 1), "keepdims": True}, np=True, grad=False, note=dtype),
        ]
    CASES.append(Case(name, (Rand((0,)),), np=True, grad=False, note="of nothing"))
for name in ("_npi_argmax", "_npi_argmin"):
    CASES += [
        Case(name, (X,), np=True, grad=False),
        Case(name, (X,), {"axis": 1}, np=True, grad=False),
        Case(name, (X,), {"axis": -1, "keepdims": True}, np=True, grad=False),
        Case(name, (X,), {"keepdims": True}, np=True, grad=False),
        Case(name, (Given([3, 1, 3, 1]),), np=True, grad=False, note="ties"),
        Case(name, ((),), np=True, grad=False, note="0-d"),
        Case(name, (Given([1, NAN, 3, NAN]),), np=True, grad=False, note="NaN"),
        Case(name, (Given([1, 2], "bool"),), np=True, error=True),
        Case(name, (X,), {"axis": 3}, np=True, error=True),
    ]
    for dtype in ("float16", "float64", *INTEGERS):
        CASES.append(Case(name, (Rand((2, 3), dtype, "int", 1, 4),), {"axis": 0}, np=True, note=dtype, grad=False))
CASES += [
    Case("_np_cumsum", ((2, 3),), np=True),
    Case("_np_cumsum", ((2, 3),), {"axis": 0}, np=True),
    Case("_np_cumsum", ((2, 3),), {"axis": 1, "dtype": "float64"}, np=True),
    Case("_np_cumsum", ((2, 3),), {"axis": -1}, np=True, error=True),
    Case("_np_cumsum", (Rand((2, 3), "bool", "int", 0, 2),), np=True, note="bool"),
    Case("_np_cumsum", (Rand((2, 3), "int8", "int", 0, 5),), {"axis": 1}, np=True, note="int8"),
    Case("_npi_average", ((2, 3),), {"axis": 0, "weighted": False}, np=True),
    Case("_npi_average", ((2, 3),), {"weighted": False, "returned": True}, np=True),
    Case("_npi_average", (Rand((2, 3)), Rand((2, 3), "float32", "uniform", 1, 2)), {"axis": 1}, np=True),
    Case("_npi_average", (Rand((2, 3)), Rand((3,), "float32", "uniform", 1, 2)), {"axis": 1}, np=True, note="row"),
    Case("_npi_average", (Rand((2, 3)), Rand((2,), "float32", "uniform", 1, 2)), {"axis": 0, "returned": True},
         np=True, grad=False, note="column"),
    Case("_npi_average", (Rand((2, 3)), Rand((3,), "float32", "uniform", 1, 2)), np=True, error=True),
    Case("_npi_average", (Given([1, 2, 4], "int32"), Given([1, 2, 4], "int32")), np=True, note="int32"),
    Case("_npi_average", (Given([1, 2, 5], "int32"),), {"weighted": False}, np=True, note="int32"),
]  # fmt: skip
for how in ("linear", "lower", "higher", "midpoint", "nearest"):
    CASES += [
        Case("_npi_percentile", (X,), {"q_scalar": 30.0, "interpolation": how}, np=True, grad=False),
        Case("_npi_percentile", (X,), {"q_scalar": 50.0, "interpolation": how, "axis": 1}, np=True, grad=False),
        Case("_npi_percentile", (Rand(X), Given([0, 12.5, 100])), {"interpolation": how, "axis": (0, 2)}, np=True,
             grad=False, note="several"),
    ]  # fmt: skip
CASES += [
    Case("_npi_percentile", (X,), {"q_scalar": 30.0, "keepdims": True}, np=True, grad=False),
    Case("_npi_percentile", (Rand(X), Given([10, 20], "int32")), {"keepdims": True, "axis": 0}, np=True, grad=False),
    Case("_npi_percentile", (Rand((5,), "int32", "int", 0, 9),), {"q_scalar": 30.0}, np=True),
    Case("_npi_percentile", (Rand((5,), "float64"),), {"q_scalar": 25.0}, np=True, grad=False, rtol=1e-6),
    Case("_npi_percentile", (X,), {"q_scalar": 130.0}, np=True, grad=False, error=True),
    Case("_npi_nan_to_num", (Given([NAN, INF, -INF, 1.5]),), np=True, grad=False),
    Case("_npi_nan_to_num", (Given([NAN, INF, -INF, 1.5]),), {"nan": 2.0, "posinf": 5.0, "neginf": -6.0}, np=True,
         grad=False),
    Case("_npi_nan_to_num", (Given([NAN, INF, -INF, 1.5], "float64"),), np=True, grad=False, note="float64"),
    Case("_npi_nan_to_num", (Given([NAN, INF, -INF, 1.5], "float16"),), np=True, grad=False, note="float16"),
    Case("_npi_nan_to_num", (Given([1, 2], "int32"),), np=True, note="int32"),
    Case("_npi_nan_to_num", ((2, 3),), np=True),
    Case("_npi_diff", ((2, 5),), np=True),
    Case("_npi_diff", ((4, 3),), {"axis": 0, "n": 2}, np=True),
    Case("_npi_diff", ((2, 3),), {"n": 0}, np=True),
    Case("_npi_diff", ((2, 3),), {"n": 4}, np=True, grad=False),
    Case("_npi_diff", (Given([1, 2, 4], "int32"),), np=True, note="int32"),
    Case("_npi_diff", ((),), np=True, grad=False, error=True),
    Case("_npi_ediff1d", ((2, 3),), np=True),
    Case("_npi_ediff1d", ((4,),), {"to_begin_scalar": -1.0, "to_end_scalar": 9.0}, np=True),
    Case("_npi_ediff1d", ((4,), (2,), (1,)), {"to_begin_arr_given": True, "to_end_arr_given": True}, np=True),
    Case("_npi_ediff1d", ((1,),), np=True, grad=False),
    Case("_npi_polyval", ((3,), (2, 3)), np=True),
    Case("_npi_polyval", (Given([1, 2], "int32"), Given([3, 4], "int32")), np=True),
    Case("_npi_polyval", (Rand((0,)), Rand((2,))), np=True, grad=False),
    Case("_npi_bincount", (Given([0, 1, 1, 3], "int32"),), np=True, symbolic=False),
    Case("_npi_bincount", (Given([0, 1, 1, 3], "int32"), Given([0.5, 1, 2, 3])),
         {"has_weights": True, "minlength": 6}, np=True, grad=False, symbolic=False),
    Case("_npi_bincount", (Given([0, 1]),), np=True, grad=False, error=True),
    Case("_npi_bincount", (Given([-1, 1], "int32"),), np=True, error=True),
    Case("_npi_bincount", (Given([], "int64"),), {"minlength": 2}, np=True, symbolic=False),
    Case("_npi_unique", (Given([3, 1, 3, 2]),), np=True, grad=False, symbolic=False),
    Case("_npi_unique", (Given([[3, 1], [3, 2]], "int32"),),
         {"return_index": True, "return_inverse": True, "return_counts": True}, np=True, symbolic=False),
    Case("_npi_unique", (Given([[1, 2], [1, 2], [0, 5]]),), {"axis": 0, "return_inverse": True, "return_index": True},
         np=True, grad=False, symbolic=False),
    Case("_npi_unique", (Given([[1, 1, 2], [3, 3, 4]]),), {"axis": -1, "return_counts": True}, np=True, grad=False,
         symbolic=False),
    Case("_npi_unique", (Rand((0,)),), np=True, grad=False, symbolic=False),
    Case("_npi_unique", (Given([True, False], "bool"),), np=True, error=True),
    Case("_npi_share_memory", ((2,), (2,)), np=True, grad=False),
    Case("_npx_constraint_check", (Given([True, True], "bool"),), np=True),
    Case("_npx_constraint_check", (Given([True, False], "bool"),), {"msg": "no"}, np=True, error=True),
]  # fmt: skip
