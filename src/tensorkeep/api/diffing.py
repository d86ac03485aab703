"""`diff`: what differs between two files, tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensorkeep.api.loading import Source, open
from tensorkeep.core.progress import advance
from tensorkeep.core.tensor import Tensor, TensorSpec
from tensorkeep.core.tensorfile import TensorFile

__all__ = ["Change", "Diff", "diff"]

_BLOCK_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """How one tensor differs.

    Attributes:
        name: of the tensor.
        kind: "changed" (same shape), "reshaped" (shapes differ) or "added" / "removed".
        before, after: the specs; None where the tensor is not there.
        max_abs: the largest absolute difference of two elements (of equal shapes; inf where one is infinite or only one is NaN).
        cosine: of the angle between both as vectors, in float64; NaN when one is all zeros or holds NaN or infinities.
        differing: how many elements differ. Two NaNs count as equal.
    """

    name: str
    kind: str
    before: TensorSpec | None = None
    after: TensorSpec | None = None
    max_abs: float = math.nan
    cosine: float = math.nan
    differing: int = 0


@dataclass(frozen=True, slots=True)
class Diff:
    """What `tk.diff` found.

    Attributes:
        a, b: what was compared.
        identical: names of the tensors whose shape, dtype and bytes are equal.
        changes: a Change for each other one, in the order of `a`, then what only `b` has.
        values: (path, before, after) of plain values beside the tensors that differ; a value that is not there is given
            as the string "(absent)".
    """

    a: str
    b: str
    identical: tuple[str, ...]
    changes: tuple[Change, ...]
    values: tuple[tuple[str, Any, Any], ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.changes and not self.values

    def __bool__(self) -> bool:
        return not self.same

    def kinds(self) -> Mapping[str, int]:
        """How many changes of each kind."""
        counts: dict[str, int] = {}
        for change in self.changes:
            counts[change.kind] = counts.get(change.kind, 0) + 1
        return counts


def diff(a: Source, b: Source, *, unknown: str = "inert") -> Diff:
    """What differs between two files, of any formats: tensors that are identical, changed (max |Δ|, cosine), reshaped,
    added, removed, and plain values that differ.

    Blocks of one pair of tensors are in memory at a time. Raises: as `open`.
    """
    with open(a, unknown=unknown) as first, open(b, unknown=unknown) as second:
        return _compare(first, second)


def _compare(first: TensorFile, second: TensorFile) -> Diff:
    before, after = dict(_dense(first)), dict(_dense(second))
    identical: list[str] = []
    changes: list[Change] = []
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            changes.append(Change(name, "removed", before=old.spec))
        elif old.shape != new.shape:
            changes.append(Change(name, "reshaped", old.spec, new.spec))
        else:
            change = _values(name, old, new)
            if change is None:
                identical.append(name)
            else:
                changes.append(change)
    changes += [Change(name, "added", after=new.spec) for name, new in after.items() if name not in before]
    return Diff(first.path, second.path, tuple(identical), tuple(changes), tuple(_plain_changes(first, second)))


def _dense(file: TensorFile) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in file.items():
        if isinstance(tensor, Tensor):
            yield name, tensor
        else:
            for part, each in tensor.parts():
                yield f"{name}.{part}", each


def _values(name: str, old: Tensor, new: Tensor) -> Change | None:
    # Equal checksums in both headers are no proof: a damaged copy carries those of the original.
    if old.dtype == new.dtype and _same_bytes(old, new):
        return None
    if old.dtype.bits == 6 or new.dtype.bits == 6:
        return Change(name, "changed", old.spec, new.spec)
    import numpy as np

    worst, differing, dot, left, right = 0.0, 0, 0.0, 0.0, 0.0
    with np.errstate(all="ignore"):
        for x, y in _pairs(old.numpy(), new.numpy()):
            wide = np.complex128 if "complex" in x.dtype.name + y.dtype.name else np.float64
            exact = x.dtype.kind in "iub" and y.dtype.kind in "iub"
            p, q = x.astype(wide), y.astype(wide)
            same = (x == y) if exact else (p == q) | (np.isnan(p) & np.isnan(q))
            differing += int(same.size - np.count_nonzero(same))
            gap = np.abs(np.where(same, 0, p - q))
            worst = max(worst, float(np.max(np.where(np.isnan(gap), np.inf, gap), initial=0.0)))
            dot += float(np.real(np.vdot(p, q)))
            left += float(np.real(np.vdot(p, p)))
            right += float(np.real(np.vdot(q, q)))
    norm = math.sqrt(left) * math.sqrt(right)
    cosine = max(-1.0, min(1.0, dot / norm)) if norm and math.isfinite(norm) and math.isfinite(dot) else math.nan
    return Change(name, "changed", old.spec, new.spec, worst, cosine, differing)


def _same_bytes(old: Tensor, new: Tensor) -> bool:
    size = _BLOCK_ELEMENTS * 4
    first, second = _joined(old, size), _joined(new, size)
    return all(x == y for x, y in zip(first, second, strict=True))


def _joined(tensor: Tensor, size: int) -> Iterator[bytes]:
    """The tensor's bytes in pieces of exactly `size` (the last one shorter), whatever `blocks` gives."""
    held = bytearray()
    for block in tensor.blocks(size):
        advance(len(block))
        held += block
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


def _pairs(x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
    x, y = x.reshape(-1), y.reshape(-1)
    for start in range(0, x.size, _BLOCK_ELEMENTS):
        yield x[start : start + _BLOCK_ELEMENTS], y[start : start + _BLOCK_ELEMENTS]


def _plain_changes(first: TensorFile, second: TensorFile) -> Iterator[tuple[str, Any, Any]]:
    before, after = _plain(first), _plain(second)
    for path in dict.fromkeys([*before, *after]):
        old, new = before.get(path, "(absent)"), after.get(path, "(absent)")
        if type(old) is not type(new) or (old != new and not (old != old and new != new)):
            yield path, old, new


def _plain(file: TensorFile) -> dict[str, Any]:
    from tensorkeep.core.tree import leaves

    scalar = (int, float, str, bytes, bool, complex, type(None))
    return {path: leaf for path, leaf in leaves(file.structure) if isinstance(leaf, scalar)}
