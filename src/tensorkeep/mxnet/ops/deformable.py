"""Convolutions whose kernels look at places that the data itself says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import (
    expects,
    inconsistent,
    needs,
    one_per_kernel,
    require,
    unless_no_bias,
    window,
)

Dims = tuple[int, ...]

_RANK = "Input data should be 4D in batch-num_filter-y-x"


def _sizes(data: Sequence[int], kernel: Dims, stride: Dims, dilate: Dims, pad: Dims) -> tuple[int, int]:
    if len(kernel) != 2:
        raise MXNetError("Deformable convolutions have kernels of two dimensions.")
    one_per_kernel(kernel, stride=stride, dilate=dilate, pad=pad)
    step, hole, edge = stride or (1, 1), dilate or (1, 1), pad or (0, 0)
    height, width = (window(data[2 + i], kernel[i], step[i], edge[i], hole[i]) for i in range(2))
    return height, width


def _shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, kernel, filters = shapes[0], attrs["kernel"], attrs["num_filter"]
    needs(data, 4, _RANK)
    modulated = "im2col_step" in attrs
    if data is None:
        return shapes, [None]
    height, width = _sizes(data, kernel, attrs["stride"], attrs["dilate"], attrs["pad"])
    taps = kernel[0] * kernel[1] * attrs["num_deformable_group"]
    channels = data[1] // attrs["num_group"] if data[1] >= 0 else -1
    found: list[Shape] = [data, require(shapes[1], (data[0], 2 * taps, height, width))]
    if modulated:
        found.append(require(shapes[2], (data[0], taps, height, width)))
    found.append(require(shapes[len(found)], (filters, channels, *kernel)))
    if not attrs["no_bias"]:
        found.append((filters,))
    return found, [(data[0], filters, height, width)]


@operator(
    "_contrib_DeformableConvolution",
    inputs=taking("data", "offset", "weight", "bias", bias=unless_no_bias),
    shape=_shapes,
)
def deformable_convolution(
    data: Tensor, offset: Tensor, weight: Tensor, bias: Tensor | None = None, *, kernel: Dims, num_filter: int,
    stride: Dims = (), dilate: Dims = (), pad: Dims = (), num_group: int = 1, num_deformable_group: int = 1,
    no_bias: bool = False,
) -> Tensor:  # fmt: skip
    """A convolution whose taps are moved by `offset`: (N, num_filter, H', W').

    data (N, C, H, W); offset (N, 2·num_deformable_group·taps, H', W'), y before x for each tap; weight (num_filter,
    C / num_group, *kernel). Places between pixels are interpolated, those outside are 0.
    """
    if bias is None and not no_bias:
        raise expects("_contrib_DeformableConvolution", 4, 3)
    return _convolved(
        data, offset, None, weight, bias, num_filter, kernel, stride, dilate, pad, num_group, num_deformable_group
    )


@operator(
    "_contrib_ModulatedDeformableConvolution",
    inputs=taking("data", "offset", "mask", "weight", "bias", bias=unless_no_bias),
    shape=_shapes,
)
def modulated_deformable_convolution(
    data: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None, *, kernel: Dims,
    num_filter: int, stride: Dims = (), dilate: Dims = (), pad: Dims = (), num_group: int = 1,
    num_deformable_group: int = 1, no_bias: bool = False,
) -> Tensor:  # fmt: skip
    """DeformableConvolution whose taps are also weighted: mask (N, num_deformable_group·taps, H', W')."""
    if bias is None and not no_bias:
        raise expects("_contrib_ModulatedDeformableConvolution", 5, 4)
    return _convolved(
        data, offset, mask, weight, bias, num_filter, kernel, stride, dilate, pad, num_group, num_deformable_group
    )


def _convolved(
    data: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None, filters: int, kernel: Dims,
    stride: Dims, dilate: Dims, pad: Dims, groups: int, shares: int,
) -> Tensor:  # fmt: skip
    needs(data.shape, 4, _RANK)
    batch, channels, height, width = data.shape
    rows, columns = _sizes(data.shape, kernel, stride, dilate, pad)
    taps = kernel[0] * kernel[1]
    for given, wanted in (
        (weight, (filters, channels // groups, *kernel)),
        (offset, (batch, 2 * shares * taps, rows, columns)),
        (mask, (batch, shares * taps, rows, columns)),
    ):
        if given is not None and tuple(given.shape) != wanted:
            raise inconsistent(given.shape, wanted)
    step, hole, edge = stride or (1, 1), dilate or (1, 1), pad or (0, 0)

    def places(count: int, axis: int) -> tuple[Tensor, Tensor]:
        out = torch.arange(count, dtype=data.dtype, device=data.device) * step[axis] - edge[axis]
        return out, torch.arange(kernel[axis], dtype=data.dtype, device=data.device) * hole[axis]

    (y, tap_y), (x, tap_x) = places(rows, 0), places(columns, 1)
    moved = offset.reshape(batch * shares, kernel[0], kernel[1], 2, rows, columns)
    at_y = moved[:, :, :, 0] + tap_y[:, None, None, None] + y[:, None]
    at_x = moved[:, :, :, 1] + tap_x[:, None, None] + x
    weights = None if mask is None else mask.reshape(batch * shares, 1, taps * rows, columns)
    if mask is None:
        # The first paper's kernel: nothing outside, and the last row and column reach to their borders.
        inside = (at_y >= 0) & (at_x >= 0) & (at_y < height) & (at_x < width)
        weights = inside.to(data.dtype).reshape(batch * shares, 1, taps * rows, columns)
        at_y, at_x = at_y.clamp(max=height - 1), at_x.clamp(max=width - 1)
    grid = torch.stack([_unit(at_x, width), _unit(at_y, height)], -1).reshape(batch * shares, taps * rows, columns, 2)
    planes = data.reshape(batch * shares, channels // shares, height, width)
    taken = torch.nn.functional.grid_sample(planes, grid, "bilinear", "zeros", True)
    if weights is not None:
        taken = taken * weights
    unfolded = taken.reshape(batch, groups, channels // groups * taps, rows * columns)
    kernels = weight.reshape(groups, filters // groups, channels // groups * taps)
    out = (kernels @ unfolded).reshape(batch, filters, rows, columns)
    return out if bias is None else out + bias.reshape(-1, 1, 1)


def _unit(place: Tensor, size: int) -> Tensor:
    """Pixels as grid_sample counts them: -1 and 1 are the centres of the first and the last."""
    return place * (2 / (size - 1)) - 1 if size > 1 else place * 2
