"""Element by element: arithmetic of arrays and scalars, functions of one argument."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._shapes import broadcast


def same_dtype(a: Tensor, b: Tensor) -> None:
    """MXNet does not mix dtypes: an MXNetError where torch would promote."""
    if a.dtype is not b.dtype:
        kinds = [str(t.dtype).removeprefix("torch.") for t in (a, b)]
        raise MXNetError(
            f"Incompatible attr in node  at 1-th input: expected {kinds[0]}, got {kinds[1]}. Cast one of them."
        )


@operator("broadcast_add", shape=broadcast)
def broadcast_add(lhs: Tensor, rhs: Tensor) -> Tensor:
    """lhs + rhs, shapes broadcast."""
    same_dtype(lhs, rhs)
    return torch.add(lhs, rhs)


@operator("elemwise_add", shape="same")
def elemwise_add(lhs: Tensor, rhs: Tensor) -> Tensor:
    """lhs + rhs of equal shapes."""
    same_dtype(lhs, rhs)
    return torch.add(lhs, rhs)


@operator("_plus_scalar", shape="same")
def plus_scalar(data: Tensor, *, scalar: float = 1.0) -> Tensor:
    """data + scalar; the scalar takes the dtype of the array."""
    return torch.add(data, scalar)


@operator("exp", shape="same")
def exp(data: Tensor) -> Tensor:
    """e to the power of each element."""
    return torch.exp(data)
