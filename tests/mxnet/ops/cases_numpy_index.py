"""mx.np's choosing: where, nonzero, delete, insert; and its arrays from nothing."""

from tests.mxnet.ops.case import Case, Given, Rand

X = (2, 3)
MASK = Given([[True, False, True], [False, False, True]], "bool")
ALL_DTYPES = ("float16", "float64", "int8", "uint8", "int32", "int64", "bool")


def of(op, inputs, attrs=None, **more):
    return Case(op, inputs, attrs or {}, np=True, **more)


CASES = [
    of("_npi_where", (MASK, Rand(X), Rand(X))),
    of("_npi_where", (Given([[1], [0]]), Rand((3,)), Rand(X)), grad=False, note="wide"),
    of("_npi_where", (Given([1, 0, 2], "int32"), Rand(X), Rand(())), note="0-d"),
    of("_npi_where", (MASK, Rand(X), Rand(X, "int32", "int", 0, 9)), error=True),
    of("_npi_where_lscalar", (MASK, Rand(X)), {"scalar": 7.5}),
    of("_npi_where_rscalar", (MASK, Rand(X)), {"scalar": 7.5}),
    of("_npi_where_lscalar", (MASK, Rand(X, "int32", "int", 0, 9)), {"scalar": 7.9}, note="int32"),
    of("_npi_where_scalar2", (MASK,), {"x": 1.5, "y": 2.0}),
    of("_npi_where_scalar2", (Given([1, 0], "int32"),), {"x": 1.0, "y": -2.0}),
    of("_npx_nonzero", (Given([[1, 0, 2], [0, 0, 3]]),), grad=False, symbolic=False),
    of("_npx_nonzero", (MASK,), symbolic=False),
    of("_npx_nonzero", (Given(3.0),), grad=False, symbolic=False, note="0-d"),
    of("_npx_nonzero", (Given([0, 0]),), grad=False, symbolic=False, note="none"),
    of("_npi_diag_indices_from", (Rand((3, 3)),), grad=False),
    of("_npi_diag_indices_from", (Rand((2, 2, 2)),), grad=False),
    of("_npi_diag_indices_from", (Rand(X),), grad=False, error=True),
    of("_npi_delete", (Rand(X),), {"int_ind": 1, "axis": 1}, grad=False, symbolic=False),
    of("_npi_delete", (Rand(X),), {"int_ind": -1, "axis": 1}, grad=False, symbolic=False),
    of("_npi_delete", (Rand(X),), {"int_ind": 1}, grad=False, symbolic=False),
    of("_npi_delete", (Rand(X),), {"start": 0, "stop": 3, "step": 2, "axis": 1}, grad=False, symbolic=False),
    of("_npi_delete", (Rand(X),), {"start": 2, "stop": 0, "step": -1, "axis": 1}, grad=False, symbolic=False),
    of("_npi_delete", (Rand(X), Given([0, 2], "int64")), {"axis": 1}, grad=False, symbolic=False),
    of("_npi_delete", (Rand(X), Given([0, -1], "int64")), grad=False, symbolic=False, note="flat"),
    of("_npi_delete", (Rand(X),), {"int_ind": 7, "axis": 1}, grad=False, error=True),
    of("_npi_insert_scalar", (Rand(X),), {"val": 9.0, "int_ind": 1}, grad=False, symbolic=False),
    of("_npi_insert_scalar", (Rand(X), Rand((2,))), {"int_ind": 1, "axis": 1}, grad=False, symbolic=False),
    of("_npi_insert_scalar", (Rand(X), Rand((3,))), {"int_ind": -1, "axis": 0}, grad=False, symbolic=False),
    of("_npi_insert_scalar", (Rand((3,)), Rand((2,))), {"int_ind": 1}, grad=False, symbolic=False),
    of("_npi_insert_scalar", (Rand(X), Rand((2,))), {"int_ind": 7, "axis": 1}, grad=False, error=True),
    of("_npi_insert_slice", (Rand(X), Rand((1, 2))), {"start": 0, "stop": 2, "step": 1, "axis": 1}, grad=False,
       symbolic=False),
    of("_npi_insert_slice", (Rand((3,)), Rand((2,))), {"start": 0, "stop": 2, "step": 1}, grad=False, symbolic=False),
    of("_npi_insert_tensor", (Rand(X), Rand((1, 2)), Given([0, 2], "int64")), {"axis": 1}, grad=False, symbolic=False),
    of("_npi_insert_tensor", (Rand((3,)), Rand((2,)), Given([2, 0], "int64")), grad=False, symbolic=False),
    of("_npi_insert_tensor", (Rand((3,)), Rand((1,)), Given([1, 1], "int64")), grad=False, symbolic=False),
    # from nothing
    of("_npi_arange", (), {"start": 5.0}),
    of("_npi_arange", (), {"start": 0.0, "stop": 10.0, "step": 3.0}),
    of("_npi_arange", (), {"start": 5, "stop": 0, "step": -2, "dtype": "int32"}),
    of("_npi_arange", (), {"start": 0.0, "stop": 2.5, "step": 0.5, "dtype": "int32"}),
    of("_npi_arange", (), {"start": 1.5, "stop": 4.0, "dtype": "float64"}),
    of("_npi_arange", (), {"start": 5.0, "stop": 0.0}),
    of("_npi_arange", (), {"start": 0.0, "stop": 1.0, "step": 0.1}),
    of("_npi_arange", (), {"start": 0.0, "stop": 1.0, "repeat": 2}, error=True),
    of("_npi_identity", (), {"shape": (3, 3), "dtype": "int32"}),
    of("_npi_eye", (), {"N": 3}),
    of("_npi_eye", (), {"N": 2, "M": 4, "k": 1, "dtype": "float64"}),
    of("_npi_eye", (), {"N": 3, "M": "None", "k": -1, "dtype": "int64"}),
    of("_npi_indices", (), {"dimensions": (2, 3)}),
    of("_npi_indices", (), {"dimensions": (0, 3), "dtype": "float32"}),
    of("_npi_indices", (), {"dimensions": (2, 2, 2), "dtype": "int64"}),
    of("_npi_full_like", (Rand(X),), {"fill_value": 2.7}, grad=False),
    of("_npi_full_like", (Rand(X, "int32", "int", 0, 9),), {"fill_value": 2.7}),
    of("_npi_full_like", (Rand(X, "int32", "int", 0, 9),), {"fill_value": 2.7, "dtype": "float64"}),
    of("_npi_full_like", (MASK,), {"fill_value": 2.0}),
    of("_npi_logspace", (), {"start": 1.0, "stop": 3.0, "num": 4}),
    of("_npi_logspace", (), {"start": 1.0, "stop": 3.0, "num": 1}),
    of("_npi_logspace", (), {"start": 1.0, "stop": 3.0, "num": 0}),
    of("_npi_logspace", (), {"start": 1.0, "stop": 3.0, "num": 4, "endpoint": False, "base": 2.0, "dtype": "float64"}),
]  # fmt: skip
for d in ("float32", *ALL_DTYPES):
    for name in ("_npi_zeros", "_npi_ones"):
        CASES.append(of(name, (), {"shape": X, "dtype": d}))
for name in ("_npi_zeros", "_npi_ones"):
    CASES += [of(name, ()), of(name, (), {"shape": (0, 2)}), of(name, (), {"shape": 3})]
for name in ("hanning", "hamming", "blackman"):
    for m in (0, 1, 2, 5, 12, -1):
        CASES.append(of(f"_npi_{name}", (), {"M": m}, atol=2e-7))
    CASES.append(of(f"_npi_{name}", (), {"M": 8, "dtype": "float64"}, atol=1e-6))
    CASES.append(of(f"_npi_{name}", (), error=True))
