"""The verbs: save, load, open, writer, convert, verify, scan, diff.

Each takes a path, bytes or an open binary file where a file is read. What a path holds is told by its content; what a save
writes, by the path's suffix.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from tensorkeep._diff import Diff, diff_files
from tensorkeep._select import Only, Rename, prune, renamed, selector, tensor_leaves
from tensorkeep._writer import TensorWriter
from tensorkeep.core.bytesource import ByteSource, open_source
from tensorkeep.core.dtypes import DType, numpy_dtype
from tensorkeep.core.plan import Receipt
from tensorkeep.core.reports import ScanReport, TensorCheck, VerifyReport
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content, Inert, flatten, leaves, map_tree
from tensorkeep.errors import CorruptFileError, UnsupportedDataError, UnsupportedFormatError

if TYPE_CHECKING:
    from tensorkeep.formats import Format

__all__ = ["convert", "diff", "load", "open", "repair", "save", "scan", "verify", "writer"]

PathOrFile: TypeAlias = "str | os.PathLike[str] | IO[bytes]"
Source: TypeAlias = "str | os.PathLike[str] | IO[bytes] | bytes | bytearray | memoryview"


def save(
    path: Any,
    data: Any,
    *,
    format: str | None = None,
    metadata: Mapping[str, str] | None = None,
    shard_size: int | str | None = None,
) -> Receipt:
    """Write tensors to a file, atomically and durably; returns when they are on the disk.

    Args:
        path: where to: a path, whose suffix chooses the format (.safetensors is the default to prefer), or an open binary
            file (then `format` says which, safetensors unless given). `save(data, path)` works too.
        data: one tensor, or any nesting of dicts, lists and tuples of tensors, with numbers, strings, booleans, None and
            bytes beside them. Tensors of NumPy, torch, JAX, scipy.sparse, or with `__dlpack__` or `__array__`, on any
            device. Tensors that are the same memory are stored once and come back as one; of a view only the elements
            that it shows are stored.
        format: a format's name where the suffix does not say it.
        metadata: strings to keep beside (safetensors and npz).
        shard_size: in bytes or as "2GB": split a safetensors file into shards of about this size, with an index.
    Returns:
        A Receipt: path, format, size, number of tensors, checksums.
    Raises:
        UnsupportedDataError (a TypeError): a leaf cannot be stored, or not in this format; nothing was written.
        UnsupportedFormatError: no format that is written has the suffix.
        NotEnoughSpaceError, SaveError (OSErrors): the old file is whole, and nothing is left behind.
    """
    path, data = _path_first(path, data)
    if isinstance(data, TensorFile):
        metadata = {**_string_metadata(data), **(metadata or {})}
        data = data.graph if data.graph is not None and not len(data) else data.structure
    return _write(path, data, format, metadata, shard_size)


def _string_metadata(file: TensorFile) -> dict[str, str]:
    return {key: value for key, value in file.metadata.items() if type(value) is str}


def _path_first(path: Any, data: Any) -> tuple[Any, Any]:
    if _is_target(path):
        return path, data
    if _is_target(data):
        return data, path
    raise UnsupportedDataError(
        f"save needs a path or an open binary file, and got a {type(path).__name__} and a {type(data).__name__}. "
        "Call save(path, data)."
    )


def _is_target(value: Any) -> bool:
    return isinstance(value, (str, os.PathLike)) or callable(getattr(value, "write", None))


def _write(
    path: Any, data: Any, format: str | None, metadata: Mapping[str, str] | None, shard_size: int | str | None
) -> Receipt:
    from tensorkeep import formats

    to_path = isinstance(path, (str, os.PathLike))
    if format is not None:
        chosen = formats.by_name(format)
    else:
        chosen = formats.for_writing(os.fspath(path)) if to_path else formats.by_name("safetensors")
    content = _content(data, metadata)
    if shard_size is not None or chosen.name == "safetensors-sharded":
        return _write_shards(path, content, chosen, shard_size)
    if chosen.plan is None:
        written = ", ".join(formats.names(written=True))
        raise UnsupportedFormatError(f"{path}: the format {chosen.name} is read but not written. Written are {written}.")
    plan = chosen.plan(content)
    from tensorkeep.storage.writing import write_file, write_stream

    return write_file(os.fspath(path), plan) if to_path else write_stream(path, plan)


def _content(data: Any, metadata: Mapping[str, str] | None) -> Content:
    if type(data).__name__ == "Graph" and type(data).__module__ == "tensorkeep.core.graph":
        return Content(data, {}, {}, dict(metadata or {}))
    return flatten(data, metadata)


def _write_shards(path: Any, content: Content, chosen: Format, shard_size: int | str | None) -> Receipt:
    if not isinstance(path, (str, os.PathLike)) or not chosen.name.startswith("safetensors"):
        raise UnsupportedDataError(
            f"shard_size= splits safetensors files at a path, and this is {chosen.name}. Save to a path that ends in .safetensors."
        )
    from tensorkeep.formats._shards import write_shards

    return write_shards(os.fspath(path), content, _nbytes(shard_size if shard_size is not None else "5GB"))


def _nbytes(size: int | str) -> int:
    if isinstance(size, int):
        value = size
    else:
        units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
        units |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
        text = size.strip().upper()
        number = text.rstrip("BGIKMT").strip()
        try:
            value = int(float(number) * units[text[len(number) :].strip()])
        except (KeyError, ValueError, OverflowError):
            value = 0
    if value <= 0:
        raise UnsupportedDataError(f"shard_size={size!r} is no size. Give bytes, or text like '500MB' or '2GB'.")
    return value


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
    source = open_source(path)
    try:
        return _opener(formats.detect(source))(source, unknown)
    except BaseException:
        source.close()
        raise


def _opener(found: Format) -> Any:
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
        rename: new names; the result is then a flat dict. See `tensorkeep._select.Rename`.
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
                raise CorruptFileError(_damage(file, damage))
        tree = select(file, only=only, rename=rename)
        finish = _finisher(framework, device, dtype)
        return _materialise(tree, file, verify, finish)


def _damage(file: TensorFile, damage: list[str]) -> str:
    return (
        f"{file.path}: {'; '.join(damage)}. Get the file again from its source; verify=False reads what is there, "
        "at your own risk."
    )


def select(file: TensorFile, *, only: Only | None = None, rename: Rename | None = None) -> Any:
    """The tree of an open file after `only` and `rename`."""
    tree = file.structure
    if only is None and rename is None:
        return tree
    names = _names(file, tree)
    paths = [path for path, _ in leaves(tree)]
    if only is not None:
        # Plain values are chosen by their path, tensors by their name: mostly the same.
        chosen = selector(only, list(dict.fromkeys([*names.values(), *paths])), where=file.path)
        tree = prune(tree, lambda leaf: chosen(names[id(leaf)]), chosen)
    if rename is not None:
        named = {names[id(leaf)]: leaf for leaf in tensor_leaves(tree).values()}
        tree = renamed(named, rename, where=file.path)
    return tree


def _names(file: TensorFile, tree: Any) -> dict[int, str]:
    names: dict[int, str] = {}
    for name, tensor in file.items():
        names.setdefault(id(tensor), name)
    for path, leaf in tensor_leaves(tree).items():
        names.setdefault(id(leaf), path)
    return names


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

    names = _names(file, tree)
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
    if type(tree) is dict and len(tree) == len(done) and not sparse_leaves and all(id(v) in done for v in tree.values()):
        return {name: done[id(tensor)] for name, tensor in tree.items()}
    return map_tree(tree, lambda leaf: done[id(leaf)] if isinstance(leaf, (Tensor, SparseTensor)) else leaf)


def _finish_sparse(value: SparseTensor, finish: Any) -> Any:
    made = finish(value.data)
    return value.to_torch() if type(made).__module__.startswith("torch") else value


def writer(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> TensorWriter:
    """Write a file tensor by tensor, for data larger than memory: `with tk.writer(path) as w: w["name"] = tensor`.

    Each tensor is written (and hashed) when it is assigned and can be freed at once. The file appears, whole and durable,
    when the `with` block ends without an error; otherwise nothing is left and an old file stays.

    Args:
        path: must end in .safetensors unless `format` says so; other formats need all tensors at once (`save`).
        metadata: strings to keep beside.
    Raises: as `save`.
    """
    return TensorWriter(os.fspath(path), format=format, metadata=metadata)


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
            return _write(dst, file.graph, format, None, shard_size)
        if verify:
            report = _verify(file)
            if report.status == "damaged":
                raise CorruptFileError(_damage(file, _sentences(report)))
        tree = select(file, only=only, rename=rename)
        if flat:
            tree = _flat(file, tree)
        inert = [path for path, leaf in leaves(tree) if isinstance(leaf, Inert)]
        if inert:
            raise UnsupportedDataError(
                f"{file.path}: {len(inert)} objects of unknown classes are among the data ({', '.join(inert[:3])}, …) and cannot "
                "be written. flat=True (--flat) writes the tensors alone; only= chooses some."
            )
        if dtype is not None:
            tree = _cast(tree, float_dtype(dtype))
        return _write(dst, tree, format, _string_metadata(file), shard_size)


def _flat(file: TensorFile, tree: Any) -> dict[str, Any]:
    names = _names(file, tree)
    return {names.get(id(leaf), path): leaf for path, leaf in tensor_leaves(tree).items()}


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


def verify(path: Source, *, unknown: str = "inert", epoch: int | None = None) -> VerifyReport:
    """Check every checksum that a file carries, with bounded memory.

    Returns:
        A VerifyReport, true when everything was checked and is good. A file that cannot be opened because it is cut or
        damaged gives a report that says so. Formats without checksums (npy, MXNet's) give the status "unchecked".
    Raises:
        OSError: the file cannot be read. UnsupportedFormatError: it is no file of ours.
    """
    try:
        with open(path, unknown=unknown, epoch=epoch) as file:
            return _verify(file)
    except CorruptFileError as err:
        name = str(path) if isinstance(path, (str, os.PathLike)) else "<bytes>"
        return VerifyReport(name, "", {}, (str(err),))


def _verify(file: TensorFile) -> VerifyReport:
    from tensorkeep.storage.reading import checksum_tensors

    damage: list[str] = []
    try:
        damage += file.check()
    except CorruptFileError as err:
        damage.append(str(err))
    parts: dict[str, Tensor] = {}
    for name, tensor in file.items():
        if isinstance(tensor, Tensor):
            parts[name] = tensor
        else:
            parts |= {f"{name}.{part}": each for part, each in tensor.parts()}
    checked = {name: tensor for name, tensor in parts.items() if tensor.digest is not None}
    found = checksum_tensors(list(checked.values()), names=list(checked))
    tensors: dict[str, TensorCheck] = {}
    for name, tensor in parts.items():
        if tensor.digest is None:
            tensors[name] = TensorCheck(name, "unchecked" if file.checksum is None else "good")
            continue
        got = found[name].value
        status = "good" if got == tensor.digest.value else "damaged"
        tensors[name] = TensorCheck(name, status, tensor.digest.value, got)
    return VerifyReport(file.path, file.format, tensors, tuple(damage), file.checksum)


def _sentences(report: VerifyReport) -> list[str]:
    bad = [check.name for check in report.tensors.values() if check.status == "damaged"]
    shown = ", ".join(map(repr, bad[:5])) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
    return [*report.damage, *([f"the checksums of {shown} do not fit their bytes"] if bad else [])]


def scan(path: Source) -> ScanReport:
    """What a file would run if its own framework loaded it; `data_only` is true when that is provably nothing.

    Pickles are read opcode by opcode against an allow-list; nothing is imported or executed.

    Raises:
        OSError; UnsupportedFormatError and CorruptFileError: it is no readable file of ours.
    """
    from tensorkeep import formats

    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
        found = formats.detect_folder(Path(path))
        return _scan_folder(Path(path), found)
    source = open_source(path)
    try:
        found = formats.detect(source)
        if found.scan is not None:
            return found.scan(source)
        _opener(found)(source, "inert")
        return ScanReport(source.name, found.name, True)
    finally:
        source.close()


def _scan_folder(path: Path, found: Format) -> ScanReport:
    scanner = getattr(found, "scan_folder", None)
    if scanner is not None:
        report = scanner(path)
        assert isinstance(report, ScanReport)
        return report
    assert found.open_folder is not None
    found.open_folder(path, "inert").close()
    return ScanReport(str(path), found.name, True)


def diff(a: Source, b: Source, *, unknown: str = "inert") -> Diff:
    """What differs between two files, tensor by tensor: identical, changed (max |Δ|, cosine), reshaped, added, removed.

    One pair of tensors is in memory at a time. Raises: as `open`.
    """
    with open(a, unknown=unknown) as first, open(b, unknown=unknown) as second:
        return diff_files(first, second)


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
        report = _verify(file)
        bad = {check.name for check in report.tensors.values() if check.status == "damaged"}
        tensors = {name: tensor for name, tensor in file.items() if name not in bad}
        if not tensors:
            raise CorruptFileError(f"{source.name}: no tensor in it is whole, nothing was written.")
        return _write(salvage, tensors, format, None, None)
    finally:
        source.close()


