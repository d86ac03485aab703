"""What people do with parameters, from end to end: the chapters' network, a detector, Gluon, a file of a GPU, memory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
nn = torch.nn


class MLP(nn.Module):
    """The network of both chapters."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(20, 256)
        self.output = nn.Linear(256, 10)

    def forward(self, x: Any) -> Any:
        return self.output(self.hidden(x).relu())


def test_the_chapters_network_goes_into_a_clone(tmp_path: Path) -> None:
    """Its parameters saved, a clone made, its parameters loaded: the same outputs."""
    net, clone, x = MLP(), MLP(), torch.randn(2, 20)

    tk.save_parameters(net, tmp_path / "mlp.params")
    tk.load_parameters(clone, tmp_path / "mlp.params")

    assert torch.equal(clone(x), net(x))


def test_a_ddp_checkpoint_goes_into_a_bare_model(tmp_path: Path) -> None:
    """With an optimizer and an epoch beside it, as training scripts write it."""
    net, x = MLP(), torch.randn(2, 20)
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state, "best_acc1": 0.5}, tmp_path / "c.pth.tar")
    clone = MLP()

    report = tk.load_parameters(clone, tmp_path / "c.pth.tar")

    assert torch.equal(clone(x), net(x))
    assert report.rule == "prefix 'state_dict.' removed"


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Any) -> Any:
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


class ResNet(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Block(8), Block(8))
        self.fc = nn.Linear(8, classes)

    def features(self, x: Any) -> Any:
        return self.layer1(self.bn1(self.conv1(x)).relu())

    def forward(self, x: Any) -> Any:
        return self.fc(self.features(x).mean((2, 3)))


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = ResNet()
        self.backbone.fc = None
        self.boxes = nn.Conv2d(8, 4, 1)


def test_a_backbone_goes_into_a_detector_with_another_head(tmp_path: Path) -> None:
    """The classifier stays behind, the new head keeps its own values: both are said, and both must be allowed."""
    net, detector, x = ResNet().eval(), Detector().eval(), torch.randn(2, 3, 9, 9)
    tk.save_parameters(net, tmp_path / "resnet.safetensors")
    own = detector.boxes.weight.clone()
    rules = [("^", "backbone.")]

    with pytest.raises(
        tk.MismatchError, match=r"missing in the file, 2 of 3\d: boxes\.weight, boxes\.bias\..* Set allow_missing"
    ):
        tk.load_parameters(detector, tmp_path / "resnet.safetensors", rename=rules)
    report = tk.load_parameters(
        detector, tmp_path / "resnet.safetensors", rename=rules, only="backbone.*", ignore_extra=True
    )
    same = tk.load_parameters(Detector().backbone, tmp_path / "resnet.safetensors", ignore_extra=True)

    assert torch.equal(detector.backbone.features(x), net.features(x))
    assert torch.equal(detector.boxes.weight, own)
    assert report.extra == same.extra == ("fc.weight", "fc.bias")


def test_a_file_saved_on_a_gpu_loads_on_the_cpu(tmp_path: Path) -> None:
    """torch itself refuses such a file here unless it is told map_location; the location in a real file is edited for the test."""
    net, clone, x = MLP(), MLP(), torch.randn(2, 20)
    torch.save(net.state_dict(), tmp_path / "cpu.pt")
    with zipfile.ZipFile(tmp_path / "cpu.pt") as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, raw in members.items():
            if name.endswith("data.pkl"):  # BINUNICODE of a length in four bytes: "cpu" becomes "cuda:0"
                assert b"X\x03\x00\x00\x00cpu" in raw
                raw = raw.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            archive.writestr(name, raw)
    (tmp_path / "cuda.pt").write_bytes(made.getvalue())
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="map_location"):
            torch.load(tmp_path / "cuda.pt")

    tk.load_parameters(clone, tmp_path / "cuda.pt")

    assert torch.equal(clone(x), net(x))
    assert clone.hidden.weight.device.type == "cpu"


def test_the_first_two_layers_go_into_a_different_network(tmp_path: Path) -> None:
    """The exercise of the second chapter: new layers behind the first two of an old network."""
    old = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10))
    new = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4))
    tk.save_parameters(old, tmp_path / "old.safetensors")
    x = torch.randn(2, 20)

    tk.graft(new, tmp_path / "old.safetensors", first=2)

    assert torch.equal(new[:4](x), old[:4](x))


MEASURE = """
import pathlib, sys, threading
import torch
import tensorkeep as tk

def anonymous():  # memory of the process itself; pages of a mapped file belong to the page cache
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) << 10

path, how = sys.argv[1:]
for each in pathlib.Path(path).parent.iterdir():  # from a cold cache, checking reads through windows of 64 MiB, however large it is
    each.read_bytes()
net = torch.nn.ModuleList([torch.nn.Linear(1024, 1024, bias=False) for _ in range(50)])
for p in net.parameters():
    p.data.fill_(1)
small = torch.nn.Linear(4, 4)
tk.save_parameters(small, path + ".small.safetensors")
tk.load_parameters(small, path + ".small.safetensors")
peak, done = anonymous(), threading.Event()
before = peak

def watch():
    global peak
    while not done.wait(0.0005):
        peak = max(peak, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
if how == "copied":
    kept = tk.load(path)
else:
    report = tk.load_parameters(net, path, verify=how == "verified")
    assert len(report.matched) == 50 and net[49].weight[0, 0].item() == 49
done.set()
watcher.join()
print(max(peak, anonymous()) - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read as Linux counts it")
@pytest.mark.parametrize("form", ["one file", "shards"])
def test_loading_adds_no_more_than_a_tensor(tmp_path: Path, form: str) -> None:
    """A model of 200 MB, tensors of 4 MiB: the process' own memory grows by less than 16 MiB; that of a copy would be seen."""
    names = {f"{i}.weight": np.full((1024, 1024), i, np.float32) for i in range(50)}
    path = tmp_path / "model.safetensors"
    tk.save(path, names, shard_size="50MB" if form == "shards" else None)
    if form == "shards":
        path = tmp_path / "model.safetensors.index.json"
        assert path.exists()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    grown = {}
    for how in ("unverified", "verified", "copied"):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path), how], capture_output=True, text=True, check=True, env=environment
        )
        grown[how] = int(done.stdout)

    assert grown["unverified"] < 16 << 20
    assert grown["verified"] < 16 << 20
    assert grown["copied"] > 150 << 20
