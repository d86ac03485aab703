"""Gluon and Module train with a Checkpointer, are stopped, and go on to the same bits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

pytest.importorskip("torch")
from tensorkeep import mxnet as mx
from tensorkeep.checkpoint.integrations.mxnet import EpochCheckpoint

# fit() initialises what resume() has set already, and says that it did not.
pytestmark = pytest.mark.filterwarnings("ignore:.*already initialized")
X = np.random.RandomState(0).randn(24, 4).astype("float32")
Y = (X.sum(1) > 0).astype("float32")
OPTIMIZERS = {
    "sgd": {"learning_rate": 0.1, "momentum": 0.9, "wd": 1e-3},
    "adam": {"learning_rate": 0.05},
    "nadam": {"learning_rate": 0.05},
}


def gluon_run(folder: Path, name: str, steps: range, every: int = 1) -> Any:
    """Training with dropout and a schedule that steps down; the network's parameters in order."""
    mx.random.seed(0)
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(8, activation="relu"), mx.gluon.nn.Dropout(0.3), mx.gluon.nn.Dense(2))
    net.initialize(mx.init.Normal(0.3))
    schedule = mx.lr_scheduler.FactorScheduler(4, 0.5, base_lr=OPTIMIZERS[name]["learning_rate"])
    trainer = mx.gluon.Trainer(net.collect_params(), name, {**OPTIMIZERS[name], "lr_scheduler": schedule})
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    with tk.Checkpointer(folder, every=tk.every(steps=every)) as ckpt:
        state = {"model": net, "trainer": trainer}
        start = ckpt.restore(state)
        for step in range(start.step + 1 if start else 0, steps.stop):
            rows = slice(step % 3 * 8, step % 3 * 8 + 8)
            with mx.autograd.record():
                loss = loss_of(net(mx.nd.array(X[rows])), mx.nd.array(Y[rows]))
            loss.backward()
            trainer.step(8)
            ckpt.step(step, state)
    return [param.data().asnumpy() for param in net.collect_params().values()], trainer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gluon_goes_on_with_the_same_bits(tmp_path: Path, name: str) -> None:
    """A Block whose shapes are not known yet and its Trainer: momenta, counts, schedule and dropout's generator come back."""
    whole, trainer = gluon_run(tmp_path / "whole", name, range(11))
    gluon_run(tmp_path / "cut", name, range(6), every=2)

    again, resumed = gluon_run(tmp_path / "cut", name, range(11), every=2)

    assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True))
    assert resumed.learning_rate == trainer.learning_rate
    assert resumed.optimizer.num_update == trainer.optimizer.num_update


def symbol() -> Any:
    data = mx.sym.var("data")
    hidden = mx.sym.Activation(mx.sym.FullyConnected(data, num_hidden=8, name="fc1"), act_type="relu")
    hidden = mx.sym.BatchNorm(hidden, name="bn")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(hidden, num_hidden=2, name="fc2"), name="softmax")


def module_run(folder: Path, epochs: int, name: str = "sgd", **options: Any) -> tuple[Any, Any]:
    mx.random.seed(0)
    data = mx.io.NDArrayIter(X, Y, batch_size=8, label_name="softmax_label")
    mod = mx.mod.Module(symbol())
    mod.bind(data.provide_data, data.provide_label)
    mod.init_params(mx.init.Normal(0.3))
    mod.init_optimizer(optimizer=name, optimizer_params=OPTIMIZERS[name])
    metric = mx.metric.create("acc")
    with tk.Checkpointer(folder, **options) as ckpt:
        saver = EpochCheckpoint(ckpt, module=mod, metric=metric)
        resumed = saver.resume()
        mod.fit(
            data, num_epoch=epochs, eval_metric=metric, epoch_end_callback=saver, optimizer=name,
            optimizer_params=OPTIMIZERS[name], **resumed._asdict(),
        )  # fmt: skip
    return mod, ckpt


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_module_s_fit_goes_on_with_the_same_bits(tmp_path: Path, name: str) -> None:
    """At the epoch after the last saved one, with the optimizer's state; the steps have the metric."""
    whole, _ = module_run(tmp_path / "whole", 5, name)
    module_run(tmp_path / "cut", 3, name, keep=tk.keep_all())

    again, ckpt = module_run(tmp_path / "cut", 5, name, keep=tk.keep_all())

    for ours, theirs in zip(again.get_params(), whole.get_params(), strict=True):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key].asnumpy(), theirs[key].asnumpy()) for key in ours)
    assert [step.step for step in ckpt.steps()] == [0, 1, 2, 3, 4]
    assert all(0 <= step.metrics["accuracy"] <= 1 for step in ckpt.steps())
    assert ckpt.best("accuracy", mode="max") is not None


def test_a_step_of_a_module_is_a_checkpoint_of_mxnet(tmp_path: Path) -> None:
    """Symbol and parameters as `load_checkpoint` gives them; the file of the model opens with names of MXNet's own."""
    mod, ckpt = module_run(tmp_path / "steps", 2, every=tk.every(epochs=1))
    step = ckpt.latest()
    made, arg, aux = EpochCheckpoint(ckpt).load(step)
    mx.model.save_checkpoint(str(tmp_path / "own"), 1, mod.symbol, *mod.get_params())
    own = mx.model.load_checkpoint(str(tmp_path / "own"), 1)

    assert made.tojson() == own[0].tojson()
    for ours, theirs in ((arg, own[1]), (aux, own[2])):
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key].asnumpy(), theirs[key].asnumpy()) for key in ours)
    assert sorted(tk.load(Path(step.path) / "model.safetensors")) == sorted(tk.load(tmp_path / "own-0001.params"))


def test_feed_forward_goes_on_at_the_right_epoch(tmp_path: Path) -> None:
    """Without a module there is no optimizer's state; plain SGD needs none."""

    def run(epochs: int) -> Any:
        mx.random.seed(0)
        with warnings.catch_warnings(), tk.Checkpointer(tmp_path / "steps", keep=tk.keep_all()) as ckpt:
            warnings.simplefilter("ignore", DeprecationWarning)
            saver = EpochCheckpoint(ckpt)
            model = mx.model.FeedForward(
                symbol(),
                num_epoch=epochs,
                learning_rate=0.1,
                initializer=mx.init.Normal(0.3),
                **saver.resume()._asdict(),
            )
            model.fit(mx.io.NDArrayIter(X, Y, batch_size=8), epoch_end_callback=saver)
        return model, [step.step for step in ckpt.steps()]

    _, first = run(2)
    _, second = run(4)

    assert (first, second) == ([0, 1], [0, 1, 2, 3])


def test_a_module_without_an_optimizer_is_told_to_make_one(tmp_path: Path) -> None:
    """Before anything is set."""
    module_run(tmp_path, 1)
    with (
        tk.Checkpointer(tmp_path) as ckpt,
        pytest.raises(tk.UnsupportedDataError, match=r"Call its init_optimizer\(\)"),
    ):
        EpochCheckpoint(ckpt, module=mx.mod.Module(symbol())).resume()
    with tk.Checkpointer(tmp_path / "other") as ckpt:
        ckpt.save(0, {"w": X})
        with pytest.raises(tk.UnsupportedDataError, match="not saved by EpochCheckpoint"):
            EpochCheckpoint(ckpt).resume()


def test_the_generators_of_mxnet_go_on(tmp_path: Path) -> None:
    """Draws of every kind, few and many values, after others; also where words were looked at and not used."""

    def drawn() -> list[Any]:
        return [
            mx.nd.random.normal(shape=(5,)).asnumpy(),
            mx.nd.random.uniform(shape=(3000,)).asnumpy(),
            mx.nd.random.normal(shape=(70, 70)).asnumpy(),
            mx.nd.random.gamma(2.0, 1.0, shape=(100,)).asnumpy(),
            mx.nd.random.shuffle(mx.nd.arange(50)).asnumpy(),
            mx.np.random.normal(size=(7,)).asnumpy(),
        ]

    mx.random.seed(5)
    drawn()
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, {"w": X})
        first = drawn()
        mx.random.seed(6)
        drawn()
        ckpt.restore({"w": X.copy()})
        second = drawn()

    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
