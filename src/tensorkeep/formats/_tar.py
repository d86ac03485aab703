"""Tar archives of regular files, read in place and never extracted: what torch 0.1 wrote.

Source: POSIX.1-1988 ustar, POSIX.1-2001 pax; Lib/tarfile.py.
"""

from __future__ import annotations

from typing import NamedTuple

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.errors import CorruptFileError, TensorkeepError, TruncatedFileError, UnsafeFileError

__all__ = ["Member", "is_torch", "read_members"]

_BLOCK = 512
_MAX_PAX_NBYTES = 1 << 16
_NAMES = ("sys_info", "pickle", "tensors", "storages")
_HARMLESS_PAX = (b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment", b"hdrcharset")
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
}
_DAMAGED = "The file is damaged or hostile; nothing was extracted."


class Member(NamedTuple):
    """A regular file in the archive: where its content lies."""

    name: str
    offset: int
    nbytes: int


def is_torch(source: ByteSource) -> bool:
    """Whether the first members include torch 0.1's. Never raises for what the bytes say."""
    at = 0
    for _ in range(8):
        if at + _BLOCK > source.size:
            return False
        head = source.read(at, _BLOCK)
        if head[:100].rstrip(b"\0").removeprefix(b"./") in (b"storages", b"tensors"):
            return True
        try:
            nbytes = _number(source, at, head[124:136])
        except TensorkeepError:
            return False
        at += _BLOCK + -(-nbytes // _BLOCK) * _BLOCK
    return False


def read_members(source: ByteSource) -> dict[str, Member]:
    """The members by name, all of them regular files with a name that torch gives.

    Raises:
        UnsafeFileError: a link, a device, a folder, a path. TruncatedFileError: a member ends behind the file.
        CorruptFileError: checksums, duplicates, unknown names, bytes behind the end.
    """
    members: dict[str, Member] = {}
    at = 0
    while True:
        source.check(at, _BLOCK)
        head = source.read(at, _BLOCK)
        if not head.strip(b"\0"):
            break
        _check_sum(source, at, head)
        nbytes = _number(source, at, head[124:136])
        start = at + _BLOCK
        end = start + -(-nbytes // _BLOCK) * _BLOCK
        if start + nbytes > source.size:
            raise TruncatedFileError(
                f"{source.name}: the member at byte {at} has {nbytes} bytes, but the file ends at {source.size}. "
                "The copy was cut off; get it again from its source."
            )
        kind = head[156:157]
        if kind in (b"x", b"g"):
            _check_pax(source, start, nbytes)
        else:
            _check_kind(source, at, head)
            _add(source, at, Member(_name(source, at, head), start, nbytes), members)
        at = end
    _check_end(source, at)
    return members


def _check_kind(source: ByteSource, at: int, head: bytes) -> None:
    kind = head[156:157]
    if kind not in (b"0", b"\0"):
        what = _KINDS.get(kind, f"an entry of type {kind!r}")
        name = head[:100].split(b"\0")[0].decode("utf-8", "replace")
        raise UnsafeFileError(f"{source.name}: byte {at}: the member {name!r:.100} is {what}, not a file. {_DAMAGED}")


def _add(source: ByteSource, at: int, member: Member, members: dict[str, Member]) -> None:
    if member.name not in _NAMES:
        raise CorruptFileError(
            f"{source.name}: byte {at}: the member {member.name!r:.100} is none of {', '.join(_NAMES)}, which torch 0.1 wrote. "
            + _DAMAGED
        )
    if member.name in members:
        raise CorruptFileError(f"{source.name}: byte {at}: two members are named {member.name!r}. {_DAMAGED}")
    members[member.name] = member


def _name(source: ByteSource, at: int, head: bytes) -> str:
    raw = head[:100].split(b"\0")[0]
    prefix = head[345:500].split(b"\0")[0] if head[257:263] == b"ustar\0" else b""
    name = (prefix + b"/" + raw if prefix else raw).removeprefix(b"./")
    text = name.decode("utf-8", "replace")
    if not text or "/" in text or "\\" in text or text == "..":
        raise UnsafeFileError(f"{source.name}: byte {at}: the member {text!r:.100} is a path. {_DAMAGED}")
    return text


def _number(source: ByteSource, at: int, raw: bytes) -> int:
    if raw[0] == 0x80:
        value = int.from_bytes(raw[1:], "big")
    else:
        digits = raw.strip(b" \0")
        if digits and not all(0x30 <= digit < 0x38 for digit in digits):
            raise CorruptFileError(f"{source.name}: byte {at}: a tar header has a number that is not octal. {_DAMAGED}")
        value = int(digits or b"0", 8)
    if value > source.size:
        raise TruncatedFileError(
            f"{source.name}: the member at byte {at} has {value} bytes, but the file ends at {source.size}. "
            "The copy was cut off; get it again from its source."
        )
    return value


def _check_sum(source: ByteSource, at: int, head: bytes) -> None:
    stored = head[148:156].strip(b" \0")
    found = sum(head) - sum(head[148:156]) + 8 * 0x20
    if not stored or not all(0x30 <= digit < 0x38 for digit in stored) or int(stored, 8) != found:
        raise CorruptFileError(f"{source.name}: byte {at}: the checksum of a tar header does not fit. {_DAMAGED}")


def _check_pax(source: ByteSource, start: int, nbytes: int) -> None:
    """Extended headers may tell times and owners; names and sizes stand in the headers themselves."""
    if nbytes > _MAX_PAX_NBYTES:
        raise CorruptFileError(f"{source.name}: byte {start}: an extended header of {nbytes} bytes. {_DAMAGED}")
    data = source.read(start, nbytes)
    at = 0
    while at < len(data):
        digits = data[at : at + 8].split(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        record = data[at + len(digits) + 1 : at + length]
        if length <= len(digits) + 1 or at + length > len(data) or record[-1:] != b"\n":
            raise CorruptFileError(f"{source.name}: byte {start + at}: an extended header is malformed. {_DAMAGED}")
        key = record.split(b"=")[0]
        if key not in _HARMLESS_PAX:
            raise UnsafeFileError(
                f"{source.name}: byte {start + at}: an extended header changes {key.decode('utf-8', 'replace')!r:.60}, which "
                f"torch 0.1 never did. {_DAMAGED}"
            )
        at += length


def _check_end(source: ByteSource, at: int) -> None:
    while at < source.size:
        nbytes = min(1 << 20, source.size - at)
        if source.read(at, nbytes).strip(b"\0"):
            raise CorruptFileError(f"{source.name}: bytes follow the end of the tar archive at byte {at}. {_DAMAGED}")
        at += nbytes
