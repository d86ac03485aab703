"""Arrays made from nothing, or from another array's shape."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like

Dims = tuple[int | None, ...]


def declared(dims: Dims | None) -> Shape:
    """The shape that a `shape` attribute declares: what it leaves open is -1, or None.

    Without NumPy semantics 0 stands for an unknown dimension and () for an unknown rank.
    """
    if dims is None or None in dims:
        return None
    if state.np_shape:
        return dims
    return tuple([d if d > 0 else -1 for d in dims]) or None


def _declared(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    return [], [declared(attrs["shape"])]


def _dtype(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return [], [attrs["dtype"]]


def _known(name: str, shape: Dims | None) -> tuple[int, ...]:
    dims = declared(shape)
    if dims is None or min(dims, default=0) < 0:
        shown = "None" if dims is None else like(dims)
        raise MXNetError(
            f"Operator {name} inferring shapes failed.\ninput shapes:\noutput shapes:\n{shown}\n"
            f"operator attributes:\nshape : {shape}\n"
        )
    return dims


@operator("_zeros", shape=_declared, dtype=_dtype)
def zeros(*, shape: Dims = (), dtype: str = "float32", device: torch.device) -> Tensor:
    """An array of zeros."""
    return torch.zeros(_known("_zeros", shape), dtype=TORCH[dtype], device=device)


@operator("_ones", shape=_declared, dtype=_dtype)
def ones(*, shape: Dims = (), dtype: str = "float32", device: torch.device) -> Tensor:
    """An array of ones."""
    return torch.ones(_known("_ones", shape), dtype=TORCH[dtype], device=device)
