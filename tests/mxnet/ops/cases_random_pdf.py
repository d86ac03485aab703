"""Densities."""

from tests.mxnet.ops.case import Case, Given, Rand

POSITIVE = {"kind": "uniform", "low": 0.2, "high": 3.0}
SHARE = {"kind": "uniform", "low": 0.1, "high": 0.9}
COUNTS = Given([[0, 1, 4], [2, 7, 3]])
LAWS = {
    "uniform": (Rand((2, 3), **POSITIVE), Rand((2,), **SHARE), Rand((2,), kind="uniform", low=3, high=5)),
    "normal": (Rand((2, 3)), Rand((2,)), Rand((2,), **POSITIVE)),
    "gamma": (Rand((2, 3), **POSITIVE), Rand((2,), **POSITIVE), Rand((2,), **POSITIVE)),
    "exponential": (Rand((2, 3), **POSITIVE), Rand((2,), **POSITIVE)),
    "poisson": (COUNTS, Rand((2,), **POSITIVE)),
    "negative_binomial": (COUNTS, Rand((2,), kind="uniform", low=1, high=5), Rand((2,), **SHARE)),
    "generalized_negative_binomial": (COUNTS, Rand((2,), **POSITIVE), Rand((2,), **SHARE)),
    "dirichlet": (Rand((2, 4, 3), **SHARE), Rand((2, 3), **POSITIVE)),
}

CASES = []
for law, inputs in LAWS.items():
    counts = "poisson" in law or "binomial" in law
    for is_log in (False, True):
        CASES += [
            # MXNet gives counts no gradient worth the name; ours is that of the formula.
            Case(f"_random_pdf_{law}", inputs, {"is_log": is_log}, rtol=1e-4, grad=not counts),
        ]
    wide = tuple(
        Given(x.values, "float64") if isinstance(x, Given) else Rand(x.shape, "float64", x.kind, x.low, x.high)
        for x in inputs
    )
    CASES.append(Case(f"_random_pdf_{law}", wide, {}, grad=False, rtol=1e-6))
CASES += [
    Case("_random_pdf_normal", (Rand((2, 3)), Rand((2, 3)), Rand((2, 3), **POSITIVE)), note="one each"),
    Case("_random_pdf_normal", (Rand((2, 3)), Rand((3,)), Rand((3,), **POSITIVE)), error=True),
]
