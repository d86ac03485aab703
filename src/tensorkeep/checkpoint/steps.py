"""Steps on the disk: found, verified, opened. Nothing here writes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import map_tree
from tensorkeep.errors import CorruptFileError, TensorkeepError
from tensorkeep.formats._step_manifest import NAME, Manifest, read_manifest
from tensorkeep.formats.step import MISSING, file_damage, gone, open_step, part_tensors

__all__ = ["HIDDEN", "PINNED", "Step", "list_steps", "newest"]

PINNED = "PINNED"
HIDDEN = ("generators", "ranks")
"""Kinds of entries that the Checkpointer adds to a state, and takes out again."""

_RANK = re.compile(r"-rank(\d{5})[.-]")
_NAME = re.compile(r"(step|crash)-(\d{10,})")


@dataclass(frozen=True)
class Step:
    """A step that lies in a directory.

    Attributes:
        step: its number.
        path: its folder.
        kind: "step" or "crash".
        skipped: after `restore`, the newer steps that were passed over, with what was wrong with them.
        not_restored: after `restore`, what of the step could not go back to where it was.
    """

    step: int
    path: str
    kind: str = "step"
    skipped: tuple[str, ...] = field(default=(), compare=False)
    not_restored: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def manifest(self) -> Manifest:
        """What the step says of itself; see Manifest.

        Raises:
            CorruptFileError: it is damaged or missing.
        """
        try:
            found = read_manifest(self.path)
        except OSError as err:
            if err.errno not in MISSING:
                raise
            raise CorruptFileError(
                gone(self.path) or f"{self.path}: the step has no manifest, and so was never completed."
            ) from err
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

    def damage(self, *, quick: bool = False, share: tuple[int, int] = (0, 1)) -> list[str]:
        """Sentences about what is wrong with it; empty when every byte is as written.

        A run goes on only from what lies in its own folder: a link in the place of a file counts as damage here. `open` and
        `load` follow links to regular files.

        Args:
            quick: look at the manifest, the files' sizes and headers, and not at the tensors' bytes.
            share: (which, of how many) when several processes look: each reads about as many bytes.
        """
        return self._linked() or self._told(quick, share)

    def proven_damage(self) -> list[str]:
        """As `damage`, of all bytes; but what the system refuses to read now may still be whole.

        Raises:
            OSError: the system's own.
        """
        return self._linked() or self._damage(False, (0, 1), proven=True)

    def _told(self, quick: bool, share: tuple[int, int] = (0, 1), *, links: bool = False) -> list[str]:
        try:
            return self._damage(quick, share, links=links)
        except OSError as err:
            return [f"{self.path}: {err}"]

    def _linked(self) -> list[str]:
        """What is said of links in the place of files."""
        try:
            names = [NAME, *self.manifest.files]
        except (TensorkeepError, OSError):
            names = [NAME]
        found = [name for name in names if os.path.islink(os.path.join(self.path, name))]
        return [
            f"{os.path.join(self.path, name)}: a symbolic link in the place of a file; a run does not go on from files that lie "
            "elsewhere and may change. Copy the step with its links followed (cp -rL); tk.load reads it as it is."
            for name in found
        ]

    def _damage(self, quick: bool, share: tuple[int, int], *, proven: bool = False, links: bool = False) -> list[str]:
        try:
            manifest = self.manifest
        except TensorkeepError as err:
            return [str(err)]
        found: list[str] = []
        which, many = share
        for i, (name, record) in enumerate(manifest.files.items()):
            if i % many == which:
                found += file_damage(os.path.join(self.path, name), record, proven=proven, links=links)
        if found or quick:
            return found
        from tensorkeep.storage.reading import checksum_tensors

        sources: dict[str, FileSource] = {}
        try:
            for name in manifest.files:
                sources[name] = FileSource(os.path.join(self.path, name), follow=False)
            parts = _share(list(part_tensors(manifest, sources)), which, many)
            got = checksum_tensors([tensor for _, _, tensor in parts], [str(i) for i in range(len(parts))])
        except TensorkeepError as err:
            return [str(err)]
        finally:
            for source in sources.values():
                source.close()
        for i, (name, part, tensor) in enumerate(parts):
            if got[str(i)] != tensor.digest:
                found.append(
                    f"{os.path.join(self.path, part.file)}: the bytes of {name!r} are not those that were written."
                )
        return found

    def open(self) -> TensorFile:
        """The step as a TensorFile: tensors by full name, lazily; `structure` is the state, models and optimizers as dicts.

        Raises:
            CorruptFileError: the manifest is damaged, or a file missing or cut.
        """
        return open_step(self.path, self.manifest)

    def load(self, *, verify: bool = True) -> Any:
        """The state as it was given, in memory; models and optimizers are dicts. No model is needed.

        Raises:
            CorruptFileError: bytes are not those that were written.
        """
        from tensorkeep.storage.reading import read_tensors

        if verify and (damage := self._told(True, links=True)):
            raise CorruptFileError("; ".join(damage))
        with self.open() as file:
            tensors = dict(file.dense())
            arrays = read_tensors(list(tensors.values()), names=list(tensors), verify=verify)
            read = {id(tensor): array for tensor, array in zip(tensors.values(), arrays, strict=True)}
            return map_tree(
                file.structure, lambda leaf: read[id(leaf)] if isinstance(leaf, Tensor) else _whole(leaf, read)
            )

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


def _share(parts: list[Any], which: int, many: int) -> list[Any]:
    """One of `many` shares of (name, part, tensor) rows, alike in bytes; a rank's own files go to it when as many ranks wrote."""
    if many == 1:
        return parts
    load = [0] * many
    mine = []
    writers = {match[1] for _, part, _ in parts if (match := _RANK.search(part.file))}
    own = len(writers) == many
    for row in sorted(parts, key=lambda row: -row[2].nbytes):
        match = _RANK.search(row[1].file) if own else None
        to = int(match[1]) if match and int(match[1]) < many else min(range(many), key=lambda i: load[i])
        load[to] += row[2].nbytes
        if to == which:
            mine.append(row)
    return mine


def _whole(leaf: Any, read: Mapping[int, Any]) -> Any:
    from tensorkeep.core.tensor import SparseTensor

    if not isinstance(leaf, SparseTensor):
        return leaf
    return SparseTensor(leaf.kind, leaf.shape, **{part: read[id(tensor)] for part, tensor in leaf.parts()})


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


def newest(directory: str) -> Step | None:
    """The newest step whose manifest and files' sizes are right; None when there is none."""
    for each in reversed(list_steps(directory)):
        if not each.damage(quick=True):
            return each
        if not os.path.lexists(each.path):  # its writer has removed it meanwhile, so there is a newer one
            return newest(directory)
    return None
