"""Sums, means, extremes and norms over axes. Axis () and None stand for all; a single number has shape (1,)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like, with_partials
from tensorkeep.mxnet.ops._shapes import Axes, DTypes, Shapes, reduced, reduced_axes

_Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def _reducing(fn: _Reduce, text: str) -> Callable[..., Tensor]:
    def reducing(data: Tensor, *, axis: Axes = None, keepdims: bool = False, exclude: bool = False) -> Tensor:
        axes = reduced_axes(data.shape, axis, exclude)
        if not axes:  # torch takes () for all axes; here it is none
            data, axes = data.unsqueeze(-1), (-1,)
            keepdims = False
        found = fn(data, axes, keepdims)
        return found if found.dim() else found.reshape(1)

    reducing.__doc__ = (
        f"{text}\n\naxis: an axis or several; None or () for all. exclude: over all axes but those. "
        "keepdims: axes that are reduced stay, with length 1."
    )
    return reducing


def _sum(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sum(data, axes, keep, dtype=data.dtype)


def _square_sum(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return _sum(data * data, axes, keep)


def _count(data: Tensor, axes: tuple[int, ...]) -> int:
    count = 1
    for axis in axes:
        count *= data.shape[axis]
    return count


def _mean(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if data.is_floating_point():
        return torch.mean(data, axes, keep)
    if data.dtype is torch.bool:
        return _sum(data, axes, keep)
    return torch.div(_sum(data, axes, keep), _count(data, axes), rounding_mode="trunc")


class _Prod(torch.autograd.Function):
    """The product; the derivative is the product over the element, NaN where that is 0 as in MXNet."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, axes: tuple[int, ...], skips_nan: bool) -> Tensor:
        values = torch.where(torch.isnan(data), 1.0, data) if skips_nan else data
        found = _product(values, axes)
        ctx.save_for_backward(data, found)
        ctx.skips_nan = skips_nan
        return found

    @staticmethod
    def backward(ctx: Any, head: Tensor) -> tuple[Tensor, None, None]:
        data, found = ctx.saved_tensors
        gradient = head * found / data
        if ctx.skips_nan:
            gradient = gradient.masked_fill(torch.isnan(data), 0.0)
        return gradient, None, None


def _product(data: Tensor, axes: tuple[int, ...]) -> Tensor:
    for axis in axes:
        data = torch.prod(data, axis, True, dtype=data.dtype)
    return data


def _squeezed(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return data if keep else data.squeeze(axes)


def _prod(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    found = _Prod.apply(data, axes, False) if data.requires_grad else _product(data, axes)
    return _squeezed(found, axes, keep)


def _nanprod(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    if not data.is_floating_point():
        return _prod(data, axes, keep)
    return _squeezed(_Prod.apply(data, axes, True), axes, keep)


def _nansum(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    return torch.nansum(data, axes, keep) if data.is_floating_point() else _sum(data, axes, keep)


class _Extreme(torch.autograd.Function):
    """The largest or smallest; every element that equals it gets the whole gradient, torch would share it."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, axes: tuple[int, ...], reduce: Callable[..., Tensor]) -> Tensor:
        found = reduce(data, axes, True)
        ctx.save_for_backward(data, found)
        return found

    @staticmethod
    def backward(ctx: Any, head: Tensor) -> tuple[Tensor, None, None]:
        data, found = ctx.saved_tensors
        return head * (data == found), None, None


def _not_empty(data: Tensor) -> None:
    if data.numel() == 0:
        raise MXNetError(f"Reduction input's size should > 0 {like(data.shape)}")


def _max(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    _not_empty(data)
    if data.requires_grad:
        return _squeezed(_Extreme.apply(data, axes, torch.amax), axes, keep)
    return torch.amax(data, axes, keep)


def _min(data: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    _not_empty(data)
    if data.requires_grad:
        return _squeezed(_Extreme.apply(data, axes, torch.amin), axes, keep)
    return torch.amin(data, axes, keep)


_REDUCTIONS: dict[str, tuple[_Reduce, str]] = {
    "sum": (_sum, "The sum over axes."),
    "_square_sum": (_square_sum, "The sum of the squares over axes."),
    "mean": (_mean, "The mean over axes; of whole numbers it is cut off."),
    "prod": (_prod, "The product over axes."),
    "nansum": (_nansum, "The sum over axes, NaN counting as 0."),
    "nanprod": (_nanprod, "The product over axes, NaN counting as 1."),
    "max": (_max, "The largest element over axes."),
    "min": (_min, "The smallest element over axes."),
}

for _name, (_fn, _text) in _REDUCTIONS.items():
    operator(_name, shape=reduced)(_reducing(_fn, _text))


class _Norm(torch.autograd.Function):
    """The Euclidean norm; the derivative is x / norm, NaN where that is 0 as in MXNet."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, axes: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        wide = torch.float64 if data.dtype in (torch.float32, torch.float64) else torch.float32  # squares overflow
        found = torch.linalg.vector_norm(data, 2, axes, True, dtype=wide)
        ctx.save_for_backward(data, found)
        return found.to(dtype)

    @staticmethod
    def backward(ctx: Any, head: Tensor) -> tuple[Tensor, None, None]:
        data, found = ctx.saved_tensors
        return head.to(data.dtype) * (data / found.to(data.dtype)), None, None


_absolute = with_partials(torch.abs, lambda x, y: torch.sign(x))


def _norm_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [attrs["out_dtype"] or dtypes[0]]


@operator("norm", shape=reduced, dtype=_norm_dtype)
def norm(
    data: Tensor, *, ord: int = 2, axis: Axes = None, out_dtype: str | None = None, keepdims: bool = False
) -> Tensor:
    """The Euclidean norm over axes, or with ord=1 the sum of the absolute values; axis None or () for all.

    out_dtype: the dtype of the result; by default that of data.
    """
    if ord not in (1, 2):
        raise MXNetError("norm only supports ord=1 and ord=2")
    dtype = data.dtype if out_dtype is None else TORCH[out_dtype]
    axes = reduced_axes(data.shape, axis)
    if not axes:
        data, axes, keepdims = data.unsqueeze(-1), (-1,), False
    if ord == 1:
        found = torch.sum(_absolute(data), axes, keepdims, dtype=dtype)
    elif data.is_floating_point():
        found = _squeezed(_Norm.apply(data, axes, dtype), axes, keepdims)
    else:
        found = torch.linalg.vector_norm(data.double(), 2, axes, keepdims).to(dtype)
    return found if found.dim() else found.reshape(1)


def _moments_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    ins, outs = reduced(shapes, {"axis": attrs["axes"], "keepdims": attrs["keepdims"]})
    return ins, [outs[0], outs[0]]


@operator("moments", outputs=2, shape=_moments_shapes)
def moments(data: Tensor, *, axes: Axes = None, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """The mean and the variance (of a population) over axes, which must be named."""
    if not axes:
        raise MXNetError(
            "Empty axes is not supported, if you would like to do global moments, please pass all axes to axes argument"
        )
    over = reduced_axes(data.shape, axes)
    mean = _mean(data, over, True)
    variance = _mean(torch.square(data - mean), over, keepdims)
    mean = _squeezed(mean, over, keepdims)
    return (mean, variance) if mean.dim() else (mean.reshape(1), variance.reshape(1))
