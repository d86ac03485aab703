"""Files that hold weights twice, as trained and averaged: made by torch's swa_utils and in the forms of timm, LitEma, torch_ema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
nn = torch.nn


def mlp() -> Any:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 2))


def two() -> tuple[Any, Any]:
    """A trained network and torch's own average of it."""
    torch.manual_seed(0)
    net = mlp()
    averaged = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
    for _ in range(3):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        averaged.update_parameters(net)
    return net, averaged


def equal(a: Any, b: Any) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))


def test_an_averaged_model_loads_into_a_bare_one(tmp_path: Path) -> None:
    """`module.` goes, and n_averaged is no parameter that is left over."""
    _, averaged = two()
    torch.save(averaged.state_dict(), tmp_path / "swa.pt")

    for weights in (None, "ema"):
        net = mlp()
        report = tk.load_parameters(net, tmp_path / "swa.pt", weights=weights)
        assert equal(net, averaged.module)
        assert report.complete


@pytest.mark.parametrize("entry", ["state_dict_ema", "model_ema", "ema"])
def test_both_sets_of_a_checkpoint_have_a_name(tmp_path: Path, entry: str) -> None:
    """The trained ones by default, and the report says that there are others."""
    net, averaged = two()
    torch.save({"state_dict": net.state_dict(), entry: averaged.module.state_dict(), "epoch": 3}, tmp_path / "c.pt")
    first, second, third, fourth = (mlp() for _ in range(4))

    report = tk.load_parameters(first, tmp_path / "c.pt")
    tk.load_parameters(second, tmp_path / "c.pt", weights="ema")
    tk.load_parameters(third, tmp_path / "c.pt", weights="raw")
    tk.load_parameters(fourth, tmp_path / "c.pt", weights=entry)

    assert equal(first, net)
    assert f"averaged weights ({entry!r}); weights='ema' loads those" in str(report)
    assert equal(second, averaged.module)
    assert equal(third, net)
    assert equal(fourth, averaged.module)


def test_an_averaged_model_inside_a_checkpoint(tmp_path: Path) -> None:
    """swa_utils' whole state under an entry: wrapper and count are seen through there too."""
    net, averaged = two()
    torch.save({"model": net.state_dict(), "swa_model": averaged.state_dict()}, tmp_path / "c.pt")
    fresh = mlp()

    report = tk.load_parameters(fresh, tmp_path / "c.pt", weights="ema")

    assert equal(fresh, averaged.module)
    assert report.extra == ()


def test_names_without_dots_of_lit_ema(tmp_path: Path) -> None:
    """Stable Diffusion's checkpoints: `model_ema.` and the names without their dots, a decay and a count."""
    net, averaged = two()
    flat = {f"model.{name}": value for name, value in net.state_dict().items()}
    flat |= {f"model_ema.{name.replace('.', '')}": value for name, value in averaged.module.state_dict().items()}
    flat |= {"model_ema.decay": torch.tensor(0.9), "model_ema.num_updates": torch.tensor(3)}
    torch.save({"state_dict": flat}, tmp_path / "sd.ckpt")
    tk.save(tmp_path / "sd.safetensors", flat)

    for name in ("sd.ckpt", "sd.safetensors"):
        raw, ema = mlp(), mlp()
        tk.load_parameters(raw, tmp_path / name)
        tk.load_parameters(ema, tmp_path / name, weights="ema")
        assert equal(raw, net)
        assert equal(ema, averaged.module)


def test_a_list_of_averages_goes_by_the_order_of_parameters(tmp_path: Path) -> None:
    """torch_ema and diffusers keep `shadow_params`; buffers stay, so allow_missing is needed for them."""
    _, averaged = two()
    torch.save({"shadow_params": list(averaged.module.parameters()), "decay": 0.9}, tmp_path / "e.pt")
    fresh = mlp()

    tk.load_parameters(fresh, tmp_path / "e.pt", weights="ema", allow_missing=True)

    assert equal(fresh, averaged.module)


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    """Each text names what the file has."""
    net, averaged = two()
    torch.save({"state_dict": net.state_dict()}, tmp_path / "raw.pt")
    torch.save({"ema": averaged.module.state_dict(), "swa": averaged.module.state_dict()}, tmp_path / "ema.pt")

    with pytest.raises(
        tk.MismatchError, match=r"asks for averaged weights, and the file has none\. It has 'state_dict'"
    ):
        tk.load_parameters(mlp(), tmp_path / "raw.pt", weights="ema")
    with pytest.raises(tk.MismatchError, match=r"the file has several: 'ema', 'swa'.*weights='ema'"):
        tk.load_parameters(mlp(), tmp_path / "ema.pt", weights="ema")
    with pytest.raises(tk.MismatchError, match="weights='raw' asks for weights as they were trained"):
        tk.load_parameters(mlp(), tmp_path / "ema.pt", weights="raw")
    with pytest.raises(tk.MismatchError, match="weights='teacher' is no entry of the file"):
        tk.load_parameters(mlp(), tmp_path / "raw.pt", weights="teacher")
