"""Reshape, transpose, squeeze, tile, Pad and what else changes shapes."""

from tests.mxnet.ops.case import Case, Given, Rand

X = (2, 3, 4)
INT = Rand(X, "int32", "int", -9, 9)

CASES = [
    *(
        Case("Reshape", (X,), {"shape": shape})
        for shape in [
            (24,), (-1,), (0, -1), (-1, 0), (6, 4), (0, 0, -1), (-2,), (0, -2), (-2, 1, 1), (-3, 4), (-3, 0), (0, -3),
            (-3, -1), (0, -3, 1), (-4, 1, 2, -2), (-4, -1, 1, -2), (0, 0, -4, 2, -1), (0, -4, -1, 1, -2), (4, -1),
            (0, 5, -1), (2, 3, 4, 1),
        ]
        if shape != (0, 5, -1)
    ),
    *(
        Case("Reshape", (X,), {"shape": shape, "reverse": True})
        for shape in [(-1, 0), (0, -1), (-3, -1), (-2, -1), (-3, 4), (2, 3, 4, 1), (6, 0)]
    ),
    *(
        Case("Reshape", (X,), {"shape": shape}, error=True)
        for shape in [
            (0, 0, 0, 0), (-1, -1), (-3, -3), (-4, 2, -2), (-4, -1, -1, 12), (-4, 3, 1, 12), (-1, -4, 2, 2),
        ]
    ),
    *(
        Case("Reshape", (X,), {"shape": shape, "reverse": True}, error=True)
        for shape in [(-4, 1, 2, -2), (0, 0, -4, 2, -1), (0, -4, 2, 2), (0, -3, 1)]
    ),
    Case("Reshape", (X,), {"target_shape": (0, 4)}),
    Case("Reshape", (X,), {"target_shape": (2, 0)}),
    Case("Reshape", (X,), {"target_shape": (0, 0), "keep_highest": True}),
    Case("Reshape", (X,), {"target_shape": (3, 0), "keep_highest": True}),
    Case("Reshape", (X,), error=True),
    Case("Reshape", (INT,), {"shape": (4, 6)}),
    Case("Reshape", (Rand(X, "float16"),), {"shape": "(4, -1)"}, note="text"),
    Case("Reshape", ((0, 3),), {"shape": (3, 0)}, np=True, grad=False, error=True),
    *(
        Case("_npx_reshape", (X,), {"newshape": shape}, np=True)
        for shape in [
            (-2, -1), (-5, -1), (-6, 1, 2, -4), (-4,), (-6, 1, -1, -4), (-2, -2, -6, 2, -1), (-1,), (-2, -5), (6, 4),
            (-6, 1, 2, -1), (-4, -1), 24,
        ]
    ),
    *(
        Case("_npx_reshape", (X,), {"newshape": shape, "reverse": True}, np=True)
        for shape in [(-2, -1), (-5, -1), (-4,), (-1,), (-2, -5), (6, 4), (-4, -1)]
    ),
    *(
        Case("_npx_reshape", (X,), {"newshape": shape}, np=True, error=True)
        for shape in [(6, 5), (-7,), (-1, -1), (-2, -2, -2, -2), (-2, -3, -4)]
    ),
    Case("_npx_reshape", (X,), {"newshape": (-6, 1, 2, -1), "reverse": True}, np=True, error=True),
    Case("_npx_reshape", ((2, 1, 3, 4),), {"newshape": (-2, -3, -4)}, np=True),
    Case("_npx_reshape", (X,), {"newshape": (2, 12), "order": "F"}, np=True),
    Case("_npx_reshape", ((0, 3),), {"newshape": (3, 0)}, np=True, grad=False),
    Case("_npx_reshape", ((1,),), {"newshape": ()}, np=True),
    Case("Flatten", (X,)),
    Case("Flatten", ((3,),)),
    Case("Flatten", ((2, 3),)),
    Case("Flatten", (INT,)),
    *(Case("expand_dims", (X,), {"axis": axis}) for axis in (0, 2, 3, -1, -4)),
    *(Case("expand_dims", (X,), {"axis": axis}, error=True) for axis in (4, -5)),
    Case("expand_dims", ((),), {"axis": 0}, np=True),
    *(Case("squeeze", ((1, 2, 1),), {"axis": axis}) for axis in (0, -1, (0, -1), (), (0, 2), None)),
    *(Case("squeeze", ((1, 2, 1),), {"axis": axis}, error=True) for axis in ((0, 1), (0, 0), 5)),
    Case("squeeze", ((1, 1),)),
    Case("squeeze", ((1, 1),), {"axis": (0, 1)}),
    Case("squeeze", ((1, 1),), np=True),
    *(Case("transpose", (X,), {"axes": axes}) for axes in ((2, 0, 1), (0, 2, 1), (), (0, 1, 2))),
    *(Case("transpose", (X,), {"axes": axes}, error=True) for axes in ((-1, 0, 1), (0, 1), (0, 1, 3))),
    Case("transpose", (X,)),
    Case("transpose", ((4,),)),
    Case("transpose", (INT,), {"axes": [1, 0, 2]}),
    *(Case("SwapAxis", (X,), {"dim1": a, "dim2": b}) for a, b in ((0, 2), (-1, 0), (1, 1), (1, -1))),
    *(Case("SwapAxis", (X,), {"dim1": a, "dim2": b}, error=True) for a, b in ((3, 1), (-4, 1))),
    Case("SwapAxis", (X,)),
    Case("reshape_like", (X, (4, 6))),
    Case("reshape_like", (X, Rand((4, 6), "int32", "int", 0, 3))),
    Case("reshape_like", ((6, 2), (3, 2, 4)), {"lhs_begin": 0, "lhs_end": 1, "rhs_begin": 0, "rhs_end": 2}),
    Case("reshape_like", ((6, 2), (3, 2, 4)), {"lhs_begin": -2, "lhs_end": -1, "rhs_begin": -3, "rhs_end": -1}),
    Case("reshape_like", ((6, 2), (3, 2, 4)), {"lhs_end": 1, "rhs_end": 2}),
    Case("reshape_like", ((6, 2), (3, 2, 4)), {"lhs_begin": 0, "lhs_end": 1}, error=True),
    Case("reshape_like", ((6, 2), (3, 2, 4)), {"lhs_begin": 1, "lhs_end": 0, "rhs_begin": 0, "rhs_end": 1}, error=True),
    Case("reshape_like", (X, (3,)), error=True),
    Case("depth_to_space", ((2, 8, 2, 3),), {"block_size": 2}),
    Case("depth_to_space", ((1, 9, 1, 2),), {"block_size": 3}),
    Case("depth_to_space", ((1, 4, 2),), {"block_size": 2}, error=True),
    Case("depth_to_space", ((1, 5, 2, 2),), {"block_size": 2}, error=True),
    Case("depth_to_space", ((1, 4, 2, 2),), {"block_size": 0}, error=True),
    Case("space_to_depth", ((2, 2, 4, 6),), {"block_size": 2}),
    Case("space_to_depth", ((1, 4, 3, 2),), {"block_size": 2}, error=True),
    *(Case("tile", (X,), {"reps": reps}) for reps in ((), (2,), 2, (1, 2, 1), (2, 1, 1, 2), (2, 3))),
    Case("tile", (INT,), {"reps": (2, 1)}),
    Case("repeat", (X,), {"repeats": 2}),
    *(Case("repeat", (X,), {"repeats": 3, "axis": axis}) for axis in (0, 1, -1)),
    Case("repeat", (X,), {"repeats": 2, "axis": 3}, error=True),
    Case("repeat", (X,), {"repeats": -1}, error=True),
    *(Case("reverse", (X,), {"axis": axis}) for axis in (0, (0, 2), (1,), (0, 1, 2))),
    *(Case("reverse", (X,), {"axis": axis}, error=True) for axis in (-1, 3)),
    Case("reverse", (INT,), {"axis": 1}),
    *(Case("diag", ((3,),), {"k": k}) for k in (0, 1, -2)),
    *(Case("diag", (X,), {"k": k}) for k in (0, 1, -1, 3)),
    Case("diag", (X,), {"k": 7}, error=True),
    Case("diag", (X,), {"k": -1, "axis1": 0, "axis2": 2}),
    Case("diag", (X,), {"axis1": -1, "axis2": -2}),
    Case("diag", (X,), {"axis1": 1, "axis2": 1}, error=True),
    Case("diag", (Given([[1, 2], [3, 4]], "int64"),)),
    *(
        Case("Pad", (spec,), {"mode": mode, "pad_width": (0, 0, 0, 0, 1, 2, 3, 0)[: 2 * 4]})
        for mode in ("constant", "edge", "reflect")
        for spec in ((1, 2, 3, 4), Rand((1, 1, 3, 4), "float64"), Rand((1, 1, 3, 4), "float16"))
    ),
    *(
        Case("Pad", ((1, 2, 2, 3, 4),), {"mode": mode, "pad_width": (0, 0, 0, 0, 1, 0, 1, 2, 3, 0)})
        for mode in ("constant", "edge", "reflect")
    ),
    Case("Pad", ((1, 1, 2, 2),), {"mode": "constant", "pad_width": (0, 0, 0, 0, 1, 1, 1, 1), "constant_value": -1.5}),
    Case("Pad", ((1, 1, 4, 4),), {"mode": "reflect", "pad_width": (0, 0, 0, 0, 4, 4, 2, 2)}, error=True),
    Case("Pad", ((1, 1, 4, 4),), {"mode": "constant", "pad_width": (1, 0, 0, 0, 4, 4, 2, 2)}, error=True),
    Case("Pad", ((1, 1, 4, 4),), {"mode": "constant", "pad_width": (0, 0, 4, 4, 2, 2)}, error=True),
    Case("Pad", (X,), {"mode": "constant", "pad_width": (0, 0, 0, 0, 2, 2)}, error=True),
    Case(
        "Pad", (Rand((1, 1, 2, 2), "int32", "int", 0, 9),),
        {"mode": "edge", "pad_width": (0, 0, 0, 0, 1, 1, 1, 1)}, error=True,
    ),
    *(
        Case(op, (shape,), {"block_size": 2}, np=True, error=True)
        for op in ("depth_to_space", "space_to_depth")
        for shape in ((0, 4, 2, 4), (2, 0, 2, 4), (2, 4, 0, 4), (2, 4, 2, 0))
    ),
]  # fmt: skip
