"""Rules and small conversions that the operators which move values share."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape
from tensorkeep.mxnet.base import MXNetError

__all__ = [
    "DTypes", "Shapes", "axis_of", "first_dtype", "index_of", "one_dtype", "out_of_bounds", "outside", "size_of",
]  # fmt: skip

DTypes = tuple[Sequence[str | None], Sequence[str | None]]
"""What a rule for dtypes gives: of the inputs, of the outputs."""
Shapes = tuple[Sequence[Shape], Sequence[Shape]]
"""What a rule for shapes gives: of the inputs, of the outputs."""


class _OutOfBounds(MXNetError, IndexError):
    """An index outside an array: MXNet raises IndexError here, where others are MXNetErrors."""


def first_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    """The output has the dtype of the first input; what the others have does not matter."""
    return dtypes, [dtypes[0]]


def axis_of(axis: int, rank: int, op: str) -> int:
    """The axis counted from the front.

    Raises:
        MXNetError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise MXNetError(f"Operator {op}: axis {axis} exceeds the input dimension of {rank}")
    return axis + rank if axis < 0 else axis


def out_of_bounds(index: int, axis: int, size: int) -> Exception:
    """The error for an index that an axis does not have, to be raised: both an IndexError and an MXNetError."""
    return _OutOfBounds(f"index {index} is out of bounds for axis {axis} with size {size}")


def outside(err: IndexError) -> Exception:
    """torch's own IndexError in MXNet's words, to be raised: both an IndexError and an MXNetError."""
    return _OutOfBounds(str(err).replace("for dimension", "for axis"))


def size_of(shape: Sequence[int]) -> int:
    """How many elements a shape has; -1 when a dimension is not known."""
    return -1 if -1 in shape else prod(shape)


def index_of(indices: Tensor) -> Tensor:
    """Indices as torch takes them; those in floating point are truncated."""
    return indices if indices.dtype is torch.int64 else indices.to(torch.int64)


def one_dtype(tensors: Sequence[Tensor], op: str) -> None:
    """Raise MXNetError when the arrays differ in dtype: MXNet does not convert them."""
    dtype = tensors[0].dtype
    for tensor in tensors:
        if tensor.dtype is not dtype:
            names = ", ".join(str(t.dtype).removeprefix("torch.") for t in tensors)
            raise MXNetError(f"Operator {op}: the inputs must have one dtype, but they have {names}")
