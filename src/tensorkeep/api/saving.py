"""`save`: data of any framework to a file, or to shards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tensorkeep.core.collector import collector_paused
from tensorkeep.core.plan import Receipt
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content, flatten
from tensorkeep.errors import UnsupportedDataError, UnsupportedFormatError

if TYPE_CHECKING:
    from tensorkeep.formats import Format

__all__ = ["save", "string_metadata", "write"]


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
        path: where to: a path, whose suffix chooses the format (.safetensors is the one to prefer, and what a name without a
            suffix gets), or an open binary file (then `format` says which, safetensors unless given). `save(data, path)` works too.
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
    inherited: dict[str, str] = {}
    if isinstance(data, TensorFile):
        inherited = string_metadata(data)
        data = data.graph if data.graph is not None and not len(data) else data.structure
    return write(path, data, format, metadata, shard_size, inherited=inherited)


def string_metadata(file: TensorFile) -> dict[str, str]:
    """The strings of an opened file that are worth taking along; safetensors' mark of the framework is not."""
    return {key: value for key, value in file.metadata.items() if type(value) is str and key != "format"}


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


def write(
    path: Any,
    data: Any,
    format: str | None,
    metadata: Mapping[str, str] | None,
    shard_size: int | str | None,
    *,
    inherited: Mapping[str, str] | None = None,
) -> Receipt:
    """What `save` does once the data are plain; `inherited` metadata is dropped by formats that have no room for it."""
    from tensorkeep import formats

    to_path = isinstance(path, (str, os.PathLike))
    if format is not None:
        chosen = formats.by_name(format)
    else:
        chosen = formats.for_writing(os.fspath(path)) if to_path else formats.by_name("safetensors")
    if metadata and not chosen.metadata:
        raise UnsupportedDataError(
            f"{path}: files of the format {chosen.name} have no room for metadata ({', '.join(map(repr, metadata))}). "
            "Leave it out, or save as .safetensors, .npz or .pt."
        )
    if _is_graph(data) and chosen.name != "symbol":
        raise UnsupportedDataError(
            f"{path}: the data are the graph of a network, without tensors, and files of the format {chosen.name} hold tensors. "
            "Save it as …-symbol.json."
        )
    with collector_paused():
        content = _content(data, {**(inherited or {}), **(metadata or {})} if chosen.metadata else None)
        if shard_size is not None or chosen.name == "safetensors-sharded":
            return _write_shards(path, content, chosen, shard_size)
        if chosen.plan is None:
            written = ", ".join(formats.names(written=True))
            raise UnsupportedFormatError(
                f"{path}: the format {chosen.name} is read but not written. Written are {written}."
            )
        plan = chosen.plan(content)
    from tensorkeep.storage.writing import write_file, write_stream

    return write_file(os.fspath(path), plan) if to_path else write_stream(path, plan)


def _is_graph(data: Any) -> bool:
    return type(data).__name__ == "Graph" and type(data).__module__ == "tensorkeep.core.graph"


def _content(data: Any, metadata: Mapping[str, str] | None) -> Content:
    if _is_graph(data):
        return Content(data, {}, {}, dict(metadata or {}))
    return flatten(data, metadata)


def _write_shards(path: Any, content: Content, chosen: Format, shard_size: int | str | None) -> Receipt:
    if not isinstance(path, (str, os.PathLike)) or not chosen.name.startswith("safetensors"):
        raise UnsupportedDataError(
            f"shard_size= splits safetensors files at a path, and this is {chosen.name}. Save to a path that ends in .safetensors."
        )
    from tensorkeep.api.shards import write_shards

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
