"""`open` and `load`: files of any framework, lazily or into memory of the caller's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from tensorkeep.api.selecting import Only, Rename, names_of, select
from tensorkeep.core.bytesource import open_source
from tensorkeep.core.dtypes import DType, numpy_dtype
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import leaves, map_tree
from tensorkeep.errors import CorruptFileError, UnsupportedDataError, UnsupportedFormatError

if TYPE_CHECKING:
    from tensorkeep.formats import Format

__all__ = ["Source", "damage_text", "float_dtype", "load", "open", "opener"]

Source: TypeAlias = "str | os.PathLike[str] | IO[bytes] | bytes | bytearray | memoryview"


def open(path: Source, *, unknown: str = "refuse", epoch: int | None = None) -> TensorFile:
    """Open a file lazily: its header is read, values when they are asked for.

    Args:
        path: a path (a file; a folder of shards or a torch.distributed checkpoint; the prefix of an MXNet checkpoint with
            `epoch`), bytes, or an open binary file (read from its position).
        unknown: what to do with a pickle that asks for classes outside the allow-list: "refuse" it with the list of them,
            or keep each as a record ("inert"), never imported.
        epoch: opens prefix-symbol.json and prefix-0003.params for epoch=3.
    Returns:
        A TensorFile: a read-only Mapping from name to Tensor. Use it in a `with` block.
    Raises:
        FileNotFoundError and other OSErrors; CorruptFileError, TruncatedFileError, LimitError, UnsafeFileError,
        UnsupportedFormatError: what is wrong, where, and what to do. Nothing in the file was executed.
    """
    from tensorkeep import formats

    if unknown not in ("refuse", "inert"):
        raise UnsupportedDataError(f"unknown={unknown!r} is not known; use 'refuse' or 'inert'.")
    if epoch is not None:
        from tensorkeep.formats.mxnet import open_checkpoint

        return open_checkpoint(os.fspath(path), epoch)  # type: ignore[arg-type]  # fspath refuses what is no path
    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
        folder = formats.detect_folder(Path(path))
        assert folder.open_folder is not None
        return folder.open_folder(Path(path), unknown)
    if (
        isinstance(path, (str, os.PathLike))
        and not os.path.exists(path)
        and os.path.exists(f"{os.fspath(path)}.index.json")
    ):
        path = f"{os.fspath(path)}.index.json"  # saved with shard_size=
    source = open_source(path)
    try:
        return opener(formats.detect(source))(source, unknown)
    except BaseException:
        source.close()
        raise


def opener(found: Format) -> Any:
    assert found.open is not None
    return found.open


def load(
    path: Source,
    *,
    only: Only | None = None,
    rename: Rename | None = None,
    framework: str | None = None,
    device: Any = None,
    dtype: Any = None,
    verify: bool = True,
    unknown: str = "refuse",
    epoch: int | None = None,
) -> Any:
    """The data of a file, of the kind that was saved, in memory that the caller owns and can write.

    Args:
        path, unknown, epoch: as `open` has them.
        only: the tensors to read: a glob on their names, a list of names and globs, or a function of the name. Containers
            keep their kind and lose what is not wanted.
        rename: new names; the result is then a flat dict. See `tensorkeep.api.selecting.Rename`.
        framework: "numpy" (default), "torch" or "jax".
        device: where torch or JAX tensors go ("cuda:0"); alone it means framework="torch". A device named in the file is
            never asked for.
        dtype: cast floating-point tensors to this floating-point dtype; others keep theirs.
        verify: check every checksum that the file carries (they are read in the same pass).
    Returns:
        A tensor, list, tuple, dict or nesting, as saved; a Graph for a symbol.json. Tied tensors come back as one.
    Raises: as `open`, and
        CorruptFileError: checksums differ; all damaged tensors are named. verify=False reads them anyway.
        TensorNotFoundError, MismatchError: `only` or `rename` does not fit the names in the file.
    """
    if framework not in (None, "numpy", "torch", "jax"):
        raise UnsupportedDataError(f"framework={framework!r} is not known; use 'numpy', 'torch' or 'jax'.")
    with open(path, unknown=unknown, epoch=epoch) as file:
        if not len(file) and file.graph is not None:
            return file.graph
        if verify:
            damage = file.check()
            if damage:
                raise CorruptFileError(damage_text(file, damage))
        tree = select(file, only=only, rename=rename)
        finish = _finisher(framework, device, dtype)
        return _materialise(tree, file, verify, finish)


def damage_text(file: TensorFile, damage: list[str]) -> str:
    return (
        f"{file.path}: {'; '.join(damage)}. Get the file again from its source; verify=False reads what is there, "
        "at your own risk."
    )


def _finisher(framework: str | None, device: Any, dtype: Any) -> Any:
    if framework is None and device is not None:
        framework = "jax" if type(device).__module__.startswith("jax") else "torch"
    wanted = None if dtype is None else float_dtype(dtype)
    if framework in (None, "numpy"):
        if device is not None and str(device) != "cpu":
            raise UnsupportedDataError(f"framework='numpy' has no device {device!r}. Use framework='torch' or 'jax'.")
        if wanted is None:
            return None

    def finish(array: Any) -> Any:
        from tensorkeep.core.foreign import to_framework

        if wanted is not None and DType.of(array.dtype).kind == "float":
            array = array.astype(numpy_dtype(wanted), copy=False)
        return to_framework(array, framework, device)

    return finish


def float_dtype(dtype: Any) -> DType:
    """The floating-point DType that `dtype=` names.

    Raises:
        UnsupportedDataError: it is none.
    """
    try:
        wanted = DType.of(dtype)
    except UnsupportedFormatError as err:
        raise UnsupportedDataError(f"dtype={dtype!r}: {err}") from err
    if wanted.kind != "float":
        raise UnsupportedDataError(
            f"dtype={str(wanted)!r} casts floating-point tensors and must be a floating-point type. Cast others after loading."
        )
    return wanted


def _materialise(tree: Any, file: TensorFile, verify: bool, finish: Any) -> Any:
    from tensorkeep.core import sparse
    from tensorkeep.storage.reading import read_tensors

    names = names_of(file, tree)
    tensors: dict[int, Tensor] = {}
    labels: list[str] = []
    sparse_leaves: dict[int, SparseTensor] = {}

    def collect(tensor: Tensor, label: str) -> None:
        if id(tensor) not in tensors:
            tensors[id(tensor)] = tensor
            labels.append(label)

    flat = tree.items() if type(tree) is dict else ()
    if flat and all(type(value) is Tensor for value in tree.values()):
        for name, tensor in flat:
            collect(tensor, names[id(tensor)])
    else:
        for path, leaf in leaves(tree):
            if isinstance(leaf, Tensor):
                collect(leaf, names.get(id(leaf), path))
            elif isinstance(leaf, SparseTensor) and id(leaf) not in sparse_leaves:
                sparse_leaves[id(leaf)] = leaf
                for part, tensor in leaf.parts():
                    collect(tensor, f"{names.get(id(leaf), path)}.{part}")
    arrays = read_tensors(list(tensors.values()), names=labels, verify=verify)
    done: dict[int, Any] = dict(zip(tensors, arrays, strict=True))
    for key, leaf in sparse_leaves.items():
        parts = {part: done[id(tensor)] for part, tensor in leaf.parts()}
        whole = SparseTensor(leaf.kind, leaf.shape, **parts)
        sparse.check(whole, what=f"{file.path}: {names.get(key, 'a sparse tensor')!r}")
        done[key] = whole
    if finish is not None:
        sparse_ids = {id(tensor) for leaf in sparse_leaves.values() for _, tensor in leaf.parts()}
        for key, value in done.items():
            if key in sparse_leaves:
                done[key] = _finish_sparse(value, finish)
            elif key not in sparse_ids:
                done[key] = finish(value)
    if (
        type(tree) is dict
        and len(tree) == len(done)
        and not sparse_leaves
        and all(id(v) in done for v in tree.values())
    ):
        return {name: done[id(tensor)] for name, tensor in tree.items()}
    return map_tree(tree, lambda leaf: done[id(leaf)] if isinstance(leaf, (Tensor, SparseTensor)) else leaf)


def _finish_sparse(value: SparseTensor, finish: Any) -> Any:
    made = finish(value.data)
    return value.to_torch() if type(made).__module__.startswith("torch") else value
