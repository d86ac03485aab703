"""safetensors files: the default format, readable by every tool. Ours carry structure and checksums in the metadata."""

from __future__ import annotations

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.hashing import XXH3_128
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content, encode, is_flat
from tensorkeep.formats import Format
from tensorkeep.formats._safetensors import (
    STRUCTURE_KEY,
    Header,
    decode_structure,
    read_header,
    user_metadata,
)
from tensorkeep.formats._safetensors_write import plan_file

__all__ = ["FORMAT"]


def _open(source: ByteSource, unknown: str) -> TensorFile:
    return _file(read_header(source), source)


def _salvage(source: ByteSource) -> TensorFile:
    header = read_header(source, whole=False)
    header.metadata.pop(STRUCTURE_KEY, None)
    return _file(header, source)


def _file(header: Header, source: ByteSource) -> TensorFile:
    stored = header.metadata.get(STRUCTURE_KEY)
    tree = None if stored is None else decode_structure(stored, header.tensors, source.name)
    return TensorFile(
        source=source,
        path=source.name,
        format="safetensors",
        tensors=header.tensors,
        tree=tree,
        metadata=user_metadata(header),
        checksum=XXH3_128 if header.hashed else None,
    )


def _plan(content: Content) -> WritePlan:
    structure = None if is_flat(content) else encode(content)
    return plan_file("safetensors", content.tensors, content.metadata, structure)


FORMAT = Format(
    name="safetensors",
    suffixes=(".safetensors",),
    open=_open,
    plan=_plan,
    salvage=_salvage,
    holds="any nesting of tensors and plain values",
)
