"""Training gives what real MXNet 1.9.1 gives, and its Trainers' states go both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tests.mxnet.gluon.training import OPTIMIZERS, trained

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "gluon"
RTOL = 2e-6  # relative to the largest value; ten steps of float32
LOOSE = {"rmsprop": 2e-5, "adam": 1e-5, "lamb": 1e-5, "adagrad": 1e-5, "adadelta": 1e-5}
"""These divide by the root of small squares, which magnifies roundings of the gradient."""


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "training.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("hybrid", [False, True], ids=["eager", "hybridized"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_give_mxnets_weights(name: str, hybrid: bool, golden: dict[str, np.ndarray]) -> None:
    """Weights, BatchNorm's running values among them."""
    found, _ = trained(mx, name, hybrid)

    for i, value in enumerate(found):
        expected = golden[f"{name}/{i}"]
        rtol = LOOSE.get(name, RTOL)
        np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol * float(np.abs(expected).max()))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_of_mxnet_load_and_go_on(name: str, golden: dict[str, np.ndarray], tmp_path: Path) -> None:
    """load_states reads MXNet's pickle; saved again, it is the same bytes."""
    _, trainer = trained(mx, name)
    (tmp_path / "mxnet").write_bytes(golden[f"{name}/states"].tobytes())

    trainer.load_states(str(tmp_path / "mxnet"))
    trainer.save_states(str(tmp_path / "again"))

    assert (tmp_path / "again").read_bytes() == (tmp_path / "mxnet").read_bytes()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("trainer_*.states")), ids=lambda path: path.stem)
def test_recorded_states_load_and_save_to_the_same_bytes(path: Path, tmp_path: Path) -> None:
    """Every optimizer of the fixtures."""
    kind = path.stem.removeprefix("trainer_").split("_")[0]
    param = mx.gluon.Parameter("w", shape=(4, 3))
    param.initialize()
    trainer = mx.gluon.Trainer([param], kind)

    trainer.load_states(str(path))
    trainer.save_states(str(tmp_path / "again"))

    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_step_refuses_a_stale_gradient() -> None:
    """A Parameter that backward() did not reach is named; ignore_stale_grad leaves it alone."""
    used, unused = (mx.gluon.Parameter(name, shape=(2,)) for name in ("used", "unused"))
    for param in (used, unused):
        param.initialize(init="ones")
    trainer = mx.gluon.Trainer([used, unused], "sgd", {"learning_rate": 1.0})

    def backward() -> None:
        with mx.autograd.record():
            loss = (used.data() * 2).sum()
        loss.backward()

    backward()
    with pytest.raises(UserWarning, match=r"Gradient of Parameter `unused` on context cpu\(0\) has not been updated"):
        trainer.step(1)
    trainer.step(1, ignore_stale_grad=True)

    assert used.data().asnumpy().tolist() == [-1.0, -1.0]
    assert unused.data().asnumpy().tolist() == [1.0, 1.0]


def test_trainer_over_two_contexts_sums_gradients() -> None:
    """Both copies take the same step, of the sum of their gradients."""
    param = mx.gluon.Parameter("w", shape=(2,))
    contexts = [mx.cpu(0), mx.cpu(1)]
    param.initialize(init="ones", ctx=contexts)
    trainer = mx.gluon.Trainer([param], "sgd", {"learning_rate": 0.5})

    with mx.autograd.record():
        losses = [(param.data(ctx) * (i + 1)).sum() for i, ctx in enumerate(contexts)]
    mx.autograd.backward(losses)
    trainer.step(1)

    assert [data.asnumpy().tolist() for data in param.list_data()] == [[-0.5, -0.5]] * 2


def test_learning_rate_is_read_and_set() -> None:
    """learning_rate and set_learning_rate; a scheduler is not overruled."""
    param = mx.gluon.Parameter("w", shape=(2,))
    param.initialize()
    trainer = mx.gluon.Trainer([param], "sgd", {"learning_rate": 0.5})

    trainer.set_learning_rate(0.25)

    assert trainer.learning_rate == 0.25
    with pytest.raises(ValueError, match="First argument must be a list or dict of Parameters"):
        mx.gluon.Trainer(param, "sgd")
