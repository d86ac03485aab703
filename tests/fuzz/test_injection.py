"""Each system call of a save fails once in the kernel's place: what C code does is seen as well."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from tensorkeep.testing import crash
from tensorkeep.testing.crash.inject import SystemCall, calls_on, run_with_fault
from tests.conftest import FUZZ_EXAMPLES
from tests.crash.savers import CHECKPOINTS, COMMAND, PATHS
from tests.crash.test_faults import listing

FAULTS = ("ENOSPC", "EIO", "EDQUOT", "EINTR", "SIGKILL")
NAMES = ("buffered", "writer", "sharded", "npz", "torch", *CHECKPOINTS) if FUZZ_EXAMPLES else ("buffered",)

pytestmark = pytest.mark.skipif(bool(crash.have_strace()), reason=crash.have_strace() or "strace is there")


def complaints(name: str, folder: Path, call: SystemCall, fault: str) -> tuple[str, list[str]]:
    """What one fault did, and what is wrong with it."""
    path = PATHS[name]
    command = [*COMMAND, name, str(folder)]
    before, old = listing(folder), None if path.first else path.data(1)
    status, text, delivered = run_with_fault(call, fault, command)
    result = "success" if status == 0 else "killed" if fault == "SIGKILL" else "error"
    wrong = []
    ours = ("tensorkeep.errors.", "tests.crash.savers.NotReadError", "__main__.NotReadError", "NotReadError")
    lines = [line for line in text.splitlines() if line and not line[0].isspace()]
    raised = [line for line in lines if "Error" in line.partition(":")[0]]
    if result == "error" and not (raised and raised[-1].startswith(ours)):  # notes may stand after it
        wrong.append(f"raised {(raised or lines or [text])[-1][:200]}")
    found = path.read(folder)
    if result == "success" and not crash.same(found, path.data(2)):
        wrong.append("reported success, but the new data are not there")
    if not crash.same(found, old) and not crash.same(found, path.data(2)):
        wrong.append("neither the old nor the new data are there")
    if (
        call.name in ("fsync", "fdatasync")
        and fault in ("EIO", "ENOSPC", "EDQUOT")
        and delivered
        and result == "success"
    ):
        wrong.append("a failed sync was passed over")
    if result == "error" and crash.same(found, old) and listing(folder) - before:
        wrong.append(f"left behind {listing(folder) - before}")
    path.save(folder, path.data(3))
    if not crash.same(path.read(folder), path.data(3)) or listing(folder) - before:
        wrong.append(f"the next save left {listing(folder) - before}")
    return result if delivered else "not delivered", [f"{call}, {fault}: {each}" for each in wrong]


@pytest.mark.parametrize("name", NAMES)
def test_every_system_call_may_fail(tmp_path: Path, name: str) -> None:
    """An error of ours or success; the old data or the new; nothing left behind; the next save works."""
    path = PATHS[name]
    folder = tmp_path / "folder"

    def fresh() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if not path.first:
            path.save(folder, path.data(1))

    fresh()
    calls = calls_on(folder, [*COMMAND, name, str(folder)])
    results: Counter[str] = Counter()
    wrong: list[str] = []
    for i, call in enumerate(calls):
        for fault in FAULTS if FUZZ_EXAMPLES else FAULTS[i % len(FAULTS) :][:1]:
            fresh()
            result, found = complaints(name, folder, call, fault)
            results[result] += 1
            wrong += found

    print(name, len(calls), "system calls", dict(results))
    assert wrong == []
    assert {"openat", "fsync"} <= {call.name for call in calls}
    assert results["error"] > 0
    assert results["not delivered"] < 0.1 * results.total()
