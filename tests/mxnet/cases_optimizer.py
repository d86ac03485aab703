"""Optimizers and schedulers to run: what real MXNet 1.9.1 and tensorkeep both do, step by step. Needs NumPy only."""

import zlib

import numpy as np

STEPS = 6
NAMES = {0: "fc_weight", 1: "fc_bias", 2: "bn_gamma", 3: "conv_weight"}
SHAPES = {0: (3, 4), 1: (3,), 2: (2,), 3: (2, 2, 1, 2)}


def optimizer(name, dtype="float32", shapes=SHAPES, together=False, **kwargs):
    """One case: name, dtype of the weights, their shapes, whether all are updated in one call, arguments."""
    shown = ",".join(f"{k}={v}" for k, v in kwargs.items())
    key = f"{name}({shown})|{dtype}{'|together' if together else ''}"
    return key, name, dtype, shapes, together, kwargs


MATRICES = {0: (3, 4), 3: (2, 5)}
CASES = [
    optimizer("sgd"),
    optimizer("sgd", together=True, momentum=0.9, wd=0.01),
    optimizer("sgd", learning_rate=0.1, wd=0.01, rescale_grad=0.5, clip_gradient=0.3),
    optimizer("sgd", learning_rate=0.1, momentum=0.9, wd=0.01, clip_gradient=0.3),
    optimizer("sgd", "float64", learning_rate=0.1, momentum=0.9, wd=0.01),
    optimizer("sgd", "float16", learning_rate=0.1, momentum=0.9, multi_precision=True),
    optimizer("sgd", "float16", learning_rate=0.1, multi_precision=True, together=True),
    optimizer("sgd", "float16", learning_rate=0.1, momentum=0.9),
    optimizer("ccsgd", learning_rate=0.1, momentum=0.5),
    optimizer("nag", learning_rate=0.1, wd=0.01),
    optimizer("nag", learning_rate=0.1, momentum=0.9, wd=0.01, clip_gradient=0.5),
    optimizer("nag", "float16", learning_rate=0.1, momentum=0.9, wd=0.01, multi_precision=True),
    optimizer("signum"),
    optimizer("signum", learning_rate=0.1, momentum=0.0, wd=0.01),
    optimizer("signum", learning_rate=0.1, momentum=0.5, wd=0.01, wd_lh=0.02, clip_gradient=0.5),
    optimizer("ftml", learning_rate=0.1),
    optimizer("ftml", learning_rate=0.1, wd=0.01, beta1=0.5, clip_gradient=0.5, rescale_grad=0.5),
    optimizer("lars", learning_rate=0.1, momentum=0.9, wd=0.01),
    optimizer("lars", learning_rate=0.1, eta=0.1, eps=1e-3, rescale_grad=0.5, together=True),
    optimizer("lars", "float16", learning_rate=0.1, momentum=0.9, eta=0.1, multi_precision=True),
    optimizer("lbsgd", learning_rate=0.1, momentum=0.9),
    optimizer("lbsgd", learning_rate=0.1, batch_scale=2, updates_per_epoch=2, warmup_epochs=2, wd=0.01),
    optimizer("lbsgd", learning_rate=0.1, batch_scale=4, updates_per_epoch=4, warmup_strategy="power2"),
    optimizer("lbsgd", learning_rate=0.1, batch_scale=2, updates_per_epoch=4, warmup_strategy="sqrt"),
    optimizer("lbsgd", learning_rate=0.1, warmup_strategy="lars", momentum=0.5),
    optimizer("lbsgd", "float16", learning_rate=0.1, momentum=0.9, multi_precision=True),
    optimizer("lamb"),
    optimizer("lamb", learning_rate=0.1, wd=0.01, lower_bound=0.1, upper_bound=1.0, together=True),
    optimizer("lamb", learning_rate=0.1, bias_correction=False, clip_gradient=0.5, rescale_grad=0.5),
    optimizer("lamb", "float16", learning_rate=0.1, multi_precision=True),
    optimizer("dcasgd", learning_rate=0.1),
    optimizer("dcasgd", learning_rate=0.1, wd=0.01, clip_gradient=0.5, lamda=0.5),
    optimizer("sgld", learning_rate=0.1, wd=0.01),
    optimizer("adam"),
    optimizer("adam", learning_rate=0.1, wd=0.01, clip_gradient=0.5, rescale_grad=0.5, beta2=0.9),
    optimizer("adam", "float64", learning_rate=0.1),
    optimizer("adam", "float16", learning_rate=0.1, multi_precision=True),
    optimizer("adagrad", learning_rate=0.1, wd=0.01),
    optimizer("adagrad", learning_rate=0.1, eps=1e-3, clip_gradient=0.3, rescale_grad=0.5),
    optimizer("rmsprop"),
    optimizer("rmsprop", learning_rate=0.1, wd=0.01, clip_gradient=0.5, clip_weights=1.0),
    optimizer("rmsprop", learning_rate=0.1, centered=True, gamma2=0.8, wd=0.01),
    optimizer("adadelta"),
    optimizer("adadelta", rho=0.8, epsilon=1e-3, wd=0.01, clip_gradient=0.3, rescale_grad=0.5),
    optimizer("ftrl"),
    optimizer("ftrl", learning_rate=0.5, lamda1=0.1, beta=0.5, wd=0.01, clip_gradient=0.5, rescale_grad=0.5),
    optimizer("adamax"),
    optimizer("adamax", learning_rate=0.1, wd=0.01, clip_gradient=0.5, rescale_grad=0.5),
    optimizer("nadam"),
    optimizer("nadam", learning_rate=0.1, wd=0.01, clip_gradient=0.5, rescale_grad=0.5, schedule_decay=0.1),
    optimizer("test", rescale_grad=0.5),
    optimizer("groupadagrad", shapes=MATRICES, learning_rate=0.1),
    optimizer("groupadagrad", shapes=MATRICES, eps=1e-2, clip_gradient=0.3, rescale_grad=0.5),
    optimizer("sgd", learning_rate=0.1, begin_num_update=3, wd=0.1, lr_mult={0: 0.5}, wd_mult={"conv_weight": 0.0}),
    optimizer("adam", scheduler=("FactorScheduler", {"step": 2, "factor": 0.5, "base_lr": 0.1})),
    optimizer("sgd", scheduler=("PolyScheduler", {"max_update": 5, "base_lr": 0.1}), together=True, momentum=0.9),
    optimizer("lars", scheduler=("FactorScheduler", {"step": 2, "factor": 0.5, "base_lr": 0.1}), momentum=0.9),
]
TWICE = 2.0
"""How far off-centre the weights are: enough that none of them is 0."""


def values(key, index, step, shape, dtype):
    """The weight (step -1) or a gradient, the same in every process."""
    rng = np.random.RandomState(zlib.crc32(f"{key}/{index}/{step}".encode()))
    drawn = rng.normal(size=shape)
    return np.asarray(drawn + (TWICE if step < 0 else 0.0)).astype(dtype)


def flat(state, path=""):
    """Path → array (or None) of nested states."""
    if isinstance(state, (list, tuple)):
        found = {}
        for i, each in enumerate(state):
            found.update(flat(each, f"{path}.{i}"))
        return found
    return {path: None if state is None else state.asnumpy()}


def run(mx, case):
    """Weights and states after every second step: name → array. `mx` is real MXNet's or our module."""
    key, name, dtype, shapes, together, given = case
    kwargs = dict(given)
    scheduler = kwargs.pop("scheduler", None)
    lr_mult, wd_mult = kwargs.pop("lr_mult", None), kwargs.pop("wd_mult", None)
    if scheduler:
        kwargs["lr_scheduler"] = getattr(mx.lr_scheduler, scheduler[0])(**scheduler[1])
    mx.random.seed(5)
    made = mx.optimizer.create(name, param_idx2name={i: NAMES[i] for i in shapes}, **kwargs)
    if lr_mult:
        made.set_lr_mult(lr_mult)
    if wd_mult:
        made.set_wd_mult(wd_mult)
    updater = mx.optimizer.get_updater(made)
    weights = {i: mx.nd.array(values(key, i, -1, shape, dtype), dtype=dtype) for i, shape in shapes.items()}
    record = {}
    for step in range(STEPS):
        grads = {i: mx.nd.array(values(key, i, step, shape, dtype), dtype=dtype) for i, shape in shapes.items()}
        if together:
            updater(list(shapes), [grads[i] for i in shapes], [weights[i] for i in shapes])
        else:
            for i in shapes:
                updater(i, grads[i], weights[i])
        if step % 3 == 2:
            for i in shapes:
                record[f"{step}/{i}/weight"] = weights[i].asnumpy()
                for path, value in flat(updater.states[i]).items():
                    if value is not None:
                        record[f"{step}/{i}/state{path}"] = value
    return record


SCHEDULERS = [
    ("FactorScheduler", {"step": 3, "factor": 0.5}),
    ("FactorScheduler", {"step": 1, "factor": 0.1, "stop_factor_lr": 1e-4, "base_lr": 0.3}),
    ("FactorScheduler", {"step": 4, "factor": 0.5, "warmup_steps": 3, "warmup_begin_lr": 0.001}),
    ("MultiFactorScheduler", {"step": [2, 5, 9], "factor": 0.5, "base_lr": 0.2}),
    ("MultiFactorScheduler", {"step": [5], "factor": 0.5, "warmup_steps": 4, "warmup_mode": "constant"}),
    ("PolyScheduler", {"max_update": 10, "base_lr": 0.2, "pwr": 3, "final_lr": 0.01, "warmup_steps": 2}),
    ("CosineScheduler", {"max_update": 10, "base_lr": 0.2, "final_lr": 0.01, "warmup_steps": 2}),
    ("FactorScheduler", {"step": 0}),
    ("FactorScheduler", {"step": 1, "factor": 2}),
    ("FactorScheduler", {"step": 1, "warmup_begin_lr": 1.0}),
    ("FactorScheduler", {"step": 1, "warmup_steps": -1}),
    ("FactorScheduler", {"step": 1, "warmup_mode": "slow"}),
    ("MultiFactorScheduler", {"step": [3, 3]}),
    ("MultiFactorScheduler", {"step": [0, 3]}),
    ("PolyScheduler", {"max_update": 0}),
    ("CosineScheduler", {"max_update": 0}),
]


def rates(mx, name, kwargs):
    """The learning rates after 0 … 14 updates, or the type and the text of the refusal."""
    try:
        scheduler = getattr(mx.lr_scheduler, name)(**kwargs)
        return [scheduler(i) for i in range(15)]
    except (AssertionError, ValueError) as err:
        return [type(err).__name__, str(err)]
