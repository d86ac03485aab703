"""An optimizer's state by the names of its parameters, beside torch's own load_state_dict and steps that go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
nn = torch.nn


def mlp(classes: int = 2) -> Any:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, classes))


def step(net: Any, optimizer: Any, seed: int) -> None:
    torch.manual_seed(seed)
    optimizer.zero_grad()
    net(torch.randn(8, 4)).square().sum().backward()
    optimizer.step()


def trained() -> tuple[Any, Any]:
    torch.manual_seed(0)
    net = mlp()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for seed in range(3):
        step(net, optimizer, seed)
    return net, optimizer


def go_on_alike(net: Any, optimizer: Any, other: Any, second: Any) -> bool:
    """Whether a step of both gives the same parameters, bit for bit."""
    step(net, optimizer, 9)
    step(other, second, 9)
    return all(torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_saved_optimizer_goes_on(tmp_path: Path, suffix: str) -> None:
    """Names, averages, counts and the learning rate come back."""
    net, optimizer = trained()
    tk.save_parameters(net, tmp_path / f"m{suffix}")
    tk.save_optimizer(optimizer, tmp_path / f"o{suffix}", net)
    other = mlp()
    second = torch.optim.Adam(other.parameters())

    tk.load_parameters(other, tmp_path / f"m{suffix}")
    report = tk.load_optimizer(second, tmp_path / f"o{suffix}", other)

    assert list(report.matched) == [name for name, _ in net.named_parameters()]
    assert second.param_groups[0]["lr"] == 0.01
    assert go_on_alike(net, optimizer, other, second)


@pytest.mark.parametrize("entry", ["optimizer", "optimizer_state_dict"])
def test_a_training_scripts_checkpoint_goes_on(tmp_path: Path, entry: str) -> None:
    """torch's states by number get their names from the model's state beside them, through DDP's prefix."""
    net, optimizer = trained()
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    torch.save({"model": state, entry: optimizer.state_dict(), "epoch": 3}, tmp_path / "c.pt")
    other = mlp()
    second = torch.optim.Adam(other.parameters())

    tk.load_parameters(other, tmp_path / "c.pt")
    report = tk.load_optimizer(second, tmp_path / "c.pt", other)

    assert "named by the model's state in the same file" in report.rule
    assert go_on_alike(net, optimizer, other, second)


def test_new_parameters_start_fresh_and_gone_ones_are_told(tmp_path: Path) -> None:
    """Another order, a layer more and one less: states follow their names, which numbers would not."""
    net, optimizer = trained()
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "c.pt")

    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("2", nn.Linear(6, 2))
            self.add_module("new", nn.Linear(3, 3))
            self.add_module("0", nn.Linear(4, 6))

    other = Other()
    second = torch.optim.Adam(other.parameters())
    report = tk.load_optimizer(second, tmp_path / "c.pt", other)

    assert report.missing == ("new.weight", "new.bias")
    assert report.extra == ("1.weight", "1.bias")
    own = dict(other.named_parameters())
    theirs = dict(net.named_parameters())
    assert own["new.weight"] not in second.state
    for name in ("0.weight", "2.bias"):
        assert torch.equal(second.state[own[name]]["exp_avg"], optimizer.state[theirs[name]]["exp_avg"])


def test_names_of_the_groups_are_taken(tmp_path: Path) -> None:
    """torch keeps them when an optimizer is made from named_parameters(); nothing else in the file is needed."""
    torch.manual_seed(0)
    net = mlp()
    optimizer = torch.optim.SGD(net.named_parameters(), lr=0.1, momentum=0.9)
    step(net, optimizer, 0)
    torch.save({"optimizer": optimizer.state_dict()}, tmp_path / "o.pt")
    other = mlp(classes=2)
    second = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)

    report = tk.load_optimizer(second, tmp_path / "o.pt", other)

    assert report.rule == "parameters named by the groups' param_names"
    ours = second.state[other[0].weight]["momentum_buffer"]
    assert torch.equal(ours, optimizer.state[net[0].weight]["momentum_buffer"])


def test_a_step_of_a_checkpointer_is_a_source(tmp_path: Path) -> None:
    """The folder of a step, without its Checkpointer."""
    net, optimizer = trained()
    with tk.Checkpointer(tmp_path / "run") as checkpointer:
        checkpointer.save(3, {"model": net, "optimizer": optimizer})
    folder = next((tmp_path / "run").glob("step-*"))
    other = mlp()
    second = torch.optim.Adam(other.parameters())

    tk.load_parameters(other, folder, ignore_extra=True)
    tk.load_optimizer(second, folder, other)

    assert go_on_alike(net, optimizer, other, second)


def test_a_refused_state_changes_nothing(tmp_path: Path) -> None:
    """Other shapes, other groups, nothing that is one, a flipped bit: the optimizer is as it was, each text says what to do."""
    net, optimizer = trained()
    tk.save_optimizer(optimizer, tmp_path / "o.safetensors", net)
    other = mlp(classes=3)
    second = torch.optim.Adam(other.parameters())
    groups = torch.optim.Adam([{"params": other[0].parameters()}, {"params": other[2].parameters()}])
    tk.save(tmp_path / "x.safetensors", {"a": torch.zeros(2)})
    raw = bytearray((tmp_path / "o.safetensors").read_bytes())
    raw[-1] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(raw)

    with pytest.raises(tk.MismatchError, match=r"2\.weight\.exp_avg: \[2, 6\] in the file, the parameter has \[3, 6\]"):
        tk.load_optimizer(second, tmp_path / "o.safetensors", other)
    with pytest.raises(tk.MismatchError, match="1 parameter groups in the file, 2 in the optimizer"):
        tk.load_optimizer(groups, tmp_path / "o.safetensors", other)
    with pytest.raises(tk.MismatchError, match=r"no optimizer's state found\. Name the one that is meant with entry="):
        tk.load_optimizer(second, tmp_path / "x.safetensors", other)
    with pytest.raises(tk.CorruptFileError):
        tk.load_optimizer(torch.optim.Adam(net.parameters()), tmp_path / "bad.safetensors", net)
    assert not second.state
    report = tk.load_optimizer(second, tmp_path / "o.safetensors", other, mismatched="skip")

    assert dict(report.skipped) == {"2.weight": ((2, 6), (3, 6)), "2.bias": ((2,), (3,))}
    assert len(second.state) == 4


def test_states_by_number_alone_need_the_same_number(tmp_path: Path) -> None:
    """Without names anywhere the order is taken when it can be; else the text says what keeps names."""
    net, optimizer = trained()
    torch.save(optimizer.state_dict(), tmp_path / "o.pt")
    other, more = mlp(), nn.Sequential(*mlp(), nn.Linear(2, 2))
    second = torch.optim.Adam(other.parameters())

    report = tk.load_optimizer(second, tmp_path / "o.pt", other)

    assert report.rule == "parameters by their order"
    assert torch.equal(second.state[other[2].bias]["exp_avg"], optimizer.state[net[2].bias]["exp_avg"])
    with pytest.raises(tk.MismatchError, match=r"nothing in the file tells their names\. Save with tk\.save_optimizer"):
        tk.load_optimizer(torch.optim.Adam(more.parameters()), tmp_path / "o.pt", more)


def test_what_is_no_optimizer_is_refused(tmp_path: Path) -> None:
    """Trees of optax have another way, which the text tells."""
    with pytest.raises(tk.UnsupportedDataError, match=r"is no torch\.optim\.Optimizer.*Optax states are trees"):
        tk.save_optimizer({"count": 1}, tmp_path / "o.pt", mlp())
