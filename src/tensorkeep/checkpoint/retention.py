"""Which steps go after a save, and how: never the newest, never a pinned one, never one that any policy keeps."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tensorkeep.checkpoint.policies import Keep
from tensorkeep.checkpoint.steps import Step
from tensorkeep.storage.folders import remove_folder

__all__ = ["reasons", "retire"]


def reasons(steps: Sequence[Step], keep: Sequence[Keep]) -> dict[int, list[str]]:
    """Step → why it is kept; an empty list for those that may go. Steps whose manifest is damaged are kept for repair.

    Args:
        steps: in ascending order.
    """
    found: dict[int, list[str]] = {each.step: [] for each in steps}
    whole = [each for each in steps if not each.damage(quick=True)]
    for policy in keep:
        for step, why in policy.keeps(whole).items():
            found[step].append(why)
    if whole:
        found[whole[-1].step].append("newest")
    for each in steps:
        if each.pinned:
            found[each.step].append("pinned")
        if each not in whole:
            found[each.step].append("damaged")
    return found


def retire(directory: str, steps: Sequence[Step], keep: Sequence[Keep], *, dry_run: bool = False) -> list[Step]:
    """Remove the steps that nothing keeps; those that went, or with `dry_run` would.

    Raises:
        SaveError: the system refuses to remove one; the others are as they were.
    """
    why = reasons(steps, keep)
    going = [each for each in steps if not why[each.step]]
    if not dry_run:
        for each in going:
            remove_folder(directory, os.path.basename(each.path))
    return going
