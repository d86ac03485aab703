"""The linalg operators."""

from tests.mxnet.ops.case import Case, Given, Rand

SPD = Given([[4, 1, 0.5], [1, 3, -0.25], [0.5, -0.25, 2]])
SPDS = Given([[[4, 1], [1, 3]], [[2, 0.5], [0.5, 5]]], "float64")
LOW = Given([[2, 0, 0], [1, 1.5, 0], [-0.5, 0.25, 3]])
FULL = Given([[2, 0.7, -0.3], [1, 1.5, 0.9], [-0.5, 0.25, 3]])
FULLS = Given([[[1, 2], [3, 4]], [[-2, 1], [0.5, 3]]], "float64")
INT = Rand((2, 2), "int32", "int", 1, 9)
HALF = Rand((2, 2), "float16")


def flags(a: bool, b: bool) -> dict[str, bool]:
    return {name: True for name, on in (("transpose_a", a), ("transpose_b", b)) if on}


CASES = [
    *(
        Case("_linalg_gemm2", ((3, 2) if a else (2, 3), (4, 3) if b else (3, 4)), flags(a, b))
        for a in (False, True)
        for b in (False, True)
    ),
    Case("_linalg_gemm2", ((2, 3, 4), (2, 4, 5)), {"alpha": 2.5}),
    Case("_linalg_gemm2", ((3, 2, 4), (4, 2, 5)), {"axis": 0}),
    Case("_linalg_gemm2", ((4, 2, 3), (4, 2, 5)), {"axis": -3, "transpose_a": True}),
    Case("_linalg_gemm2", (Rand((2, 3), "float64"), Rand((3, 2), "float64"))),
    Case("_linalg_gemm2", ((2, 3, 4), (1, 4, 5)), error=True),
    Case("_linalg_gemm2", ((2, 3), (4, 5)), error=True),
    Case("_linalg_gemm2", ((3, 2, 4), (4, 2, 5)), {"axis": 2}, error=True),
    Case("_linalg_gemm2", (HALF, HALF), error=True),
    Case("_linalg_gemm2", (INT, INT), error=True),
    Case("_linalg_gemm", ((2, 3), (3, 4), (2, 4))),
    Case("_linalg_gemm", ((3, 2), (4, 3), (2, 4)), {"alpha": 2, "beta": 0.5, "transpose_a": True, "transpose_b": True}),
    Case("_linalg_gemm", ((3, 2, 4), (4, 2, 5), (3, 2, 5)), {"axis": 0, "beta": -1}),
    Case("_linalg_gemm", ((2, 3), (3, 4), (1, 4)), error=True),
    *(Case("_linalg_potrf", (a,)) for a in (SPD, SPDS)),
    *(Case("_linalg_potrf", (a,), {"lower": False}) for a in (SPD, SPDS)),
    *(Case(f"_linalg_{op}", (Given([[4, 2], [9, 5]]),), {"lower": False}) for op in ("potrf", "potri")),
    Case("_linalg_potrf", (Given([[-4, 1], [1, 3]]),), error=True),
    Case("_linalg_potrf", (INT,), error=True),
    *(Case("_linalg_potri", (a,)) for a in (LOW, Given([[[2, 0], [1, 3]], [[1, 0], [-1, 0.5]]], "float64"))),
    *(
        Case(op, (FULL, (2, 3) if right else (3, 2)), {"transpose": t, "rightside": right, "lower": low, "alpha": 1.5})
        for op in ("_linalg_trmm", "_linalg_trsm")
        for t in (False, True)
        for right in (False, True)
        for low in (False, True)
    ),
    *(Case(op, (FULLS, Rand((2, 2, 3), "float64"))) for op in ("_linalg_trmm", "_linalg_trsm")),
    *(Case(op, (FULL, (2, 3)), error=True) for op in ("_linalg_trmm", "_linalg_trsm")),
    Case("_linalg_syrk", ((2, 3),)),
    Case("_linalg_syrk", ((2, 2, 3),), {"transpose": True, "alpha": 0.5}),
    Case("_linalg_gelqf", (Given([[1, 2, 3], [4, 5, 7]]),)),
    Case("_linalg_gelqf", (FULLS,)),
    Case("_linalg_gelqf", ((3, 2),), error=True),
    *(Case("_linalg_syevd", (a,)) for a in (SPD, SPDS, Given([[1, 2], [2, -3]]))),
    Case("_linalg_syevd", ((2, 3),), error=True),
    *(Case("_linalg_det", (a,)) for a in (SPD, FULL, FULLS)),
    Case("_linalg_det", (Given([[0, 0], [0, 0]]),), grad=False),
    Case("_linalg_det", ((2, 3),), error=True),
    Case("_linalg_det", (HALF,), error=True),
    *(Case("_linalg_slogdet", (a,)) for a in (SPD, FULL, FULLS)),
    Case("_linalg_slogdet", (Given([[0, 0], [0, 0]]),), grad=False),
    *(Case("_linalg_inverse", (a,)) for a in (SPD, FULL, FULLS)),
    Case("_linalg_inverse", (Given([[0, 0], [0, 0]]),), error=True),
    *(Case("_linalg_sumlogdiag", (a,)) for a in (SPD, SPDS)),
    *(Case("_linalg_extractdiag", (a,), {"offset": k}) for a in (FULL, FULLS) for k in (0, 1, -1)),
    Case("_linalg_extractdiag", (FULL,), {"offset": 3}, error=True),
    Case("_linalg_extractdiag", ((2, 3),), error=True),
    *(Case("_linalg_makediag", (a,), {"offset": k}) for a in ((2,), (2, 3)) for k in (0, 1, -2)),
    Case("_linalg_makediag", (INT,), error=True),
    *(
        Case("_linalg_extracttrian", (FULL,), {"offset": k, "lower": low})
        for k in (0, 1, -1, -2)
        for low in (False, True)
    ),
    Case("_linalg_extracttrian", ((2, 3),), error=True),
    *(Case("_linalg_maketrian", ((2, 6),), {"offset": k, "lower": low}) for k in (0, 1, -1) for low in (False, True)),
    Case("_linalg_maketrian", ((4,),), error=True),
]
