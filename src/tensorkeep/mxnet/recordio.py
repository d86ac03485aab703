"""mx.recordio: files of records, and the header with which images are packed into them.

A record is the u32 0xced7230a, a u32 of 3 bits (0 whole, 1 first, 2 middle, 3 last part) and 29 bits (length), the bytes,
and zeros up to a multiple of 4. Where the bytes hold that first word at a multiple of 4, they are cut there and the word
is left out. Source: dmlc-core's recordio.cc.
"""

from __future__ import annotations

import errno
import numbers
import os
import stat
import struct
import weakref
from collections import namedtuple
from contextlib import ExitStack
from typing import Any

import numpy as np

from tensorkeep.errors import SaveError
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.storage.atomic import replace_file

__all__ = ["IRHeader", "MXIndexedRecordIO", "MXRecordIO", "pack", "pack_img", "unpack", "unpack_img"]

MAGIC = struct.pack("<I", 0xCED7230A)
_HEAD = struct.Struct("<II")
_LENGTH_BITS = 29
_MAX_DIGITS = 19
"""Of an offset: more than 64 bits no file has."""
_MOST = (1 << _LENGTH_BITS) - 1
"""Bytes of a record."""


def encoded(record: bytes) -> bytes:
    """The bytes of one record in a file."""
    if len(record) > _MOST:
        raise MXNetError(f"RecordIO only accept record less than 2^29 bytes, got {len(record)}")
    cuts, at = [], record.find(MAGIC)
    while at >= 0:
        if at % 4 == 0:
            cuts.append(at)
            at = record.find(MAGIC, at + 4)
        else:
            at = record.find(MAGIC, at + 1)
    out = bytearray()
    start = 0
    for cut in cuts:
        out += _HEAD.pack(0xCED7230A, (2 if start else 1) << _LENGTH_BITS | (cut - start)) + record[start:cut]
        start = cut + 4
    out += _HEAD.pack(0xCED7230A, (3 if start else 0) << _LENGTH_BITS | (len(record) - start)) + record[start:]
    out += bytes(-len(record) % 4)
    return bytes(out)


class MXRecordIO:
    """A file of records, to be read or written one after another.

    What is written takes the file's name when it is closed; until then the old file stays as it was.

    Args:
        uri: the file.
        flag: "r" or "w".
    """

    writable: bool

    def __init__(self, uri: str, flag: str) -> None:
        self.uri = os.fspath(uri)
        self.flag = flag
        self.pid: int | None = None
        self.is_open = False
        self.open()

    def open(self) -> None:
        """Open the file, from its beginning.

        Raises:
            MXNetError: there is no such file, or it cannot be made.
            ValueError: the flag is another.
        """
        if self.flag not in ("r", "w"):
            raise ValueError(f"Invalid flag {self.flag}")
        self.writable = self.flag == "w"
        self._stack = ExitStack()
        # The file is committed also when nobody closes it, as MXNet's is.
        self._closer = weakref.finalize(self, self._stack.close)
        try:
            if not self.writable and not stat.S_ISREG(os.stat(self.uri).st_mode) and not os.path.isdir(self.uri):
                raise MXNetError(f"{self.uri}: not a regular file. Copy its bytes into a file first.")
            file: Any = replace_file(self.uri) if self.writable else open(self.uri, "rb")  # noqa: SIM115 - in the stack
            self._file = self._stack.enter_context(file)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, SaveError) as err:
            text = os.strerror(err.errno or errno.EIO)
            raise MXNetError(f'LocalFileSystem: Open "{self.uri}": {text}') from err
        self._size = 0 if self.writable else os.fstat(self._file.fileno()).st_size
        self._written = 0
        self.pid = os.getpid()
        self.is_open = True

    def close(self) -> None:
        """Close the file; what was written takes its name."""
        if not self.is_open:
            return
        self.is_open = False
        self.pid = None
        self._closer()

    def reset(self) -> None:
        """Go back to the beginning; a file that is written begins anew."""
        self.close()
        self.open()

    def __getstate__(self) -> dict[str, Any]:
        is_open = self.is_open
        self.close()
        held = {name: value for name, value in self.__dict__.items() if name not in ("_stack", "_closer", "_file")}
        return {**held, "is_open": is_open}

    def __setstate__(self, held: dict[str, Any]) -> None:
        self.__dict__.update(held)
        is_open, self.is_open = self.is_open, False
        if is_open:
            self.open()

    def _check_pid(self, allow_reset: bool = False) -> None:
        # A child of fork() shares the position in the file with its parent.
        if self.pid != os.getpid():
            if not allow_reset:
                raise RuntimeError("Forbidden operation in multiple processes")
            self.reset()

    def write(self, buf: bytes) -> None:
        """Add a record."""
        assert self.writable
        self._check_pid()
        data = encoded(bytes(buf))
        self._file.write(data)
        self._written += len(data)

    def read(self) -> bytes | None:
        """The next record; None at the end.

        Raises:
            MXNetError: the file is damaged here.
        """
        assert not self.writable
        self._check_pid()
        out: list[bytes] = []
        while True:
            at = self._file.tell()
            head = self._file.read(8)
            if not head and not out:
                return None
            if len(head) != 8 or head[:4] != MAGIC:
                raise self._damaged(at, "no record begins here")
            kind, length = _HEAD.unpack(head)[1] >> _LENGTH_BITS, _HEAD.unpack(head)[1] & _MOST
            padded = length + -length % 4
            if padded > self._size - at - 8:
                raise self._damaged(at, f"it ends {padded - (self._size - at - 8)} bytes before this record does")
            if (kind in (0, 1)) == bool(out) or kind > 3:
                raise self._damaged(at, f"a part of kind {kind} stands here")
            out.append(self._file.read(padded)[:length])
            if kind in (0, 3):
                return MAGIC.join(out)

    def _damaged(self, at: int, why: str) -> MXNetError:
        return MXNetError(f"Invalid RecordIO File: {self.uri}, byte {at}: {why}.")


class MXIndexedRecordIO(MXRecordIO):
    """A file of records with an index, to read them in any order.

    Args:
        idx_path: the index: lines of key, tab, offset.
        uri: the file of records.
        flag: "r" or "w".
        key_type: what makes a key of a text.
    """

    def __init__(self, idx_path: str, uri: str, flag: str, key_type: Any = int) -> None:
        self.idx_path = os.fspath(idx_path)
        self.idx: dict[Any, int] = {}
        self.keys: list[Any] = []
        self.key_type = key_type
        super().__init__(uri, flag)

    def open(self) -> None:
        """Open both files.

        Raises:
            MXNetError: a file is not there or cannot be made, or the index is damaged.
        """
        super().open()
        self.idx = {}
        self.keys = []
        if self.writable:
            # Committed before the records: an index without its records is noticed, the other way round is not.
            self._index = self._stack.enter_context(replace_file(self.idx_path))
            return
        with open(self.idx_path, encoding="utf-8", errors="backslashreplace") as file:
            for number, line in enumerate(file, 1):
                key, tab, offset = line.strip().partition("\t")
                if not tab or not offset.isascii() or not offset.isdigit() or len(offset) > _MAX_DIGITS:
                    raise MXNetError(f"{self.idx_path}, line {number}: {line.strip()!r:.80} is not key, tab, offset")
                self.idx[self.key_type(key)] = int(offset)
                self.keys.append(self.key_type(key))

    def __getstate__(self) -> dict[str, Any]:
        held = super().__getstate__()
        held.pop("_index", None)
        return held

    def seek(self, idx: Any) -> None:
        """Go to the record of a key.

        Raises:
            KeyError: the index has no such key.
        """
        assert not self.writable
        self._check_pid(allow_reset=True)
        self._file.seek(self.idx[idx])

    def tell(self) -> int:
        """The offset of the next record that is written."""
        assert self.writable
        return self._written

    def read_idx(self, idx: Any) -> bytes:
        """The record of a key.

        Raises:
            MXNetError: the file is damaged, or is not the one that the index belongs to.
        """
        self.seek(idx)
        found = self.read()
        if found is None:
            raise self._damaged(self.idx[idx], f"{self.idx_path} says that a record begins here, but the file ends")
        return found

    def write_idx(self, idx: Any, buf: bytes) -> None:
        """Add a record under a key."""
        key = self.key_type(idx)
        position = self.tell()
        self.write(buf)
        self._index.write(f"{key}\t{position}\n".encode())
        self.idx[key] = position
        self.keys.append(key)


IRHeader = namedtuple("HEADER", ["flag", "label", "id", "id2"])  # type: ignore[name-match]  # MXNet's own name
IRHeader.__doc__ = """What stands before an image in a record.

flag: 0, or the number of labels. label: a number, or an array of them. id, id2: the number of the example, in two words.
"""

_IR = struct.Struct("<IfQQ")


def pack(header: Any, s: bytes) -> bytes:
    """Header and bytes as one record. An array of labels goes between the two as float32."""
    header = IRHeader(*header)
    if isinstance(header.label, numbers.Number):
        return _IR.pack(*header._replace(flag=0)) + s
    label = np.asarray(header.label, dtype=np.float32)
    return _IR.pack(*header._replace(flag=label.size, label=0)) + label.tobytes() + s


def unpack(s: bytes) -> tuple[Any, bytes]:
    """Header and bytes of a record; its label is an array if it holds several.

    Raises:
        MXNetError: it is too short for what its header says.
    """
    if len(s) < _IR.size:
        raise MXNetError(f"A packed record has at least {_IR.size} bytes, this one {len(s)}.")
    header = IRHeader(*_IR.unpack_from(s))
    s = s[_IR.size :]
    if header.flag > 0:
        if header.flag * 4 > len(s):
            raise MXNetError(f"A packed record says {header.flag} labels, but {len(s)} bytes follow its header.")
        header = header._replace(label=np.frombuffer(s, np.float32, header.flag))
        s = s[header.flag * 4 :]
    return header, s


def unpack_img(s: bytes, iscolor: int = -1) -> tuple[Any, np.ndarray[Any, Any]]:
    """Header and image of a record, (height, width, 3) in the order blue, green, red, or (height, width).

    Args:
        iscolor: 1 colour, 0 grey, -1 as it was stored.
    """
    from tensorkeep.mxnet.image._codec import decode

    header, packed = unpack(s)
    image = decode(packed, iscolor)
    return header, image[..., ::-1] if image.ndim == 3 else image


def pack_img(header: Any, img: np.ndarray[Any, Any], quality: int = 95, img_fmt: str = ".jpg") -> bytes:
    """Header and image as one record.

    Args:
        img: uint8, (height, width, 3) in the order blue, green, red, or (height, width).
        quality: of JPEG, 1 to 100; the compression of PNG, 0 to 9.
        img_fmt: ".jpg" or ".png".
    """
    from tensorkeep.mxnet.image._codec import encode

    return pack(header, encode(img[..., ::-1] if img.ndim == 3 else img, img_fmt, quality))


claim(globals())
