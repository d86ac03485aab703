"""softmax_cross_entropy, khatri_rao, div_sqrt_dim, allclose."""

from tests.mxnet.ops.case import Case, Given, Rand

NAN = float("nan")
LOGITS = Given([[1, 2, 3], [4, 1, 0]])

CASES = [
    *[Case("softmax_cross_entropy", (LOGITS, Given(label)), grad=False) for label in ([1, 0], [2, 2], [1.7, 0])],
    Case("softmax_cross_entropy", (Given([[1, -200, 3]]), Given([1])), grad=False, note="cut off"),
    Case("softmax_cross_entropy", (Rand((2, 3), "float64"), Given([1, 2], "float64")), grad=False),
    Case("softmax_cross_entropy", (Given([1, 2, 3]), Given([1])), error=True),
    Case("softmax_cross_entropy", (Given([[1, 2, 3]]), Given([1, 1])), error=True),
    Case("softmax_cross_entropy", (LOGITS, Given([1, 0], "int32")), error=True),
    Case("khatri_rao", ((2, 3),), {"num_args": 1}, grad=False),
    Case("khatri_rao", ((2, 3), (4, 3)), {"num_args": 2}, grad=False),
    Case("khatri_rao", ((2, 3), (4, 3), (2, 3)), {"num_args": 3}, grad=False),
    Case("khatri_rao", (Rand((2, 3), "float64"), Rand((4, 3), "float64")), {"num_args": 2}, grad=False),
    Case("khatri_rao", ((2, 3), (4, 2)), {"num_args": 2}, error=True),
    Case("khatri_rao", ((3,),), {"num_args": 1}, error=True),
    Case("_contrib_div_sqrt_dim", ((2, 3),)),
    Case("_contrib_div_sqrt_dim", (Rand((2, 3), "float64"),)),
    Case("_contrib_div_sqrt_dim", (Given([[1, 2, 3, 4]], "int32"),)),
    Case("_contrib_allclose", (Given([1, 2]), Given([1, 2.00001])), grad=False),
    Case("_contrib_allclose", (Given([1, 2]), Given([1, 2.001])), grad=False),
    Case("_contrib_allclose", (Given([1, 2]), Given([1, 2.001])), {"rtol": 0.01}, grad=False),
    Case("_contrib_allclose", (Given([NAN]), Given([NAN])), grad=False),
    Case("_contrib_allclose", (Given([NAN]), Given([NAN])), {"equal_nan": False}, grad=False),
    Case("_contrib_allclose", (Given([1, 2], "int32"), Given([1, 2], "int32"))),
    Case("_contrib_allclose", (Given([1, 2]), Given([1])), error=True),
    Case("_contrib_allclose", (Given([1, 2]), Given([1, 2], "float64")), error=True),
]
