"""Each system call of a save fails once, in each way: the save raises or finishes, and the old data or the new are there."""

from __future__ import annotations

import gc
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorkeep.errors import TensorkeepError
from tensorkeep.testing import crash, faults
from tests.conftest import FUZZ_EXAMPLES
from tests.crash.savers import CHECKPOINTS, COMMAND, PATHS, SavePath

SYNCS = {"fsync", "fdatasync"}
FAULTS_OF_STEPS = ("kill", "EIO", "kill", "ENOSPC", "EIO", "EINTR", "EDQUOT")


def prepared(path: SavePath, folder: Path) -> None:
    folder.mkdir()
    if not path.first:
        path.save(folder, path.data(1))


def listing(folder: Path) -> set[str]:
    """The names in a folder; shards by their pattern, since each save names its own; of a folder of steps what is no step."""
    names = {name if "-of-" not in name else "shard" for name in os.listdir(folder)} - {"run"}
    if (folder / "run").exists():
        names |= {name for name in os.listdir(folder / "run") if not name.startswith(("step-", "damaged-", ".lock"))}
    return names


def outcome(path: SavePath, folder: Path, at: int, fault: str, clean: set[str]) -> tuple[str, list[str]]:
    """What one fault did: (result, what is wrong with it)."""
    prepared(path, folder)
    before, old, new, newer = listing(folder), None if path.first else path.data(1), path.data(2), path.data(3)
    result, wrong = "success", []
    with faults.inject(folder, at=at, fault=fault) as seen:
        try:
            path.save(folder, new)
        except faults.Killed:
            result = "killed"
        except (TensorkeepError, OSError) as err:
            result = "error"
            if not isinstance(err, TensorkeepError):
                wrong.append(f"raised {type(err).__name__}, which is none of ours: {err}")
    found = path.read(folder)
    if result == "success" and not crash.same(found, new):
        wrong.append("reported success, but the new data are not there")
    if not crash.same(found, new) and not crash.same(found, old):
        wrong.append("neither the old nor the new data are there")
    if seen.hit in SYNCS and fault != "short" and result == "success":
        wrong.append("a failed sync was passed over")
    if result == "error" and crash.same(found, old) and listing(folder) - before:
        wrong.append(f"left behind: {listing(folder) - before}")
    path.save(folder, newer)
    if not crash.same(path.read(folder), newer):
        wrong.append("the next save did not work")
    if listing(folder) != clean:
        wrong.append(f"the next save left {listing(folder) ^ clean}")
    return result, [f"call {at} ({seen.hit}), {fault}: {text}" for text in wrong]


def faults_at(name: str, at: int) -> tuple[str, ...]:
    """The faults that a call gets. A step takes many calls: in the usual run each of them gets one fault, in turn."""
    if name not in CHECKPOINTS or FUZZ_EXAMPLES:
        return faults.FAULTS
    return (FAULTS_OF_STEPS[at % len(FAULTS_OF_STEPS)],)


@pytest.fixture(autouse=True)
def _quick_collections() -> Iterator[None]:
    """Each killed save is followed by a garbage collection: it need not look at what other tests left in this process."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def scratch(tmp_path: Path, name: str) -> Iterator[Path]:
    """For steps a folder in memory, where there is one: what fails is made to, whatever lies beneath."""
    if name in CHECKPOINTS and os.access("/dev/shm", os.W_OK):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
            yield Path(made)
    else:
        yield tmp_path


@pytest.mark.parametrize("name", PATHS)
def test_every_call_may_fail_in_every_way(scratch: Path, name: str) -> None:
    """ENOSPC, EIO, EDQUOT, EINTR, a short write, SIGKILL at each call: an error or success, nothing lost or left."""
    tmp_path, path = scratch, PATHS[name]
    prepared(path, tmp_path / "count")
    with faults.watch(tmp_path / "count") as seen:
        path.save(tmp_path / "count", path.data(2))
    results: Counter[str] = Counter()
    wrong: list[str] = []

    for at, call in enumerate(seen.calls):
        for fault in faults_at(name, at):
            if fault == "short" and "write" not in call:
                continue
            result, found = outcome(path, tmp_path / f"{at}-{fault}", at, fault, listing(tmp_path / "count"))
            results[result] += 1
            wrong += found

    print(name, len(seen.calls), "calls", dict(results))
    assert wrong == []
    assert {"fsync", "open"} <= set(seen.calls)
    if name in CHECKPOINTS and not FUZZ_EXAMPLES:
        assert min(results["killed"], results["error"]) > len(seen.calls) * 0.2
    else:
        assert results["killed"] == len(seen.calls)
        assert results["error"] > len(seen.calls)


def test_a_saver_that_passes_over_a_failed_sync_is_caught(tmp_path: Path) -> None:
    """The sweep has teeth: a save that ignores its fsync, one that leaves its temporary file, one that writes half."""

    def careless(folder: Path, data: object) -> None:
        good = PATHS["buffered"]
        try:
            good.save(folder, data)
        except OSError as err:
            (folder / "rubbish").write_bytes(b"")
            if "Input/output error" not in str(err):
                raise

    path = SavePath(careless, PATHS["buffered"].read)
    wrong: list[str] = []
    prepared(path, tmp_path / "count")
    with faults.watch(tmp_path / "count") as seen:
        path.save(tmp_path / "count", path.data(2))

    for at, call in enumerate(seen.calls):
        if call in SYNCS:
            for fault in ("EIO", "ENOSPC"):
                wrong += outcome(path, tmp_path / f"{at}-{fault}", at, fault, {"model.safetensors"})[1]

    assert any("passed over" in text for text in wrong)
    assert any("not there" in text for text in wrong)
    assert any("left behind: {'rubbish'}" in text for text in wrong)


def test_a_short_write_is_a_short_write(tmp_path: Path) -> None:
    """The fault takes half of the bytes and says so: a saver that trusts write() would lose the rest."""
    with faults.inject(tmp_path, at=1, fault="short") as seen:
        fd = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT)
        count = os.write(fd, b"0123456789")
        os.close(fd)

    assert (count, seen.hit, (tmp_path / "x").read_bytes()) == (5, "write", b"01234")


@pytest.mark.skipif(bool(crash.have_strace()), reason=crash.have_strace() or "strace is there")
@pytest.mark.parametrize("name", ["buffered", "direct", "sharded", "npz", "torch"])
def test_no_call_that_changes_the_disk_goes_unseen(tmp_path: Path, name: str) -> None:
    """What strace sees a save write, sync, rename and remove is what the functions of `os` were called for."""
    path = PATHS[name]
    prepared(path, tmp_path / "traced")
    command = [*COMMAND, name, str(tmp_path / "traced")]
    recording = crash.record(command, tmp_path / "traced")
    in_kernel = Counter(_KIND.get(call.op, "other") for call in recording.calls)

    prepared(path, tmp_path / "watched")
    with faults.watch(tmp_path / "watched") as seen:
        path.save(tmp_path / "watched", path.data(2))
    in_python = Counter(_KIND.get(call, "other") for call in seen.calls)

    for kind in ("write", "sync", "rename", "remove"):
        assert in_python[kind] == in_kernel[kind], kind


_KIND = {"write": "write", "pwrite": "write", "writev": "write", "pwritev": "write"}
_KIND |= {"sync": "sync", "sync-folder": "sync", "fsync": "sync", "fdatasync": "sync"}
_KIND |= {"rename": "rename", "replace": "rename", "unlink": "remove", "remove": "remove"}
