"""What the tests of MXNet's formats share: files of real MXNet with what they hold, and arrays built byte by byte."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from tensorkeep import formats
from tensorkeep.core.bytesource import BufferSource, FileSource
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import flatten

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "mxnet"
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA


def manifest(folder: Path) -> dict[str, Any]:
    """File → what real MXNet says it holds."""
    found = json.loads((folder / "manifest.json").read_text("utf-8"))
    return dict(found.get("files", found))


def is_list_file(facts: dict[str, Any]) -> bool:
    return facts.get("kind") in ("list", "dict") and not facts.get("globals")


def open_path(path: Path, unknown: str = "refuse") -> TensorFile:
    """A file as tk.open does it: recognised by its content."""
    source = FileSource(path)
    found = formats.detect(source).open
    assert found is not None
    return found(source, unknown)


def open_bytes(data: bytes, format: str = "mxnet", unknown: str = "refuse") -> TensorFile:
    found = formats.by_name(format).open
    assert found is not None
    return found(BufferSource(data), unknown)


def salvage_bytes(data: bytes) -> TensorFile:
    found = formats.by_name("mxnet").salvage
    assert found is not None
    return found(BufferSource(data))


def planned(data: Any, format: str = "mxnet", metadata: dict[str, str] | None = None) -> WritePlan:
    found = formats.by_name(format).plan
    assert found is not None
    return found(flatten(data, metadata))


def written(data: Any, format: str = "mxnet") -> bytes:
    """The bytes of a file of `data`."""
    plan = planned(data, format)
    parts = [part if isinstance(part, bytes) else part.tensor.tobytes() for part in plan.segments]
    assert plan.nbytes == sum(map(len, parts))
    return b"".join(parts)


def assert_equals(tree: Any, facts: Any, where: str) -> None:
    """That `tree` holds what the manifest says: containers, shapes, dtypes, sha256 of the values."""
    if facts is None:
        assert tree is None, where
    elif isinstance(facts, list):
        assert isinstance(tree, (list, tuple)), where
        assert len(tree) == len(facts), where
        for i, (leaf, fact) in enumerate(zip(tree, facts, strict=True)):
            assert_equals(leaf, fact, f"{where}[{i}]")
    elif "shape" not in facts or "dtype" not in facts:
        assert isinstance(tree, dict), where
        assert [str(key) for key in tree] == list(facts), where
        for key in tree:
            assert_equals(tree[key], facts[str(key)], f"{where}[{key!r}]")
    else:
        assert_array_equals(tree, facts, where)


def assert_array_equals(leaf: Any, facts: dict[str, Any], where: str) -> None:
    assert list(leaf.shape) == facts["shape"], where
    assert leaf.dtype == facts["dtype"], where
    if isinstance(leaf, SparseTensor):
        assert facts["stype"] == leaf.kind, where
        for name, part in leaf.parts():
            assert_array_equals(part, facts[name], f"{where}.{name}")
        if "dense" in facts:
            assert hashlib.sha256(leaf.to_dense().tobytes()).hexdigest() == facts["dense"]["sha256"], where
        return
    assert isinstance(leaf, Tensor), where
    assert facts.get("stype", "default") == "default", where
    if "sha256" in facts:
        assert hashlib.sha256(leaf.numpy().tobytes()).hexdigest() == facts["sha256"], where
    if "as_float32" in facts:
        assert leaf.numpy().astype("float32").reshape(-1).tolist() == facts["as_float32"], where


def list_file(arrays: list[bytes], names: list[str | bytes] = [], *, count: int | None = None) -> bytes:  # noqa: B006
    """A list file around arrays that are already bytes."""
    out = [struct.pack("<QQQ", 0x112, 0, len(arrays) if count is None else count), *arrays]
    out.append(struct.pack("<Q", len(names)))
    for name in names:
        raw = name.encode() if isinstance(name, str) else name
        out.append(struct.pack("<Q", len(raw)) + raw)
    return b"".join(out)


def shape_bytes(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)


def dense(
    shape: tuple[int, ...], code: int, data: bytes, *, magic: int = V2, device: tuple[int, int] = (1, 0)
) -> bytes:
    """A dense array of version 1, 2 or 3, from the byte table."""
    stype = b"" if magic == V1 else struct.pack("<i", 0)
    return struct.pack("<I", magic) + stype + shape_bytes(shape) + struct.pack("<3i", *device, code) + data


def dense_v0(shape: tuple[int, ...], code: int, data: bytes) -> bytes:
    return struct.pack(f"<I{len(shape)}I", len(shape), *shape) + struct.pack("<3i", 1, 0, code) + data


def sparse(
    kind: int, shape: tuple[int, ...], stored: tuple[int, ...], parts: list[tuple[int, ...]], data: bytes
) -> bytes:
    """A row_sparse (1) or csr (2) array of float32 with int64 index parts; `data` is all of its values."""
    out = struct.pack("<Ii", V2, kind) + shape_bytes(stored) + shape_bytes(shape) + struct.pack("<3i", 1, 0, 0)
    for part in parts:
        out += struct.pack("<i", 6) + shape_bytes(part)
    return out + data


def i64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def f32(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)
