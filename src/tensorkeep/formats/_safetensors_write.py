"""Making safetensors files: the header with structure and checksums inside, and the plan of a whole file.

`_safetensors` says what the metadata keys mean, and reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tensorkeep.core.bounds import MAX_HEADER_NBYTES
from tensorkeep.core.hashing import XXH3_128, Digest
from tensorkeep.core.plan import Deferred, TensorSegment, WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import UnsupportedDataError
from tensorkeep.formats._safetensors import (
    CODES,
    FORMAT_KEY,
    HASHES_KEY,
    HEADER_KEY,
    NBYTES_KEY,
    STRUCTURE_KEY,
    header_hash,
)

__all__ = ["check_metadata", "code_of", "header_digits", "noting_header", "place_header", "plan_file"]

_CODE_OF = {dtype: code for code, dtype in CODES.items()}
_ZEROS = "0" * 32


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
    ours = {"format": "pt", **metadata, FORMAT_KEY: "1", NBYTES_KEY: str(data_nbytes)}
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
    total = sum(tensor.nbytes for tensor in tensors.values())
    make, length = _header_maker(order, entries, metadata, None, total, room - 8)
    raw = make(digests)
    assert len(raw) == 8 + length
    return raw


def header_digits(raw: bytes) -> str:
    """The header's checksum as it stands in a header of ours."""
    at = raw.index(f'"{HEADER_KEY}":"'.encode()) + len(HEADER_KEY) + 4
    return raw[at : at + 32].decode("ascii")


def noting_header(plan: WritePlan) -> list[bytes]:
    """A list that gets the header of a planned file when it is made: its checksum is wanted elsewhere too."""
    made: list[bytes] = []
    header = plan.segments[0]
    assert isinstance(header, Deferred)

    def make(digests: Mapping[str, Digest]) -> bytes:
        made.append(header.make(digests))
        return made[-1]

    plan.segments[0] = Deferred(header.nbytes, make)
    return made
