"""`tkeep diff` tells identical, changed, reshaped, added and removed tensors apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Run
from tests.cli.test_check import flip_last


def test_the_same_tensors_in_another_format_are_identical(tkeep: Run, plain: Path) -> None:
    """Exit code 0, the tensors counted and not listed."""
    tkeep("convert", plain, "x.npz")
    result = tkeep("diff", plain, "x.npz")

    assert result.code == 0
    assert result.out == "  4 identical\n"


def test_each_kind_of_change_is_a_row(tkeep: Run, tmp_path: Path) -> None:
    """Of equal vectors the cosine is 1; (3, 4) and (4, 3) have 24/25, and differ by 1 at most."""
    first = {
        "same": np.ones(3),
        "changed": np.array([3.0, 4.0]),
        "shaped": np.zeros((2, 3)),
        "gone": np.zeros(1),
    }
    second = {
        "same": np.ones(3),
        "changed": np.array([4.0, 3.0]),
        "shaped": np.zeros((3, 2)),
        "new": np.zeros(1),
    }
    np.savez(tmp_path / "a.npz", **first)
    np.savez(tmp_path / "b.npz", **second)
    result = tkeep("diff", "a.npz", "b.npz")
    rows = result.lines()

    assert result.code == 1
    assert ["changed", "changed", "float64", "2", "1", "0.960000", "100 %"] in rows
    assert ["shaped", "reshaped", "float64", "2 × 3 → 3 × 2"] in rows
    assert ["gone", "removed", "float64", "1"] in rows
    assert ["new", "added", "float64", "1"] in rows
    assert "1 identical · 1 changed · 1 reshaped · 1 added · 1 removed" in result.out


def test_a_cosine_that_is_not_one_is_not_printed_as_one(tkeep: Run, tmp_path: Path) -> None:
    """A difference in the last digits is seen."""
    a = np.arange(1, 1001, dtype=np.float64)
    b = a.copy()
    b[5] += 1e-3
    np.savez(tmp_path / "a.npz", w=a)
    np.savez(tmp_path / "b.npz", w=b)
    out = tkeep("diff", "a.npz", "b.npz").out

    assert ">0.999999" in out
    assert "0.001" in out
    assert "0.1 %" in out


def test_a_flipped_bit_is_a_difference(tkeep: Run, hashed: Path, tmp_path: Path) -> None:
    """Both files carry the same checksums; the bytes are compared."""
    other = tmp_path / "other.safetensors"
    other.write_bytes(hashed.read_bytes())
    flip_last(other)

    assert tkeep("diff", hashed, other).code == 1


def test_plain_values_are_compared(tkeep: Run, hashed: Path, tmp_path: Path) -> None:
    """A step that differs and a name that is not there."""
    import tensorkeep

    data = tensorkeep.load(hashed)
    del data["name"]
    tensorkeep.save(tmp_path / "x.safetensors", data | {"step": 4})
    result = tkeep("diff", hashed, "x.safetensors")

    assert result.code == 1
    assert ["step", "3", "→", "4"] in result.lines()
    assert ["name", '"run 1"', "→", "(absent)"] in result.lines()
    assert "2 values differ" in result.out


def test_json_has_every_change(tkeep: Run, tmp_path: Path) -> None:
    """Specs before and after, differences, and what is identical by name."""
    save_file({"w": np.array([1.0, 2.0]), "x": np.ones(2)}, tmp_path / "a.safetensors")
    save_file({"w": np.array([1.0, 4.0]), "x": np.ones(2)}, tmp_path / "b.safetensors")
    document = json.loads(tkeep("diff", "--json", "a.safetensors", "b.safetensors").out)

    assert document["identical"] == ["x"]
    (change,) = document["changes"]
    assert (change["kind"], change["max_abs"], change["differing"]) == ("changed", 2.0, 1)
    assert change["cosine"] == pytest.approx(9 / np.sqrt(5 * 17))
    assert change["before"] == {"dtype": "float64", "shape": [2]}


def test_limit_cuts_the_rows(tkeep: Run, tmp_path: Path) -> None:
    """The sum still counts all."""
    np.savez(tmp_path / "a.npz", **{f"w{i}": np.zeros(2) for i in range(5)})
    np.savez(tmp_path / "b.npz", **{f"w{i}": np.ones(2) for i in range(5)})
    out = tkeep("diff", "a.npz", "b.npz", "--limit", 2).out

    assert "… and 3 more changes" in out
    assert "0 identical · 5 changed" in out


def test_a_missing_file_gives_3(tkeep: Run, plain: Path) -> None:
    """An error is not a difference."""
    assert tkeep("diff", plain, "absent").code == 3
