"""The plain values that stand beside the tensors of a file, those inside records of unknown classes too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorkeep.core.tree import Inert, leaves

__all__ = ["with_records"]

_DEEPEST = 8
"""Records inside records inside records: what is below is not listed."""


def with_records(tree: Any) -> Iterator[tuple[str, Any]]:
    """The (path, leaf) pairs of a tree, and behind each record (Inert) those of its arguments, state and items.

    A record that stands in several places is opened once, so that a circle ends.
    """
    opened: set[int] = set()

    def walk(node: Any, before: str, depth: int) -> Iterator[tuple[str, Any]]:
        for path, leaf in leaves(node):
            whole = f"{before}.{path}" if before and path else before or path
            yield whole, leaf
            if isinstance(leaf, Inert) and id(leaf) not in opened and depth < _DEEPEST:
                opened.add(id(leaf))
                if leaf.args:
                    yield from walk(dict(enumerate(leaf.args)), f"{whole}.args" if whole else "args", depth + 1)
                for inside in (leaf.state, leaf.items):
                    if inside is not None:
                        yield from walk(inside, whole, depth + 1)

    return walk(tree, "", 0)
