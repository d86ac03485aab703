"""When steps are saved and which are kept, against the lists that a slow reading of the rules gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

import tensorkeep as tk
from tensorkeep.checkpoint.policies import Every, Now


def saved(
    policy: Every, steps: int, *, seconds_a_step: float = 1.0, epoch_of: int | None = None, cost_s: float = 0.1
) -> list[int]:
    """The steps after which the policy saves, in a run without interruption."""
    now = Now(-1, None, 0.0, -1, None, 0.0, 0.0)
    found = []
    for step in range(steps):
        now.step, now.time_s = step, (step + 1) * seconds_a_step
        now.epoch = None if epoch_of is None else (step + 1) // epoch_of - 1 if (step + 1) % epoch_of == 0 else None
        if policy.due(now):
            found.append(step)
            now.saved_step, now.saved_epoch, now.saved_time_s, now.cost_s = step, now.epoch, now.time_s, cost_s
    return found


def test_steps_are_counted_from_the_start_of_the_run() -> None:
    """Every 5: after 5 steps, after 10 …, the same ones after a resume."""
    assert saved(tk.every(steps=5), 17) == [4, 9, 14]
    resumed = Now(7, None, 1.0, 6, None, 0.0, 0.0)
    assert not tk.every(steps=5).due(resumed)
    resumed.step = 9
    assert tk.every(steps=5).due(resumed)


def test_time_epochs_and_their_compositions() -> None:
    """Minutes since the last save; whole epochs; either, both (since the last save)."""
    assert saved(tk.every(minutes=1), 10, seconds_a_step=25) == [2, 5, 8]
    assert saved(tk.every(epochs=2), 40, epoch_of=5) == [4, 14, 24, 34]
    assert saved(tk.every(steps=4) | tk.every(seconds=3), 12, seconds_a_step=1) == [2, 3, 6, 7, 10, 11]
    assert saved(tk.every(steps=4) & tk.every(seconds=6), 16, seconds_a_step=1) == [5, 11]
    assert saved(tk.every(steps=7, seconds=100), 15) == [6, 13]


def test_a_cost_is_a_part_of_the_time() -> None:
    """1 % with saves of 0.1 s: the first at once, then every 10 s."""
    assert saved(tk.every(cost="1%"), 25, cost_s=0.1) == [0, 10, 20]
    assert saved(tk.every(cost=0.05), 6, cost_s=0.1) == [0, 2, 4]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "every() needs steps="),
        ({"steps": 0}, "steps=0 is no positive whole number"),
        ({"steps": 2.5}, "steps=2.5 is no positive whole number"),
        ({"minutes": -1}, "minutes=-1 is no positive number"),
        ({"cost": "200%"}, "cost='200%' is no part of the time"),
        ({"cost": "much"}, "cost='much' is no part of the time"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, object], text: str) -> None:
    """At once, when the policy is made."""
    import re

    with pytest.raises(tk.UnsupportedDataError, match=re.escape(text)):
        tk.every(**options)  # type: ignore[arg-type]


@dataclass
class Fake:
    step: int
    metrics: Mapping[str, float] = field(default_factory=dict)


def test_the_last_the_best_and_every_nth_are_kept() -> None:
    """By number and not by name, by value with ties to the newer; NaN is never best."""
    losses = {9: 0.5, 99: 0.3, 199: float("nan"), 999: 0.3, 1099: 0.9}
    steps = [Fake(step, {"loss": loss}) for step, loss in losses.items()]

    assert set(tk.keep_last(2).keeps(steps)) == {999, 1099}
    assert set(tk.keep_best(2, "loss", mode="min").keeps(steps)) == {99, 999}
    assert set(tk.keep_best(1, "loss", mode="min").keeps(steps)) == {999}
    assert set(tk.keep_best(1, "loss", mode="max").keeps(steps)) == {1099}
    assert set(tk.keep_best(5, "accuracy", mode="max").keeps(steps)) == set()
    assert set(tk.keep_every(500).keeps(steps)) == {999}
    assert set(tk.keep_every(100).keeps(steps)) == {99, 199, 999, 1099}
    assert set(tk.keep_all().keeps(steps)) == set(losses)
