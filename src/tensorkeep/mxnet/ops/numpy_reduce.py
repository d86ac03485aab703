"""mx.np's reductions: sums, products, means, extremes, positions of extremes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._numpy_axes import axis_in, reduced_axes
from tensorkeep.mxnet.ops._numpy_types import named

Names = Sequence[str | None]


_PLAIN = (torch.float32, torch.float64, torch.int64)
"""Dtypes that torch adds up in themselves."""


def _no_initial(initial: float | None) -> None:
    if initial is not None:
        raise MXNetError("initial is not supported yet")


def _summed(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    """sum and prod: bool gives int64 unless a dtype is said."""
    return names, [attrs["dtype"] or ("int64" if names[0] == "bool" else names[0])]


def _averaged(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    """mean: whole numbers give float32 unless a dtype is said."""
    name = names[0]
    whole = name is not None and not TORCH[name].is_floating_point
    return names, [attrs["dtype"] or ("float32" if whole else name)]


def _spread(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return names, [attrs["dtype"] or names[0]]


def _empty(data: Tensor, axes: list[int]) -> bool:
    return data.numel() == 0 and any(data.shape[axis] == 0 for axis in axes)


def _zeros(data: Tensor, axes: list[int], keepdims: bool, dtype: torch.dtype) -> Tensor:
    """What MXNet gives for a sum, product or mean of nothing."""
    shape = [1 if i in axes else n for i, n in enumerate(data.shape) if keepdims or i not in axes]
    return torch.zeros(shape, dtype=dtype, device=data.device)


@operator("_np_sum", dtype=_summed)
def sum_(
    a: Tensor, *, axis: tuple[int, ...] | None = None, dtype: str | None = None, keepdims: bool = False,
    initial: float | None = None,
) -> Tensor:  # fmt: skip
    """The sum over axes, all of them by default."""
    _no_initial(initial)
    if axis is None and dtype is None and not keepdims and a.dtype in _PLAIN:
        return torch.sum(a)
    target = TORCH[dtype] if dtype else torch.int64 if a.dtype is torch.bool else a.dtype
    axes = reduced_axes(a, axis)
    if not axes:
        return a.to(target, copy=True)
    if a.dtype.is_floating_point and not target.is_floating_point:
        return torch.sum(a, axes, keepdim=keepdims).to(target)  # added up before it is cut
    if target is torch.float16:
        return torch.sum(a, axes, keepdim=keepdims, dtype=torch.float32).to(target)
    return torch.sum(a, axes, keepdim=keepdims, dtype=target)


def _prod(a: Tensor, axes: list[int], keepdims: bool) -> Tensor:
    for axis in reversed(axes):
        a = torch.prod(a, axis, keepdim=keepdims)
    return a


@operator("_np_prod", dtype=_summed)
def prod(
    a: Tensor, *, axis: tuple[int, ...] | None = None, dtype: str | None = None, keepdims: bool = False,
    initial: float | None = None,
) -> Tensor:  # fmt: skip
    """The product over axes, all of them by default."""
    _no_initial(initial)
    target = TORCH[dtype] if dtype else torch.int64 if a.dtype is torch.bool else a.dtype
    axes = reduced_axes(a, axis)
    if _empty(a, axes):
        return _zeros(a, axes, keepdims, target)
    exact = a.dtype if a.dtype.is_floating_point and not target.is_floating_point else target
    return _prod(a.to(exact, copy=not axes), axes, keepdims).to(target)


@operator("_npi_mean", dtype=_averaged)
def mean(
    a: Tensor, *, axis: tuple[int, ...] | None = None, dtype: str | None = None, keepdims: bool = False,
    initial: float | None = None,
) -> Tensor:  # fmt: skip
    """The mean over axes, all of them by default; of whole numbers as float32."""
    _no_initial(initial)
    target = TORCH[dtype] if dtype else a.dtype if a.dtype.is_floating_point else torch.float32
    axes = reduced_axes(a, axis)
    if _empty(a, axes):
        return _zeros(a, axes, keepdims, target)
    if target is torch.float16 and axes:
        return torch.mean(a.float(), axes, keepdim=keepdims).to(target)
    if target.is_floating_point:
        return torch.mean(a.to(target), axes, keepdim=keepdims) if axes else a.to(target, copy=True)
    if not axes:
        return a.to(target, copy=True)
    # MXNet divides the sum that the dtype could hold: int8 has wrapped by then.
    wide = torch.float64 if a.dtype.is_floating_point else target
    total = torch.sum(a, axes, keepdim=keepdims, dtype=wide).to(target)
    return torch.div(total, math.prod(a.shape[axis] for axis in axes), rounding_mode="trunc")


def _variance(a: Tensor, axis: Any, dtype: str | None, ddof: int, keepdims: bool) -> tuple[Tensor, torch.dtype]:
    if a.dtype is torch.bool:
        raise MXNetError("Unknown type enum 7")
    target = TORCH[dtype] if dtype else a.dtype
    # Whole numbers are computed in float64 and cut, their mean too; float16 in float32.
    exact = target if target in (torch.float32, torch.float64) else torch.float64
    if target is torch.float16:
        exact = torch.float32
    axes = reduced_axes(a, axis)
    values = a.to(exact)
    if not axes:
        return torch.zeros_like(values) / (1 - ddof), target
    count = 1
    for i in axes:
        count *= a.shape[i]
    mean = torch.mean(values, axes, keepdim=True)
    centred = values - (mean if target.is_floating_point else torch.trunc(mean))
    return torch.sum(centred * centred, axes, keepdim=keepdims) / (count - ddof), target


@operator("_npi_var", dtype=_spread)
def var(
    a: Tensor, *, axis: tuple[int, ...] | None = None, dtype: str | None = None, ddof: int = 0, keepdims: bool = False
) -> Tensor:
    """The mean of the squared distances from the mean; the divisor is the number of elements less ddof."""
    found, target = _variance(a, axis, dtype, ddof, keepdims)
    return found.to(target)


@operator("_npi_std", dtype=_spread)
def std(
    a: Tensor, *, axis: tuple[int, ...] | None = None, dtype: str | None = None, ddof: int = 0, keepdims: bool = False
) -> Tensor:
    """The square root of the variance."""
    found, target = _variance(a, axis, dtype, ddof, keepdims)
    return torch.sqrt(found).to(target)


def _extreme(a: Tensor, axis: tuple[int, ...] | None, keepdims: bool, initial: float | None, largest: bool) -> Tensor:
    _no_initial(initial)
    axes = reduced_axes(a, axis)
    if _empty(a, axes):
        which = "maximum" if largest else "minimum"
        raise MXNetError(f"zero-size array to reduction operation {which} which has no identity")
    if not axes:
        return a.clone()
    if a.requires_grad:
        return _WITH_TIES[largest](a, axes, keepdims)
    return (torch.amax if largest else torch.amin)(a, axes, keepdim=keepdims)


class _Extreme(torch.autograd.Function):
    """amax or amin whose gradient goes whole to every element that ties, as MXNet's does; torch shares it."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, axes: list[int], keepdims: bool, largest: bool) -> Tensor:
        found = (torch.amax if largest else torch.amin)(a, axes, keepdim=True)
        ctx.save_for_backward(a, found)
        ctx.axes, ctx.keepdims = axes, keepdims
        return found if keepdims else found.squeeze(axes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        a, found = ctx.saved_tensors
        grad = grads[0].reshape(found.shape)
        return grad * (a == found), None, None, None


_WITH_TIES = {
    largest: (lambda a, axes, keepdims, which=largest: _Extreme.apply(a, axes, keepdims, which))
    for largest in (True, False)
}


@operator("_np_max")
def max_(
    a: Tensor, *, axis: tuple[int, ...] | None = None, keepdims: bool = False, initial: float | None = None
) -> Tensor:
    """The largest element over axes, all of them by default."""
    return _extreme(a, axis, keepdims, initial, True)


@operator("_np_min")
def min_(
    a: Tensor, *, axis: tuple[int, ...] | None = None, keepdims: bool = False, initial: float | None = None
) -> Tensor:
    """The smallest element over axes, all of them by default."""
    return _extreme(a, axis, keepdims, initial, False)


@operator("_np_all", dtype="bool")
def all_(data: Tensor, *, axis: tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """Whether no element over axes is 0."""
    found = data != 0
    for i in reversed(reduced_axes(data, axis)):
        found = torch.all(found, i, keepdim=keepdims)
    return found


@operator("_np_any", dtype="bool")
def any_(data: Tensor, *, axis: tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """Whether some element over axes is not 0."""
    found = data != 0
    for i in reversed(reduced_axes(data, axis)):
        found = torch.any(found, i, keepdim=keepdims)
    return found


def _position(data: Tensor, axis: int | None, keepdims: bool, largest: bool) -> Tensor:
    if data.dtype is torch.bool:
        raise MXNetError("Unknown type enum 7")
    if data.numel() == 0 and (axis is None or data.shape[axis_in(axis, data.dim(), data.shape)] == 0):
        raise MXNetError(
            "attempt to get argmax of an empty sequence" if largest else "attempt to get argmin of an empty sequence"
        )
    find = torch.argmax if largest else torch.argmin
    values = data.detach()
    if axis in (0, -1) and not data.dim():
        return torch.zeros((), dtype=torch.int64, device=data.device)
    if axis is None:
        # torch's flat argmax takes the last of equal elements on some devices; one row at a time it is the first.
        found = find(values.reshape(1, -1), 1)[0]
        return found.reshape([1] * data.dim()) if keepdims else found
    return find(values, axis_in(axis, data.dim(), data.shape), keepdim=keepdims)


@operator("_npi_argmax", dtype="int64")
def argmax(data: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the largest element, the first of equal ones; without an axis in the flat array."""
    return _position(data, axis, keepdims, True)


@operator("_npi_argmin", dtype="int64")
def argmin(data: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The position of the smallest element, the first of equal ones; without an axis in the flat array."""
    return _position(data, axis, keepdims, False)


@operator("_np_cumsum", dtype=_summed)
def cumsum(a: Tensor, *, axis: int | None = None, dtype: str | None = None) -> Tensor:
    """The running sum along an axis; without one along the flat array."""
    target = TORCH[dtype] if dtype else torch.int64 if a.dtype is torch.bool else a.dtype
    if axis is None:
        a, axis = a.reshape(-1), 0
    if not 0 <= axis < a.dim():
        raise MXNetError(f"index = {axis} must be in range [0, {a.dim()})")
    if a.dtype.is_floating_point and not target.is_floating_point:
        a = a.detach()  # torch refuses a sum of whole numbers with a gradient
    return torch.cumsum(a, axis, dtype=target)


def _weighted_inputs(attrs: Attrs) -> list[str]:
    return ["a", "weights"] if attrs["weighted"] else ["a"]


@operator(
    "_npi_average", inputs=_weighted_inputs, outputs=2, visible=lambda attrs: 2 if attrs["returned"] else 1
)  # fmt: skip
def average(
    a: Tensor, weights: Tensor | None = None, *, axis: tuple[int, ...] | None = None, returned: bool = False,
    weighted: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The weighted mean over axes, and the sum of the weights.

    Args:
        weights: like `a`, or in one dimension for one axis; all equal where they are left out.
        returned: whether the sum of the weights is given too.
    """
    axes = reduced_axes(a, axis)
    if weights is None:
        count = 1
        for i in axes:
            count *= a.shape[i]
        total = torch.sum(a, axes) if axes else a.clone()
        found = (
            total / count if a.dtype.is_floating_point else torch.div(total, count, rounding_mode="trunc").to(a.dtype)
        )
        return found, torch.full((), count, dtype=a.dtype, device=a.device)
    if weights.dtype is not a.dtype:
        raise MXNetError(f"Type inconsistent, Provided = {named(weights.dtype)}, inferred type = {named(a.dtype)}")
    if weights.shape != a.shape:
        weights = _along(a, weights, axis, axes)
        scale = torch.sum(weights)
        total = torch.sum(a * weights, axes)
    else:
        scale = torch.sum(weights, axes) if axes else weights
        total = torch.sum(a * weights, axes) if axes else a * weights
    if a.dtype.is_floating_point:
        return total / scale, scale
    return torch.div(total, scale, rounding_mode="trunc").to(a.dtype), scale.to(a.dtype)


def _along(a: Tensor, weights: Tensor, axis: tuple[int, ...] | None, axes: list[int]) -> Tensor:
    if axis is None:
        raise MXNetError("Axis must be specified when shapes of a and weights differ.")
    if len(axes) != 1 or weights.dim() != 1 or weights.shape[0] != a.shape[axes[0]]:
        raise MXNetError("1D weights expected when shapes of a and weights differ, of the length of the axis.")
    return weights.reshape([-1 if i == axes[0] else 1 for i in range(a.dim())])
