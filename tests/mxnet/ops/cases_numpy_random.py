"""mx.np.random's operators: the same numbers from the same seed."""

from tests.mxnet.ops.case import Case, Given

A, B = Given([1.0, 2.5]), Given([0.5, 2.0])


def of(op, inputs=(), attrs=None, **more):
    return Case(op, inputs, attrs or {}, np=True, seed=7, symbolic=False, **more)


TWO = {"uniform": ("low", "high"), "normal": ("loc", "scale"), "logistic": ("loc", "scale"),
       "gumbel": ("loc", "scale"), "gamma": ("shape", "scale")}  # fmt: skip
ONE = {"exponential": "scale", "rayleigh": "scale", "weibull": "a", "pareto": "a", "powerd": "a"}

CASES = []
for name, (first, second) in TWO.items():
    op = f"_npi_{name}"
    grad = name not in ("uniform", "gamma")
    CASES += [
        of(op, (), {first: 1.0, second: 2.0, "size": (70,)}, rtol=1e-5),
        of(op, (), {first: 0.5, second: 2.0, "size": (3, 2)}, rtol=1e-5),
        of(op, (A,), {first: "None", second: 3.0}, grad=grad, rtol=1e-5),
        of(op, (B,), {first: 0.3, second: "None", "size": (3, 2)}, grad=grad, rtol=1e-5),
        of(op, (A, B), {first: "None", second: "None"}, grad=grad, rtol=1e-5),
        of(op, (), {first: 1.0, second: 2.0}, rtol=1e-5),
        of(op, (), {first: 1.0, second: 2.0, "size": (0, 2)}),
    ]
    if name in ("uniform", "normal", "gamma"):
        for dtype in ("float16", "float64"):
            rtol = 2e-3 if dtype == "float16" else 1e-6
            CASES.append(of(op, (), {first: 1.0, second: 2.0, "size": (5,), "dtype": dtype}, rtol=rtol))
for name in ("normal", "logistic", "gumbel"):
    CASES.append(of(f"_npi_{name}", (), {"loc": 0.0, "scale": -1.0}, error=True))
CASES.append(of("_npi_gamma", (), {"shape": -1.0, "scale": 1.0}, error=True))
for name, word in ONE.items():
    op = f"_npi_{name}"
    CASES += [
        of(op, (), {word: 2.0, "size": (70,)}, rtol=1e-4),
        of(op, (A,), {word: "None"}, rtol=1e-4, grad=name != "powerd"),
        of(op, (A,), {word: "None", "size": (3, 2)}, rtol=1e-4, grad=False),
        of(op, (), {word: 2.0}, rtol=1e-4),
        of(op, (), {word: -1.0}, error=True),
    ]
for name, (first, second) in (("uniform_n", ("low", "high")), ("normal_n", ("loc", "scale"))):
    CASES += [
        of(f"_npi_{name}", (), {first: 1.0, second: 2.0, "size": (3,)}),
        of(f"_npi_{name}", (A,), {first: "None", second: 3.0, "size": (3,)}, grad=False),
        of(f"_npi_{name}", (A, B), {first: "None", second: "None", "size": (2, 2)}, grad=False),
    ]
CASES += [
    of("_npi_bernoulli", (), {"prob": 0.5, "logit": "None", "is_logit": False, "size": (20,)}),
    of("_npi_bernoulli", (), {"prob": "None", "logit": 0.5, "is_logit": True, "size": (20,)}),
    of("_npi_bernoulli", (Given([0.2, 0.8]),), {"prob": "None", "logit": "None", "is_logit": False, "size": (9, 2)},
       grad=False),
    of("_npi_bernoulli", (Given([-2, 0.8]),), {"prob": "None", "logit": "None", "is_logit": True, "dtype": "int32"},
       grad=False),
    of("_npi_bernoulli", (), {"prob": 0.5, "logit": "None", "is_logit": False, "size": (5,), "dtype": "bool"}),
    of("_npi_bernoulli", (), {"prob": 1.5, "logit": "None", "is_logit": False}, error=True),
    of("_npi_multinomial", (), {"n": 10, "pvals": (0.2, 0.3, 0.5)}),
    of("_npi_multinomial", (), {"n": 10, "pvals": (0.2, 0.3, 0.5), "size": (3, 2)}),
    of("_npi_multinomial", (Given([0.25, 0.25, 0.5]),), {"n": 6, "size": (4,)}, grad=False),
    of("_npi_multinomial", (Given([0.5, 0.5], "float64"),), {"n": 6}, grad=False),
    of("_npi_multinomial", (), {"n": 0, "pvals": (0.5, 0.5)}),
    of("_npi_multinomial", (), {"n": 5, "pvals": (0.9, 0.3, 0.1)}, error=True),
    of("_npi_choice", (), {"a": 5, "size": (9,)}),
    of("_npi_choice", (), {"a": 5, "size": (2, 3), "replace": True}),
    of("_npi_choice", (), {"a": 5, "size": (3,), "replace": False}),
    of("_npi_choice", (), {"a": 5, "size": (5,), "replace": False}),
    of("_npi_choice", (), {"a": 50, "size": (4,), "replace": False}),
    of("_npi_choice", (Given([0.1, 0.2, 0.3, 0.4]),), {"a": 4, "size": (9,), "weighted": True}, grad=False),
    of("_npi_choice", (Given([0.1, 0.2, 0.3, 0.4]),), {"a": 4, "size": (2,), "weighted": True, "replace": False},
       grad=False),
    of("_npi_choice", (Given([5, 6, 7, 8]),), {"a": "None", "size": (4,)}, grad=False),
    of("_npi_choice", (), {"a": 5, "size": "None"}),
]  # fmt: skip
