"""safetensors files: the default format, readable by every tool. Ours carry structure and checksums in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorkeep.core.bounds import MAX_DEPTH
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.hashing import XXH3_128
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content, decode, encode, is_flat, leaves
from tensorkeep.formats import Format
from tensorkeep.formats._safetensors import STRUCTURE_KEY, Header, plan_file, read_header

__all__ = ["FORMAT"]


def _open(source: ByteSource, unknown: str) -> TensorFile:
    return _file(read_header(source), source)


def _salvage(source: ByteSource) -> TensorFile:
    header = read_header(source, whole=False)
    header.metadata.pop(STRUCTURE_KEY, None)
    return _file(header, source)


def _file(header: Header, source: ByteSource) -> TensorFile:
    user = {key: value for key, value in header.metadata.items() if not key.startswith("tensorkeep.")}
    stored = header.metadata.get(STRUCTURE_KEY)
    tree = None if stored is None else decode_structure(stored, header.tensors, source.name)
    return TensorFile(
        source=source,
        path=source.name,
        format="safetensors",
        tensors=header.tensors if tree is None else with_sparse(header.tensors, tree),
        tree=tree,
        metadata=user,
        checksum=XXH3_128 if header.hashed else None,
    )


def decode_structure(stored: str, tensors: Mapping[str, Tensor], name: str) -> Any:
    """The tree from the JSON that the metadata holds."""
    from tensorkeep.formats._json import parse

    # A level of data takes up to two of JSON: ["d", [key, value]].
    structure = parse(stored.encode(), what=f"{name}: the stored structure", max_depth=2 * MAX_DEPTH + 4)
    return decode(structure, tensors, what=name)


def with_sparse(tensors: Mapping[str, Tensor], tree: Any) -> Mapping[str, Tensor | SparseTensor]:
    """`tensors` with each SparseTensor of the tree in the place of its parts."""
    sparse = {path: leaf for path, leaf in leaves(tree) if isinstance(leaf, SparseTensor)}
    if not sparse:
        return tensors
    parts = {id(part) for each in sparse.values() for _, part in each.parts()}
    return {**{name: tensor for name, tensor in tensors.items() if id(tensor) not in parts}, **sparse}


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
