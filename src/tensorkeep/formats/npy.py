"""NumPy's .npy: one array behind a short header. Also what MXNet 2.0's npx.save writes, under any suffix."""

from __future__ import annotations

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.plan import TensorSegment, WritePlan
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import SINGLE_NAME, Content
from tensorkeep.errors import CorruptFileError, TruncatedFileError, UnsupportedDataError
from tensorkeep.formats import Format
from tensorkeep.formats._npy import (
    GUESSED,
    MAGIC,
    PREFIX_NBYTES,
    dtype_of,
    guess_note,
    header_bytes,
    nbytes_of,
    parse,
    prefix,
    strides_of,
)

__all__ = ["FORMAT"]


def _open(source: ByteSource, unknown: str) -> TensorFile:
    what = source.name
    begin, nbytes = prefix(source.read(0, min(PREFIX_NBYTES, source.size)), what=what)
    header = parse(source.read(begin, nbytes), what=what)
    dtype, big_endian = dtype_of(header, what=what)
    start, size = begin + nbytes, nbytes_of(header, dtype, what=what)
    have = source.size - start
    if have < size:
        raise TruncatedFileError(
            f"{what}: the array {dtype}{list(header.shape)} takes {size} bytes from byte {start} on, but the file ends "
            f"{size - have} bytes earlier, at byte {source.size}. It was cut off; copy it again."
        )
    if have > size:
        more = source.read(start + size, min(have - size, len(MAGIC)))
        hint = (
            "another array follows (numpy.save was called more than once on one file); numpy.load reads them one by one"
            if more == MAGIC
            else "the file is damaged, or its header belongs to another array"
        )
        raise CorruptFileError(
            f"{what}: the array {dtype}{list(header.shape)} ends at byte {start + size}, but the file has "
            f"{source.size} bytes: {hint}."
        )
    extent = Extent(source, start, size, strides_of(header), big_endian)
    tensor = Tensor(header.shape, dtype, extent=extent)
    notes = [guess_note(header.descr, "the array")] if header.descr in GUESSED else []
    return TensorFile(
        source=source, path=what, format="npy", tensors={SINGLE_NAME: tensor}, tree=tensor, notes=notes, checksum=None
    )


def _plan(content: Content) -> WritePlan:
    tree = content.tree
    if not isinstance(tree, Tensor):
        kind = type(tree).__name__
        raise UnsupportedDataError(
            f"An .npy file holds one dense tensor, and the data are a {kind}. "
            "Use .npz, .safetensors or .pt, or save one tensor."
        )
    name, tensor = next(iter(content.tensors.items()))
    head = header_bytes(tensor.shape, tensor.dtype, where="the tensor", suffix=".npy")
    return WritePlan("npy", [head, TensorSegment(name, tensor)], None, 1)


FORMAT = Format(
    name="npy",
    suffixes=(".npy",),
    open=_open,
    plan=_plan,
    holds="one dense tensor of NumPy's own types",
    metadata=False,
)
