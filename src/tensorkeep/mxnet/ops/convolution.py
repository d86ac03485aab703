"""Convolution, its transpose, and the unfolding of windows into columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import (
    channels_first,
    channels_last,
    expects,
    floats_only,
    inconsistent,
    needs,
    one_per_kernel,
    require,
    same_dtypes,
    unless_no_bias,
    window,
)

Dims = tuple[int, ...]

_INPUTS = taking("data", "weight", "bias", bias=unless_no_bias)
_CONV: dict[int, Callable[..., Any]] = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
_TRANSPOSED: dict[int, Callable[..., Any]] = {
    1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d,
}  # fmt: skip
_RANKS = {
    1: "Input data should be 3D in batch-num_filter-x",
    2: "Input data should be 4D in batch-num_filter-y-x",
    3: "Input data should be 5D in batch-num_filter-depth-y-x",
}
_LAST = ("NWC", "NHWC", "NDHWC")


def _checked(kernel: Dims, stride: Dims, dilate: Dims, pad: Dims, data: Sequence[int] | None) -> None:
    if len(kernel) not in _CONV:
        raise MXNetError(f"{len(kernel)}D convolution not supported")
    one_per_kernel(kernel, stride=stride, dilate=dilate, pad=pad)
    needs(data, len(kernel) + 2, _RANKS[len(kernel)])


def _weights(attrs: Attrs, channels: int, filters: int) -> Dims:
    """The shape of a weight: outputs, inputs for each group, kernel; the kernel before the inputs in NHWC."""
    if attrs.get("layout") in _LAST:
        return (filters, *attrs["kernel"], channels)
    return (filters, channels, *attrs["kernel"])


def _per_group(count: int, groups: int, what: str) -> int:
    if count >= 0 and (not groups or count % groups):
        raise MXNetError(f"{what} {count} must be divisible by num_group {groups}")
    return count // groups if count >= 0 else -1


def _conv_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, weight = shapes[0], shapes[1]
    kernel, filters, last = attrs["kernel"], attrs["num_filter"], attrs.get("layout") in _LAST
    _checked(kernel, attrs["stride"], attrs["dilate"], attrs["pad"], data)
    _per_group(filters, attrs["num_group"], "output num_filter")
    bias: list[Shape] = [(filters,)] if len(shapes) > 2 else []
    if data is None:
        return shapes, [None]
    channels, sizes = (data[-1], data[1:-1]) if last else (data[1], data[2:])
    each = _per_group(channels, attrs["num_group"], "input num_filter")
    weight = require(weight, _weights(attrs, each, filters))
    out = []
    for i, size in enumerate(sizes):
        stride, dilate, pad = (attrs[name][i] if attrs[name] else d for name, d in _DEFAULTS)
        if 0 <= size < dilate * (kernel[i] - 1) + 1 - 2 * pad:
            raise MXNetError("kernel size exceed input")
        out.append(window(size, kernel[i], stride, pad, dilate))
    return [data, weight, *bias], [(data[0], *out, filters) if last else (data[0], filters, *out)]


_DEFAULTS = (("stride", 1), ("dilate", 1), ("pad", 0))


@operator("Convolution", inputs=_INPUTS, shape=_conv_shapes)
@operator("Convolution_v1", inputs=_INPUTS, shape=_conv_shapes)
def convolution(
    data: Tensor, weight: Tensor, bias: Tensor | None = None, *, kernel: Dims, num_filter: int, stride: Dims = (),
    dilate: Dims = (), pad: Dims = (), num_group: int = 1, no_bias: bool = False, layout: str | None = None,
) -> Tensor:  # fmt: skip
    """The convolution of data with num_filter kernels, in one, two or three dimensions as `kernel` has them.

    data (N, C, sizes…), weight (num_filter, C / num_group, kernel…), bias (num_filter,). With a layout that ends in C,
    data is (N, sizes…, C) and weight (num_filter, kernel…, C / num_group); the result follows data.
    """
    last = layout in _LAST
    if weight.dim() != len(kernel) + 2 or data.dim() != weight.dim() or weight.shape[0] != num_filter or (
        weight.shape[1:-1] if last else weight.shape[2:]
    ) != kernel:  # fmt: skip
        _checked(kernel, stride, dilate, pad, data.shape)
        each = data.shape[-1 if last else 1] // (num_group or 1)
        raise inconsistent(weight.shape, _weights({"kernel": kernel, "layout": layout}, each, num_filter))
    if bias is None and not no_bias:
        raise expects("Convolution", 3, 2)
    if not data.is_floating_point():
        raise floats_only(data)
    if len(stride) != len(kernel) or len(dilate) != len(kernel) or len(pad) != len(kernel):
        _checked(kernel, stride, dilate, pad, data.shape)
    if last:
        same_dtypes(("weight", "bias"), data, weight, bias)
        found = _CONV[len(kernel)](
            channels_first(data), channels_first(weight), bias, stride or 1, pad or 0, dilate or 1, num_group
        )
        return channels_last(found)
    return _CONV[len(kernel)](data, weight, bias, stride or 1, pad or 0, dilate or 1, num_group)


def _transposed_padding(
    sizes: Sequence[int], kernel: Dims, stride: Dims, dilate: Dims, pad: Dims, adj: Dims, target_shape: Dims
) -> tuple[Dims, Dims]:
    """The padding and the extra rows and columns at the end: as given, or what leads to `target_shape`."""
    if not any(target_shape):
        return pad or (0,) * len(kernel), adj or (0,) * len(kernel)
    pads, adds = [], []
    for i, (size, wanted) in enumerate(zip(sizes, target_shape, strict=True)):
        step, hole = stride[i] if stride else 1, dilate[i] if dilate else 1
        total = step * (size - 1) + hole * (kernel[i] - 1) + 1 - wanted
        if total < 0:
            raise MXNetError("too big target shape")
        pads.append((total + 1) // 2)
        adds.append(total % 2)
    return tuple(pads), tuple(adds)


def _deconv_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, weight = shapes[0], shapes[1]
    kernel, filters, groups = attrs["kernel"], attrs["num_filter"], attrs["num_group"]
    stride, dilate, last = attrs["stride"], attrs["dilate"], attrs.get("layout") in _LAST
    _checked(kernel, stride, dilate, attrs["pad"], data)
    each = _per_group(filters, groups, "output num_filter")
    bias: list[Shape] = [(filters,)] if len(shapes) > 2 else []
    if data is None:
        return shapes, [None]
    channels, sizes = (data[-1], data[1:-1]) if last else (data[1], data[2:])
    _per_group(channels, groups, "input num_filter")
    weight = require(weight, _weights(attrs, each, channels))
    out = []
    if any(attrs["target_shape"]):
        out = list(attrs["target_shape"])
    else:
        pad, adj = attrs["pad"] or (0,) * len(kernel), attrs["adj"] or (0,) * len(kernel)
        for i, size in enumerate(sizes):
            step, hole = stride[i] if stride else 1, dilate[i] if dilate else 1
            grown = step * (size - 1) + hole * (kernel[i] - 1) + 1 - 2 * pad[i] + adj[i]
            out.append(grown if size >= 0 else -1)
    return [data, weight, *bias], [(data[0], *out, filters) if last else (data[0], filters, *out)]


@operator("Deconvolution", inputs=_INPUTS, shape=_deconv_shapes)
def deconvolution(
    data: Tensor, weight: Tensor, bias: Tensor | None = None, *, kernel: Dims, num_filter: int, stride: Dims = (),
    dilate: Dims = (), pad: Dims = (), adj: Dims = (), target_shape: Dims = (), num_group: int = 1,
    no_bias: bool = True, layout: str | None = None,
) -> Tensor:  # fmt: skip
    """The transpose of a convolution: what its gradient with respect to the data computes.

    data (N, C, sizes…), weight (C, num_filter / num_group, kernel…); sizes grow to stride·(size - 1) +
    dilate·(kernel - 1) + 1 - 2·pad + adj, or to `target_shape`, which makes pad and adj superfluous. With a layout that
    ends in C, data is (N, sizes…, C) and weight (C, kernel…, num_filter / num_group).
    """
    last = layout in _LAST
    _checked(kernel, stride, dilate, pad, data.shape)
    wanted = _weights({"kernel": kernel, "layout": layout}, num_filter // num_group, data.shape[-1 if last else 1])
    if tuple(weight.shape) != wanted:
        raise inconsistent(weight.shape, wanted)
    if bias is None and not no_bias:
        raise expects("Deconvolution", 3, 2)
    if last:
        data, weight = channels_first(data), channels_first(weight)
    pads, adds = _transposed_padding(data.shape[2:], kernel, stride, dilate, pad, adj, target_shape)
    deconv, rank = _TRANSPOSED[len(kernel)], len(kernel)
    step, hole = stride or (1,) * rank, dilate or (1,) * rank
    if all(a < max(s, d) for a, s, d in zip(adds, step, hole, strict=True)):
        found = deconv(data, weight, bias, step, pads, adds, num_group, hole)
    else:
        found = _long_adj(deconv(data, weight, bias, step, 0, 0, num_group, hole), bias, pads, adds)
    return channels_last(found) if last else found


def _long_adj(full: Tensor, bias: Tensor | None, pads: Dims, adds: Dims) -> Tensor:
    """Cut the padding off an unpadded result; torch has no adj of a stride or more, whose rows hold the bias alone."""
    widths = []
    for pad, add in zip(reversed(pads), reversed(adds), strict=True):
        widths += [-pad, add - pad]
    if bias is None:
        return torch.nn.functional.pad(full, widths)
    shift = bias.reshape(-1, *[1] * len(pads))
    return torch.nn.functional.pad(full - shift, widths) + shift


def _columns_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    kernel = attrs["kernel"]
    _columns_kernel(kernel, attrs["stride"], attrs["dilate"], attrs["pad"])
    needs(data, 4, _RANKS[2])
    if data is None:
        return shapes, [None]
    windows, rows = 1, data[1] if data[1] >= 0 else -1
    for i, size in enumerate(data[2:]):
        stride, dilate, pad = (attrs[name][i] if attrs[name] else d for name, d in _DEFAULTS)
        count = window(size, kernel[i], stride, pad, dilate)
        windows = windows * count if windows >= 0 and count >= 0 else -1
        rows = rows * kernel[i] if rows >= 0 else -1
    return shapes, [(data[0], rows, windows)]


def _columns_kernel(kernel: Dims, stride: Dims, dilate: Dims, pad: Dims) -> None:
    # MXNet 1.9.1 accepts one and three dimensions too, and then fails in the midst of its kernels.
    if len(kernel) != 2:
        raise MXNetError(f"Windows have two dimensions here, the kernel {kernel} has {len(kernel)}.")
    one_per_kernel(kernel, stride=stride, dilate=dilate, pad=pad)


@operator("im2col", shape=_columns_shapes)
def im2col(data: Tensor, *, kernel: Dims, stride: Dims = (), dilate: Dims = (), pad: Dims = ()) -> Tensor:
    """Every window of data (N, C, H, W) as a column: (N, C·kernel, windows)."""
    _columns_kernel(kernel, stride, dilate, pad)
    needs(data.shape, 4, _RANKS[2])
    return torch.nn.functional.unfold(data, kernel, dilate or 1, pad or 0, stride or 1)


def _images_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None]
    rows = data[1]
    for k in attrs["kernel"]:
        rows = rows // k if rows >= 0 else -1
    return shapes, [(data[0], rows, *attrs["output_size"])]


@operator("col2im", shape=_images_shapes)
def col2im(
    data: Tensor, *, output_size: Dims, kernel: Dims, stride: Dims = (), dilate: Dims = (), pad: Dims = ()
) -> Tensor:
    """The transpose of im2col: columns (N, C·kernel, windows) are added up into (N, C, height, width)."""
    _columns_kernel(kernel, stride, dilate, pad)
    if len(output_size) != 2:
        raise MXNetError(f"output_size {output_size} must have the two dimensions of the kernel.")
    return torch.nn.functional.fold(data, output_size, kernel, dilate or 1, pad or 0, stride or 1)
