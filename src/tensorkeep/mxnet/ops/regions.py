"""Pooling of regions of interest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_regions import align_weights, bin_weights, deformable_bins, pooled_by

Dims = tuple[int, ...]


def _checked(data: Shape | Sequence[int], rois: Shape | Sequence[int]) -> None:
    if rois is not None and (len(rois) != 2 or rois[1] not in (5, -1)):
        raise MXNetError("bbox should be a 2D tensor of shape [batch, 5]")
    if data is not None and len(data) != 4:
        raise MXNetError("data should be a 4D tensor")


def _two(size: Dims) -> Dims:
    if len(size) == 1:
        return size * 2
    if len(size) != 2 or min(size) < 1:
        raise MXNetError(f"pooled_size {list(size)} should be two positive numbers")
    return size


def _pool_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, rois = shapes
    _checked(data, rois)
    if data is None:
        return shapes, [None]
    size = _two(attrs["pooled_size"])
    channels = data[1]
    if attrs.get("position_sensitive") and channels >= 0:
        channels //= size[0] * size[1]
    return shapes, [(rois[0] if rois else -1, channels, *size)]


def _edges(low: float, high: float, count: int, size: int) -> list[tuple[int, int]]:
    """Where the bins of a region begin and end, both borders included, as MXNet's float32 arithmetic has it."""
    length = np.float32(max(high - low + 1, 1))
    step = length / np.float32(count)
    found = []
    for i in range(count):
        start = int(np.floor(np.float32(i) * step)) + int(low)
        stop = int(np.ceil(np.float32(i + 1) * step)) + int(low)
        found.append((min(max(start, 0), size), min(max(stop, 0), size)))
    return found


def _even(bins: list[tuple[int, int]]) -> bool:
    """Whether the bins are those that torch's adaptive pooling makes of what lies between the first and the last."""
    low, count = bins[0][0], len(bins)
    size = bins[-1][1] - low
    return size > 0 and all(
        bin_ == (low + i * size // count, low - (-(i + 1) * size // count)) for i, bin_ in enumerate(bins)
    )


def _half_away(value: float) -> float:
    return float(np.sign(value) * np.floor(abs(value) + 0.5))


@operator("ROIPooling", outputs=2, visible=1, shape=_pool_shapes)
def roi_pooling(data: Tensor, rois: Tensor, *, pooled_size: Dims, spatial_scale: float) -> Tensor:
    """The maximum of each of pooled_size = (h, w) bins of each region: (R, C, h, w).

    data (N, C, H, W); rois (R, 5): number of the image, x1, y1, x2, y2, which spatial_scale turns into places of data,
    rounded, the last ones included. A bin without any place gives 0, and so does a region of an image that is not there.
    """
    _checked(data.shape, rois.shape)
    if not 0 <= spatial_scale <= 1:
        raise MXNetError(f"value {spatial_scale:g} for Parameter spatial_scale exceed bound [0,1]")
    rows, columns = _two(pooled_size)
    height, width = data.shape[2:]
    scale = np.float32(spatial_scale)
    found = []
    for image, *box in rois.detach().to("cpu", torch.float32).tolist():
        x1, y1, x2, y2 = (_half_away(float(np.float32(value) * scale)) for value in box)
        if not -1 < image < data.shape[0]:  # a fraction is cut off, so -0.5 is image 0
            found.append(data.new_zeros((data.shape[1], rows, columns)))
            continue
        plane = data[int(image)]
        y, x = _edges(y1, y2, rows, height), _edges(x1, x2, columns, width)
        if _even(y) and _even(x):
            part = plane[:, y[0][0] : y[-1][1], x[0][0] : x[-1][1]]
            found.append(torch.nn.functional.adaptive_max_pool2d(part, (rows, columns)))
        else:
            found.append(_maxima(_maxima(plane, y, 1), x, 2))
    return torch.stack(found) if found else data.new_zeros((0, data.shape[1], rows, columns))


def _maxima(values: Tensor, bins: list[tuple[int, int]], axis: int) -> Tensor:
    parts = []
    for start, stop in bins:
        if stop > start:
            parts.append(values.narrow(axis, start, stop - start).max(axis, keepdim=True)[0])
        else:
            parts.append(torch.zeros_like(values.narrow(axis, 0, 1)))
    return torch.cat(parts, axis)


@operator("_contrib_ROIAlign", shape=_pool_shapes)
def roi_align(
    data: Tensor, rois: Tensor, *, pooled_size: Dims, spatial_scale: float, sample_ratio: int = -1,
    position_sensitive: bool = False, aligned: bool = False,
) -> Tensor:  # fmt: skip
    """The mean of interpolated samples in each of pooled_size = (h, w) bins of each region: (R, C, h, w).

    data (N, C, H, W); rois (R, 5): number of the image (below 0: the result is 0), x1, y1, x2, y2. sample_ratio is the
    number of samples along each side of a bin, by default as many as it has pixels. aligned moves regions by half a
    pixel. position_sensitive: each bin looks at channels of its own, (R, C / (h·w), h, w).
    """
    _checked(data.shape, rois.shape)
    rows, columns = _two(pooled_size)
    shift = 0.5 if aligned else 0.0
    boxes = rois.detach().to(data.dtype)
    x1, y1, x2, y2 = (boxes[:, 1:] * spatial_scale - shift).unbind(1)
    high, wide = y2 - y1, x2 - x1
    if not aligned:
        high, wide = high.clamp(min=1), wide.clamp(min=1)
    y = align_weights(y1, high, rows, sample_ratio, data.shape[2])
    x = align_weights(x1, wide, columns, sample_ratio, data.shape[3])
    return pooled_by(data, boxes[:, 0], y, x, position_sensitive)


def _square_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, rois = shapes[0], shapes[1]
    _checked(data, rois)
    _check_channels(data, attrs["output_dim"], attrs["group_size"] or attrs["pooled_size"])
    size = attrs["pooled_size"]
    return shapes, [(rois[0] if rois else -1, attrs["output_dim"], size, size)]


def _check_channels(data: Shape | Sequence[int], outputs: int, groups: int) -> None:
    if data is not None and data[1] >= 0 and data[1] != outputs * groups * groups:
        raise MXNetError(f"data has {data[1]} channels; output_dim {outputs} and group_size {groups} need "
                         f"{outputs * groups * groups}.")  # fmt: skip


@operator("_contrib_PSROIPooling", shape=_square_shapes)
def ps_roi_pooling(
    data: Tensor, rois: Tensor, *, spatial_scale: float, output_dim: int, pooled_size: int, group_size: int = 0
) -> Tensor:
    """The mean of each of pooled_size² bins of each region, each bin with channels of its own: (R, output_dim, p, p).

    data (N, output_dim·group_size², H, W); rois (R, 5): number of the image, x1, y1, x2, y2; group_size is pooled_size
    by default.
    """
    _checked(data.shape, rois.shape)
    groups = group_size or pooled_size
    _check_channels(data.shape, output_dim, groups)
    boxes = rois.detach().to(data.dtype)
    corners = torch.sign(boxes[:, 1:]) * torch.floor(boxes[:, 1:].abs() + 0.5)
    x1, y1 = (corners[:, :2] * spatial_scale).unbind(1)
    x2, y2 = ((corners[:, 2:] + 1) * spatial_scale).unbind(1)
    y = bin_weights(y1, (y2 - y1).clamp(min=0.1), pooled_size, data.shape[2])
    x = bin_weights(x1, (x2 - x1).clamp(min=0.1), pooled_size, data.shape[3])
    return pooled_by(_for_bins(data, output_dim, groups, pooled_size), boxes[:, 0], y, x, True)


def _for_bins(data: Tensor, outputs: int, groups: int, size: int) -> Tensor:
    """The channels that each bin looks at: (N, output_dim·size², H, W)."""
    if groups == size:
        return data
    group = torch.tensor([i * groups // size for i in range(size)], device=data.device)
    split = data.reshape(data.shape[0], outputs, groups, groups, *data.shape[2:])
    return split[:, :, group][:, :, :, group].flatten(1, 3)


def _deformable_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    return _square_shapes(shapes, attrs)


@operator(
    "_contrib_DeformablePSROIPooling",
    inputs=taking("data", "rois", "trans", trans=lambda a: not a["no_trans"]),
    outputs=2,
    visible=1,
    shape=_deformable_shapes,
)
def deformable_ps_roi_pooling(
    data: Tensor, rois: Tensor, trans: Tensor | None = None, *, spatial_scale: float, output_dim: int, group_size: int,
    pooled_size: int, part_size: int = 0, sample_per_part: int = 1, trans_std: float = 0.0, no_trans: bool = False,
) -> Tensor:  # fmt: skip
    """PSROIPooling whose bins are moved: (R, output_dim, pooled_size, pooled_size).

    trans (R, 2·classes, part_size, part_size) says by how much, y before x, in trans_std of the region's size. Each bin
    is the mean of sample_per_part² interpolated samples; those outside do not count.
    """
    _checked(data.shape, rois.shape)
    _check_channels(data.shape, output_dim, group_size)
    if trans is None and not no_trans:
        raise MXNetError("Operator _contrib_DeformablePSROIPooling expects 3 inputs, but got 2 instead.")
    return deformable_bins(
        data, rois.detach(), None if no_trans else trans, spatial_scale, output_dim, group_size, pooled_size,
        part_size or pooled_size, sample_per_part, trans_std,
    )  # fmt: skip
