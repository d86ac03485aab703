"""Axes of NumPy's operators: checked, counted from the front, with MXNet's sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like

__all__ = ["axis_in", "listed", "reduced_axes", "split_points"]


def listed(shape: Sequence[int]) -> str:
    """A shape as MXNet prints it: [2,3]."""
    return like(shape)


def axis_in(axis: int, rank: int, shape: Sequence[int]) -> int:
    """The axis from the front.

    Raises:
        MXNetError: there is none.
    """
    if not -rank <= axis < rank:
        raise MXNetError(f"axis {axis} is out of bounds for array of dimension {len(shape)}")
    return axis % rank


def reduced_axes(data: Tensor, axis: tuple[int, ...] | None) -> list[int]:
    """The axes to reduce over, sorted: all for None, none for ().

    Raises:
        MXNetError: an axis that is not there, or twice.
    """
    rank = data.dim()
    if axis is None:
        return list(range(rank))
    if len(axis) == 1 and -rank <= axis[0] < rank:
        return [axis[0] % rank]
    found = sorted(a + rank if a < 0 else a for a in axis)
    if found and found[-1] >= rank and rank:
        raise MXNetError(f"Reduction axis {found[-1]} Exceeds input dimensions {listed(data.shape)}")
    if found and found[0] < 0:
        raise MXNetError(f"Reduction axis {found[0]} Exceeds input dimensions {listed(data.shape)}")
    if len(set(found)) != len(found):
        raise MXNetError(f"Reduction axes have duplicates {listed(found)}")
    return found if rank else []


def split_points(size: int, indices: tuple[int, ...], sections: int) -> list[int]:
    """The lengths of the parts of an axis.

    Args:
        indices: where each part begins (the first is 0), when sections is 0.
        sections: into how many parts of equal length, the first ones one longer where it does not divide.
    """
    if sections > 0:
        each, more = divmod(size, sections)
        return [each + (i < more) for i in range(sections)]
    bounds = [*(min(max(i, 0), size) for i in indices), size]
    return [max(0, end - begin) for begin, end in pairwise(bounds)]
