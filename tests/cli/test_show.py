"""`tkeep show` gives a tensor's values, statistics and histogram, in bounded memory."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import click
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorkeep.cli._statistics import statistics
from tensorkeep.cli.show import parse_index
from tensorkeep.core.dtypes import DType
from tensorkeep.core.tensor import Tensor
from tests.cli.conftest import Run


def test_values_and_statistics_are_numpys(tkeep: Run, plain: Path) -> None:
    """0 to 11: minimum, maximum, mean and deviation as NumPy computes them."""
    result = tkeep("show", plain, "encoder.0.weight")
    values = np.arange(12)

    assert result.code == 0
    assert "encoder.0.weight  float32 · 3 × 4 · 48 B" in result.out
    assert "[ 0.  1.  2.  3.]" in result.out
    rows = result.lines()
    assert ["min", "0", "mean", "5.5"] in rows
    assert ["max", "11", "std", f"{values.std():.6g}"] in rows
    assert ["zeros", "1 (8.33 %)", "NaN, inf", "0, 0"] in rows


def test_a_slice_is_as_in_numpy(tkeep: Run, plain: Path) -> None:
    """NAME[0:2, 3] of the numbers 0 to 11 in three rows is 3 and 7."""
    document = json.loads(tkeep("show", "--json", plain, "encoder.0.weight[0:2, 3]").out)

    assert document["values"] == [3.0, 7.0]
    assert document["shape"] == [2]


def test_nan_and_infinities_are_counted(tkeep: Run, tmp_path: Path) -> None:
    """They are counted apart, and minimum to deviation are of the finite values."""
    np.save(tmp_path / "x.npy", np.array([np.nan, np.inf, -np.inf, np.inf, 1, 3], np.float64))
    document = json.loads(tkeep("show", "--json", "x.npy", "tensor").out)

    assert document["values"] == ["nan", "inf", "-inf", "inf", 1.0, 3.0]
    got = document["statistics"]
    assert (got["nan"], got["inf"], got["min"], got["max"], got["mean"], got["std"]) == (1, 3, 1.0, 3.0, 2.0, 1.0)


def test_whole_numbers_have_a_row_of_the_histogram_each(tkeep: Run, tmp_path: Path) -> None:
    """A few labels, counted exactly, also beyond what float64 can tell apart."""
    top = 2**64 - 1
    np.save(tmp_path / "x.npy", np.array([top] * 5 + [top - 2] * 7, np.uint64))
    document = json.loads(tkeep("show", "--json", "x.npy", "tensor").out)
    rows = document["statistics"]["histogram"]["rows"]

    assert rows == [
        {"label": str(top - 2), "count": 7},
        {"label": str(top - 1), "count": 0},
        {"label": str(top), "count": 5},
    ]
    assert document["statistics"]["max"] == top


def test_booleans_are_counted(tkeep: Run, tmp_path: Path) -> None:
    """True and false with their counts, no mean."""
    np.save(tmp_path / "x.npy", np.arange(30) < 10)
    result = tkeep("show", "x.npy", "tensor")

    assert ["true", "10", "false", "20 (66.7 %)"] in result.lines()
    assert "mean" not in result.out


def test_the_longest_bar_is_the_largest_count(tkeep: Run, tmp_path: Path) -> None:
    """1 to 4 in a row of counts 10, 20, 40, 20: the bars have these ratios."""
    np.save(tmp_path / "x.npy", np.repeat([1, 2, 3, 4], [10, 20, 40, 20]).astype(np.int8))
    lines = tkeep("show", "x.npy", "tensor").out.splitlines()[-4:]

    assert [line.count("█") for line in lines] == [15, 30, 60, 30]


def test_bfloat16_and_float8_are_shown(tkeep: Run, tmp_path: Path) -> None:
    """Types that NumPy does not print by itself, small and large."""
    for kind in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn):
        for many in (16, 4096):
            array = (np.arange(many) % 4).astype(kind)
            tensor = Tensor(array.shape, DType.of(array.dtype), array=array)
            got = statistics(tensor, 4)

            assert (got.minimum, got.maximum, got.mean, got.zeros) == (0, 3, 1.5, many // 4)
    save_file({"w": np.arange(5000).reshape(50, 100).astype(np.float16)}, tmp_path / "x.safetensors")
    assert "..." in tkeep("show", "x.safetensors", "w").out


def test_four_bit_numbers_are_unpacked() -> None:
    """-8 to 7, three times, two in a byte: counted one by one."""
    array = np.tile(np.arange(-8, 8), 3).astype(ml_dtypes.int4)
    got = statistics(Tensor(array.shape, DType.of("int4"), array=array), 12)

    assert (got.minimum, got.maximum, got.zeros) == (-8, 7, 3)
    assert [many for _, many in got.histogram] == [3] * 16


def test_the_mean_of_large_numbers_keeps_its_digits() -> None:
    """A deviation of 1 beside a mean of 1e9, over several blocks."""
    array = 1e9 + np.tile([-1.0, 1.0], 700_000)
    got = statistics(Tensor(array.shape, DType.of("float64"), array=array), 4)

    assert got.mean == pytest.approx(1e9, abs=1e-6)
    assert got.deviation == pytest.approx(1.0, rel=1e-9)


def test_blocks_of_different_values_are_joined() -> None:
    """Zeros, then tens, in several blocks of different lengths: mean and deviation of all of them."""
    array = np.repeat([0.0, 10.0], [1_500_000, 500_000])
    got = statistics(Tensor(array.shape, DType.of("float64"), array=array), 4)

    assert got.mean == pytest.approx(2.5)
    assert got.deviation == pytest.approx(math.sqrt(0.75 * 0.25) * 10)


def test_memory_is_bounded(tkeep: Run, tmp_path: Path) -> None:
    """A tensor of 128 MB is shown with a tenth of that."""
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (32, 1024, 1024)})
        file.truncate(file.tell() + 128 * 2**20)
    tkeep("show", "x.npy", "tensor[0]")
    tracemalloc.start()
    try:
        result = tkeep("show", "x.npy", "tensor")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert ["zeros", "33,554,432 (100 %)", "NaN, inf", "0, 0"] in result.lines()
    assert peak < 30 * 2**20


def test_a_plain_value_is_shown_by_its_path(tkeep: Run, hashed: Path) -> None:
    """What stands beside the tensors, for people and for programs."""
    assert '"run 1"' in tkeep("show", hashed, "name").out
    assert json.loads(tkeep("show", "--json", hashed, "step").out)["value"] == 3


def test_an_unknown_name_is_told_with_the_nearest(tkeep: Run, plain: Path) -> None:
    """Exit code 2 and the name that was meant."""
    result = tkeep("show", plain, "encoder.0.weigth")

    assert result.code == 2
    assert "'encoder.0.weight'" in result.err


@pytest.mark.parametrize(
    ("index", "why"), [("[9]", "outside"), ("[x]", "is no index"), ("[0,0,0]", "too many indices")]
)
def test_an_index_that_does_not_fit_is_told(tkeep: Run, plain: Path, index: str, why: str) -> None:
    """Exit code 2, no traceback."""
    result = tkeep("show", plain, "encoder.0.weight" + index)

    assert result.code == 2
    assert why in result.err


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("0", (0,)),
        ("-1", (-1,)),
        ("0:2, 3", (slice(0, 2), 3)),
        ("..., ::2", (..., slice(None, None, 2))),
        (":", (slice(None),)),
        ("::-1", (slice(None, None, -1),)),
        (" 1 : 3 ", (slice(1, 3),)),
    ],
)
def test_indices_are_parsed(text: str, index: tuple[object, ...]) -> None:
    """Numbers, slices and an ellipsis, as NumPy writes them."""
    assert parse_index(text) == index


@pytest.mark.parametrize("text", ["", "a", "1.5", "0:1:0", "..., ...", "__import__('os')", "1:2:3:4", "9" * 30, "None"])
def test_what_is_no_index_is_refused(text: str) -> None:
    """Nothing is evaluated."""
    with pytest.raises(click.UsageError, match="is no index"):
        parse_index(text)


def test_a_name_with_brackets_is_found_first(tkeep: Run, tmp_path: Path) -> None:
    """ "w[0]" may be a name."""
    np.savez(tmp_path / "x.npz", **{"w[0]": np.array([5.0]), "w": np.array([1.0, 2.0])})

    assert json.loads(tkeep("show", "--json", "x.npz", "w[0]").out)["values"] == [5.0]
    assert json.loads(tkeep("show", "--json", "x.npz", "w[1]").out)["values"] == 2.0


def test_sparse_parts_are_shown(tkeep: Run, tmp_path: Path) -> None:
    """A csr matrix: its parts, and the statistics of what is stored."""
    import tensorkeep

    sparse = tensorkeep.SparseTensor(
        "csr", (2, 3), np.array([1.0, 4.0]), np.array([0, 2], np.int64), np.array([0, 1, 2], np.int64)
    )
    tensorkeep.save(tmp_path / "x.safetensors", {"m": sparse})
    result = tkeep("show", "x.safetensors", "m")

    assert "m  float64 · csr · 2 × 3" in result.out
    assert "indptr" in result.out
    assert ["min", "1", "mean", "2.5"] in result.lines()
    assert json.loads(tkeep("show", "--json", "x.safetensors", "m.indices").out)["values"] == [0, 2]


def test_complex_numbers_are_measured_by_their_length(tkeep: Run, tmp_path: Path) -> None:
    """3 + 4i is 5 long."""
    np.save(tmp_path / "x.npy", np.array([3 + 4j, 0]))
    document = json.loads(tkeep("show", "--json", "x.npy", "tensor").out)

    assert document["statistics"]["max"] == 5.0
    assert document["values"] == [[3.0, 4.0], [0.0, 0.0]]


def test_a_range_that_overflows_has_no_histogram(tkeep: Run, tmp_path: Path) -> None:
    """From -1.7e308 to 1.7e308 no float64 holds the width; the other numbers are given."""
    np.save(tmp_path / "x.npy", np.array([-1.7e308, 1.7e308] * 10))
    document = json.loads(tkeep("show", "--json", "x.npy", "tensor").out)

    assert document["statistics"]["histogram"]["rows"] == []
    assert document["statistics"]["max"] == 1.7e308
    assert document["statistics"]["std"] is None or math.isfinite(document["statistics"]["std"])
