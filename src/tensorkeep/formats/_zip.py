"""Zip archives: a strict reader of directories from strangers. What a writer needs is in `_zip_records`.

Nothing is ever extracted to disk. The central directory is the truth, and everything else has to agree with it: one
end record, local headers with the same name, flags, method, sizes and CRC (zero sizes where a data descriptor with the
right ones follows, as torch, MXNet 2.0 and streaming writers do), members side by side from byte 0 to the directory
without overlap or gap, each name once. Source: PKWARE APPNOTE 6.3.10.

    sniff(source) -> "torch" | "npz" | "other"      never raises for what the bytes say
    read_directory(source, deflated=…) -> Directory  .entries by name, .comment
    read(source, entry, max_nbytes=…) -> bytes       a whole member, CRC checked
    blocks(source, entry) -> pieces of a member       CRC checked at the end
    verify_crc(source, entry)                        raises CorruptFileError that names the member
    walk(source) -> entries                          of a cut file, from the local headers, for salvage
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tensorkeep.core.bounds import MAX_TENSORS
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedFormatError,
)

__all__ = [
    "DEFLATED",
    "STORED",
    "Directory",
    "Entry",
    "blocks",
    "is_path",
    "read",
    "read_directory",
    "sniff",
    "verify_crc",
    "walk",
]

STORED, DEFLATED = 0, 8

MAX_DIRECTORY_NBYTES = 1 << 30
"""The central directory is read into memory; 4 M members take about 400 MB."""

MAX_INFLATED_NBYTES = 4 << 30
MAX_INFLATED_RATIO = 100
"""Deflated members together: at most 4 GiB and 100 times the size of the file. Weights deflate to 90 to 10 %."""

MAX_DEFLATE_RATIO = 1032
"""Deflate cannot do better (258 bytes in 2 bits), so a larger declared size is a lie."""

_BLOCK_NBYTES = 1 << 20
_LOCAL = struct.Struct("<IHHHIIIIHH")
_CENTRAL = struct.Struct("<IHHHHIIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR = struct.Struct("<IIQI")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = 0x04034B50, 0x02014B50, 0x06054B50
_END64_MAGIC, _LOCATOR_MAGIC, _DESCRIPTOR_MAGIC = 0x06064B50, 0x07064B50, 0x08074B50
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_HAS_DESCRIPTOR, _IS_UTF8 = 0x8, 0x800
_KNOWN_FLAGS = _HAS_DESCRIPTOR | _IS_UTF8 | 0x6  # and how hard deflate tried
_METHODS = {9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd", 99: "AES"}

_DAMAGED = "The file is damaged or hostile."


class Entry(NamedTuple):
    """A member of an archive.

    Attributes:
        name: as the archive has it; a dictionary key, never a path.
        method: STORED or DEFLATED.
        crc: CRC-32 of the member's content.
        stored_nbytes, nbytes: what it takes in the file, and inflated.
        offset: where its content begins in the source.
        header: where its local header begins.
        flags: the general purpose flags.
    """

    name: str
    method: int
    crc: int
    stored_nbytes: int
    nbytes: int
    offset: int
    header: int
    flags: int


@dataclass(frozen=True, slots=True)
class Directory:
    """What `read_directory` found: members by name in the directory's order (folders left out), and the comment."""

    entries: dict[str, Entry]
    comment: bytes


def sniff(source: ByteSource) -> str:
    """ "torch" (has `<top>/data.pkl`), "npz" (has members that end in .npy, or none at all) or "other".

    A damaged archive is judged by its first local header, so that the right reader explains what is wrong.
    """
    try:
        raw, count, _, _ = _central(source)
    except TensorkeepError:
        head = source.read(0, min(source.size, 1024))
        name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return "torch" if _PICKLE.fullmatch(name) else "npz" if name.endswith(b".npy") else "other"
    if not count:
        return "npz"
    is_torch, is_npz, pos = b"data.pkl" in raw, False, 0
    for _ in range(count if is_torch or b".npy" in raw or _OURS in raw else 0):
        if pos + _CENTRAL.size > len(raw):
            break
        n, e, c = _LENGTHS.unpack_from(raw, pos + 28)
        name = raw[pos + 46 : pos + 46 + n]
        if is_torch and _PICKLE.fullmatch(name):
            return "torch"
        is_npz = is_npz or name.endswith(b".npy") or name == _OURS
        if is_npz and not is_torch:
            break
        pos += 46 + n + e + c
    return "npz" if is_npz else "other"


_OURS = b"__tensorkeep__.json"  # alone in an archive of plain values without a tensor
_LENGTHS = struct.Struct("<HHH")
_PICKLE = re.compile(rb"(?:[^/]*/)?data\.pkl", re.DOTALL)


def _fail(source: ByteSource, at: int, why: str) -> CorruptFileError:
    return CorruptFileError(f"{source.name}: byte {at} of the zip archive: {why}. {_DAMAGED}")


class _Central(NamedTuple):
    raw: bytes
    members: int
    offset: int
    comment: bytes


def _central(source: ByteSource) -> _Central:
    """The central directory, unparsed, as the one end record has it."""
    start = max(0, source.size - _END.size - _FULL16)
    tail = source.read(start, source.size - start)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise TruncatedFileError(_no_end(source, tail))
    at = start + found
    _, disk, first_disk, here, count, nbytes, offset, comment_nbytes = _END.unpack_from(tail, found)
    if found + _END.size + comment_nbytes != len(tail) or _second_end(tail, found):
        raise _fail(source, at, f"the end record is not at the file's end ({source.size}), or there are two of them")
    end, saturated = at, _FULL16 in (here, count) or _FULL32 in (nbytes, offset)
    locator = source.read(at - _LOCATOR.size, _LOCATOR.size) if at >= _LOCATOR.size + _END64.size else b""
    if locator[:4] == b"PK\x06\x07":
        small = (disk, first_disk, here, count, nbytes, offset)
        end = _LOCATOR.unpack(locator)[2]
        if end > at - _LOCATOR.size - _END64.size:
            raise _fail(source, at - _LOCATOR.size, f"the zip64 end record is said to lie at byte {end}")
        magic, size, _, _, *large = _END64.unpack(source.read(end, _END64.size))
        if magic != _END64_MAGIC or end + 12 + size != at - _LOCATOR.size:
            raise _fail(source, end, "there is no zip64 end record where there should be one")
        limits = (_FULL16, _FULL16, _FULL16, _FULL16, _FULL32, _FULL32)
        if any(a not in (b, limit) for a, b, limit in zip(small, large, limits, strict=True)):
            raise _fail(source, end, "the two end records contradict each other")
        disk, first_disk, here, count, nbytes, offset = large
    elif saturated and offset + nbytes != at:
        raise _fail(source, at, "the end record needs a zip64 end record, and there is none")
    if disk or first_disk or here != count:
        raise _fail(source, at, "it is one part of an archive in several parts")
    if offset + nbytes != end:
        raise _fail(source, at, f"the central directory is said to end at byte {offset + nbytes}, not at {end}")
    if nbytes > MAX_DIRECTORY_NBYTES or count > MAX_TENSORS:
        raise LimitError(
            f"{source.name}: a central directory of {count} members in {nbytes} bytes; "
            f"at most {MAX_TENSORS} in {MAX_DIRECTORY_NBYTES} are read. {_DAMAGED}"
        )
    if count * _CENTRAL.size > nbytes:
        raise _fail(source, at, f"{count} members are announced in a central directory of {nbytes} bytes")
    return _Central(source.read(offset, nbytes), count, offset, tail[found + _END.size :])


def _second_end(tail: bytes, found: int) -> bool:
    at = tail.find(b"PK\x05\x06")
    while at < found:
        if at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            return True
        at = tail.find(b"PK\x05\x06", at + 4)
    return False


def _no_end(source: ByteSource, tail: bytes) -> str:
    if not tail.strip(b"\0"):
        why = f"its last {len(tail)} bytes are all zero: the size was set and the data never written (a crash)"
    else:
        why = f"the file ends at byte {source.size}, so it was cut off"
    return (
        f"{source.name}: a zip archive without its end record; {why}. Copy or download it again and compare the sizes; "
        f"`tkeep repair {source.name} --salvage OUT` saves the tensors that are whole."
    )


_Row = tuple[int, bytes, str, int, int, int, int, int]


def read_directory(source: ByteSource, *, deflated: bool) -> Directory:
    """The members of the archive, every local header checked against the central directory.

    Args:
        deflated: whether compressed members are allowed (npz: yes, torch: no).
    Raises:
        TruncatedFileError: there is no end record. CorruptFileError: the records break a rule of this module.
        LimitError: too many members, or they inflate too much. UnsafeFileError: a name that is a path out of a folder.
        UnsupportedFormatError: encrypted, or compressed by a method that is not read.
    """
    raw, count, directory_at, comment = _central(source)
    rows: list[_Row] = []
    names: set[str] = set()
    allowed = (STORED, DEFLATED) if deflated else (STORED,)
    unpack, size, stop, inflated, pos = _CENTRAL.unpack_from, _CENTRAL.size, len(raw), 0, 0
    for _ in range(count):
        if pos + size > stop:
            raise _fail(source, directory_at + pos, "the central directory ends inside a member's record")
        magic, _, _, flags, method, _, crc, stored, nbytes, n, e, c, disk, _, _, header = unpack(raw, pos)
        after = pos + size + n
        name_raw = raw[pos + size : after]
        if magic != _CENTRAL_MAGIC or after + e + c > stop:
            raise _fail(source, directory_at + pos, "the central directory is broken off or has another record in it")
        if disk or stored >= _FULL32 or nbytes >= _FULL32 or header >= _FULL32:
            nbytes, stored, header, disk = _zip64(
                source, directory_at + after, raw[after : after + e], (nbytes, stored, header, disk)
            )
        name = name_raw.decode("ascii") if name_raw.isascii() else ""
        if is_path(name):
            name = _decode(source, directory_at + pos, name_raw, flags)
        if flags & ~_KNOWN_FLAGS or method not in allowed:
            raise _refused(source, name, flags, method)
        if method:
            inflated += nbytes
            if nbytes > stored * MAX_DEFLATE_RATIO:
                raise _fail(
                    source, directory_at + pos, f"member {name!r:.200}: {stored} bytes cannot inflate to {nbytes}"
                )
        if disk or (stored != nbytes and not method):
            raise _fail(
                source, directory_at + pos, f"member {name!r:.200} is on another disk, or stored with two sizes"
            )
        if name in names:
            raise _fail(source, directory_at + pos, f"two members are named {name!r:.200}")
        names.add(name)
        rows.append((header, name_raw, name, method, crc, stored, nbytes, flags))
        pos = after + e + c
    if pos != stop or b"PK\x05\x06" in raw:
        raise _fail(source, directory_at + pos, "the central directory holds something else than its members")
    if inflated > MAX_INFLATED_NBYTES + MAX_INFLATED_RATIO * source.size:
        raise LimitError(
            f"{source.name}: its members inflate from {source.size} bytes to {inflated}. If you trust it, unpack it "
            "with `unzip` and open the files one by one."
        )
    found = _locate(source, sorted(rows), directory_at)
    return Directory({row[2]: found[row[2]] for row in rows if row[2][-1] != "/" or row[6]}, comment)


def _locate(source: ByteSource, rows: list[_Row], directory_at: int) -> dict[str, Entry]:
    """The entries of `rows` (in the order of their headers), whose local headers agree and which fill the file."""
    whole = source.whole()
    unpack, new, entries, end = _LOCAL.unpack_from, tuple.__new__, {}, 0
    before: _Row | None = None
    for row in rows:
        header, name_raw, name, method, crc, stored, nbytes, flags = row
        at = header + 30
        if header != end or (before is not None and before[7] & _HAS_DESCRIPTOR):
            _check_gap(source, whole, before, end, header)
        if at + len(name_raw) > directory_at:
            raise _fail(source, header, f"the local header of {name!r:.200} lies behind the members")
        if whole is not None:
            data, base = whole, 0
        else:
            data, base = memoryview(source.read(header, min(directory_at - header, 50 + len(name_raw)))), header
        magic, _, flags2, method2, _, crc2, stored2, nbytes2, n, e = unpack(data, header - base)
        if magic != _LOCAL_MAGIC or data[at - base : at - base + n] != name_raw or flags2 != flags or method2 != method:
            raise _fail(
                source, header, f"the local header of {name!r:.200} is not the one that the directory describes"
            )
        if crc2 != crc or stored2 != stored or nbytes2 != nbytes:
            sizes: tuple[int, ...] = (nbytes2, stored2)
            if _FULL32 in sizes:
                extra = data[at - base + n : at - base + n + e]
                if len(extra) >= 20 and bytes(extra[:4]) == b"\x01\0\x10\0":
                    sizes = _PAIR.unpack_from(extra, 4)
                else:
                    sizes = _zip64(source, at + n, source.read(at + n, e), sizes)[:2]
            if not _agree((crc2, *sizes), (crc, nbytes, stored), flags):
                raise _fail(
                    source, header, f"the local header of {name!r:.200} has another CRC or size than the directory"
                )
        start = at + n + e
        end = start + stored
        if end > directory_at:
            raise _fail(source, header, f"the content of {name!r:.200} ends at byte {end}, behind the members")
        entries[name] = new(Entry, (name, method, crc, stored, nbytes, start, header, flags))
        before = row
    if before is None or end != directory_at:
        _check_gap(source, whole, before, end, directory_at)
    return entries


_PAIR = struct.Struct("<QQ")


def _agree(local: tuple[int, ...], central: tuple[int, ...], flags: int) -> bool:
    # A writer that did not know them yet leaves zeros and sets the flag; `_check_gap` then looks at the descriptor.
    return local == central or (
        bool(flags & _HAS_DESCRIPTOR) and all(a in (0, b) for a, b in zip(local, central, strict=True))
    )


def _check_gap(source: ByteSource, whole: memoryview | None, before: _Row | None, end: int, next_at: int) -> None:
    """Between the end of a member and what follows lies nothing but its data descriptor, if it has one."""
    gap = next_at - end
    if before is None or not before[7] & _HAS_DESCRIPTOR:
        if gap:
            what = f"{gap} bytes that belong to no member" if gap > 0 else "two members overlap"
            raise _fail(source, min(end, next_at), what)
        return
    _, _, name, _, crc, stored, nbytes, _ = before
    kind = _DESCRIPTORS.get(gap)
    if kind is not None:
        found = kind.unpack(source.read(end, gap) if whole is None else whole[end:next_at])
        if found[-3:] == (crc, stored, nbytes) and (len(found) == 3 or found[0] == _DESCRIPTOR_MAGIC):
            return
    raise _fail(source, end, f"the data descriptor of {name!r:.200} is missing or contradicts the directory")


_DESCRIPTORS = {
    12: struct.Struct("<III"),
    16: struct.Struct("<IIII"),
    20: struct.Struct("<IQQ"),
    24: struct.Struct("<IIQQ"),
}


def _zip64(source: ByteSource, at: int, extra: bytes, fields: tuple[int, ...]) -> tuple[int, ...]:
    """`fields` (size, stored size, header, disk), those that are saturated taken from the zip64 extra field."""
    pos = 0
    while pos + 4 <= len(extra):
        kind, nbytes = struct.unpack_from("<HH", extra, pos)
        body = extra[pos + 4 : pos + 4 + nbytes]
        pos += 4 + nbytes
        if kind == 1:
            break
    else:
        body = b""
    made, used = [], 0
    for i, value in enumerate(fields):
        width, full = (4, _FULL16) if i == 3 else (8, _FULL32)
        if value == full and used + width <= len(body):
            value = int.from_bytes(body[used : used + width], "little")
            used += width
        elif value == full:
            raise _fail(source, at, "a zip64 field is missing")
        made.append(value)
    return tuple(made)


def is_path(name: str) -> bool:
    """Whether a member name is empty, absolute, has a NUL or backslash, or leads out of a folder: never read or written."""
    return not name or "\0" in name or "\\" in name or name[0] == "/" or (".." in name and ".." in name.split("/"))


def _decode(source: ByteSource, at: int, raw: bytes, flags: int) -> str:
    try:
        name = raw.decode("utf-8") if flags & _IS_UTF8 or raw.isascii() else raw.decode("cp437")
    except UnicodeDecodeError:
        raise _fail(source, at, f"the member name {raw[:80]!r} is not UTF-8, which its flags promise") from None
    if is_path(name):
        raise UnsafeFileError(
            f"{source.name}: byte {at} of the zip archive: the member name {name!r:.200} is empty, absolute, or leads "
            "out of a folder. Nothing was unpacked. The file is hostile; get it from another source."
        )
    return name


def _refused(source: ByteSource, name: str, flags: int, method: int) -> TensorkeepError:
    where = f"{source.name}: member {name!r:.200} of the zip archive"
    if flags & 0x2041:
        return UnsupportedFormatError(
            f"{where} is encrypted. Decrypt it with the tool that made it, then open the copy."
        )
    if flags & ~_KNOWN_FLAGS:
        return UnsupportedFormatError(f"{where} has the flags {flags:#06x}, which are not known. {_DAMAGED}")
    if method == DEFLATED:
        return UnsupportedFormatError(
            f"{where} is compressed, and files of this kind are not. Unpack it with `unzip`, pack it with `zip -0 -r`."
        )
    kind = _METHODS.get(method, "unknown")
    return UnsupportedFormatError(
        f"{where} is compressed by method {method} ({kind}); stored and deflated members are read. "
        "Unpack it and pack it with `zip -r`."
    )


def blocks(source: ByteSource, entry: Entry, max_nbytes: int = 4 << 20, *, verify: bool = True) -> Iterator[memoryview]:
    """The content of a member in pieces, never more of it than declared.

    Raises:
        CorruptFileError: after the last piece, when the CRC differs (unless `verify` is false); when it does not
            inflate to its declared size.
    """
    crc, done = 0, 0
    for piece in _stored(source, entry, max_nbytes) if entry.method == STORED else _inflated(source, entry, max_nbytes):
        crc = zlib.crc32(piece, crc) if verify else entry.crc
        done += len(piece)
        yield piece
    if (verify and crc != entry.crc) or done != entry.nbytes:
        got = f"CRC {crc:08x} over {done} bytes, where CRC {entry.crc:08x} over {entry.nbytes} is promised"
        raise CorruptFileError(f"{_named(source, entry)}: {got}. The file was damaged after it was written; {_COPY}")


_COPY = "get another copy of it."


def _named(source: ByteSource, entry: Entry) -> str:
    return f"{source.name}: member {entry.name!r:.200} (byte {entry.offset})"


def _stored(source: ByteSource, entry: Entry, max_nbytes: int) -> Iterator[memoryview]:
    for start in range(0, entry.nbytes, max_nbytes):
        yield source.view(entry.offset + start, min(max_nbytes, entry.nbytes - start))


def _inflated(source: ByteSource, entry: Entry, max_nbytes: int) -> Iterator[memoryview]:
    inflate, left = zlib.decompressobj(-15), entry.nbytes
    for start in range(0, entry.stored_nbytes, max_nbytes):
        data: bytes | memoryview = source.view(entry.offset + start, min(max_nbytes, entry.stored_nbytes - start))
        while True:
            try:
                piece = inflate.decompress(data, min(max_nbytes, left + 1))
            except zlib.error as err:
                raise CorruptFileError(f"{_named(source, entry)} does not inflate ({err}); {_COPY}") from None
            left -= len(piece)
            if left < 0 or inflate.unused_data:
                what = (
                    f"inflates to more than {entry.nbytes} bytes"
                    if left < 0
                    else "has bytes behind its compressed data"
                )
                raise CorruptFileError(f"{_named(source, entry)} {what}. {_DAMAGED}")
            if piece:
                yield memoryview(piece)
            data = inflate.unconsumed_tail
            if not data:
                break
    if not inflate.eof:
        raise CorruptFileError(f"{_named(source, entry)}: its compressed data end too early; {_COPY}")


def read(source: ByteSource, entry: Entry, *, max_nbytes: int) -> bytes:
    """The content of a member, its CRC checked.

    Raises:
        LimitError: it is larger than `max_nbytes`. CorruptFileError: as `blocks`.
    """
    if entry.nbytes > max_nbytes:
        raise LimitError(f"{_named(source, entry)} has {entry.nbytes} bytes; at most {max_nbytes} are read. {_DAMAGED}")
    return b"".join(blocks(source, entry))


def verify_crc(source: ByteSource, entry: Entry) -> None:
    """Raise CorruptFileError, which names the member, unless its content has the CRC that the directory promises."""
    for _ in blocks(source, entry):
        pass


def walk(source: ByteSource) -> Iterator[Entry]:
    """The members at the start of a cut archive, one after the other, as far as they are whole; see `verify_crc`."""
    at = 0
    while at + _LOCAL.size <= source.size:
        magic, _, flags, method, _, crc, stored, nbytes, n, e = _LOCAL.unpack(source.read(at, _LOCAL.size))
        start = at + _LOCAL.size + n + e
        if magic != _LOCAL_MAGIC or flags & ~_KNOWN_FLAGS or method not in (STORED, DEFLATED) or start > source.size:
            return
        try:
            name = _decode(source, at, source.read(at + _LOCAL.size, n), flags)
            if _FULL32 in (nbytes, stored):
                nbytes, stored = _zip64(source, at, source.read(start - e, e), (nbytes, stored))[:2]
        except TensorkeepError:
            return
        end = start + stored
        if flags & _HAS_DESCRIPTOR:
            found = _find_descriptor(source, start, stored)
            if found is None:
                return
            crc, stored, nbytes, end = found
        if end > source.size or nbytes > stored * MAX_DEFLATE_RATIO or (method == STORED and stored != nbytes):
            return
        if name[-1] != "/":
            yield Entry(name, method, crc, stored, nbytes, start, at, flags)
        at = end


_MAX_GUESSES = 100_000
"""Places in a member's data that look like a data descriptor: by chance one in 4 GB, so more are hostile."""


def _find_descriptor(source: ByteSource, start: int, stored: int) -> tuple[int, int, int, int] | None:
    """CRC, sizes and end of a member that begins at `start`, from the descriptor behind it."""
    at, guesses, step = start + stored, 0, 1 << 20
    while at < source.size and guesses < _MAX_GUESSES:
        window = bytes(source.view(at, min(step + 26, source.size - at)))
        found = window.find(b"PK\x07\x08")
        while 0 <= found < step and guesses < _MAX_GUESSES:
            guesses += 1
            for kind, nbytes in (("<4xIII", 16), ("<4xIQQ", 24)):
                if found + nbytes <= len(window):
                    crc, small, large = struct.unpack_from(kind, window, found)
                    behind = window[found + nbytes : found + nbytes + 2]
                    if small == at + found - start and behind in (b"PK", b"P", b""):
                        return crc, small, large, at + found + nbytes
            found = window.find(b"PK\x07\x08", found + 1)
        at += step
    return None
