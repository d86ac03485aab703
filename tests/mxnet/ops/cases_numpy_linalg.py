"""mx.np's products, norms, decompositions and solutions."""

from tests.mxnet.ops.case import Case, Given, Rand

S = Given([[4, 1, 0.5], [1, 3, 0.2], [0.5, 0.2, 2]])
S2 = Given([[[4, 1], [1, 3]], [[2, 0.5], [0.5, 5]]])
N = Given([[1, 2], [3, 4]])
D = Given([[1, 2], [3, 4]], "float64")


def of(op, inputs, attrs=None, **more):
    return Case(op, inputs, attrs or {}, np=True, **more)


CASES = [
    of("_npi_matmul", ((2, 3), (3, 4))),
    of("_npi_matmul", ((2, 3), (3,))),
    of("_npi_matmul", ((2,), (2, 3))),
    of("_npi_matmul", ((3,), (3,))),
    of("_npi_matmul", ((2, 3, 4), (2, 4, 2))),
    of("_npi_matmul", ((2, 3, 4), (4, 2))),
    of("_npi_matmul", ((2, 1, 3, 4), (3, 4, 2)), grad=False),  # MXNet's gradient is wrong there
    of("_npi_matmul", (Rand((2, 3), "float64"), Rand((3, 2), "float64"))),
    of("_npi_matmul", ((2, 3), (2, 3)), error=True),
    of("_npi_matmul", ((), (2, 3)), error=True),
    of("_npi_matmul", (Given([[1]], "int32"), Given([[1]], "int32")), error=True),
    of("_npi_matmul", (Rand((2, 2)), Rand((2, 2), "float64")), error=True),
    of("_np_dot", ((2, 3), (3,))),
    of("_np_dot", ((3,), (3,))),
    of("_np_dot", ((2, 3), ())),
    of("_np_dot", ((), ())),
    of("_np_dot", ((2,), (2, 3))),
    of("_np_dot", ((2, 3, 4), (2, 4, 3))),
    of("_np_dot", ((2, 3, 4), (4, 2))),
    of("_np_dot", ((2, 3, 4), (4,))),
    of("_np_dot", ((2, 3), (2, 3)), error=True),
    of("_np_dot", (Given([1], "int32"), Given([2], "int32")), error=True),
    of("_npi_tensordot", ((2, 3, 4), (2, 3, 4)), {"a_axes_summed": (0, 1), "b_axes_summed": (0, 1)}),
    of("_npi_tensordot", ((2, 3), (2, 3)), {"a_axes_summed": (-1,), "b_axes_summed": (-1,)}),
    of("_npi_tensordot", ((2, 3, 4), (4, 3)), {"a_axes_summed": (1, 2), "b_axes_summed": (1, 0)}),
    of("_npi_tensordot_int_axes", ((2, 3), (3, 2)), {"axes": 1}),
    of("_npi_tensordot_int_axes", ((2, 3), (2,)), {"axes": 0}),
    of("_npi_tensordot_int_axes", ((2, 3), (2, 3)), {"axes": 2}),
    of("_npi_tensordot_int_axes", ((2, 3), (2, 3)), {"axes": 1}, error=True),
    *[
        Case("_npi_einsum", inputs, {"num_args": len(inputs), "subscripts": text}, np=True)
        for text, inputs in [
            ("ij,kj->ik", ((2, 3), (4, 3))), ("ij->", ((2, 3),)), ("ij->ji", ((2, 3),)), ("ij,ij", ((2, 3), (2, 3))),
            ("...ij->...ji", ((2, 3, 4),)), ("ii", ((3, 3),)), ("ii->i", ((3, 3),)), ("i,j->ij", ((2,), (3,))),
            ("bij,bjk->bik", ((2, 3, 4), (2, 4, 2))), ("ij,jk,kl->il", ((2, 3), (3, 2), (2, 4))),
        ]
    ],
    Case("_npi_einsum", ((2, 3), (2, 3)), {"num_args": 2, "subscripts": "ij,jk", "optimize": 1}, np=True, error=True),
    Case("_npi_einsum", (Given([1, 2], "int32"),) * 2, {"num_args": 2, "subscripts": "i,i"}, np=True),
    of("_npi_cholesky", (S,), grad=False),
    of("_npi_cholesky", (S2,), grad=False),
    of("_npi_cholesky", (N,), grad=False, error=True),
    of("_npi_cholesky", ((2, 3),), grad=False, error=True),
    of("_npi_cholesky", (Given([[4, 1], [1, 3]], "int32"),), error=True),
    of("_npi_svd", ((2, 4),), grad=False, rtol=1e-4),
    of("_npi_svd", (Rand((2, 3, 3), "float64"),), grad=False, rtol=1e-8),
    of("_npi_svd", ((4, 2),), grad=False, error=True),
    of("_npi_svd", ((4,),), grad=False, error=True),
    of("_npi_eigh", (S,), grad=False, rtol=1e-4),
    of("_npi_eigh", (S2,), {"UPLO": "U"}, grad=False, rtol=1e-4),
    of("_npi_eigh", (N,), {"UPLO": "U"}, grad=False, rtol=1e-4),
    of("_npi_eigh", (Given([[4, 1], [1, 3]], "int32"),)),
    of("_npi_eigvalsh", (S,), grad=False, rtol=1e-4),
    of("_npi_eigvalsh", (N,), {"UPLO": "U"}, grad=False, rtol=1e-4),
    of("_npi_eig", (S,), grad=False, rtol=1e-4),
    of("_npi_eig", (N,), grad=False, rtol=1e-4),
    of("_npi_eig", (Given([[1, 2], [3, 4]], "int32"),)),
    of("_npi_eig", (Given([[0, 1], [-1, 0]]),), grad=False, error=True),
    of("_npi_eigvals", (N,), grad=False, rtol=1e-4),
    of("_npi_eigvals", (Given([[1, 2], [3, 4]], "float16"),), grad=False, error=True),
    of("_npi_solve", (S, (3,)), rtol=1e-4, grad=False),  # MXNet cannot compute the gradient
    of("_npi_solve", (S, (3, 2)), rtol=1e-4),
    of("_npi_solve", (S2, (2, 2)), rtol=1e-4, grad=False),
    of("_npi_solve", (S2, (2, 2, 3)), rtol=1e-4),
    of("_npi_solve", (Given([[1, 2], [2, 4]]), (2,)), grad=False, error=True),
    of("_npi_solve", ((2, 3), (2,)), grad=False, error=True),
    of("_npi_solve", (Given([[3, 2], [2, 4]], "int32"), Given([1, 2], "int32"))),
    of("_npi_tensorinv", (Rand((2, 2, 2, 2), "float64"),), {"ind": 2}, rtol=1e-7),
    of("_npi_tensorinv", (D,), {"ind": 1}, rtol=1e-8),
    of("_npi_tensorinv", ((2, 3),), {"ind": 1}, grad=False, error=True),
    of("_npi_tensorinv", (N,), {"ind": 0}, grad=False, error=True),
    of("_npi_tensorsolve", (Rand((2, 2, 4), "float64"), Rand((2, 2), "float64")), rtol=1e-7),
    of("_npi_tensorsolve", (Rand((2, 4, 2), "float64"), Rand((2, 2), "float64")), {"a_axes": (1,)}, rtol=1e-7),
    of("_npi_pinv_scalar_rcond", ((2, 3),), grad=False, rtol=1e-4),
    of("_npi_pinv_scalar_rcond", ((3, 2),), {"rcond": 0.9}, grad=False, rtol=1e-4),
    of("_npi_pinv", (Rand((2, 3)), Given(1e-3)), grad=False, rtol=1e-4),
    of("_npi_pinv", (Rand((2, 2, 2)), Given([1e-3, 0.9])), grad=False, rtol=1e-3),
]  # fmt: skip
NORMS = [({"flag": -2}, (2, 3)), ({"flag": -2}, (2, 2, 2)), ({"flag": 1, "axis": (0,)}, (2, 3)),
         ({"flag": 1, "axis": (0, 1)}, (2, 3)), ({"flag": 1}, (2, 2, 3))]  # fmt: skip
for o in (1.0, 2.0, 3.0, 0.5, -1.0, -2.0):
    NORMS += [({"ord": o, "axis": (1,)}, (2, 3)), ({"ord": o}, (4,))]
for o in (2.0, -2.0):
    NORMS.append(({"ord": o, "axis": (0, 1), "flag": 0}, (2, 3)))
for attrs, shape in NORMS:
    values = Rand(shape, "float32", "uniform", 0.2, 2)
    CASES.append(of("_npi_norm", (values,), attrs, grad=False, rtol=1e-4))
    CASES.append(of("_npi_norm", (values,), {**attrs, "keepdims": True}, grad=False, rtol=1e-4))
for attrs in ({"flag": -2}, {"flag": 1, "axis": (1,)}, {"ord": 3.0, "axis": (0,)}, {"ord": 2.0, "axis": (0,)}):
    CASES.append(of("_npi_norm", (Rand((2, 3), "float32", "uniform", 0.2, 2),), attrs, note="gradient"))
CASES += [
    of("_npi_norm", (Rand((2, 3)),), {"flag": 2}, grad=False, rtol=1e-4),
    of("_npi_norm", (Rand((2, 2, 3)),), {"flag": 2, "axis": (0, 2)}, grad=False, rtol=1e-4),
    of("_npi_norm", (Rand((2, 3)),), {"ord": 1.0}, grad=False),
    of("_npi_norm", (Rand((2, 3)),), {"ord": 3.0}, grad=False),
    of("_npi_norm", (Given([1, 0, -2, 0]),), {"ord": 0.0}, grad=False),
    of("_npi_norm", (Given([1, 0, -2, 0]),), {"ord": -1.0}, grad=False),
    of("_npi_norm", (Given([1, 2], "int32"),), {"flag": -2}),
    of("_npi_norm", (Rand((3,)),), {"flag": 2}, grad=False, error=True),
    of("_npi_norm", (Rand((3,)),), {"ord": float("inf")}, grad=False, error=True),
]
