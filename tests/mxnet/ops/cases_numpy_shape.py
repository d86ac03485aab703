"""mx.np's rearrangements."""

from tests.mxnet.ops.case import Case, Given, Rand

X, Y = (2, 3), (2, 3, 4)
DTYPES = ("float16", "float64", "int8", "uint8", "int32", "int64", "bool")


def of(op, shape, attrs=None, **more):
    return Case(op, (shape,), attrs or {}, np=True, **more)


CASES = [
    of("_np_copy", X),
    *[of("_np_copy", Rand(X, d, "int", 0, 2), grad=False, note=d) for d in DTYPES],
    *[of("_np_reshape", X, {"newshape": s}) for s in ((3, 2), -1, (-1, 2), (1, 6, 1), (6,))],
    *[of("_np_reshape", X, {"newshape": s}, error=True) for s in ((4, 2), (-1, -1), (-2, 3), (0, 2), (-1, 4))],
    of("_np_reshape", Rand((0, 2)), {"newshape": (0, 3)}, grad=False),
    of("_np_reshape", Rand((0, 2)), {"newshape": (0, -1)}, grad=False, error=True),
    of("_np_reshape", (1,), {"newshape": ()}),
    of("_np_reshape", (), {"newshape": (1, 1)}),
    of("_np_squeeze", (1, 2, 1)),
    of("_np_squeeze", (1, 2, 1), {"axis": 0}),
    of("_np_squeeze", (1, 2, 1), {"axis": (0, -1)}),
    of("_np_squeeze", (1, 1)),
    of("_np_squeeze", (1, 2, 1), {"axis": 1}, error=True),
    of("_np_squeeze", (1, 1), {"axis": 4}, error=True),
    of("_np_transpose", Y),
    of("_np_transpose", Y, {"axes": (1, 0, 2)}),
    of("_np_transpose", Y, {"axes": (-1, 0, 1)}),
    of("_np_transpose", ()),
    of("_np_transpose", Y, {"axes": "None"}),
    of("_np_transpose", Y, {"axes": (1, 0)}, error=True),
    of("_np_transpose", Y, {"axes": (1, 1, 0)}, error=True),
    of("_np_moveaxis", Y, {"source": (0,), "destination": (2,)}),
    of("_np_moveaxis", Y, {"source": (0, 1), "destination": (-1, 0)}),
    of("_np_moveaxis", Y, {"source": (0, 0), "destination": (1, 2)}, error=True),
    of("_np_moveaxis", Y, {"source": (5,), "destination": (0,)}, error=True),
    of("_np_moveaxis", Y, {"source": (0, 1), "destination": (0,)}, error=True),
    of("_np_roll", X, {"shift": 1}),
    of("_np_roll", X, {"shift": -4}),
    of("_np_roll", X, {"shift": (1,), "axis": (1,)}),
    of("_np_roll", Y, {"shift": (1, -2), "axis": (0, 2)}),
    of("_np_roll", X, {"shift": 1, "axis": (0, 1)}),
    of("_np_roll", Rand((0,)), {"shift": 1}, grad=False),
    of("_np_roll", X, {"shift": (1, 2), "axis": 0}, error=True),
    of("_np_roll", X, error=True),
    of("_np_roll", X, {"shift": 1, "axis": 5}, error=True),
    of("_npi_flip", X, {"axis": 0}),
    of("_npi_flip", X, {"axis": (0, 1)}),
    of("_npi_flip", X, {"axis": -1}, error=True),
    of("_npi_flip", X, {"axis": 3}, error=True),
    *[of("_npi_rot90", X, {"k": k, "axes": (0, 1)}) for k in (-1, 0, 1, 2, 3, 5)],
    of("_npi_rot90", Y, {"k": 1, "axes": (2, 1)}),
    of("_npi_rot90", X, error=True),
    of("_npi_rot90", X, {"axes": (0, 0)}, error=True),
    of("_npi_broadcast_to", X, {"shape": (4, 2, 3)}),
    of("_npi_broadcast_to", (2, 1), {"shape": (2, 3)}),
    of("_npi_broadcast_to", (), {"shape": (2,)}),
    of("_npi_broadcast_to", X, {"shape": (3, 3)}, error=True),
    of("_npi_broadcast_to", X, {"shape": (3,)}, error=True),
    Case("_npi_concatenate", (X, X), {"num_args": 2, "axis": 0}, np=True),
    Case("_npi_concatenate", (X, (2, 1)), {"num_args": 2, "axis": -1}, np=True),
    Case("_npi_concatenate", (X, (1,)), {"num_args": 2, "axis": "None"}, np=True),
    Case("_npi_concatenate", (Rand((0, 3)), Rand(X)), {"num_args": 2}, np=True, grad=False),
    Case("_npi_concatenate", (X, (1,)), {"num_args": 2}, np=True, error=True),
    Case("_npi_concatenate", (Rand(X), Rand(X, "int32", "int", 0, 2)), {"num_args": 2}, np=True, error=True),
    Case("_npi_stack", (X, X, X), {"num_args": 3}, np=True),
    Case("_npi_stack", (X, X), {"num_args": 2, "axis": -1}, np=True),
    Case("_npi_stack", ((), ()), {"num_args": 2}, np=True),
    Case("_npi_stack", (X, X), {"num_args": 2, "axis": 5}, np=True, error=True),
    of("_npi_tril", X),
    of("_npi_tril", X, {"k": 1}),
    of("_npi_tril", X, {"k": -1}),
    of("_npi_tril", Y, {"k": 1}),
    of("_npi_tril", (2,)),
    of("_npi_tril", (), error=True, grad=False),
    of("_np_diag", X),
    of("_np_diag", X, {"k": 1}),
    of("_np_diag", X, {"k": -5}, grad=False),
    of("_np_diag", (2,), {"k": -1}),
    of("_np_diag", Y, error=True),
    of("_np_diag", (), error=True, grad=False),
    of("_np_diagflat", X, {"k": 1}),
    of("_np_diagflat", (3,), {"k": -2}),
    of("_np_diagonal", Y),
    of("_np_diagonal", Y, {"offset": 1, "axis1": 1, "axis2": 2}),
    of("_np_diagonal", Y, {"offset": -1, "axis1": -1, "axis2": 0}),
    of("_np_diagonal", Y, {"axis1": 1, "axis2": 1}, error=True),
    of("_np_diagonal", (2,), error=True),
    of("_np_diagonal", X, {"offset": 9}, grad=False),
    of("_np_trace", Y),
    of("_np_trace", X, {"offset": 1}),
    of("_np_trace", Y, {"axis1": 1, "axis2": 2}),
    of("_np_trace", Rand(X, "int32", "int", 0, 9)),
    of("_np_trace", (2,), error=True),
    of("_npi_pad", X, {"pad_width": ((0, 0), (0, 0))}),
    of("_npi_pad", X, {"pad_width": ((1, 0), (0, 2)), "constant_value": 7.0}),
    of("_npi_pad", X, {"pad_width": ((1, 0),)}, error=True),
    of("_npi_pad", Rand(X, "int32", "int", 0, 9), {"pad_width": ((1, 2), (2, 1)), "mode": "symmetric"}),
]
for mode in ("constant", "edge", "reflect", "symmetric", "maximum", "minimum"):
    grad = mode == "constant"  # MXNet has no other gradient
    CASES.append(of("_npi_pad", X, {"pad_width": ((1, 0), (0, 2)), "mode": mode}, grad=grad))
    CASES.append(of("_npi_pad", Y, {"pad_width": ((1, 1), (2, 2), (0, 3)), "mode": mode}, grad=grad))
for name in ("vstack", "hstack", "dstack", "column_stack"):
    for shape in ((3,), X, Y, ()):
        CASES.append(Case(f"_npi_{name}", (shape, shape), {"num_args": 2}, np=True))
for n in (1, 2, 3):
    CASES.append(Case(f"_np_atleast_{n}d", ((), (2,), X, Y), {"num_args": 4}, np=True, grad=False))
for name, axis, shape in (("hsplit", 1, (2, 4)), ("hsplit", 1, (5,)), ("dsplit", 2, (2, 3, 4))):
    for attrs in ({"indices": (), "sections": 2}, {"indices": (0, 1)}, {"indices": (0, 1, 3)}, {"indices": (0,)}):
        CASES.append(Case(f"_npi_{name}", (shape,), {**attrs, "axis": axis}, np=True, note=str(shape)))
for d in DTYPES:
    if d == "bool":
        continue  # MXNet lacks it there, we do not
    CASES.append(of("_npi_flip", Rand(X, d, "int", 0, 2), {"axis": 1}, grad=False, note=d))
    CASES.append(of("_np_transpose", Rand(X, d, "int", 0, 2), grad=False, note=d))
    CASES.append(Case("_npi_concatenate", (Rand(X, d, "int", 0, 2),) * 2, {"num_args": 2}, np=True, grad=False, note=d))
    CASES.append(of("_npi_pad", Rand(X, d, "int", 0, 2), {"pad_width": ((1, 1), (1, 1))}, grad=False, note=d))
CASES.append(of("_np_trace", Given([[1, 2], [3, 4]], "int8"), note="int8"))
