"""The index of a sharded safetensors file: `model.safetensors.index.json` beside `model-00001-of-00003.safetensors` …

JSON: {"metadata": {"total_size": bytes, …}, "weight_map": {tensor name: file name}}, as the Hugging Face tools write and read
it. Ours keep in `metadata` what other readers ignore: the structure, the caller's metadata, the header checksum of every shard
(so that shards of two saves are never mixed), and a checksum of the index itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import Content, encode, is_flat
from tensorkeep.errors import CorruptFileError, UnsafeFileError, UnsupportedDataError
from tensorkeep.formats._safetensors import FORMAT_KEY, HEADER_KEY, STRUCTURE_KEY
from tensorkeep.formats._safetensors_write import check_metadata, code_of

__all__ = ["SHARDS_KEY", "USER_KEY", "check_index", "group", "index_bytes", "safe_name", "shard_name", "shard_pattern"]

SHARDS_KEY = "tensorkeep.shards"
USER_KEY = "tensorkeep.metadata"

_ZEROS = "0" * 32
_MARKER = f'"{HEADER_KEY}": "'.encode()


def group(content: Content, shard_nbytes: int) -> list[dict[str, Tensor]]:
    """The tensors in their order, in groups of at most `shard_nbytes` (a larger tensor stands alone); at least one group."""
    check_metadata(content.metadata)
    groups: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in content.tensors.items():
        code_of(tensor, name)
        if groups[-1] and filled + tensor.nbytes > shard_nbytes:
            groups.append({})
            filled = 0
        groups[-1][name] = tensor
        filled += tensor.nbytes
    if len(groups) > 99_999:
        raise UnsupportedDataError(
            f"shard_size= would make {len(groups)} shards; at most 99,999 are numbered. Choose a larger one."
        )
    return groups


def shard_name(stem: str, number: int, count: int, generation: str = "") -> str:
    """The file name of shard `number` of `count`; `generation` keeps a new save off the files of the one before."""
    return f"{stem}-{number:05d}-of-{count:05d}{'-' + generation if generation else ''}.safetensors"


def shard_pattern(stem: str) -> re.Pattern[str]:
    """Matches the names that `shard_name` gives with a generation."""
    return re.compile(re.escape(stem) + r"-\d{5}-of-\d{5}-[0-9a-f]{8}\.safetensors")


def index_bytes(content: Content, weight_map: Mapping[str, str], shards: Mapping[str, str]) -> bytes:
    """The index file: names to files, and the header checksum of each file."""
    metadata: dict[str, Any] = {
        "total_size": sum(tensor.nbytes for tensor in content.tensors.values()),
        FORMAT_KEY: "1",
        SHARDS_KEY: dict(shards),
        HEADER_KEY: _ZEROS,
    }
    if content.metadata:
        metadata[USER_KEY] = dict(content.metadata)
    if not is_flat(content):
        metadata[STRUCTURE_KEY] = json.dumps(
            encode(content), ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
    text = json.dumps({"metadata": metadata, "weight_map": dict(weight_map)}, ensure_ascii=False, indent=2) + "\n"
    raw = text.encode()
    at = raw.index(_MARKER) + len(_MARKER)
    return raw[:at] + _index_hash(raw, at).encode() + raw[at + 32 :]


def _index_hash(raw: bytes, at: int) -> str:
    import xxhash

    return xxhash.xxh3_128(raw[:at] + _ZEROS.encode() + raw[at + 32 :]).hexdigest()


def check_index(raw: bytes, metadata: Mapping[str, Any], name: str) -> None:
    """Raise CorruptFileError when the index carries a checksum that does not fit it."""
    stored = metadata.get(HEADER_KEY)
    at = raw.find(_MARKER) + len(_MARKER)
    # The marker is looked for as well: one flipped bit in the word "metadata" would hide the checksum and the structure.
    if stored is None and at < len(_MARKER):
        return
    if at < len(_MARKER) or type(stored) is not str or _index_hash(raw, at) != stored:
        raise CorruptFileError(
            f"{name}: the index's checksum does not fit it. A byte of it was changed, or another program rewrote it. "
            "Get it again; if a program rewrote it, remove the keys that begin with 'tensorkeep.' from it."
        )


def safe_name(file: Any, name: str) -> str:
    """A shard's file name from an index, which may only name a file beside it.

    Raises:
        UnsafeFileError: a path, a drive, a URL, or nothing at all.
    """
    bad = type(file) is not str or not file or file in (".", "..") or any(c in file for c in "/\\:\0")
    if bad or not file.endswith(".safetensors"):
        raise UnsafeFileError(
            f"{name}: the index names the shard {file!r:.200}; shards are plain .safetensors file names beside the index. "
            "Nothing was opened."
        )
    assert isinstance(file, str)
    return file
