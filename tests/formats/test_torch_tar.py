"""formats/torch_tar: files of torch 0.1 are read in place; the reader of torch itself is the witness."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

import tensorkeep as tk
from tensorkeep.core.bytesource import BufferSource
from tensorkeep.errors import CorruptFileError, TensorkeepError, TruncatedFileError, UnsafeFileError
from tensorkeep.formats.torch_tar import FORMAT

torch = pytest.importorskip("torch")


class Ref:
    """Stands for the tensor of that key; its pickle has a persistent id."""

    def __init__(self, key: int) -> None:
        self.key = key


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> str | None:
        return str(value.key) if isinstance(value, Ref) else None


def dumped(value: Any) -> bytes:
    return pickle.dumps(value, 2)


def referring(value: Any) -> bytes:
    out = io.BytesIO()
    Pickler(out, 2).dump(value)
    return out.getvalue()


def storages(numel: int = 6, count: int = 1, views: Any = ((12, 11, 2, 3),), tail: bytes = b"") -> bytes:
    entry = dumped((11, "cpu", torch.FloatStorage)) + struct.pack("<q6f", numel, *range(6))
    return dumped(count) + entry + dumped(list(views)) + tail


def tensors(
    shape: tuple[int, ...] = (2, 3), stride: tuple[int, ...] = (3, 1), offset: int = 0, storage: int = 11, ndim: int = 2
) -> bytes:
    numbers = struct.pack(f"<ii{len(shape) + len(stride) + 1}q", ndim, 0, *shape, *stride, offset)
    first = dumped((21, storage, torch.FloatTensor)) + numbers
    return dumped(2) + first + dumped((22, 12, torch.FloatTensor)) + struct.pack("<ii3q", 1, 0, 2, 1, 1)


def content(**changed: bytes) -> dict[str, bytes]:
    facts = {"protocol_version": 1000, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    data = referring(OrderedDict([("w", Ref(21)), ("part", Ref(22)), ("same", Ref(21))]))
    return {"sys_info": dumped(facts), "pickle": data, "tensors": tensors(), "storages": storages()} | changed


def tar(files: dict[str, bytes], *more: tarfile.TarInfo, kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=kind) as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
        for info in more:
            file.addfile(info)
    return out.getvalue()


def opened(data: bytes, unknown: str = "refuse") -> tk.TensorFile:
    assert FORMAT.open is not None
    return FORMAT.open(BufferSource(data), unknown)


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_what_torch_reads_is_read_equal(tmp_path: Path, kind: int) -> None:
    """Storages, views of storages, tensors with strides and offsets, tied ones."""
    data = tar(content(), kind=kind)
    path = tmp_path / "old.pt"
    path.write_bytes(data)
    want = torch.load(path, weights_only=False)

    found = tk.load(data)

    assert list(found) == list(want) == ["w", "part", "same"]
    assert type(found) is OrderedDict
    assert all(found[key].tolist() == want[key].tolist() for key in want)
    assert found["w"] is found["same"]


def test_times_in_extended_headers_are_harmless() -> None:
    """Tar files with fractions of seconds have them."""
    info = tarfile.TarInfo("sys_info")
    info.mtime = 1.5  # type: ignore[assignment]  # floats are what makes the extended header

    files = content()
    del files["sys_info"]

    assert list(opened(tar(files, info))) == ["w", "part", "same"]


def test_scan_calls_plain_files_plain() -> None:
    """A state dict of 2016 asks for nothing but tensors."""
    report = tk.scan(tar(content()))

    assert (report.format, report.data_only) == ("torch-tar", True)


EVIL = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."


@pytest.mark.parametrize("name", ["pickle", "tensors", "storages"])
def test_a_payload_in_any_member_is_refused(name: str) -> None:
    """In the data, or where a number should stand."""
    data = tar(content(**{name: EVIL}))
    with pytest.raises(UnsafeFileError, match=r"os\.system"):
        opened(data)

    assert not tk.scan(data).data_only


def test_a_payload_in_the_middle_of_a_member_is_found() -> None:
    """In the place of a storage's key."""
    data = tar(content(storages=dumped(1) + EVIL))
    with pytest.raises(UnsafeFileError, match=r"os\.system"):
        opened(data)

    assert [(r.module, r.name) for r in tk.scan(data).unknown] == [("os", "system")]


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


MEMBERS = {
    "symbolic link": (member("x", tarfile.SYMTYPE, "/etc/passwd"), UnsafeFileError, "symbolic link"),
    "hard link": (member("x", tarfile.LNKTYPE, "pickle"), UnsafeFileError, "hard link"),
    "device": (member("x", tarfile.CHRTYPE), UnsafeFileError, "device"),
    "pipe": (member("x", tarfile.FIFOTYPE), UnsafeFileError, "pipe"),
    "folder": (member("x", tarfile.DIRTYPE), UnsafeFileError, "folder"),
    "path out": (member("../x"), UnsafeFileError, "is a path"),
    "absolute path": (member("/x"), UnsafeFileError, "is a path"),
    "path of 200 letters": (member("y" * 200), UnsafeFileError, "changes 'path'"),
    "another name": (member("evil.py"), CorruptFileError, "none of sys_info"),
    "the same name twice": (member("pickle"), CorruptFileError, "two members are named"),
}


@pytest.mark.parametrize(("info", "error", "match"), MEMBERS.values(), ids=MEMBERS.keys())
def test_odd_members_are_refused(
    tmp_path: Path, info: tarfile.TarInfo, error: type[TensorkeepError], match: str
) -> None:
    """Only regular files with the four names, each once; nothing is extracted."""
    with pytest.raises(error, match=match):
        opened(tar(content(), info))


LIES = {
    "a member too few": (tar({key: value for key, value in content().items() if key != "tensors"}), "lacks tensors"),
    "more elements than there are": (tar(content(storages=storages(numel=7))), "ends inside|beyond its member|pickle"),
    "elements that wrap": (tar(content(storages=storages(numel=2**62))), "beyond its member"),
    "negative elements": (tar(content(storages=storages(numel=-1))), "beyond its member"),
    "more storages than bytes": (tar(content(storages=storages(count=10**9))), "1000000000 entries"),
    "bytes behind the views": (tar(content(storages=storages(tail=b"x"))), "1 bytes follow"),
    "a view out of its root": (tar(content(storages=storages(views=[(12, 11, 4, 3)]))), "lies outside"),
    "a view of no root": (tar(content(storages=storages(views=[(12, 99, 0, 3)]))), "no root"),
    "a key twice": (tar(content(storages=storages(views=[(11, 11, 0, 3)]))), "11 stands twice"),
    "a shape out of its storage": (tar(content(tensors=tensors(shape=(3, 3)))), "reaches to element"),
    "a negative stride": (tar(content(tensors=tensors(stride=(-3, 1)))), "integers from 0 up"),
    "a negative offset": (tar(content(tensors=tensors(offset=-1))), "at element -1"),
    "no such storage": (tar(content(tensors=tensors(storage=5))), "storage that is not there"),
    "two billion axes": (tar(content(tensors=tensors(ndim=2**31 - 1))), "2147483647 axes"),
    "negative axes": (tar(content(tensors=tensors(ndim=-1))), "-1 axes"),
    "no such tensor": (tar(content(pickle=referring([Ref(5)]))), "key of no tensor"),
    "bytes behind the pickle": (tar(content(pickle=content()["pickle"] + b"x")), "1 bytes follow"),
    "bytes behind the archive": (tar(content()) + b"x" * 512, "bytes follow the end"),
    "a checksum that lies": (tar(content()).replace(b"storages\0", b"storages\x01", 1), "checksum"),
}


@pytest.mark.parametrize(("data", "match"), LIES.values(), ids=LIES.keys())
def test_every_number_is_checked(data: bytes, match: str) -> None:
    """Counts, sizes, shapes, strides, offsets, keys, checksums, the end."""
    with pytest.raises(CorruptFileError, match=match):
        opened(data)


def test_a_file_cut_anywhere_is_refused() -> None:
    """Up to the zero blocks that end an archive."""
    data = tar(content())
    end = len(data.rstrip(b"\0")) + 512
    for at in range(0, end - 512, 64):
        with pytest.raises((TruncatedFileError, CorruptFileError)):
            opened(data[:at])


def test_another_tar_is_told_as_such() -> None:
    """Only archives with torch's members are taken for torch's."""
    with pytest.raises(TensorkeepError, match="tar"):
        tk.load(tar({"readme.txt": b"hello"}))
