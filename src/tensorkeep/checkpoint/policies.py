"""When a step is saved (`every`) and which are kept (`keep_last`, `keep_best`, `keep_every`): small classes that compose.

every=tk.every(steps=500) | tk.every(minutes=15)
keep=(tk.keep_last(3), tk.keep_best(2, "val_loss", mode="min"), tk.keep_every(10_000))
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tensorkeep.errors import UnsupportedDataError

__all__ = [
    "Best",
    "Every",
    "Keep",
    "Kept",
    "Now",
    "every",
    "keep_all",
    "keep_best",
    "keep_every",
    "keep_last",
    "parse_keep",
    "ranked",
]


@dataclass(slots=True)
class Now:
    """What a policy may look at.

    Attributes:
        step: the current one.
        epoch: the current one, None when the loop does not say.
        time_s: seconds since the run began, monotonic.
        saved_step, saved_epoch, saved_time_s: of the last save; the run's beginning before the first.
        cost_s: seconds that the last save took from the loop.
    """

    step: int
    epoch: int | None
    time_s: float
    saved_step: int
    saved_epoch: int | None
    saved_time_s: float
    cost_s: float


class Every(ABC):
    """When to save; `|` saves when either does, `&` when both do."""

    @abstractmethod
    def due(self, now: Now) -> bool:
        """Whether the step that ended is to be saved."""

    def __or__(self, other: Every) -> Every:
        return _Either(self, other)

    def __and__(self, other: Every) -> Every:
        return _Both(self, other)


@dataclass(frozen=True)
class _Either(Every):
    first: Every
    second: Every

    def due(self, now: Now) -> bool:
        return self.first.due(now) or self.second.due(now)


@dataclass(frozen=True)
class _Both(Every):
    first: Every
    second: Every

    def due(self, now: Now) -> bool:
        return self.first.due(now) and self.second.due(now)


@dataclass(frozen=True)
class _Steps(Every):
    steps: int

    def due(self, now: Now) -> bool:
        # Counted from step 0, so that a resumed run saves the same steps as an uninterrupted one.
        return (now.step + 1) // self.steps > (now.saved_step + 1) // self.steps


@dataclass(frozen=True)
class _Seconds(Every):
    seconds: float

    def due(self, now: Now) -> bool:
        return now.time_s - now.saved_time_s >= self.seconds


@dataclass(frozen=True)
class _Epochs(Every):
    epochs: int

    def due(self, now: Now) -> bool:
        if now.epoch is None:
            return False
        before = -1 if now.saved_epoch is None else now.saved_epoch
        return now.epoch // self.epochs > before // self.epochs


@dataclass(frozen=True)
class _Cost(Every):
    fraction: float

    def due(self, now: Now) -> bool:
        elapsed = now.time_s - now.saved_time_s
        # The first save is due at once: without it nothing is known of its cost.
        return now.saved_step < 0 or (elapsed > 0 and now.cost_s <= elapsed * self.fraction)


def every(
    *,
    steps: int | None = None,
    seconds: float | None = None,
    minutes: float | None = None,
    hours: float | None = None,
    epochs: int | None = None,
    cost: str | float | None = None,
) -> Every:
    """When to save; several given at once are joined with `|`.

    Args:
        steps: each time so many steps are done: with 500, after step 499, 999 … (steps count from 0).
        seconds, minutes, hours: so long after the last save.
        epochs: when so many epochs are done; the loop tells the epoch (`ckpt.step(step, state, epoch=epoch)`).
        cost: as often as saving takes no more than this part of the time: "1%" or 0.01.
    Raises:
        UnsupportedDataError: nothing is given, or a number is not positive.
    """
    found: list[Every] = []
    if steps is not None:
        found.append(_Steps(_positive_int(steps, "steps")))
    for value, unit, name in ((seconds, 1, "seconds"), (minutes, 60, "minutes"), (hours, 3600, "hours")):
        if value is not None:
            found.append(_Seconds(_positive(value, name) * unit))
    if epochs is not None:
        found.append(_Epochs(_positive_int(epochs, "epochs")))
    if cost is not None:
        found.append(_Cost(_fraction(cost)))
    if not found:
        raise UnsupportedDataError("every() needs steps=, seconds=, minutes=, hours=, epochs= or cost=.")
    whole = found[0]
    for each in found[1:]:
        whole = whole | each
    return whole


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise UnsupportedDataError(f"{name}={value!r} is no positive number.")
    return float(value)


def _positive_int(value: int, name: str) -> int:
    if type(value) is not int or value <= 0:
        raise UnsupportedDataError(f"{name}={value!r} is no positive whole number.")
    return value


def _fraction(cost: str | float) -> float:
    try:
        value = float(cost.rstrip("% ")) / 100 if isinstance(cost, str) and "%" in cost else float(cost)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise UnsupportedDataError(
            f"cost={cost!r} is no part of the time. Give text like '1%', or a number such as 0.01."
        )
    return value


class Kept(Protocol):
    """What retention knows of a step."""

    @property
    def step(self) -> int: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...


class Keep(ABC):
    """Which steps are kept. A step goes when no policy names it, it is not pinned and it is not the newest."""

    @property
    @abstractmethod
    def spec(self) -> str:
        """The policy as text, which `parse_keep` reads: "last:3", "best:val_loss:min:2", "every:10000", "all"."""

    @abstractmethod
    def keeps(self, steps: Sequence[Kept]) -> dict[int, str]:
        """Step → why it is kept, of `steps` in ascending order."""


@dataclass(frozen=True)
class _Last(Keep):
    count: int

    @property
    def spec(self) -> str:
        return f"last:{self.count}"

    def keeps(self, steps: Sequence[Kept]) -> dict[int, str]:
        return {each.step: f"last {self.count}" for each in steps[-self.count :]}


@dataclass(frozen=True)
class Best(Keep):
    """See `keep_best`."""

    count: int
    metric: str
    mode: str

    @property
    def spec(self) -> str:
        return f"best:{self.metric}:{self.mode}:{self.count}"

    def keeps(self, steps: Sequence[Kept]) -> dict[int, str]:
        return {each.step: f"best {self.metric}" for each in ranked(steps, self.metric, self.mode)[: self.count]}


@dataclass(frozen=True)
class _EveryNth(Keep):
    steps: int

    @property
    def spec(self) -> str:
        return f"every:{self.steps}"

    def keeps(self, steps: Sequence[Kept]) -> dict[int, str]:
        kept = {}
        reached = -1
        for each in steps:  # the first at or after each multiple: steps need not fall on it
            if (each.step + 1) // self.steps > reached:
                if (each.step + 1) // self.steps > 0:
                    kept[each.step] = f"every {self.steps}"
                reached = (each.step + 1) // self.steps
        return kept


@dataclass(frozen=True)
class _All(Keep):
    @property
    def spec(self) -> str:
        return "all"

    def keeps(self, steps: Sequence[Kept]) -> dict[int, str]:
        return {each.step: "all" for each in steps}


def ranked(steps: Sequence[Kept], metric: str, mode: str) -> list[Kept]:
    """The steps that have the metric as a number, best first; of equal ones the newer first."""
    known = [each for each in steps if math.isfinite(each.metrics.get(metric, math.nan))]
    sign = 1 if mode == "min" else -1
    return sorted(known, key=lambda each: (sign * each.metrics[metric], -each.step))


def keep_last(count: int) -> Keep:
    """Keep the newest `count` steps."""
    return _Last(_positive_int(count, "keep_last"))


def keep_best(count: int, metric: str, *, mode: str) -> Keep:
    """Keep the best `count` steps by a metric; mode is "min" or "max". Steps without it, or with NaN, are never best."""
    if mode not in ("min", "max"):
        raise UnsupportedDataError(f"mode={mode!r} is not known; use 'min' for losses, 'max' for accuracies.")
    return Best(_positive_int(count, "keep_best"), metric, mode)


def keep_every(steps: int) -> Keep:
    """Keep one step of each `steps`, for ever."""
    return _EveryNth(_positive_int(steps, "keep_every"))


def keep_all() -> Keep:
    """Keep every step."""
    return _All()


def parse_keep(text: str) -> Keep:
    """The policy that a text stands for: "last:3", "best:METRIC:min:2" (or max), "every:10000", "all".

    Raises:
        UnsupportedDataError: it is none of these.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == "all" and not rest:
            return keep_all()
        if kind == "last":
            return keep_last(int(rest))
        if kind == "every":
            return keep_every(int(rest))
        if kind == "best":
            metric, mode, *count = rest.rsplit(":", 2) if rest.count(":") > 1 else rest.split(":")
            return keep_best(int(count[0]) if count else 1, metric, mode=mode)
    except ValueError:
        pass
    raise UnsupportedDataError(f"keep {text!r} is not known. Give last:3, best:val_loss:min:2, every:10000 or all.")
