"""The table of file formats, and `detect`: which of them a file is, by its content first and its suffix last.

A format is one module with `FORMAT = Format(...)` and one row in `_ROWS`. Rows name modules as strings, so that looking at
a file imports the one module that reads it. A format of somebody else's is added with `register`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.reports import ScanReport
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content
from tensorkeep.errors import UnsupportedFormatError

__all__ = ["Format", "by_name", "detect", "detect_folder", "for_writing", "names", "register"]

HEAD_NBYTES = 512
"""How much of a file `recognise` functions see at first; a tar's magic lies at 257."""


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        name: what `format=` and reports call it.
        suffixes: that choose it when writing, with their dot, lower case; the first is the usual one.
        open: opens a ByteSource (header only, lazily); `unknown` is "refuse" or "inert". None for formats that are folders.
        open_folder: likewise for a folder.
        plan: decides what a file with this Content consists of; raises UnsupportedDataError when the format cannot
            hold it. None when the format is not written.
        scan, scan_folder: what the file (or folder) would run; None when the format cannot hold code.
        salvage: opens a cut or damaged file as far as its tensors are whole; None when that is not possible.
        holds: one phrase on what it can hold, for error messages of other formats.
        metadata: whether it has room for the caller's strings beside the tensors.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[ByteSource, str], TensorFile] | None = None
    open_folder: Callable[[Path, str], TensorFile] | None = None
    plan: Callable[[Content], WritePlan] | None = None
    scan: Callable[[ByteSource], ScanReport] | None = None
    salvage: Callable[[ByteSource], TensorFile] | None = None
    scan_folder: Callable[[Path], ScanReport] | None = None
    holds: str = ""
    metadata: bool = True


@dataclass(frozen=True)
class _Row:
    name: str
    module: str
    suffixes: tuple[str, ...]
    written: bool
    recognise: Callable[[bytes, ByteSource], bool]
    folder: Callable[[Path], bool] | None = None


def _never(head: bytes, source: ByteSource) -> bool:
    return False


def _is_safetensors(head: bytes, source: ByteSource) -> bool:
    # u64 header length, then "{": also when the length lies, so that the reader can say so.
    return head[8:9] == b"{" and (head[6:8] == b"\0\0" or head[9:10] in b'" }\n')


def _is_zip(head: bytes) -> bool:
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def _torch_zip(head: bytes, source: ByteSource) -> bool:
    return _is_zip(head) and _zip_kind(source) == "torch"


def _is_npz(head: bytes, source: ByteSource) -> bool:
    return _is_zip(head) and _zip_kind(source) == "npz"


def _zip_kind(source: ByteSource) -> str:
    from tensorkeep.formats._zip import sniff

    return sniff(source)


def _is_npy(head: bytes, source: ByteSource) -> bool:
    return head[:6] == b"\x93NUMPY"


def _is_mxnet(head: bytes, source: ByteSource) -> bool:
    return head[:8] == b"\x12\x01\0\0\0\0\0\0"


def _is_symbol(head: bytes, source: ByteSource) -> bool:
    if head.lstrip()[:1] != b"{":
        return False
    start = source.read(0, min(source.size, 1 << 16))
    return b'"nodes"' in start or (b'"heads"' in start and b'"arg_nodes"' in start)


def _index_json(head: bytes, source: ByteSource) -> bool:
    return head.lstrip()[:1] == b"{" and (
        b'"weight_map"' in head or b'"metadata"' in head or source.name.endswith(".index.json")
    )


_TORCH_MAGIC = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")


def _torch_legacy(head: bytes, source: ByteSource) -> bool:
    # The first pickle is a magic number: PROTO n, LONG1 10, STOP (torch before 1.6 and _use_new_zipfile_serialization=False).
    return head[:1] == b"\x80" and _TORCH_MAGIC in head[:32]


def _torch_tar(head: bytes, source: ByteSource) -> bool:
    if head[257:262] != b"ustar" and not _old_tar(head):
        return False
    from tensorkeep.formats._tar import is_torch

    found: bool = is_torch(source)
    return found


def _old_tar(head: bytes) -> bool:
    return head[:100].rstrip(b"\0") in (b"pickle", b"sys_info", b"storages", b"tensors")


def _is_pickle(head: bytes, source: ByteSource) -> bool:
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return True
    # Protocols 0 and 1 have no header: a list, dict, tuple or global at the start and STOP at the end.
    return (
        head[:1] in (b"(", b"]", b"}", b"c", b"N", b"I", b"L", b"V", b"S")
        and source.size < 1 << 30
        and _ends_in_stop(source)
    )


def _ends_in_stop(source: ByteSource) -> bool:
    return source.size > 0 and source.read(source.size - 1, 1) == b"." and source.read(0, 1) != b"<"


def _has_index(folder: Path) -> bool:
    return any(name.endswith(".safetensors.index.json") for name in os.listdir(folder))


def _has_safetensors(folder: Path) -> bool:
    return any(name.endswith(".safetensors") for name in os.listdir(folder))


def _is_dcp(folder: Path) -> bool:
    return (folder / ".metadata").is_file()


def _is_step(folder: Path) -> bool:
    from tensorkeep.formats.step import is_step

    return is_step(folder)


_ROWS: list[_Row] = [
    _Row("safetensors", "safetensors", (".safetensors",), True, _is_safetensors),
    _Row("torch", "torch", (".pt", ".pth", ".bin", ".ckpt"), True, _torch_zip),
    _Row("npz", "npz", (".npz",), True, _is_npz),
    _Row("npy", "npy", (".npy",), True, _is_npy),
    _Row("mxnet", "mxnet", (".params", ".nd"), True, _is_mxnet),
    _Row("mxnet-np", "mxnet", (), True, _never),
    _Row("torch-legacy", "torch_legacy", (), False, _torch_legacy),
    _Row("torch-tar", "torch_tar", (), False, _torch_tar),
    _Row("symbol", "symbol", ("-symbol.json",), True, _is_symbol),
    _Row("step", "step", (), False, _never, _is_step),  # before the shards that are in it
    _Row("safetensors-sharded", "safetensors_sharded", (".safetensors.index.json",), True, _index_json, _has_index),
    _Row("pickle", "pickle", (".pkl", ".pickle", ".states"), False, _is_pickle),
    _Row("dcp", "dcp", (), False, _never, _is_dcp),
    _Row("safetensors-folder", "safetensors_sharded", (), False, _never, _has_safetensors),
]

_registered: dict[str, Format] = {}


def register(format: Format, *, recognise: Callable[[bytes, ByteSource], bool]) -> None:
    """Add a format of your own; it is asked before the built-in ones whether it recognises a file.

    Args:
        format: what opens and writes it.
        recognise: gets the first 512 bytes and the ByteSource, says whether the file is of this format.
    """
    _registered[format.name] = format
    _ROWS.insert(0, _Row(format.name, "", format.suffixes, format.plan is not None, recognise))


def names(*, written: bool = False) -> list[str]:
    """The names of all formats, or of those that are written."""
    return [row.name for row in _ROWS if row.written or not written]


def by_name(name: str) -> Format:
    """The format of that name.

    Raises:
        UnsupportedFormatError: there is none.
    """
    for row in _ROWS:
        if row.name == name:
            return _load(row)
    raise UnsupportedFormatError(f"format={name!r} is not known; known are {', '.join(names())}.")


def _load(row: _Row) -> Format:
    if row.name in _registered:
        return _registered[row.name]
    module = importlib.import_module(f"tensorkeep.formats.{row.module}")
    found = module.FORMATS[row.name] if hasattr(module, "FORMATS") else module.FORMAT
    assert isinstance(found, Format)
    return found


def for_writing(path: str) -> Format:
    """The format that a path's suffix chooses; safetensors for a name without any.

    Raises:
        UnsupportedFormatError: no format that is written has this suffix.
    """
    lower = os.path.basename(path).lower()
    rows = [(suffix, row) for row in _ROWS if row.written for suffix in row.suffixes if lower.endswith(suffix)]
    if rows:
        return _load(max(rows, key=lambda pair: len(pair[0]))[1])
    if "." not in lower:  # textbooks write to 'x-file'; what is read is told by its content anyway
        return by_name("safetensors")
    known = ", ".join(suffix for row in _ROWS if row.written for suffix in row.suffixes)
    raise UnsupportedFormatError(
        f"{path}: the suffix chooses the format when saving, and this one is none of {known}. "
        "Use one of these (.safetensors is read by every tool), or pass format=."
    )


def detect(source: ByteSource) -> Format:
    """The format of a file, by its content.

    Raises:
        UnsupportedFormatError (or CorruptFileError): none of ours; the text says what it looks like and what to do.
    """
    head = source.read(0, min(source.size, HEAD_NBYTES))
    for row in _ROWS:
        if row.recognise(head, source):
            return _load(row)
    from tensorkeep.formats._diagnose import unreadable

    raise unreadable(source, head)


def detect_folder(path: Path) -> Format:
    """The format of a folder, by the files in it.

    Raises:
        UnsupportedFormatError: none of ours.
    """
    for row in _ROWS:
        if row.folder is not None and row.folder(path):
            return _load(row)
    from tensorkeep.formats._diagnose import unreadable_folder

    raise unreadable_folder(path)
