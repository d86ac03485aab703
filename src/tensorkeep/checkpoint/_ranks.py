"""The processes of a run under torch.distributed, which save and restore together.

All that they tell each other is JSON text, over gloo groups of our own: one for the calling threads and one for the saves in
the background, so that neither disturbs the training's own communication. What fails on one rank is raised on all of them.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from tensorkeep import errors
from tensorkeep.errors import SaveError, TensorkeepError

__all__ = ["Lanes", "Ranks", "alike", "give_back", "ranks_here"]

_KINDS = {name: getattr(errors, name) for name in errors.__all__}


class Ranks:
    """One way of talking between all ranks; one call at a time, in the same order on all of them.

    Attributes:
        rank, size: which one this is, of how many.
    """

    def __init__(self, timeout_s: float) -> None:
        dist = sys.modules["torch.distributed"]
        self.rank: int = dist.get_rank()
        self.size: int = dist.get_world_size()
        self._timeout_s = timeout_s
        self._group: Any = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout_s))
        self._broken = ""
        self._lock = threading.Lock()

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which holds the lock and commits."""
        return self.rank == 0

    def gather(self, make: Callable[[], Any]) -> list[Any]:
        """What `make` gives on every rank (JSON values), by rank.

        Raises: on every rank, what `make` raised on some; the text names the ranks.
        """
        error: BaseException | None = None
        try:
            said: dict[str, Any] = {"value": make()}
        except BaseException as err:  # noqa: BLE001  # told to the others, then raised
            error, said = err, {"error": [type(err).__name__, getattr(err, "errno", None), str(err)]}
        found = self._exchange(json.dumps(said, allow_nan=True))
        failed = [(rank, each["error"]) for rank, each in enumerate(found) if "error" in each]
        if error is not None:
            error.add_note(f"(on rank {self.rank} of {self.size}; the other ranks raise it as well)")
            raise error
        if failed:
            raise _error_of(failed)
        return [each["value"] for each in found]

    def only_first(self, make: Callable[[], Any]) -> Any:
        """What `make` gives on rank 0, on every rank.

        Raises: as `gather`.
        """
        return self.gather(make if self.first else lambda: None)[0]

    def most(self, numbers: Sequence[int]) -> list[int]:
        """The largest of each number over the ranks: one short message, for every training step."""
        torch = sys.modules["torch"]
        told = torch.tensor(numbers, dtype=torch.int64)
        dist = sys.modules["torch.distributed"]
        self._call(lambda: dist.all_reduce(told, op=dist.ReduceOp.MAX, group=self._group))
        return [int(n) for n in told]

    @property
    def whole(self) -> bool:
        """Whether no call has failed."""
        return not self._broken

    def cut(self) -> None:
        """Give the connections up: those who wait for this rank are told by the break."""
        dist = sys.modules["torch.distributed"]
        group, self._group = self._group, None
        self._broken = self._broken or "it was closed"
        if group is not None and dist.is_initialized():
            dist.destroy_process_group(group)

    def _exchange(self, text: str) -> list[Any]:
        torch = sys.modules["torch"]
        dist = sys.modules["torch.distributed"]
        raw = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self._call(lambda: dist.all_gather(sizes, torch.tensor([raw.numel()]), group=self._group))
        longest = max(int(n) for n in sizes)
        own = torch.zeros(longest, dtype=torch.uint8)
        own[: raw.numel()] = raw
        all_of_it = [torch.empty(longest, dtype=torch.uint8) for _ in range(self.size)]
        self._call(lambda: dist.all_gather(all_of_it, own, group=self._group))
        return [json.loads(each[: int(n)].numpy().tobytes()) for each, n in zip(all_of_it, sizes, strict=True)]

    def _call(self, talk: Callable[[], Any]) -> None:
        if self._broken:
            raise self._lost(None)
        with self._lock:
            try:
                talk()
            except RuntimeError as err:  # what gloo raises: a closed connection, a time that is over
                self._broken = str(err).strip().splitlines()[0]
                raise self._lost(err) from err
            except BaseException as err:
                self._broken = f"{type(err).__name__} while ranks talked"  # who knows how far they came
                raise

    def _lost(self, err: RuntimeError | None) -> SaveError:
        return SaveError(
            5,
            f"rank {self.rank} of {self.size}: another rank has ended, or gave no answer within {self._timeout_s:.0f} s "
            f"({self._broken:.200}). Look at the other ranks' own errors, and start all of them again: they resume from the "
            "newest step.",
        )


def alike(ranks: Ranks | None, act: Callable[[], Any], *, first: bool = False, tell: list[Any] | None = None) -> None:
    """Act, on every rank or on the `first`; what one meets is raised on all. In `tell`, what rank 0 found."""
    if ranks is None:
        act()
        return

    def one() -> Any:
        if ranks.first or not first:
            act()
        return tell

    said = ranks.gather(one)[0]
    if tell is not None:
        tell[:] = said


def _error_of(failed: Sequence[tuple[int, Sequence[Any]]]) -> BaseException:
    """What other ranks raised, as an error of the same kind here."""
    rank, (kind, number, text) = failed[0]
    more = f" (and {len(failed) - 1} more ranks)" if len(failed) > 1 else ""
    said = f"rank {rank}{more}: {text if kind in _KINDS else f'{kind}: {text}'}"
    cls = _KINDS.get(kind, SaveError)
    if issubclass(cls, OSError):
        return cls(number or 5, said)  # type: ignore[no-any-return]
    return cls(said) if issubclass(cls, TensorkeepError) else SaveError(5, said)


Lanes = tuple[Ranks, Ranks]
"""For calling threads, and for the background."""

_idle: list[tuple[Any, float, Lanes]] = []
"""Lanes that a Checkpointer gave back, with the world that they belong to: the next one takes them over, on every rank."""


def ranks_here(timeout_s: float) -> Lanes | None:
    """The ranks of this run; None where there is only this process.

    Every rank calls it at the same time: the groups are made together.
    """
    dist = sys.modules.get("torch.distributed")
    if dist is None or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() < 2:
        return None
    for i, (world, limit_s, lanes) in enumerate(_idle):
        if world is dist.group.WORLD and limit_s == timeout_s:
            del _idle[i]
            return lanes
    return Ranks(timeout_s), Ranks(timeout_s)


def give_back(lanes: Lanes, timeout_s: float, *, whole: bool) -> None:
    """When a Checkpointer is closed: keep the lanes for the next one; if it was not `whole`, cut them."""
    dist = sys.modules["torch.distributed"]
    if whole and all(lane.whole for lane in lanes) and dist.is_initialized():
        _idle.append((dist.group.WORLD, timeout_s, lanes))
        return
    for lane in lanes:
        lane.cut()
