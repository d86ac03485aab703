"""What an .npz archive of ours consists of, and what stands beside its arrays.

Nesting, plain values and metadata are JSON where NumPy and MXNet do not look: `tensorkeep:1:<CRC-32 of the payload>:
<payload>:tensorkeep` without the line break, the payload being the JSON, or its base64 after zlib when it is long. It is
the archive's comment; when that would be longer than 4,000 bytes, an extra field 0x4B54 in the local header of the first
member; when it is longer than 60,000 (or there is no member), the JSON is a member `__tensorkeep__.json`, which numpy.load
then lists among the arrays. A flat dict of tensors needs nothing of this.

Sparse csr and row_sparse arrays are groups as MXNet 2.0 has them (`w/data.npy`, `w/indices.npy`, `w/indptr.npy`,
`w/shape.npy`, `w/format.npy`); one alone stands at the top, where scipy.sparse.load_npz finds it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tensorkeep.core.bounds import MAX_DEPTH, MAX_HEADER_NBYTES
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.dtypes import DTYPES
from tensorkeep.core.hashing import CRC32, Digest
from tensorkeep.core.plan import Deferred, Segment, TensorSegment, WritePlan
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import SINGLE_NAME, Content, encode, leaves
from tensorkeep.errors import CorruptFileError, UnsupportedDataError
from tensorkeep.formats import _npy
from tensorkeep.formats._json import parse
from tensorkeep.formats._zip import Directory, is_path, read
from tensorkeep.formats._zip_records import (
    Member,
    crc_of_both,
    directory,
    directory_nbytes,
    local_header,
    place,
)

__all__ = ["STRUCTURE_MEMBER", "Beside", "plan", "read_beside"]

STRUCTURE_MEMBER = "__tensorkeep__.json"

_ALIGNMENT_NBYTES = 64
"""A cache line, and what NumPy aligns its headers to: mapped arrays then suit every vector unit."""

_MAX_COMMENT_NBYTES = 4000
"""A zip comment may have 65,535 bytes, but MXNet 2.0's miniz finds the end record only behind about 4,050 (tried)."""

_MAX_FIELD_NBYTES = 60_000
"""All extra fields of a member have 65,535 bytes together; padding needs a few."""

_FIELD_KIND = 0x4B54  # "TK"
_FRAME = re.compile(rb"tensorkeep:1:([0-9a-f]{8}):(.*):tensorkeep", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Beside:
    """What an archive of ours keeps beside its arrays."""

    has_structure: bool = False
    structure: Any = None
    metadata: dict[str, str] = field(default_factory=dict)


def read_beside(source: ByteSource, found: Directory) -> Beside:
    """What stands in the comment, the extra field or `__tensorkeep__.json`; nothing for the archives of others.

    Raises:
        CorruptFileError: it is ours and damaged, or its JSON is not what we write.
    """
    frame = found.comment if _is_ours(found.comment) else _first_extra(source, found)
    if _is_ours(frame):
        match = _FRAME.search(frame)
        if match is None or int(match[1], 16) != zlib.crc32(match[2]):
            raise _damaged(source, "its checksum does not fit")
        text = match[2]
        if text[:1] != b"{":
            text = _unpacked(source, text)
    elif STRUCTURE_MEMBER in found.entries:
        text = read(source, found.entries[STRUCTURE_MEMBER], max_nbytes=MAX_HEADER_NBYTES)
    else:
        return Beside()
    made = parse(text, what=f"{source.name}: the stored structure", max_depth=2 * MAX_DEPTH + 4)
    metadata = made.get("metadata", {}) if type(made) is dict else None
    if type(metadata) is not dict or any(type(value) is not str for value in metadata.values()):
        raise _damaged(source, "its JSON is no object with a structure and metadata")
    return Beside("structure" in made, made.get("structure"), metadata)


def _is_ours(frame: bytes) -> bool:
    return b"tensorkeep:" in frame or b":tensorkeep" in frame  # a single flipped bit leaves one of the two


def _first_extra(source: ByteSource, found: Directory) -> bytes:
    first = next(iter(found.entries.values()), None)
    if first is None:
        return b""
    start = first.header + 30 + len(first.name.encode("utf-8"))
    return source.read(start, first.offset - start) if first.offset > start else b""


def _damaged(source: ByteSource, why: str) -> CorruptFileError:
    return CorruptFileError(
        f"{source.name}: the structure that tensorkeep keeps in the archive is damaged: {why}. Get another copy; "
        f"`tkeep repair {source.name} --salvage OUT` saves the tensors without their nesting."
    )


def _unpacked(source: ByteSource, text: bytes) -> bytes:
    inflate = zlib.decompressobj()
    try:
        made = inflate.decompress(base64.b64decode(text, validate=True), MAX_HEADER_NBYTES)
    except (binascii.Error, zlib.error) as err:
        raise _damaged(source, str(err)) from None
    if not inflate.eof or inflate.unused_data:
        raise _damaged(source, "it is too long or cut")
    return made


class _Row(NamedTuple):
    """One member: its header and a tensor, or all of its bytes."""

    key: str
    start: bytes
    name: str = ""
    tensor: Tensor | None = None

    def crc(self, digests: Mapping[str, Digest]) -> int:
        crc = zlib.crc32(self.start)
        if self.tensor is None:
            return crc
        return crc_of_both(crc, int(digests[self.name].value, 16), self.tensor.nbytes)


def plan(content: Content) -> WritePlan:
    """The segments of the archive.

    Raises:
        UnsupportedDataError: an element type that NumPy does not have, or a name that an archive cannot have.
    """
    grouped = _groups(content)
    rows: list[_Row] = []
    for name, tensor in content.tensors.items():
        key, after = grouped.get(name, (name, ()))
        start = _npy.header_bytes(tensor.shape, tensor.dtype, where=repr(name), suffix="an .npz file")
        rows += [_Row(_member_name(key), start, name, tensor), *after]
    comment, extra, text = _framed(_beside(content, grouped), bool(rows))
    if text:
        rows.append(_Row(STRUCTURE_MEMBER, text))
    members: list[Member] = []
    segments: list[Segment] = []
    at = 0
    for row in rows:
        size = len(row.start) + (row.tensor.nbytes if row.tensor is not None else 0)
        member = place(row.key, size, at=at, align=_ALIGNMENT_NBYTES, extra=b"" if at else extra)
        segments += [Deferred(member.header_nbytes, _header_maker(member, row)), row.start]
        if row.tensor is not None:
            segments.append(TensorSegment(row.name, row.tensor))
        members.append(member)
        at = member.end

    def end(digests: Mapping[str, Digest]) -> bytes:
        return directory(members, [row.crc(digests) for row in rows], at=at, comment=comment)

    segments.append(Deferred(directory_nbytes(members, at=at, comment=comment), end))
    return WritePlan("npz", segments, CRC32, len(content.tensors))


def _header_maker(member: Member, row: _Row) -> Callable[[Mapping[str, Digest]], bytes]:
    return lambda digests: local_header(member, row.crc(digests))


def _member_name(key: str) -> str:
    name = f"{key}.npy"
    try:
        fits = len(name.encode("utf-8")) <= 0xFFFF and not is_path(name)
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise UnsupportedDataError(
            f"The name {key!r:.200} cannot stand in an .npz file: names there have no backslash, NUL, '..' or '/' at the "
            "start, and at most 65,535 bytes of UTF-8. Rename it, or use .safetensors."
        )
    return name


_Groups = dict[str, tuple[str, tuple[_Row, ...]]]


def _groups(content: Content) -> _Groups:
    """For each part of a sparse array that can be written as MXNet 2.0 has it: its member, and what comes behind it."""
    found: _Groups = {}
    taken = set(content.tensors)
    for path, leaf in leaves(content.tree):
        if type(leaf) is not SparseTensor or leaf.kind not in ("csr", "row_sparse"):
            continue
        alone = leaf is content.tree
        names = {part: content.names[id(tensor)] for part, tensor in leaf.parts()}
        base, prefix = (SINGLE_NAME, "") if alone else (path, f"{path}/")
        keys = {part: f"{prefix}{part}" for part in (*names, "shape", "format")}
        as_expected = (
            base
            and base not in content.tensors
            and all(name == f"{base}.{part}" and name not in found for part, name in names.items())
        )
        if not as_expected or not taken.isdisjoint(keys.values()):
            continue  # its parts are plain members then, and the structure says what they are
        taken.update(keys.values())
        int64 = DTYPES["int64"]
        shape = b"".join(dim.to_bytes(8, "little") for dim in leaf.shape)
        shape = _npy.header_bytes((len(leaf.shape),), int64, where="shape", suffix="npz") + shape
        kind = leaf.kind.encode("ascii")
        kind = _npy.string_header(f"|S{len(kind)}", ()) + kind
        last = (_Row(_member_name(keys["shape"]), shape), _Row(_member_name(keys["format"]), kind))
        found.update({name: (keys[part], ()) for part, name in names.items()})
        final = list(names)[-1]
        found[names[final]] = (keys[final], last)
    return found


def _beside(content: Content, grouped: _Groups) -> bytes:
    made: dict[str, Any] = {}
    if not _speaks_for_itself(content, grouped):
        made["structure"] = encode(content)
    if content.metadata:
        made["metadata"] = content.metadata
    if not made:
        return b""
    try:
        return json.dumps(made, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except ValueError as err:  # half a character, or an int of thousands of digits
        raise UnsupportedDataError(
            f"A key or value beside the tensors cannot be kept as JSON ({err}). Keep it as bytes, or leave it out."
        ) from err


def _speaks_for_itself(content: Content, grouped: _Groups) -> bool:
    """Whether the members' names alone say what was given: a flat dict, or one sparse array."""
    tree = content.tree
    if type(tree) is SparseTensor:
        return bool(grouped)
    if type(tree) is not dict:
        return False
    count = 0
    for key, value in tree.items():
        if type(value) is Tensor:
            names = {"": content.names[id(value)]}
        elif type(value) is SparseTensor and all(content.names[id(tensor)] in grouped for _, tensor in value.parts()):
            names = {f".{part}": content.names[id(tensor)] for part, tensor in value.parts()}
        else:
            return False
        if any(name != f"{key}{part}" for part, name in names.items()) or type(key) is not str:
            return False
        count += len(names)
    return count == len(content.tensors)


def _framed(text: bytes, has_members: bool) -> tuple[bytes, bytes, bytes]:
    """Where `text` goes: the archive's comment, an extra field, or a member."""
    if not text:
        return b"", b"", b""
    for payload in (text, base64.b64encode(zlib.compress(text, 9))):
        frame = b"tensorkeep:1:%08x:%b:tensorkeep" % (zlib.crc32(payload), payload)
        if len(frame) <= _MAX_COMMENT_NBYTES:
            return frame, b"", b""
    if len(frame) <= _MAX_FIELD_NBYTES and has_members:
        return b"", struct.pack("<HH", _FIELD_KIND, len(frame)) + frame, b""
    return b"", b"", text
