"""Sharded safetensors: an index with its shards, as one TensorFile; likewise a folder of safetensors files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorkeep.core.bounds import MAX_HEADER_NBYTES
from tensorkeep.core.bytesource import ByteSource, FileSource
from tensorkeep.core.hashing import XXH3_128
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TruncatedFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)
from tensorkeep.formats import Format
from tensorkeep.formats._json import parse
from tensorkeep.formats._safetensors import (
    HEADER_KEY,
    STRUCTURE_KEY,
    Header,
    decode_structure,
    read_header,
    user_metadata,
)
from tensorkeep.formats._shards import SHARDS_KEY, USER_KEY, check_index, safe_name

__all__ = ["FORMATS"]

_NUMBERED = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors")


def _open(source: ByteSource, unknown: str) -> TensorFile:
    name = source.name
    if not isinstance(source, FileSource):
        raise UnsupportedDataError(
            f"{name}: an index names files beside it, so it is opened by its path, not as bytes."
        )
    if source.size > MAX_HEADER_NBYTES:
        raise LimitError(f"{name}: the index has {source.size} bytes; at most {MAX_HEADER_NBYTES} are read.")
    raw = source.read(0, source.size)
    data = parse(raw, what=f"{name}: the index", max_depth=8)
    weight_map = data.get("weight_map") if type(data) is dict else None
    if type(weight_map) is not dict:
        raise UnsupportedFormatError(
            f"{name}: JSON without a weight_map; an index of shards maps tensor names to files there. It is no file of tensors."
        )
    metadata = data.get("metadata") or {}
    if type(metadata) is not dict:
        raise CorruptFileError(f"{name}: the index's metadata is no JSON object. The file is damaged.")
    check_index(raw, metadata, name)
    headers = _shards(source.path.parent, weight_map, name)
    try:
        return _join(source, headers, weight_map, metadata)
    except BaseException:
        _close(headers)
        raise


def _shards(folder: Path, weight_map: Mapping[str, Any], name: str) -> dict[str, Header]:
    files = list(dict.fromkeys(weight_map.values()) if all(type(f) is str for f in weight_map.values()) else [None])
    missing = [file for file in files if not (folder / safe_name(file, name)).is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise TruncatedFileError(
            f"{name}: {len(missing)} of {len(files)} shards are missing beside it: {shown}. Copy them into {folder}."
        )
    headers: dict[str, Header] = {}
    try:
        for file in files:
            headers[file] = read_header(FileSource(folder / file))
    except BaseException:
        _close(headers)
        raise
    return headers


def _close(headers: Mapping[str, Header]) -> None:
    for header in headers.values():
        header.source.close()


def _join(
    source: FileSource, headers: Mapping[str, Header], weight_map: Mapping[str, str], metadata: Mapping[str, Any]
) -> TensorFile:
    name = source.name
    expected = metadata.get(SHARDS_KEY)
    if type(expected) is dict:
        mixed = [file for file, header in headers.items() if header.metadata.get(HEADER_KEY) != expected.get(file)]
        if mixed:
            raise CorruptFileError(
                f"{name}: {', '.join(mixed[:3])} {'is' if len(mixed) == 1 else 'are'} not of the save that the index is of. "
                "Copy the index and all its shards together again."
            )
    tensors: dict[str, Tensor] = {}
    for key, file in weight_map.items():
        if key not in headers[file].tensors:
            raise CorruptFileError(
                f"{name}: the index puts {key!r:.200} into {file}, which has no such tensor. Copy both again."
            )
        tensors[key] = headers[file].tensors[key]
    extra = sum(len(header.tensors) for header in headers.values()) - len(tensors)
    stored = metadata.get(STRUCTURE_KEY)
    tree = None if type(stored) is not str else decode_structure(stored, tensors, name)
    user = metadata.get(USER_KEY)
    return TensorFile(
        source=source,
        path=name,
        format="safetensors-sharded",
        tensors=tensors,
        tree=tree,
        metadata=user if type(user) is dict else {k: v for k, v in metadata.items() if not k.startswith("tensorkeep.")},
        sources=[header.source for header in headers.values()],
        notes=[f"{len(headers)} shards", *([f"{extra} tensors in the shards are not in the index"] if extra else [])],
        checksum=XXH3_128 if headers and all(header.hashed for header in headers.values()) else None,
    )


def _open_folder(folder: Path, unknown: str) -> TensorFile:
    found = sorted(file for file in os.listdir(folder) if file.endswith(".safetensors.index.json"))
    if len(found) > 1:
        raise UnsupportedFormatError(
            f"{folder}: holds {len(found)} indexes: {', '.join(found[:5])}. Open one of them by its path."
        )
    return _open(FileSource(folder / found[0]), unknown)


def _open_loose(folder: Path, unknown: str) -> TensorFile:
    """A folder of .safetensors files without an index: numbered shards of one model, or a single file."""
    files = sorted(file for file in os.listdir(folder) if file.endswith(".safetensors") and not file.startswith("."))
    matches = [_NUMBERED.fullmatch(file) for file in files]
    stems = {(m["stem"], m["count"]) for m in matches if m}
    if len(files) > 1 and (not all(matches) or len(stems) > 1 or len(files) != int(next(iter(stems))[1])):
        raise UnsupportedFormatError(
            f"{folder}: holds {len(files)} safetensors files without an index, and they are not the shards of one model: "
            f"{', '.join(files[:5])}. Open one of them by its path."
        )
    headers: dict[str, Header] = {}
    tensors: dict[str, Tensor] = {}
    try:
        for file in files:
            headers[file] = read_header(FileSource(folder / file))
            double = next((key for key in headers[file].tensors if key in tensors), None)
            if double is not None:
                raise CorruptFileError(
                    f"{folder}: two shards hold a tensor named {double!r:.200}. Open one of them by its path."
                )
            tensors |= headers[file].tensors
    except BaseException:
        _close(headers)
        raise
    first = next(iter(headers.values()))
    stored = first.metadata.get(STRUCTURE_KEY) if len(headers) == 1 else None
    tree = None if stored is None else decode_structure(stored, tensors, str(folder))
    return TensorFile(
        source=None,
        path=str(folder),
        format="safetensors-folder",
        tensors=tensors,
        tree=tree,
        metadata=user_metadata(first),
        sources=[header.source for header in headers.values()],
        notes=[f"{len(headers)} files without an index"] if len(headers) > 1 else [files[0]],
        checksum=XXH3_128 if all(header.hashed for header in headers.values()) else None,
    )


FORMATS = {
    "safetensors-sharded": Format(
        name="safetensors-sharded",
        suffixes=(".safetensors.index.json",),
        open=_open,
        open_folder=_open_folder,
        holds="any nesting of tensors and plain values",
    ),
    "safetensors-folder": Format(name="safetensors-folder", suffixes=(), open_folder=_open_loose),
}
