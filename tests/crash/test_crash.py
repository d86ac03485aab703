"""Whatever moment a crash comes at, the old data or the new data are there; after the acknowledgement, the new."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tensorkeep.testing import crash
from tests.crash.savers import BAD, COMMAND, PATHS, REFUSED, TOGETHER, SavePath

ROOT = Path(__file__).resolve().parents[2]

needs_strace = pytest.mark.skipif(bool(crash.have_strace()), reason=crash.have_strace() or "strace is there")

STATES = 2_000  # different ones, for each save path


def recorded(name: str, path: SavePath, folder: Path) -> crash.Recording:
    """The system calls of one save over the old data (or over nothing)."""
    folder.mkdir()
    if not path.first:
        good = PATHS["step" if name.startswith("step") else "buffered"]
        (path if name in PATHS else good).save(folder, path.data(1))
    return crash.record([*COMMAND, name, str(folder)], folder)


def old_of(path: SavePath) -> Any:
    return None if path.first else path.data(1)


@needs_strace
@pytest.mark.parametrize("name", PATHS)
def test_every_state_after_a_crash_holds_the_old_data_or_the_new(tmp_path: Path, name: str) -> None:
    """2,000 different states and more a save path: none lost, none wrong, none acknowledged and not new."""
    path = PATHS[name]
    recording = recorded(name, path, tmp_path / "folder")

    report = crash.examine(recording, path.read, old=old_of(path), new=path.data(2), samples=100, at_least=STATES)

    print(name, report)
    assert report.ok, str(report)
    assert report.distinct >= STATES
    assert recording.acknowledged is not None


@needs_strace
@pytest.mark.parametrize("name", BAD)
def test_a_saver_with_a_classical_mistake_is_caught(tmp_path: Path, name: str) -> None:
    """In place, without fsync, renamed before it, without the folder's, unlinked first: each loses data in some state."""
    path = BAD[name]
    if name == "size-set-ahead":
        (tmp_path / "folder").mkdir()
        path.save(tmp_path / "folder", path.data(1))
        old, new = path.read(tmp_path / "folder"), b"".join(t.tobytes() for t in path.data(2).values())
        command = [*COMMAND, name, str(tmp_path / "folder")]
        recording = crash.record(command, tmp_path / "folder")
    else:
        recording, old, new = recorded(name, path, tmp_path / "folder"), path.data(1), path.data(2)

    report = crash.examine(recording, path.read, old=old, new=new, samples=20)

    print(name, report)
    assert not report.ok
    found = {kind for kind in ("lost", "wrong", "unacknowledged") if getattr(report, kind)}
    expected = {
        "without-folder-fsync": {"unacknowledged"},
        "acknowledged-early": {"unacknowledged"},
        "size-set-ahead": {"wrong"},
        "unlinked-before-rename": {"wrong"},  # no file where there was one
        "step-without-parent-fsync": {"unacknowledged"},
        "step-without-file-fsync": {"unacknowledged"},  # a step that is cut is passed over: the one before is there
    }
    assert found >= expected.get(name, {"lost"})


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("name", TOGETHER)
def test_two_processes_that_save_together_leave_the_old_step_or_the_new(tmp_path: Path, name: str) -> None:
    """Whenever the power goes: 2,000 states and more of what both wrote; without one rank's fsync it is caught."""
    pytest.importorskip("torch")
    path = TOGETHER[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    if not path.first:
        TOGETHER["together"].save(folder, path.data(1))
    recording = crash.record([*COMMAND, name, str(folder)], folder)

    toothless = name == "together-without-fsync"
    wanted = {"samples": 2} if toothless else {"samples": 10, "at_least": STATES}
    report = crash.examine(recording, path.read, old=old_of(path), new=path.data(2), **wanted)

    print(name, report)
    assert recording.acknowledged is not None
    if toothless:
        assert report.unacknowledged
        assert not report.wrong
    else:
        assert report.ok, str(report)
        assert report.distinct >= STATES


@needs_strace
def test_processes_have_descriptors_of_their_own(tmp_path: Path) -> None:
    """Two files under the same number in a process and in the one that it forked are not mixed up."""
    program = (
        "import os, sys\n"
        "from tensorkeep.testing.crash import mark\n"
        "mark('begin')\n"
        "shared = os.open(sys.argv[1] + '/shared', os.O_WRONLY | os.O_CREAT)\n"
        "child = os.fork()\n"
        "name = 'parent' if child else 'child'\n"
        "own = os.open(sys.argv[1] + '/' + name, os.O_WRONLY | os.O_CREAT)\n"
        "os.write(own, name.encode())\n"
        "if child: os.waitpid(child, 0)\n"
        "os.write(shared, name.encode())\n"
        "os.fsync(own)\n"
    )

    recording = crash.record([sys.executable, "-c", program, str(tmp_path)], tmp_path)

    assert recording.after == {"child": b"child", "parent": b"parent", "shared": b"childparent"}
    assert [call.op for call in recording.calls].count("sync") == 2


@needs_strace
def test_a_refused_save_changes_nothing_whenever_it_is_killed(tmp_path: Path) -> None:
    """Saving a step that is there: the old one is there in every state."""
    (tmp_path / "folder").mkdir()
    PATHS["step"].save(tmp_path / "folder", PATHS["step"].data(1))
    recording = crash.record([*COMMAND, "step-refused", str(tmp_path / "folder")], tmp_path / "folder")

    report = crash.examine(recording, REFUSED.read, old=PATHS["step"].data(1), new=PATHS["step"].data(1))

    assert report.ok, str(report)


@needs_strace
def test_the_next_save_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    """After a kill at any moment, one more save leaves the folder as if nothing had happened."""
    path = PATHS["buffered"]
    recording = recorded("buffered", path, tmp_path / "folder")
    left = 0

    for state in crash.states(recording, "kill"):
        crash.rebuild(state.tree, tmp_path / "after")
        left += len(state.tree) > 1
        path.save(tmp_path / "after", path.data(3))

        assert [each.name for each in (tmp_path / "after").iterdir()] == list(recording.after)
        assert crash.same(path.read(tmp_path / "after"), path.data(3))
    assert left > 3


@needs_strace
def test_what_is_not_modelled_is_refused(tmp_path: Path) -> None:
    """A saver that writes through a shared map is not passed over."""
    program = (
        "import mmap, os, sys\n"
        "from tensorkeep.testing.crash import mark\n"
        "mark('begin')\n"
        "fd = os.open(sys.argv[1] + '/x', os.O_RDWR | os.O_CREAT)\n"
        "os.ftruncate(fd, 10)\n"
        "mmap.mmap(fd, 10)[:] = b'0123456789'\n"
    )

    with pytest.raises(crash.RecordingError, match="shared writable map"):
        crash.record([sys.executable, "-c", program, str(tmp_path)], tmp_path)


@needs_strace
def test_a_failing_program_is_no_recording(tmp_path: Path) -> None:
    """A saver that ends with an error is reported with what it said."""
    with pytest.raises(crash.RecordingError, match="out of luck"):
        crash.record([sys.executable, "-c", "raise SystemExit('out of luck')"], tmp_path)


def test_the_savers_read_what_they_write(tmp_path: Path) -> None:
    """Without a crash, every save path gives its data back: the verdicts above compare the right things."""
    for name, path in PATHS.items():
        folder = tmp_path / name
        folder.mkdir()
        assert path.read(folder) is None
        path.save(folder, path.data(1))
        path.save(folder, path.data(2))

        assert crash.same(path.read(folder), path.data(2)), name
        assert not crash.same(path.read(folder), path.data(1)), name
    assert subprocess.run([sys.executable, "-c", "import tests.crash.savers"], cwd=ROOT, check=True).returncode == 0
