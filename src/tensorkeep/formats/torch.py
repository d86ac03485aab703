"""torch files: a zip archive of one pickle and one record for each storage (torch 1.6 and later).

Opening reads the zip directory and the pickle; tensors are ranges of the records. Nothing in a file is executed.
"""

from __future__ import annotations

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import CorruptFileError, TensorkeepError
from tensorkeep.formats import Format
from tensorkeep.formats._pickle_names import name_tensors
from tensorkeep.formats._torch_pickle import has_place
from tensorkeep.formats._torch_writer import plan
from tensorkeep.formats._torch_zip import AGAIN, Archive, open_archive, scan_archive
from tensorkeep.formats._zip import Entry, verify_crc, walk

__all__ = ["FORMAT"]


def _salvage(source: ByteSource) -> TensorFile:
    """The tensors whose records are whole, from the local headers: a cut archive has no directory."""
    entries: dict[str, Entry] = {}
    for entry in walk(source):
        if entry.name in entries:
            break
        try:
            verify_crc(source, entry)
        except TensorkeepError:
            continue
        entries[entry.name] = entry
    if not any(name.endswith("/data.pkl") for name in entries):
        raise CorruptFileError(
            f"{source.name}: the record data.pkl, which tells where each tensor lies, is not whole, so no tensor can be saved. "
            + AGAIN
        )
    archive = Archive(source, entries, whole=False)
    found = archive.unpickle("inert")
    tensors = {name: tensor for name, tensor in name_tensors(found.value).items() if has_place(tensor)}
    return TensorFile(
        source=source,
        path=source.name,
        format="torch",
        tensors=tensors,
        notes=[f"{len(tensors)} tensors are whole; {len(archive.lost)} storages are lost."],
        checksum="crc32",
    )


FORMAT = Format(
    name="torch",
    suffixes=(".pt", ".pth", ".bin", ".ckpt"),
    open=open_archive,
    plan=plan,
    scan=scan_archive,
    salvage=_salvage,
    holds="tensors of any torch dtype in lists, tuples and dicts of any nesting, with numbers, strings, bytes and None",
)
