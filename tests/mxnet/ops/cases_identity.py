"""Copies: in another dtype, with another gradient, without one."""

from tests.mxnet.ops.case import Case, Given, Rand

NAN, INF = float("nan"), float("inf")
DTYPES = ["float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool", "bfloat16"]
EDGES = [1.5, -1.5, 0, 2.5, 0.4375, -7]

CASES = [
    *[Case("Cast", (Given(EDGES),), {"dtype": d}, grad=d.startswith("float")) for d in DTYPES],
    *[Case("Cast", (Given([1, -2, 300, 0], "int32"),), {"dtype": d}) for d in DTYPES],
    *[Case("Cast", (Given([True, False], "bool"),), {"dtype": d}) for d in DTYPES if d != "bfloat16"],
    Case("Cast", (Given([NAN, INF, -INF, 3e10]),), {"dtype": "int32"}, grad=False, note="beyond"),
    Case("Cast", (Given([300, -129]),), {"dtype": "int8"}, grad=False, note="beyond"),
    Case("Cast", (Given([300, -1]),), {"dtype": "uint8"}, grad=False, note="beyond"),
    Case("Cast", (Given([1e30, 70000, -70000, 1e-9]),), {"dtype": "float16"}, grad=False, note="beyond"),
    Case("Cast", (Given([1.0]),), {"dtype": "int16"}, error=True),
    Case("Cast", (Given([1.0]),), error=True, note="no dtype"),
    Case("amp_cast", (Rand((2, 3)),), {"dtype": "float16"}),
    Case("amp_cast", (Rand((2, 3), "float16"),), {"dtype": "float32"}),
    Case("amp_cast", (Given([1, 2], "int32"),), {"dtype": "float16"}),
    Case("amp_multicast", ((2, 3), (3,)), {"num_outputs": 2}),
    Case("amp_multicast", ((2, 3), Given([1, 2], "int32")), {"num_outputs": 2}, grad=False),
    *[
        case
        for op in ("_copy", "BlockGrad", "make_loss", "_contrib_gradientmultiplier")
        for case in [
            Case(op, (Rand((2, 3)),), grad=op != "BlockGrad"),
            Case(op, (Rand((2, 3), "float16"),), grad=op != "BlockGrad"),
            Case(op, (Given([1, 2], "int32"),)),
            Case(op, (Rand(()),), np=True, grad=op != "BlockGrad"),
        ]
    ],
    Case("_copy", (Given([True, False], "bool"),)),
    Case("_contrib_gradientmultiplier", (Rand((2, 3)),), {"scalar": -0.5}),
    Case("_contrib_gradientmultiplier", (Given([1, 2], "int32"),), {"scalar": 2.5}),
    Case("_identity_with_attr_like_rhs", ((2, 3), (2, 3))),
    Case("_identity_with_attr_like_rhs", ((2, 3), (2, 4)), error=True),
    Case("_identity_with_attr_like_rhs", ((2, 3), Rand((2, 3), "float64")), error=True),
    Case("_contrib_round_ste", (Given([1.5, -0.5, 0, 0.5, 2.5, 0.3]),)),
    Case("_contrib_sign_ste", (Given([1.5, -0.5, 0, 0.5, 2.5, 0.3]),)),
    Case("_contrib_round_ste", (Rand((3,), "float64"),)),
    Case("_contrib_sign_ste", (Rand((3,), "float64"),)),
    Case("_contrib_quadratic", (Rand((2, 3)),), {"a": 1, "b": 2, "c": 3}),
    Case("_contrib_quadratic", (Rand((2, 3), "float64"),), {"a": 0.1, "b": -2}),
    Case("_contrib_quadratic", (Given([1, 2], "int32"),), {"a": 1.5, "b": 2, "c": 3}),
    Case("_contrib_quadratic", (Rand((2, 3)),)),
]
