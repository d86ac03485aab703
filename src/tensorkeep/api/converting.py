"""`convert` and `repair`: from file to file, one tensor in memory at a time."""

from __future__ import annotations

import os
from typing import IO, Any, TypeAlias

from tensorkeep.api.checking import sentences, verify_file
from tensorkeep.api.loading import Source, damage_text, float_dtype, open
from tensorkeep.api.saving import string_metadata, write
from tensorkeep.api.selecting import Only, Rename, select, tensor_leaves
from tensorkeep.core.bytesource import ByteSource, open_source
from tensorkeep.core.dtypes import DType, numpy_dtype
from tensorkeep.core.plan import Receipt
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Inert, leaves, map_tree
from tensorkeep.errors import CorruptFileError, UnsupportedDataError, UnsupportedFormatError

__all__ = ["convert", "repair"]

PathOrFile: TypeAlias = "str | os.PathLike[str] | IO[bytes]"


def convert(
    src: Source,
    dst: PathOrFile,
    *,
    only: Only | None = None,
    rename: Rename | None = None,
    dtype: Any = None,
    flat: bool = False,
    format: str | None = None,
    shard_size: int | str | None = None,
    verify: bool = True,
    unknown: str = "refuse",
    epoch: int | None = None,
) -> Receipt:
    """Write a file's data in another format, one tensor in memory at a time.

    Args:
        src, only, rename, dtype, verify, unknown, epoch: as `load` has them. Checksums of `src` are checked first.
        dst, format, shard_size: as `save` has them.
        flat: write the tensors by name and leave out nesting and plain values, for formats that hold only a flat dict.
            Inert records are left out too.
    Raises: as `load` and `save`; when it fails, `dst` is as it was.
    """
    with open(src, unknown=unknown, epoch=epoch) as file:
        if not len(file) and file.graph is not None:
            return write(dst, file.graph, format, None, shard_size)
        if verify:
            report = verify_file(file)
            if report.status == "damaged":
                raise CorruptFileError(damage_text(file, sentences(report)))
        tree = select(file, only=only, rename=rename)
        if flat:
            tree = dict(file) if any(isinstance(leaf, Inert) for _, leaf in leaves(tree)) else tensor_leaves(tree)
        inert = [path for path, leaf in leaves(tree) if isinstance(leaf, Inert)]
        if inert:
            raise UnsupportedDataError(
                f"{file.path}: {len(inert)} objects of unknown classes are among the data ({', '.join(inert[:3])}, …) and cannot "
                "be written. flat=True (--flat) writes the tensors alone; only= chooses some."
            )
        if dtype is not None:
            tree = _cast(tree, float_dtype(dtype))
        return write(dst, tree, format, None, shard_size, inherited=string_metadata(file))


def _cast(tree: Any, wanted: DType) -> Any:
    made: dict[int, Any] = {}

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, SparseTensor):
            return SparseTensor(leaf.kind, leaf.shape, cast(leaf.data), leaf.indices, leaf.indptr)
        if not isinstance(leaf, Tensor) or leaf.dtype.kind != "float" or leaf.dtype == wanted:
            return leaf
        if id(leaf) not in made:
            source = leaf
            made[id(leaf)] = Tensor(leaf.shape, wanted, make=lambda: source.numpy().astype(numpy_dtype(wanted)))
        return made[id(leaf)]

    return map_tree(tree, cast)


def repair(path: Source, salvage: PathOrFile, *, format: str | None = None) -> Receipt:
    """Write every tensor of a cut or damaged file that is whole to the new file `salvage`.

    Tensors whose checksum does not fit are left out. The damaged file is not touched.

    Raises:
        UnsupportedFormatError: nothing can be salvaged from this format. CorruptFileError: no tensor is whole.
    """
    from tensorkeep import formats

    source: ByteSource = open_source(path)
    try:
        found = formats.detect(source)
        if found.salvage is None:
            raise UnsupportedFormatError(f"{source.name}: nothing can be salvaged from a {found.name} file.")
        file = found.salvage(source)
        report = verify_file(file)
        bad = {check.name for check in report.tensors.values() if check.status == "damaged"}
        tensors = {name: tensor for name, tensor in file.items() if name not in bad}
        if not tensors:
            raise CorruptFileError(f"{source.name}: no tensor in it is whole, nothing was written.")
        return write(salvage, tensors, format, None, None)
    finally:
        source.close()
