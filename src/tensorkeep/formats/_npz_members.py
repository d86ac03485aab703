"""The members of an .npz archive as Tensors: stored ones as ranges of the file, deflated ones inflated when asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tensorkeep.core.bounds import MAX_NDIM, checked_product
from tensorkeep.core.bytesource import BufferSource, ByteSource
from tensorkeep.core.dtypes import DType, numpy_dtype
from tensorkeep.core.hashing import CRC32, Digest
from tensorkeep.core.tensor import Extent, SparseTensor, Tensor
from tensorkeep.errors import CorruptFileError, LimitError
from tensorkeep.formats import _npy
from tensorkeep.formats._zip import STORED, Entry, blocks, read
from tensorkeep.formats._zip_records import crc_of_both

__all__ = ["Head", "Members", "Tensors", "groups", "read_group"]

_SMALL_NBYTES = 1 << 12
"""What `shape` and `format` of a sparse array take, at most."""


class Head(NamedTuple):
    """What a member's header says; the same header bytes say the same."""

    shape: tuple[int, ...]
    dtype: DType
    big_endian: bool
    strides: tuple[int, ...] | None
    start: int
    nbytes: int
    crc: int

    @property
    def plain(self) -> bool:
        """Whether the elements lie as a file of ours has them: little-endian and in C order."""
        return self.strides is None and not self.big_endian


class Members:
    """Reads the members of one archive; `tensor(entry)` is what it is for.

    Most arrays of a model have one of a few shapes, so that a header is parsed once for all that have the same bytes.
    """

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.notes: dict[str, str] = {}
        self._whole = source.whole()
        self._heads: dict[bytes, Head] = {}
        self._usual = 128

    def head(self, entry: Entry) -> Head:
        """What the header of a member says, checked against the member's size.

        Raises: as `_npy.prefix`, `_npy.parse` and `_npy.dtype_of`; CorruptFileError when it has another size.
        """
        head = None
        if self._whole is not None and entry[1] == STORED:  # the same bytes as the header of the array before?
            offset = entry[5]
            head = self._heads.get(bytes(self._whole[offset : offset + self._usual]))
        if head is None:
            head = self._read_head(entry)
            self._usual = head.start
        if head.start + head.nbytes != entry[4]:
            raise CorruptFileError(
                f"{self.what(entry)}: the array {head.dtype}{list(head.shape)} takes {head.nbytes} bytes behind its "
                f"header of {head.start}, but the member has {entry.nbytes}. The file is damaged or hostile."
            )
        return head

    def _read_head(self, entry: Entry) -> Head:
        raw, begin = self._start(entry, 10), 10
        if raw[6:7] == b"\x01" and len(raw) == 10:
            length = int.from_bytes(raw[8:10], "little")
        else:
            begin, length = _npy.prefix(self._start(entry, _npy.PREFIX_NBYTES), what=self.what(entry))
        raw = self._start(entry, begin + length)
        head = self._heads.get(raw)
        if head is None:
            head = self._heads[raw] = self._parse(entry, raw)
        return head

    def tensor(self, entry: Entry) -> Tensor:
        """The array of a member. Raises: as `head`."""
        return self.made(entry, self.head(entry))

    def made(self, entry: Entry, head: Head) -> Tensor:
        """The array of a member whose header was read."""
        # The archive's CRC covers the header too; taking that part out of it costs one XOR.
        digest = Digest(CRC32, f"{entry.crc ^ head.crc:08x}")
        if head.plain and entry.method == STORED:
            extent = Extent(self.source, entry.offset + head.start, head.nbytes)
            return Tensor(head.shape, head.dtype, extent=extent, digest=digest)
        make = self._maker(entry, head)
        return Tensor(head.shape, head.dtype, make=make, digest=digest if head.plain else None)

    def what(self, entry: Entry) -> str:
        return f"{self.source.name}: member {entry.name!r:.200}"

    def _start(self, entry: Entry, nbytes: int) -> bytes:
        """At most the first `nbytes` bytes of a member."""
        if entry.method == STORED:
            stop = min(nbytes, entry.nbytes)
            if self._whole is not None:
                return bytes(self._whole[entry.offset : entry.offset + stop])
            return self.source.read(entry.offset, stop)
        inflate, made = zlib.decompressobj(-15), b""
        for at in range(0, entry.stored_nbytes, _SMALL_NBYTES):
            piece = self.source.read(entry.offset + at, min(_SMALL_NBYTES, entry.stored_nbytes - at))
            try:
                made += inflate.decompress(piece, nbytes - len(made))
            except zlib.error as err:
                raise CorruptFileError(f"{self.what(entry)} does not inflate ({err}); get another copy.") from None
            if len(made) >= nbytes:
                break
        return made

    def _parse(self, entry: Entry, raw: bytes) -> Head:
        what = self.what(entry)
        begin, length = _npy.prefix(raw[: _npy.PREFIX_NBYTES], what=what)
        if begin + length > len(raw):
            raise CorruptFileError(f"{what}: ends inside the header of its array. The file is damaged or hostile.")
        header = _npy.parse(raw[begin:], what=what)
        dtype, big_endian = _npy.dtype_of(header, what=what)
        nbytes = _npy.nbytes_of(header, dtype, what=what)
        if header.descr in _npy.GUESSED:
            self.notes[header.descr] = _npy.guess_note(header.descr, f"{entry.name!r} (and others of this type)")
        crc = crc_of_both(zlib.crc32(raw), 0, nbytes)
        return Head(header.shape, dtype, big_endian, _npy.strides_of(header), len(raw), nbytes, crc)

    def _maker(self, entry: Entry, head: Head) -> Callable[[], Any]:
        # Where the bytes are as a file of ours would hold them, the digest guards them; elsewhere the CRC does here.
        source = self.source

        def make() -> Any:
            import numpy as np

            try:
                raw = np.empty(entry.nbytes, np.uint8)
            except MemoryError:
                raise LimitError(f"{self.what(entry)}: its {entry.nbytes} bytes do not fit into memory.") from None
            at = 0
            for piece in blocks(source, entry, verify=not head.plain):
                raw[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
                at += len(piece)
            if head.plain:
                return raw[head.start :].view(numpy_dtype(head.dtype)).reshape(head.shape)
            inside = Extent(BufferSource(raw.data), head.start, head.nbytes, head.strides, head.big_endian)
            return Tensor(head.shape, head.dtype, extent=inside).numpy()

        return make


class Tensors(Mapping[str, Tensor | SparseTensor]):
    """Name to tensor, each made when first asked for: opening an archive of 10,000 arrays makes none."""

    def __init__(self, members: Members) -> None:
        self.members = members
        self.rows: dict[str, SparseTensor | tuple[Entry, Head]] = {}
        self._made: dict[str, Tensor] = {}

    def add(self, name: str, row: SparseTensor | tuple[Entry, Head]) -> None:
        """Raises CorruptFileError when the name is taken (a sparse array `w/` beside an array `w`)."""
        if name in self.rows:
            raise CorruptFileError(
                f"{self.members.source.name}: two arrays are named {name!r:.200}. The file is damaged."
            )
        self.rows[name] = row

    def __getitem__(self, name: str) -> Tensor | SparseTensor:
        made = self._made.get(name)
        if made is None:
            row = self.rows[name]
            if isinstance(row, SparseTensor):
                return row
            made = self._made[name] = self.members.made(*row)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, name: object) -> bool:
        return name in self.rows


def groups(entries: Mapping[str, Entry], members: Members) -> dict[str, str]:
    """The sparse arrays in an archive: prefix of their members ("w/", or "") to the format that is named there."""
    found = {}
    for name in entries:
        if not name.endswith("format.npy"):
            continue
        prefix = name[: -len("format.npy")]
        if (not prefix or prefix[-1] == "/") and f"{prefix}data.npy" in entries and f"{prefix}shape.npy" in entries:
            kind = _format_of(entries[name], members)
            if kind is not None:
                found[prefix] = kind
    return found


def _format_of(entry: Entry, members: Members) -> str | None:
    """The text in a `format.npy`; None when it holds numbers.

    MXNet 2.0 writes a malformed header, `{'descr': '|s3{'descr': '<i8', …`, so that the text is what follows the header.
    """
    if entry.nbytes > _SMALL_NBYTES:
        return None
    raw = read(members.source, entry, max_nbytes=_SMALL_NBYTES)
    begin, length = _npy.prefix(raw[: _npy.PREFIX_NBYTES], what=members.what(entry))
    literal, text = raw[begin : begin + length], raw[begin + length :]
    if literal.startswith((b"{'descr': '|s", b"{'descr': '|S")):
        return text.rstrip(b"\0").decode("ascii", "replace")
    if literal.startswith((b"{'descr': '<U", b"{'descr': '>U")):
        coding = "utf-32-le" if literal[11:12] == b"<" else "utf-32-be"
        return text.decode(coding, "replace").rstrip("\0")
    return None


_PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "row_sparse": ("data", "indices"),
    "coo": ("data", "row", "col"),
}


def read_group(
    entries: Mapping[str, Entry], members: Members, prefix: str, kind: str
) -> tuple[SparseTensor, set[str]] | None:
    """A sparse array and the names of the members that it consists of; None when it is of a kind that is not known.

    Raises:
        CorruptFileError: a part is missing, or its shape is no list of dimensions.
    """
    parts = _PARTS.get(kind)
    if parts is None:
        return None
    if kind == "coo" and f"{prefix}coords.npy" in entries:
        parts = ("data", "coords")
    missing = [part for part in parts if f"{prefix}{part}.npy" not in entries]
    if missing:
        raise CorruptFileError(
            f"{members.source.name}: the {kind} array {prefix.rstrip('/')!r:.200} lacks its {' and '.join(missing)}. "
            "The file is damaged or hostile."
        )
    shape = _shape_of(entries[f"{prefix}shape.npy"], members)
    tensors = [members.tensor(entries[f"{prefix}{part}.npy"]) for part in parts]
    if kind == "coo" and len(tensors) == 3:
        tensors = [tensors[0], _stacked(tensors[1], tensors[2], members)]
    names = {f"{prefix}{part}.npy" for part in (*parts, "shape", "format", "_is_array")}
    return SparseTensor(kind, shape, *tensors), names


def _stacked(rows: Tensor, columns: Tensor, members: Members) -> Tensor:
    if rows.shape != columns.shape or len(rows.shape) != 1 or rows.dtype != columns.dtype:
        raise CorruptFileError(
            f"{members.source.name}: a coo array has rows {rows.spec} beside columns {columns.spec}. The file is damaged."
        )

    def make() -> Any:
        import numpy as np

        return np.stack([rows.numpy(), columns.numpy()])

    return Tensor((2, *rows.shape), rows.dtype, make=make)


def _shape_of(entry: Entry, members: Members) -> tuple[int, ...]:
    head = members.head(entry)
    kind, count = head.dtype.kind, head.nbytes // head.dtype.itemsize
    if entry.nbytes > _SMALL_NBYTES or kind not in ("int", "uint") or len(head.shape) != 1 or count > MAX_NDIM:
        raise CorruptFileError(
            f"{members.what(entry)}: {head.dtype}{list(head.shape)} cannot be the shape of an array."
        )
    raw = read(members.source, entry, max_nbytes=_SMALL_NBYTES)[head.start :]
    width = head.dtype.itemsize
    pieces = [raw[at : at + width] for at in range(0, len(raw), width)]
    shape = tuple(int.from_bytes(p, "big" if head.big_endian else "little", signed=kind == "int") for p in pieces)
    checked_product(shape, what=members.what(entry))
    return shape
