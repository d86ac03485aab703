"""Random operators: the same seed gives MXNet's own numbers."""

from tests.mxnet.ops.case import Case, Given

F = 3e-7
"""A rounding or two of float32; the last bit of a logarithm or a power may differ."""


def scalar(op, attrs, n=(7,), **more):
    return Case(op, (), {**attrs, "shape": n}, grad=False, seed=3, **more)


def like(op, attrs, dtype="float32", **more):
    return Case(op, (Given([[0] * 3] * 2, dtype),), attrs, grad=False, seed=5, **more)


def arrays(op, values, attrs, dtype="float32", **more):
    return Case(op, tuple(Given(v, dtype) for v in values), attrs, grad=False, seed=7, **more)


LAWS = {
    "uniform": ({"low": -2.0, "high": 3.5}, ([-1.0, 0.0, 2.5], [1.0, 0.5, 7.0])),
    "normal": ({"loc": 0.5, "scale": 2.0}, ([-1.0, 0.0, 2.5], [1.0, 0.5, 7.0])),
    "gamma": ({"alpha": 2.5, "beta": 0.7}, ([0.3, 1.0, 2.5], [1.0, 0.5, 7.0])),
    "exponential": ({"lam": 2.0}, ([0.3, 1.0, 2.5],)),
    "poisson": ({"lam": 3.0}, ([0.3, 14.0, 2.5],)),
    "negative_binomial": ({"k": 3, "p": 0.4}, ([1, 4, 20], [0.4, 0.6, 0.2])),
    "generalized_negative_binomial": ({"mu": 2.0, "alpha": 0.3}, ([1.0, 4.0, 20.0], [0.4, 0.0, 0.2])),
}

CASES = []
for law, (attrs, values) in LAWS.items():
    CASES += [
        scalar(f"_random_{law}", {}, rtol=F),
        scalar(f"_random_{law}", attrs, (2, 3), rtol=F),
        scalar(f"_random_{law}", attrs, (150,), rtol=F, note="three twisters"),
        scalar(f"_random_{law}", {**attrs, "dtype": "float64"}, rtol=1e-13),
        scalar(f"_random_{law}", {**attrs, "dtype": "float16"}),
        like(f"_random_{law}_like", attrs, rtol=F),
        like(f"_random_{law}_like", attrs, "float64", rtol=1e-13),
        arrays(f"_sample_{law}", values, {}, rtol=F),
        arrays(f"_sample_{law}", values, {"shape": (4,)}, rtol=F),
        arrays(f"_sample_{law}", values, {"shape": (5, 10)}, rtol=F, note="three twisters"),
        arrays(f"_sample_{law}", values, {"shape": (2,), "dtype": "float64"}, rtol=1e-13),
        arrays(f"_sample_{law}", values, {"shape": (2,), "dtype": "float16"}),
        arrays(f"_sample_{law}", values, {"shape": (2,)}, "float64", rtol=F),
    ]
CASES += [
    scalar("_random_gamma", {"alpha": 0.4}, (20,), rtol=F),
    scalar("_random_poisson", {"lam": 25.0}, (80,), rtol=F),
    scalar("_random_poisson", {"lam": 0.0}, rtol=F),
    scalar("_random_negative_binomial", {"k": 30, "p": 0.3}, (80,), rtol=F),
    scalar("_random_generalized_negative_binomial", {"mu": 3.0, "alpha": 0.0}, rtol=F),
    scalar("_random_uniform", {"low": 2.0, "high": 1.0}, error=True),
    scalar("_random_normal", {"scale": 0.0}, error=True),
    scalar("_random_normal", {"scale": -1.0}, error=True),
    scalar("_random_gamma", {"alpha": 0.0}, error=True),
    scalar("_random_gamma", {"beta": -1.0}, error=True),
    scalar("_random_exponential", {"lam": 0.0}, error=True),
    scalar("_random_poisson", {"lam": -1.0}, error=True),
    scalar("_random_negative_binomial", {"k": -1}, error=True),
    scalar("_random_negative_binomial", {"p": -1.0}, error=True),
    scalar("_random_generalized_negative_binomial", {"mu": -1.0}, error=True),
    scalar("_random_generalized_negative_binomial", {"alpha": -1.0}, error=True),
    scalar("_random_uniform", {"dtype": "int32"}, error=True),
    arrays("_sample_uniform", ([0.0, 1.0], [1.0, 2.0, 3.0]), {}, error=True),
    arrays("_sample_uniform", ([0, 1], [1, 5]), {"shape": (4,)}, "int32", rtol=F),
    arrays("_sample_normal", ([0, 1], [1, 5]), {"shape": (4,)}, "float16", rtol=F),
    arrays("_sample_exponential", ([[1.0, 2.0], [3.0, 4.0]],), {"shape": (2,)}, rtol=F),
    scalar("_random_randint", {"low": 0, "high": 10}),
    scalar("_random_randint", {"low": -7, "high": 2**31 - 1}, (100,)),
    scalar("_random_randint", {"low": -(2**40), "high": 2**41, "dtype": "int64"}, (100,)),
    scalar("_random_randint", {"low": 5, "high": 2}, error=True),
    arrays("_shuffle", (list(range(12)),), {}),
    arrays("_shuffle", (list(range(900)),), {}, note="many"),
    arrays("_shuffle", ([[i, -i] for i in range(12)],), {}),
    arrays("_shuffle", ([[[i]] for i in range(200)],), {}, "int32"),
    arrays("_shuffle", ([4.0],), {}),
    arrays("_sample_multinomial", ([0.1, 0.2, 0.3, 0.4],), {}),
    arrays("_sample_multinomial", ([0.1, 0.2, 0.3, 0.4],), {"shape": (3, 5)}),
    arrays("_sample_multinomial", ([[0.1, 0.2, 0.7], [0.9, 0.0, 0.1]],), {}),
    arrays("_sample_multinomial", ([[0.1, 0.2, 0.7], [0.9, 0.0, 0.1]],), {"shape": (6,), "dtype": "float32"}),
    arrays("_sample_multinomial", ([[0.1, 0.2, 0.7], [0.9, 0.0, 0.1]],), {"shape": (6,)}, "float64"),
    Case("_sample_multinomial", (Given([[0.1, 0.2, 0.7], [0.9, 0.05, 0.05]]),), {"shape": (6,), "get_prob": True}, seed=4),
    Case("_sample_multinomial", (Given([0.25, 0.25, 0.5]),), {"get_prob": True}, seed=4),
    scalar("_sample_unique_zipfian", {"range_max": 50}, (3, 6)),
    scalar("_sample_unique_zipfian", {"range_max": 5}, (3, 6), error=True),
]  # fmt: skip
