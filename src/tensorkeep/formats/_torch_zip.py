"""The zip archives that torch.save writes (1.6 and later), as records, storages and one pickle. Nothing in them is executed.

Source: torch/serialization.py, caffe2/serialize/inline_container.cc.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tensorkeep.core.bounds import MAX_HEADER_NBYTES, MAX_PICKLE_NBYTES
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.collector import collector_paused
from tensorkeep.core.reports import Request, ScanReport
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import CorruptFileError, TruncatedFileError, UnsupportedFormatError
from tensorkeep.formats._json import parse
from tensorkeep.formats._pickle import Unpickled, examine, load
from tensorkeep.formats._pickle_names import name_tensors
from tensorkeep.formats._pickle_parts import Unfit
from tensorkeep.formats._torch_pickle import TORCH, Shelf, Storage, storage_class
from tensorkeep.formats._torch_shortcut import SHORTCUTS
from tensorkeep.formats._torch_writer import METADATA
from tensorkeep.formats._zip import STORED, Entry, read, read_directory, verify_crc

__all__ = ["AGAIN", "Archive", "open_archive", "scan_archive", "scan_pickles", "verify_archive"]

AGAIN = "Get the file again from its source, or write it again with torch.save."


def open_archive(source: ByteSource, unknown: str) -> TensorFile:
    """The TensorFile of a torch zip archive."""
    with collector_paused():
        archive = Archive(source, _entries(source))
        found = archive.unpickle(unknown)
        tensors = name_tensors(found.value)
    return TensorFile(
        source=source,
        path=source.name,
        format="torch",
        tensors=tensors,
        structure=lambda: found.value,
        notes=archive.notes(),
        metadata=archive.metadata(),
        checksum="crc32",
        check=archive.check,
    )


class Archive:
    """The records of one archive and the storages that its pickle refers to."""

    def __init__(self, source: ByteSource, entries: dict[str, Entry], *, whole: bool = True) -> None:
        """With `whole` false, records may be missing: their storages stay without a place, in `lost`."""
        self.source = source
        self.whole = whole
        self.lost: list[Storage] = []
        self.entries = entries
        self.storages: dict[str, Storage] = {}
        self.shelf = Shelf()
        self.top = self._top()
        self.big_endian = self._big_endian()

    def _top(self) -> str:
        pickles = [name for name in self.entries if name == "data.pkl" or name.endswith("/data.pkl")]
        tops = sorted({name.partition("/")[0] for name in self.entries})
        name = self.source.name
        if len(pickles) != 1 or pickles[0].count("/") != 1:
            raise CorruptFileError(
                f"{name}: a torch archive has one member <folder>/data.pkl, and this one has {len(pickles)}: "
                f"{', '.join(map(repr, pickles[:5]))}. {AGAIN}"
            )
        top = pickles[0].partition("/")[0]
        if tops != [top]:
            raise CorruptFileError(
                f"{name}: a torch archive has one top folder, and this one has members under {len(tops)}: "
                f"{', '.join(repr(each)[:80] for each in tops[:5])}. {AGAIN}"
            )
        return top + "/"

    def _big_endian(self) -> bool:
        entry = self.entries.get(self.top + "byteorder")
        if entry is None:
            return False  # torch before 2.1 wrote none, and ran on little-endian machines
        order = read(self.source, entry, max_nbytes=64)
        if order not in (b"little", b"big"):
            raise CorruptFileError(
                f"{self.source.name}: the record {entry.name!r} is {order!r}, neither b'little' nor b'big'. {AGAIN}"
            )
        return order == b"big"

    def unpickle(self, unknown: str) -> Unpickled:
        entry = self.entries[self.top + "data.pkl"]
        data = read(self.source, entry, max_nbytes=MAX_PICKLE_NBYTES)
        what = f"{self.source.name}: {entry.name}"
        found = load(data, what=what, known=TORCH, persistent=self.storage, unknown=unknown, shortcuts=SHORTCUTS)
        if found.end != len(data):
            raise CorruptFileError(
                f"{what}: the pickle ends at byte {found.end}, and {len(data) - found.end} bytes follow it. "
                "The file is damaged or hostile; nothing in it was executed."
            )
        return found

    def storage(self, pid: Any) -> Storage:
        """The storage of a persistent id ("storage", class, key, location, elements)."""
        if type(pid) is not tuple or len(pid) != 5 or pid[0] != "storage":
            raise Unfit("a persistent id is not a storage of five parts")
        _, cls, key, location, numel = pid
        if type(key) is not str or type(location) is not str or type(numel) is not int or not 0 <= numel < 2**60:
            raise Unfit("a storage's key, location or size is of the wrong kind")
        kind = storage_class(cls)
        cls.called += 1
        known = self.storages.get(key)
        if known is not None:
            if known.dtype is not kind[0] or known.other != kind[2] or known.nbytes != numel * kind[1]:
                raise Unfit(f"storage {key[:80]!r} is referred to with two element types or sizes")
            return known
        entry = self.entries.get(f"{self.top}data/{key}")
        storage = Storage(key, kind, numel, self.shelf)
        self.storages[key] = storage
        if entry is None and not self.whole:
            self.lost.append(storage)
            return storage
        if entry is None:
            raise Unfit(f"there is no record data/{key[:80]}")
        if entry.nbytes != storage.nbytes:
            raise Unfit(f"record data/{key[:80]} has {entry.nbytes} bytes, its storage {storage.nbytes}")
        storage.place(self.source, entry.offset, big_endian=self.big_endian, crc=entry.crc)
        return storage

    def check(self) -> list[str]:
        """Verify the records that no tensor's own digest covers: views, shared storages, everything beside them."""
        covered = {f"{self.top}data/{key}" for key, storage in self.storages.items() if storage.whole}
        return _damaged(self.source, [entry for name, entry in self.entries.items() if name not in covered])

    def metadata(self) -> dict[str, str]:
        """What `tk.save(…, metadata=)` kept in a record of its own."""
        entry = self.entries.get(self.top + METADATA)
        if entry is None:
            return {}
        what = f"{self.source.name}: {entry.name}"
        value = parse(read(self.source, entry, max_nbytes=MAX_HEADER_NBYTES), what=what)
        if type(value) is not dict or any(type(text) is not str for text in value.values()):
            raise CorruptFileError(f"{what}: it is not an object of strings. {AGAIN}")
        return value

    def notes(self) -> list[str]:
        notes = []
        if self.has_code():
            notes.append("A TorchScript archive: it carries code, which is neither read nor run here.")
        if self.big_endian:
            notes.append("Written on a big-endian machine.")
        return notes

    def has_code(self) -> bool:
        return any(name.startswith((self.top + "code/", self.top + "constants.pkl")) for name in self.entries)


def _entries(source: ByteSource) -> dict[str, Entry]:
    """The records of an archive: stored, but for TorchScript's code, which torch compresses."""
    entries = read_directory(source, deflated=True).entries
    for name, entry in entries.items():
        if entry.method != STORED and not name.partition("/")[2].startswith("code/"):
            raise UnsupportedFormatError(
                f"{source.name}: the record {name!r:.200} is compressed, which torch's are not. Unpack the file with `unzip`, and "
                "pack the folder with `zip -0 -r`."
            )
    return entries


def _damaged(source: ByteSource, entries: Iterable[Entry]) -> list[str]:
    damage = []
    for entry in entries:
        try:
            verify_crc(source, entry)
        except TruncatedFileError:
            raise
        except CorruptFileError as err:
            damage.append(str(err))
    return damage


def verify_archive(source: ByteSource) -> list[str]:
    """Check the CRC of every record; sentences about those that are damaged."""
    return _damaged(source, _entries(source).values())


def scan_pickles(pickles: Iterable[tuple[str, bytes]], path: str, format: str, notes: Iterable[str] = ()) -> ScanReport:
    """The report on several pickles (name, bytes) of one file."""
    requests: list[Request] = []
    found_notes, count, clean = list(notes), 0, True
    for where, data in pickles:
        count += 1
        found = examine(data, what=f"{path}: {where}", known=TORCH)
        requests += [replace(request, where=where) for request in found.requests]
        if found.error is not None:
            clean = False
            found_notes.append(f"{where} cannot be read to its end: {found.error}")
        elif found.end != len(data):
            clean = False
            found_notes.append(f"{where} has {len(data) - found.end} bytes behind its end.")
    requests.sort(key=lambda request: request.known)
    clean = clean and all(request.known for request in requests)
    return ScanReport(path, format, clean, count, tuple(requests), tuple(found_notes))


def scan_archive(source: ByteSource) -> ScanReport:
    """What the pickles of an archive ask for; one that carries TorchScript code is not data only."""
    archive = Archive(source, _entries(source))
    pickles = [
        (name, read(source, entry, max_nbytes=MAX_PICKLE_NBYTES))
        for name, entry in archive.entries.items()
        if name.endswith((".pkl", ".debug_pkl"))
    ]
    report = scan_pickles(pickles, source.name, "torch", archive.notes())
    return replace(report, data_only=False) if archive.has_code() else report
