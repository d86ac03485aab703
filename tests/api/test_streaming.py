"""tk.writer: plain safetensors files, one tensor in memory at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch

import tensorkeep as tk
from tensorkeep.api import streaming
from tensorkeep.errors import UnsupportedDataError, UnsupportedFormatError


def test_the_reference_library_reads_what_was_streamed(tmp_path: Path) -> None:
    """Odd sizes among them: every tensor is aligned for torch, every byte is there."""
    tensors = {f"t{i}": np.arange(i + 1).astype(["f4", "i1", "f8", "f2", "u1", "i8"][i % 6]) for i in range(30)}
    tensors["empty"] = np.zeros((0, 3), np.float32)
    tensors["scalar"] = np.array(2.5)
    with tk.writer(tmp_path / "x.safetensors", metadata={"k": "v"}) as w:
        for name, array in tensors.items():
            w[name] = array

    for loaded in (
        safetensors.numpy.load_file(tmp_path / "x.safetensors"),
        {k: v.numpy() for k, v in safetensors.torch.load_file(tmp_path / "x.safetensors").items()},
        tk.load(tmp_path / "x.safetensors"),
    ):
        assert set(loaded) == set(tensors)
        for name, array in tensors.items():
            assert loaded[name].dtype == array.dtype
            np.testing.assert_array_equal(loaded[name], array)
    assert w.receipt is not None
    assert w.receipt.nbytes == (tmp_path / "x.safetensors").stat().st_size
    assert tk.verify(tmp_path / "x.safetensors").status == "good"
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_header_that_outgrows_its_room_moves_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for nothing, and blocks smaller than the data, the file is the same tensors."""
    monkeypatch.setattr(streaming, "_ROOM_NBYTES", 64)
    monkeypatch.setattr(streaming, "_COPY_NBYTES", 1000)
    with tk.writer(tmp_path / "x.safetensors") as w:
        for i in range(50):
            w[f"t{i}"] = np.full(33, i, np.int64)

    loaded = safetensors.numpy.load_file(tmp_path / "x.safetensors")

    assert all(loaded[f"t{i}"].tolist() == [i] * 33 for i in range(50))
    assert tk.verify(tmp_path / "x.safetensors").status == "good"


def test_an_exception_in_the_block_leaves_the_old_file(tmp_path: Path) -> None:
    """And nothing beside it."""
    path = tmp_path / "x.safetensors"
    tk.save(path, {"old": np.ones(3)})

    def interrupted() -> None:
        with tk.writer(path) as w:
            w["a"] = np.zeros(100_000)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tk.load(path)) == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


@pytest.mark.parametrize(
    ("names", "value", "text"),
    [("aa", np.zeros(1), "taken"), ("a", 3, "no dense tensor"), ("a", np.zeros(1, np.complex128), "complex128")],
)
def test_misuse_is_told_and_leaves_nothing(tmp_path: Path, names: str, value: object, text: str) -> None:
    """A name used twice, plain values, types that the format lacks."""

    def misuse() -> None:
        with tk.writer(tmp_path / "x.safetensors") as w:
            for name in names:
                w[name] = value

    with pytest.raises(UnsupportedDataError, match=text):
        misuse()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_is_used_in_a_with_block_for_safetensors(tmp_path: Path) -> None:
    """Outside of one, and for other formats, it says what to do."""
    with pytest.raises(UnsupportedDataError, match="not open"):
        tk.writer(tmp_path / "x.safetensors")["a"] = np.zeros(1)
    with pytest.raises(UnsupportedFormatError, match="tensor by tensor"):
        tk.writer(tmp_path / "x.npz")
