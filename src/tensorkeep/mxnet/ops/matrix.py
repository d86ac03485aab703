"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._rules import one_dtype


def _floating(arrays: Sequence[Tensor], op: str) -> None:
    one_dtype(arrays, op)
    if not arrays[0].dtype.is_floating_point:
        raise MXNetError(f"Operator {op} is for float16, float32 and float64, not {arrays[0].dtype}")


@operator("dot")
def dot(lhs: Tensor, rhs: Tensor, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The sum over the last axis of lhs and the first of rhs: of vectors the inner product, of matrices the product.

    transpose_a takes the first axis of lhs in its place, transpose_b the last of rhs.
    """
    _floating((lhs, rhs), "dot")
    a, b = lhs.dim(), rhs.dim()
    if a == 2 and b == 2:
        left, right = lhs.t() if transpose_a else lhs, rhs.t() if transpose_b else rhs
        if left.shape[1] != right.shape[0]:
            raise _mismatch(lhs, rhs)
        return left.mm(right)
    if a == 1 and b == 1:
        if transpose_a or transpose_b:
            raise MXNetError("Cannot transpose vectors")
        if lhs.shape != rhs.shape:
            raise _mismatch(lhs, rhs)
        return lhs.dot(rhs).reshape(1)
    if not a or not b:
        raise _mismatch(lhs, rhs)
    left, right = 0 if transpose_a else a - 1, b - 1 if transpose_b else 0
    if lhs.shape[left] != rhs.shape[right]:
        raise _mismatch(lhs, rhs)
    return torch.tensordot(lhs, rhs, ([left], [right]))


def _mismatch(lhs: Tensor, rhs: Tensor) -> MXNetError:
    return MXNetError(f"dot shape error: {list(lhs.shape)} X {list(rhs.shape)}")


@operator("batch_dot")
def batch_dot(lhs: Tensor, rhs: Tensor, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The products of the matrices in the last two axes; the axes before are equal."""
    _floating((lhs, rhs), "batch_dot")
    if lhs.dim() < 3 or lhs.dim() != rhs.dim():
        raise MXNetError(
            f"batch_dot currently only support N-D*N-D array (N >= 3){list(lhs.shape)} v.s. {list(rhs.shape)}"
        )
    left = lhs.transpose(-1, -2) if transpose_a else lhs
    right = rhs.transpose(-1, -2) if transpose_b else rhs
    if left.shape[:-2] != right.shape[:-2] or left.shape[-1] != right.shape[-2]:
        raise MXNetError(
            f"batch_dot shape error (the leading batch dimensions must be equal): {list(lhs.shape)} X "
            f"{list(rhs.shape)} trans_a={int(transpose_a)} trans_b={int(transpose_b)}"
        )
    return left.matmul(right)
