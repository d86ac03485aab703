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
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tensorkeep.core.hashing import digest_of
from tensorkeep.core.plan import TensorSegment, WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import Content, encode
from tensorkeep.errors import SaveError
from tensorkeep.formats._step_manifest import NAME, FileRecord, Manifest, Part, TensorRecord, write_bytes
from tensorkeep.storage.folders import Draft, check_space

__all__ = ["Written", "digits", "folder_name", "write_step"]

SHARD_NBYTES = 5_000_000_000
"""A file of more tensors than this is split, as the Hugging Face tools do."""

SMALL_NBYTES = 1 << 20
"""An entry below this is one file: a second one costs more syncs than its bytes are worth."""

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
    content: Content,
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
        content: the state, flattened. Tensors in `unchanged` are not read.
        unchanged: names whose bytes are known to be those of `before`.
        frozen: names that are expected never to change, which are kept apart from the first step on.
    Raises:
        FileExistsError: the step is there already.
        NotEnoughSpaceError, SaveError: nothing is left of it, and all other steps are as they were.
    """
    files = _arranged(content, unchanged, frozen, before)
    names = _file_names(files)
    nbytes = sum(tensor.nbytes for each in files if not each.source for tensor in each.tensors.values())
    check_space(directory, nbytes, what=f"{directory}: step {step}")
    draft = Draft(directory, folder_name(step, kind))
    try:
        records: dict[str, TensorRecord] = {}
        written: dict[str, FileRecord] = {}
        for each, name in zip(files, names, strict=True):
            if each.source:
                assert before is not None
                draft.link(os.path.join(before.path, each.source), name)
                written[name] = before.manifest.files[each.source]
                for full in each.tensors:
                    old = before.manifest.tensors[full]
                    assert old.whole is not None  # what is unchanged was written whole
                    records[full] = replace(old, parts=(replace(old.whole, file=name),))
            else:
                found, record = _write_file(draft, name, each)
                _check_unchanged(found, unchanged, before)
                written[name] = record
                records |= found
        for index, raw in _indexes(files, names, records).items():
            draft.write(index, WritePlan("index", [raw]))
        manifest = Manifest(
            step,
            kind,
            datetime.now(UTC).isoformat(timespec="seconds"),
            dict(metrics),
            encode(content),
            dict(entries),
            {name: records[name] for name in content.tensors},
            written,
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
    return Written.of(path, manifest), nbytes


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
    content: Content, unchanged: frozenset[str], frozen: frozenset[str], before: Written | None
) -> list[_File]:
    """The files of the step: whole files of the step before where nothing in them changed, cold ones, hot ones."""
    by_entry: dict[str, dict[str, Tensor]] = {}
    for name, tensor in content.tensors.items():
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


def _file_names(files: Sequence[_File]) -> list[str]:
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
        stem, total = stems[each.entry], counts[each.entry]
        seen[each.entry] = number = seen.get(each.entry, 0) + 1
        names.append(f"{stem}.safetensors" if total == 1 else f"{stem}-{number:05d}-of-{total:05d}.safetensors")
    return names


def _inner(full: str) -> str:
    """A tensor's name inside its entry's file: without the entry, as `safetensors.load_file` should give it."""
    _, _, inner = full.partition(".")
    return inner or full


def _write_file(draft: Draft, name: str, file: _File) -> tuple[dict[str, TensorRecord], FileRecord]:
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


def _indexes(files: Sequence[_File], names: Sequence[str], records: Mapping[str, TensorRecord]) -> dict[str, bytes]:
    """For an entry of several files, the index that the Hugging Face tools look for."""
    import json

    grouped: dict[str, list[str]] = {}
    for each, name in zip(files, names, strict=True):
        grouped.setdefault(each.entry, []).append(name)
    found = {}
    for entry, members in grouped.items():
        if len(members) < 2:
            continue
        weight_map = {
            part.name: part.file for record in records.values() for part in record.parts if part.file in members
        }
        total = sum(tensor.nbytes for each in files if each.entry == entry for tensor in each.tensors.values())
        stem = members[0].rpartition("-of-")[0].rpartition("-")[0]
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=2, ensure_ascii=False)
        found[f"{stem}.safetensors.index.json"] = text.encode("utf-8")
    return found
