"""`open` and `load`: files of any framework, lazily or into memory of the caller's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from tensorkeep.api.selecting import Only, Rename, select
from tensorkeep.core.bytesource import open_source
from tensorkeep.core.collector import collector_paused
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

        if not isinstance(path, (str, os.PathLike)):
            raise UnsupportedDataError(
                f"epoch= goes with the prefix of a checkpoint's files, not a {type(path).__name__}."
            )
        return open_checkpoint(os.fspath(path), epoch)
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
        file: TensorFile = opener(formats.detect(source))(source, unknown)
        return file
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
    finish = _finish(framework, device, dtype)
    with collector_paused(), open(path, unknown=unknown, epoch=epoch) as file:
        if file.graph is not None and not len(file):
            return file.graph
        if verify:
            damage = file.check()
            if damage:
                raise CorruptFileError(damage_text(file, damage))
        return _materialise(select(file, only=only, rename=rename), file, verify, finish)


def damage_text(file: TensorFile, damage: list[str]) -> str:
    return (
        f"{file.path}: {'; '.join(damage)}. Get the file again from its source; verify=False reads what is there, "
        "at your own risk."
    )


@dataclass(frozen=True)
class _Finish:
    """What is done to each array that was read: cast, then handed to the framework and device that were asked for."""

    framework: str
    device: Any
    dtype: DType | None

    def cast(self, array: Any) -> Any:
        if self.dtype is None or DType.of(array.dtype).kind != "float":
            return array
        return array.astype(numpy_dtype(self.dtype), copy=False)

    def dense(self, array: Any) -> Any:
        from tensorkeep.core.foreign import to_framework

        return to_framework(self.cast(array), self.framework, self.device)

    def sparse(self, value: SparseTensor) -> Any:
        value = SparseTensor(value.kind, value.shape, self.cast(value.data), value.indices, value.indptr)
        if self.framework != "torch":
            return value
        made = value.to_torch()
        return made if self.device is None else made.to(self.device)


def _finish(framework: str | None, device: Any, dtype: Any) -> _Finish | None:
    """None when arrays stay as they are read."""
    if framework is None and device is not None:
        framework = "jax" if type(device).__module__.startswith("jax") else "torch"
    wanted = None if dtype is None else float_dtype(dtype)
    if framework in (None, "numpy"):
        if device is not None and str(device) != "cpu":
            raise UnsupportedDataError(f"framework='numpy' has no device {device!r}. Use framework='torch' or 'jax'.")
        if wanted is None:
            return None
    return _Finish(framework or "numpy", device, wanted)


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


def _materialise(tree: Any, file: TensorFile, verify: bool, finish: _Finish | None) -> Any:
    from tensorkeep.storage.reading import read_tensors

    if type(tree) is dict and all(type(leaf) is Tensor for leaf in tree.values()):
        # The usual case by itself: a flat dict of 10,000 tensors is ready in half the time.
        arrays = read_tensors(list(tree.values()), names=list(tree), verify=verify)
        if finish is not None:
            made = {id(array): finish.dense(array) for array in arrays}  # tied arrays stay tied
            arrays = [made[id(array)] for array in arrays]
        return dict(zip(tree, arrays, strict=True))
    found = _collect(tree)
    arrays = read_tensors(
        [tensor for _, tensor in found.values()], names=[label for label, _ in found.values()], verify=verify
    )
    done: dict[int, Any] = dict(zip(found, arrays, strict=True))
    sparse = _join_sparse(tree, done, file, finish)
    for key in found:
        if finish is not None and key in done:
            done[key] = finish.dense(done[key])
    done |= sparse
    return map_tree(tree, lambda leaf: done[id(leaf)] if isinstance(leaf, (Tensor, SparseTensor)) else leaf)


def _collect(tree: Any) -> dict[int, tuple[str, Tensor]]:
    """Every dense Tensor of the tree, the parts of sparse ones too, once: id to (name, Tensor)."""
    found: dict[int, tuple[str, Tensor]] = {}
    for path, leaf in leaves(tree, inside=True):
        if isinstance(leaf, Tensor):
            found.setdefault(id(leaf), (path, leaf))
        elif isinstance(leaf, SparseTensor):
            for part, tensor in leaf.parts():
                found.setdefault(id(tensor), (f"{path}.{part}", tensor))
    return found


def _join_sparse(tree: Any, done: dict[int, Any], file: TensorFile, finish: _Finish | None) -> dict[int, Any]:
    """The sparse tensors of the tree with their parts read and checked, by id of the leaf; parts are taken out of `done`."""
    from tensorkeep.core import sparse

    joined: dict[int, Any] = {}
    parts_of: set[int] = set()
    for path, leaf in leaves(tree, inside=True):
        if isinstance(leaf, SparseTensor) and id(leaf) not in joined:
            parts = {part: done[id(tensor)] for part, tensor in leaf.parts()}
            parts_of |= {id(tensor) for _, tensor in leaf.parts()}
            whole = SparseTensor(leaf.kind, leaf.shape, **parts)
            sparse.check(whole, what=f"{file.path}: {path!r}")
            joined[id(leaf)] = whole if finish is None else finish.sparse(whole)
    for key in parts_of - {id(leaf) for _, leaf in leaves(tree, inside=True) if isinstance(leaf, Tensor)}:
        del done[key]
    return joined
