"""A step that several processes write: the commit of `commit`, with each rank's files in one draft.

1. Rank 0 makes and locks the draft, and tells the others its path.
2. Every rank writes its files into it, synced, syncs the folder, and reports what it wrote.
3. Only when all have reported, rank 0 writes the manifest, syncs, renames, and syncs the parent.
4. Only when rank 0 has reported that, the step is acknowledged, on every rank.

A rank that fails or dies before 3 leaves a draft, which rank 0 or the next writer removes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import prod
from typing import Any

from tensorkeep.checkpoint._pieces import Pieces
from tensorkeep.checkpoint._ranks import Ranks
from tensorkeep.checkpoint.commit import Written, arrange, folder_name, step_exists, write_files, write_indexes
from tensorkeep.checkpoint.steps import Step, list_steps
from tensorkeep.core.plan import WritePlan
from tensorkeep.errors import SaveError, TensorkeepError
from tensorkeep.formats._step_manifest import NAME, FileRecord, Manifest, Part, TensorRecord, write_bytes
from tensorkeep.storage.folders import Draft, DraftShare, check_space

__all__ = ["candidates", "damage_together", "merged", "report", "write_together"]


def write_together(
    ranks: Ranks,
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
    """Write this rank's part of a step, durable when it returns; see `commit.write_step`.

    Args:
        pieces: what this rank writes.
        tree: of rank 0.
        before: this rank's files of the step before.
    Raises: on all ranks, what one of them met; nothing is left of the step then.
    """
    parent = before.manifest.step if before is not None else None
    about = (kind, datetime.now(UTC).isoformat(timespec="seconds"), dict(metrics))
    files = arrange(pieces, unchanged, frozen, before, suffix=f"-rank{ranks.rank:05d}")
    needed = sum(ranks.gather(lambda: files.nbytes))
    draft: Draft | None = None

    def begin() -> str:
        nonlocal draft
        check_space(directory, needed, what=f"{directory}: step {step}")
        draft = Draft(directory, folder_name(step, kind))
        return draft.path

    def write() -> Any:
        share = draft if draft is not None else DraftShare(path)
        write_files(share, files, unchanged, before)
        if draft is None:
            share.sync()
        return report(pieces.records(files.records), files.files)

    def commit() -> str:
        assert draft is not None
        tensors, written = merged(found)
        write_indexes(draft, tensors)
        manifest = Manifest(
            step, *about, tree, dict(entries), tensors, written, dict(provenance), parent, keep, epoch
        )  # fmt: skip
        draft.write(NAME, WritePlan("manifest", [write_bytes(manifest)]))
        try:
            return draft.commit()
        except FileExistsError as err:
            raise step_exists(directory, step) from err

    try:
        path = ranks.only_first(begin)
        found = ranks.gather(write)
        path = ranks.only_first(commit)
    except BaseException:
        if draft is not None:
            draft.abort()
        raise
    own = Manifest(step, *about, None, {}, files.records, files.files)
    return Written.of(path, own), files.nbytes


def report(tensors: Mapping[str, TensorRecord], files: Mapping[str, FileRecord]) -> Any:
    """What a rank wrote, as JSON values."""
    rows = [
        [name, each.dtype, list(each.shape), [[p.file, p.name, p.start, p.shape, p.offset, p.hash] for p in each.parts]]
        for name, each in tensors.items()
    ]
    return [rows, [[name, each.nbytes, each.hash] for name, each in files.items()]]


def merged(reports: Sequence[Any]) -> tuple[dict[str, TensorRecord], dict[str, FileRecord]]:
    """What all ranks wrote: every tensor with all its parts.

    Raises:
        SaveError: a tensor is not covered; nothing is to be published.
    """
    tensors: dict[str, TensorRecord] = {}
    files: dict[str, FileRecord] = {}
    for rows, written in reports:
        for name, dtype, shape, parts in rows:
            made = tuple(Part(f, inner, tuple(a), tuple(n), at, digits) for f, inner, a, n, at, digits in parts)
            known = tensors.setdefault(name, TensorRecord(dtype, tuple(shape), ()))
            tensors[name] = replace(known, parts=tuple(sorted(known.parts + made, key=lambda part: part.start)))
        files |= {name: FileRecord(nbytes, digits) for name, nbytes, digits in written}
    bad = [name for name, each in tensors.items() if sum(prod(p.shape) for p in each.parts) != prod(each.shape)]
    if bad:
        raise SaveError(
            5, f"{bad[0]} and {len(bad) - 1} more tensors were not written whole by the ranks. Nothing was published."
        )
    return tensors, files


def candidates(ranks: Ranks, directory: str) -> list[Step]:
    """The steps that rank 0 sees, newest first, on every rank."""
    rows = ranks.only_first(lambda: [[each.step, each.path, each.kind] for each in reversed(list_steps(directory))])
    return [Step(step, path, kind) for step, path, kind in rows]


def damage_together(ranks: Ranks, step: Step) -> list[str]:
    """Sentences about what is wrong with a step: each rank reads its share of the bytes."""

    def look() -> list[str]:
        damage = step.damage(share=(ranks.rank, ranks.size))
        if not damage:
            try:
                step.open().close()  # every rank will
            except (TensorkeepError, OSError) as err:
                damage = [str(err)]
        return damage

    found = ranks.gather(look)
    return list(dict.fromkeys(line for each in found for line in each))
