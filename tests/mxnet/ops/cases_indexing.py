"""slice and its kin, take, pick, gather_nd and what else reads or writes by position."""

from tests.mxnet.ops.case import Case, Given, Rand

X = (2, 3, 4)
INT = Rand(X, "int32", "int", -9, 9)
AT = Given([[-1, 0], [2.7, 9]])

CASES = [
    *(
        Case("slice", (X,), dict(zip(("begin", "end", "step"), args, strict=False)))
        for args in [
            ((0,), (1,)), ((1, 0), (2, 2)), ((None, 1), (None, 3)), ((-1,), (None,)), ((1, 2), (None, None), (-1, -2)),
            ((None, None, None), (None, None, None), (1, 1, -1)), ((0,), (5,)), ((-5,), (2,)), ((), ()),
            ((None, 3), (None, 0), (None, -1)), ((None, 2), (None, -4), (None, -1)), ((0, 0, 0), (2, 3, 4), (1, 2, 3)),
            ((None, None, 3), (None, None, None), (None, None, -2)),
        ]
    ),
    *(
        Case("slice", (X,), dict(zip(("begin", "end", "step"), args, strict=False)), error=True)
        for args in [
            ((0,), (2,), (0,)), ((0, 0, 0, 0), (1, 1, 1, 1)), ((0,), (1, 1)), ((0,), (2,), (1, 1)),
        ]
    ),
    *(
        Case("slice", (X,), {"begin": b, "end": e}, np=True, grad=False)
        for b, e in [((5,), (6,)), ((1,), (1,)), ((1,), (0,)), ((0,), (-5,))]
    ),
    Case("slice", (X,), {"begin": "(None, 1)", "end": "(None, -1)"}, note="text"),
    Case("slice", (INT,), {"begin": (0, 1), "end": (1, 3)}),
    *(
        Case("slice_axis", (X,), {"axis": a, "begin": b, "end": e})
        for a, b, e in [(0, 0, 1), (-1, 1, None), (1, -2, -1), (2, 1, 4)]
    ),
    *(
        Case("slice_axis", (X,), {"axis": a, "begin": b, "end": e}, error=True)
        for a, b, e in [
            (2, 0, 5), (2, 3, 2), (2, 2, 2), (3, 0, 1), (-4, 0, 1), (1, -5, 2), (1, 0, -5), (1, 5, None),
        ]
    ),
    Case("slice_like", (X, (1, 2, 3))),
    Case("slice_like", (X, (1, 2)), {"axes": (1,)}),
    Case("slice_like", (X, (5, 2, 9)), {"axes": 1}),
    Case("slice_like", (X, (2, 3, 1)), {"axes": (-1,)}),
    Case("slice_like", (X, Rand((1, 2, 3), "int32", "int", 0, 2)), {"axes": (0, 2)}),
    Case("slice_like", (X, (1, 2)), error=True),
    Case("slice_like", (X, (1, 2)), {"axes": (-1,)}, error=True),
    Case("slice_like", (X, (5, 2, 9)), error=True),
    Case("slice_like", (X, (1, 2, 3)), {"axes": (3,)}, error=True),
    Case("_slice_assign", (X, (1, 3, 4)), {"begin": (0,), "end": (1,)}, grad=False),
    Case("_slice_assign", (X, (2, 2, 2)), {"begin": (None, None, 3), "end": (None, None, None), "step": (None, 2, -2)}, grad=False),
    Case("_slice_assign", (X, (1,)), {"begin": (0,), "end": (1,)}, error=True),
    Case("_slice_assign_scalar", (X,), {"scalar": 5, "begin": (0, 1), "end": (None, 3), "step": (1, 2)}, grad=False),
    Case("_slice_assign_scalar", (INT,), {"scalar": 2.7, "begin": (0, 1), "end": (1, 3)}),
    *(
        Case("take", (X, AT), {"axis": axis, "mode": mode})
        for axis in (0, 1, -1)
        for mode in ("clip", "wrap")
    ),
    Case("take", (X, AT)),
    Case("take", (X, Given([0, 1])), {"axis": 1, "mode": "raise"}),
    Case("take", (X, Given([0, 3])), {"axis": 1, "mode": "raise"}, error=True),
    Case("take", (X, Given([0])), {"axis": 3}, error=True),
    Case("take", (X, Given([-0.5, -1.5, -7, -3])), {"axis": 1, "mode": "wrap"}),
    Case("take", (X, Given([1, 1, 1, 0], "int64")), {"axis": 0}, note="the same row often"),
    *(Case("take", (X, Given([0, 1], dtype)), {"axis": 1}) for dtype in ("uint8", "int8", "int32", "float16", "float64")),
    *(Case("take", (Rand(X, d), Given([2, 0], "int32")), {"axis": 2}) for d in ("float16", "float64")),
    Case("take", (INT, AT), grad=False),
    Case("take", ((3, 2), Given(1, "int32")), np=True),
    Case("batch_take", ((3, 2), Given([0, 1, 5], "int32")), grad=False),
    Case("batch_take", ((3, 2), Given([-1, 1, 0], "int32")), grad=False),
    Case("batch_take", ((3, 2), Given([0, 1, 1])), error=True),
    Case("batch_take", ((3, 2), Given([0, 1], "int32")), error=True),
    Case("pick", (X, Given([[0, 1, 2, 3]] * 2)), {"axis": 1}),
    Case("pick", (X, Given([[0, -1, 2, 4]] * 2)), {"axis": 1, "mode": "wrap"}),
    Case("pick", (X, Given([[0, -1, 2]] * 2))),
    Case("pick", (X, Given([[0, 1.9, 2]] * 2)), {"keepdims": True}),
    Case("pick", (X, Given([[[0], [-1], [2]]] * 2)), {"keepdims": True}),
    Case("pick", (X, Given([[[0], [-1], [2]]] * 2))),
    Case("pick", (X, Given([[0, -1, 2]] * 2, "int32")), {"axis": 2}),
    Case("pick", ((3,), Given([1])), {"axis": 0}),
    Case("pick", ((1, 3), Given([1.6]))),
    Case("pick", (X, Given([5])), {"axis": None}, error=True),
    Case("pick", (X, Given([0, 1])), {"axis": 1}, error=True),
    Case("one_hot", (Given([0, 2, 5, -1]),), {"depth": 3}, grad=False),
    Case("one_hot", (Given([0, 2.9, -0.5]),), {"depth": 3, "on_value": 5, "off_value": -1, "dtype": "int32"}, grad=False),
    Case("one_hot", (Given([[0, 2]], "int64"),), {"depth": 3, "dtype": "float16", "on_value": 0.3}, grad=False),
    Case("one_hot", (Given([0, 2], "int32"),), {"depth": 3, "on_value": 1.5, "dtype": "int8"}, grad=False),
    Case("one_hot", (Given([0, 2], "int32"),), {"depth": 3, "off_value": 0.1, "dtype": "float64"}, grad=False),
    Case("one_hot", (Given([0, 2]),), {"depth": -1}, grad=False, error=True),
    Case("gather_nd", (X, Given([[0, 1], [1, 2]]))),
    Case("gather_nd", (X, Given([[0, 1, 1], [-1, -2, 1]], "int64")), grad=False),
    Case("gather_nd", (X, Given([[0, 0], [0, 0]], "int32")), note="the same place twice"),
    Case("gather_nd", (X, Given([[[0, 1]], [[1, 2]], [[3, 0]]], "int32"))),
    Case("gather_nd", (Rand(X, "float64"), Given([[0.9, 1]]))),
    Case("gather_nd", (X, Given([[0, 1], [1, 2], [0, 1], [0, 0]])), error=True),
    Case("gather_nd", (X, Given([0, 1])), error=True),
    Case("scatter_nd", ((3,), Given([[0, 3, 1]])), {"shape": (5,)}),
    Case("scatter_nd", ((2, 2), Given([[0, 2]], "int64")), {"shape": (3, 2)}),
    Case("scatter_nd", ((2,), Given([[0, 2], [1, 1]], "int32")), {"shape": (3, 2)}),
    Case("scatter_nd", ((2, 2), Given([[0, 2]], "int64")), {"shape": (3, 3)}, error=True),
    Case("_contrib_boolean_mask", ((3, 2), Given([0, 1, 1])), symbolic=False),
    Case("_contrib_boolean_mask", ((3, 2), Given([0, 1, 0], "int32")), symbolic=False),
    Case("_contrib_boolean_mask", ((3, 2), Given([0.5, -1, 0])), symbolic=False),
    Case("_contrib_boolean_mask", ((3, 2), Given([0, 1])), error=True),
    Case("_contrib_boolean_mask", ((2, 2), Given([0, 1])), {"axis": 1}, error=True),
    Case("_contrib_boolean_mask", ((2, 2), Given([[0, 1], [1, 0]])), error=True),
    Case("_contrib_index_copy", ((3, 2), Given([2, 0], "int64"), (2, 2))),
    Case("_contrib_index_copy", ((3, 2), Given([2, 0], "int32"), (2, 2))),
    Case("_contrib_index_copy", ((3, 2), Given([2], "int32"), (2, 2)), error=True),
    Case("_contrib_index_array", ((2, 3),), grad=False),
    Case("_contrib_index_array", ((2, 3),), {"axes": (1,)}, grad=False),
    Case("_contrib_index_array", ((2, 3),), {"axes": (-1, 0)}, grad=False),
    *(
        Case("_ravel_multi_index", (Given([[1, 0], [2, 1]], dtype),), {"shape": shape}, grad=False)
        for dtype in ("float32", "int32", "int64")
        for shape in ((2, 3), (-1, 3))
    ),
    Case("_ravel_multi_index", (Given([[1, 5], [2, 7]]),), {"shape": (2, 3)}, grad=False, note="outside"),
    Case("_ravel_multi_index", (Given([[1, 0], [2, 1]]),), {"shape": (2, 3, 4)}, grad=False, error=True),
    Case("_ravel_multi_index", (Given([1, 2]),), {"shape": (2, 3)}, grad=False, error=True),
    *(Case("_unravel_index", (Given([5, 3], d),), {"shape": (2, 3)}, grad=False) for d in ("float32", "int32", "int64")),
    Case("_unravel_index", (Given([9, -1]),), {"shape": (2, 3)}, grad=False, note="outside"),
    Case("_unravel_index", (Given([5, 30, 0]),), {"shape": (-1, 3)}, grad=False),
    Case("_unravel_index", (Given([23, 7]),), {"shape": (2, 3, 4)}, grad=False),
]  # fmt: skip
