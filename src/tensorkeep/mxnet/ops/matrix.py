"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._rules import Shapes, one_dtype


def _floating(arrays: Sequence[Tensor], op: str) -> None:
    one_dtype(arrays, op)
    if not arrays[0].dtype.is_floating_point:
        raise MXNetError(f"Operator {op} is for float16, float32 and float64, not {arrays[0].dtype}")


def _dot_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    left, right = shapes
    if left is None or right is None:
        return shapes, [None]
    rest = left[1:] if attrs["transpose_a"] and len(left) > 1 else left[:-1]
    more = right[:-1] if attrs["transpose_b"] else right[1:]
    return shapes, [(*rest, *more) or (1,)]


def _batch_dot_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    left, right = shapes
    if left is None or right is None or len(left) != len(right):
        return shapes, [None]
    rows, columns = left[-1 if attrs["transpose_a"] else -2], right[-2 if attrs["transpose_b"] else -1]
    batch = tuple(max(a, b) for a, b in zip(left[:-2], right[:-2], strict=True))
    return [(*batch, *left[-2:]), (*batch, *right[-2:])], [(*batch, rows, columns)]


@operator("dot", shape=_dot_shapes)
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


@operator("batch_dot", shape=_batch_dot_shapes)
def batch_dot(lhs: Tensor, rhs: Tensor, *, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """The products of the matrices in the last two axes; the axes before are equal."""
    _floating((lhs, rhs), "batch_dot")
    if lhs.dim() < 3 or lhs.dim() != rhs.dim():
        raise MXNetError(
            f"batch_dot currently only support N-D*N-D array (N >= 3){list(lhs.shape)} v.s. {list(rhs.shape)}"
        )
    left = lhs.transpose(-1, -2) if transpose_a else lhs
    right = rhs.transpose(-1, -2) if transpose_b else rhs
    if lhs.dim() == 3:
        batch, _, inner = left.shape
        if right.shape[:2] == (batch, inner):
            return left.bmm(right)
    if left.shape[:-2] != right.shape[:-2] or left.shape[-1] != right.shape[-2]:
        raise MXNetError(
            f"batch_dot shape error (the leading batch dimensions must be equal): {list(lhs.shape)} X "
            f"{list(rhs.shape)} trans_a={int(transpose_a)} trans_b={int(transpose_b)}"
        )
    return left.matmul(right)
