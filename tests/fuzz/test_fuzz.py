"""Damaged files of every format: an exception of ours or data, never anything else, in time and in bounded memory."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import tensorkeep as tk
from tensorkeep.testing.guard import Guard
from tensorkeep.testing.mutate import STRUCTURED, mutated, mutations
from tests.conftest import FUZZ_EXAMPLES
from tests.fuzz.corpus import corpus

COUNT = FUZZ_EXAMPLES or 250  # mutations a format
BATCH = 1_000
SEED = int(os.environ.get("TENSORKEEP_FUZZ_SEED", "1"))


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: 100,000 files pass through it."""
    if os.access("/dev/shm", os.W_OK):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
            yield Path(made)
    else:
        yield tmp_path


@pytest.mark.parametrize("name", sorted(corpus()))
def test_damaged_files_do_no_harm(scratch: Path, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """load, open and read, scan, verify of mutated files raise ours or an OSError, or work, within 2 s and 64 MiB."""
    samples = corpus()[name]
    path = scratch / "x.bin"
    bad: list[str] = []
    outcomes: Counter[str] = Counter()
    kept = Path(os.environ.get("TENSORKEEP_FUZZ_KEEP", "") or tmp_path_factory.mktemp("bad"))

    with Guard() as guard:
        for start in range(0, COUNT, BATCH):
            seed = SEED * 1_000_003 + start
            for i, data in enumerate(mutations(samples, min(BATCH, COUNT - start), seed, STRUCTURED.get(name))):
                path.write_bytes(data)
                verdict = guard.read(path)
                outcomes[verdict.outcomes["load"].partition(":")[0]] += 1
                if verdict.bad:
                    (kept / f"{name}-{start + i}.bin").write_bytes(data)
                    bad += [f"{name}-{start + i}.bin: {text}" for text in verdict.bad]

    print(name, COUNT, "mutations of", len(samples), "files:", dict(outcomes.most_common(8)))
    assert bad == [], f"the files are in {kept}"
    assert sum(outcomes.values()) == COUNT
    assert any(outcome.startswith("refused") for outcome in outcomes)


def test_a_damaged_index_does_no_harm(scratch: Path) -> None:
    """The index of shards, mutated beside its good shards."""
    import numpy as np

    data = {f"layer.{i}": np.arange(40 * i, dtype=np.float32) for i in range(6)} | {"step": 3}
    path = Path(tk.save(scratch / "m.safetensors.index.json", data, shard_size=400).path)
    good = path.read_bytes()
    bad = []

    with Guard() as guard:
        for mutation in mutations([good], COUNT, SEED):
            path.write_bytes(mutation)
            bad += guard.read(path).bad

    assert bad == []


def test_a_damaged_distributed_checkpoint_does_no_harm(scratch: Path, golden: Path) -> None:
    """The pickle and the data files of a folder of two processes, mutated one at a time."""
    files = {path.name: path.read_bytes() for path in (golden / "torch" / "dcp-2-ranks").iterdir()}
    bad = []

    with Guard() as guard:
        for name, good in files.items():
            for other, data in files.items():
                (scratch / other).write_bytes(data)
            for mutation in mutations([good], COUNT if name == ".metadata" else COUNT // 4, SEED):
                (scratch / name).write_bytes(mutation)
                bad += [f"{name}: {text}" for text in guard.read(scratch).bad]

    assert bad == []
    assert len(files) == 3


def test_mutations_are_many_and_the_same_again() -> None:
    """A seed gives its mutations again; most differ from the good file and from each other."""
    good = corpus()["safetensors"][0]
    first, second = mutations([good], 200, 7), mutations([good], 200, 7)

    assert first == second
    assert len(set(first)) > 190
    assert mutations([good], 200, 8) != first


def test_structured_mutations_pass_the_checks(tmp_path: Path) -> None:
    """Repaired lengths and CRCs let damage reach what lies behind: some structured mutations still load."""
    import random

    for name, change in STRUCTURED.items():
        loaded, refusals, rng = 0, list[str](), random.Random(3)
        for _ in range(150):
            try:
                tk.load(change(corpus()[name][0], rng))
                loaded += 1
            except tk.TensorkeepError as err:
                refusals.append(str(err))

        assert loaded > 5, name
        assert not any("CRC" in text for text in refusals)
        assert mutated(b"", rng) is not None
