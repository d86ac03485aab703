"""Steps whose manifest lies, or whose files are not what they seem: refused by name, nothing followed, nothing taken."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import tensorkeep as tk
from tensorkeep.cli import _main
from tensorkeep.testing.guard import Guard
from tensorkeep.testing.hostile import cases
from tensorkeep.testing.hostile._step import deep, good, signed
from tests.conftest import FUZZ_EXAMPLES

MUTATIONS = FUZZ_EXAMPLES or 150
CASES = {case.id: case for case in cases(os.devnull, "step")}


@pytest.fixture
def step(tmp_path: Path) -> Path:
    """The folder of a good step; a good step before it."""
    with tk.Checkpointer(tmp_path / "run", provenance=False, generators=False, signals=False) as ckpt:
        for number in range(2):
            ckpt.save(number, {"w": np.arange(20.0).reshape(4, 5) + number, "epoch": number}, metrics={"loss": 0.5})
    return tmp_path / "run" / "step-0000000001"


def asked(folder: Path) -> list[str]:
    """What each way of looking at a step did that no file may cause; and whether its data were given out."""
    run = folder.parent
    wrong: list[str] = []

    def attempt(name: str, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except (tk.TensorkeepError, OSError):
            return None
        except Exception as err:  # noqa: BLE001  # that is what is looked for
            wrong.append(f"{name}: {type(err).__name__}: {err}")
            return None

    ckpt = tk.Checkpointer(run, signals=False)
    attempt("steps", lambda: [(each.metrics, each.pinned, each.damage(quick=True)) for each in ckpt.steps()])
    attempt("own", lambda: [(each.nbytes, each.own_nbytes) for each in ckpt.steps()])
    attempt("latest", ckpt.latest)
    attempt("load", lambda: ckpt.load(1))
    attempt("open", lambda: tk.load(folder))
    attempt("verify", lambda: tk.verify(folder))
    attempt("scan", lambda: tk.scan(folder))
    state = {"w": np.zeros((4, 5)), "epoch": -1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attempt("restore", lambda: ckpt.restore(state))
    if found is not None and found.step == 1:
        wrong.append(f"restored the step: {state}")
    done = CliRunner().invoke(_main.cli, ["runs", str(run)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        wrong.append(f"tkeep runs: {done.exception!r}")
    return wrong


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_step_is_refused(step: Path, name: str) -> None:
    """Whatever lies, and whatever stands in the place of a file: only errors of ours, and the step is never restored."""
    (step.parent / "secret").write_bytes(b"secret")
    shutil.rmtree(step)
    CASES[name].write(step)

    assert asked(step) == []


@pytest.mark.parametrize(
    ("name", "text"), [("step/duplicate-key", "step"), ("step/parts-overlap-hashes-fit", "overlap")]
)
def test_what_would_be_left_to_chance_is_refused_by_name(step: Path, name: str, text: str) -> None:
    """Which of two equal keys a reader believes; which of two parts that lie over each other is written last."""
    shutil.rmtree(step)
    CASES[name].write(step)

    with pytest.raises(tk.CorruptFileError, match=text):
        tk.load(step)


def test_the_step_that_hostile_ones_are_made_from_is_whole(step: Path) -> None:
    """Each of them is refused for its one lie and for nothing else."""
    for name, raw in good().items():
        (step / name).write_bytes(raw)

    (found,) = asked(step)
    assert found.startswith("restored the step")


def test_a_manifest_cut_anywhere_is_refused(step: Path) -> None:
    """At every length; in the usual run at every seventh."""
    raw = (step / "manifest.json").read_bytes()
    ckpt = tk.Checkpointer(step.parent, signals=False)

    for length in range(0, len(raw), 1 if FUZZ_EXAMPLES else 7):
        (step / "manifest.json").write_bytes(raw[:length])
        latest = ckpt.latest()
        assert latest is not None
        assert latest.step == 0, length


def test_every_flipped_bit_of_a_manifest_is_seen(step: Path) -> None:
    """The hash covers every byte, and itself; in the usual run every eleventh bit is flipped."""
    raw = (step / "manifest.json").read_bytes()
    ckpt = tk.Checkpointer(step.parent, signals=False)
    silent = []

    for bit in range(0, 8 * len(raw), 1 if FUZZ_EXAMPLES else 11):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        (step / "manifest.json").write_bytes(flipped)
        latest = ckpt.latest()
        if latest is None or latest.step != 0:
            silent.append(bit)

    assert silent == []


def test_mutated_manifests_do_no_harm(step: Path) -> None:
    """Values changed at random under a hash that fits, read within 2 s and 64 MiB."""
    good = json.loads((step / "manifest.json").read_text())
    rng = random.Random(5)
    outcomes: Counter[str] = Counter()
    bad: list[str] = []

    with Guard() as guard:
        for _ in range(MUTATIONS):
            data = copy.deepcopy(good)
            for _ in range(rng.choice((1, 1, 2))):
                _mutate(data, rng)
            (step / "manifest.json").write_bytes(signed(data))
            verdict = guard.read(step)
            outcomes[verdict.outcomes["load"].partition(":")[0]] += 1
            bad += [f"{text}: {json.dumps(data)}" for text in verdict.bad]

    print(dict(outcomes))
    assert bad == []
    assert outcomes.total() == MUTATIONS
    assert any(outcome.startswith("refused") for outcome in outcomes)


VALUES: tuple[Any, ...] = (
    -1,
    0,
    1,
    2**31,
    2**63,
    2**64,
    10**40,
    1e308,
    True,
    None,
    "",
    "..",
    "w",
    [],
    {},
    [[]],
    {"w": 1},
    deep(70),
)


def _mutate(data: Any, rng: random.Random) -> None:
    """Walk down at random and put something else there, or take it away."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    if not keys:
        return
    key = rng.choice(keys)
    if isinstance(data[key], (dict, list)) and data[key] and rng.random() < 0.85:
        _mutate(data[key], rng)
    elif rng.random() < 0.15:
        del data[key]
    else:
        data[key] = rng.choice(VALUES)
