"""Run `tkeep` in this process, and the files that its tests look at: written by NumPy, safetensors and torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorkeep.cli import main


@dataclass(frozen=True)
class Result:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str

    def lines(self) -> list[list[str]]:
        """The printed lines, each split at runs of two spaces and more (the cells of a table)."""
        return [[cell.strip() for cell in line.strip().split("  ") if cell.strip()] for line in self.out.splitlines()]


Run = Callable[..., Result]


@pytest.fixture
def tkeep(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """tkeep("ls", path) → Result, run in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*args: Any) -> Result:
        capsys.readouterr()
        code = main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A safetensors file by the reference library: two layers and a counter, no checksums."""
    path = tmp_path / "plain.safetensors"
    tensors = {
        "encoder.0.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
        "encoder.0.bias": np.array([0.5, -1.5, np.nan], np.float32),
        "head.weight": np.ones((2, 3), np.float16),
        "steps": np.array(7, np.int64),
    }
    save_file(tensors, path, metadata={"author": "somebody"})
    return path


@pytest.fixture
def hashed(tmp_path: Path) -> Path:
    """A safetensors file of ours, nested, with checksums and plain values."""
    import tensorkeep

    path = tmp_path / "hashed.safetensors"
    data = {"net": {"w": np.arange(1000, dtype=np.float32), "b": np.zeros(10, np.float32)}, "step": 3, "name": "run 1"}
    tensorkeep.save(path, data)
    return path


class Harmless:
    """An object whose pickle asks for a function that is not on the allow-list."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("it ran",))


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A torch file whose pickle calls a function."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "hostile.pt"
    torch.save({"w": torch.ones(3), "x": Harmless()}, path)
    return path
