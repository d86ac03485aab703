"""all_finite and its kin, which optimizers ask."""

from tests.mxnet.ops.case import Case, Given, Rand

NAN, INF = float("nan"), float("inf")

CASES = [
    Case("all_finite", ((2, 3),)),
    Case("all_finite", (Given([1, NAN]),)),
    Case("all_finite", (Given([1, -INF]),)),
    Case("all_finite", (Rand((2,), "float16"),)),
    Case("all_finite", (Rand((2,), "float64"),)),
    Case("all_finite", (Given([1, 2], "int32"),), error=True),
    Case("all_finite", (Given([0.0]),), {"init_output": False}, out=(0,)),
    Case("all_finite", (Given([1.0]),), {"init_output": False}, out=(0,)),
    Case("all_finite", (Given([0.0]),), {"init_output": True}, out=(0,)),
    Case("multi_all_finite", ((2, 3), (4,)), {"num_arrays": 2}),
    Case("multi_all_finite", ((2, 3), Given([1, NAN])), {"num_arrays": 2}),
    Case("multi_all_finite", (Given([INF]), (2,), (3,)), {"num_arrays": 3}),
    Case("multi_all_finite", (Given([0.0]), (2,)), {"num_arrays": 2, "init_output": False}, out=(0,)),
    Case("multi_sum_sq", ((2, 3), (4,)), {"num_arrays": 2}),
    Case("multi_sum_sq", (Rand((2, 3), "float16"), Rand((4,), "float16")), {"num_arrays": 2}),
    Case("multi_sum_sq", (Rand((2, 3), "float64"),), {"num_arrays": 1}),
    Case("reset_arrays", ((2, 3), (4,)), {"num_arrays": 2}),
    Case("reset_arrays", (Given([1, 2], "int32"),), {"num_arrays": 1}, error=True),
    Case(
        "multi_lars",
        (Given([0.1, 0.2, 0.3]), Given([4, 0, 2]), Given([1, 2, 0]), Given([0.01, 0.02, 0.03])),
        {"eta": 0.001, "eps": 1e-8, "rescale_grad": 0.5},
    ),
    Case(
        "multi_lars",
        (Given([0.1, 0.2]), Given([4, 5]), Given([1, 2]), Given([0.0, 0.02])),
        {"eta": 0.1, "eps": 0.01},
    ),
]
CASES = [Case(**{**vars(case), "grad": False, "symbolic": False}) for case in CASES]
