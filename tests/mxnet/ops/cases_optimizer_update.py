"""Updates of one weight."""

from tests.mxnet.ops.case import Case, Given, Rand

ZERO = Given([[0, 0, 0], [0, 0, 0]])


def state(dtype="float32"):
    return Rand((2, 3), dtype, "uniform", 0.1, 1.0)


def small(dtype="float32"):
    return Rand((2, 3), dtype, "uniform", 0.01, 0.1)


STATES = {
    "sgd_update": (), "sgd_mom_update": (state,), "nag_mom_update": (state,), "adam_update": (state, state),
    "rmsprop_update": (state,), "rmspropalex_update": (state, small, small), "ftrl_update": (state, state),
    "ftml_update": (state, state, state), "signsgd_update": (), "signum_update": (state,),
    "lamb_update_phase1": (state, state),
}  # fmt: skip
OWN = {
    "sgd_mom_update": [{"momentum": 0.9}],
    "nag_mom_update": [{"momentum": 0.9}],
    "adam_update": [{"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3}],
    "rmsprop_update": [{"gamma1": 0.8, "epsilon": 1e-3, "clip_weights": 0.5}],
    "rmspropalex_update": [{"gamma1": 0.8, "gamma2": 0.7, "epsilon": 1e-3, "clip_weights": 0.5}],
    "ftrl_update": [{"lamda1": 0.5, "beta": 2.0}],
    "ftml_update": [{"t": 3, "beta1": 0.5, "beta2": 0.99, "epsilon": 1e-3}],
    "signum_update": [{"momentum": 0.9}, {"momentum": 0.9, "wd_lh": 0.1}],
    "lamb_update_phase1": [{"t": 3, "bias_correction": False}, {"beta1": 0.8, "beta2": 0.99, "epsilon": 1e-3, "t": 2}],
}
NEEDED = {"ftml_update": {"t": 1}, "lamb_update_phase1": {"t": 1, "wd": 0.0}}

CASES = []
for op, states in STATES.items():
    base = {} if op == "lamb_update_phase1" else {"lr": 0.1}
    base |= NEEDED.get(op, {})
    for more in [
        {}, {"wd": 0.1}, {"rescale_grad": 0.5, "wd": 0.1}, {"clip_gradient": 0.3, "wd": 0.2, "rescale_grad": 2.0},
        *OWN.get(op, []),
    ]:  # fmt: skip
        if op == "ftml_update" and "clip_gradient" in more:
            more = {("clip_grad" if k == "clip_gradient" else k): v for k, v in more.items()}
        inputs = ((2, 3), (2, 3), *[make() for make in states])
        if op != "nag_mom_update" or "wd" not in more:  # MXNet decays with the weight that out= has overwritten
            CASES.append(Case(op, inputs, {**base, **more}))
        CASES.append(Case(op, inputs, {**base, **more}, out=(0,)))
    more = {} if op == "nag_mom_update" else {"wd": 0.1}
    wide = (Rand((2, 3), "float64"), Rand((2, 3), "float64"), *[make("float64") for make in states])
    CASES.append(Case(op, wide, {**base, **more}, rtol=1e-6))
    half = (Rand((2, 3), "float16"), Rand((2, 3), "float16"), *[make("float16") for make in states])
    CASES.append(Case(op, half, {**base, **more}, rtol=2e-2))
    CASES.append(Case(op, ((2, 3), (3, 2), *[make() for make in states]), base, error=True))
    CASES.append(Case(op, ((2, 3), Rand((2, 3), "float64"), *[make() for make in states]), base, error=True))
    if op != "lamb_update_phase1":
        CASES.append(Case(op, inputs, {k: v for k, v in base.items() if k != "lr"}, error=True, note="no lr"))
CASES += [
    Case("sgd_update", (Given([1, 2], "int32"), Given([1, 2], "int32")), {"lr": 0.1}, error=True),
    Case("sgd_mom_update", ((2, 3), (2, 3), ZERO), {"lr": 0.1, "momentum": 0.9}, out=(0,), note="first step"),
    Case("adam_update", ((2, 3), (2, 3), ZERO, ZERO), {"lr": 0.1}, out=(0,), note="first step"),
]

HALF = (Rand((2, 3), "float16"), Rand((2, 3), "float16"))
CASES += [
    case
    for op, states in {"mp_sgd_update": (), "mp_sgd_mom_update": (small(),), "mp_nag_mom_update": (small(),)}.items()
    for more in [{}, {"wd": 0.1, "rescale_grad": 0.5}, {"clip_gradient": 0.3, "wd": 0.2}]
    for case in [
        Case(op, (*HALF, *states, (2, 3)), {"lr": 0.1, **more, **({"momentum": 0.9} if states else {})}, out=(0,)),
        Case(op, (*HALF, *states, (2, 3)), {"lr": 0.1, **more, **({"momentum": 0.9} if states else {})}),
    ]
]

ONE = Given([1.0])
ADAM = ((2, 3), (2, 3), state(), state())
CASES += [
    Case("_adamw_update", (*ADAM, ONE), {"lr": 0.1, "eta": 1.0}, out=(0,)),
    Case("_adamw_update", (*ADAM, ONE), {"lr": 0.1, "eta": 0.5, "wd": 0.1}),
    Case("_adamw_update", (*ADAM, Given([0.5])), {"lr": 0.1, "eta": 0.5, "wd": 0.1, "clip_gradient": 0.2}, out=(0,)),
    Case("_adamw_update", (*ADAM, ONE), {"lr": 0.1, "eta": 1, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1}, out=(0,)),
    Case("_adamw_update", (*ADAM, Given([0.0])), {"lr": 0.1, "eta": 1.0}, out=(0,), note="skipped"),
    Case("_adamw_update", (*ADAM, Given([float("nan")])), {"lr": 0.1, "eta": 1.0}, out=(0,), note="skipped"),
    Case("_adamw_update", (*ADAM, Given([float("inf")])), {"lr": 0.1, "eta": 1.0}, out=(0,), note="skipped"),
    Case("_adamw_update", (*ADAM, ONE), {"lr": 0.1}, error=True),
    Case("_mp_adamw_update", (*HALF, state(), state(), (2, 3), ONE), {"lr": 0.1, "eta": 1.0, "wd": 0.1}, out=(0,)),
    Case("_mp_adamw_update", (*HALF, state(), state(), (2, 3), Given([0.0])), {"lr": 0.1, "eta": 1.0}, out=(0,)),
    *[
        Case("lamb_update_phase2", ((2, 3), (2, 3), Given([r1]), Given([r2])), {"lr": 0.1, **more})
        for r1, r2 in [(2.0, 0.5), (0.0, 0.5), (2.0, 0.0)]
        for more in [{}, {"lower_bound": 3.0}, {"upper_bound": 0.5}]
    ],
    Case("mp_lamb_update_phase1", (*HALF, state(), state(), (2, 3)), {"t": 2, "wd": 0.1}),
    Case("mp_lamb_update_phase1", (*HALF, state(), state(), (2, 3)), {"t": 2, "wd": 0.1, "bias_correction": False}),
]
CASES = [Case(**{**vars(case), "grad": False, "symbolic": False}) for case in CASES]
