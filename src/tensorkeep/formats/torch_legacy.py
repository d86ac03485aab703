"""torch files before 1.6 (and `_use_new_zipfile_serialization=False`): five pickles, then the storages.

    magic number · protocol version 1001 · machine facts · the data · list of storage keys        (each a pickle)
    for each key in the list's order: i64 number of elements, then the elements, little-endian

Storages are found by adding up their declared sizes, and the number in front of each has to agree. Source:
torch/serialization.py `_legacy_save`, `_legacy_load`; torch/csrc/serialization.cpp `THPStorage_writeFileRaw`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.reports import Request, ScanReport
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import CorruptFileError, TensorkeepError, TruncatedFileError, UnsupportedFormatError
from tensorkeep.formats import Format
from tensorkeep.formats._pickle_names import name_tensors
from tensorkeep.formats._pickle_parts import Global, Unfit
from tensorkeep.formats._pickle_stream import examine_at, load_at
from tensorkeep.formats._torch_pickle import TORCH, Shelf, Storage, has_place, storage_class

__all__ = ["FORMAT"]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_PICKLES = ("the magic number", "the protocol version", "the machine facts", "the data", "the storage keys")
_DAMAGED = "The file is damaged or hostile."


@dataclass(slots=True)
class _File:
    """The storages that the data pickle refers to."""

    shelf: Shelf = field(default_factory=Shelf)
    storages: dict[str, Storage] = field(default_factory=dict)
    views: dict[str, tuple[Storage, str, int]] = field(default_factory=dict)

    def persistent(self, pid: Any) -> Any:
        """("storage", class, key, location, elements, view) or ("module", class, file, source text)."""
        if type(pid) is not tuple or not pid:
            raise Unfit("a persistent id is not a tuple")
        if pid[0] == "module" and len(pid) == 4 and type(pid[1]) is Global:
            return pid[1]  # the source text of a module's class is not looked at
        if pid[0] != "storage" or len(pid) not in (5, 6):
            raise Unfit("a persistent id is neither a storage nor a module")
        _, cls, key, location, numel, *view = pid
        if type(key) is not str or type(location) is not str or type(numel) is not int or not 0 <= numel < 2**60:
            raise Unfit("a storage's key, location or size is of the wrong kind")
        kind = storage_class(cls)
        cls.called += 1
        root = self._storage(key, kind, numel)
        if not view or view[0] is None:
            return root
        return self._view(root, view[0], kind)

    def _storage(self, key: str, kind: Any, numel: int) -> Storage:
        known = self.storages.get(key)
        if known is None:
            known = self.storages[key] = Storage(key, kind, numel, self.shelf)
        elif known.dtype is not kind[0] or known.other != kind[2] or known.nbytes != numel * kind[1]:
            raise Unfit(f"storage {key[:80]!r} is referred to with two element types or sizes")
        return known

    def _view(self, root: Storage, view: Any, kind: Any) -> Storage:
        if type(view) is not tuple or len(view) != 3 or type(view[0]) is not str:
            raise Unfit("a view of a storage is not a key, an offset and a size")
        key, offset, numel = view
        if any(type(n) is not int or not 0 <= n < 2**53 for n in (offset, numel)):
            raise Unfit("a view of a storage has no offset and size from 0 up")
        if (offset + numel) * root.itemsize > root.nbytes:
            raise Unfit("a view of a storage lies outside it")
        known = self.views.get(key)
        if known is None:
            storage = Storage(f"view {key}", kind, numel, self.shelf)
            self.views[key] = storage, root.key, offset * root.itemsize
            return storage
        if known[1:] != (root.key, offset * root.itemsize) or known[0].nbytes != numel * kind[1]:
            raise Unfit(f"the view {key[:80]!r} of a storage is described twice, differently")
        return known[0]

    def place(self, source: ByteSource, keys: list[str], at: int, *, whole: bool) -> tuple[int, list[str]]:
        """Give each storage its bytes; the end of the last, and what is not there (only with `whole` false)."""
        lost: list[str] = []
        for key in keys:
            storage = self.storages[key]
            if lost or at + 8 + storage.nbytes > source.size:
                if whole:
                    raise TruncatedFileError(
                        f"{source.name}: storage {key[:80]!r} needs {8 + storage.nbytes} bytes at byte {at}, but the file "
                        f"ends at {source.size}; {keys.index(key)} of {len(keys)} storages are whole. The copy was cut off; "
                        f"`tkeep repair {source.name} --salvage OUT` saves the whole tensors."
                    )
                lost.append(key)
                continue
            numel = int.from_bytes(source.read(at, 8), "little", signed=True)
            if numel * storage.itemsize != storage.nbytes:
                raise CorruptFileError(
                    f"{source.name}: byte {at}: storage {key[:80]!r} has {numel} elements in front of its data, its tensors "
                    f"say {storage.nbytes // storage.itemsize}. {_DAMAGED}"
                )
            storage.place(source, at + 8)
            at += 8 + storage.nbytes
        for storage, root_key, offset in self.views.values():
            root = self.storages[root_key]
            if root.source is not None:
                storage.place(root.source, root.offset + offset)
        return at, lost


def _open(source: ByteSource, unknown: str) -> TensorFile:
    file, value, keys, at = _pickles(source, unknown)
    end, _ = file.place(source, keys, at, whole=True)
    if end != source.size:
        raise CorruptFileError(
            f"{source.name}: the last storage ends at byte {end}, and {source.size - end} bytes follow it. {_DAMAGED}"
        )
    return TensorFile(
        source=source, path=source.name, format="torch-legacy", tensors=name_tensors(value), structure=lambda: value
    )


def _pickles(source: ByteSource, unknown: str) -> tuple[_File, Any, list[str], int]:
    at, values = 0, []
    for i in range(3):
        found = load_at(source, at, what=_what(source, i, at))
        values.append(found.value)
        at = found.end
    magic, protocol, facts = values
    if magic != _MAGIC or type(facts) is not dict:
        raise CorruptFileError(f"{source.name}: it does not begin as torch files before 1.6 do. {_DAMAGED}")
    if protocol != _PROTOCOL:
        raise UnsupportedFormatError(f"{source.name}: protocol version {protocol!r:.40}; {_PROTOCOL} is read.")
    file = _File()
    found = load_at(source, at, what=_what(source, 3, at), known=TORCH, persistent=file.persistent, unknown=unknown)
    listed = load_at(source, found.end, what=_what(source, 4, found.end))
    keys = listed.value
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise CorruptFileError(
            f"{source.name}: byte {found.end}: the storage keys are not a list of strings. {_DAMAGED}"
        )
    if len(set(keys)) != len(keys) or set(keys) != set(file.storages):
        raise CorruptFileError(
            f"{source.name}: byte {found.end}: {len(keys)} storage keys are listed, {len(file.storages)} are referred to by the "
            f"data, and they are not the same. {_DAMAGED}"
        )
    return file, found.value, keys, listed.end


def _what(source: ByteSource, i: int, at: int) -> str:
    return f"{source.name}: pickle {i + 1} ({_PICKLES[i]}, from byte {at})"


def _scan(source: ByteSource) -> ScanReport:
    requests: list[Request] = []
    notes: list[str] = []
    at = 0
    for i, name in enumerate(_PICKLES):
        found = examine_at(source, at, what=_what(source, i, at), known=TORCH)
        requests += [replace(request, where=name) for request in found.requests]
        at = found.end
        if found.error is not None:
            notes.append(f"It cannot be read to its end: {found.error}")
            break
    requests.sort(key=lambda request: request.known)
    clean = not notes and all(request.known for request in requests)
    return ScanReport(source.name, "torch-legacy", clean, len(_PICKLES), tuple(requests), tuple(notes))


def _salvage(source: ByteSource) -> TensorFile:
    try:
        file, value, keys, at = _pickles(source, "inert")
    except TruncatedFileError as err:
        raise CorruptFileError(f"{err} The pickles are not whole, so no tensor can be saved.") from err
    lost: list[str] = []
    try:
        _, lost = file.place(source, keys, at, whole=False)
    except TensorkeepError:
        lost = [key for key in keys if file.storages[key].source is None]
    tensors = {name: tensor for name, tensor in name_tensors(value).items() if has_place(tensor)}
    return TensorFile(
        source=source,
        path=source.name,
        format="torch-legacy",
        tensors=tensors,
        notes=[f"{len(tensors)} tensors are whole; {len(lost)} storages are lost."],
    )


FORMAT = Format(name="torch-legacy", suffixes=(), open=_open, scan=_scan, salvage=_salvage)
