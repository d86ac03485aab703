"""Blocks of Gluon and Modules: their parameters out, in, and to networks of torch and back, outputs equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
from tensorkeep import mxnet as mx  # noqa: E402

gluon = mx.gluon
X = np.random.RandomState(0).randn(5, 4).astype("float32")


def net(prefix: str | None = None, units: int = 0) -> Any:
    made = gluon.nn.HybridSequential(prefix=prefix)
    with made.name_scope():
        made.add(gluon.nn.Dense(6, activation="relu", in_units=units), gluon.nn.BatchNorm(), gluon.nn.Dense(2))
    return made


def trained(prefix: str | None = None) -> Any:
    mx.random.seed(0)
    made = net(prefix)
    made.initialize(mx.init.Normal(0.5))
    trainer = gluon.Trainer(made.collect_params(), "adam", {"learning_rate": 0.05})
    for i in range(3):
        x = mx.nd.array(np.random.RandomState(i).randn(8, 4))
        with mx.autograd.record():
            loss = (made(x) ** 2).sum()
        loss.backward()
        trainer.step(8)
    return made


def outputs(made: Any) -> Any:
    return made(mx.nd.array(X)).asnumpy()


def test_names_and_bytes_are_those_of_save_parameters(tmp_path: Path) -> None:
    """MXNet's own file and ours hold the same."""
    made = trained()
    made.save_parameters(str(tmp_path / "own.params"))
    tk.save_parameters(made, tmp_path / "ours.params")

    assert (tmp_path / "ours.params").read_bytes() == (tmp_path / "own.params").read_bytes()


@pytest.mark.parametrize("initialised", ["no", "deferred", "run"])
def test_a_fresh_network_gives_the_same_outputs(tmp_path: Path, initialised: str) -> None:
    """Also one that does not know its shapes yet, or was never initialised; nothing else is changed by loading."""
    made, fresh = trained(), net()
    tk.save_parameters(made, tmp_path / "x.safetensors")
    if initialised != "no":
        fresh.initialize()
    if initialised == "run":
        outputs(fresh)

    report = tk.load_parameters(fresh, tmp_path / "x.safetensors")

    assert np.array_equal(outputs(fresh), outputs(made))
    assert len(report.matched) == 8
    assert not report.renamed


def test_a_refused_load_changes_nothing(tmp_path: Path) -> None:
    """A shape that the network knows must be the file's; what it does not know is taken."""
    tk.save_parameters(trained(), tmp_path / "x.params")
    other = net(units=7)
    other.initialize()

    with pytest.raises(tk.MismatchError, match=r"0\.weight: file \[6, 4\], model \[6, 7\]"):
        tk.load_parameters(other, tmp_path / "x.params")
    with pytest.raises(tk.UnsupportedDataError, match=r"1\.gamma: the Parameter '.*' has no values yet"):
        tk.save_parameters(other, tmp_path / "y.params")


def test_gradients_and_training_go_on_after_a_load(tmp_path: Path) -> None:
    """The arrays stay the ones that autograd and the Trainer hold."""
    made = trained()
    tk.save_parameters(made, tmp_path / "x.params")
    other = trained()
    weight = other[0].weight
    array, gradient = weight.data(), weight.grad().asnumpy()

    tk.load_parameters(other, tmp_path / "x.params")

    assert other[0].weight.data() is array
    assert np.array_equal(weight.grad().asnumpy(), gradient)
    with mx.autograd.record():
        loss = other(mx.nd.array(X)).sum()
    loss.backward()
    assert not np.array_equal(weight.grad().asnumpy(), gradient)


@pytest.mark.parametrize("way", ["collect", "stripped", "export", "other instance"])
def test_files_with_prefixed_names_load_by_themselves(tmp_path: Path, way: str) -> None:
    """As `collect_params().save` and `export` write them, also those of another instance with another prefix."""
    made = trained("mlp_")
    path = tmp_path / "x.params"
    if way == "export":
        made.hybridize()
        outputs(made)
        made.export(str(tmp_path / "x"), epoch=1)
        path = tmp_path / "x-0001.params"
    else:
        made.collect_params().save(str(path), strip_prefix="mlp_" if way == "stripped" else "")
    fresh = net("other_" if way == "other instance" else "mlp_")

    report = tk.load_parameters(fresh, path)

    assert np.array_equal(outputs(fresh), outputs(made))
    assert report.rule


def torch_net() -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.BatchNorm1d(6, eps=1e-5), nn.Linear(6, 2)).eval()


TO_TORCH = [
    (r"^2\.", "3."), (r"^1\.", "2."), (r"gamma$", "weight"), (r"beta$", "bias"), (r"running_", "running_"),
]  # fmt: skip
TO_GLUON = [
    (r"^2\.weight$", "1.gamma"), (r"^2\.bias$", "1.beta"), (r"^2\.", "1."), (r"^3\.", "2."),
]  # fmt: skip


def test_gluon_parameters_load_into_a_torch_network_with_rules(tmp_path: Path) -> None:
    """And a .pth of torch into Gluon: the outputs are equal."""
    made = trained()
    made.save_parameters(str(tmp_path / "x.params"))
    there = torch_net()
    tk.load_parameters(there, tmp_path / "x.params", rename=TO_TORCH, allow_missing=True)
    there[2].running_mean += 0.5
    torch.save({k: v for k, v in there.state_dict().items() if "num_batches" not in k}, tmp_path / "y.pth")
    back = net()
    tk.load_parameters(back, tmp_path / "y.pth", rename=TO_GLUON)

    there[2].running_mean -= 0.5
    # Another order of summing: a few roundings of float32.
    np.testing.assert_allclose(there(torch.from_numpy(X)).detach(), outputs(made), rtol=1e-5, atol=1e-6)
    there[2].running_mean += 0.5
    np.testing.assert_allclose(there(torch.from_numpy(X)).detach(), outputs(back), rtol=1e-5, atol=1e-6)


def test_shared_parameters_are_one_slot(tmp_path: Path) -> None:
    """Two layers with one weight: one tensor under both names, and one after loading."""
    first = gluon.nn.Dense(3, in_units=3)
    made = gluon.nn.Sequential()
    made.add(first, gluon.nn.Dense(3, in_units=3, params=first.params))
    made.initialize()
    tk.save_parameters(made, tmp_path / "x.safetensors")

    report = tk.load_parameters(made, tmp_path / "x.safetensors")

    assert report.matched == ("0.weight", "0.bias")


def module() -> Any:
    data = mx.sym.var("data")
    hidden = mx.sym.BatchNorm(mx.sym.FullyConnected(data, num_hidden=6, name="fc1"), name="bn", fix_gamma=False)
    out = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(hidden, num_hidden=2, name="fc2"), name="softmax")
    made = mx.mod.Module(out)
    made.bind([("data", (5, 4))], [("softmax_label", (5,))])
    return made


def predicted(made: Any) -> Any:
    made.forward(mx.io.DataBatch([mx.nd.array(X)], [mx.nd.zeros(5)]), is_train=False)
    return made.get_outputs()[0].asnumpy()


def test_modules_are_named_as_their_own_files(tmp_path: Path) -> None:
    """arg: and aux:, also into one that was not initialised, and from names without them."""
    made, fresh, bare = module(), module(), module()
    with pytest.raises(tk.UnsupportedDataError, match=r"Call its init_params\(\)"):
        tk.save_parameters(made, tmp_path / "none.params")
    mx.random.seed(1)
    made.init_params(mx.init.Normal(0.5))
    tk.save_parameters(made, tmp_path / "x.params")
    tk.load_parameters(fresh, tmp_path / "x.params")
    names = {name.partition(":")[2]: array for name, array in tk.load(tmp_path / "x.params").items()}
    tk.save(tmp_path / "bare.safetensors", names)
    tk.load_parameters(bare, tmp_path / "bare.safetensors")

    assert sorted(tk.load(tmp_path / "x.params")) == sorted(
        [f"arg:{n}" for n in ("bn_beta", "bn_gamma", "fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight")]
        + ["aux:bn_moving_mean", "aux:bn_moving_var"]
    )
    assert np.array_equal(predicted(fresh), predicted(made))
    assert np.array_equal(predicted(bare), predicted(made))
    unbound = mx.mod.Module(made.symbol)
    with pytest.raises(tk.UnsupportedDataError, match="The Module is not bound"):
        tk.load_parameters(unbound, tmp_path / "x.params")
