"""torch files of 2016 (0.1): a tar archive of the members sys_info, pickle, tensors, storages. It is never extracted.

    storages   pickle: count; for each: pickle (key, location, class), i64 number of elements, the elements;
               pickle: list of views (key, key of the root, offset, elements)
    tensors    pickle: count; for each: pickle (key, key of its storage, class), i32 axes, 4 bytes, i64 sizes, i64 strides,
               i64 offset
    pickle     the data; its persistent ids are keys of tensors and storages

All numbers are little-endian. Source: torch/serialization.py `_legacy_load`, `legacy_load`.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

from tensorkeep.core.bounds import MAX_NDIM
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.dtypes import DType
from tensorkeep.core.reports import Request, ScanReport
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import CorruptFileError, TensorkeepError, UnsafeFileError, UnsupportedFormatError
from tensorkeep.formats import Format
from tensorkeep.formats._pickle import Unpickled
from tensorkeep.formats._pickle_names import name_tensors
from tensorkeep.formats._pickle_parts import Global, Unfit
from tensorkeep.formats._pickle_stream import examine_at, load_at
from tensorkeep.formats._tar import Member, read_members
from tensorkeep.formats._torch_pickle import TORCH, Shelf, Storage, storage_class

__all__ = ["FORMAT"]

_DAMAGED = "The file is damaged or hostile."


def _open(source: ByteSource, unknown: str) -> TensorFile:
    members = _members(source)
    archive = _Archive(source)
    archive.read_storages(members["storages"])
    archive.read_tensors(members["tensors"])
    member = members["pickle"]
    found = _load(source, member, member.offset, known=True, persistent=archive.persistent, unknown=unknown)
    _check_end(source, member, found.end)
    value = found.value
    return TensorFile(
        source=source, path=source.name, format="torch-tar", tensors=name_tensors(value), structure=lambda: value
    )


def _members(source: ByteSource) -> dict[str, Member]:
    members = read_members(source)
    missing = [name for name in ("storages", "tensors", "pickle") if name not in members]
    if missing:
        raise CorruptFileError(f"{source.name}: the tar archive lacks {', '.join(missing)}. {_DAMAGED}")
    return members


def _load(
    source: ByteSource, member: Member, at: int, *, known: bool = False, persistent: Any = None, unknown: str = "refuse"
) -> Unpickled:
    what = f"{source.name}: {member.name}, pickle at byte {at}"
    stop = member.offset + member.nbytes
    table = TORCH if known else None
    return load_at(source, at, what=what, known=table, persistent=persistent, unknown=unknown, stop=stop)


def _check_end(source: ByteSource, member: Member, at: int) -> None:
    end = member.offset + member.nbytes
    if at != end:
        raise CorruptFileError(
            f"{source.name}: the content of {member.name} ends at byte {at}, and {end - at} bytes follow it. {_DAMAGED}"
        )


class _Archive:
    """Storages and tensors by their keys, which are the addresses they once had in memory."""

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.shelf = Shelf()
        self.storages: dict[int, Storage] = {}
        self.tensors: dict[int, Tensor] = {}

    def fail(self, at: int, why: str) -> CorruptFileError:
        return CorruptFileError(f"{self.source.name}: byte {at}: {why}. {_DAMAGED}")

    def count(self, member: Member) -> tuple[int, int]:
        found = _load(self.source, member, member.offset)
        count = found.value
        # Each entry takes at least a pickle of 2 bytes and a number of 8.
        if type(count) is not int or not 0 <= count <= member.nbytes // 10:
            raise self.fail(member.offset, f"{member.name} says that it has {count!r:.40} entries")
        return count, found.end

    def numbers(self, member: Member, at: int, layout: str) -> tuple[Any, ...]:
        nbytes = struct.calcsize(layout)
        if at + nbytes > member.offset + member.nbytes:
            raise self.fail(at, f"{member.name} ends inside an entry")
        return struct.unpack(layout, self.source.read(at, nbytes))

    def read_storages(self, member: Member) -> None:
        count, at = self.count(member)
        for _ in range(count):
            found = _load(self.source, member, at, known=True)
            row = self.row(found.value, 3, at)
            key, location, cls = row
            if type(location) is not str:
                raise self.fail(at, "a storage's location is not a string")
            start = found.end
            (numel,) = self.numbers(member, start, "<q")
            kind = self.kind(cls, at)
            if numel < 0 or start + 8 + numel * kind[1] > member.offset + member.nbytes:
                raise self.fail(start, f"a storage of {numel} elements reaches beyond its member")
            storage = Storage(str(key), kind, numel, self.shelf)
            storage.place(self.source, start + 8)
            self.add(self.storages, key, storage, at)
            at = start + 8 + storage.nbytes
        found = _load(self.source, member, at)
        if type(found.value) is not list:
            raise self.fail(at, "the views of storages are not a list")
        for view in found.value:
            self.add_view(view, at)
        _check_end(self.source, member, found.end)

    def add_view(self, view: Any, at: int) -> None:
        key, root_key, offset, numel = self.row(view, 4, at)
        root = self.storages.get(root_key) if type(root_key) is int else None
        if root is None or any(type(n) is not int or not 0 <= n < 2**53 for n in (offset, numel)):
            raise self.fail(at, "a view of a storage has no root, offset and size")
        if (offset + numel) * root.itemsize > root.nbytes:
            raise self.fail(at, "a view of a storage lies outside it")
        storage = Storage(f"view {key}", (root.dtype, root.itemsize, root.other), numel, self.shelf)
        storage.place(self.source, root.offset + offset * root.itemsize)
        self.add(self.storages, key, storage, at)

    def read_tensors(self, member: Member) -> None:
        count, at = self.count(member)
        for _ in range(count):
            found = _load(self.source, member, at, known=True)
            key, storage_key, _ = self.row(found.value, 3, at)
            storage = self.storages.get(storage_key) if type(storage_key) is int else None
            if storage is None:
                raise self.fail(at, "a tensor refers to a storage that is not there")
            ndim, _ = self.numbers(member, found.end, "<ii")
            if not 0 <= ndim <= MAX_NDIM:
                raise self.fail(found.end, f"a tensor has {ndim} axes")
            numbers = self.numbers(member, found.end + 8, f"<{2 * ndim + 1}q")
            if storage.dtype is None:
                raise UnsupportedFormatError(
                    f"{self.source.name}: a tensor of dtype {storage.other} has no counterpart in NumPy."
                )
            try:
                tensor = storage.tensor(storage.dtype, numbers[-1], numbers[:ndim], numbers[ndim:-1])
            except Unfit as err:
                raise self.fail(at, str(err)) from None
            self.add(self.tensors, key, tensor, at)
            at = found.end + 8 + 8 * len(numbers)
        _check_end(self.source, member, at)

    def row(self, value: Any, length: int, at: int) -> tuple[Any, ...]:
        if type(value) not in (tuple, list) or len(value) != length or type(value[0]) is not int:
            raise self.fail(at, f"an entry is not a row of {length} values that begins with a key")
        return tuple(value)

    def kind(self, cls: Any, at: int) -> tuple[DType | None, int, str]:
        try:
            return storage_class(cls)
        except Unfit as err:
            raise self.fail(at, str(err)) from None

    def add(self, table: dict[int, Any], key: int, value: Any, at: int) -> None:
        if key in table:
            raise self.fail(at, f"the key {key} stands twice")
        table[key] = value

    def persistent(self, pid: Any) -> Any:
        if type(pid) is tuple and pid and type(pid[0]) is Global:
            return pid[0]  # (class, file, source text) of a module; the text is not looked at
        text = pid if type(pid) is str else str(pid) if type(pid) is int and pid.bit_length() <= 64 else ""
        key = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else -1
        found = self.tensors.get(key)
        if found is None:
            if key not in self.storages:
                raise Unfit("a persistent id is the key of no tensor and no storage")
            return self.storages[key]
        return found


def _scan(source: ByteSource) -> ScanReport:
    members = _members(source)
    requests: list[Request] = []
    notes: list[str] = []
    # The pickles before each storage and tensor are read strictly when the file is opened; what they ask for is listed here.
    for name in ("storages", "tensors", "pickle"):
        member = members[name]
        found = examine_at(
            source, member.offset, what=f"{source.name}: {name}", known=TORCH, stop=member.offset + member.nbytes
        )
        requests += [replace(request, where=name) for request in found.requests]
        if found.error is not None:
            notes.append(f"{name} cannot be read to its end: {found.error}")
    try:
        _open(source, "refuse")
    except UnsafeFileError as err:
        seen = {(request.module, request.name) for request in requests}
        requests += [Request(*pair, 1, False) for pair in err.requests if pair not in seen]
    except TensorkeepError as err:
        notes.append(f"It cannot be read to its end: {err}")
    requests.sort(key=lambda request: request.known)
    clean = not notes and all(request.known for request in requests)
    return ScanReport(source.name, "torch-tar", clean, 3, tuple(requests), tuple(notes))


FORMAT = Format(name="torch-tar", suffixes=(), open=_open, scan=_scan)
