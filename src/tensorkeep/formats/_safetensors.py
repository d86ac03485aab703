"""The header of safetensors files, read as a hard shell; `_safetensors_write` makes it.

    u64 N | N bytes of JSON, padded with spaces | the tensors' bytes, without gaps

JSON: {"__metadata__": {str: str}, name: {"dtype", "shape", "data_offsets": [begin, end]}, …}; offsets count from the end of
the header. Source: the format section of the safetensors README and its reference reader (tensor.rs).

Ours carry, in `__metadata__` where every other reader ignores them:
    tensorkeep.format      "1"
    tensorkeep.structure   JSON of core.tree.encode; absent when the data is a flat dict of tensors
    tensorkeep.xxh3_128    32 hex digits a tensor, in the order of the header's entries
    tensorkeep.nbytes      the bytes of all tensors together
    tensorkeep.header      xxh3-128 of the length and the JSON, with these 32 digits as zeros
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from operator import sub
from typing import Any, NamedTuple

from tensorkeep.core.bounds import MAX_DEPTH, MAX_HEADER_NBYTES, checked_nbytes
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.collector import collector_paused
from tensorkeep.core.dtypes import DTYPES, DType
from tensorkeep.core.hashing import XXH3_128, Digest
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.core.tree import decode
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TruncatedFileError,
    UnsupportedFormatError,
)

__all__ = [
    "CODES",
    "FORMAT_KEY",
    "HASHES_KEY",
    "HEADER_KEY",
    "NBYTES_KEY",
    "STRUCTURE_KEY",
    "Header",
    "decode_structure",
    "header_hash",
    "read_header",
    "user_metadata",
]

FORMAT_KEY = "tensorkeep.format"
STRUCTURE_KEY = "tensorkeep.structure"
HASHES_KEY = "tensorkeep.xxh3_128"
HEADER_KEY = "tensorkeep.header"
NBYTES_KEY = "tensorkeep.nbytes"

CODES: dict[str, DType] = {
    code: DTYPES[name]
    for code, name in (
        ("BOOL", "bool"),
        ("F4", "float4_e2m1fn"),
        ("F6_E2M3", "float6_e2m3fn"),
        ("F6_E3M2", "float6_e3m2fn"),
        ("U8", "uint8"),
        ("I8", "int8"),
        ("F8_E5M2", "float8_e5m2"),
        ("F8_E4M3", "float8_e4m3fn"),
        ("F8_E8M0", "float8_e8m0fnu"),
        ("F8_E4M3FNUZ", "float8_e4m3fnuz"),
        ("F8_E5M2FNUZ", "float8_e5m2fnuz"),
        ("I16", "int16"),
        ("U16", "uint16"),
        ("F16", "float16"),
        ("BF16", "bfloat16"),
        ("I32", "int32"),
        ("U32", "uint32"),
        ("F32", "float32"),
        ("C64", "complex64"),
        ("F64", "float64"),
        ("I64", "int64"),
        ("U64", "uint64"),
    )
}

# An entry as the reference writer and ours print it; other spellings take the general JSON reader.
_ENTRY = re.compile(
    r'"([^"\\\x00-\x1f]*)":\{"dtype":"([A-Z0-9_]+)","shape":\[([0-9,]*)\],"data_offsets":\[([0-9]{1,19}),([0-9]{1,19})\]\}'
)
_ENTRY_FIXED = len('"":{"dtype":"","shape":[],"data_offsets":[,]},')

_ZEROS = "0" * 32

LAZY_FROM_NBYTES = 1 << 16
"""A header from this size on (some 400 tensors) is read entry by entry when one is asked for; below, all takes 0.4 ms."""


class Entries(NamedTuple):
    """The entries of a header in its order, by column: checks then run over whole lists, a third of the time."""

    names: Sequence[str]
    codes: Sequence[str]
    dims: Sequence[Any]
    begins: list[int]
    ends: list[int]
    shapes: dict[Any, tuple[int, ...]]
    """What each of `dims` means."""


class Header:
    """What a safetensors header says, checked: the Tensors in its order, the metadata, where the data begin.

    Attributes:
        tensors: name to Tensor.
        metadata: all of `__metadata__`.
        data_offset: where the tensors' bytes begin in the source.
        hashed: whether every tensor has a digest.
    """

    __slots__ = ("data_offset", "hashed", "metadata", "source", "tensors")

    def __init__(self, source: ByteSource, metadata: dict[str, str], data_offset: int) -> None:
        self.source = source
        self.metadata = metadata
        self.data_offset = data_offset
        self.tensors: Mapping[str, Tensor] = {}
        self.hashed = False


def read_header(source: ByteSource, *, whole: bool = True) -> Header:
    """The checked header of `source`.

    Args:
        whole: the data must end where the file ends; False reads the header of a cut file, for salvage.
    Raises:
        TruncatedFileError, CorruptFileError, LimitError, UnsupportedFormatError: what is wrong, and where.
    """
    name = source.name
    if source.size < 8:
        raise TruncatedFileError(
            f"{name}: a safetensors file begins with 8 bytes of length, this one has {source.size} bytes. Copy it again."
        )
    length = int.from_bytes(source.read(0, 8), "little")
    if length > MAX_HEADER_NBYTES:
        raise LimitError(
            f"{name}: the first 8 bytes give a header of {length} bytes; at most {MAX_HEADER_NBYTES} are allowed by the format. "
            "It is no safetensors file, or a damaged one."
        )
    if 8 + length > source.size:
        raise TruncatedFileError(
            f"{name}: the header ends at byte {8 + length}, but the file has {source.size}. No tensor is whole. Copy it again."
        )
    raw = source.read(8, length)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as err:
        raise CorruptFileError(
            f"{name}: byte {8 + err.start} of the header is not UTF-8. The file is damaged."
        ) from err
    if not text.startswith("{"):
        raise CorruptFileError(f"{name}: the header at byte 8 begins with {text[:1]!r}, not '{{'. The file is damaged.")
    usual = _metadata(text)
    if usual is None:
        with collector_paused():
            metadata, entries = _general(text, raw, name)
        start = 0
    else:
        (metadata, start), entries = usual, None
    header = Header(source, metadata, 8 + length)
    hashes = metadata.get(HASHES_KEY, "") if FORMAT_KEY in metadata else ""
    sealed = _check_header_hash(raw, metadata, name) and metadata.get(NBYTES_KEY) == str(source.size - 8 - length)
    tensors = _Tensors(header, text, start, hashes, raw, whole)
    if entries is not None or not (sealed and length >= LAZY_FROM_NBYTES):
        tensors.parse(entries)
    # Of a file that nobody cut is known without a look at the entries that the checksum seals whether they are hashed.
    header.hashed = bool(hashes) or (FORMAT_KEY in metadata and not len(tensors))
    header.tensors = tensors
    return header


def _metadata(text: str) -> tuple[dict[str, str], int] | None:
    """The metadata of a header in the usual spelling, and where its entries begin; None for any other spelling."""
    if not text.startswith('{"__metadata__":{'):
        # They may stand elsewhere, or be spelt with spaces or escapes, as other writers do.
        return None if "__metadata__" in text or "\\" in text else ({}, 1)
    found = _metadata_span(text)
    if found is None:
        return None
    metadata, at = found
    if text[at : at + 1] == ",":
        return metadata, at + 1
    return (metadata, at) if text[at : at + 1] == "}" else None


def _fast(text: str, start: int) -> Entries | None:
    """The entries of a header in the usual spelling, in a third of the time; None for any other."""
    end = text.rfind("}") + 1
    # A streamed file has 256 KiB of padding: comparing it costs a tenth of stripping it.
    body = text[:end] if text[end:] == " " * (len(text) - end) else text.rstrip(" ")
    if not body.endswith("}"):
        return None
    rows = _ENTRY.findall(body, start)
    # The entries and the commas between them must be all there is, so nothing hides between two matches.
    length = sum(map(len, map("".join, rows))) + _ENTRY_FIXED * len(rows)
    if start + max(length - 1, 0) + 1 != len(body) or (length == 0 and body[start:] != "}"):
        return None
    if not rows:
        return Entries((), (), (), [], [], {})
    names, codes, dims, begins, ends = zip(*rows, strict=True)
    try:
        shapes = {text: _dims(text) for text in set(dims)}
    except ValueError:
        return None
    return Entries(names, codes, dims, list(map(int, begins)), list(map(int, ends)), shapes)


def _dims(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    dims = text.split(",")
    for dim in dims:
        if len(dim) > 19 or (dim[:1] == "0" and dim != "0") or not dim:
            raise ValueError(text)
    return tuple(map(int, dims))


# Runs without escapes in one step (possessive: Python 3.11), for checksums are half of a header with many tensors.
_STRING = r'"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+"'
_PAIR = re.compile(rf"({_STRING}):({_STRING})([,}}])")


def _metadata_span(body: str) -> tuple[dict[str, str], int] | None:
    at = len('{"__metadata__":{')
    metadata: dict[str, str] = {}
    if body[at : at + 1] == "}":
        return metadata, at + 1
    while True:
        match = _PAIR.match(body, at)
        if match is None:
            return None
        key, value, after = match.groups()
        key = json.loads(key) if "\\" in key else key[1:-1]
        if key in metadata:
            return None
        metadata[key] = json.loads(value) if "\\" in value else value[1:-1]
        at = match.end()
        if after == "}":
            return metadata, at


def _general(text: str, raw: bytes, name: str) -> tuple[dict[str, str], Entries]:
    from tensorkeep.formats._json import parse

    if text.rstrip("\0") != text:
        raise CorruptFileError(f"{name}: the header is padded with zero bytes, not spaces. The file is damaged.")
    data = parse(raw, what=f"{name}: the header", max_depth=4)
    if type(data) is not dict:
        raise CorruptFileError(f"{name}: the header is not a JSON object. The file is damaged.")
    metadata = data.pop("__metadata__", {})
    if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
        raise CorruptFileError(f"{name}: __metadata__ does not map strings to strings. The file is damaged.")
    names: list[str] = []
    codes: list[str] = []
    all_dims: list[tuple[int, ...]] = []
    entries = Entries(names, codes, all_dims, [], [], {})
    for key, entry in data.items():
        if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise CorruptFileError(
                f"{name}: the entry of tensor {key!r:.200} does not consist of dtype, shape and data_offsets. The file is damaged."
            )
        code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if type(code) is not str or type(shape) is not list or type(offsets) is not list or len(offsets) != 2:
            raise CorruptFileError(f"{name}: the entry of tensor {key!r:.200} is malformed. The file is damaged.")
        if not all(type(offset) is int for offset in offsets):
            raise CorruptFileError(f"{name}: tensor {key!r:.200} has offsets {offsets!r:.80}. The file is damaged.")
        if not all(type(dim) is int for dim in shape):
            raise CorruptFileError(f"{name}: tensor {key!r:.200} has the shape {shape!r:.80}. The file is damaged.")
        dims = tuple(shape)
        entries.shapes[dims] = dims
        names.append(key)
        codes.append(code)
        all_dims.append(dims)
        entries.begins.append(offsets[0])
        entries.ends.append(offsets[1])
    return metadata, entries


def _check_header_hash(raw: bytes, metadata: Mapping[str, str], name: str) -> bool:
    """Whether the header has a checksum, which then fits it."""
    stored = metadata.get(HEADER_KEY)
    if stored is None:
        return False
    if len(stored) != 32 or header_hash(raw, stored) != stored:
        raise CorruptFileError(
            f"{name}: the header's checksum does not fit it. A byte of the header was changed, or another program rewrote the "
            "file and copied tensorkeep's metadata along. Get the file again; if a program rewrote it, have it drop the "
            "metadata keys that begin with 'tensorkeep.'."
        )
    return True


def header_hash(raw: bytes, digits: str) -> str:
    """xxh3-128 of the length and the JSON `raw`, with the hash's own digits as zeros."""
    import xxhash

    marker = f'"{HEADER_KEY}":"'.encode()
    at = raw.find(marker) + len(marker)
    state = xxhash.xxh3_128(len(raw).to_bytes(8, "little"))
    state.update(raw[:at])
    state.update(_ZEROS.encode())
    state.update(memoryview(raw)[at + 32 :])
    return state.hexdigest()


def _checked(source: ByteSource, base: int, entries: Entries, *, whole: bool) -> dict[str, int]:
    """Name to position of each entry, after all checks; of a cut file those that are whole, when `whole` is not asked."""
    name = source.name
    available = source.size - base
    count = len(entries.names)
    kinds = list(zip(entries.codes, entries.dims, strict=True))
    sizes = {kind: _entry_nbytes(entries, kind, name) for kind in dict.fromkeys(kinds)}
    spans = list(map(sub, entries.ends, entries.begins))
    wanted = [sizes[kind] for kind in kinds]
    if spans != wanted or (entries.begins and min(entries.begins) < 0):
        _misfit(entries, spans, wanted, name)
    rows = dict(zip(entries.names, range(count), strict=True))
    if len(rows) != count:
        double = Counter(entries.names).most_common(1)[0][0]
        raise CorruptFileError(f"{name}: two tensors are named {double!r:.200}. The file is damaged or hostile.")
    if max(entries.ends, default=0) > available:
        if whole:
            _cut(source, base, entries)
        rows = {key: i for key, i in rows.items() if entries.ends[i] <= available}
    elif whole and [0, *entries.ends] != [*entries.begins, available]:
        _check_tiling(sorted(zip(entries.begins, entries.ends, strict=True)), available, name)
    return rows


def _misfit(entries: Entries, spans: list[int], wanted: list[int], name: str) -> None:
    for i, key in enumerate(entries.names):
        if spans[i] != wanted[i] or entries.begins[i] < 0:
            raise CorruptFileError(
                f"{name}: tensor {key!r:.200} of {entries.codes[i]}{list(entries.shapes[entries.dims[i]])} takes {wanted[i]} "
                f"bytes, but its offsets are [{entries.begins[i]}, {entries.ends[i]}]. The file is damaged."
            )


class _Tensors(Mapping[str, Tensor]):
    """Name to Tensor, each made when first asked for.

    The entries of a header of `LAZY_FROM_NBYTES` and more whose checksum fits are read when they are first counted or
    listed; until then a tensor that is asked for by name is found by a search in the text, so that opening a file of
    10,000 tensors for one of them takes a millisecond. What is found so has passed the same checks, of itself.
    """

    __slots__ = ("_entries", "_hashes", "_header", "_made", "_raw", "_rows", "_start", "_text", "_whole")

    def __init__(self, header: Header, text: str, start: int, hashes: str, raw: bytes, whole: bool) -> None:
        self._header = header
        self._text = text
        self._start = start
        self._hashes = hashes
        self._raw = raw
        self._whole = whole
        self._rows: dict[str, int] | None = None
        self._entries: Entries | None = None
        self._made: dict[str, Tensor] = {}

    def parse(self, entries: Entries | None = None) -> dict[str, int]:
        """Read and check all entries (unless they are given); name to position."""
        if self._rows is None:
            source = self._header.source
            with collector_paused():
                if entries is None:
                    entries = _fast(self._text, self._start)
                if entries is None:
                    _, entries = _general(self._text, self._raw, source.name)
                count = len(entries.names)
                if self._hashes and len(self._hashes) != 32 * count:
                    raise CorruptFileError(
                        f"{source.name}: {len(self._hashes) // 32} checksums stand beside {count} tensors. Another program "
                        "changed the file; have it drop the metadata keys that begin with 'tensorkeep.'."
                    )
                self._rows = _checked(source, self._header.data_offset, entries, whole=self._whole)
            self._entries = entries
            self._text, self._raw = "", b""
        return self._rows

    def __getitem__(self, name: str) -> Tensor:
        made = self._made.get(name)
        if made is None:
            made = self._search(name) if self._rows is None else None
            if made is None:
                i = self.parse()[name]
                assert self._entries is not None
                _, codes, dims, begins, ends, shapes = self._entries
                made = self._tensor(i, shapes[dims[i]], codes[i], begins[i], ends[i])
            self._made[name] = made
        return made

    def _tensor(self, i: int, shape: tuple[int, ...], code: str, begin: int, end: int) -> Tensor:
        digest = Digest(XXH3_128, self._hashes[32 * i : 32 * i + 32]) if self._hashes else None
        extent = Extent(self._header.source, self._header.data_offset + begin, end - begin)
        return Tensor(shape, CODES[code], extent=extent, digest=digest)

    def _search(self, name: str) -> Tensor | None:
        """The Tensor of one entry, found in the text; None to have all entries read, for whatever is wrong with it."""
        if type(name) is not str:
            return None
        # Inside a string of the JSON every quote has a backslash before it: this text can only be an entry's beginning.
        at = self._text.find(f'{json.encoder.encode_basestring(name)}:{{"dtype":"', self._start)
        match = _ENTRY.match(self._text, at) if at >= self._start and self._text[at - 1] in ",{" else None
        if match is None:
            return None
        _, code, dims, begin_text, end_text = match.groups()
        begin, end = int(begin_text), int(end_text)
        i = self._text.count('":{"dtype":"', self._start, at)
        dtype = CODES.get(code)
        try:
            shape = _dims(dims)
        except ValueError:
            return None
        if dtype is None or dtype.packed or 32 * i + 32 > (len(self._hashes) or 32 * i + 32):
            return None
        if checked_nbytes(shape, dtype.bits, what=self._header.source.name) != end - begin:
            return None
        if end > self._header.source.size - self._header.data_offset:
            return None
        return self._tensor(i, shape, code, begin, end)

    def _all(self) -> dict[str, Tensor]:
        rows = self.parse()
        if len(self._made) != len(rows):
            assert self._entries is not None
            _, codes, dims, begins, ends, shapes = self._entries
            source, base, hashes = self._header.source, self._header.data_offset, self._hashes
            new = tuple.__new__  # a NamedTuple's own constructor takes three times as long
            made: dict[str, Tensor] = {}
            with collector_paused():
                for name, i in rows.items():
                    found = self._made.get(name)
                    if found is None:
                        extent = new(Extent, (source, base + begins[i], ends[i] - begins[i], None, False))
                        digest = new(Digest, (XXH3_128, hashes[32 * i : 32 * i + 32])) if hashes else None
                        found = Tensor(shapes[dims[i]], CODES[codes[i]], extent=extent, digest=digest)
                    made[name] = found
            self._made = made
        return self._made

    def items(self) -> ItemsView[str, Tensor]:
        return self._all().items()

    def values(self) -> ValuesView[Tensor]:
        return self._all().values()

    def __iter__(self) -> Iterator[str]:
        return iter(self.parse())

    def __len__(self) -> int:
        return len(self.parse())

    def __contains__(self, name: object) -> bool:
        return name in self.parse()


def _entry_nbytes(entries: Entries, kind: tuple[str, Any], name: str) -> int:
    code, shape = kind[0], entries.shapes[kind[1]]
    key = next(key for key, *each in zip(*entries[:3], strict=True) if tuple(each) == kind)
    what = f"{name}: tensor {key!r:.200}"
    dtype = CODES.get(code)
    if dtype is None:
        raise UnsupportedFormatError(f"{what} has the dtype {code!r:.40}; known are {', '.join(CODES)}.")
    nbytes = checked_nbytes(shape, dtype.bits, what=what)
    if dtype.packed and math.prod(shape) * dtype.bits % 8:
        raise CorruptFileError(f"{what} of {code}{list(shape)} does not fill whole bytes. The file is damaged.")
    return nbytes


def _cut(source: ByteSource, base: int, entries: Entries) -> None:
    needed = base + max(entries.ends)
    intact = sum(1 for end in entries.ends if base + end <= source.size)
    raise TruncatedFileError(
        f"{source.name} is cut: {source.size} of {needed} bytes are present, {intact} of {len(entries.ends)} tensors are whole. "
        f"Copy it again, or save what is whole: tkeep repair {source.name} --salvage OUT.safetensors"
    )


def _check_tiling(spans: list[tuple[int, int]], available: int, name: str) -> None:
    at = 0
    for begin, end in spans:
        if begin != at:
            kind = "overlap" if begin < at else "leave a hole"
            raise CorruptFileError(
                f"{name}: tensors {kind} at byte {min(begin, at)} of the data; they must lie one after the other. "
                "The file is damaged or hostile."
            )
        at = end
    if at != available:
        raise CorruptFileError(
            f"{name}: {available - at} bytes follow the last tensor, which the format does not allow. "
            "The file is damaged, or something was appended to it."
        )


def decode_structure(stored: str, tensors: Mapping[str, Tensor], name: str) -> Any:
    """The tree from the JSON that the metadata holds."""
    from tensorkeep.formats._json import parse

    # A level of data takes up to two of JSON: ["d", [key, value]].
    structure = parse(stored.encode(), what=f"{name}: the stored structure", max_depth=2 * MAX_DEPTH + 4)
    return decode(structure, tensors, what=name)


def user_metadata(header: Header) -> dict[str, str]:
    """The metadata without our own keys."""
    return {key: value for key, value in header.metadata.items() if not key.startswith("tensorkeep.")}
