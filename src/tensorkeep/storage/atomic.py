"""Replace a file as a whole: after a failure, kill or power cut there is the old file or the new one, never a mixture.

The new bytes go to a temporary file beside the target, are synced to the disk, and take the target's name in one
rename; then the folder is synced, so that the name itself survives. Until the rename the old file is not touched. A
process that is killed leaves its temporary file, whose lock the kernel has released: the next save of the same target
removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import zlib
from collections.abc import Iterator
from typing import Any

from tensorkeep.core.sizes import nbytes_text
from tensorkeep.errors import NotEnoughSpaceError, SaveError, TensorkeepError

if sys.platform != "win32":
    import fcntl

__all__ = ["Replacement", "replace_file", "save_error", "sync_file", "sync_folder", "write_all"]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT) if hasattr(errno, "EDQUOT") else (errno.ENOSPC,)
_NAME_MAX_NBYTES = 255  # of every file system in use; the temporary's name must fit as well
_RANDOM_NBYTES = 6
_CREATE_ATTEMPTS = 100  # the name is taken, or a cleaner got the lock first: both are rare


class Replacement:
    """The temporary file that will take the target's place.

    Attributes:
        fd: open for reading and writing, locked.
        path: of the temporary file.
        target: what it will replace, links followed.
    """

    __slots__ = ("fd", "path", "target")

    def __init__(self, fd: int, path: str, target: str) -> None:
        self.fd = fd
        self.path = path
        self.target = target

    def write(self, data: Any) -> int:
        """Write all of `data` at the current position; the number of bytes.

        Raises:
            SaveError, NotEnoughSpaceError: the system refuses.
        """
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < view.nbytes:
                done += os.write(self.fd, view[done:])
        except OSError as err:
            raise save_error(self.target, err) from err
        return done


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str], *, nbytes: int | None = None) -> Iterator[Replacement]:
    """A file to write in a `with` block, which replaces `path` durably when the block ends without an exception.

    The new file has the mode (and where permitted the owner) of the one it replaces, else 0o666 less the umask.
    A symbolic link stays and what it points to is replaced.

    Args:
        path: the target. Its folder must exist.
        nbytes: how large the file will be, where known: the free space is checked before anything is written.
    Raises:
        NotEnoughSpaceError: the disk or quota is full.
        SaveError: the system refuses something else; `errno` says what, the system's own exception is chained.
    Whatever is raised, also by the block itself: the temporary file is gone and the old file is as it was. Only when
    syncing the folder fails, after the rename, is the new file in place already; the text says so.
    """
    target = os.fspath(path)
    try:
        target, old = _resolve(target)
        _remove_leftovers(target)
        if nbytes is not None:
            _check_space(target, nbytes)
        out = _create(target, old)
    except OSError as err:
        raise save_error(target, err) from err
    try:
        try:
            yield out
            sync_file(out.fd)
        except OSError as err:
            raise save_error(target, err) from err
        if sys.platform == "win32":  # an open file cannot be renamed there; elsewhere the lock is held until the rename
            _close(out)
        try:
            os.replace(out.path, target)
        except OSError as err:
            raise save_error(target, err) from err
    except BaseException:
        _close(out)  # Windows removes no open file
        with contextlib.suppress(OSError):
            os.unlink(out.path)
        raise
    finally:
        _close(out)
    try:
        sync_folder(os.path.dirname(target))
    except OSError as err:
        raise save_error(
            target, err, state="The new file is in place, but a power cut now could still undo that. Save again."
        ) from err


def save_error(target: str, err: OSError, *, state: str = "The old file, if there was one, is untouched.") -> OSError:
    """The SaveError or NotEnoughSpaceError that stands for a system's error while `target` is written."""
    if isinstance(err, TensorkeepError):
        return err
    code = err.errno or errno.EIO
    reason = err.strerror or str(err) or os.strerror(code)
    if code in _NO_SPACE:
        remedy = "Free some space, or save to another disk."
        return NotEnoughSpaceError(code, f"{target}: the disk is full ({reason}). {state} {remedy}", target)
    return SaveError(code, f"{target}: saving failed: {reason}. {state} {_remedy(code, target)}", target)


def _remedy(code: int, target: str) -> str:
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Save to a folder that you may write to, or change its permissions."
    if code == errno.EIO:
        return "The disk or its connection has a fault: check the system's log, and save to another disk."
    if code == errno.EFBIG:
        return "The file system or a limit (ulimit -f) does not allow files of this size; save in shards or elsewhere."
    return "Look at the disk and the path, then save again."


def _resolve(target: str) -> tuple[str, os.stat_result | None]:
    """The path with a final link followed, and the state of the file that it will replace."""
    if os.path.islink(target):
        target = os.path.realpath(target)
    try:
        old = os.stat(target)
    except FileNotFoundError:
        folder, name = os.path.split(target)
        if not os.path.isdir(folder or "."):
            raise SaveError(
                errno.ENOENT,
                f"{target}: the folder {folder!r} does not exist. "
                f"Make it first: os.makedirs({folder!r}, exist_ok=True). Nothing was written.",
                target,
            ) from None
        if not name:
            raise SaveError(errno.EISDIR, f"{target}: this names a folder. Add a file name.", target) from None
        return target, None
    if stat.S_ISDIR(old.st_mode):
        raise SaveError(errno.EISDIR, f"{target}: this is a folder. Give the path of a file in it.", target)
    if not stat.S_ISREG(old.st_mode):
        raise SaveError(
            errno.EINVAL,
            f"{target}: this is no regular file and is not replaced. Open it and pass the file object instead.",
            target,
        )
    if not os.access(target, os.W_OK):
        raise SaveError(
            errno.EACCES,
            f"{target}: the file that is there is read-only. Delete it or make it writable first (chmod u+w).",
            target,
        )
    return target, old


def _check_space(target: str, nbytes: int) -> None:
    folder = os.path.dirname(target) or "."
    usage = shutil.disk_usage(folder)
    if usage.total and usage.free < nbytes:
        raise NotEnoughSpaceError(
            errno.ENOSPC,
            f"{target}: needs {nbytes_text(nbytes)}, {nbytes_text(usage.free)} free on {os.path.abspath(folder)}. "
            "Nothing was written; the old file, if there was one, is untouched. "
            "Free some space, or save to another disk.",
            target,
        )


def _stem(name: str) -> str:
    """What temporaries of the target `name` begin with: its name, shortened where the whole would be too long."""
    raw = os.fsencode(name)
    room = _NAME_MAX_NBYTES - len("..tmp-") - 2 * _RANDOM_NBYTES
    if len(raw) > room:
        mark = f"~{zlib.crc32(raw):08x}"
        name = os.fsdecode(raw[: room - len(mark)]).encode("utf-8", "ignore").decode() + mark
    return f".{name}.tmp-"


def _create(target: str, old: os.stat_result | None) -> Replacement:
    folder, name = os.path.split(target)
    stem = _stem(name)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    mode = 0o666 if old is None else 0o600
    for _ in range(_CREATE_ATTEMPTS):
        path = os.path.join(folder, stem + os.urandom(_RANDOM_NBYTES).hex())
        try:
            fd = os.open(path, flags, mode)
        except FileExistsError:
            continue
        try:
            if not _lock(fd) or os.fstat(fd).st_nlink == 0:
                os.close(fd)  # another save's cleaner was between our two calls; it removes the file
                continue
            if old is not None:
                _copy_mode(fd, old)
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise
        return Replacement(fd, path, target)
    raise SaveError(errno.EEXIST, f"{target}: no temporary file could be made beside it. Save again.", target)


def _copy_mode(fd: int, old: os.stat_result) -> None:
    if hasattr(os, "fchown"):
        mine = os.fstat(fd)
        if (mine.st_uid, mine.st_gid) != (old.st_uid, old.st_gid):
            with contextlib.suppress(PermissionError):
                os.fchown(fd, old.st_uid, old.st_gid)
    if hasattr(os, "fchmod"):
        try:
            os.fchmod(fd, stat.S_IMODE(old.st_mode))
        except OSError as err:
            if err.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):  # a mount without modes
                raise


def _lock(fd: int) -> bool:
    """Whether the file is ours now; True as well where the system has no locks, and so no cleaners."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # ENOLCK, EOPNOTSUPP: some network file systems; nobody can lock there
        return True
    return True


def _remove_leftovers(target: str) -> None:
    """Remove the temporaries of killed saves of this target: those whose lock is free."""
    if sys.platform == "win32":
        return
    folder, name = os.path.split(target)
    stem = _stem(name)
    pattern = re.compile(re.escape(stem) + f"[0-9a-f]{{{2 * _RANDOM_NBYTES}}}")
    names: list[str] = []
    with contextlib.suppress(OSError):  # a folder that may be written to but not listed
        names = os.listdir(folder or ".")
    for found in names:
        if found.startswith(stem) and pattern.fullmatch(found):
            with contextlib.suppress(OSError):
                _remove_if_free(os.path.join(folder, found))


def _remove_if_free(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(fd)


def sync_file(fd: int) -> None:
    """Make the bytes of an open file durable.

    Raises:
        OSError: the sync failed; it is never tried again.
    """
    # On macOS fsync leaves the bytes in the drive's cache; F_FULLFSYNC does not.
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
        except OSError as err:
            if err.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(fd)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in a folder durable: what was renamed into it stays so after a power cut.

    Raises:
        OSError: the sync failed. It is never tried again: a second call may claim success for data that are lost.
    """
    if sys.platform == "win32":  # a folder cannot be opened there; NTFS journals the rename
        return
    fd = os.open(os.fspath(folder) or ".", os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        sync_file(fd)
    except OSError as err:
        if err.errno != errno.EINVAL:  # a file system that cannot sync folders, and says so
            raise
    finally:
        os.close(fd)


def _close(out: Replacement) -> None:
    fd, out.fd = out.fd, -1
    if fd >= 0:
        with contextlib.suppress(OSError):  # the bytes were synced before: close has nothing left to report
            os.close(fd)


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """`os.pwrite` until all of `data` is written.

    Raises:
        OSError: the system's own.
    """
    write_at = getattr(os, "pwrite", _seek_and_write)
    done = 0
    while done < data.nbytes:
        count = write_at(fd, data[done:], offset + done)
        if count <= 0:
            raise OSError(errno.EIO, "the system wrote nothing and gave no reason")
        done += count


def _seek_and_write(fd: int, data: memoryview, offset: int) -> int:
    """What Windows has instead of pwrite; not for several threads at once."""
    os.lseek(fd, offset, os.SEEK_SET)
    return os.write(fd, data)
