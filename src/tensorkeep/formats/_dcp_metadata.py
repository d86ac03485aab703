"""The `.metadata` pickle of a DCP folder: its dozen classes as records, checked, and the geometry of the chunks.

Source: torch/distributed/checkpoint/metadata.py, filesystem.py (`_StorageInfo`), default_planner.py, _nested_dict.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensorkeep.core.bounds import checked_product
from tensorkeep.core.dtypes import DType
from tensorkeep.errors import CorruptFileError, LimitError, UnsafeFileError, UnsupportedFormatError
from tensorkeep.formats._pickle import load
from tensorkeep.formats._pickle_base import shape_of
from tensorkeep.formats._pickle_parts import Cell, Known, Unfit
from tensorkeep.formats._torch_pickle import TORCH, TORCH_DTYPES

__all__ = ["DCP", "Chunk", "Item", "Metadata", "read_metadata"]

_DAMAGED = "The folder is damaged or hostile; nothing in it was executed."

MAX_COMPARISONS = 20_000_000
"""Pairs of chunks that are looked at for overlaps; a grid of n chunks needs a few n."""


class Record(Cell):
    """An object of one of DCP's classes: its attributes as a dict (a tuple for TensorProperties)."""

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.fields: Any = {}

    def build(self, state: Any) -> None:
        if type(state) is not dict and not (type(state) is tuple and self.kind == "TensorProperties"):
            raise Unfit(f"the state of a {self.kind} is a {type(state).__name__}")
        self.fields = state

    def as_key(self) -> str | None:
        """A MetadataIndex as the key of a dict: offsets, NUL, name."""
        if self.kind != "MetadataIndex":
            return None
        name, offset = self.get("fqn"), self.get("offset")
        if type(name) is not str:
            raise Unfit("a MetadataIndex has no name")
        return key_of(name, None if offset is None else shape_of(offset))

    def get(self, name: str) -> Any:
        return self.fields.get(name) if type(self.fields) is dict else None

    def parts(self) -> Sequence[Any]:
        return list(self.fields.values()) if type(self.fields) is dict else self.fields

    def finish(self, parts: Sequence[Any]) -> Record:
        self.fields = dict(zip(self.fields, parts, strict=True)) if type(self.fields) is dict else tuple(parts)
        return self


def key_of(name: str, offset: tuple[int, ...] | None) -> str:
    """What stands for the MetadataIndex of an item in `storage_data`."""
    return f"{'-' if offset is None else ','.join(map(str, offset))}\0{name}"


def _record(kind: str) -> Known:
    def new(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Record:
        if args or kwargs:
            raise Unfit("it is not made empty and filled by its state")
        return Record(kind)

    return Known(new=new)


def _encoding(args: tuple[Any, ...]) -> int:
    if len(args) != 1 or type(args[0]) is not int:
        raise Unfit("a memory format is not a number")
    return args[0]


def _path(args: tuple[Any, ...]) -> str:
    if any(type(arg) is not str for arg in args):
        raise Unfit("a path does not consist of strings")
    return "/".join(args)


def _table() -> dict[tuple[str, str], Known]:
    table = dict(TORCH)
    kinds = "Metadata TensorStorageMetadata BytesStorageMetadata ChunkStorageMetadata TensorProperties MetadataIndex StorageMeta"
    for module in ("torch.distributed.checkpoint.metadata", "torch.distributed._shard.checkpoint.metadata"):
        for kind in kinds.split():
            table[module, kind] = _record(kind)
        table[module, "_MEM_FORMAT_ENCODING"] = Known(_encoding)
    table["torch.distributed._shard.sharded_tensor.metadata", "TensorProperties"] = _record("TensorProperties")
    table["torch.distributed._shard.sharded_tensor.metadata", "MEM_FORMAT_ENCODING"] = Known(_encoding)
    for module in ("torch.distributed.checkpoint.filesystem", "torch.distributed._shard.checkpoint.filesystem"):
        table[module, "_StorageInfo"] = _record("_StorageInfo")
        table[module, "_StoragePrefix"] = _record("_StoragePrefix")
    for module in ("pathlib", "pathlib._local"):
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"):
            table[module, name] = Known(_path)  # where the folder once was: told nowhere, opened never
    return table


DCP = _table()
"""(module, name) to Known for the pickle of a DCP folder."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A block of a tensor and where its torch.save archive lies."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    file: str
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the state dict: a tensor in chunks, or (dtype None) bytes: a torch.save archive of a plain value."""

    name: str
    shape: tuple[int, ...]
    dtype: DType | None
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The folder's entries, where each stands in the nested data (None: flat), and the format's version."""

    items: dict[str, Item]
    paths: dict[str, tuple[str | int, ...]] | None
    version: str


def read_metadata(data: bytes, *, what: str, unknown: str) -> Metadata:
    """The checked contents of `.metadata`.

    Raises: as `_pickle.load`; UnsafeFileError for file names that are paths out of the folder.
    """
    found = load(data, what=what, known=DCP, unknown=unknown)
    root = found.value
    if found.end != len(data):
        raise CorruptFileError(f"{what}: {len(data) - found.end} bytes follow the pickle. {_DAMAGED}")
    if type(root) is not Record or root.kind != "Metadata":
        raise CorruptFileError(f"{what}: the pickle is not the Metadata of torch.distributed.checkpoint. {_DAMAGED}")
    entries, storage = root.get("state_dict_metadata"), root.get("storage_data")
    if type(entries) is not dict or type(storage) is not dict:
        raise UnsupportedFormatError(
            f"{what}: it has no storage_data, which FileSystemWriter writes; other writers are not read."
        )
    infos = {key: _info(record, what) for key, record in storage.items()}
    items = {}
    for name, record in entries.items():
        if type(name) is not str or type(record) is not Record:
            raise CorruptFileError(f"{what}: an entry of the state dict is not a record with a name. {_DAMAGED}")
        items[name] = _item(name, record, infos, what)
    version = root.get("version")
    return Metadata(items, _paths(root.get("planner_data"), items), version if type(version) is str else "")


def _info(record: Any, what: str) -> tuple[str, int, int]:
    if type(record) is not Record or record.kind != "_StorageInfo":
        raise CorruptFileError(f"{what}: storage_data holds something else than file, offset and length. {_DAMAGED}")
    file, offset, length = record.get("relative_path"), record.get("offset"), record.get("length")
    if any(type(n) is not int or not 0 <= n < 2**63 for n in (offset, length)):
        raise CorruptFileError(f"{what}: an item has no offset and length from 0 up. {_DAMAGED}")
    if record.get("transform_descriptors"):
        raise UnsupportedFormatError(
            f"{what}: items are transformed by {record.get('transform_descriptors')!r:.100} (compressed, encrypted). "
            "Save the checkpoint without extensions."
        )
    return safe_path(file, what), offset, length


def safe_path(file: Any, what: str) -> str:
    """A file's path below the folder, as the metadata name it.

    Raises:
        UnsafeFileError: absolute, a drive, a URL, `..`, a backslash, NUL, empty.
    """
    parts = file.split("/") if type(file) is str else [""]
    if any(part in ("", ".", "..") or any(c in part for c in "\\:\0") for part in parts):
        raise UnsafeFileError(
            f"{what}: it names the file {file!r:.200}; only files below the folder are opened, by plain names. Nothing was opened."
        )
    assert isinstance(file, str)
    return file


def _item(name: str, record: Record, infos: dict[str, tuple[str, int, int]], what: str) -> Item:
    where = f"{what}: {name!r:.200}"
    if record.kind == "BytesStorageMetadata":
        info = infos.get(key_of(name, None))
        if info is None:
            raise CorruptFileError(f"{where} has no place in any file. {_DAMAGED}")
        return Item(name, (), None, (Chunk((), (), *info),))
    if record.kind != "TensorStorageMetadata":
        raise CorruptFileError(f"{where} is a {record.kind}, neither a tensor nor bytes. {_DAMAGED}")
    dtype = _dtype(record.get("properties"), where)
    shape, listed = record.get("size"), record.get("chunks")
    size = _numbers(shape, where)
    count = checked_product(size, what=where)
    if type(listed) is not list or not listed:
        raise CorruptFileError(f"{where} has no chunks. {_DAMAGED}")
    chunks = tuple(_chunk(name, chunk, size, dtype, infos, where) for chunk in listed)
    _check_tiling(chunks, count, where)
    return Item(name, size, dtype, chunks)


def _dtype(properties: Any, where: str) -> DType:
    fields = properties.fields if type(properties) is Record and properties.kind == "TensorProperties" else None
    value = fields.get("dtype") if type(fields) is dict else fields[0] if fields else None
    name = value.removeprefix("torch.") if type(value) is str else ""
    if name not in TORCH_DTYPES:
        raise UnsupportedFormatError(
            f"{where}: a tensor of dtype {name or 'unknown'} has no counterpart in NumPy. In torch, cast it before saving."
        )
    return TORCH_DTYPES[name]


def _numbers(value: Any, where: str) -> tuple[int, ...]:
    try:
        return shape_of(value)
    except Unfit as err:
        raise CorruptFileError(f"{where}: {err}. {_DAMAGED}") from None


def _chunk(
    name: str, record: Any, size: tuple[int, ...], dtype: DType, infos: dict[str, tuple[str, int, int]], where: str
) -> Chunk:
    if type(record) is not Record or record.kind != "ChunkStorageMetadata":
        raise CorruptFileError(f"{where}: a chunk is not a record of offsets and sizes. {_DAMAGED}")
    offsets, sizes = _numbers(record.get("offsets"), where), _numbers(record.get("sizes"), where)
    outside = len(offsets) != len(size) or len(sizes) != len(size)
    if outside or any(start + n > whole for start, n, whole in zip(offsets, sizes, size, strict=True)):
        raise CorruptFileError(
            f"{where}: the chunk at {offsets} of size {sizes} lies outside the shape {size}. {_DAMAGED}"
        )
    info = infos.get(key_of(name, offsets))
    if info is None:
        raise CorruptFileError(f"{where}: the chunk at {offsets} has no place in any file. {_DAMAGED}")
    if checked_product(sizes, what=where) * dtype.itemsize > info[2]:
        raise CorruptFileError(
            f"{where}: the chunk of size {sizes} has only {info[2]} bytes in {info[0]!r:.100}. {_DAMAGED}"
        )
    return Chunk(offsets, sizes, *info)


def _check_tiling(chunks: tuple[Chunk, ...], count: int, where: str) -> None:
    """Raise CorruptFileError unless the chunks fill the tensor without a hole and without an overlap."""
    filled = sum(checked_product(chunk.sizes, what=where) for chunk in chunks)
    if filled != count:
        kind = "leave a hole" if filled < count else "overlap"
        raise CorruptFileError(
            f"{where}: its {len(chunks)} chunks {kind}: they have {filled} of {count} elements. {_DAMAGED}"
        )
    solid = [chunk for chunk in chunks if 0 not in chunk.sizes]
    if len(solid) < 2:
        return
    # Along the axis with the most different starts, only neighbours can overlap.
    axes = range(len(solid[0].sizes))
    axis = max(axes, key=lambda i: len({chunk.offsets[i] for chunk in solid}))
    solid.sort(key=lambda chunk: chunk.offsets[axis])
    active: list[Chunk] = []
    compared = 0
    for chunk in solid:
        active = [other for other in active if other.offsets[axis] + other.sizes[axis] > chunk.offsets[axis]]
        compared += len(active)
        if compared > MAX_COMPARISONS:
            raise LimitError(f"{where}: {len(chunks)} chunks that cannot be compared in reasonable time. {_DAMAGED}")
        if any(all(_meet(chunk, other, i) for i in axes) for other in active):
            raise CorruptFileError(f"{where}: the chunk at {chunk.offsets} overlaps another. {_DAMAGED}")
        active.append(chunk)


def _meet(a: Chunk, b: Chunk, axis: int) -> bool:
    return a.offsets[axis] < b.offsets[axis] + b.sizes[axis] and b.offsets[axis] < a.offsets[axis] + a.sizes[axis]


def _paths(planner: Any, items: dict[str, Item]) -> dict[str, tuple[str | int, ...]] | None:
    """Name to path in the nested data, as DefaultSavePlanner notes it; None when that is not there for every item."""
    if type(planner) is not dict or not all(name in planner for name in items):
        return None
    paths = {}
    for name in items:
        path = planner[name]
        if type(path) is not tuple or not path or any(type(part) not in (str, int) for part in path):
            return None
        if any(type(part) is int and not 0 <= part < len(items) for part in path):
            return None
        paths[name] = path
    return paths
