"""Single operators of no larger family: a loss, a product of columns, a scaling, a comparison."""

from __future__ import annotations

from math import sqrt
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like, same_dtype
from tensorkeep.mxnet.ops._shapes import Shapes


def _cross_entropy_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    data, label = shapes
    if data is not None and len(data) != 2:
        raise MXNetError("SoftmaxCrossEntropy only accept 2D data")
    if data is not None and label is None:
        label = (data[0],)
    return [data, label], [(1,)]


class _CrossEntropy(torch.autograd.Function):
    """MXNet's derivative: probabilities less the label's 1, for every row, even where the loss was cut off at 1e-8."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, label: Tensor) -> Tensor:
        chance = torch.softmax(data, 1)
        at = label.long().clamp(0, data.shape[1] - 1)[:, None]
        ctx.save_for_backward(chance, at)
        return -torch.log(chance.gather(1, at).clamp_min(1e-8)).sum().reshape(1)

    @staticmethod
    def backward(ctx: Any, head: Tensor) -> tuple[Tensor, None]:
        chance, at = ctx.saved_tensors
        return head * chance.scatter_add(1, at, torch.full_like(at, -1, dtype=chance.dtype)), None


@operator("softmax_cross_entropy", shape=_cross_entropy_shapes)
def softmax_cross_entropy(data: Tensor, label: Tensor) -> Tensor:
    """The sum over rows of -log(softmax(row)[label]): data (N, K), label (N,) of the same dtype, the result (1,)."""
    if data.dim() != 2:
        raise MXNetError("SoftmaxCrossEntropy only accept 2D data")
    if label.dim() != 1 or label.shape[0] != data.shape[0]:
        raise MXNetError(f"SoftmaxCrossEntropy: data label shape mismatch: {like(data.shape)} and {like(label.shape)}")
    same_dtype(data, label)
    return _CrossEntropy.apply(data, label)


def _khatri_rao_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    rows, columns = 1, -1
    for shape in shapes:
        if shape is None:
            return shapes, [None]
        rows = -1 if -1 in (rows, shape[0]) else rows * shape[0]
        columns = max(columns, shape[1])
    return shapes, [(rows, columns)]


@operator("khatri_rao", shape=_khatri_rao_shapes)
def khatri_rao(*args: Tensor) -> Tensor:
    """The Kronecker products of the columns of matrices: their columns are as many, the rows are multiplied."""
    columns = {array.shape[1] if array.dim() == 2 else -1 for array in args}
    if len(columns) != 1 or -1 in columns:
        raise MXNetError(f"khatri_rao takes matrices of one width, got {', '.join(like(a.shape) for a in args)}")
    found = args[0]
    for at, array in enumerate(args[1:], 1):
        same_dtype(found, array, at)
        found = (found[:, None, :] * array[None, :, :]).flatten(0, 1)
    return found.clone() if len(args) == 1 else found


@operator("_contrib_div_sqrt_dim", shape="same")
def div_sqrt_dim(data: Tensor) -> Tensor:
    """data divided by the square root of its last axis' length."""
    root = sqrt(data.shape[-1])
    return data / root if data.is_floating_point() else (data / root).to(data.dtype)


@operator("_contrib_allclose", shape=lambda shapes, attrs: (shapes, [()]), dtype=lambda d, attrs: (d, ["uint8"]))
def allclose(a: Tensor, b: Tensor, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = True) -> Tensor:
    """1 when |a - b| ≤ atol + rtol · |b| everywhere, else 0: an array without axes, of uint8."""
    if a.shape != b.shape:
        raise MXNetError(f"allclose takes equal shapes, got {like(a.shape)} and {like(b.shape)}")
    same_dtype(a, b)
    return torch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan).all().to(torch.uint8)
