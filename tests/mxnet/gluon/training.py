"""Ten steps of training: the same lines run with real MXNet 1.9.1 and with tensorkeep.mxnet; `mx` is passed in."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 10

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {"learning_rate": 0.1}),
    "sgd momentum wd": ("sgd", {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01}),
    "nag": ("nag", {"learning_rate": 0.05, "momentum": 0.9}),
    "adam": ("adam", {"learning_rate": 0.01}),
    "adagrad": ("adagrad", {"learning_rate": 0.05}),
    "rmsprop": ("rmsprop", {"learning_rate": 0.01}),
    "lamb": ("lamb", {"learning_rate": 0.01}),
    "adadelta": ("adadelta", {}),
    "signum": ("signum", {"learning_rate": 0.01, "momentum": 0.9}),
}


def values(shape: Any, seed: int) -> np.ndarray:
    """Numbers that look random, the same for every NumPy."""
    return np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32)


def network(mx: Any) -> Any:
    """A small network with BatchNorm."""
    nn = mx.gluon.nn
    net = nn.HybridSequential(prefix="train_")
    with net.name_scope():
        net.add(
            nn.Conv2D(3, 3, in_channels=2, padding=1, use_bias=False), nn.BatchNorm(in_channels=3), nn.Activation("relu"),
            nn.MaxPool2D(), nn.Flatten(), nn.Dense(6, activation="tanh", in_units=27), nn.Dense(3, in_units=6),
        )  # fmt: skip
    net.initialize()
    for i, param in enumerate(net.collect_params().values()):
        if param.name.endswith(("var", "gamma")):
            continue
        param.set_data(mx.nd.array(values(param.shape, 100 + i) * 0.5))
    return net


def trained(mx: Any, name: str, hybrid: bool = False) -> tuple[list[np.ndarray], Any]:
    """(the values of all Parameters after ten steps, the Trainer)."""
    net = network(mx)
    if hybrid:
        net.hybridize()
    kind, options = OPTIMIZERS[name]
    trainer = mx.gluon.Trainer(net.collect_params(), kind, dict(options))
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    for step in range(STEPS):
        data = mx.nd.array(values((4, 2, 6, 6), step))
        label = mx.nd.array(np.random.RandomState(step).randint(0, 3, (4,)).astype(np.float32))
        with mx.autograd.record():
            value = loss(net(data), label)
        value.backward()
        trainer.step(4)
    mx.nd.waitall()
    return [param.data().asnumpy() for param in net.collect_params().values()], trainer
