"""Saving a model's parameters and loading them into fresh networks, against torch's own load_state_dict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
nn = torch.nn


def mlp(hidden: int = 6, classes: int = 2) -> Any:
    return nn.Sequential(nn.Linear(4, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, classes))


def trained() -> Any:
    torch.manual_seed(0)
    net = mlp()
    for _ in range(3):
        net(torch.randn(8, 4)).sum().backward()
    return net.eval()


X = np.random.RandomState(0).randn(5, 4).astype("float32")


def same(a: Any, b: Any) -> bool:
    x = torch.from_numpy(X)
    return bool(torch.equal(a.eval()(x), b.eval()(x)))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".npz", ".params"])
def test_a_clone_gives_the_same_outputs(tmp_path: Path, suffix: str) -> None:
    """Every format of the project carries a model's parameters and buffers."""
    net, clone = trained(), mlp()

    tk.save_parameters(net, tmp_path / f"mlp{suffix}")
    # V3 .params hold the 0-d counter of BatchNorm; no format changes a dtype.
    report = tk.load_parameters(clone, tmp_path / f"mlp{suffix}")

    assert report.complete
    assert len(report.matched) == len(net.state_dict())
    assert same(net, clone)


def test_torch_reads_what_is_saved_and_the_other_way_round(tmp_path: Path) -> None:
    """Names and values are those of state_dict()."""
    net, clone, third = trained(), mlp(), mlp()

    tk.save_parameters(net, tmp_path / "a.pt")
    clone.load_state_dict(torch.load(tmp_path / "a.pt"))
    torch.save(net.state_dict(), tmp_path / "b.pt")
    tk.load_parameters(third, tmp_path / "b.pt")

    assert same(net, clone)
    assert same(net, third)


def test_a_ddp_checkpoint_goes_into_a_bare_model(tmp_path: Path) -> None:
    """`module.` in a training script's checkpoint is seen through; the report says so."""
    net, clone = trained(), mlp()
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.from_numpy(X)).sum().backward()
    optimizer.step()
    torch.save({"epoch": 3, "model": state, "optimizer": optimizer.state_dict()}, tmp_path / "c.pt")
    reference = mlp()
    reference.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})

    report = tk.load_parameters(clone, tmp_path / "c.pt")

    assert same(reference, clone)
    assert "'model.' removed" in str(report)
    assert report.extra == ()


def test_wrapped_models_save_bare_names_and_load(tmp_path: Path) -> None:
    """DataParallel and torch.compile add no segments to files, and load what bare models saved."""
    net = trained()
    wrapped = nn.DataParallel(torch.compile(net, backend="eager"))

    tk.save_parameters(wrapped, tmp_path / "w.safetensors")
    fresh = nn.DataParallel(torch.compile(mlp(), backend="eager"))
    tk.load_parameters(fresh, tmp_path / "w.safetensors")

    assert list(tk.load(tmp_path / "w.safetensors")) == list(net.state_dict())
    assert same(net, fresh.module._orig_mod)


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path: Path) -> None:
    """A language model's embedding and head."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(7, 3)
            self.head = nn.Linear(3, 7, bias=False)
            self.head.weight = self.embed.weight

    model, clone = Tied(), Tied()
    receipt = tk.save_parameters(model, tmp_path / "t.safetensors")
    report = tk.load_parameters(clone, tmp_path / "t.safetensors")
    untied = {"embed.weight": torch.zeros(7, 3), "head.weight": torch.ones(7, 3)}

    assert receipt.tensors == 1
    assert report.matched == ("embed.weight",)
    assert clone.head.weight is clone.embed.weight
    assert torch.equal(clone.embed.weight, model.embed.weight)
    with pytest.raises(tk.MismatchError, match=r"one tensor in the model, different ones in the file: embed\.weight"):
        tk.load_parameters(clone, untied)


def test_a_refused_load_changes_nothing(tmp_path: Path) -> None:
    """A mismatch in the last tensor, or a flipped bit, leaves every tensor of the model as it was."""
    tk.save_parameters(trained(), tmp_path / "a.safetensors")
    other = mlp(classes=3)
    before = {name: value.clone() for name, value in other.state_dict().items()}

    with pytest.raises(tk.MismatchError, match=r"3\.weight: file \[2, 6\], model \[3, 6\]"):
        tk.load_parameters(other, tmp_path / "a.safetensors")
    data = bytearray((tmp_path / "a.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "b.safetensors").write_bytes(data)
    clone = mlp()
    kept = {name: value.clone() for name, value in clone.state_dict().items()}
    with pytest.raises(tk.CorruptFileError, match="Nothing was changed"):
        tk.load_parameters(clone, tmp_path / "b.safetensors")

    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())
    assert all(torch.equal(value, kept[name]) for name, value in clone.state_dict().items())


def test_another_head_is_skipped_or_cropped(tmp_path: Path) -> None:
    """mismatched= keeps the model's own values, or fills what both shapes have."""
    net = trained()
    tk.save_parameters(net, tmp_path / "a.safetensors")
    skipping, cropping = mlp(classes=3), mlp(classes=3)
    own, crop_own = skipping[3].weight.clone(), cropping[3].weight.clone()

    skipped = tk.load_parameters(skipping, tmp_path / "a.safetensors", mismatched="skip")
    cropped = tk.load_parameters(cropping, tmp_path / "a.safetensors", mismatched="crop")

    assert dict(skipped.skipped) == {"3.weight": ((2, 6), (3, 6)), "3.bias": ((2,), (3,))}
    assert torch.equal(skipping[3].weight, own)
    assert torch.equal(skipping[0].weight, net[0].weight)
    assert set(cropped.cropped) == {"3.weight", "3.bias"}
    assert torch.equal(cropping[3].weight[:2], net[3].weight)
    assert torch.equal(cropping[3].weight[2:], crop_own[2:])


def test_a_part_of_the_model_is_filled(tmp_path: Path) -> None:
    """`only=` selects the model's names; what lies outside is neither missing nor extra."""
    net, clone = trained(), mlp()
    tk.save_parameters(net, tmp_path / "a.safetensors")
    head = clone[3].weight.clone()

    report = tk.load_parameters(clone, tmp_path / "a.safetensors", only=["0.*", "1.*"])

    assert torch.equal(clone[0].weight, net[0].weight)
    assert torch.equal(clone[3].weight, head)
    assert report.extra == ()
    assert report.missing == ()


def test_names_are_given_by_rules(tmp_path: Path) -> None:
    """A dict with prefixes, regular expressions, a function; the file's names to the model's."""

    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.ModuleList([nn.Linear(4, 6), nn.BatchNorm1d(6)])
            self.head = nn.Linear(6, 2)

    net = trained()
    tk.save_parameters(net, tmp_path / "a.safetensors")
    for rules in (
        {"0.": "body.0.", "1.": "body.1.", "3.": "head."},
        [(r"^3\.", "head."), (r"^(\d)", r"body.\1")],
        lambda name: f"head{name[1:]}" if name[0] == "3" else f"body.{name}",
    ):
        model = Other()
        report = tk.load_parameters(model, tmp_path / "a.safetensors", rename=rules)

        assert torch.equal(model.head.weight, net[3].weight)
        assert report.renamed["0.weight"] == "body.0.weight"


def test_a_model_on_the_meta_device_gets_its_memory_from_the_file(tmp_path: Path) -> None:
    """No values to save, the old file stays; loading assigns."""
    net = trained()
    tk.save_parameters(net, tmp_path / "a.safetensors")
    before = (tmp_path / "a.safetensors").read_bytes()
    with torch.device("meta"):
        empty = mlp()

    with pytest.raises(tk.UnsupportedDataError, match=r"0\.weight: the tensor is on the meta device"):
        tk.save_parameters(empty, tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == before
    tk.load_parameters(empty, tmp_path / "a.safetensors")

    assert same(net, empty)
    assert empty[0].weight.requires_grad
    assert isinstance(empty[0].weight, nn.Parameter)


def test_dtypes_are_cast_when_asked(tmp_path: Path) -> None:
    """float32 into half: refused, then cast, to the values that torch's own cast gives."""
    net = trained()
    tk.save_parameters(net, tmp_path / "a.safetensors")
    half = mlp().bfloat16()

    with pytest.raises(tk.MismatchError, match=r"file float32, model bfloat16.*Set cast_dtype=True"):
        tk.load_parameters(half, tmp_path / "a.safetensors")
    report = tk.load_parameters(half, tmp_path / "a.safetensors", cast_dtype=True)

    assert report.cast["0.weight"] == ("float32", "bfloat16")
    assert torch.equal(half[0].weight, net[0].weight.bfloat16())


def test_a_state_dict_in_memory_is_a_source() -> None:
    """A dict of arrays, of any framework, loads as a file does."""
    net, clone = trained(), mlp()

    tk.load_parameters(clone, {name: value.numpy() for name, value in net.state_dict().items()})

    assert same(net, clone)


def test_what_is_no_model_is_refused() -> None:
    """The text says what can be given; scikit-learn's estimators are told apart."""
    fake = type("LinearRegression", (), {"__module__": "sklearn.linear_model"})()

    with pytest.raises(tk.UnsupportedDataError, match=r"is no model that tensorkeep knows: a torch\.nn\.Module"):
        tk.load_parameters(object(), {})
    with pytest.raises(tk.UnsupportedDataError, match="scikit-learn's estimators keep no named tensors"):
        tk.save_parameters(fake, "x.safetensors")
