"""Shape rules that several families share. -1 stands for a dimension that is not known, None for an unknown rank."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkeep.mxnet._registry import Attrs, Shape
from tensorkeep.mxnet.base import MXNetError

__all__ = ["broadcast", "join"]


def join(a: Shape, b: Shape, what: str = "shapes") -> Shape:
    """What is known when both describe the same array.

    Raises:
        MXNetError: they contradict each other.
    """
    if a is None or b is None:
        return b if a is None else a
    if len(a) != len(b):
        raise MXNetError(f"Incompatible {what}: {list(a)} and {list(b)}")
    joined = []
    for x, y in zip(a, b, strict=True):
        if x != y and x >= 0 and y >= 0:
            raise MXNetError(f"Incompatible {what}: {list(a)} and {list(b)}")
        joined.append(max(x, y))
    return tuple(joined)


def broadcast(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    """Two inputs, one output with both broadcast; nothing is known of an input from the output."""
    left, right = shapes
    if left is None or right is None:
        return shapes, [None]
    rank = max(len(left), len(right))
    padded = [(1,) * (rank - len(s)) + s for s in (left, right)]
    out = []
    for x, y in zip(*padded, strict=True):
        if x >= 0 and y >= 0 and x != y and 1 not in (x, y):
            raise MXNetError(f"operands could not be broadcast together with shapes {list(left)} {list(right)}")
        out.append(y if x == 1 else x if y == 1 else max(x, y))
    return shapes, [tuple(out)]
