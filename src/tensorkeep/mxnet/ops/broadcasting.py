"""Arrays repeated along axes of length 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._shapes import Axes, DTypes, Shapes


def _spread(data: Tensor, shape: Sequence[int]) -> Tensor:
    return data.expand(shape).clone(memory_format=torch.contiguous_format)


def _fits(shape: Sequence[int], target: Sequence[int]) -> None:
    if any(x not in (1, y, -1) and y >= 0 for x, y in zip(shape, target, strict=True)):
        raise MXNetError(f"Array cannot be broadcasted from {like(shape)} to {like(target)}")


def _to(shape: Sequence[int], target: Sequence[int]) -> tuple[int, ...]:
    """The shape after broadcast_to; 0 keeps a dimension."""
    if len(shape) != len(target):
        raise MXNetError(f"Operand of shape {like(shape)} cannot be broadcasted to {like(target)}")
    if min(target, default=0) < 0:
        raise MXNetError(f"Shape dim size cannot be a negative value {min(target)}")
    found = tuple([x if y == 0 else y for x, y in zip(shape, target, strict=True)])
    _fits(shape, found)
    return found


def _to_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    data = shapes[0]
    return shapes, [None if data is None else _to(data, attrs["shape"])]


@operator("broadcast_to", shape=_to_shapes)
def broadcast_to(data: Tensor, *, shape: tuple[int, ...] = ()) -> Tensor:
    """The array repeated to a shape of the same rank; 0 in it keeps a dimension."""
    return _spread(data, _to(data.shape, shape))


def _axis(shape: Sequence[int], axes: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
    if len(axes) != len(sizes):
        raise MXNetError(f"axis and size must have the same length, got {len(axes)} and {len(sizes)}")
    found = list(shape)
    for axis, size in zip(axes, sizes, strict=True):
        if not 0 <= axis < len(shape):
            raise MXNetError(f"index = {axis} must be in range [0, {len(shape)})")
        if found[axis] not in (1, -1):
            raise MXNetError("Broadcasting axis must have size 1")
        found[axis] = size
    return tuple(found)


def _axis_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    data = shapes[0]
    return shapes, [None if data is None else _axis(data, attrs["axis"], attrs["size"])]


@operator("broadcast_axis", shape=_axis_shapes)
def broadcast_axis(data: Tensor, *, axis: tuple[int, ...] = (), size: tuple[int, ...] = ()) -> Tensor:
    """The array repeated `size` times along axes of length 1."""
    return _spread(data, _axis(data.shape, axis, size))


def _like(lhs: Sequence[int], rhs: Sequence[int], lhs_axes: Axes, rhs_axes: Axes) -> tuple[int, ...]:
    if lhs_axes is None or rhs_axes is None:
        if len(lhs) != len(rhs):
            raise MXNetError(f"Operand of shape {like(lhs)} cannot be broadcasted to {like(rhs)}")
        _fits(lhs, rhs)
        return tuple(rhs)
    if len(lhs_axes) != len(rhs_axes) or not lhs_axes:
        raise MXNetError("Input_axis and other_axis size does not match")
    found = list(lhs)
    for number, (left, right) in enumerate(zip(lhs_axes, rhs_axes, strict=True)):
        to = left + len(lhs) if left < 0 else left
        at = right + len(rhs) if right < 0 else right
        if not 0 <= to < len(lhs):
            raise MXNetError(f"Invalid dimension specified in lhs_axes: {left}")
        if not 0 <= at < len(rhs):
            raise MXNetError(f"Invalid dimension specified in rhs_axes: {right}")
        if lhs[to] not in (1, -1):
            raise MXNetError(f"Input axis {left} at dimension {number} cannot be broadcasted to {rhs[at]}")
        found[to] = rhs[at]
    return tuple(found)


def _like_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    lhs, rhs = shapes
    if lhs is None or rhs is None:
        return shapes, [rhs if attrs["lhs_axes"] is None else None]
    return shapes, [_like(lhs, rhs, attrs["lhs_axes"], attrs["rhs_axes"])]


def _like_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [dtypes[0]]


@operator("broadcast_like", shape=_like_shapes, dtype=_like_dtypes)
def broadcast_like(lhs: Tensor, rhs: Tensor, *, lhs_axes: Axes = None, rhs_axes: Axes = None) -> Tensor:
    """lhs repeated to the shape of rhs, or its axes `lhs_axes` to the lengths of rhs's `rhs_axes`."""
    return _spread(lhs, _like(lhs.shape, rhs.shape, lhs_axes, rhs_axes))
