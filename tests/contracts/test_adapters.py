"""Every adapter keeps the contract of adapters."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np
import pytest

from tensorkeep.testing import AdapterContract

os.environ.setdefault("KERAS_BACKEND", "jax")
X = np.random.RandomState(0).randn(5, 4).astype("float32")


class TestTorch(AdapterContract):
    name = "torch"

    def make(self, seed: int, classes: int = 2) -> Any:
        torch = pytest.importorskip("torch")
        nn = torch.nn
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, classes)).eval()

    def make_other(self, seed: int) -> Any:
        return self.make(seed, classes=3)

    def make_tied(self, seed: int) -> Any:
        model = self.make(seed, classes=4)
        model.append(type(model[0])(4, 6))
        model[3].weight = model[0].weight
        return model

    def outputs(self, model: Any) -> Any:
        torch = pytest.importorskip("torch")
        return model(torch.from_numpy(X)).detach().numpy()


@dataclasses.dataclass
class Layer:
    w: Any
    b: Any


class TestTreeOfNumPy(AdapterContract):
    name = "tree"

    def make(self, seed: int, classes: int = 2) -> Any:
        rng = np.random.RandomState(seed)
        rows = [Layer(rng.randn(4, 6), rng.randn(6).astype("float32")), Layer(rng.randn(6, classes), np.zeros(classes))]
        for row in rows:
            row.w = row.w.astype("float32")
            row.b = row.b.astype("float32")
        return {"layers": rows, "scale": [rng.randn(1).astype("float32")]}

    def make_other(self, seed: int) -> Any:
        return self.make(seed, classes=3)

    def make_tied(self, seed: int) -> Any:
        model = self.make(seed)
        model["again"] = model["layers"][0].w
        return model

    def outputs(self, model: Any) -> Any:
        first, second = model["layers"]
        return (X @ first.w + first.b) @ second.w * model["scale"][0]


class TestTreeOfJax(TestTreeOfNumPy):
    def make(self, seed: int, classes: int = 2) -> Any:
        jax = pytest.importorskip("jax")
        made = super().make(seed, classes)
        return {
            "layers": [Layer(jax.numpy.asarray(row.w), jax.numpy.asarray(row.b)) for row in made["layers"]],
            "scale": [jax.numpy.asarray(made["scale"][0])],
        }

    def outputs(self, model: Any) -> Any:
        return np.asarray(super().outputs(model))


class TestFlax(AdapterContract):
    name = "flax"

    def make(self, seed: int, classes: int = 2) -> Any:
        nnx = pytest.importorskip("flax.nnx")
        rngs = nnx.Rngs(seed)
        return nnx.Sequential(
            nnx.Linear(4, 6, rngs=rngs), nnx.BatchNorm(6, use_running_average=True, rngs=rngs), nnx.Linear(6, classes, rngs=rngs)
        )  # fmt: skip

    def make_other(self, seed: int) -> Any:
        return self.make(seed, classes=3)

    def outputs(self, model: Any) -> Any:
        return np.asarray(model(X))


class TestEquinox(AdapterContract):
    name = "equinox"
    frozen = True

    def make(self, seed: int, classes: int = 2) -> Any:
        eqx = pytest.importorskip("equinox")
        jax = pytest.importorskip("jax")
        return eqx.nn.MLP(4, classes, 6, 1, key=jax.random.key(seed))

    def make_other(self, seed: int) -> Any:
        return self.make(seed, classes=3)

    def outputs(self, model: Any) -> Any:
        jax = pytest.importorskip("jax")
        return np.asarray(jax.vmap(model)(X))


class TestKeras(AdapterContract):
    name = "keras"

    def make(self, seed: int, classes: int = 2) -> Any:
        keras = pytest.importorskip("keras")
        layers = keras.layers
        model = keras.Sequential(
            [layers.Input((4,)), layers.Dense(6), layers.BatchNormalization(), layers.Dense(classes)]
        )
        rng = np.random.RandomState(seed)
        for weight in model.weights:
            weight.assign(rng.rand(*weight.shape))
        return model

    def make_other(self, seed: int) -> Any:
        return self.make(seed, classes=3)

    def outputs(self, model: Any) -> Any:
        return np.asarray(model(X, training=False))


class TestGluon(AdapterContract):
    name = "mxnet"

    def make(self, seed: int, classes: int = 2) -> Any:
        mx: Any = pytest.importorskip("tensorkeep.mxnet")
        nn = mx.gluon.nn
        mx.random.seed(seed)
        net = nn.HybridSequential()
        net.add(nn.Dense(6, in_units=4), nn.BatchNorm(in_channels=6), nn.Dense(classes, in_units=6))
        net.initialize(mx.init.Normal(1))
        return net

    def make_other(self, seed: int) -> Any:
        return self.make(seed, classes=3)

    def outputs(self, model: Any) -> Any:
        mx: Any = pytest.importorskip("tensorkeep.mxnet")
        return model(mx.nd.array(X)).asnumpy()
