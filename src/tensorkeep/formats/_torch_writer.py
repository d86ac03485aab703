"""Writing torch files: the pickle of a tree, and the archive around it, laid out as torch 2.13 lays it out.

The pickle uses only what `torch.load(weights_only=True)` allows. Each tensor gets a storage of its own with just its
elements; tied tensors share one. The same data give the same bytes.
Source: torch/serialization.py `_save`, caffe2/serialize/inline_container.cc (`getPadding`, the order of the records).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from tensorkeep.core.dtypes import DType
from tensorkeep.core.hashing import Digest
from tensorkeep.core.plan import Deferred, Segment, TensorSegment, WritePlan
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Content
from tensorkeep.errors import UnsupportedDataError
from tensorkeep.formats._torch_pickle import STORAGE_DTYPES, TORCH_DTYPES
from tensorkeep.formats._zip_records import DOS_1980, Member, descriptor, directory, directory_nbytes, local_header

__all__ = ["METADATA", "plan"]

METADATA = ".data/tensorkeep.json"
"""The record that keeps the caller's metadata; torch leaves records alone that it does not know."""

_TOP = "archive/"
_ALIGNMENT = 64
_LEGACY = {dtype: name for name, dtype in STORAGE_DTYPES.items()}
_MAX_LONG1_NBYTES = 255
_INSTEAD = "Save it as .safetensors, or leave it out."


class _Pickler:
    """Protocol 2 opcodes for a tree; `storages` collects the tensors in the order of their keys."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.out: list[bytes] = []
        self.memo: dict[Any, int] = {}
        self.storages: list[tuple[str, Tensor]] = []

    def dump(self) -> bytes:
        self.out.append(b"\x80\x02")
        self.value(self.content.tree, "")
        self.out.append(b".")
        return b"".join(self.out)

    def value(self, node: Any, path: str) -> None:
        out = self.out
        kind = type(node)
        if kind is Tensor:
            self.tensor(node, path)
        elif node is None or kind is bool:
            out.append(b"N" if node is None else b"\x88" if node else b"\x89")
        elif kind is int:
            out.append(self.integer(node, path))
        elif kind is float:
            out.append(struct.pack(">cd", b"G", node))
        elif kind is str:
            out.append(self.text(node, path))
        elif kind is dict or kind is OrderedDict:
            self.mapping(node, path)
        elif kind is list or kind is tuple:
            self.sequence(node, path)
        elif kind is bytes:
            self.name("_codecs", "encode")
            out += [self.text(node.decode("latin1"), path), self.text("latin1", path), b"\x86R"]
        elif kind is complex:
            self.name("__builtin__", "complex")
            out.append(struct.pack(">cdcd", b"G", node.real, b"G", node.imag) + b"\x86R")
        elif kind is SparseTensor:
            self.sparse(node, path)
        else:
            raise UnsupportedDataError(
                f"{path or 'the data'}: a {kind.__module__}.{kind.__name__} is refused by torch.load(weights_only=True). "
                "Turn NumPy numbers into Python's with .item(), or save as .safetensors, which keeps them."
            )

    def integer(self, value: int, path: str) -> bytes:
        if 0 <= value < 256:
            return b"K" + value.to_bytes(1, "little")
        if -(2**31) <= value < 2**31:
            return struct.pack("<ci", b"J", value)
        nbytes = value.bit_length() // 8 + 1
        if nbytes > _MAX_LONG1_NBYTES:
            raise UnsupportedDataError(
                f"{path or 'the data'}: an integer of {nbytes} bytes; torch.load(weights_only=True) reads up to 255. {_INSTEAD}"
            )
        return b"\x8a" + nbytes.to_bytes(1, "little") + value.to_bytes(nbytes, "little", signed=True)

    def text(self, value: str, path: str) -> bytes:
        try:
            raw = value.encode("utf-8")
        except UnicodeEncodeError as err:
            raise UnsupportedDataError(
                f"{path or 'the data'}: a string holds half of a surrogate pair, which is no text ({err}). Clean it first."
            ) from err
        return struct.pack("<cI", b"X", len(raw)) + raw

    def mapping(self, node: dict[Any, Any], path: str) -> None:
        if type(node) is OrderedDict:
            self.name("collections", "OrderedDict")
            self.out.append(b")R")
        else:
            self.out.append(b"}")
        if node:
            self.out.append(b"(")
            for key, item in node.items():
                where = f"{path}.{key}" if path else str(key)
                self.out.append(self.text(key, where) if type(key) is str else self.integer(key, where))
                self.value(item, where)
            self.out.append(b"u")

    def sequence(self, node: list[Any] | tuple[Any, ...], path: str) -> None:
        is_list = type(node) is list
        if not node:
            self.out.append(b"]" if is_list else b")")
            return
        self.out.append(b"](" if is_list else b"(")
        for i, item in enumerate(node):
            self.value(item, f"{path}.{i}" if path else str(i))
        self.out.append(b"e" if is_list else b"t")

    def name(self, module: str, name: str) -> None:
        """A class or function, from the memo when it was asked for before."""
        self.shared(f"c{module}\n{name}\n".encode())

    def shared(self, opcodes: bytes) -> None:
        known = self.memo.get(opcodes)
        if known is None:
            self.out.append(opcodes)
            self.put(opcodes)
        else:
            self.out.append(_get(known))

    def put(self, key: Any) -> None:
        index = self.memo[key] = len(self.memo)
        self.out.append(b"q" + index.to_bytes(1, "little") if index < 256 else struct.pack("<cI", b"r", index))

    def tensor(self, tensor: Tensor, path: str) -> None:
        known = self.memo.get(id(tensor))
        if known is not None:
            self.out.append(_get(known))
            return
        dtype, shape = tensor.dtype, tensor.shape
        storage = _LEGACY.get(dtype)
        bare = "" if storage is not None else _torch_name(dtype, shape, path)
        if bare.startswith("float4"):
            shape = (*shape[:-1], shape[-1] // 2)
        numel = tensor.size if storage is not None else tensor.nbytes
        self.name("torch._utils", "_rebuild_tensor_v3" if bare else "_rebuild_tensor_v2")
        self.out.append(b"((")
        self.shared(self.text("storage", path))
        if storage is not None:
            self.name("torch", storage)
        else:
            self.name("torch.storage", "UntypedStorage")
        self.out.append(self.text(str(len(self.storages)), path))
        self.shared(self.text("cpu", path))
        self.out += [self.integer(numel, path), b"tQK\x00"]
        self.shape(shape, path)
        self.shape(_dense(shape), path)
        self.out.append(b"\x89")
        self.name("collections", "OrderedDict")
        self.out.append(b")R")
        if bare:
            self.name("torch", bare)
        self.out.append(b"tR")
        self.put(id(tensor))
        self.storages.append((self.content.names[id(tensor)], tensor))

    def shape(self, shape: tuple[int, ...], path: str) -> None:
        ints = b"".join(self.integer(n, path) for n in shape)
        self.out.append(ints + (b")", b"\x85", b"\x86", b"\x87")[len(shape)] if len(shape) < 4 else b"(" + ints + b"t")

    def sparse(self, node: SparseTensor, path: str) -> None:
        if node.kind not in ("coo", "csr", "csc"):
            raise UnsupportedDataError(
                f"{path or 'the data'}: torch has no {node.kind} tensors. Save .to_dense() of it, or the whole as .safetensors "
                "or .params."
            )
        for part in (node.indices, node.indptr):
            if part is not None and part.dtype != "int64" and (part.dtype != "int32" or node.kind == "coo"):
                raise UnsupportedDataError(
                    f"{path or 'the data'}: the indices of a {node.kind} tensor are {part.dtype}; torch wants int64. "
                    "Cast them first, or save as .safetensors."
                )
        self.name("torch._utils", "_rebuild_sparse_tensor")
        self.name("torch.serialization", "_get_layout")
        self.out += [self.text(f"torch.sparse_{node.kind}", path), b"\x85R("]
        # coo: indices, values, size. csr and csc: row (column) pointer, the other indices, values, size.
        for part in (node.indices, node.data) if node.kind == "coo" else (node.indptr, node.indices, node.data):
            self.tensor(part, path)
        self.name("torch", "Size")
        self.shape(node.shape, path)
        self.out.append(b"\x85Rt\x86R")


def _get(index: int) -> bytes:
    return b"h" + index.to_bytes(1, "little") if index < 256 else struct.pack("<cI", b"j", index)


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def _torch_name(dtype: DType, shape: tuple[int, ...], path: str) -> str:
    if dtype in TORCH_DTYPES:
        return str(dtype)
    if dtype == "float4_e2m1fn" and shape and shape[-1] % 2 == 0:
        return "float4_e2m1fn_x2"
    odd = " with an odd last axis (torch pairs its elements)" if dtype == "float4_e2m1fn" else ""
    raise UnsupportedDataError(
        f"{path or 'the data'}: torch has no tensors of dtype {dtype}{odd}. Save it as .safetensors, or cast it first."
    )


class _Layout:
    """Members one after the other; CRCs that are known, and those that come with the tensors' digests."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.members: list[Member] = []
        self.crcs: list[Callable[[Mapping[str, Digest]], int]] = []
        self.at = 0

    def begin(self, name: str, nbytes: int) -> Member:
        raw = (_TOP + name).encode("utf-8")
        # A padding field in every header, as torch has it, so that its offsets can be computed without reading.
        bare = Member(raw, nbytes, self.at, 0, True, DOS_1980)
        padding = 4 + -(bare.data_offset + 4) % _ALIGNMENT
        member = Member(raw, nbytes, self.at, padding, True, DOS_1980)
        self.members.append(member)
        self.segments.append(local_header(member, 0))
        self.at = member.end
        return member

    def add(self, name: str, data: bytes) -> None:
        member = self.begin(name, len(data))
        crc = zlib.crc32(data)
        self.crcs.append(lambda digests: crc)
        self.segments += [data, descriptor(member, crc)]

    def add_later(self, name: str, nbytes: int, make: Callable[[Mapping[str, Digest]], bytes]) -> None:
        member = self.begin(name, nbytes)
        self.crcs.append(lambda digests: zlib.crc32(make(digests)))
        self.segments.append(Deferred(nbytes, make))
        self.segments.append(
            Deferred(member.descriptor_nbytes, lambda digests: descriptor(member, zlib.crc32(make(digests))))
        )

    def add_tensor(self, key: int, name: str, tensor: Tensor) -> None:
        member = self.begin(f"data/{key}", tensor.nbytes)
        crc = _crc_of(name)
        self.crcs.append(crc)
        self.segments.append(TensorSegment(name, tensor))
        self.segments.append(Deferred(member.descriptor_nbytes, lambda digests: descriptor(member, crc(digests))))

    def close(self) -> None:
        members, crcs, at = self.members, self.crcs, self.at
        self.segments.append(
            Deferred(
                directory_nbytes(members, at=at),
                lambda digests: directory(members, [crc(digests) for crc in crcs], at=at),
            )
        )


def _crc_of(name: str) -> Callable[[Mapping[str, Digest]], int]:
    return lambda digests: int(digests[name].value, 16)


def _serialization_id(names: list[str], digests: Mapping[str, Digest]) -> bytes:
    # 40 digits that tell archives apart; torch takes a hash of the names and of the CRCs as well.
    crcs = "".join(digests[name].value for name in names).encode("ascii")
    return b"%020d%020d" % (zlib.crc32("\n".join(names).encode("utf-8", "replace")), zlib.crc32(crcs))


def plan(content: Content) -> WritePlan:
    """The WritePlan of a torch archive.

    Raises:
        UnsupportedDataError: something that torch.load(weights_only=True) would not read; the text names the leaf.
    """
    pickler = _Pickler(content)
    data = pickler.dump()
    names = [name for name, _ in pickler.storages]
    layout = _Layout()
    layout.add("data.pkl", data)
    layout.add(".format_version", b"1")
    layout.add(".storage_alignment", b"%d" % _ALIGNMENT)
    layout.add("byteorder", b"little")
    for key, (name, tensor) in enumerate(pickler.storages):
        layout.add_tensor(key, name, tensor)
    layout.add("version", b"3\n")
    if content.metadata:
        text = json.dumps(content.metadata, sort_keys=True, separators=(",", ":"))
        layout.add(METADATA, text.encode("ascii"))
    layout.add_later(".data/serialization_id", 40, lambda digests: _serialization_id(names, digests))
    layout.close()
    return WritePlan("torch", layout.segments, checksum="crc32", tensors=len(content.tensors))
