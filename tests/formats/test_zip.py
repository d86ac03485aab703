"""formats/_zip and _zip_records: archives of zipfile, torch and NumPy are read, doctored ones are not; ours are zip files."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorkeep.formats._zip as zips
from tensorkeep.core.bytesource import BufferSource, FileSource
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedFormatError,
)
from tensorkeep.formats._zip import blocks, read, read_directory, sniff, verify_crc, walk
from tensorkeep.formats._zip_records import (
    crc_of_both,
    crc_of_suffix,
    descriptor,
    directory,
    directory_nbytes,
    local_header,
    place,
)

CONTENT = {"a/data.pkl": b"hello " * 20, "a/data/0": bytes(range(256)) * 4, "a/ü": b"", "a/end": b"x"}


def made(content: dict[str, bytes] = CONTENT, method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    """An archive as Python's zipfile writes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in content.items():
            file.writestr(zipfile.ZipInfo(name), data, method)
        file.comment = comment
    return out.getvalue()


MANY = {f"m{i}": b"" for i in range(65_600)}


@cache
def many() -> bytes:
    """An archive with more members than 16 bits count."""
    return made(MANY)


class _Pipe(io.RawIOBase):
    """A file that cannot seek, so that zipfile writes data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.data += data
        return len(data)


def streamed(content: dict[str, bytes] = CONTENT) -> bytes:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as file:
        for name, data in content.items():
            file.writestr(zipfile.ZipInfo(name), data)
    return bytes(pipe.data)


def opened(data: bytes, *, deflated: bool = True) -> zips.Directory:
    return read_directory(BufferSource(data, "f.zip"), deflated=deflated)


def contents(data: bytes) -> dict[str, bytes]:
    source = BufferSource(data, "f.zip")
    entries = read_directory(source, deflated=True).entries
    return {name: read(source, entry, max_nbytes=1 << 20) for name, entry in entries.items()}


def central(data: bytes) -> int:
    """Where the central directory begins."""
    return struct.unpack_from("<I", data, data.rfind(b"PK\x05\x06") + 16)[0]


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize("data", [made(), made(method=zipfile.ZIP_DEFLATED), streamed(), made(comment=b"PK or not")])
def test_archives_of_zipfile_are_read_equal(data: bytes) -> None:
    """Stored, deflated, with data descriptors, with a comment: the members are those that zipfile reads."""
    assert contents(data) == CONTENT


def test_members_of_zip64_archives_are_read(tmp_path: Path) -> None:
    """NumPy forces zip64 sizes into each local header; 70,000 members force zip64 end records."""
    np.savez(tmp_path / "a.npz", a=np.arange(3))

    assert list(read_directory(FileSource(tmp_path / "a.npz"), deflated=True).entries) == ["a.npy"]
    assert list(opened(many()).entries) == list(MANY)


def test_torch_archives_are_read(tmp_path: Path) -> None:
    """torch leaves sizes and CRC out of local headers and pads them; its members are those that zipfile reads."""
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.arange(1000), "b": torch.zeros(3)}, tmp_path / "a.pt")
    source = FileSource(tmp_path / "a.pt")
    entries = read_directory(source, deflated=False).entries
    with zipfile.ZipFile(tmp_path / "a.pt") as file:
        expected = {name: file.read(name) for name in file.namelist()}

    assert {name: read(source, entry, max_nbytes=1 << 20) for name, entry in entries.items()} == expected
    assert sniff(source) == "torch"
    assert entries["a/data/0"].offset % 64 == 0


def test_sources_that_are_not_mapped_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all bytes are not at hand (network file systems), headers are read one by one."""
    for data in (made(), streamed(), made(method=zipfile.ZIP_DEFLATED)):
        source = BufferSource(data, "f.zip")
        expected = read_directory(source, deflated=True)
        with monkeypatch.context() as patch:
            patch.setattr(BufferSource, "whole", lambda self: None)

            assert read_directory(source, deflated=True) == expected


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"x/data.pkl": b"", "x/data/0": b""}, "torch"),
        ({"data.pkl": b""}, "torch"),
        ({"readme": b"", "archive/data.pkl": b""}, "torch"),
        ({"a.npy": b""}, "npz"),
        ({"notes.txt": b"", "w/data.npy": b""}, "npz"),
        ({"__tensorkeep__.json": b"{}"}, "npz"),
        ({}, "npz"),
        ({"config.json": b"", "a/b/data.pkl": b""}, "other"),
        ({"mydata.pkl": b""}, "other"),
    ],
)
def test_archives_are_told_apart_by_their_members(content: dict[str, bytes], kind: str) -> None:
    """<top>/data.pkl is torch's, .npy is NumPy's, anything else is neither, and so it stays when the end is cut off."""
    data = made(content)

    assert sniff(BufferSource(data)) == kind
    first = next(iter(content), "")
    if first.endswith(("data.pkl", ".npy")):
        assert sniff(BufferSource(data[:-30])) == kind


END = made().rfind(b"PK\x05\x06")
FIRST = central(made())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (made()[:-1], "the file ends at byte .* so it was cut off"),
        (made()[: FIRST + 10], "without its end record"),
        (made()[: FIRST // 2] + bytes(200_000), "are all zero: the size was set and the data never written"),
    ],
)
def test_cut_archives_say_how_to_save_what_is_whole(data: bytes, message: str) -> None:
    """Without an end record the text names tkeep repair."""
    with pytest.raises(TruncatedFileError, match=message) as caught:
        opened(data)

    assert "tkeep repair f.zip --salvage OUT" in str(caught.value)


def _two_ends() -> bytes:
    data = made({"a.npy": b"x"})
    hidden = made({"b.npy": b"y"})
    # The first archive whole, the second one as its comment: readers disagree on which one this file is.
    end = data.rfind(b"PK\x05\x06")
    return patched(data, end + 20, struct.pack("<H", len(hidden))) + hidden


def _end_in_member() -> bytes:
    # An end record inside a member, whose comment would reach exactly to the end of the file.
    data = made({"a.npy": b"PK\x05\x06" + bytes(16) + b"??" + b"z" * 50})
    at = data.find(b"PK\x05\x06")
    return patched(data, at + 20, struct.pack("<H", len(data) - at - 22))


def _overlap() -> bytes:
    # Both members of the directory point at the same local header (CVE-2024-0450 builds bombs so).
    data = made({"a": b"1", "b": b"1"})
    second = data.find(b"PK\x01\x02", central(data) + 4)
    return patched(patched(data, second + 42, bytes(4)), second + 46, b"a")


def _nested_overlap() -> bytes:
    # The second member lies inside the content of the first.
    inner = made({"b": b"payload"})
    inner_local = inner[: central(inner)]
    data = made({"a": inner_local, "b": b"payload"})
    second = data.find(b"PK\x01\x02", central(data) + 4)
    return patched(data, second + 42, struct.pack("<I", 31))


def _with_gap() -> bytes:
    data = made({"a": b"1", "b": b"2"})
    at = data.find(b"PK\x03\x04", 4)
    start = central(data)
    moved = data[:at] + b"hidden!!" + data[at:]
    second = moved.find(b"PK\x01\x02", start + 8 + 4)
    moved = patched(moved, second + 42, struct.pack("<I", at + 8))
    end = moved.rfind(b"PK\x05\x06")
    return patched(moved, end + 16, struct.pack("<I", start + 8))


def _prefixed() -> bytes:
    return b"#!/bin/sh\n" + made()


def _suffixed() -> bytes:
    return made() + b"more"


def _one_too_many() -> bytes:
    data = made({"x" * 100: b""})
    return patched(data, data.rfind(b"PK\x05\x06") + 8, b"\x02\0\x02\0")


def _local(offset: int, new: bytes) -> bytes:
    return patched(made(), offset, new)


def _central_field(offset: int, new: bytes) -> bytes:
    return patched(made(), FIRST + offset, new)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (_two_ends(), CorruptFileError, "not at the file's end|said to end at byte"),
        (_end_in_member(), CorruptFileError, "or there are two of them"),
        (_overlap(), CorruptFileError, "two members are named 'a'"),
        (_nested_overlap(), CorruptFileError, "two members overlap"),
        (_with_gap(), CorruptFileError, "8 bytes that belong to no member"),
        (_prefixed(), CorruptFileError, "the central directory is said to end at byte"),
        (_suffixed(), CorruptFileError, "the end record is not at the file's end"),
        (
            _local(30, b"b"),
            CorruptFileError,
            "local header of 'a/data.pkl' is not the one that the directory describes",
        ),
        (_local(6, b"\x08"), CorruptFileError, "is not the one that the directory describes"),
        (_local(8, b"\x08"), CorruptFileError, "is not the one that the directory describes"),
        (_local(14, b"\0\0\0\0"), CorruptFileError, "has another CRC or size than the directory"),
        (_local(18, b"\x01"), CorruptFileError, "has another CRC or size than the directory"),
        (_local(22, b"\x01"), CorruptFileError, "has another CRC or size than the directory"),
        (_local(28, b"\x01"), CorruptFileError, "two members overlap|belong to no member"),
        (_local(0, b"PK\x03\x05"), CorruptFileError, "is not the one that the directory describes"),
        (_central_field(0, b"PX"), CorruptFileError, "broken off or has another record"),
        (_central_field(8, b"\x01"), UnsupportedFormatError, "member 'a/data.pkl' of the zip archive is encrypted"),
        (_central_field(8, b"\x20"), UnsupportedFormatError, "has the flags 0x0020, which are not known"),
        (_central_field(10, b"\x0c"), UnsupportedFormatError, r"compressed by method 12 \(bzip2\)"),
        (_central_field(10, b"\x5d"), UnsupportedFormatError, r"compressed by method 93 \(Zstandard\)"),
        (_central_field(20, b"\x07"), CorruptFileError, "stored with two sizes"),
        (_central_field(28, b"\xff\xff"), CorruptFileError, "broken off"),
        (_central_field(34, b"\x01"), CorruptFileError, "is on another disk"),
        (_central_field(42, b"\xff\xff\xff\xff"), CorruptFileError, "a zip64 field is missing"),
        (_central_field(42, b"\xf0\xff\xff\x7f"), CorruptFileError, "belong to no member|lies behind the members"),
        (patched(made(), END + 4, b"\x01"), CorruptFileError, "one part of an archive in several parts"),
        (_one_too_many(), CorruptFileError, "ends inside a member's record"),
        (patched(made(), END + 8, b"\x03\0\x03\0"), CorruptFileError, "something else than its members"),
        (patched(made(), END + 8, b"\xfe\xff\xfe\xff"), CorruptFileError, "65534 members are announced"),
        (patched(made(), END + 16, b"\0\0\0\0"), CorruptFileError, "central directory is said to end"),
        (
            made({"../evil": b""}),
            UnsafeFileError,
            "the member name '../evil' is empty, absolute, or leads out of a folder",
        ),
        (made({"/etc/passwd": b""}), UnsafeFileError, "Nothing was unpacked"),
        (made({"a/../../b": b""}), UnsafeFileError, "leads out"),
        (made({"a#b": b""}).replace(b"a#b", b"a\\b"), UnsafeFileError, "leads out"),
        (made({"a#b": b""}).replace(b"a#b", b"a\0b"), UnsafeFileError, "leads out"),
        (
            made({"äa": b""}).replace("äa".encode(), b"\xff\xfea"),
            CorruptFileError,
            "is not UTF-8, which its flags promise",
        ),
        (made(method=zipfile.ZIP_DEFLATED), UnsupportedFormatError, "is compressed, and files of this kind are not"),
    ],
)
def test_doctored_archives_are_refused(data: bytes, error: type[TensorkeepError], message: str) -> None:
    """Each way in which two readers of one archive could see different members is refused, with its place."""
    with pytest.raises(error, match=message) as caught:
        opened(data, deflated=False)

    assert str(caught.value).startswith("f.zip: ")


def test_duplicate_names_are_refused() -> None:
    """Two members of one name: whoever reads the first sees another file than whoever reads the last."""
    data = made({"a/data.pkl": b"good", "b/data.pkl": b"evil"}).replace(b"b/data.pkl", b"a/data.pkl")

    with pytest.raises(CorruptFileError, match=r"two members are named 'a/data\.pkl'"):
        opened(data)


def test_a_descriptor_that_contradicts_the_directory_is_refused() -> None:
    """Where local headers have zeros, the descriptor behind the content has to agree."""
    data = streamed()
    at = data.find(b"PK\x07\x08")
    for field in (4, 8, 12):
        with pytest.raises(CorruptFileError, match=r"the data descriptor of 'a/data\.pkl' is missing or contradicts"):
            opened(patched(data, at + field, b"\xee"))


def test_zip64_records_that_lie_are_refused() -> None:
    """The zip64 end record stands where its locator says and repeats the plain one."""
    data = many()
    end = data.rfind(b"PK\x05\x06")

    with pytest.raises(CorruptFileError, match="zip64 end record is said to lie at byte"):
        opened(patched(data, end - 12, b"\xff" * 8))
    with pytest.raises(CorruptFileError, match="there is no zip64 end record where there should be one"):
        opened(patched(data, end - 76, b"XX"))
    with pytest.raises(CorruptFileError, match="the two end records contradict each other"):
        opened(patched(data, end + 8, b"\x01\0\x01\0"))


def test_contents_are_checked_when_they_are_read() -> None:
    """A flipped bit, a deflate stream that breaks off, goes on or says nonsense: an error that names the member."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = made({"w": bytes(range(200)) * 3}, method)
        source = BufferSource(patched(data, 31 + 20, bytes([data[51] ^ 4])), "f.zip")
        entry = read_directory(source, deflated=True).entries["w"]

        with pytest.raises(CorruptFileError, match=r"f.zip: member 'w' \(byte 31\)"):
            verify_crc(source, entry)


def test_a_member_that_inflates_beyond_its_size_is_stopped() -> None:
    """No more than the declared size is ever inflated, so that a lie costs no memory."""
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = packed.compress(bytes(10_000_000)) + packed.flush()
    entry = zips.Entry("w", zips.DEFLATED, 0, len(raw), 100, 0, 0, 0)

    with pytest.raises(CorruptFileError, match="inflates to more than 100 bytes"):
        list(blocks(BufferSource(raw), entry))
    with pytest.raises(CorruptFileError, match="has bytes behind its compressed data"):
        list(blocks(BufferSource(raw + b"more"), entry._replace(nbytes=10_000_000, stored_nbytes=len(raw) + 4)))
    with pytest.raises(CorruptFileError, match="compressed data end too early"):
        list(blocks(BufferSource(raw), entry._replace(nbytes=10_000_000, stored_nbytes=len(raw) - 8)))


def test_expansion_is_capped() -> None:
    """More than deflate can do is a lie; more than 4 GiB and 100 times the file is a bomb."""
    data = made({"w": bytes(100_000)}, zipfile.ZIP_DEFLATED)
    at = central(data)
    with pytest.raises(CorruptFileError, match="bytes cannot inflate to 4294967294"):
        opened(patched(data, at + 24, b"\xfe\xff\xff\xff"))
    with pytest.raises(LimitError, match="has 100000 bytes; at most 10 are read"):
        read(BufferSource(data), opened(data).entries["w"], max_nbytes=10)


def test_a_bomb_of_many_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """All members together count."""
    data = made({f"w{i}": bytes(100_000) for i in range(5)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zips, "MAX_INFLATED_NBYTES", 0)

    with pytest.raises(LimitError, match=r"its members inflate from .* bytes to 500000"):
        opened(data)


def test_what_is_whole_in_a_cut_archive_is_found() -> None:
    """Local headers, or the descriptors behind the members, lead through the start of a cut archive."""
    for data in (made(), streamed(), made(method=zipfile.ZIP_DEFLATED)):
        source = BufferSource(data, "f.zip")
        expected = list(read_directory(source, deflated=True).entries.values())
        assert list(walk(source)) == expected

        third = expected[2]
        assert list(walk(BufferSource(data[: third.header]))) == expected[:2]
        assert list(walk(BufferSource(data[: third.header - 20]))) == expected[:1]


@given(st.data())
def test_changed_bytes_give_our_errors_only(data: st.DataObject) -> None:
    """Three bytes changed anywhere, and perhaps cut: an archive with the same members' bytes, or one of our errors."""
    raw = bytearray(data.draw(st.sampled_from([made(), streamed(), made(method=zipfile.ZIP_DEFLATED)])))
    for _ in range(3):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    changed = bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw) - 1, len(raw) // 2]))])
    assert sniff(BufferSource(changed)) in ("torch", "npz", "other")
    for entry in walk(BufferSource(changed)):
        assert entry.offset + entry.stored_nbytes <= len(changed)
    try:
        got = contents(changed)
    except TensorkeepError:
        return

    assert list(got.values()) == list(CONTENT.values())


def written(content: dict[str, bytes], *, streamed: bool, align: int, comment: bytes = b"") -> bytes:
    out, members, crcs = b"", [], []
    for name, data in content.items():
        member = place(name, len(data), at=len(out), align=align, streamed=streamed)
        crcs.append(zlib.crc32(data))
        header = local_header(member, crcs[-1])
        assert len(header) == member.header_nbytes
        out += header
        assert len(out) == member.data_offset
        assert len(out) % align == 0
        out += data + (descriptor(member, crcs[-1]) if streamed else b"")
        assert len(out) == member.end
        members.append(member)
    end = directory(members, crcs, at=len(out), comment=comment)
    assert len(end) == directory_nbytes(members, at=len(out), comment=comment)
    return out + end


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("align", [1, 2, 64, 4096])
def test_zipfile_reads_what_the_records_say(streamed: bool, align: int) -> None:
    """Names, contents, CRCs, comment and alignment, as Python's zipfile and our own reader see them."""
    data = written(CONTENT, streamed=streamed, align=align, comment=b"beside")
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == CONTENT
        assert file.comment == b"beside"
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}

    assert contents(data) == CONTENT


def test_large_members_and_many_get_zip64_records() -> None:
    """Sizes and offsets beyond 4 GiB, counts beyond 65,535: zipfile reads the numbers back from the directory alone."""
    size, members, at = 5 << 30, [], 0
    for name in ("a", "b"):
        members.append(place(name, size, at=at, align=64))
        at = members[-1].end
    assert len(local_header(members[0], 7)) == members[0].header_nbytes
    end = directory(members, [7, 8], at=at)
    assert len(end) == directory_nbytes(members, at=at)

    class Sparse(io.BytesIO):
        """The directory at the end of ten zero gigabytes."""

        def seek(self, offset: int, whence: int = 0) -> int:
            if whence == 2:
                return super().seek(offset, 2) + at
            return super().seek(max(0, offset - at)) + at

        def tell(self) -> int:
            return super().tell() + at

    with zipfile.ZipFile(Sparse(end)) as file:
        found = [(i.filename, i.file_size, i.header_offset, i.CRC) for i in file.infolist()]

    assert found == [("a", size, 0, 7), ("b", size, members[1].at, 8)]
    assert list(contents(written_many(MANY))) == list(MANY)


def written_many(content: dict[str, bytes]) -> bytes:
    parts, members, at = [], [], 0
    for name in content:
        members.append(place(name, 0, at=at))
        parts.append(local_header(members[-1], 0))
        at = members[-1].end
    return b"".join(parts) + directory(members, [0] * len(members), at=at)


def test_names_that_do_not_fit_are_refused() -> None:
    """A name has a 16-bit length in a zip archive."""
    with pytest.raises(ValueError, match="takes 65536 bytes; a zip archive allows 65,535"):
        place("x" * 65536, 0, at=0)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_crc_arithmetic_is_that_of_zlib(first: bytes, second: bytes) -> None:
    """The CRC of joined pieces and of a suffix, from the CRCs of the pieces, as zlib computes them over the bytes."""
    both = zlib.crc32(first + second)

    assert crc_of_both(zlib.crc32(first), zlib.crc32(second), len(second)) == both
    assert crc_of_suffix(both, zlib.crc32(first), len(second)) == zlib.crc32(second)


def test_crc_arithmetic_holds_for_long_pieces() -> None:
    """Each digit of the length takes part: 16 MB and one byte of zeros."""
    zeros = bytes((1 << 24) + 1)

    assert crc_of_both(zlib.crc32(b"head"), zlib.crc32(zeros), len(zeros)) == zlib.crc32(zeros, zlib.crc32(b"head"))
    assert crc_of_both(1, 2, 1 << 62) != crc_of_both(1, 2, 1 << 61)
