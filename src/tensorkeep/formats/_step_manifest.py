"""The manifest: the JSON that makes a step complete. Written last, it names every file and tensor with their hashes.

    {"format": "tensorkeep-step", "version": 1, "hash", "kind": "step", "step", "epoch", "time", "metrics", "parent", "keep",
     "provenance", "entries", "files", "tensors", "tree"}

`tensors` has for each name the dtype, the shape and the parts that make it up: file, name inside the file, where the part
begins in the tensor, its shape, offset and hash; a tensor of one process has one part. `files` has for each file its size
and the hash of its header, which holds the hashes of its tensors: together they stand for every byte. `hash` is the
manifest's own, over its text with zeros in that place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorkeep.core.bounds import MAX_HEADER_NBYTES
from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.hashing import XXH3_128, digest_of
from tensorkeep.errors import CorruptFileError, TensorkeepError, UnsupportedDataError, UnsupportedFormatError

__all__ = [
    "FORMAT",
    "NAME",
    "FileRecord",
    "Manifest",
    "Part",
    "TensorRecord",
    "plain_metrics",
    "read_manifest",
    "write_bytes",
]

NAME = "manifest.json"
FORMAT = "tensorkeep-step"
VERSION = 1
_ZEROS = "0" * 32
_HASH = '"hash": "'


@dataclass(frozen=True, slots=True)
class Part:
    """A box of a tensor's elements and where they lie.

    Attributes:
        file, name: the file, and the name in it.
        start, shape: where the box begins in the tensor, and its sizes.
        offset: of its first byte in the file.
        hash: xxh3-128 of its bytes.
    """

    file: str
    name: str
    start: tuple[int, ...]
    shape: tuple[int, ...]
    offset: int
    hash: str


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A tensor: its dtype and shape, and the parts that make it up."""

    dtype: str
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def whole(self) -> Part | None:
        """The only part, when it is all of the tensor."""
        return self.parts[0] if len(self.parts) == 1 and self.parts[0].shape == self.shape else None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of the step: its size and the hash of its header."""

    nbytes: int
    hash: str


@dataclass(frozen=True)
class Manifest:
    """What a step is.

    Attributes:
        step: its number.
        kind: "step", or "crash" for one saved on the way out of an exception.
        time: when it was saved, ISO 8601 in UTC.
        metrics: name → number.
        tree: the state's structure, as core.tree.encode has it; tensors are named.
        entries: what each top-level entry of the state was: "model", "optimizer", "object" or "data".
        tensors, files: see the records.
        keep: the policies of the writer, as text; see `checkpoint.policies`.
        provenance: of the process that wrote it; empty when it was not asked for.
        parent: the step that the run resumed from or saved before, None for the first.
        epoch: the epoch that the loop told, None when it told none.
    """

    step: int
    kind: str
    time: str
    metrics: Mapping[str, float]
    tree: Any
    entries: Mapping[str, str]
    tensors: Mapping[str, TensorRecord]
    files: Mapping[str, FileRecord]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    parent: int | None = None
    keep: Sequence[str] = ()
    epoch: int | None = None


def write_bytes(manifest: Manifest) -> bytes:
    """The text of a manifest, its own hash in it.

    Raises:
        UnsupportedDataError: a metric is no number.
    """
    data = {
        "format": FORMAT,
        "version": VERSION,
        "hash": _ZEROS,
        "kind": manifest.kind,
        "step": manifest.step,
        "epoch": manifest.epoch,
        "time": manifest.time,
        "metrics": {name: _number(value) for name, value in plain_metrics(manifest.metrics).items()},
        "parent": manifest.parent,
        "keep": list(manifest.keep),
        "provenance": manifest.provenance,
        "entries": manifest.entries,
        "files": {name: [record.nbytes, record.hash] for name, record in manifest.files.items()},
        "tensors": {
            name: [record.dtype, list(record.shape), [_part_row(part) for part in record.parts]]
            for name, record in manifest.tensors.items()
        },
        "tree": manifest.tree,
    }
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}" for key, value in data.items()
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as err:
        raise UnsupportedDataError(
            "a name, key or string has a lone surrogate, which UTF-8 cannot hold. Rename it."
        ) from err
    return raw.replace(f'{_HASH}{_ZEROS}"'.encode(), f'{_HASH}{_own_hash(raw)}"'.encode(), 1)


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as numbers of Python: whatever has `__float__` is one, scalars of NumPy, torch and JAX among them.

    Raises:
        UnsupportedDataError: one is no number.
    """
    made: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            if type(name) is not str or not hasattr(value, "__float__"):
                raise TypeError
            number = float(value)
            made[name] = int(value) if isinstance(value, int) else number
        except (TypeError, ValueError, OverflowError, RuntimeError) as err:
            raise UnsupportedDataError(
                f"metrics[{name!r}] is a {type(value).__name__}; metrics are single numbers by name. Nothing was saved."
            ) from err
    return made


def _part_row(part: Part) -> list[Any]:
    return [part.file, part.name, list(part.start), list(part.shape), part.offset, part.hash]


def _number(value: float) -> Any:
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        return repr(number)  # JSON has no NaN
    return int(number) if isinstance(value, int) else number


def _own_hash(raw: bytes) -> str:
    return digest_of(raw, XXH3_128).value


def read_manifest(folder: str) -> Manifest:
    """The manifest of a step's folder, checked against its own hash. It may be a link, as in the cache of the Hugging Face tools.

    Raises:
        FileNotFoundError: there is none: the folder is no step.
        CorruptFileError: it is damaged; UnsupportedFormatError: it is of a later version.
    """
    path = os.path.join(folder, NAME)
    source = FileSource(path)
    try:
        if source.size > MAX_HEADER_NBYTES:
            raise CorruptFileError(f"{path}: a manifest of {source.size} bytes; at most {MAX_HEADER_NBYTES} are read.")
        raw = source.read(0, source.size)
    finally:
        source.close()
    return _parse(raw, path)


def _parse(raw: bytes, path: str) -> Manifest:
    from tensorkeep.formats._json import parse

    at = raw.find(_HASH.encode())
    digits = raw[at + len(_HASH) : at + len(_HASH) + 32]
    blank = raw[: at + len(_HASH)] + _ZEROS.encode() + raw[at + len(_HASH) + 32 :]
    if at < 0 or _own_hash(blank).encode() != digits:
        raise CorruptFileError(
            f"{path}: the manifest is not what was written: its own hash does not fit. The step is damaged."
        )
    try:
        data = parse(raw, what=path)
        if data["format"] != FORMAT or type(data["version"]) is not int:
            raise CorruptFileError(f"{path}: this is no manifest of a step ({data['format']!r:.80}).")
        if data["version"] > VERSION:
            raise UnsupportedFormatError(
                f"{path}: a manifest of version {data['version']}, and this tensorkeep reads up to {VERSION}. Install a newer one."
            )
        files = {_file_name(name, path): FileRecord(int(n), str(h)) for name, (n, h) in data["files"].items()}
        return Manifest(
            int(data["step"]),
            str(data["kind"]),
            str(data["time"]),
            {name: float(value) for name, value in data["metrics"].items()},
            data["tree"],
            dict(data["entries"]),
            {
                name: TensorRecord(
                    str(dtype), _sizes(shape), tuple(_part(row, shape, name, files, path) for row in parts)
                )
                for name, (dtype, shape, parts) in data["tensors"].items()
            },
            files,
            data["provenance"],
            data["parent"],
            tuple(map(str, data["keep"])),
            None if data.get("epoch") is None else int(data["epoch"]),
        )
    except TensorkeepError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise CorruptFileError(
            f"{path}: the manifest lacks what every manifest has ({err!r}). The step is damaged."
        ) from err


def _sizes(values: Any) -> tuple[int, ...]:
    sizes = tuple(map(int, values))
    if any(size < 0 for size in sizes):
        raise ValueError(f"negative size in {values!r:.80}")
    return sizes


def _part(row: Any, shape: Any, name: str, files: Mapping[str, FileRecord], path: str) -> Part:
    file, inner, start, sizes, offset, digits = row
    part = Part(str(file), str(inner), _sizes(start), _sizes(sizes), int(offset), str(digits))
    fits = len(part.start) == len(part.shape) == len(shape) and all(
        a + b <= n for a, b, n in zip(part.start, part.shape, shape, strict=True)
    )
    if part.file not in files or not fits or part.offset < 0:
        raise CorruptFileError(
            f"{path}: a part of {name!r:.80} lies outside of its tensor or of the files. The step is damaged."
        )
    return part


def _file_name(name: str, path: str) -> str:
    """A file's name is a name, never a path.

    Raises:
        CorruptFileError: it leads out of the folder.
    """
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name or ":" in name:
        raise CorruptFileError(
            f"{path}: {name!r:.80} is no name of a file in this folder. The manifest is hostile or damaged."
        )
    return name
