"""How a step reaches the disk, told once.

1. A draft `.tmp-step-…-<random>/` is made; its folder is locked as long as the writer lives.
2. Every file is written into it, hashed on the way and synced; a file of the step before whose tensors are all unchanged is
   a hard link.
3. The manifest is written last and synced: it names every file with its size and every tensor with its hash.
4. The draft's folder is synced, renamed to `step-…` (never over something), and the parent is synced.
5. Only now is the step acknowledged, and only now may old ones go.

A crash before the rename leaves a draft, which no reader looks at and the next writer removes. A crash after it leaves a
whole step. Between the rename and the last sync either may be found. The steps before are touched at no moment.

Tensors are kept in hot and cold files: what did not change since the step before goes into a file of its own, which the
next steps link. No file ever holds a tensor that is stale.
"""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tensorkeep.checkpoint._pieces import Pieces
from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.dtypes import DType
from tensorkeep.core.hashing import digest_of
from tensorkeep.core.plan import TensorSegment, WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import SaveError, StepExistsError
from tensorkeep.formats._step_manifest import NAME, FileRecord, Manifest, Part, TensorRecord, write_bytes
from tensorkeep.formats.step import part_tensors
from tensorkeep.storage.atomic import save_error
from tensorkeep.storage.folders import Draft, DraftShare, check_space

__all__ = [
    "Files",
    "Written",
    "arrange",
    "digits",
    "folder_name",
    "refused",
    "step_exists",
    "stored",
    "write_files",
    "write_indexes",
    "write_step",
]

SHARD_NBYTES = 5_000_000_000
"""A file of more tensors than this is split, as the Hugging Face tools do."""

SMALL_NBYTES = 1 << 20
"""An entry below this is one file: a second one costs more syncs than its bytes are worth."""

_NUMBERS = re.compile(r"(-rank\d{5})?(-\d{5}-of-\d{5})?\.safetensors$")

MOST_FILES = 8
"""More files of one entry are joined again: each costs a descriptor when the step is opened."""


def folder_name(step: int, kind: str = "step") -> str:
    """ "step-0000001200"."""
    return f"{kind}-{step:010d}"


@dataclass
class Written:
    """What the writer remembers of the step before, to link what does not change.

    Attributes:
        path: its folder.
        manifest: its manifest.
        members: file → the names of its tensors.
    """

    path: str
    manifest: Manifest
    members: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, path: str, manifest: Manifest) -> Written:
        """From a step that lies on the disk."""
        members: dict[str, list[str]] = {name: [] for name in manifest.files}
        for name, record in manifest.tensors.items():
            for part in record.parts:
                members[part.file].append(name)
        return cls(path, manifest, members)


@dataclass
class _File:
    """A file that will be in the step: the tensors in it by their full names; `source` is what it is linked to."""

    entry: str
    tensors: dict[str, Tensor]
    source: str = ""


def write_step(
    directory: str,
    step: int,
    pieces: Pieces,
    tree: Any,
    *,
    unchanged: frozenset[str],
    frozen: frozenset[str],
    before: Written | None,
    entries: Mapping[str, str],
    metrics: Mapping[str, float],
    provenance: Mapping[str, Any],
    kind: str = "step",
    keep: Sequence[str] = (),
    epoch: int | None = None,
) -> tuple[Written, int]:
    """Write a step, durably; what to remember of it, and how many bytes of tensors were written.

    Args:
        pieces: the tensors of the state. Those in `unchanged` are not read.
        tree: the state's structure, encoded.
        unchanged: keys of `pieces` whose bytes are known to be those of `before`.
        frozen: keys that are expected never to change, which are kept apart from the first step on.
    Raises:
        FileExistsError: the step is there already.
        NotEnoughSpaceError, SaveError: nothing is left of it, and all other steps are as they were.
    """
    files = arrange(pieces, unchanged, frozen, before)
    check_space(directory, files.nbytes, what=f"{directory}: step {step}")
    draft = Draft(directory, folder_name(step, kind))
    try:
        written = write_files(draft, files, unchanged, before)
        tensors = pieces.records(written.records)
        write_indexes(draft, tensors)
        manifest = Manifest(
            step,
            kind,
            datetime.now(UTC).isoformat(timespec="seconds"),
            dict(metrics),
            tree,
            dict(entries),
            tensors,
            written.files,
            dict(provenance),
            before.manifest.step if before is not None else None,
            keep,
            epoch,
        )
        draft.write(NAME, WritePlan("manifest", [write_bytes(manifest)]))
        path = draft.commit()
    except BaseException:
        draft.abort()
        raise
    return Written.of(path, replace(manifest, tensors=written.records)), files.nbytes


def step_exists(directory: str, step: int, cause: BaseException | None = None) -> StepExistsError:
    """The error for a step that is there."""
    made = StepExistsError(
        errno.EEXIST,
        f"{directory}: step {step} is there already, and whole; steps are never replaced. To go on from an earlier step, "
        "save into a new directory, or remove the later steps first.",
        directory,
    )
    made.__cause__ = cause
    return made


def refused(directory: str, step: int, err: OSError) -> OSError:
    """What a system's error in the save of a step is told as; ours stay as they are."""
    state = f"Nothing is left of step {step}. The steps that are there are untouched."
    return save_error(err.filename if isinstance(err.filename, str) else directory, err, state=state)


def stored(step: Written, keys: Iterable[str]) -> dict[str, Tensor]:
    """Tensors of a step, as they lie in its files, which stay open as long as these live."""
    wanted = set(keys)
    records = {key: record for key, record in step.manifest.tensors.items() if key in wanted}
    names = {part.file for record in records.values() for part in record.parts}
    sources = {name: FileSource(os.path.join(step.path, name), follow=False) for name in names}
    return {key: tensor for key, _, tensor in part_tensors(replace(step.manifest, tensors=records), sources)}


@dataclass
class Files:
    """What a process puts into a step.

    Attributes:
        names: of the files.
        nbytes: of the tensors that are not linked.
        records: by key, where each tensor or part lies, once it is written.
        files: size and header of each file, once it is written.
    """

    plan: list[_File]
    names: list[str]
    nbytes: int
    records: dict[str, TensorRecord] = field(default_factory=dict)
    files: dict[str, FileRecord] = field(default_factory=dict)


def arrange(
    pieces: Pieces, unchanged: frozenset[str], frozen: frozenset[str], before: Written | None, *, suffix: str = ""
) -> Files:
    """The files for the tensors: which are linked, which are cold, which are hot. Their names end with `suffix`."""
    plan = _arranged(pieces.tensors, unchanged, frozen, before)
    nbytes = sum(tensor.nbytes for each in plan if not each.source for tensor in each.tensors.values())
    return Files(plan, _file_names(plan, suffix), nbytes)


def write_files(draft: DraftShare, files: Files, unchanged: frozenset[str], before: Written | None) -> Files:
    """Put them into a draft, synced; the same Files with what was written.

    Raises:
        SaveError: the system refuses, or what should be unchanged is not.
    """
    for each, name in zip(files.plan, files.names, strict=True):
        if each.source:
            assert before is not None
            draft.link(os.path.join(before.path, each.source), name)
            files.files[name] = before.manifest.files[each.source]
            for key in each.tensors:
                old = before.manifest.tensors[key]
                assert old.whole is not None  # what is unchanged was written by this process
                files.records[key] = replace(old, parts=(replace(old.whole, file=name),))
        else:
            found, record = _write_file(draft, name, each)
            _check_unchanged(found, unchanged, before)
            files.files[name] = record
            files.records |= found
    return files


def _check_unchanged(found: Mapping[str, TensorRecord], unchanged: frozenset[str], before: Written | None) -> None:
    """What was taken over from the step before must be what was written then."""
    bad = [
        name
        for name, record in found.items()
        if name in unchanged and before is not None and digits(before.manifest.tensors[name]) != digits(record)
    ]
    if bad:
        assert before is not None
        raise SaveError(
            errno.EIO,
            f"{before.path}: the bytes of {bad[0]!r} and {len(bad) - 1} more are no longer those that were written: the step is "
            "damaged. Nothing was written now; the next save writes everything anew.",
            before.path,
        )


def digits(record: TensorRecord) -> str:
    """The hash of a tensor that lies whole; "" of one in parts."""
    return record.whole.hash if record.whole is not None else ""


def _entry(name: str) -> str:
    return name.partition(".")[0]


def _arranged(
    tensors_by_key: Mapping[str, Tensor], unchanged: frozenset[str], frozen: frozenset[str], before: Written | None
) -> list[_File]:
    """The files of the step: whole files of the step before where nothing in them changed, cold ones, hot ones."""
    by_entry: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors_by_key.items():
        by_entry.setdefault(_entry(name), {})[name] = tensor
    files: list[_File] = []
    for entry, tensors in by_entry.items():
        left = dict(tensors)
        linked: list[_File] = []
        if before is not None:
            for file, members in before.members.items():
                if members and all(name in left and name in unchanged for name in members):
                    linked.append(_File(entry, {name: left.pop(name) for name in members}, file))
        if left and sum(tensor.nbytes for tensor in tensors.values()) < SMALL_NBYTES:
            files.append(_File(entry, tensors))
            continue
        if len(linked) >= MOST_FILES:  # join all but the largest
            linked.sort(key=lambda each: -sum(t.nbytes for t in each.tensors.values()))
            for each in linked[MOST_FILES // 2 :]:
                left |= each.tensors
            del linked[MOST_FILES // 2 :]
        cold = {
            name: tensor for name, tensor in left.items() if name in unchanged or (before is None and name in frozen)
        }
        hot = {name: tensor for name, tensor in left.items() if name not in cold}
        files += linked
        for group in (cold, hot):
            files += [_File(entry, part) for part in _shards(group)]
    return files


def _shards(tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    parts: list[dict[str, Tensor]] = []
    size = 0
    for name, tensor in tensors.items():
        if not parts or size + tensor.nbytes > SHARD_NBYTES:
            parts.append({})
            size = 0
        parts[-1][name] = tensor
        size += tensor.nbytes
    return parts


def _safe(entry: str) -> str:
    """An entry's key as the beginning of a file's name."""
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in entry)[:100]
    return kept or "state"


def _file_names(files: Sequence[_File], suffix: str) -> list[str]:
    counts: dict[str, int] = {}
    stems: dict[str, str] = {}
    for each in files:
        stem = stems.get(each.entry)
        if stem is None:
            stem = _safe(each.entry)
            while stem in stems.values():
                stem += "_"
            stems[each.entry] = stem
        counts[each.entry] = counts.get(each.entry, 0) + 1
    seen: dict[str, int] = {}
    names = []
    for each in files:
        stem, total = stems[each.entry] + suffix, counts[each.entry]
        seen[each.entry] = number = seen.get(each.entry, 0) + 1
        names.append(f"{stem}.safetensors" if total == 1 else f"{stem}-{number:05d}-of-{total:05d}.safetensors")
    return names


def _inner(full: str) -> str:
    """A tensor's name inside its entry's file: without the entry, as `safetensors.load_file` should give it."""
    _, _, inner = full.partition(".")
    return inner or full


def _write_file(draft: DraftShare, name: str, file: _File) -> tuple[dict[str, TensorRecord], FileRecord]:
    from tensorkeep.formats._safetensors_write import header_digits, noting_header, plan_file

    inner = {_inner(full): tensor for full, tensor in file.tensors.items()}
    if len(inner) < len(file.tensors):
        inner = dict(file.tensors)
    plan = plan_file("safetensors", inner, {})
    made = noting_header(plan)
    receipt = draft.write(name, plan)
    start = len(made[-1])
    offsets: dict[str, int] = {}
    for segment in plan.segments[1:]:
        assert isinstance(segment, TensorSegment)
        offsets[segment.name] = start
        start += segment.nbytes
    empty = digest_of(b"").value
    records = {}
    for full, short in zip(file.tensors, inner, strict=True):
        tensor = file.tensors[full]
        digest = receipt.digests[short].value if short in receipt.digests else empty
        shape = tuple(tensor.shape)
        part = Part(name, short, (0,) * len(shape), shape, offsets.get(short, len(made[-1])), digest)
        records[full] = TensorRecord(str(tensor.dtype), shape, (part,))
    return records, FileRecord(receipt.nbytes, header_digits(made[-1]))


def write_indexes(draft: DraftShare, tensors: Mapping[str, TensorRecord]) -> None:
    """For an entry whose tensors lie whole in several files, the index that the Hugging Face tools look for."""
    import json

    grouped: dict[str, dict[str, TensorRecord]] = {}
    for name, record in tensors.items():
        grouped.setdefault(_entry(name), {})[name] = record
    for members in grouped.values():
        parts = [record.whole for record in members.values()]
        files = list(dict.fromkeys(part.file for part in parts if part is not None))
        if len(files) < 2 or None in parts:
            continue
        weight_map = {part.name: part.file for part in parts if part is not None}
        total = sum(math.prod(each.shape) * DType.of(each.dtype).bits // 8 for each in members.values())
        stem = _NUMBERS.sub("", files[0])
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=2, ensure_ascii=False)
        draft.write(f"{stem}.safetensors.index.json", WritePlan("index", [text.encode("utf-8")]))
