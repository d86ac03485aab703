"""Zip archives whose parts disagree, overlap or explode."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tensorkeep.testing.hostile._case import Case

__all__ = ["Member", "archive", "cases", "npy"]


def npy(values: bytes = bytes(range(16)), *, descr: str = "'<f4'", shape: str = "(4,)") -> bytes:
    """A small .npy file; the header is taken as given."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode("latin-1")
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values


@dataclass(frozen=True)
class Member:
    """One member. `local_*` and `central_*` are the lies in one of its two headers."""

    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_crc: int | None = None
    local_size: int | None = None
    offset: int | None = None
    extra: bytes = b""
    hidden: bool = False  # only in the local headers
    omitted: bool = False  # only in the directory
    ready: bytes | None = None  # the packed data, made elsewhere

    def packed(self) -> bytes:
        if self.ready is not None:
            return self.ready
        if self.method != 8:
            return self.data
        maker = zlib.compressobj(9, zlib.DEFLATED, -15)
        return maker.compress(self.data) + maker.flush()


def archive(
    members: Sequence[Member],
    *,
    before: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
    comment: bytes = b"",
    comment_size: int | None = None,
    count: int | None = None,
    directory_size: int | None = None,
    directory_offset: int | None = None,
    disk: int = 0,
) -> bytes:
    """The members one after the other, the directory, the end record; every field may be a lie."""
    out = bytearray(before)
    directory = b""
    listed = 0
    for member in members:
        packed = member.packed()
        crc = zlib.crc32(member.data) if member.crc is None else member.crc
        size = len(member.data) if member.size is None else member.size
        packed_size = len(packed) if member.packed_size is None else member.packed_size
        at = len(out) if member.offset is None else member.offset
        if not member.omitted:
            name = member.name if member.local_name is None else member.local_name
            fields = (
                member.flags if member.local_flags is None else member.local_flags,
                member.method if member.local_method is None else member.local_method,
                0,
                0x21,
                crc if member.local_crc is None else member.local_crc,
                packed_size if member.local_size is None else member.local_size,
                size if member.local_size is None else member.local_size,
                len(name),
                0,
            )
            out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, *fields) + name + packed
        if not member.hidden:
            listed += 1
            head = (
                20,
                20,
                member.flags,
                member.method,
                0,
                0x21,
                crc,
                packed_size,
                size,
                len(member.name),
                len(member.extra),
            )
            directory += (
                struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, *head, 0, 0, 0, 0, at) + member.name + member.extra
            )
    out += between
    start = len(out) if directory_offset is None else directory_offset
    number = listed if count is None else count
    out += directory
    length = len(directory) if directory_size is None else directory_size
    comment_length = len(comment) if comment_size is None else comment_size
    out += struct.pack(
        "<IHHHHIIH",
        0x06054B50,
        disk,
        disk,
        number & 0xFFFF,
        number & 0xFFFF,
        length,
        start & 0xFFFFFFFF,
        comment_length,
    )
    return bytes(out + comment + after)


def cases() -> Iterator[Case]:
    """Differentials, overlaps, bombs and names, as .npz."""
    for name, data, why in (*_differentials(), *_layouts(), *_bombs(), *_members()):
        lazy, inert = name in ("crc", "csr-index", "csr-indptr"), name == "npy-object"
        yield Case(f"zip/{name}", "x.npz", data, why, lazy=lazy, inert=inert, harmless=name == "extra-beyond")


_GOOD = Member(b"a.npy", npy())
_OTHER = Member(b"b.npy", npy(b"\xff" * 16))


def _differentials() -> Iterator[tuple[str, bytes, str]]:
    lies: dict[str, tuple[Member, str]] = {
        "local-name": (replace(_GOOD, local_name=b"b.npy"), "the local header has another name"),
        "local-name-shorter": (
            replace(_GOOD, local_name=b"a.np"),
            "the local header has a shorter name: the data shift",
        ),
        "local-method": (replace(_GOOD, local_method=8), "the local header has another method"),
        "local-flags": (replace(_GOOD, local_flags=1), "the local header says encrypted"),
        "local-crc": (replace(_GOOD, local_crc=1), "the local header has another CRC"),
        "local-size": (replace(_GOOD, local_size=12), "the local header has another size"),
        "crc": (replace(_GOOD, crc=0xDEADBEEF), "the CRC does not fit"),
        "encrypted": (replace(_GOOD, flags=1), "an encrypted member"),
        "patched": (replace(_GOOD, flags=1 << 5), "a patch"),
        "strong-encryption": (replace(_GOOD, flags=1 << 6), "strong encryption"),
        "masked": (replace(_GOOD, flags=1 << 13), "masked headers"),
        "method-99": (replace(_GOOD, method=99), "an unknown method"),
        "method-bzip2": (replace(_GOOD, method=12), "said to be bzip2, and is not"),
        "method-lzma": (replace(_GOOD, method=14), "said to be LZMA, and is not"),
        "not-deflated": (
            replace(_GOOD, method=8, packed_size=len(_GOOD.data)),
            "said to be deflated, with a wrong size",
        ),
        "size-larger": (replace(_GOOD, size=len(_GOOD.data) + 4), "stored, and the two sizes differ"),
        "size-smaller": (replace(_GOOD, size=20), "stored, and the two sizes differ"),
        "packed-beyond": (replace(_GOOD, packed_size=10**6, size=10**6), "a member beyond the file"),
        "packed-huge": (replace(_GOOD, packed_size=0xFFFFFFFE, size=0xFFFFFFFE), "a member of 4 GiB"),
        "zip64-missing": (
            replace(_GOOD, packed_size=0xFFFFFFFF, size=0xFFFFFFFF),
            "zip64 sizes without the zip64 field",
        ),
        "zip64-huge": (
            replace(_GOOD, packed_size=0xFFFFFFFF, size=0xFFFFFFFF, extra=struct.pack("<HHQQ", 1, 16, 2**62, 2**62)),
            "zip64 sizes of 2**62",
        ),
        "zip64-cut": (
            replace(_GOOD, size=0xFFFFFFFF, extra=struct.pack("<HHI", 1, 4, 1)),
            "a zip64 field that is too short",
        ),
        "extra-beyond": (replace(_GOOD, extra=struct.pack("<HH", 9, 60_000)), "an extra field beyond the directory"),
        "offset-beyond": (replace(_GOOD, offset=10**6), "a local header beyond the file"),
        "offset-off": (replace(_GOOD, offset=4), "no local header where one should be"),
    }
    for name, (member, why) in lies.items():
        yield name, archive([member]), why


def _layouts() -> Iterator[tuple[str, bytes, str]]:
    good = archive([_GOOD])
    yield "two-end-records", good + archive([_OTHER]), "a second archive behind the first"
    yield "end-in-comment", archive([_GOOD], comment=archive([_OTHER])[-22:]), "an end record inside the comment"
    yield "comment-beyond", archive([_GOOD], comment_size=500), "a comment beyond the file"
    yield "comment-short", archive([_GOOD], comment=b"xyz", comment_size=0), "bytes behind the end record"
    yield "before", archive([_GOOD], before=b"MZ" * 100, directory_offset=None), "a program before the archive"
    yield "before-moved", b"#!/bin/sh\n" + good, "bytes before the archive, offsets not adjusted"
    yield "between", archive([_GOOD], between=b"x" * 100), "bytes between members and directory"
    yield "after", good + b"rubbish", "bytes behind the end record"
    yield "hidden-member", archive([replace(_OTHER, hidden=True), _GOOD]), "a member that the directory does not list"
    yield "missing-member", archive([_GOOD, replace(_OTHER, omitted=True)]), "a member that only the directory lists"
    yield "overlap", archive([_GOOD, replace(_OTHER, offset=0)]), "two members share their bytes"
    big = Member(b"a.npy", npy(bytes(4000), shape="(1000,)"))
    copies = [replace(big, name=b"%d.npy" % i, offset=0, omitted=True) for i in range(1, 2000)]
    yield "overlap-many", archive([big, *copies]), "2,000 members share their bytes"
    yield "same-name", archive([_GOOD, _GOOD]), "two members have the same name"
    yield "same-name-other-data", archive([_GOOD, replace(_OTHER, name=b"a.npy")]), "two members have the same name"
    yield "count-more", archive([_GOOD], count=2), "more members than the directory has"
    yield "count-less", archive([_GOOD, _OTHER], count=1), "fewer members than the directory has"
    yield "count-many", archive([_GOOD], count=65_534), "65,534 members in a small directory"
    yield "directory-beyond", archive([_GOOD], directory_offset=10**6), "a directory beyond the file"
    yield "directory-wraps", archive([_GOOD], directory_offset=2**32 - 2), "a directory at 2**32 - 2"
    yield "directory-size", archive([_GOOD], directory_size=10**6), "a directory larger than the file"
    yield "directory-empty", archive([_GOOD], directory_size=0), "a directory of no bytes"
    yield "disk", archive([_GOOD], disk=1), "the second disk of two"
    yield "only-end", good[-22:], "an end record alone, which lists a member"
    for cut in (1, 10, 21, 22, 60):
        yield f"cut-{cut}", good[:-cut], f"the last {cut} bytes are missing"


def _bombs() -> Iterator[tuple[str, bytes, str]]:
    yield "bomb", archive([_zeros(400)]), "400 MiB of zeros in 400 kB"
    yield (
        "bomb-behind-a-small-size",
        archive([replace(_zeros(80), size=144)]),
        "80 MiB of zeros behind a size of 144 bytes",
    )
    header = npy(b"", shape=f"({2**40},)")
    yield (
        "claims-much",
        archive([Member(b"a.npy", header, method=8, size=2**32 - 2)]),
        "4 GiB are promised, 128 bytes are there",
    )
    yield "shape-larger", archive([Member(b"a.npy", npy(shape="(1000000000,)"))]), "4 GB in a member of 144 bytes"


def _zeros(mebibytes: int) -> Member:
    """An .npy of zeros, deflated without ever being in memory: one block, again and again."""
    maker = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = npy(b"", shape=f"({mebibytes << 18},)")
    block = bytes(1 << 20)
    packed = maker.compress(start) + maker.flush(zlib.Z_FULL_FLUSH)
    packed += (maker.compress(block) + maker.flush(zlib.Z_FULL_FLUSH)) * mebibytes + maker.flush()
    crc = zlib.crc32(start)
    for _ in range(mebibytes):
        crc = zlib.crc32(block, crc)
    return Member(b"a.npy", b"", method=8, crc=crc, size=len(start) + len(block) * mebibytes, ready=packed)


def _members() -> Iterator[tuple[str, bytes, str]]:
    names = {
        "name-nul": b"a\0.npy",
        "name-empty": b"",
        "name-not-utf8": b"\xff\xfe.npy",
    }
    for name, raw in names.items():
        flags = 0x800 if name == "name-not-utf8" else 0
        yield name, archive([replace(_GOOD, name=raw, flags=flags)]), f"a member named {raw!r}"
    yield "not-npy", archive([Member(b"a.npy", b"this is no array")]), "a member that is no .npy"
    yield "empty-member", archive([Member(b"a.npy", b"")]), "an empty member"
    yield "npy-trailing", archive([Member(b"a.npy", npy() + b"more")]), "bytes behind an array"
    yield "npy-cut", archive([Member(b"a.npy", npy()[:-4])]), "an array that is cut"
    yield (
        "npy-object",
        archive([Member(b"a.npy", npy(b"\x80\x02N.", descr="'|O'", shape="()"))]),
        "an array of pickled objects",
    )
    sparse = [
        Member(b"s/data.npy", npy()),
        Member(b"s/indices.npy", npy(struct.pack("<4q", 0, 9, 2, 3), descr="'<i8'")),
        Member(b"s/indptr.npy", npy(struct.pack("<3q", 0, 2, 4), descr="'<i8'", shape="(3,)")),
        Member(b"s/shape.npy", npy(struct.pack("<2q", 2, 4), descr="'<i8'", shape="(2,)")),
        Member(b"s/format.npy", npy(b"csr", descr="'|S3'", shape="()")),
    ]
    yield "csr-index", archive(sparse), "a csr column beyond the shape"
    falling = [
        *sparse[:2],
        replace(sparse[2], data=npy(struct.pack("<3q", 0, 5, 4), descr="'<i8'", shape="(3,)")),
        *sparse[3:],
    ]
    yield "csr-indptr", archive(falling), "a csr row pointer that falls"
