"""Shape rules that several families share. -1 stands for a dimension that is not known, None for an unknown rank."""

from __future__ import annotations

from collections.abc import Sequence

from tensorkeep.mxnet._registry import Attrs, Shape
from tensorkeep.mxnet.base import MXNetError

__all__ = ["Axes", "DTypes", "Shapes", "broadcast", "join", "reduced", "reduced_axes"]

Axes = tuple[int, ...] | None
"""The axes that an attribute names; None and () for all."""
Shapes = tuple[Sequence[Shape], Sequence[Shape]]
"""What a rule for shapes gives: of the inputs, of the outputs."""
DTypes = tuple[Sequence[str | None], Sequence[str | None]]
"""What a rule for dtypes gives: of the inputs, of the outputs."""


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


def broadcast(shapes: list[Shape], attrs: Attrs) -> Shapes:
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


def reduced_axes(shape: Sequence[int], axis: Axes, exclude: bool = False) -> tuple[int, ...]:
    """The axes that a reduction goes over, ascending and not negative.

    Raises:
        MXNetError: one that the shape does not have, or the same one twice.
    """
    rank = len(shape)
    if not axis:
        return tuple(range(rank))
    if len(axis) == 1 and not exclude and 0 <= axis[0] < rank:
        return axis
    axes = sorted([a + rank if a < 0 else a for a in axis])
    if axes[0] < 0 or axes[-1] >= rank:
        named = axes[-1] if axes[-1] >= rank else f"[{','.join(map(str, axis))}]"
        raise MXNetError(f"Reduction axis {named} Exceeds input dimensions [{','.join(map(str, shape))}]")
    if len(set(axes)) < len(axes):
        raise MXNetError(f"Reduction axes have duplicates [{','.join(map(str, axes))}]")
    return tuple([a for a in range(rank) if a not in axes]) if exclude else tuple(axes)


def reduced(shapes: list[Shape], attrs: Attrs) -> Shapes:
    """One input, one output without (keepdims: with length 1 at) the axes of `axis`; (1,) when none is left."""
    data = shapes[0]
    if data is None:
        return shapes, [None]
    axes = reduced_axes(data, attrs["axis"], attrs.get("exclude", False))
    if attrs["keepdims"]:
        return shapes, [tuple([1 if i in axes else d for i, d in enumerate(data)])]
    left = tuple([d for i, d in enumerate(data) if i not in axes])
    return shapes, [left or (1,)]
