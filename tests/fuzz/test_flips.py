"""A flipped bit in what we write with checksums is an error, or no data changed; never other data."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.testing import crash
from tests.conftest import FUZZ_EXAMPLES

FLIPS = (
    40_000 if FUZZ_EXAMPLES else 400
)  # for each of WRITERS: nightly that is every bit, but of a streamed file's padding
WRITERS = ("safetensors", "sharded", "writer", "npz", "torch")


def data() -> dict[str, Any]:
    rng = np.random.default_rng(3)
    made: dict[str, Any] = {f"layer.{i}.weight": rng.standard_normal((8, 5 + i)).astype(np.float32) for i in range(4)}
    return made | {
        "half": rng.standard_normal(30).astype(np.float16),
        "count": np.arange(9),
        "step": 12,
        "name": "run 7",
    }


def write(writer: str, folder: Path) -> Path:
    """The data in a folder; the path to load."""
    if writer == "sharded":
        return Path(tk.save(folder / "x.safetensors.index.json", data(), shard_size=600).path)
    if writer == "writer":
        with tk.writer(folder / "x.safetensors") as out:
            for name, tensor in data().items():
                if isinstance(tensor, np.ndarray):
                    out[name] = tensor
        return folder / "x.safetensors"
    path = folder / {"npz": "x.npz", "torch": "x.pt", "safetensors": "x.safetensors"}[writer]
    tk.save(path, data(), metadata={"note": "kept"})
    return path


@pytest.mark.parametrize("writer", WRITERS)
def test_no_flipped_bit_is_silent(tmp_path: Path, writer: str) -> None:
    """Every file of a save: each flipped bit is refused, or the loaded data are the same."""
    path = write(writer, tmp_path)
    intact = tk.load(path)
    files = {each: each.read_bytes() for each in tmp_path.iterdir()}
    rng = random.Random(11)
    places = [(each, bit) for each, raw in files.items() for bit in range(8 * len(raw))]
    verdicts: Counter[str] = Counter()
    silent = []

    for each, bit in rng.sample(places, min(FLIPS, len(places))):
        raw = bytearray(files[each])
        raw[bit // 8] ^= 1 << bit % 8
        each.write_bytes(raw)
        try:
            found = tk.load(path)
        except tk.TensorkeepError:
            verdicts["refused"] += 1
        else:
            verdicts["equal"] += 1
            if not crash.same(found, intact):
                silent.append(f"{each.name}, bit {bit}")
        each.write_bytes(files[each])

    print(writer, sum(verdicts.values()), "flips", dict(verdicts))
    assert silent == []
    assert verdicts["refused"] > 0.6 * verdicts.total()  # zip archives have unused fields and padding
    assert crash.same(tk.load(path), intact)


def test_a_format_without_checksums_is_silent(tmp_path: Path) -> None:
    """The test above has teeth: the same flips in a file without checksums give other data."""
    array = np.arange(1_000, dtype=np.int32)
    tk.save(tmp_path / "x.npy", array)
    raw = bytearray((tmp_path / "x.npy").read_bytes())
    raw[-5] ^= 1
    (tmp_path / "x.npy").write_bytes(raw)

    assert not np.array_equal(tk.load(tmp_path / "x.npy"), array)
