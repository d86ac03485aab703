"""Grids."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet.numpy.stride_tricks import broadcast_arrays

__all__ = ["meshgrid"]


def meshgrid(*xi: Any, **kwargs: Any) -> list[Any]:
    """The coordinates of a grid from those of its axes.

    Args:
        indexing: "xy" (the first two axes are exchanged) or "ij".
    """
    if not kwargs.pop("copy", True):
        raise NotImplementedError("copy=False is not implemented")
    if kwargs.pop("sparse", False):
        raise NotImplementedError("sparse=False is not implemented")
    indexing = kwargs.pop("indexing", "xy")
    if kwargs:
        raise TypeError(f"meshgrid() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    places = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        places[:2] = [1, 0]
    grids = [
        x.reshape(tuple(-1 if axis == place else 1 for axis in range(len(xi))))
        for place, x in zip(places, xi, strict=True)
    ]
    return broadcast_arrays(*grids)
