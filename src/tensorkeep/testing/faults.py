"""Make the n-th system call of a save fail: in this process, by standing in for the functions of `os`.

    with watch(folder) as seen: save()                   # seen.calls: what there is to break
    with inject(folder, at=7, fault="ENOSPC") as broken:  # the same save again
        save()

A fault is the name of an errno, "short" (a write takes half of the bytes) or "kill" (the process does nothing more that
reaches the folder). What goes past `os` (C extensions, buffered file objects) is not seen; strace's fault injection sees it.
"""

from __future__ import annotations

import errno
import gc
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ERRNOS", "FAULTS", "Killed", "Watch", "inject", "watch"]

ERRNOS = ("ENOSPC", "EIO", "EDQUOT", "EINTR")
FAULTS = (*ERRNOS, "short", "kill")

# lseek is left out: it only sets a number, and no fault of a disk reaches it.
_WRITES = ("write", "pwrite", "writev", "pwritev")
_ON_PATHS: tuple[str, ...] = (
    "open",
    "truncate",
    "rename",
    "replace",
    "link",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
    "chmod",
    "stat",
    "lstat",
)
_ON_PATHS += ("listdir", "scandir", "statvfs", "access", "utime")
_ON_FDS: tuple[str, ...] = (
    *_WRITES,
    "ftruncate",
    "posix_fallocate",
    "fsync",
    "fdatasync",
    "fchmod",
    "fchown",
    "fstat",
    "close",
)
_ON_FDS += ("pread", "preadv", "read", "readv", "sendfile", "copy_file_range")


class Killed(BaseException):
    """Stands for SIGKILL: nobody catches it, and every later call on the folder raises it again."""


@dataclass
class Watch:
    """What a save called.

    Attributes:
        calls: names of the functions, in their order: "open", "pwrite", "fsync" …; those on fds of the folder or paths in it.
        hit: the call that got the fault; "" when the save made fewer calls.
    """

    calls: list[str] = field(default_factory=list)
    hit: str = ""


@contextmanager
def watch(folder: str | os.PathLike[str]) -> Iterator[Watch]:
    """Note every call of `os` on files of `folder`."""
    with inject(folder, at=-1, fault="EIO") as seen:
        yield seen


@contextmanager
def inject(folder: str | os.PathLike[str], *, at: int, fault: str) -> Iterator[Watch]:
    """Let call number `at` (from 0) on files of `folder` fail with `fault`; all others work.

    close() always closes, as on Linux, whatever it returns. A short write takes half; calls that do not write are left alone.
    """
    seen = Watch()
    breaker = _Breaker(os.path.realpath(folder), at, fault, seen)
    modules: list[tuple[Any, str, Any]] = []
    try:
        import fcntl

        modules.append((fcntl, "flock", fcntl.flock))
    except ImportError:  # Windows
        pass
    modules += [(os, name, getattr(os, name)) for name in (*_ON_PATHS, *_ON_FDS) if hasattr(os, name)]
    for module, name, real in modules:
        setattr(module, name, breaker.wrapped(name, real))
    try:
        yield seen
    finally:
        if breaker.dead:
            # What the dead process had open and nobody holds any more is closed now, under our eyes: an object that closed
            # its descriptor later would close one that another file has by then.
            gc.collect()
        for module, name, real in modules:
            setattr(module, name, real)
        breaker.bury()


class _Breaker:
    def __init__(self, folder: str, at: int, fault: str, seen: Watch) -> None:
        self.folder = folder
        self.at = at
        self.fault = fault
        self.seen = seen
        self.dead = False
        self.fds: set[int] = set()
        self.lock = threading.RLock()
        self.readlink = os.readlink
        self.real_close = os.close

    def concerns(self, name: str, args: tuple[Any, ...]) -> bool:
        target = args[0] if args else "."
        if isinstance(target, int) or hasattr(target, "fileno"):
            fd = target if isinstance(target, int) else target.fileno()
            if fd in self.fds:
                return True
            with suppress(OSError):
                return self._inside(self.readlink(f"/proc/self/fd/{fd}"))
            return False
        if not isinstance(target, (str, bytes, os.PathLike)):
            return False
        path = os.path.abspath(os.fsdecode(target))
        if path.startswith("/proc/self/fd/"):
            with suppress(OSError):
                path = self.readlink(path)
        return self._inside(path)

    def _inside(self, path: str) -> bool:
        return path == self.folder or path.startswith(self.folder + os.sep)

    def wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            if not self.concerns(name, args):
                return real(*args, **keywords)
            with self.lock:
                if self.dead and name == "close":  # the kernel closes what a dead process had open
                    self._remember(name, args, real(*args, **keywords))
                    return None
                if self.dead:
                    raise Killed
                number = len(self.seen.calls)
                self.seen.calls.append(name)
                if number == self.at:
                    return self.broken(name, real, args, keywords)
            result = real(*args, **keywords)
            self._remember(name, args, result)
            return result

        return call

    def _remember(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        if name == "open":
            self.fds.add(result)
        elif name == "close":
            self.fds.discard(args[0])

    def broken(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if self.fault == "short" and name not in _WRITES:
            return real(*args, **keywords)
        self.seen.hit = name
        if self.fault in ("short", "kill") and name in _WRITES:
            count = real(args[0], _half(args[1]), *args[2:], **keywords)
            if self.fault == "short":
                return count
        if self.fault == "kill":
            self.dead = True
            raise Killed
        if name == "close":
            self._remember(name, args, real(*args, **keywords))
        code = getattr(errno, self.fault)
        raise OSError(code, os.strerror(code))

    def bury(self) -> None:
        """Close what a killed save had open, as the kernel does: its locks are free then."""
        if self.dead:
            for fd in self.fds:
                with suppress(OSError):
                    self.real_close(fd)


def _half(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        whole = b"".join(bytes(each) for each in data)
        return [whole[: max(1, len(whole) // 2)]]
    view = memoryview(data).cast("B")
    return view[: max(1, view.nbytes // 2)]
