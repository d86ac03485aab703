"""From a step back into a state: which step, whether it is whole, and what of it goes where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensorkeep.checkpoint._agree import overlay, own_of
from tensorkeep.checkpoint._collect import WHOLE
from tensorkeep.checkpoint._ranks import Ranks, alike
from tensorkeep.checkpoint._state import Restore
from tensorkeep.checkpoint._together import damage_together
from tensorkeep.checkpoint.rng import plain, restore_generators
from tensorkeep.checkpoint.steps import HIDDEN, Step, list_steps
from tensorkeep.errors import CorruptFileError, TensorkeepError, TensorNotFoundError

if TYPE_CHECKING:
    from tensorkeep.core.tensorfile import TensorFile

__all__ = ["find_step", "open_whole", "put_back", "unwrapped"]


def find_step(directory: str, step: int, steps: Sequence[Step] | None = None) -> Step:
    """A step by its number, of those that are given or else of the directory's.

    Raises:
        TensorNotFoundError: there is none; the text lists those that there are.
    """
    for each in list_steps(directory) if steps is None else steps:
        if each.step == step:
            return each
    there = ", ".join(str(each.step) for each in list_steps(directory)) or "none"
    raise TensorNotFoundError(f"{directory}: there is no step {step}. There are: {there}.")


def open_whole(step: Step, ranks: Ranks | None) -> tuple[TensorFile | None, list[str]]:
    """(the step's file, whose every byte was looked at, or None; what is damaged). With ranks each looks at a share."""
    damage = step.damage() if ranks is None else damage_together(ranks, step)
    if damage:
        return None, damage
    try:
        return step.open(), []
    except (TensorkeepError, OSError) as err:
        if ranks is not None:
            raise
        return None, [str(err)]


def unwrapped(tree: Any, step: Step) -> Any:
    """What was given to `save`: without the generators, and unwrapped when it was no dict.

    Raises:
        CorruptFileError: it is not what `save` writes.
    """
    entries = step.manifest.entries
    if entries.get(WHOLE) == "whole":
        return tree[WHOLE]
    if not isinstance(tree, dict):
        raise CorruptFileError(f"{step.path}: the state is no dict, as every saved one is. The step is damaged.")
    return {key: value for key, value in tree.items() if entries.get(str(key)) not in HIDDEN}


def put_back(step: Step, tree: Any, state: Any, ranks: Ranks | None, *, strict: bool, generators: bool) -> list[str]:
    """Fill the state, and what this rank had for itself; what of it could not go back.

    Args:
        tree: the step's, as it was opened.
        strict: an entry of the state that the step lacks is an error.
        generators: whether those of random numbers are set.
    Raises:
        MismatchError: the state does not fit; nothing was changed, on any rank.
    """
    rank, size = (ranks.rank, ranks.size) if ranks is not None else (0, 1)
    drawn, local, lost = own_of(tree, step.manifest.entries, rank, size)
    if state is not None:
        plans: list[Restore] = []

        def look() -> None:
            plans.append(Restore(state, unwrapped(overlay(tree, local), step), strict=strict))
            plans[0].check()

        alike(ranks, look)
        made: list[Any] = []
        alike(ranks, lambda: made.append(plans[0].carry_out()))
        if isinstance(state, dict) and made[0] is not state:
            state.update(made[0])
    if generators and drawn is not None:
        restore_generators(plain(drawn))
    return lost
