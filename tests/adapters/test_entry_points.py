"""Adapters of other packages: found by their entry points, through a distribution that lies on sys.path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PACKAGE = """
import numpy as np

from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.core.dtypes import DType


class Net:
    def __init__(self, value):
        self.w = np.full((2, 3), value, np.float32)


class ToyAdapter(Adapter):
    name = "toy"

    def owns(self, model):
        return isinstance(model, Net)

    def slots(self, model):
        return [Slot("w", model.w.shape, DType.of("float32"), "parameter", (), "cpu", model)]

    def value(self, slot):
        return slot.handle.w

    def put(self, slot, array, device=None):
        slot.handle.w[...] = array


ADAPTER = ToyAdapter()
"""

USE = """
import sys

import tensorkeep as tk
from tensorkeep.adapters import known
import toynets

assert known()[-1] == "toy", known()
tk.save_parameters(toynets.Net(3), sys.argv[1])
net = toynets.Net(0)
report = tk.load_parameters(net, sys.argv[1])
assert (net.w == 3).all() and report.matched == ("w",)
assert "torch" not in sys.modules
"""


def test_an_installed_package_brings_its_adapter(tmp_path: Path) -> None:
    """Its metadata name it in the group tensorkeep.adapters; nothing of ours knows it."""
    (tmp_path / "toynets.py").write_text(PACKAGE)
    info = tmp_path / "toynets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toynets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tensorkeep.adapters]\ntoy = toynets:ADAPTER\n")
    (tmp_path / "use.py").write_text(USE)

    done = subprocess.run(
        [sys.executable, str(tmp_path / "use.py"), str(tmp_path / "net.safetensors")], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
