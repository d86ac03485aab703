"""Steps that lie in a cache, where every file is a link: they are read, and no run goes on from them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

W = np.arange(20.0).reshape(4, 5)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one step in the layout of the Hugging Face cache: links into a folder of files by their hashes."""
    with tk.Checkpointer(tmp_path / "run", signals=False) as ckpt:
        ckpt.save(1, {"w": W, "epoch": 3}, metrics={"loss": 0.5})
    folder = tmp_path / "cache" / "snapshots" / "main" / "step-0000000001"
    (tmp_path / "cache" / "blobs").mkdir(parents=True)
    folder.mkdir(parents=True)
    for file in (tmp_path / "run" / folder.name).iterdir():
        blob = tmp_path / "cache" / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        file.rename(blob)
        (folder / file.name).symlink_to(os.path.join("..", "..", "..", "blobs", blob.name))
    return folder.parent


def test_a_step_of_links_is_read(run: Path) -> None:
    """By its path and by the Checkpointer's reading side, verified; nothing else is asked than of a folder of files."""
    folder = run / "step-0000000001"
    ckpt = tk.Checkpointer(run, signals=False)
    (step,) = ckpt.steps()
    with tk.open(folder) as file, step.open() as other:
        assert file.format == other.format == "step"
        assert np.array_equal(file.dense()["w"].numpy(), W)

    for state in (tk.load(folder), step.load(), ckpt.load(1)):
        assert state["w"].tolist() == W.tolist()
        assert state["epoch"] == 3
    assert tk.verify(folder).status == "good"
    assert step.metrics == {"loss": 0.5}


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_torchs_checkpoints_are_read_through_links(run: Path) -> None:
    """TensorkeepReader is a reading side too."""
    torch = pytest.importorskip("torch")
    dcp = pytest.importorskip("torch.distributed.checkpoint")
    state = {"w": torch.zeros(4, 5, dtype=torch.float64)}
    dcp.load(state, storage_reader=tk.TensorkeepReader(run / "step-0000000001"), no_dist=True)

    assert state["w"].tolist() == W.tolist()


def test_no_run_goes_on_from_links(run: Path) -> None:
    """The next steps would link what lies elsewhere: the error says to copy the step, and the copy restores."""
    ckpt = tk.Checkpointer(run, signals=False)
    state: dict[str, Any] = {"w": np.zeros((4, 5)), "epoch": -1}

    assert ckpt.latest() is None
    assert ckpt.best("loss", mode="min") is None
    with pytest.raises(tk.CorruptFileError, match=r"a symbolic link in the place of a file.*cp -rL"):
        ckpt.restore(state)
    assert state["epoch"] == -1
    for file in (run / "step-0000000001").iterdir():
        raw = file.read_bytes()
        file.unlink()
        file.write_bytes(raw)
    assert tk.Checkpointer(run, signals=False).restore(state) is not None
    assert state["epoch"] == 3


def test_a_link_to_another_file_gives_nothing_out(run: Path) -> None:
    """A file of the same size, a file of other tensors: refused when the step is opened, before a value is read."""
    folder = run / "step-0000000001"
    secret = run / "secret"
    size = os.path.getsize(folder / "w.safetensors")
    (folder / "w.safetensors").unlink()
    (folder / "w.safetensors").symlink_to(secret)

    secret.write_bytes(b"s" * size)
    with pytest.raises(
        tk.CorruptFileError, match=r"a link to .*secret, which is not the file that was written: it has no such header"
    ):
        tk.open(folder)
    tk.save(tmp := run / "other.safetensors", {"w": W + 1, "more": W})
    secret.write_bytes(tmp.read_bytes())
    with pytest.raises(tk.CorruptFileError, match=r"which is not the file that was written: it has \d+ bytes"):
        tk.open(folder)


@pytest.mark.parametrize("target", ["nowhere", "w.safetensors", ".", "/dev/zero", "pipe"])
def test_links_to_what_is_no_file_are_refused(run: Path, target: str) -> None:
    """Nothing, itself, a folder, a device, a pipe that nobody writes to: told at once, by name."""
    folder = run / "step-0000000001"
    (folder / "w.safetensors").unlink()
    (folder / "w.safetensors").symlink_to(target)
    if target == "pipe":
        os.mkfifo(folder / "pipe")

    with pytest.raises(
        tk.TensorkeepError, match=r"w\.safetensors: (not a regular file|this file of the step is a link)"
    ):
        tk.open(folder)
    with pytest.raises(tk.TensorkeepError, match=r"w\.safetensors"):
        tk.Checkpointer(run, signals=False).load(1)
