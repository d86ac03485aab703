"""The name of a file chooses the format that a save writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import tensorkeep as tk


def test_a_name_without_a_suffix_is_a_safetensors_file(tmp_path: Path) -> None:
    """Textbooks save to 'x-file': the reference library opens what that writes."""
    tk.save(tmp_path / "x-file", np.arange(4, dtype=np.float32))

    found = safetensors.numpy.load((tmp_path / "x-file").read_bytes())

    assert found["tensor"].tolist() == [0, 1, 2, 3]


def test_an_unknown_suffix_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """A suffix that no format has is more likely a slip than a wish for the default."""
    with pytest.raises(tk.UnsupportedFormatError, match=r"the suffix chooses the format when saving"):
        tk.save(tmp_path / "model.onyx", np.zeros(1))

    assert list(tmp_path.iterdir()) == []
