"""Hostile files: none is executed, loaded, crashes, hangs or takes memory, whatever verb reads it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

import tensorkeep as tk
from tensorkeep.testing.guard import Guard, Verdict
from tensorkeep.testing.hostile import FAMILIES, Case, cases

CASES = 1_500


def complaints(case: Case, verdict: Verdict, sentinel: Path) -> list[str]:
    """What a reader did wrong with a hostile file."""
    wrong = [f"{case.id}: {text} ({case.why})" for text in verdict.bad]
    if sentinel.exists():
        sentinel.unlink()
        wrong.append(f"{case.id}: executed ({case.why})")
    if not case.harmless and verdict.opened("load"):
        wrong.append(f"{case.id}: loaded {verdict.outcomes['load']} ({case.why})")
    if not (case.harmless or case.inert or case.lazy) and verdict.opened("read"):
        wrong.append(f"{case.id}: opened and read {verdict.outcomes['read']} ({case.why})")
    if case.runs and "data_only=True" in verdict.outcomes.get("scan", ""):
        wrong.append(f"{case.id}: scan calls it data only ({case.why})")
    if not (case.harmless or case.inert) and verdict.outcomes.get("verify") == "ok good":
        wrong.append(f"{case.id}: verify calls it good ({case.why})")
    return wrong


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile_files_are_refused(tmp_path: Path, family: str) -> None:
    """load, open and read all, scan, verify: within 2 s and 64 MiB, with an exception of ours."""
    sentinel = tmp_path / "executed"
    wrong: list[str] = []
    seen = 0

    with Guard() as guard:
        for case in cases(sentinel, family):
            seen += 1
            path = case.write(tmp_path / "case")
            wrong += complaints(case, guard.read(path), sentinel)
            shutil.rmtree(tmp_path / "case")

    print(family, seen, "cases")
    assert wrong == []
    assert seen > 20


def test_every_family_has_its_cases(tmp_path: Path) -> None:
    """The makers make what they say: many, each with an id of its own."""
    made = list(cases(tmp_path / "x"))

    assert len(made) > CASES
    assert [case_id for case_id, n in Counter(case.id for case in made).items() if n > 1] == []
    assert {case.id.partition("/")[0] for case in made} == set(FAMILIES)


def test_a_payload_is_live_elsewhere(tmp_path: Path) -> None:
    """The pickles are real: Python's own unpickler creates the sentinel."""
    import pickle

    (case,) = (case for case in cases(tmp_path / "executed", "pickle") if case.id == "pickle/stack-global-memo")
    pickle.loads(case.data)

    assert (tmp_path / "executed").exists()


def test_the_guard_sees_what_readers_must_not_do(tmp_path: Path) -> None:
    """An alarm, a limit, a crash and a wrong exception are told apart: the verdicts above can be bad."""
    import numpy as np

    tk.save(tmp_path / "x.npz", {"w": np.ones(10)})
    (tmp_path / "nothing.npy").write_bytes(b"")
    with Guard() as guard:
        good = guard.read(tmp_path / "x.npz")
        refused = guard.read(tmp_path / "nothing.npy")
        missing = guard.read(tmp_path / "missing")

    assert good.bad == []
    assert good.outcomes["load"] == "ok dict"
    assert refused.outcomes["load"].startswith("refused TruncatedFileError")
    assert missing.outcomes["load"].startswith("raised FileNotFoundError") or missing.outcomes["load"].startswith(
        "refused"
    )
    tk.save(tmp_path / "large.npz", {"w": np.zeros(30 << 20, np.int8)})
    with Guard(memory_nbytes=-(50 << 20)) as small, Guard(seconds=1e-6) as short:
        assert small.read(tmp_path / "large.npz").outcomes["load"].startswith("memory")
        assert short.read(tmp_path / "x.npz").outcomes["load"].startswith("hung")


@pytest.mark.parametrize("kind", ["folder", "pipe", "broken link"])
def test_a_shard_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    """A folder or a pipe in the place of a shard: nobody waits for it. (Links to files are how caches store shards.)"""
    (case,) = (case for case in cases(tmp_path / "x", "index") if case.id == "index/path-missing")
    path = case.write(tmp_path / "case")
    shard = tmp_path / "case" / "model-9.safetensors"
    if kind == "folder":
        shard.mkdir()
    elif kind == "pipe":
        os.mkfifo(shard)
    else:
        shard.symlink_to(tmp_path / "nowhere")

    with Guard(verbs=("load", "read", "verify")) as guard:
        verdict = guard.read(path)

    assert verdict.bad == []
    assert not verdict.opened("load")
    assert not verdict.opened("read")
