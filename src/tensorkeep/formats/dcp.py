"""Folders of torch.distributed.checkpoint: `.metadata` and files of torch.save archives, one for each chunk of a tensor.

Opening reads `.metadata` only (through `_pickle`, never unpickled); a tensor's chunks are read, checked and put together
when its values are asked for. Source: torch/distributed/checkpoint/filesystem.py (`FileSystemWriter`, `FileSystemReader`).
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorkeep.core.bounds import MAX_DEPTH, MAX_PICKLE_NBYTES
from tensorkeep.core.bytesource import ByteSource, FileSource
from tensorkeep.core.dtypes import numpy_dtype
from tensorkeep.core.reports import Request, ScanReport
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import CorruptFileError, LimitError, TensorkeepError, TruncatedFileError, UnsafeFileError
from tensorkeep.formats import Format
from tensorkeep.formats._dcp_metadata import DCP, Chunk, Item, Metadata, read_metadata
from tensorkeep.formats._pickle import examine
from tensorkeep.formats._torch_zip import open_archive, scan_archive, verify_archive

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FORMAT"]

_DAMAGED = "The folder is damaged or hostile."


class _Slice(ByteSource):
    """A range of a file, as a source of its own."""

    __slots__ = ("_base", "_start")

    def __init__(self, base: ByteSource, start: int, nbytes: int) -> None:
        base.check(start, nbytes)
        self._base = base
        self._start = start
        self.size = nbytes
        self.name = f"{base.name} (item at byte {start})"

    def view(self, offset: int, nbytes: int) -> memoryview:
        self.check(offset, nbytes)
        return self._base.view(self._start + offset, nbytes)

    def read(self, offset: int, nbytes: int) -> bytes:
        self.check(offset, nbytes)
        return self._base.read(self._start + offset, nbytes)

    def readinto(self, offset: int, buffer: Any) -> None:
        out = memoryview(buffer).cast("B")
        self.check(offset, out.nbytes)
        self._base.readinto(self._start + offset, out)


class _Folder(ByteSource):
    """The files of the folder that the metadata name: each opened when it is first needed, never through a link."""

    __slots__ = ("_files", "_lock", "_sizes", "path")

    def __init__(self, path: Path, items: dict[str, Item]) -> None:
        self.path = path
        self.name = str(path)
        self._files: dict[str, FileSource] = {}
        self._lock = threading.Lock()
        ranges: dict[str, list[tuple[int, int, str]]] = {}
        for item in items.values():
            for chunk in item.chunks:
                ranges.setdefault(chunk.file, []).append((chunk.offset, chunk.nbytes, item.name))
        self._sizes = {file: self._check_file(file, rows) for file, rows in ranges.items()}
        self.size = sum(self._sizes.values())

    def _check_file(self, file: str, rows: list[tuple[int, int, str]]) -> int:
        """The size of a file: regular, no link, and the items lie in it one behind the other."""
        at = self.path
        for part in file.split("/"):
            at = at / part
            try:
                found = os.lstat(at)
            except OSError as err:
                raise TruncatedFileError(
                    f"{self.name}: the file {file!r:.200} is missing ({err.strerror}); {len(rows)} items lie in it. "
                    "Copy the whole folder again."
                ) from None
            if stat.S_ISLNK(found.st_mode):
                raise UnsafeFileError(
                    f"{at}: a link; only files that lie in the folder itself are opened. Copy its target there."
                )
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise UnsafeFileError(
                f"{at}: not a regular file with one name; such files are not opened. Copy it with `cp`."
            )
        end = 0
        for offset, nbytes, name in sorted(rows):
            if offset < end:
                raise CorruptFileError(f"{at}: the item {name!r:.200} at byte {offset} overlaps another. {_DAMAGED}")
            end = offset + nbytes
            if end > found.st_size:
                raise TruncatedFileError(
                    f"{at}: the item {name!r:.200} ends at byte {end}, but the file has {found.st_size}. It was cut off; "
                    "copy the folder again."
                )
        return found.st_size

    def slice(self, chunk: Chunk) -> _Slice:
        with self._lock:
            source = self._files.get(chunk.file)
            if source is None:
                at = self.path / chunk.file
                fd = os.open(
                    at,
                    os.O_RDONLY
                    | getattr(os, "O_NOFOLLOW", 0)
                    | getattr(os, "O_CLOEXEC", 0)
                    | getattr(os, "O_BINARY", 0),
                )
                source = self._files[chunk.file] = FileSource(at, fd=fd)
        return _Slice(source, chunk.offset, chunk.nbytes)

    def close(self) -> None:
        for source in self._files.values():
            source.close()


def _read(path: Path) -> bytes:
    at = path / ".metadata"
    source = FileSource(at)
    try:
        if source.size > MAX_PICKLE_NBYTES:
            raise LimitError(f"{at}: {source.size} bytes; at most {MAX_PICKLE_NBYTES} are read. {_DAMAGED}")
        return source.read(0, source.size)
    finally:
        source.close()


def _open(path: Path, unknown: str) -> TensorFile:
    what = str(path / ".metadata")
    data = _read(path)
    metadata = read_metadata(data, what=what, unknown=unknown)
    folder = _Folder(path, metadata.items)
    tensors = {name: _tensor(folder, item) for name, item in metadata.items.items() if item.dtype is not None}
    return TensorFile(
        source=None,
        path=str(path),
        format="dcp",
        tensors=tensors,
        structure=lambda: _structure(folder, metadata, tensors, unknown),
        metadata={"version": metadata.version} if metadata.version else {},
        sources=[folder],
        notes=[f"{len(folder._sizes)} files, {sum(len(item.chunks) for item in metadata.items.values())} items."],
        checksum="crc32",
        nbytes=folder.size + len(data),
        check=lambda: _check(folder, metadata),
    )


def _tensor(folder: _Folder, item: Item) -> Tensor:
    dtype = item.dtype
    assert dtype is not None

    def make() -> np.ndarray[Any, Any]:
        import numpy as np

        pieces = ((chunk, _piece(folder, item, chunk)) for chunk in item.chunks if 0 not in chunk.sizes)
        if len(item.chunks) == 1:
            return next((piece for _, piece in pieces), np.empty(item.shape, numpy_dtype(dtype)))
        whole = np.empty(item.shape, numpy_dtype(dtype))
        for chunk, piece in pieces:
            whole[tuple(slice(at, at + n) for at, n in zip(chunk.offsets, chunk.sizes, strict=True))] = piece
        return whole

    return Tensor(item.shape, dtype, make=make)


def _piece(folder: _Folder, item: Item, chunk: Chunk) -> np.ndarray[Any, Any]:
    file = open_archive(folder.slice(chunk), "refuse")
    found = file.structure
    if type(found) is not Tensor or found.shape != chunk.sizes or found.dtype != item.dtype:
        got = f"{found.dtype} {found.shape}" if type(found) is Tensor else f"a {type(found).__name__}"
        raise CorruptFileError(
            f"{folder.name}: {item.name!r:.200}: the chunk at {chunk.offsets} should be {item.dtype} {chunk.sizes}, and is {got}. "
            + _DAMAGED
        )
    return found.numpy()


def _structure(folder: _Folder, metadata: Metadata, tensors: dict[str, Tensor], unknown: str) -> Any:
    values = {
        name: tensors[name] if item.dtype is not None else open_archive(folder.slice(item.chunks[0]), unknown).structure
        for name, item in metadata.items.items()
    }
    if metadata.paths is None:
        return values
    root: dict[Any, Any] = {}
    for name, value in values.items():
        path = metadata.paths[name]
        if len(path) > MAX_DEPTH:
            raise LimitError(
                f"{folder.name}: {name!r:.200} lies {len(path)} containers deep; at most {MAX_DEPTH} are read."
            )
        node = root
        for part in path[:-1]:
            node = node.setdefault(part, {})
            if type(node) is not dict:
                raise CorruptFileError(f"{folder.name}: {name!r:.200} lies inside another value. {_DAMAGED}")
        if path[-1] in node:
            raise CorruptFileError(f"{folder.name}: two values lie at the place of {name!r:.200}. {_DAMAGED}")
        node[path[-1]] = value
    return _with_lists(root)


def _with_lists(node: Any) -> Any:
    """The nested dicts with lists in the place of those whose keys are positions."""
    if type(node) is not dict:
        return node
    made = {key: _with_lists(value) for key, value in node.items()}
    if not made or any(type(key) is not int for key in made):
        return made
    # Positions that held an empty container are stored nowhere, as DCP itself has it.
    return [made.get(i) for i in range(max(made) + 1)]


def _each_archive(metadata: Metadata, look: Callable[[Item, Chunk], None]) -> list[str]:
    damage = []
    for item in metadata.items.values():
        for chunk in item.chunks:
            try:
                look(item, chunk)
            except TensorkeepError as err:
                damage.append(f"{item.name!r:.200}: {err}")
    return damage


def _check(folder: _Folder, metadata: Metadata) -> list[str]:
    def look(item: Item, chunk: Chunk) -> None:
        damage = verify_archive(folder.slice(chunk))
        if damage:
            raise CorruptFileError("; ".join(damage))

    return _each_archive(metadata, look)


def _scan(path: Path) -> ScanReport:
    found = examine(_read(path), what=str(path / ".metadata"), known=DCP)
    requests = {(r.module, r.name): replace(r, where=".metadata") for r in found.requests}
    notes = [] if found.error is None else [f".metadata cannot be read to its end: {found.error}"]
    pickles = 1
    try:
        metadata = read_metadata(_read(path), what=str(path / ".metadata"), unknown="inert")
        folder = _Folder(path, metadata.items)
    except TensorkeepError as err:
        notes.append(f"Its items were not read: {err}")
        return _report(path, requests, pickles, notes)

    def look(item: Item, chunk: Chunk) -> None:
        nonlocal pickles
        report = scan_archive(folder.slice(chunk))
        pickles += report.pickles
        notes.extend(f"{item.name!r:.200}: {note}" for note in report.notes)
        for request in report.requests:
            key = (request.module, request.name)
            before = requests.get(key)
            if before is None:
                requests[key] = replace(request, where=chunk.file)
            else:
                requests[key] = replace(before, count=before.count + request.count)

    try:
        notes += _each_archive(metadata, look)
    finally:
        folder.close()
    return _report(path, requests, pickles, notes)


def _report(path: Path, requests: dict[tuple[str, str], Request], pickles: int, notes: list[str]) -> ScanReport:
    rows = sorted(requests.values(), key=lambda request: (request.known, request.module, request.name))
    clean = not notes and all(request.known for request in rows)
    return ScanReport(str(path), "dcp", clean, pickles, tuple(rows), tuple(notes))


FORMAT = Format(name="dcp", suffixes=(), open_folder=_open, scan_folder=_scan)
