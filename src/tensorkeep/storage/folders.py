"""Folders that appear as a whole: drafted under a temporary name, synced, renamed into place, never replaced.

A draft belongs to its writer while the lock on its folder is held; the kernel releases that of a killed one, and the next
writer removes what it left. Removal goes by a rename as well: what is being removed no longer has a step's name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sys
import weakref
from collections.abc import Sequence
from typing import Any

from tensorkeep.core.plan import Receipt, WritePlan
from tensorkeep.core.sizes import nbytes_text
from tensorkeep.errors import NotEnoughSpaceError
from tensorkeep.storage.atomic import save_error, sync_folder
from tensorkeep.storage.writing import write_new

if sys.platform != "win32":
    import fcntl

__all__ = [
    "Draft",
    "DraftShare",
    "FolderLock",
    "check_space",
    "link_or_copy",
    "remove_file",
    "remove_folder",
    "remove_leftovers",
    "set_aside",
]

_DRAFT = re.compile(r"\.tmp-[\w.-]+-[0-9a-f]{12}")
_TRASH = re.compile(r"\.trash-[\w.-]+-[0-9a-f]{12}")
_UNTOUCHED = "The steps that are there are untouched."


def _lock(fd: int) -> bool:
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks: nobody can lock there
        return True
    return True


def _open_folder(path: str) -> int | None:
    if sys.platform == "win32":
        return None
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _close(fd: int | None) -> None:
    if fd is not None:
        with contextlib.suppress(OSError):  # a folder or a lock: no bytes were written that could be lost
            os.close(fd)


_HELD: weakref.WeakSet[Any] = weakref.WeakSet()
"""What holds a lock: a process that is forked does not hold it as well, or it would outlive its holder."""


def _forget_after_fork(holder: Any) -> None:
    _HELD.add(holder)


def _in_child() -> None:
    for each in list(_HELD):
        each.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class FolderLock:
    """The right to write into a folder, held by a file `.lock` in it until `release` or the end of the process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._fd is not None

    def acquire(self) -> str | None:
        """Take the lock; None on success, else what its holder wrote about itself."""
        _forget_after_fork(self)
        path = os.path.join(self._folder, ".lock")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as err:
            raise save_error(path, err, state=_UNTOUCHED) from err
        if not _lock(fd):
            holder = b""
            with contextlib.suppress(OSError):
                holder = os.pread(fd, 200, 0)
            _close(fd)
            return holder.decode("utf-8", "replace").strip() or "another process"
        with contextlib.suppress(OSError):  # who holds it is for people; a full disk does not matter here
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        self._fd = fd
        return None

    def release(self) -> None:
        """Give the lock back; twice is fine."""
        fd, self._fd = self._fd, None
        _close(fd)


class DraftShare:
    """A draft as the other processes of one save see it: they put files into it, and its owner commits.

    Attributes:
        path: of the temporary folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, name: str, plan: WritePlan) -> Receipt:
        """Write a file of it, synced."""
        return write_new(os.path.join(self.path, name), plan)

    def link(self, source: str, name: str) -> bool:
        """Give a file of another folder a name here: a hard link (True), a synced copy where there are no links (False)."""
        return link_or_copy(source, os.path.join(self.path, name))

    def sync(self) -> None:
        """Make the names of what was put into it durable.

        Raises:
            SaveError: the system refuses.
        """
        try:
            sync_folder(self.path)
        except OSError as err:
            raise save_error(self.path, err, state=_UNTOUCHED) from err


class Draft(DraftShare):
    """A folder that is being written beside its final place."""

    def __init__(self, parent: str, name: str) -> None:
        super().__init__(os.path.join(parent, f".tmp-{name}-{os.urandom(6).hex()}"))
        self._parent = parent
        self._name = name
        self._fd: int | None = None
        try:
            os.mkdir(self.path)
            try:
                self._fd = _open_folder(self.path)
                if self._fd is not None:
                    _lock(self._fd)
            except BaseException:
                self.abort()
                raise
        except OSError as err:
            raise save_error(self.path, err, state=_UNTOUCHED) from err
        _forget_after_fork(self)

    def commit(self) -> str:
        """Make the folder appear under its name, durably; its path.

        Raises:
            FileExistsError: the name is taken; nothing was replaced.
            SaveError: the system refuses. Only when the last sync fails is the folder in place already; the text says so.
        """
        target = os.path.join(self._parent, self._name)
        try:
            sync_folder(self.path)
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "a step of this name is there", target)
            os.rename(self.path, target)
        except FileExistsError:
            raise
        except OSError as err:
            if err.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise FileExistsError(errno.EEXIST, "a step of this name is there", target) from err
            raise save_error(target, err, state=_UNTOUCHED) from err
        self._close()
        try:
            sync_folder(self._parent)
        except OSError as err:
            raise save_error(
                target, err, state="The step is in place, but a power cut now could still undo that. Save the next one."
            ) from err
        return target

    def abort(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        _close(fd)

    release = _close


def link_or_copy(source: str, target: str) -> bool:
    """A hard link of a file; a copy, synced, where the file system has no links or the file has too many."""
    try:
        os.link(source, target)
        return True
    except OSError as err:
        if err.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise save_error(target, err, state=_UNTOUCHED) from err
    from tensorkeep.core.bytesource import FileSource
    from tensorkeep.core.dtypes import DType
    from tensorkeep.core.plan import TensorSegment
    from tensorkeep.core.tensor import Extent, Tensor

    found = FileSource(source)
    try:
        whole = Tensor((found.size,), DType.of("uint8"), extent=Extent(found, 0, found.size))
        write_new(target, WritePlan("copy", [TensorSegment("bytes", whole)] if found.size else []))
    finally:
        found.close()
    return False


def make_folder(path: str) -> None:
    """Make a folder and those above it, durably; one that is there is fine.

    Raises:
        SaveError: the system refuses, or a file is in the way.
    """
    path = os.path.abspath(path)
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for each in reversed(missing):
        try:
            os.mkdir(each)
            sync_folder(os.path.dirname(each))
        except FileExistsError:
            if not os.path.isdir(each):
                raise save_error(
                    each, OSError(errno.ENOTDIR, "a file is in the way"), state="Nothing was written."
                ) from None
        except OSError as err:
            raise save_error(each, err, state="Nothing was written.") from err


def remove_folder(parent: str, name: str) -> None:
    """Remove a folder: first its name, durably, then what is in it.

    Raises:
        SaveError: it could not be renamed, and is whole. What cannot be removed after that is left for the next clean-up.
    """
    trash = os.path.join(parent, f".trash-{name}-{os.urandom(6).hex()}")
    try:
        os.rename(os.path.join(parent, name), trash)
        sync_folder(parent)
    except FileNotFoundError:
        return
    except OSError as err:
        raise save_error(os.path.join(parent, name), err, state="It is still there.") from err
    shutil.rmtree(trash, ignore_errors=True)


def set_aside(parent: str, name: str) -> str:
    """Give a damaged folder another name, so that a whole one can take its place; the new name.

    Raises:
        SaveError: the system refuses; it is as it was.
    """
    number = 1
    while os.path.lexists(os.path.join(parent, f"damaged-{name}-{number}")):
        number += 1
    new = f"damaged-{name}-{number}"
    try:
        os.rename(os.path.join(parent, name), os.path.join(parent, new))
        sync_folder(parent)
    except OSError as err:
        raise save_error(os.path.join(parent, name), err, state="It is as it was.") from err
    return new


def remove_file(path: str) -> None:
    """Remove a file durably; one that is not there is fine.

    Raises:
        SaveError: the system refuses; it is as it was.
    """
    try:
        os.unlink(path)
        sync_folder(os.path.dirname(path))
    except FileNotFoundError:
        return
    except OSError as err:
        raise save_error(path, err, state="It is as it was.") from err


def remove_leftovers(parent: str) -> list[str]:
    """Remove drafts of writers that are gone, and what was being removed; the names of what was removed."""
    removed = []
    names: list[str] = []
    with contextlib.suppress(OSError):  # then it is the next one's work
        names = sorted(os.listdir(parent))
    for name in names:
        if not (_DRAFT.fullmatch(name) or _TRASH.fullmatch(name)):
            continue
        path = os.path.join(parent, name)
        with contextlib.suppress(OSError):
            fd = _open_folder(path)
            try:
                if fd is None or _lock(fd):
                    shutil.rmtree(path, ignore_errors=True)
                    removed.append(name)
            finally:
                _close(fd)
    return removed


def check_space(folder: str, nbytes: int, *, what: str, advice: Sequence[str] = ()) -> None:
    """Raise NotEnoughSpaceError unless the disk of `folder` has room for `nbytes`."""
    try:
        usage: Any = shutil.disk_usage(folder)
    except OSError as err:
        raise save_error(folder, err, state=f"Nothing was written. {_UNTOUCHED}") from err
    if usage.total and usage.free < nbytes:
        raise NotEnoughSpaceError(
            errno.ENOSPC,
            f"{what}: needs {nbytes_text(nbytes)}, {nbytes_text(usage.free)} free on {os.path.abspath(folder)}. Nothing was "
            f"written. {_UNTOUCHED} {' '.join(advice) or 'Free some space, or keep fewer steps.'}",
            folder,
        )
