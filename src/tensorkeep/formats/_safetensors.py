"""The header of safetensors files: read it as a hard shell, make it with structure and checksums inside.

    u64 N | N bytes of JSON, padded with spaces | the tensors' bytes, without gaps

JSON: {"__metadata__": {str: str}, name: {"dtype", "shape", "data_offsets": [begin, end]}, …}; offsets count from the end of
the header. Source: the format section of the safetensors README and its reference reader (tensor.rs).

Ours carry, in `__metadata__` where every other reader ignores them:
    tensorkeep.format      "1"
    tensorkeep.structure   JSON of core.tree.encode; absent when the data is a flat dict of tensors
    tensorkeep.xxh3_128    32 hex digits a tensor, in the order of the header's entries
    tensorkeep.header      xxh3-128 of the length and the JSON, with these 32 digits as zeros
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import sub
from typing import Any, NamedTuple

from tensorkeep.core.bounds import MAX_DEPTH, MAX_HEADER_NBYTES, checked_nbytes
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.collector import collector_paused
from tensorkeep.core.dtypes import DTYPES, DType
from tensorkeep.core.hashing import XXH3_128, Digest
from tensorkeep.core.plan import Deferred, TensorSegment, WritePlan
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.core.tree import decode
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TruncatedFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)

__all__ = [
    "CODES",
    "FORMAT_KEY",
    "HASHES_KEY",
    "HEADER_KEY",
    "STRUCTURE_KEY",
    "Header",
    "check_metadata",
    "code_of",
    "decode_structure",
    "header_digits",
    "place_header",
    "plan_file",
    "read_header",
    "user_metadata",
]

FORMAT_KEY = "tensorkeep.format"
STRUCTURE_KEY = "tensorkeep.structure"
HASHES_KEY = "tensorkeep.xxh3_128"
HEADER_KEY = "tensorkeep.header"

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
_CODE_OF = {dtype: code for code, dtype in CODES.items()}

# An entry as the reference writer and ours print it; other spellings take the general JSON reader.
_ENTRY = re.compile(
    r'"([^"\\\x00-\x1f]*)":\{"dtype":"([A-Z0-9_]+)","shape":\[([0-9,]*)\],"data_offsets":\[([0-9]{1,19}),([0-9]{1,19})\]\}'
)
_ENTRY_FIXED = len('"":{"dtype":"","shape":[],"data_offsets":[,]},')

_ZEROS = "0" * 32


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
    with collector_paused():
        fast = _fast(text)
        metadata, entries = fast if fast is not None else _general(text, raw, name)
        header = Header(source, metadata, 8 + length)
        _check_header_hash(raw, metadata, name)
        _add_tensors(header, entries, whole)
    return header


def _fast(text: str) -> tuple[dict[str, str], Entries] | None:
    """Metadata and entries of a header in the usual spelling, in a third of the time; None for any other."""
    end = text.rfind("}") + 1
    # A streamed file has 256 KiB of padding: comparing it costs a tenth of stripping it.
    body = text[:end] if text[end:] == " " * (len(text) - end) else text.rstrip(" ")
    start = 1
    metadata: dict[str, str] = {}
    if body.startswith('{"__metadata__":{'):
        pairs = _metadata_span(body)
        if pairs is None:
            return None
        found, start = pairs
        metadata = found
        if body[start : start + 1] == ",":
            start += 1
        elif body[start:] != "}":
            return None
    if not body.endswith("}"):
        return None
    rows = _ENTRY.findall(body, start)
    # The entries and the commas between them must be all there is, so nothing hides between two matches.
    length = sum(map(len, map("".join, rows))) + _ENTRY_FIXED * len(rows)
    if start + max(length - 1, 0) + 1 != len(body) or (length == 0 and body[start:] != "}"):
        return None
    if not rows:
        return metadata, Entries((), (), (), [], [], {})
    names, codes, dims, begins, ends = zip(*rows, strict=True)
    try:
        shapes = {text: _dims(text) for text in set(dims)}
    except ValueError:
        return None
    return metadata, Entries(names, codes, dims, list(map(int, begins)), list(map(int, ends)), shapes)


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


def _check_header_hash(raw: bytes, metadata: Mapping[str, str], name: str) -> None:
    stored = metadata.get(HEADER_KEY)
    if stored is None:
        return
    if len(stored) != 32 or header_hash(raw, stored) != stored:
        raise CorruptFileError(
            f"{name}: the header's checksum does not fit it. A byte of the header was changed, or another program rewrote the "
            "file and copied tensorkeep's metadata along. Get the file again; if a program rewrote it, have it drop the "
            "metadata keys that begin with 'tensorkeep.'."
        )


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


def header_digits(raw: bytes) -> str:
    """The header's checksum as it stands in a header of ours."""
    at = raw.index(f'"{HEADER_KEY}":"'.encode()) + len(HEADER_KEY) + 4
    return raw[at : at + 32].decode("ascii")


def _add_tensors(header: Header, entries: Entries, whole: bool) -> None:
    source, base, name = header.source, header.data_offset, header.source.name
    available = source.size - base
    count = len(entries.names)
    hashes = header.metadata.get(HASHES_KEY, "") if FORMAT_KEY in header.metadata else ""
    if hashes and len(hashes) != 32 * count:
        raise CorruptFileError(
            f"{name}: {len(hashes) // 32} checksums stand beside {count} tensors. Another program changed the file; "
            f"have it drop the metadata keys that begin with 'tensorkeep.'."
        )
    header.hashed = bool(hashes) or (not count and FORMAT_KEY in header.metadata)
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
            _cut(header, entries)
        rows = {key: i for key, i in rows.items() if entries.ends[i] <= available}
    elif whole and [0, *entries.ends] != [*entries.begins, available]:
        _check_tiling(sorted(zip(entries.begins, entries.ends, strict=True)), available, name)
    header.tensors = _Tensors(source, base, rows, entries, hashes)


def _misfit(entries: Entries, spans: list[int], wanted: list[int], name: str) -> None:
    for i, key in enumerate(entries.names):
        if spans[i] != wanted[i] or entries.begins[i] < 0:
            raise CorruptFileError(
                f"{name}: tensor {key!r:.200} of {entries.codes[i]}{list(entries.shapes[entries.dims[i]])} takes {wanted[i]} "
                f"bytes, but its offsets are [{entries.begins[i]}, {entries.ends[i]}]. The file is damaged."
            )


class _Tensors(Mapping[str, Tensor]):
    """Name to Tensor, each made when first asked for: opening a file of 10,000 tensors makes none."""

    __slots__ = ("_base", "_entries", "_hashes", "_made", "_rows", "_source")

    def __init__(self, source: ByteSource, base: int, rows: dict[str, int], entries: Entries, hashes: str) -> None:
        self._source = source
        self._base = base
        self._rows = rows
        self._entries = entries
        self._hashes = hashes
        self._made: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        made = self._made.get(name)
        if made is None:
            i = self._rows[name]
            _, codes, dims, begins, ends, shapes = self._entries
            digest = Digest(XXH3_128, self._hashes[32 * i : 32 * i + 32]) if self._hashes else None
            extent = Extent(self._source, self._base + begins[i], ends[i] - begins[i])
            made = self._made[name] = Tensor(shapes[dims[i]], CODES[codes[i]], extent=extent, digest=digest)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows


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


def _cut(header: Header, entries: Entries) -> None:
    source, base = header.source, header.data_offset
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


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise UnsupportedDataError unless `metadata` maps strings to strings and leaves our keys alone."""
    for key, value in metadata.items():
        if type(key) is not str or type(value) is not str:
            raise UnsupportedDataError(
                f"metadata[{key!r:.80}] is a {type(value).__name__}; metadata maps str to str. Put numbers and other values "
                "into the data, beside the tensors."
            )
        if key.startswith("tensorkeep."):
            raise UnsupportedDataError(
                f"metadata[{key!r:.80}]: keys that begin with 'tensorkeep.' are ours. Rename it."
            )


def code_of(tensor: Tensor, name: str) -> str:
    """The dtype code of a tensor that is to be written.

    Raises:
        UnsupportedDataError: safetensors has no such dtype; the text names formats that have.
    """
    code = _CODE_OF.get(tensor.dtype)
    if code is None:
        hint = "Save it as .npz or .pt, which hold complex128" if tensor.dtype == "complex128" else "Convert it first"
        raise UnsupportedDataError(
            f"{name!r}: safetensors has no dtype {tensor.dtype} (it has {', '.join(sorted(set(CODES.values())))}). {hint}."
        )
    if tensor.dtype.packed and tensor.size * tensor.dtype.bits % 8:
        raise UnsupportedDataError(
            f"{name!r}: {tensor.spec} does not fill whole bytes, which safetensors needs. Pad it."
        )
    return code


def plan_file(
    format_name: str,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    structure: Any = None,
) -> WritePlan:
    """The WritePlan of one safetensors file: header (deferred, for the checksums), then the tensors.

    Data lie by descending alignment, then in the order given: every tensor is aligned to its item size, and the same
    input gives the same bytes. The header lists them in the order given.
    """
    check_metadata(metadata)
    shapes: dict[tuple[Any, ...], tuple[str, int]] = {}
    sizes: dict[str, int] = {}
    middles: dict[str, str] = {}
    widths: set[int] = set()
    for name, tensor in tensors.items():
        key = (tensor.shape, tensor.dtype)
        known = shapes.get(key)
        if known is None:
            known = shapes[key] = (_middle(code_of(tensor, name), tensor), tensor.nbytes)
            widths.add(tensor.dtype.itemsize)
        middles[name], sizes[name] = known
    order = list(tensors) if len(widths) < 2 else sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    offsets: dict[str, int] = {}
    at = 0
    for name in order:
        offsets[name] = at
        at += sizes[name]
    entries = [
        f"{_quoted(name)}{middle}{offsets[name]},{offsets[name] + sizes[name]}]}}" for name, middle in middles.items()
    ]
    make, length = _header_maker(list(tensors), entries, metadata, structure, at)
    plan = WritePlan(format_name, [Deferred(8 + length, make)], checksum=XXH3_128, tensors=len(tensors))
    plan.segments.extend([TensorSegment(name, tensors[name]) for name in order if sizes[name]])
    return plan


def _quoted(name: str) -> str:
    # The C function behind json.dumps(name, ensure_ascii=False), without its 2 µs of set-up.
    return json.encoder.encode_basestring(name)


def _middle(code: str, tensor: Tensor) -> str:
    return f':{{"dtype":"{code}","shape":[{",".join(map(str, tensor.shape))}],"data_offsets":['


# The data begin at a multiple of this: vector loads and mapped pages then never straddle.
_ALIGN_SMALL, _ALIGN_LARGE, _LARGE_NBYTES = 64, 4096, 1 << 20


def _header_maker(
    names: list[str],
    entries: list[str],
    metadata: Mapping[str, str],
    structure: Any,
    data_nbytes: int,
    at_least: int = 0,
) -> tuple[Callable[[Mapping[str, Digest]], bytes], int]:
    ours = {"format": "pt", **metadata, FORMAT_KEY: "1"}
    if structure is not None:
        ours[STRUCTURE_KEY] = json.dumps(structure, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    front = json.dumps(ours, ensure_ascii=False, separators=(",", ":"))[:-1] + f',"{HASHES_KEY}":"'
    back = f'","{HEADER_KEY}":"{_ZEROS}"}}' + "".join("," + entry for entry in entries) + "}"
    try:
        head, tail = ('{"__metadata__":' + front).encode(), back.encode()
    except UnicodeEncodeError as err:
        raise UnsupportedDataError(
            f"a name, key or string has a lone surrogate ({err.object[err.start : err.end]!r}), which UTF-8 cannot hold. Rename it."
        ) from err
    length = len(head) + 32 * len(names) + len(tail)
    align = _ALIGN_LARGE if data_nbytes >= _LARGE_NBYTES else _ALIGN_SMALL
    padded = max(-(-(8 + length) // align) * align - 8, at_least)
    if padded > MAX_HEADER_NBYTES:
        raise UnsupportedDataError(
            f"the header would take {padded} bytes, and safetensors allows {MAX_HEADER_NBYTES}. Save in shards: shard_size=…"
        )
    empty = _empty_hash() if names else ""

    def make(digests: Mapping[str, Digest]) -> bytes:
        hashes = "".join([digests[name].value if name in digests else empty for name in names])
        raw = b"".join((head, hashes.encode(), tail, b" " * (padded - length)))
        digits = header_hash(raw, _ZEROS).encode()
        at = raw.find(f'"{HEADER_KEY}":"'.encode()) + len(HEADER_KEY) + 4
        return b"".join((padded.to_bytes(8, "little"), raw[:at], digits, raw[at + 32 :]))

    return make, padded


def _empty_hash() -> str:
    from tensorkeep.core.hashing import digest_of

    return digest_of(b"").value


def place_header(
    tensors: Mapping[str, Tensor],
    offsets: Mapping[str, int],
    digests: Mapping[str, Digest],
    metadata: Mapping[str, str],
    room: int,
) -> bytes:
    """Length and JSON of a file whose data lie already, `room` bytes in all where that is enough, else longer.

    The tensors are listed in the order of their offsets.
    """
    order = sorted(tensors, key=lambda name: (offsets[name], tensors[name].nbytes))
    entries = [
        f"{_quoted(name)}{_middle(_CODE_OF[tensors[name].dtype], tensors[name])}{offsets[name]},"
        f"{offsets[name] + tensors[name].nbytes}]}}"
        for name in order
    ]
    make, length = _header_maker(order, entries, metadata, None, _LARGE_NBYTES, room - 8)
    raw = make(digests)
    assert len(raw) == 8 + length
    return raw


def decode_structure(stored: str, tensors: Mapping[str, Tensor], name: str) -> Any:
    """The tree from the JSON that the metadata holds."""
    from tensorkeep.formats._json import parse

    # A level of data takes up to two of JSON: ["d", [key, value]].
    structure = parse(stored.encode(), what=f"{name}: the stored structure", max_depth=2 * MAX_DEPTH + 4)
    return decode(structure, tensors, what=name)


def user_metadata(header: Header) -> dict[str, str]:
    """The metadata without our own keys."""
    return {key: value for key, value in header.metadata.items() if not key.startswith("tensorkeep.")}
