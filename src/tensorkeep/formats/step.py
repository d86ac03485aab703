"""A checkpoint's step as a file: its tensors by their full names, its state as the structure. Written by the Checkpointer."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.dtypes import DType, numpy_dtype
from tensorkeep.core.hashing import XXH3_128, Digest, digest_of, new_hasher
from tensorkeep.core.progress import advance
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import decode
from tensorkeep.errors import CorruptFileError, LimitError, TensorkeepError
from tensorkeep.formats import Format
from tensorkeep.formats._step_manifest import NAME, FileRecord, Manifest, Part, TensorRecord, read_manifest

__all__ = ["FORMAT", "MISSING", "file_damage", "gone", "open_file", "open_step", "part_tensors"]


MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)
"""What the system says of a file that is not there, or not a file."""


def open_step(folder: str | os.PathLike[str], manifest: Manifest | None = None) -> TensorFile:
    """A step's folder as a TensorFile: names are paths in the state, `structure` is the state with models as dicts.

    Raises:
        CorruptFileError: the manifest is damaged, or a file is missing or shorter than its tensors.
    """
    path = os.fspath(folder)
    manifest = manifest if manifest is not None else read_manifest(path)
    sources: dict[str, FileSource] = {}
    try:
        for name in manifest.files:
            sources[name] = open_file(path, name, manifest)
        tensors = {name: _tensor(record, sources) for name, record in manifest.tensors.items()}
        tree = decode(manifest.tree, tensors, what=path)
    except BaseException as err:
        for source in sources.values():
            source.close()
        if isinstance(err, OSError) and err.errno in MISSING:
            missing = "a link that leads to no file" if os.path.islink(str(err.filename)) else "missing"
            raise CorruptFileError(gone(path) or f"{err.filename}: this file of the step is {missing}.") from err
        raise
    return TensorFile(
        source=None,
        sources=sources.values(),
        path=path,
        format="step",
        tensors=tensors,
        tree=tree,
        metadata={"step": manifest.step, "kind": manifest.kind, "time": manifest.time, **_shown(manifest)},
        checksum=XXH3_128,
        nbytes=sum(record.nbytes for record in manifest.files.values()),
        check=lambda: [
            line
            for name, record in manifest.files.items()
            for line in file_damage(os.path.join(path, name), record, links=True)
        ],
    )


def open_file(folder: str, name: str, manifest: Manifest) -> FileSource:
    """A file of a step, for reading only. A link is followed to a regular file of the size and header that were written.

    Raises:
        CorruptFileError: the link leads to another file. OSError: there is none.
    """
    path = os.path.join(folder, name)
    if not os.path.islink(path):
        return FileSource(path, follow=False)
    source = FileSource(path)
    try:
        if damage := _differs(source, manifest.files[name]):
            raise CorruptFileError(
                f"{path}: a link to {os.path.realpath(path)}, which is not the file that was written: {damage}. Nothing of it "
                "was given out. Fetch the step again."
            )
    except BaseException:
        source.close()
        raise
    return source


def gone(folder: str) -> str:
    """A sentence when a step's folder is no longer there; "" when it is."""
    if os.path.lexists(folder):
        return ""
    return f"{folder}: the step is no longer there: its writer's policies or somebody removed it."


def _shown(manifest: Manifest) -> dict[str, Any]:
    return {f"metrics.{name}": value for name, value in manifest.metrics.items()}


def part_tensors(manifest: Manifest, sources: Mapping[str, FileSource]) -> Iterator[tuple[str, Part, Tensor]]:
    """(name, part, its bytes as a Tensor with its digest) of every part of every tensor."""
    for name, record in manifest.tensors.items():
        for part in record.parts:
            yield name, part, _part(record, part, sources)


def _part(record: TensorRecord, part: Part, sources: Mapping[str, FileSource]) -> Tensor:
    source = sources[part.file]
    tensor = Tensor(part.shape, DType.of(record.dtype), digest=Digest(XXH3_128, part.hash))
    source.check(part.offset, tensor.nbytes)
    tensor.extent = Extent(source, part.offset, tensor.nbytes)
    return tensor


def _tensor(record: TensorRecord, sources: Mapping[str, FileSource]) -> Tensor:
    if record.whole is not None:
        return _part(record, record.whole, sources)
    parts = [(part.start, _part(record, part, sources)) for part in record.parts]
    covered = sum(math.prod(part.shape) for part in record.parts)
    if covered != math.prod(record.shape):
        raise CorruptFileError(
            f"the parts of a tensor of shape {list(record.shape)} hold {covered} elements. The step is damaged."
        )
    _check_apart(record.parts)
    digest = _of_parts([part.hash for part in record.parts])
    return Tensor(record.shape, DType.of(record.dtype), array=_Parts(record, parts), digest=digest)


MAX_COMPARISONS = 10_000_000
"""Of the parts of a tensor with each other; those of a grid need about as many as there are parts along its other axes."""


def _check_apart(parts: tuple[Part, ...]) -> None:
    """Raise unless no two boxes overlap; with the right sum of elements they then cover the tensor."""
    boxes = [part for part in parts if 0 not in part.shape]
    if len(boxes) < 2:
        return
    axis = max(range(len(boxes[0].start)), key=lambda i: len({part.start[i] for part in boxes}), default=0)
    active: list[Part] = []
    left = MAX_COMPARISONS
    for part in sorted(boxes, key=lambda part: part.start[axis : axis + 1]):
        if part.start:
            active = [other for other in active if other.start[axis] + other.shape[axis] > part.start[axis]]
        left -= len(active)
        if left < 0:
            raise LimitError(f"more than {MAX_COMPARISONS} comparisons to see whether {len(boxes)} parts overlap.")
        for other in active:
            both = zip(part.start, part.shape, other.start, other.shape, strict=True)
            if all(a < b + m and b < a + n for a, n, b, m in both):
                raise CorruptFileError(
                    f"the parts of a tensor at {list(other.start)} and {list(part.start)} overlap. The step is damaged."
                )
        active.append(part)


def _of_parts(hashes: Sequence[str]) -> Digest:
    """What stands for a tensor in parts: the hash of its parts' hashes."""
    return Digest(f"{XXH3_128} of {len(hashes)} parts", digest_of("".join(hashes).encode()).value)


class _Parts:
    """A tensor that lies in parts: `numpy()` puts all together, an index only those that it touches."""

    def __init__(self, record: TensorRecord, parts: list[tuple[tuple[int, ...], Tensor]]) -> None:
        self._shape = record.shape
        self._dtype = numpy_dtype(DType.of(record.dtype))
        self._parts = parts

    @property
    def nbytes(self) -> int:
        """Bytes of the whole."""
        return math.prod(self._shape) * self._dtype.itemsize

    def key(self) -> tuple[Any, ...]:
        """What tells it from other memory."""
        return (id(self),)

    def checksum(self) -> Digest:
        """The hash of the hashes of the parts, as they are now."""
        hashes = []
        for _, tensor in self._parts:
            hasher = new_hasher(XXH3_128)
            for block in tensor.blocks():
                hasher.update(block)
                advance(len(block))
            hashes.append(hasher.hexdigest())
        return _of_parts(hashes)

    def numpy(self) -> Any:
        """The whole, put together."""
        return self.box((0,) * len(self._shape), self._shape)

    def box(self, start: tuple[int, ...], shape: tuple[int, ...]) -> Any:
        """The elements of a box; only parts that it touches are read."""
        import numpy as np

        out = np.empty(shape, self._dtype)
        for begin, tensor in self._parts:
            low = [max(a, b) for a, b in zip(start, begin, strict=True)]
            high = [min(a + n, b + m) for a, n, b, m in zip(start, shape, begin, tensor.shape, strict=True)]
            if any(a >= b for a, b in zip(low, high, strict=True)) and 0 not in shape:
                continue
            inside = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
            own = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, begin, strict=True))
            out[inside] = tensor[own] if own else tensor.numpy()
        return out

    def blocks(self, max_nbytes: int) -> Iterator[memoryview]:
        """The bytes of the whole, in pieces."""
        import numpy as np

        flat = self.numpy().reshape(-1).view(np.uint8).data
        for at in range(0, flat.nbytes, max_nbytes):
            yield flat[at : at + max_nbytes]


def file_damage(path: str, record: FileRecord, *, proven: bool = False, links: bool = False) -> list[str]:
    """Sentences about what is wrong with a file's size or header.

    Args:
        proven: what the system refuses to read is no damage but raises its OSError.
        links: a link to the right file is no damage.
    """
    try:
        source = FileSource(path, follow=links)
    except TensorkeepError as err:
        return [str(err)]
    except OSError as err:
        if proven and err.errno not in MISSING:
            raise
        return [f"{path}: {(err.strerror or str(err)).lower()}."]
    try:
        damage = _differs(source, record)
    except OSError as err:
        if proven:
            raise
        damage = str(err)
    finally:
        source.close()
    return [f"{path}: {damage}."] if damage else []


def _differs(source: FileSource, record: FileRecord) -> str:
    """What tells a file's size or header from those that were written; "" when nothing does."""
    from tensorkeep.formats._safetensors import read_header
    from tensorkeep.formats._safetensors_write import header_digits

    if source.size != record.nbytes:
        return f"it has {source.size} bytes, and {record.nbytes} were written"
    try:
        length = int.from_bytes(source.read(0, 8), "little")
        header = source.read(0, min(8 + length, source.size))
        if header_digits(header) != record.hash:
            return "the header is not the one that was written"
        read_header(source)
    except TensorkeepError as err:
        return str(err).removesuffix(".")
    except ValueError:
        return "it has no such header as was written"
    return ""


def _open(folder: Path, unknown: str) -> TensorFile:
    return open_step(folder)


def is_step(folder: Path) -> bool:
    """Whether a folder has a step's manifest."""
    try:
        source = FileSource(folder / NAME)
    except (TensorkeepError, OSError):  # a pipe, a link to nothing
        return False
    try:
        return b'"format": "tensorkeep-step"' in source.read(0, min(256, source.size))
    except (TensorkeepError, OSError):
        return False
    finally:
        source.close()


FORMAT = Format(name="step", suffixes=(), open_folder=_open)
