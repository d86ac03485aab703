"""A disk that a crash may leave in several states, and the enumeration of these states.

    kill      the process dies, the system lives: a prefix of the calls, the next write perhaps cut
    journal   power cut, ext4 with data=ordered: names change in one order and a prefix of that order survives; a sync
              makes durable the changes up to the last one that touched what it was called on
    posix     power cut, nothing promised but POSIX: a change of names survives surely once its folder was synced, each
              other one or not; sectors that were never synced may hold anything

In both power cuts the data of a file are sure only after a sync of that file: any sector written since may be old, new
or zero, and the size any that the file had on the way.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorkeep.testing.crash.trace import Recording

__all__ = ["MODELS", "Call", "Disk", "State", "states"]

MODELS = ("kill", "journal", "posix")

SECTOR_NBYTES = 512  # what a device writes whole or not at all
PAGE_NBYTES = 4096  # steps in which a file system writes back, and so in which sizes grow
_ALL_SUBSETS_UP_TO = 5  # pending changes of names: 32 subsets; beyond, a sample


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that changed the folder or made something durable.

    Attributes:
        op: create, write, size, rename, link, unlink, mkdir, rmdir; sync (a file), sync-folder, sync-all.
        file: the inode, as a number of ours.
        path, target: relative to the folder.
        started: how many calls of the recording had ended when this one began; a sync covers just these.
    """

    op: str
    file: int = -1
    path: str = ""
    target: str = ""
    offset: int = 0
    data: bytes = b""
    size: int = 0
    started: int = 0


class Disk:
    """Names and the files they lead to, changed by Calls."""

    def __init__(self, before: Mapping[str, bytes | None] | None = None) -> None:
        self.names: dict[str, int] = {}
        self.folders: set[str] = set()
        self.content: dict[int, bytearray] = {}
        for path, data in (before or {}).items():
            if data is None:
                self.folders.add(path)
            else:
                file = self.fresh()
                self.names[path] = file
                self.content[file] = bytearray(data)

    def fresh(self) -> int:
        """The number of the next inode."""
        return len(self.content)

    def tree(self) -> dict[str, bytes | None]:
        """Relative path to content, as `snapshot` gives it."""
        found: dict[str, bytes | None] = {path: bytes(self.content[file]) for path, file in self.names.items()}
        found.update(dict.fromkeys(self.folders))
        return found

    def apply(self, calls: Sequence[Call]) -> None:
        """Do what the calls did, as a running system shows it."""
        for call in calls:
            if call.op == "write" or call.op == "size":
                _change(self.content[call.file], call)
            elif call.op == "create":
                self.content[call.file] = bytearray()
                if call.path:  # else an unnamed file (O_TMPFILE)
                    self.names[call.path] = call.file
            else:
                for change in _name_changes(self, call):
                    change.apply(self.names, self.folders)


def _change(content: bytearray, call: Call) -> None:
    if call.op == "size":
        if call.size < len(content):
            del content[call.size :]
        else:
            content.extend(bytes(call.size - len(content)))
        return
    end = call.offset + len(call.data)
    if end > len(content):
        content.extend(bytes(end - len(content)))
    content[call.offset : end] = call.data


@dataclass(frozen=True, slots=True)
class _NameChange:
    """One atomic change of names, with the inodes resolved, so that it means the same when others are lost."""

    index: int
    folders: frozenset[str]  # whose lists change
    files: frozenset[int]  # whose inodes are touched
    gone: tuple[str, ...] = ()
    new: tuple[tuple[str, int], ...] = ()
    new_folders: tuple[str, ...] = ()

    def apply(self, names: dict[str, int], folders: set[str]) -> None:
        for path in self.gone:
            names.pop(path, None)
            folders.discard(path)
        names.update(self.new)
        folders.update(self.new_folders)


def _name_changes(disk: Disk, call: Call, index: int = 0) -> list[_NameChange]:
    parent = os.path.dirname
    if call.op == "create" and not call.path:
        return []
    if call.op == "create":
        return [
            _NameChange(index, frozenset({parent(call.path)}), frozenset({call.file}), (), ((call.path, call.file),))
        ]
    if call.op == "rename":
        below = call.path + os.sep
        moved = {
            path: call.target + path[len(call.path) :]
            for path in (*disk.names, *disk.folders)
            if path.startswith(below)
        }
        moved[call.path] = call.target
        files = {old: disk.names[old] for old in moved if old in disk.names}
        new = tuple((moved[old], file) for old, file in files.items())
        new_folders = tuple(moved[old] for old in moved if old in disk.folders)
        folders = frozenset({parent(call.path), parent(call.target)})
        return [_NameChange(index, folders, frozenset(files.values()), tuple(moved), new, new_folders)]
    if call.op == "link":
        file = disk.names[call.path]
        return [_NameChange(index, frozenset({parent(call.target)}), frozenset({file}), (), ((call.target, file),))]
    if call.op in ("unlink", "rmdir"):
        files_gone = frozenset({disk.names[call.path]} if call.path in disk.names else ())
        return [_NameChange(index, frozenset({parent(call.path)}), files_gone, (call.path,))]
    if call.op == "mkdir":
        return [_NameChange(index, frozenset({parent(call.path)}), frozenset(), (), (), (call.path,))]
    return []


@dataclass(frozen=True, slots=True)
class State:
    """What lies in the folder after a crash.

    Attributes:
        tree: relative path to content; None for a folder.
        model: which of MODELS allows it.
        after: how many calls had ended when the crash came.
        acknowledged: whether the save had been acknowledged by then.
        how: what was lost, in words.
    """

    tree: dict[str, bytes | None]
    model: str
    after: int
    acknowledged: bool
    how: str


def states(recording: Recording, model: str, *, samples: int = 40, seed: int = 0) -> Iterator[State]:
    """Every state that a crash at any moment may leave; of the subsets of sectors, `samples` random ones a moment.

    Args:
        recording: what a save did.
        model: one of MODELS.
        samples: how many mixtures of old and new sectors are drawn for each moment and each choice of names.
        seed: the same seed gives the same states.
    """
    calls = recording.calls
    acknowledged = len(calls) + 1 if recording.acknowledged is None else recording.acknowledged
    disk = Disk(recording.before)
    changes: list[_NameChange] = []
    for after in range(len(calls) + 1):
        found: Iterator[tuple[dict[str, bytes | None], str]]
        if model == "kill":
            found = _killed(disk, calls, after)
        else:
            rng = random.Random(f"{seed} {model} {after}")
            found = _power_cut(recording.before, calls[:after], changes, disk, model == "journal", samples, rng)
        for tree, how in found:
            yield State(tree, model, after, after >= acknowledged, how)
        if after < len(calls):
            changes.extend(_name_changes(disk, calls[after], after))
            disk.apply([calls[after]])


def _killed(disk: Disk, calls: Sequence[Call], after: int) -> Iterator[tuple[dict[str, bytes | None], str]]:
    yield disk.tree(), "all calls that had ended"
    if after == len(calls) or calls[after].op != "write":
        return
    call = calls[after]
    size = len(call.data)
    pages = range(PAGE_NBYTES - call.offset % PAGE_NBYTES, size, PAGE_NBYTES * max(1, size // PAGE_NBYTES // 8))
    for cut in sorted({1, size // 2, size - 1, *pages} - {0, size}):
        torn = Disk()
        torn.names, torn.folders, torn.content = disk.names, disk.folders, dict(disk.content)
        torn.content[call.file] = bytearray(disk.content[call.file])
        _change(torn.content[call.file], Call("write", file=call.file, offset=call.offset, data=call.data[:cut]))
        yield torn.tree(), f"the next write cut after {cut} of {size} bytes"


def _power_cut(
    before: Mapping[str, bytes | None],
    calls: Sequence[Call],
    changes: Sequence[_NameChange],
    running: Disk,
    ordered: bool,
    samples: int,
    rng: random.Random,
) -> Iterator[tuple[dict[str, bytes | None], str]]:
    start = Disk(before)
    contents: dict[int, list[tuple[bytes, str]]] = {}
    for survivors, lost in _surviving_names(calls, changes, ordered, rng):
        names, folders = dict(start.names), set(start.folders)
        for change in survivors:
            change.apply(names, folders)
        # A name whose folder did not survive leads nowhere.
        reached = {path: file for path, file in names.items() if _reachable(path, folders)}
        inside = {path for path in folders if _reachable(path, folders)}
        files = sorted(set(reached.values()))
        for file in files:
            if file not in contents:
                contents[file] = list(_surviving_data(file, start, calls, running, ordered, samples, rng))
        for choice, how in _together({file: contents[file] for file in files}):
            tree: dict[str, bytes | None] = {path: choice[file] for path, file in reached.items()}
            tree.update(dict.fromkeys(inside))
            yield tree, "; ".join(filter(None, (lost, how)))


def _reachable(path: str, folders: set[str]) -> bool:
    parent = os.path.dirname(path)
    return not parent or (parent in folders and _reachable(parent, folders))


def _surviving_names(
    calls: Sequence[Call], changes: Sequence[_NameChange], ordered: bool, rng: random.Random
) -> Iterator[tuple[list[_NameChange], str]]:
    if ordered:
        sure = max((_committed(changes, call) for call in calls if call.op.startswith("sync")), default=0)
        for count in range(sure, len(changes) + 1):
            lost = len(changes) - count
            yield list(changes[:count]), f"the last {lost} changes of names lost" if lost else ""
        return
    pending = [change for change in changes if not _durable(change, calls)]
    for gone in _subsets(len(pending), rng):
        dropped = {pending[i].index for i in gone}
        kept = [change for change in changes if change.index not in dropped]
        yield kept, f"changes of names by the calls {sorted(dropped)} lost" if dropped else ""


def _committed(changes: Sequence[_NameChange], sync: Call) -> int:
    """How many changes of names a sync commits: up to the last that touched the file or folder it was called on."""
    count = 0
    for i, change in enumerate(changes):
        if change.index >= sync.started:
            break
        touched = sync.op == "sync-all" or (sync.op == "sync" and sync.file in change.files)
        if touched or (sync.op == "sync-folder" and (sync.path in change.folders or sync.path in change.new_folders)):
            count = i + 1
    return count


def _durable(change: _NameChange, calls: Sequence[Call]) -> bool:
    synced = {call.path for call in calls if call.op == "sync-folder" and call.started > change.index}
    return change.folders <= synced or any(call.op == "sync-all" and call.started > change.index for call in calls)


def _subsets(count: int, rng: random.Random) -> Iterator[tuple[int, ...]]:
    if count <= _ALL_SUBSETS_UP_TO:
        for size in range(count + 1):
            yield from itertools.combinations(range(count), size)
        return
    yield from ((), tuple(range(count)))
    for i in range(count):
        yield (i,)
        yield tuple(j for j in range(count) if j != i)
        yield tuple(range(i))
    for _ in range(2**_ALL_SUBSETS_UP_TO):
        yield tuple(i for i in range(count) if rng.random() < 0.5)


def _surviving_data(
    file: int, start: Disk, calls: Sequence[Call], running: Disk, ordered: bool, samples: int, rng: random.Random
) -> Iterator[tuple[bytes, str]]:
    """What a file may hold: surely what was synced, of the rest any part."""
    synced = max(
        (call.started for call in calls if call.op == "sync-all" or (call.op == "sync" and call.file == file)),
        default=0,
    )
    base = bytearray(start.content.get(file, b""))
    pending: list[Call] = []
    for i, call in enumerate(calls):
        if call.file == file and call.op in ("write", "size"):
            if i < synced:
                _change(base, call)
            else:
                pending.append(call)
    whole = bytes(running.content[file])
    yield whole, ""
    if not pending:
        return
    yield bytes(base), "all data since the last sync lost"
    yield _overlaid(base, b"", len(whole)), "the size is new, the data since the last sync are not"
    if not ordered:
        yield (
            _overlaid(
                base, rng.randbytes(len(whole) - len(base)) if len(whole) > len(base) else b"", len(whole), len(base)
            ),
            ("the size is new, behind it lies what the sectors held before"),
        )
    chosen = pending if len(pending) <= 12 else rng.sample(pending, 12)
    for lost in chosen:
        yield (
            _written(base, [call for call in pending if call is not lost], len(whole)),
            f"the write at {lost.offset} lost",
        )
    for count in sorted({pending.index(call) for call in chosen}):
        yield _written(base, pending[:count]), f"only the first {count} of {len(pending)} writes since the last sync"
    steps = range(PAGE_NBYTES, len(whole), PAGE_NBYTES * max(1, len(whole) // PAGE_NBYTES // 16))
    for size in {len(base), *steps} - {len(whole)}:
        yield whole[:size] if size < len(whole) else _overlaid(bytearray(whole), b"", size), f"the size is still {size}"
    for _ in range(samples):
        yield _mixed(base, pending, whole, ordered, rng), "a mixture of old and new sectors"


def _written(base: bytearray, calls: Sequence[Call], size: int | None = None) -> bytes:
    content = bytearray(base)
    for call in calls:
        _change(content, call)
    if size is not None:
        _change(content, Call("size", size=size))
    return bytes(content)


def _overlaid(base: bytearray, tail: bytes, size: int, at: int = 0) -> bytes:
    content = bytearray(base)
    _change(content, Call("size", size=size))
    if tail:
        content[at : at + len(tail)] = tail
    return bytes(content)


def _mixed(base: bytearray, pending: Sequence[Call], whole: bytes, ordered: bool, rng: random.Random) -> bytes:
    import numpy as np

    share = rng.choice((0.02, 0.2, 0.5, 0.8, 0.98))  # few and many lost sectors alike
    some = [call for call in pending if rng.random() < 0.5] if rng.random() < 0.3 else list(pending)
    size = len(whole)
    new = np.frombuffer(_written(base, some, size), np.uint8)
    old = np.frombuffer(_overlaid(base, b"", size), np.uint8).copy()
    if not ordered and rng.random() < 0.3 and size > len(base):
        old[len(base) :] = np.frombuffer(rng.randbytes(size - len(base)), np.uint8)
    sectors = -(-size // SECTOR_NBYTES)
    keep = np.random.default_rng(rng.getrandbits(32)).random(sectors) < share
    return np.where(np.repeat(keep, SECTOR_NBYTES)[:size], new, old).tobytes()


def _together(files: Mapping[int, Sequence[tuple[bytes, str]]]) -> Iterator[tuple[dict[int, bytes], str]]:
    """Choices for all files at once: the first of each, each of one beside the first of the others, the i-th of each."""
    first = {file: options[0][0] for file, options in files.items()}
    yield first, ""
    for file, options in files.items():
        for data, how in options[1:]:
            yield first | {file: data}, how
    several = [file for file, options in files.items() if len(options) > 1]
    if len(several) > 1:
        for i in range(1, max(len(files[file]) for file in several)):
            picked = {file: files[file][i % len(files[file])] for file in several}
            yield (
                first | {file: data for file, (data, _) in picked.items()},
                "; ".join(how for _, how in picked.values()),
            )
