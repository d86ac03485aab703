"""Proposals for names that differ, and the first layers of one network in another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")
nn = torch.nn


class Source(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(self.features(x).mean((2, 3)))


class Target(nn.Module):
    """The same network with other names, its head registered first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 10)
        self.stem = nn.ModuleDict({"conv": nn.Conv2d(3, 4, 3), "norm": nn.BatchNorm2d(4)})
        self.block = nn.ModuleDict({"conv": nn.Conv2d(4, 4, 3), "norm": nn.BatchNorm2d(4)})

    def forward(self, x: Any) -> Any:
        x = self.stem.norm(self.stem.conv(x))
        return self.head(self.block.norm(self.block.conv(x)).mean((2, 3)))


X = torch.ones(2, 3, 8, 8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tk.save_parameters(Source(), tmp_path / "source.pt")
    return tmp_path / "source.pt"


def test_proposed_rules_load_the_other_network(path: Path) -> None:
    """Five prefix rules say it, and the outputs are equal."""
    source, target = Source().eval(), Target().eval()
    tk.load_parameters(source, path)

    found = tk.match(target, path)
    tk.load_parameters(target, path, rename=json.loads(found.dumps()))

    assert found.rules == {
        "features.0.": "stem.conv.",
        "features.1.": "stem.norm.",
        "features.2.": "block.conv.",
        "features.3.": "block.norm.",
        "fc.": "head.",
    }
    assert torch.equal(source(X), target(X))


def test_a_proposal_changes_nothing_and_says_how_sure_it_is(path: Path) -> None:
    """The confidence is there for each rule, and the model is as it was."""
    target = Target()
    before = {name: value.clone() for name, value in target.state_dict().items()}

    shown = str(tk.match(target, path))

    assert shown.startswith("16 pairs, 0 of the model without one, 0 of the file left over")
    assert "fc.         → head." in shown
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_two_files_are_matched_as_well(path: Path, tmp_path: Path) -> None:
    """The model may be a file; equal names need no rule; what has no partner is told."""
    tk.save(tmp_path / "other.pt", {"fc.weight": torch.zeros(10, 4), "new": torch.zeros(77)})

    found = tk.match(tmp_path / "other.pt", path)

    assert found.rules == {}
    assert found.missing == ["new"]
    assert "features.0.weight" in found.extra


def test_graft_fills_the_first_layers_in_order_of_use(path: Path) -> None:
    """The head is registered first but used last: a look at a call tells."""
    source, target = Source(), Target()
    tk.load_parameters(source, path)
    head = target.head.weight.clone()

    report = tk.graft(target, path, first=2, example_inputs=(X,))

    assert torch.equal(target.stem.conv.weight, source.features[0].weight)
    assert torch.equal(target.stem.norm.running_var, source.features[1].running_var)
    assert torch.equal(target.head.weight, head)
    assert target.training
    assert len(report.matched) == 7


def test_graft_refuses_layers_that_do_not_fit(path: Path) -> None:
    """By order of registration the head comes first, and is no convolution."""
    target = Target()
    head = target.head.weight.clone()

    with pytest.raises(tk.MismatchError, match=r"head\.weight: file \[4, 3, 3, 3\], model \[10, 4\]"):
        tk.graft(target, path, first=1)
    with pytest.raises(tk.MismatchError, match="first=6, but the model has 5 layers with tensors and the file 5"):
        tk.graft(target, path, first=6)

    assert torch.equal(target.head.weight, head)
