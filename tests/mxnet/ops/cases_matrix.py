"""dot and batch_dot."""

from tests.mxnet.ops.case import Case, Rand

X = (2, 3, 4)


def flags(a: bool, b: bool) -> dict[str, bool]:
    return {name: True for name, on in (("transpose_a", a), ("transpose_b", b)) if on}


CASES = [
    Case("dot", ((4,), (4,))),
    Case("dot", ((4,), (4,)), np=True),
    Case("dot", ((1,), (1,))),
    *(
        Case("dot", ((3, 2) if a else (2, 3), (4, 3) if b else (3, 4)), flags(a, b))
        for a in (False, True)
        for b in (False, True)
    ),
    Case("dot", (X, (4,))),
    Case("dot", ((4,), (4, 2))),
    Case("dot", ((4,), (2, 4)), {"transpose_b": True}),
    Case("dot", ((4, 2), (4,)), {"transpose_a": True}),
    Case("dot", (X, (4, 2))),
    Case("dot", (X, (4, 3, 2))),
    Case("dot", (X, (3, 2, 4)), {"transpose_b": True}),
    Case("dot", (X, (2, 4)), {"transpose_b": True}),
    Case("dot", (X, (2, 4)), {"transpose_a": True}),
    Case("dot", (X, (4, 2)), {"transpose_a": True, "transpose_b": True}),
    Case("dot", (Rand((2, 3), "float64"), Rand((3, 2), "float64"))),
    Case("dot", ((4,), (4,)), {"transpose_a": True}, error=True),
    Case("dot", (X, (4,)), {"transpose_a": True}, error=True),
    Case("dot", ((4,), (3,)), error=True),
    Case("dot", ((2, 3), (2, 3)), error=True),
    Case("dot", (X, (1,)), error=True),
    Case("dot", (Rand((2, 2), "int32"), Rand((2, 2), "int32")), error=True),
    Case("dot", (Rand((4,), "float64"), (4,)), error=True),
    *(
        Case("batch_dot", ((2, 4, 3) if a else X, (2, 2, 4) if b else (2, 4, 2)), flags(a, b))
        for a in (False, True)
        for b in (False, True)
    ),
    Case("batch_dot", ((2, 2, 1, 3), (2, 2, 3, 1))),
    Case("batch_dot", (Rand(X, "float64"), Rand((2, 4, 1), "float64"))),
    Case("batch_dot", (X, (1, 4, 1)), error=True),
    Case("batch_dot", (X, (2, 3, 1)), error=True),
    Case("batch_dot", (X, (4, 1)), error=True),
    Case("batch_dot", ((2, 3), (3, 2)), error=True),
    Case("batch_dot", (Rand(X, "int32"), Rand((2, 4, 1), "int32")), error=True),
]
