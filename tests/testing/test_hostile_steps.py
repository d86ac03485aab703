"""Steps whose manifest lies, or whose files are not what they seem: refused by name, nothing followed, nothing taken."""

from __future__ import annotations

import copy
import json
import os
import random
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
from tensorkeep.core.hashing import XXH3_128, digest_of
from tensorkeep.testing.guard import Guard
from tests.conftest import FUZZ_EXAMPLES

Edit = Callable[[dict[str, Any]], None]
ZEROS = "0" * 32
MUTATIONS = FUZZ_EXAMPLES or 150


def signed(data: dict[str, Any]) -> bytes:
    """A manifest with its own hash made to fit, as somebody who means harm would."""
    text = "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in data.items()) + "\n}\n"
    return resigned(text.encode())


def resigned(raw: bytes) -> bytes:
    """The same bytes with a hash that fits; as they are where there is no place for one."""
    at = raw.find(b'"hash": "') + 9
    if at < 9 or len(raw) < at + 32:
        return raw
    blank = raw[:at] + ZEROS.encode() + raw[at + 32 :]
    return raw[:at] + digest_of(blank, XXH3_128).value.encode() + raw[at + 32 :]


def first(data: dict[str, Any]) -> list[Any]:
    """The row of the tensor "w": dtype, shape, parts."""
    return data["tensors"]["w"]


def edit(path: tuple[Any, ...], value: Any) -> Edit:
    """Set one value, deep inside."""

    def act(data: dict[str, Any]) -> None:
        place: Any = data
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return act


def other_file(name: str) -> Edit:
    """Let the tensor lie in another file, by a name that leads elsewhere."""

    def act(data: dict[str, Any]) -> None:
        data["files"][name] = data["files"].pop("w.safetensors")
        first(data)[2][0][0] = name

    return act


def deep(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


PART = ("tensors", "w", 2, 0)
EDITS: dict[str, Edit] = {
    **{
        f"file {name!r}": other_file(name)
        for name in (
            "../secret",
            "/etc/passwd",
            "a/b",
            "..",
            ".",
            "",
            "a\\b",
            "c:x",
            "nul\0",
            "x" * 300,
            "manifest.json",
        )
    },
    "a part of a file that is not named": edit((*PART, 0), "optimizer.safetensors"),
    "a part outside of the tensor": edit((*PART, 2), [3, 0]),
    "a part larger than the tensor": edit((*PART, 3), [40, 5]),
    "a part of other dimensions": edit((*PART, 3), [20]),
    "a negative start": edit((*PART, 2), [-1, 0]),
    "a negative size": edit((*PART, 3), [-4, 5]),
    "a negative shape": edit(("tensors", "w", 1), [-4, 5]),
    "a negative offset": edit((*PART, 4), -8),
    "an offset behind the end": edit((*PART, 4), 1 << 40),
    "an offset of 2**64": edit((*PART, 4), 1 << 64),
    "an offset that is a float": edit((*PART, 4), 1e300),
    "an infinite offset": edit((*PART, 4), float("inf")),
    "a shape whose product is huge": lambda data: (
        edit(("tensors", "w", 1), [1 << 40, 1 << 40])(data),
        edit((*PART, 3), [1 << 40, 1 << 40])(data),
    )[0],
    "a huge tensor in one small part": edit(("tensors", "w", 1), [1 << 31, 1 << 31]),
    "a tensor of no part": edit(("tensors", "w", 2), []),
    "one part twice": lambda data: first(data)[2].append(copy.deepcopy(first(data)[2][0])),
    "halves that overlap and leave a hole": lambda data: edit(
        ("tensors", "w", 2),
        [
            [*first(data)[2][0][:2], [0, 0], [2, 5], *first(data)[2][0][4:]],
            [*first(data)[2][0][:2], [1, 0], [2, 5], *first(data)[2][0][4:]],
        ],
    )(data),
    "a dtype that is none": edit(("tensors", "w", 0), "float1024"),
    "a dtype that is code": edit(("tensors", "w", 0), "__import__('os').system('true')"),
    "a hash that is wrong": edit((*PART, 5), "f" * 32),
    "a hash that is no hash": edit((*PART, 5), "x"),
    "a file's size that is wrong": edit(("files", "w.safetensors", 0), 1),
    "a file's size that is negative": edit(("files", "w.safetensors", 0), -1),
    "a file's header hash that is wrong": edit(("files", "w.safetensors", 1), "f" * 32),
    "files that are a list": edit(("files",), []),
    "tensors that are a list": edit(("tensors",), [1]),
    "another step's number": edit(("step",), 7),
    "a step that is text": edit(("step",), "x"),
    "a version to come": edit(("version",), 2),
    "a version that is text": edit(("version",), "1"),
    "another format": edit(("format",), "tensorkeep"),
    "a tree that is deep": edit(("tree",), deep(500)),
    "a tree that names no tensor": edit(("tree",), {"t": "dict", "k": 3}),
    "a tree that is text": edit(("tree",), "w"),
    "metrics that are text": edit(("metrics",), {"loss": "low"}),
    "metrics that are a list": edit(("metrics",), [1]),
    "entries that are a number": edit(("entries",), 5),
    "policies that are a number": edit(("keep",), 5),
    "provenance that is missing": lambda data: data.pop("provenance"),
    "tensors that are missing": lambda data: data.pop("tensors"),
}


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


@pytest.mark.parametrize("name", EDITS)
def test_a_manifest_that_lies_is_refused(step: Path, name: str) -> None:
    """With a hash that fits: only errors of ours, the step is never restored, the one before it is."""
    (step.parent.parent / "secret").write_bytes(b"secret")
    data = json.loads((step / "manifest.json").read_text())
    EDITS[name](data)
    (step / "manifest.json").write_bytes(signed(data))

    assert asked(step) == []


@pytest.mark.parametrize("name", ["w.safetensors", "manifest.json"])
@pytest.mark.parametrize("kind", ["link", "link to nothing", "folder", "pipe", "device", "nothing"])
def test_what_stands_in_the_place_of_a_file_is_not_followed(step: Path, kind: str, name: str) -> None:
    """A link, even to the right bytes, a folder, a pipe, a device: refused at once."""
    place = step / name
    place.rename(step.parent.parent / "elsewhere")
    if kind.startswith("link"):
        place.symlink_to(step.parent.parent / ("elsewhere" if kind == "link" else "nowhere"))
    elif kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        try:
            os.mknod(place, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("making a device needs root")

    assert asked(step) == []


def test_a_duplicate_key_is_refused(step: Path) -> None:
    """Which of two readers would believe is not left to chance."""
    raw = (step / "manifest.json").read_bytes()
    (step / "manifest.json").write_bytes(resigned(raw.replace(b'"step": 1', b'"step": 1,\n"step": 1', 1)))

    assert asked(step) == []
    with pytest.raises(tk.CorruptFileError, match="step"):
        tk.Checkpointer(step.parent, signals=False).load(1)


def test_parts_that_overlap_are_refused_though_their_hashes_fit(step: Path) -> None:
    """As many elements as the tensor has, in two parts that lie over each other: a part of it would be left to chance."""
    data = json.loads((step / "manifest.json").read_text())
    file, name, _, _, offset, _ = first(data)[2][0]
    half = (step / file).read_bytes()[offset : offset + 80]
    digits = digest_of(half, XXH3_128).value
    first(data)[2] = [[file, name, [start, 0], [2, 5], offset, digits] for start in (0, 1)]
    (step / "manifest.json").write_bytes(signed(data))

    assert asked(step) == []
    with pytest.raises(tk.CorruptFileError, match="overlap"):
        tk.load(step)


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
