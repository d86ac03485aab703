"""Updates of several weights at once."""

from tests.mxnet.ops.case import Case, Given, Rand


def state():
    return Rand((2, 3), "float32", "uniform", 0.1, 1.0)


HALF = Rand((2, 3), "float16")
GROUPS = {
    "multi_sgd_update": [(2, 3), (2, 3)],
    "multi_sgd_mom_update": [(2, 3), (2, 3), state()],
    "multi_mp_sgd_update": [HALF, HALF, (2, 3)],
    "multi_mp_sgd_mom_update": [HALF, HALF, state(), (2, 3)],
}
CASES = []
for op, group in GROUPS.items():
    momentum = {"momentum": 0.9} if "mom" in op else {}
    for more in [{}, {"rescale_grad": 0.5}, {"clip_gradient": 0.3, "rescale_grad": 2.0}]:
        attrs = {**momentum, **more, "num_weights": 2}
        out = (0, len(group))
        CASES.append(Case(op, (*group, *group), {**attrs, "lrs": (0.1, 0.2), "wds": (0.0, 0.1)}, out=out))
        rates = (Given([0.1, 0.2]), Given([0.0, 0.1]))
        CASES.append(Case(f"preloaded_{op}", (*group, *group, *rates), attrs, out=out))
    CASES.append(Case(op, tuple(group), {**momentum, "lrs": (0.1,), "wds": (0.1,)}, out=(0,), note="one"))
    CASES.append(Case(op, (*group, *group), {"lrs": (0.1, 0.2), "wds": (0.0, 0.1)}, out=(0,), error=True))
    CASES.append(
        Case(
            op, (*group, *group), {"lrs": (0.1,), "wds": (0.0, 0.1), "num_weights": 2}, out=(0, len(group)), error=True
        )
    )

ADAM, MIXED = [(2, 3), (2, 3), state(), state()], [HALF, HALF, state(), state(), (2, 3)]
for op, group in {"_multi_adamw_update": ADAM, "_multi_mp_adamw_update": MIXED}.items():
    rates = {"lrs": (0.1, 0.2), "wds": (0.0, 0.1), "etas": (1.0, 0.5), "num_weights": 2}
    for more in [{}, {"clip_gradient": 0.3}, {"beta1": 0.8, "beta2": 0.9, "epsilon": 0.1}]:
        for scale in (1.0, 0.5, 0.0):
            CASES.append(Case(op, (*group, *group, Given([scale])), {**rates, **more}, out=(0, len(group))))
for op, group in {"_multi_lamb_update": ADAM, "_multi_mp_lamb_update": MIXED}.items():
    rates = {"learning_rates": (0.1, 0.2), "wds": (0.0, 0.1), "step_count": (1, 3), "num_tensors": 2}
    for more in [
        {}, {"clip_gradient": 0.3, "rescale_grad": 2.0}, {"lower_bound": 3.0}, {"upper_bound": 0.5},
        {"bias_correction": False, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.1},
    ]:  # fmt: skip
        CASES.append(Case(op, (*group, *group), {**rates, **more}, out=(0, len(group))))
CASES = [Case(**{**vars(case), "grad": False, "symbolic": False}) for case in CASES]
