"""Ranks that save or load one model together, because each holds a part of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tensorkeep.adapters.base import Slot
from tensorkeep.core.hashing import Digest
from tensorkeep.core.plan import Receipt

if TYPE_CHECKING:
    from tensorkeep.checkpoint._ranks import Lanes, Ranks

__all__ = ["talking", "together", "write_first"]

T = TypeVar("T")

_TIMEOUT_S = 1800.0
"""How long a rank waits for another: rank 0 may write a large file meanwhile."""


def lanes_of(slots: Sequence[Slot]) -> Lanes | None:
    """The ways between ranks when a slot's tensor is in parts (a DTensor); None where each process has all of it."""
    from tensorkeep.adapters._sharded import is_dtensor

    if not any(is_dtensor(getattr(slot.handle, "tensor", None)) for slot in slots):
        return None
    from tensorkeep.checkpoint._ranks import ranks_here

    return ranks_here(_TIMEOUT_S)


@contextmanager
def talking(slots: Sequence[Slot]) -> Iterator[Ranks | None]:
    """The ranks of this load or save, for as long as it takes."""
    lanes = lanes_of(slots)
    if lanes is None:
        yield None
        return
    from tensorkeep.checkpoint._ranks import give_back

    try:
        yield lanes[0]
    finally:
        give_back(lanes, _TIMEOUT_S, whole=True)


def together(ranks: Ranks | None, act: Callable[[], T]) -> T:
    """What `act` gives here, when it succeeded on every rank; what one of them raised is raised on all."""
    if ranks is None:
        return act()
    made: list[T] = []
    ranks.gather(lambda: made.append(act()))
    return made[0]


def write_first(ranks: Ranks | None, act: Callable[[], Receipt]) -> Receipt:
    """The Receipt of a write on rank 0, on every rank."""
    if ranks is None:
        return act()

    def told() -> list[Any]:
        receipt = act()
        digests = {name: [each.algorithm, each.value] for name, each in receipt.digests.items()}
        return [receipt.path, receipt.format, receipt.nbytes, receipt.tensors, list(receipt.files), digests]

    path, format, nbytes, tensors, files, digests = ranks.only_first(told)
    return Receipt(path, format, nbytes, tensors, tuple(files), {k: Digest(*pair) for k, pair in digests.items()})
