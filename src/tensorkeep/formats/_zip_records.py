"""The records of a zip archive of stored members, as bytes that are the same every time, and CRC-32 arithmetic.

    member = place(name, nbytes, at=position, align=64)   where it will lie, with padding in its extra field
    local_header(member, crc)      member.header_nbytes bytes at `at`; the content follows at member.data_offset
    descriptor(member, crc)        behind the content of a member with streamed=True; member.end is behind both
    directory(members, crcs, at=…, comment=b"")   central directory and end records, directory_nbytes(…) bytes
    crc_of_both, crc_of_suffix     the CRC of joined or remaining bytes, from the CRCs of the pieces alone

zip64 fields and records stand where a number needs them, nowhere else. Source: PKWARE APPNOTE 6.3.10.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

__all__ = [
    "DOS_1980",
    "Member",
    "crc_of_both",
    "crc_of_suffix",
    "descriptor",
    "directory",
    "directory_nbytes",
    "local_header",
    "place",
]

_LOCAL = struct.Struct("<IHHHIIIIHH")
_CENTRAL = struct.Struct("<IHHHHIIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR = struct.Struct("<IIQI")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = 0x04034B50, 0x02014B50, 0x06054B50
_END64_MAGIC, _LOCATOR_MAGIC, _DESCRIPTOR_MAGIC = 0x06064B50, 0x07064B50, 0x08074B50
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_STORED, _HAS_DESCRIPTOR, _IS_UTF8 = 0, 0x8, 0x800


@dataclass(frozen=True, slots=True)
class Member:
    """Where a stored member will lie; made by `place`.

    Attributes:
        name: its name, encoded.
        nbytes: of its content.
        at: where its local header begins.
        padding: bytes of extra field that bring the content to its alignment.
        extra: further extra fields, whole, with their headers of id and length.
        streamed: the local header has no CRC and sizes, a data descriptor follows the content.
        date: DOS date and time.
    """

    name: bytes
    nbytes: int
    at: int
    padding: int
    streamed: bool
    date: int
    extra: bytes = b""

    @property
    def large(self) -> bool:
        """Whether its size needs zip64 fields."""
        return self.nbytes >= _FULL32

    @property
    def header_nbytes(self) -> int:
        """The size of its local header."""
        return _LOCAL.size + len(self.name) + (20 if self.large else 0) + len(self.extra) + self.padding

    @property
    def data_offset(self) -> int:
        """Where its content begins."""
        return self.at + self.header_nbytes

    @property
    def descriptor_nbytes(self) -> int:
        """The size of its data descriptor, 0 when it has none."""
        return 0 if not self.streamed else 24 if self.large else 16

    @property
    def end(self) -> int:
        """Where the next member may begin."""
        return self.data_offset + self.nbytes + self.descriptor_nbytes

    @property
    def flags(self) -> int:
        """The general purpose flags: UTF-8 unless ASCII, data descriptor."""
        return (0 if self.name.isascii() and not self.streamed else _IS_UTF8) | (
            _HAS_DESCRIPTOR if self.streamed else 0
        )


DOS_1980 = 0x00210000
"""1980-01-01 00:00, the first date there is: the same data give the same bytes."""

_PADDING_KIND = 0x4246  # "FB", the extra field that torch pads with


def place(
    name: str,
    nbytes: int,
    *,
    at: int,
    align: int = 1,
    streamed: bool = False,
    date: int = DOS_1980,
    extra: bytes = b"",
) -> Member:
    """The member `name` of `nbytes` bytes with its local header at `at` and its content at a multiple of `align`.

    Raises:
        ValueError: the name takes more than 65,535 bytes.
    """
    raw = name.encode("utf-8")
    if len(raw) > _FULL16:
        raise ValueError(f"the name {name!r:.80} takes {len(raw)} bytes; a zip archive allows 65,535.")
    bare = Member(raw, nbytes, at, 0, streamed, date, extra)
    padding = -bare.data_offset % align
    if 0 < padding < 4:  # a field has a header of 4 bytes
        padding += align * (-(-4 // align))
    return replace(bare, padding=padding)


def local_header(member: Member, crc: int) -> bytes:
    """The local header of `member`, `member.header_nbytes` bytes. `crc` is not used when it is streamed."""
    nbytes = member.nbytes
    extra = (struct.pack("<HHQQ", 1, 16, nbytes, nbytes) if member.large else b"") + member.extra
    if member.padding:
        extra += struct.pack("<HH", _PADDING_KIND, member.padding - 4) + b"Z" * (member.padding - 4)
    size = _FULL32 if member.large else 0 if member.streamed else nbytes
    crc = 0 if member.streamed else crc
    fields = (45 if member.large else 20, member.flags, _STORED, member.date, crc, size, size)
    return _LOCAL.pack(_LOCAL_MAGIC, *fields, len(member.name), len(extra)) + member.name + extra


def descriptor(member: Member, crc: int) -> bytes:
    """The data descriptor of a streamed member, which follows its content."""
    return struct.pack("<IIQQ" if member.large else "<IIII", _DESCRIPTOR_MAGIC, crc, member.nbytes, member.nbytes)


def _needs_end64(members: Sequence[Member], at: int) -> bool:
    return len(members) >= _FULL16 or at + sum(_central_nbytes(member) for member in members) >= _FULL32


def _central_nbytes(member: Member) -> int:
    extra = 16 * member.large + 8 * (member.at >= _FULL32)
    return _CENTRAL.size + len(member.name) + (4 + extra if extra else 0)


def directory_nbytes(members: Sequence[Member], *, at: int, comment: bytes = b"") -> int:
    """The size of `directory(members, …, at=at, comment=comment)`."""
    end64 = _END64.size + _LOCATOR.size if _needs_end64(members, at) else 0
    return sum(_central_nbytes(member) for member in members) + end64 + _END.size + len(comment)


def directory(members: Sequence[Member], crcs: Sequence[int], *, at: int, comment: bytes = b"") -> bytes:
    """The central directory of an archive and its end records, to lie at byte `at`, the end of the last member."""
    parts = []
    for member, crc in zip(members, crcs, strict=True):
        large, far = member.large, member.at >= _FULL32
        extra = struct.pack("<QQ", member.nbytes, member.nbytes) if large else b""
        extra += struct.pack("<Q", member.at) if far else b""
        if extra:
            extra = struct.pack("<HH", 1, len(extra)) + extra
        size, header = _FULL32 if large else member.nbytes, _FULL32 if far else member.at
        version = 45 if extra else 20
        fields = (version, version, member.flags, _STORED, member.date, crc, size, size)
        parts.append(_CENTRAL.pack(_CENTRAL_MAGIC, *fields, len(member.name), len(extra), 0, 0, 0, 0, header))
        parts += [member.name, extra]
    raw = b"".join(parts)
    count, end = len(members), at + len(raw)
    tail = b""
    if _needs_end64(members, at):
        tail = _END64.pack(_END64_MAGIC, _END64.size - 12, 45, 45, 0, 0, count, count, len(raw), at)
        tail += _LOCATOR.pack(_LOCATOR_MAGIC, 0, end, 1)
    short = min(count, _FULL16)
    tail += _END.pack(_END_MAGIC, 0, 0, short, short, min(len(raw), _FULL32), min(at, _FULL32), len(comment))
    return raw + tail + comment


_POLYNOMIAL = 0xEDB88320


def _times(a: int, b: int) -> int:
    """a · b modulo the CRC-32 polynomial over GF(2), bits reversed as zlib has them (1 is 0x80000000)."""
    product = 0
    while a:
        if a & 0x80000000:
            product ^= b
        a = a << 1 & _FULL32
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


@lru_cache(maxsize=2048)
def _power(digit: int, place: int) -> int:
    """x to the power of 8 · digit · 256**place: what `digit` · 256**place zero bytes do to a CRC."""
    base = 0x00800000  # x**8
    for _ in range(8 * place):
        base = _times(base, base)
    made = 0x80000000
    while digit:
        if digit & 1:
            made = _times(base, made)
        base, digit = _times(base, base), digit >> 1
    return made


@lru_cache(maxsize=4096)
def _columns(nbytes: int) -> tuple[int, ...]:
    """The effect of `nbytes` zero bytes on each bit of a CRC, the highest first."""
    power = 0x80000000
    for place, digit in enumerate(nbytes.to_bytes(8, "little")):
        if digit:
            power = _times(_power(digit, place), power)
    made = []
    for _ in range(32):
        made.append(power)
        power = power >> 1 ^ (_POLYNOMIAL if power & 1 else 0)
    return tuple(made)


def _shifted(crc: int, nbytes: int) -> int:
    made = 0
    for i, column in enumerate(_columns(nbytes)):
        if crc >> (31 - i) & 1:
            made ^= column
    return made


def crc_of_both(first: int, second: int, second_nbytes: int) -> int:
    """The CRC-32 of two pieces together, from theirs and the length of the second (zlib's crc32_combine)."""
    return _shifted(first, second_nbytes) ^ second


def crc_of_suffix(both: int, first: int, second_nbytes: int) -> int:
    """The CRC-32 of what follows a first piece, from the CRC of both together and of the first."""
    return _shifted(first, second_nbytes) ^ both
