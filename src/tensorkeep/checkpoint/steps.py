"""Steps on the disk: found, verified, opened. Nothing here writes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tensorkeep.checkpoint.manifest import Manifest, TensorRecord, read_manifest
from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.dtypes import DType
from tensorkeep.core.hashing import XXH3_128, Digest
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.core.tree import decode, map_tree
from tensorkeep.errors import CorruptFileError, TensorkeepError

__all__ = ["PINNED", "Step", "list_steps"]

PINNED = "PINNED"
_NAME = re.compile(r"(step|crash)-(\d{10,})")


@dataclass(frozen=True)
class Step:
    """A step that lies in a directory.

    Attributes:
        step: its number.
        path: its folder.
        kind: "step" or "crash".
        skipped: after `restore`, the newer steps that were passed over, with what was wrong with them.
    """

    step: int
    path: str
    kind: str = "step"
    skipped: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def manifest(self) -> Manifest:
        """What the step says of itself; see Manifest.

        Raises:
            CorruptFileError: it is damaged or missing.
        """
        try:
            found = read_manifest(self.path)
        except FileNotFoundError as err:
            raise CorruptFileError(f"{self.path}: the step has no manifest, and so was never completed.") from err
        if found.step != self.step:
            raise CorruptFileError(
                f"{self.path}: the manifest is that of step {found.step}. The folder was renamed or mixed up."
            )
        return found

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics that were saved with it; none when the manifest cannot be read."""
        try:
            return self.manifest.metrics
        except TensorkeepError:
            return {}

    @property
    def pinned(self) -> bool:
        """Whether retention leaves it alone."""
        return os.path.lexists(os.path.join(self.path, PINNED))

    def damage(self, *, quick: bool = False) -> list[str]:
        """Sentences about what is wrong with it; empty when every byte is as written.

        Args:
            quick: look at the manifest, the files' sizes and headers, and not at the tensors' bytes.
        """
        try:
            manifest = self.manifest
        except (TensorkeepError, OSError) as err:
            return [str(err)]
        found: list[str] = []
        for name, record in manifest.files.items():
            found += _file_damage(os.path.join(self.path, name), record.nbytes, record.hash)
        if found or quick:
            return found
        from tensorkeep.storage.reading import checksum_tensors

        try:
            tensors = self.tensors()
            got = checksum_tensors(list(tensors.values()), list(tensors))
        except (TensorkeepError, OSError) as err:
            return [str(err)]
        for name, tensor in tensors.items():
            if got[name] != tensor.digest:
                found.append(f"{self.path}: the bytes of {name!r} are not those that were written.")
        return found

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by its full name, lazily."""
        sources: dict[str, FileSource] = {}
        found = {}
        for name, record in self.manifest.tensors.items():
            source = sources.get(record.file)
            if source is None:
                source = sources[record.file] = FileSource(os.path.join(self.path, record.file))
            found[name] = _tensor(source, record)
        return found

    def tree(self) -> Any:
        """The state as it was given, with lazy Tensors as leaves; models and optimizers are dicts."""
        return decode(self.manifest.tree, self.tensors(), what=self.path)

    def load(self, *, verify: bool = True) -> Any:
        """The state as it was given, in memory; models and optimizers are dicts. No model is needed.

        Raises:
            CorruptFileError: bytes are not those that were written.
        """
        from tensorkeep.storage.reading import read_tensors

        if verify and (damage := self.damage(quick=True)):
            raise CorruptFileError("; ".join(damage))
        tensors = self.tensors()
        arrays = read_tensors(list(tensors.values()), names=list(tensors), verify=verify)
        read = {id(tensor): array for tensor, array in zip(tensors.values(), arrays, strict=True)}
        tree = decode(self.manifest.tree, tensors, what=self.path)
        return map_tree(tree, lambda leaf: read[id(leaf)] if isinstance(leaf, Tensor) else _whole(leaf, read))

    @property
    def nbytes(self) -> int:
        """Bytes of its files, linked ones included."""
        return sum(record.nbytes for record in self.manifest.files.values())

    @property
    def own_nbytes(self) -> int:
        """Bytes that go when the step goes: of files that no other step links."""
        total = 0
        for name in self.manifest.files:
            try:
                found = os.stat(os.path.join(self.path, name))
            except OSError:
                continue
            total += found.st_size if found.st_nlink == 1 else 0
        return total


def _whole(leaf: Any, read: Mapping[int, Any]) -> Any:
    from tensorkeep.core.tensor import SparseTensor

    if not isinstance(leaf, SparseTensor):
        return leaf
    return SparseTensor(leaf.kind, leaf.shape, **{part: read[id(tensor)] for part, tensor in leaf.parts()})


def _tensor(source: FileSource, record: TensorRecord) -> Tensor:
    dtype = DType.of(record.dtype)
    tensor = Tensor(record.shape, dtype, digest=Digest(XXH3_128, record.hash))
    source.check(record.offset, tensor.nbytes)
    tensor.extent = Extent(source, record.offset, tensor.nbytes)
    return tensor


def _file_damage(path: str, nbytes: int, digits: str) -> list[str]:
    from tensorkeep.formats._safetensors_write import header_digits

    try:
        source = FileSource(path)
    except OSError as err:
        return [f"{path}: {err.strerror or err}."]
    try:
        if source.size != nbytes:
            return [f"{path}: {source.size} bytes, and {nbytes} were written."]
        length = int.from_bytes(source.read(0, 8), "little")
        header = source.read(0, min(8 + length, nbytes))
        if header_digits(header) != digits:
            return [f"{path}: the header is not the one that was written."]
        from tensorkeep.formats._safetensors import read_header

        read_header(source)
    except (TensorkeepError, OSError, ValueError) as err:
        return [f"{path}: {err}"]
    finally:
        source.close()
    return []


def list_steps(directory: str, *, kind: str | None = "step") -> list[Step]:
    """The steps of a directory in ascending order, complete or not; `kind=None` lists crash steps too."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match and (kind is None or match[1] == kind):
            found.append(Step(int(match[2]), os.path.join(directory, name), match[1]))
    return sorted(found, key=lambda each: (each.step, each.kind))
