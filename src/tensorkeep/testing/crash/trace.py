"""Record what a program does to a folder, from the system calls that strace saw.

strace is the authority: it sees what C code writes and what ctypes calls, in every thread and in every process that the
program starts. What the parser does not
model (shared writable maps of a file, io_uring, symbolic links, O_SYNC) is refused, never passed over; and the recorded calls,
applied to the folder as it was, must give the folder as it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tensorkeep.testing.crash.model import Call, Disk

__all__ = ["Call", "Recording", "RecordingError", "have_strace", "mark", "record", "snapshot"]

_MARK = "/tensorkeep-mark/"

_CALLS = (
    "?open openat openat2 ?creat write pwrite64 writev pwritev pwritev2 ftruncate truncate fallocate fsync fdatasync "
    "sync_file_range sync syncfs ?rename renameat renameat2 ?link linkat ?symlink symlinkat ?unlink unlinkat ?mkdir "
    "mkdirat ?rmdir close dup ?dup2 dup3 fcntl lseek mmap copy_file_range sendfile splice io_uring_setup "
    "?access faccessat faccessat2 clone ?clone3 ?fork ?vfork"
)

_MAX_STRING_NBYTES = 1 << 28  # no write is cut in the log

_LINE = re.compile(r"(\d+) +(.*)", re.S)
_WHOLE = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?|0x[0-9a-f]+)(.*)", re.S)
_BEGUN = re.compile(r"(\w+)\((.*?) *<unfinished \.\.\.>", re.S)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.S)
_STARTS = re.compile(r"(\d+) +((?:<\.\.\. )?(?:clone3?|v?fork)\b.*)", re.S)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_NOT_MODELLED = {"copy_file_range", "sendfile", "splice", "io_uring_setup", "symlink", "symlinkat", "openat2"}


class RecordingError(AssertionError):
    """A program could not be recorded, or it does something that the model of the disk does not know."""


@dataclass
class Recording:
    """What a program did to a folder.

    Attributes:
        before, after: relative path to content of every file; None for a folder.
        calls: what changed the folder or made it durable, in the order in which the calls ended.
        acknowledged: how many of `calls` had ended when the program said `mark("ack")`; None when it never did.
    """

    before: dict[str, bytes | None]
    calls: list[Call] = field(default_factory=list)
    acknowledged: int | None = None
    after: dict[str, bytes | None] = field(default_factory=dict)


def mark(word: str) -> None:
    """Tell the recorder where the program is: "begin" before the save, "ack" when it is acknowledged."""
    os.access(_MARK + word, os.F_OK)


@cache
def have_strace() -> str:
    """Why saves cannot be recorded here; "" when they can."""
    if shutil.which("strace") is None:
        return "strace is not installed: the system calls of a save cannot be recorded"
    probe = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "strace may not trace processes here (ptrace is forbidden)"


def snapshot(folder: str | os.PathLike[str]) -> dict[str, bytes | None]:
    """Every file of a folder by its relative path, with its content; folders have None."""
    root = Path(folder)
    found: dict[str, bytes | None] = {}
    for path in sorted(root.rglob("*")):
        found[str(path.relative_to(root))] = None if path.is_dir() else path.read_bytes()
    return found


def record(
    command: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    env: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> Recording:
    """Run a program under strace and record what it does to `folder` between `mark("begin")` and its end.

    Args:
        command: the program; it ends with exit status 0.
        folder: what is watched; paths inside it must not go through symbolic links.
        options: more options for strace.
    Raises:
        RecordingError: the program failed, or did something that is not modelled.
    """
    root = os.path.realpath(folder)
    recording = Recording(snapshot(root))
    with tempfile.TemporaryDirectory() as scratch:
        log = os.path.join(scratch, "log")
        strace = ["strace", "-f", "-qq", "-y", "-xx", "-s", str(_MAX_STRING_NBYTES), "-o", log, "-e", "signal=none"]
        strace += ["-e", "trace=" + ",".join(_CALLS.split()), *options, "--", *command]
        done = subprocess.run(
            strace, capture_output=True, text=True, check=False, env=None if env is None else dict(env)
        )
        if done.returncode:
            raise RecordingError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        with open(log, encoding="ascii") as lines:
            _Parser(root, recording).read(lines.read().splitlines())
    recording.after = snapshot(root)
    disk = Disk(recording.before)
    disk.apply(recording.calls)
    if disk.tree() != recording.after:
        differing = sorted(set(disk.tree().items()) ^ set(recording.after.items()), key=lambda pair: pair[0])
        names = sorted({name for name, _ in differing})
        raise RecordingError(f"the recorded calls do not give what lies in {root}: {names} differ")
    return recording


@dataclass
class _OpenFile:
    """An open file description: the inode, where the next write goes."""

    file: int
    append: bool = False
    position: int = 0


class _Parser:
    """From strace's lines to Calls. The Disk knows which inode a path names while the calls go by."""

    def __init__(self, root: str, recording: Recording) -> None:
        self.root = root
        self.recording = recording
        self.disk = Disk(recording.before)
        self.open: dict[int, _OpenFile] = {}  # of the process whose line is read
        self.folders: dict[int, str] = {}
        self.tables: dict[str, tuple[dict[int, _OpenFile], dict[int, str]]] = {}
        self.parents: dict[str, tuple[str, bool]] = {}
        self.begun: dict[str, tuple[str, str, int]] = {}
        self.recording_now = False

    def read(self, lines: Sequence[str]) -> None:
        calls = self.recording.calls
        self.parents = _parents(lines)
        for line in lines:
            matched = _LINE.fullmatch(line)
            if matched is None:
                raise RecordingError(f"strace wrote a line that is not understood: {line[:200]}")
            pid, text = matched.groups()
            self.open, self.folders = self._table(pid)
            if text.startswith(("+++", "---")):
                continue
            if begun := _BEGUN.fullmatch(text):
                self.begun[pid] = (begun[1], begun[2], len(calls))
                continue
            started = len(calls)
            if resumed := _RESUMED.fullmatch(text):
                name, args, started = self.begun.pop(pid)
                text = f"{name}({args}{resumed[2]}"
            whole = _WHOLE.fullmatch(text)
            if whole is None:
                raise RecordingError(f"strace wrote a call that is not understood: {text[:200]}")
            name, args, result, _ = whole.groups()
            if name in ("access", "faccessat", "faccessat2"):
                self._mark(args)
            elif self.recording_now and not result.startswith("-") and result != "?":
                self._call(name, args, int(result, 0), started)

    def _table(self, pid: str) -> tuple[dict[int, _OpenFile], dict[int, str]]:
        """The descriptors of a thread (those of its process) or of a process (at first those of the one that forked it)."""
        if pid not in self.tables:
            parent, shared = self.parents.get(pid, ("", False))
            above = self._table(parent) if parent else ({}, {})
            self.tables[pid] = above if shared else (dict(above[0]), dict(above[1]))
        return self.tables[pid]

    def _mark(self, args: str) -> None:
        path = _strings(args)[0].decode("utf-8", "surrogateescape")
        if path == _MARK + "begin":
            self.recording_now = True
        elif path == _MARK + "ack":
            self.recording.acknowledged = len(self.recording.calls)

    def _emit(self, started: int, call: Call) -> None:
        call = Call(**{name: getattr(call, name) for name in Call.__slots__ if name != "started"}, started=started)
        self.disk.apply([call])
        self.recording.calls.append(call)

    def _call(self, name: str, args: str, result: int, started: int) -> None:
        parts = args.split(", ")
        if name in _NOT_MODELLED:
            raise RecordingError(f"{name} is not modelled")
        handler = getattr(self, "_do_" + {"pwrite64": "pwrite", "pwritev2": "pwritev"}.get(name, name), None)
        if handler is not None:
            handler(parts, args, result, started)

    # Names. A path outside the folder is None.

    def _path(self, part: str, base: str = "") -> str | None:
        raw = os.fsdecode(_strings(part)[0])
        whole = os.path.normpath(os.path.join(base, raw))
        if whole == self.root:
            return ""
        return whole[len(self.root) + 1 :] if whole.startswith(self.root + os.sep) else None

    def _at(self, folder: str, part: str) -> str | None:
        annotated = re.search(r"<((?:\\x[0-9a-f]{2})*)>", folder)
        base = os.fsdecode(_unhex(annotated[1])) if annotated else os.getcwd()
        return self._path(part, base)

    def _opened(self, part: str, path: str | None, flags: str, fd: int, started: int) -> None:
        if again := re.fullmatch(rb"/proc/self/fd/(\d+)", _strings(part)[0]):
            if (old := int(again[1])) in self.open:  # the same inode by another description: for direct writes
                self.open[fd] = _OpenFile(self.open[old].file, "O_APPEND" in flags)
            return
        if path is None:
            return
        if "O_SYNC" in flags or "O_DSYNC" in flags:
            raise RecordingError(f"open with {flags} is not modelled")
        if "O_TMPFILE" in flags:  # without a name; giving it one goes through /proc, which is refused as outside
            file = self.disk.fresh()
            self._emit(started, Call("create", file=file))
            self.open[fd] = _OpenFile(file)
            return
        if path == "" or path in self.disk.folders:
            self.folders[fd] = path
            return
        if path not in self.disk.names:
            self._emit(started, Call("create", file=self.disk.fresh(), path=path))
        file = self.disk.names[path]
        if "O_TRUNC" in flags and self.disk.content[file]:
            self._emit(started, Call("size", file=file, size=0))
        self.open[fd] = _OpenFile(file, "O_APPEND" in flags)

    def _do_open(self, parts: list[str], args: str, fd: int, started: int) -> None:
        self._opened(parts[0], self._path(parts[0], os.getcwd()), parts[1], fd, started)

    def _do_creat(self, parts: list[str], args: str, fd: int, started: int) -> None:
        self._opened(parts[0], self._path(parts[0], os.getcwd()), "O_CREAT|O_WRONLY|O_TRUNC", fd, started)

    def _do_openat(self, parts: list[str], args: str, fd: int, started: int) -> None:
        self._opened(parts[1], self._at(parts[0], parts[1]), parts[2], fd, started)

    def _do_close(self, parts: list[str], args: str, result: int, started: int) -> None:
        self.open.pop(_fd(parts[0]), None)
        self.folders.pop(_fd(parts[0]), None)

    def _do_dup(self, parts: list[str], args: str, fd: int, started: int) -> None:
        if (old := _fd(parts[0])) in self.open:
            self.open[fd] = self.open[old]

    _do_dup2 = _do_dup3 = _do_dup

    def _do_fcntl(self, parts: list[str], args: str, fd: int, started: int) -> None:
        if "F_DUPFD" in parts[1]:
            self._do_dup(parts, args, fd, started)

    # Data.

    def _written(self, parts: list[str], args: str, count: int, started: int, offset: int | None) -> None:
        there = self.open.get(_fd(parts[0]))
        if there is None:
            return
        data = b"".join(_strings(args))[:count]
        if len(data) != count:
            raise RecordingError("strace cut the data of a write")
        at = there.position if offset is None else offset
        if there.append:
            at = len(self.disk.content[there.file])
        self._emit(started, Call("write", file=there.file, offset=at, data=data))
        if offset is None:
            there.position = at + count

    def _do_write(self, parts: list[str], args: str, count: int, started: int) -> None:
        self._written(parts, args, count, started, None)

    _do_writev = _do_write

    def _do_pwrite(self, parts: list[str], args: str, count: int, started: int) -> None:
        self._written(parts, args, count, started, int(parts[-1], 0))

    def _do_pwritev(self, parts: list[str], args: str, count: int, started: int) -> None:
        # pwritev(fd, iov, count, offset); pwritev2 has flags behind.
        after = args.rpartition("]")[2].split(", ")
        self._written(parts, args, count, started, int(after[2], 0))

    def _do_lseek(self, parts: list[str], args: str, result: int, started: int) -> None:
        if there := self.open.get(_fd(parts[0])):
            there.position = result

    def _do_ftruncate(self, parts: list[str], args: str, result: int, started: int) -> None:
        if there := self.open.get(_fd(parts[0])):
            self._emit(started, Call("size", file=there.file, size=int(parts[1], 0)))

    def _do_truncate(self, parts: list[str], args: str, result: int, started: int) -> None:
        path = self._path(parts[0], os.getcwd())
        if path is not None:
            self._emit(started, Call("size", file=self.disk.names[path], size=int(parts[1], 0)))

    def _do_fallocate(self, parts: list[str], args: str, result: int, started: int) -> None:
        there = self.open.get(_fd(parts[0]))
        if there is None or parts[1] == "FALLOC_FL_KEEP_SIZE":
            return
        if parts[1] != "0":
            raise RecordingError(f"fallocate with mode {parts[1]} is not modelled")
        end = int(parts[2], 0) + int(parts[3], 0)
        if end > len(self.disk.content[there.file]):
            self._emit(started, Call("size", file=there.file, size=end))

    def _do_mmap(self, parts: list[str], args: str, result: int, started: int) -> None:
        if "MAP_SHARED" in parts[3] and "PROT_WRITE" in parts[2] and _fd(parts[4]) in self.open:
            raise RecordingError("a shared writable map of a file is not modelled")

    # What makes things durable.

    def _do_fsync(self, parts: list[str], args: str, result: int, started: int) -> None:
        fd = _fd(parts[0])
        if there := self.open.get(fd):
            self._emit(started, Call("sync", file=there.file))
        elif fd in self.folders:
            self._emit(started, Call("sync-folder", path=self.folders[fd]))

    _do_fdatasync = _do_fsync

    def _do_sync(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._emit(started, Call("sync-all"))

    _do_syncfs = _do_sync

    # Changes of names.

    def _renamed(self, old: str | None, new: str | None, started: int) -> None:
        if old is None and new is None:
            return
        if old is None or new is None:
            raise RecordingError("a rename into or out of the watched folder is not modelled")
        self._emit(started, Call("rename", path=old, target=new))

    def _do_rename(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._renamed(self._path(parts[0], os.getcwd()), self._path(parts[1], os.getcwd()), started)

    def _do_renameat(self, parts: list[str], args: str, result: int, started: int) -> None:
        if "RENAME_EXCHANGE" in args:
            raise RecordingError("renameat2 with RENAME_EXCHANGE is not modelled")
        self._renamed(self._at(parts[0], parts[1]), self._at(parts[2], parts[3]), started)

    _do_renameat2 = _do_renameat

    def _linked(self, old: str | None, new: str | None, started: int) -> None:
        if new is not None:
            if old is None:
                raise RecordingError("a link to a file outside the watched folder is not modelled")
            self._emit(started, Call("link", path=old, target=new))

    def _do_link(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._linked(self._path(parts[0], os.getcwd()), self._path(parts[1], os.getcwd()), started)

    def _do_linkat(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._linked(self._at(parts[0], parts[1]), self._at(parts[2], parts[3]), started)

    def _removed(self, path: str | None, op: str, started: int) -> None:
        if path is not None:
            self._emit(started, Call(op, path=path))

    def _do_unlink(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._removed(self._path(parts[0], os.getcwd()), "unlink", started)

    def _do_unlinkat(self, parts: list[str], args: str, result: int, started: int) -> None:
        op = "rmdir" if "AT_REMOVEDIR" in args else "unlink"
        self._removed(self._at(parts[0], parts[1]), op, started)

    def _do_mkdir(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._removed(self._path(parts[0], os.getcwd()), "mkdir", started)

    def _do_mkdirat(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._removed(self._at(parts[0], parts[1]), "mkdir", started)

    def _do_rmdir(self, parts: list[str], args: str, result: int, started: int) -> None:
        self._removed(self._path(parts[0], os.getcwd()), "rmdir", started)


def _parents(lines: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Process or thread → what started it, and whether they share their descriptors."""
    found: dict[str, tuple[str, bool]] = {}
    begun: dict[str, str] = {}
    for line in lines:
        matched = _STARTS.match(line)
        if matched is None:
            continue
        pid, text = matched.groups()
        if text.endswith("<unfinished ...>"):
            begun[pid] = text
            continue
        child = re.search(r"\) += (\d+)$", text)
        if text.startswith("<..."):
            text = begun.pop(pid, "") + text
        if child:
            found[child[1]] = (pid, "CLONE_FILES" in text)
    return found


def _strings(args: str) -> list[bytes]:
    found = []
    for text, cut in _STRING.findall(args):
        if cut:
            raise RecordingError("strace cut a string")
        found.append(_unhex(text))
    return found


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _fd(part: str) -> int:
    number = re.match(r"-?\d+", part)
    return int(number[0]) if number else -1
