"""A file is replaced as a whole or not at all, and nothing is left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tensorkeep.errors import NotEnoughSpaceError, SaveError, TensorkeepError
from tensorkeep.storage.atomic import replace_file, write_all

OLD = b"the old bytes"
NEW = b"new"

linux = pytest.mark.skipif(sys.platform != "linux", reason="file locks and modes as Linux has them")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that a save will replace."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(OLD)
    return path


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def save(path: Path, data: bytes = NEW) -> None:
    with replace_file(path, nbytes=len(data)) as out:
        out.write(data)


def only(path: Path) -> bool:
    """Whether the folder holds this file and nothing else."""
    return os.listdir(path.parent) == [path.name]


def test_the_new_bytes_take_the_name(target: Path) -> None:
    """After the block the path holds what was written, and no temporary is left."""
    save(target)

    assert target.read_bytes() == NEW
    assert only(target)


def test_the_old_file_is_whole_while_the_new_one_is_written(target: Path) -> None:
    """A reader in the middle of a save sees the old bytes."""
    with replace_file(target) as out:
        out.write(NEW)
        assert target.read_bytes() == OLD

    assert target.read_bytes() == NEW


def test_an_exception_in_the_block_keeps_the_old_file(target: Path) -> None:
    """Whatever the block raises comes out unchanged, and nothing is left."""

    def interrupted() -> None:
        with replace_file(target) as out:
            out.write(NEW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert target.read_bytes() == OLD
    assert only(target)


def test_write_takes_any_buffer_and_goes_on_after_short_writes(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that writes three bytes at a time still gets all of them."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))

    with replace_file(target) as out:
        assert out.write(memoryview(b"0123456789")) == 10

    assert target.read_bytes() == b"0123456789"


@linux
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0, 0o666)])
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    """As open(path, "wb") would make it."""
    path = tmp_path / "new"
    with umask(mask):
        save(path)

    assert stat.S_IMODE(path.stat().st_mode) == mode


@linux
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_a_replaced_file_keeps_its_mode(target: Path, mode: int) -> None:
    """Whatever the umask says."""
    target.chmod(mode)
    with umask(0o027):
        save(target)

    assert stat.S_IMODE(target.stat().st_mode) == mode


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_replaced_file_keeps_its_owner(target: Path) -> None:
    """A service that runs as root does not take a user's file away."""
    os.chown(target, 12345, 23456)
    save(target)

    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 23456)


@linux
def test_a_secret_file_is_never_readable_by_others_on_the_way(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary of a 0600 file is 0600 from its first moment, under a generous umask."""
    target.chmod(0o600)
    real = os.open
    seen: list[int] = []

    def recorded(path: str, flags: int, mode: int = 0o777) -> int:
        fd = real(path, flags, mode)
        if flags & os.O_CREAT:
            seen.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return fd

    monkeypatch.setattr(os, "open", recorded)
    with umask(0), replace_file(target) as out:
        seen.append(stat.S_IMODE(os.stat(out.path).st_mode))

    assert seen == [0o600, 0o600]


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    """latest -> runs/7/model: the file in runs/7 changes, the link does not, nor is anything left beside either."""
    (tmp_path / "runs").mkdir()
    real = tmp_path / "runs" / "model"
    real.write_bytes(OLD)
    link = tmp_path / "latest"
    link.symlink_to(Path("runs") / "model")
    save(link)

    assert link.is_symlink()
    assert real.read_bytes() == NEW
    assert only(real)


def test_a_link_to_nothing_gets_its_file(tmp_path: Path) -> None:
    """As open(path, "wb") does it."""
    link = tmp_path / "latest"
    link.symlink_to("model")
    save(link)

    assert (tmp_path / "model").read_bytes() == NEW
    assert link.is_symlink()


def test_the_name_can_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    """A name of 255 bytes, multi-byte letters included, leaves room for its temporary's name all the same."""
    path = tmp_path / ("é" * 127 + "x")
    save(path)
    save(path, b"again")

    assert path.read_bytes() == b"again"
    assert len(os.listdir(tmp_path)) == 1


def test_a_relative_path_without_a_folder_is_saved_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is the current one."""
    monkeypatch.chdir(tmp_path)
    save(Path("model"))

    assert (tmp_path / "model").read_bytes() == NEW


REFUSED = [
    ("missing/model", errno.ENOENT, r"the folder '.*missing' does not exist\. Make it first: os\.makedirs"),
    ("", errno.EISDIR, r"this is a folder\. Give the path of a file in it"),
    ("new/", errno.ENOENT, r"the folder '.*new' does not exist"),
    ("file/model", errno.ENOTDIR, r"saving failed: Not a directory"),
]


@pytest.mark.parametrize(("name", "code", "text"), REFUSED, ids=lambda v: str(v)[:20])
def test_what_cannot_be_a_file_is_refused_with_the_remedy(tmp_path: Path, name: str, code: int, text: str) -> None:
    """A SaveError that is an OSError with its errno and filename; nothing is made."""
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(SaveError, match=text) as caught, replace_file(os.path.join(tmp_path, name)):
        pytest.fail("the block must not run")

    assert caught.value.errno == code
    assert str(tmp_path) in str(caught.value.filename)
    assert os.listdir(tmp_path) == ["file"]


@linux
def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    """Saving to /dev/null as root would turn it into a file; a FIFO shows the same without the danger."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(SaveError, match=r"no regular file and is not replaced\. Open it and pass the file object"):
        save(pipe)

    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_read_only_file_is_not_replaced(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renaming over it would be possible, but read-only says that somebody wants it kept."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write to anything
    with pytest.raises(SaveError, match=r"is read-only\. Delete it or make it writable"):
        save(target)

    assert target.read_bytes() == OLD


def test_a_full_disk_is_seen_before_a_byte_is_written(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text says how much is needed, how much is free, and where."""
    import shutil

    usage = shutil.disk_usage(target.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_100_000_000))
    text = r"needs 4\.2 GB, 1\.1 GB free on .*Nothing was written; the old file, if there was one, is untouched"
    with pytest.raises(NotEnoughSpaceError, match=text) as caught, replace_file(target, nbytes=4_200_000_000):
        pytest.fail("the block must not run")

    assert caught.value.errno == errno.ENOSPC
    assert only(target)


def test_a_file_system_that_does_not_know_its_size_is_tried(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some FUSE file systems report 0 of 0 bytes free."""
    import shutil

    usage = shutil.disk_usage(target.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(total=0, free=0))
    save(target)

    assert target.read_bytes() == NEW


CALLS = ["open", "write", "fsync", "replace", "fstat", "fchmod", "listdir"]
CODES = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EINTR, errno.EROFS, errno.EACCES]


@linux
@pytest.mark.parametrize("code", CODES, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", CALLS)
def test_any_error_of_any_call_keeps_the_old_file(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Our exception with the system's errno and the cause chained; nothing left; the next save works."""
    broken = Broken(call, code)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, broken)
        raised = save_or_error(target)

    assert broken.count == 1
    if call == "listdir":  # an unreadable folder only means that no leftovers are looked for
        assert raised is None
        return
    assert target.read_bytes() == OLD
    assert only(target)
    assert isinstance(raised, NotEnoughSpaceError if code in (errno.ENOSPC, errno.EDQUOT) else SaveError)
    assert isinstance(raised, TensorkeepError)
    assert raised.errno == code
    assert isinstance(raised.__cause__, OSError)
    assert "is untouched" in str(raised)

    save(target)

    assert target.read_bytes() == NEW


class Broken:
    """A system call that fails the first time and is not asked a second time."""

    def __init__(self, name: str, code: int) -> None:
        self.real = getattr(os, name)
        self.code = code
        self.count = 0

    def __call__(self, *args: Any, **more: Any) -> Any:
        self.count += 1
        if self.count == 1:
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*args, **more)


def save_or_error(target: Path) -> OSError | None:
    try:
        save(target)
    except OSError as err:
        return err
    return None


@linux
def test_a_failed_sync_of_the_folder_fails_the_save_and_says_how_things_stand(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename has happened by then: the text does not claim that the old file is there."""
    real = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(SaveError, match="The new file is in place, but a power cut now could still undo that"):
        save(target)

    assert target.read_bytes() == NEW
    assert only(target)


@linux
def test_a_mount_without_modes_or_folder_syncs_is_saved_to(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fchmod that is not permitted and a folder's fsync that is invalid are properties of the mount, no failures."""
    real = os.fsync

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(fd)

    def fchmod(fd: int, mode: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "fchmod", fchmod)
    save(target)

    assert target.read_bytes() == NEW


@linux
def test_the_order_is_sync_rename_sync(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced before it gets the name, the folder afterwards: else a power cut leaves an empty file."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(fd: int) -> None:
        calls.append("sync folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "sync file")
        fsync(fd)

    def recorded_replace(src: str, dst: str) -> None:
        calls.append("rename")
        replace(src, dst)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    save(target)

    assert calls == ["sync file", "rename", "sync folder"]


KILLED = """
import os, signal, sys
from tensorkeep.storage.atomic import replace_file
with replace_file(sys.argv[1]) as out:
    out.write(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@linux
def test_the_next_save_removes_what_a_killed_one_left(target: Path) -> None:
    """kill -9 in the middle leaves the old file and a temporary; saving again leaves the new file alone."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", KILLED, str(target)], env=env, check=False).returncode
    assert died == -signal.SIGKILL
    assert target.read_bytes() == OLD
    assert len(os.listdir(target.parent)) == 2

    save(target)

    assert target.read_bytes() == NEW
    assert only(target)


@linux
def test_a_living_save_keeps_its_temporary(target: Path) -> None:
    """Two saves of one target at once: each replaces the file as a whole, the last rename wins."""
    with replace_file(target) as slow:
        slow.write(b"slow")
        save(target, b"quick")
        assert os.path.exists(slow.path)
        assert target.read_bytes() == b"quick"

    assert target.read_bytes() == b"slow"
    assert only(target)


@linux
@pytest.mark.parametrize(
    "name",
    [
        ".model.safetensors.tmp-123456789abg",
        ".model.safetensors.tmp-123456789ab",
        ".model.safetensors.tmp-123456789abcd",
        ".other.safetensors.tmp-123456789abc",
        "model.safetensors.tmp-123456789abc",
        ".model.safetensors.tmp-123456789ABC",
    ],
)
def test_files_that_only_look_like_temporaries_stay(target: Path, name: str) -> None:
    """Only names of exactly our pattern for exactly this target are removed."""
    (target.parent / name).write_bytes(b"mine")
    (target.parent / ".model.safetensors.tmp-123456789abc").write_bytes(b"left over")
    save(target)

    assert sorted(os.listdir(target.parent)) == sorted([name, target.name])


@linux
def test_a_temporary_that_a_cleaner_has_taken_is_made_anew(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between making and locking the file another save may take it for a leftover: it is gone then, and noticed."""
    import fcntl

    real = fcntl.flock
    taken: list[str] = []

    def flock(fd: int, operation: int) -> None:
        if not taken:
            taken.append(os.readlink(f"/proc/self/fd/{fd}"))
            os.unlink(taken[0])
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with replace_file(target) as out:
        out.write(NEW)
        assert out.path != taken[0]

    assert target.read_bytes() == NEW
    assert only(target)


@linux
def test_many_savers_at_once_leave_one_whole_file(target: Path) -> None:
    """Eight threads save the same target again and again: no error, no mixture, nothing left."""
    errors: list[BaseException] = []

    def saver(number: int) -> None:
        try:
            for _ in range(10):
                save(target, bytes([number]) * 5000)
        except BaseException as err:  # noqa: BLE001  # a thread's error is the test's
            errors.append(err)

    threads = [threading.Thread(target=saver, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    data = target.read_bytes()
    assert len(data) == 5000
    assert len(set(data)) == 1
    assert only(target)


def test_no_descriptor_stays_open(target: Path) -> None:
    """Neither a good save nor a failed one leaks."""
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    save(target)
    with contextlib.suppress(ZeroDivisionError), replace_file(target):
        1 / 0
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    assert after == before


def test_a_call_that_writes_nothing_is_no_endless_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pwrite that returns 0 is an error, not a reason to try for ever."""
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: 0)
    with open(tmp_path / "x", "wb") as file, pytest.raises(OSError, match="wrote nothing"):
        write_all(file.fileno(), memoryview(b"abc"), 0)
