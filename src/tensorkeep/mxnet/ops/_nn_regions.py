"""Means over regions: weights for the rows times weights for the columns.

A mean of bilinear samples on a grid is separable: its weight at a pixel is that of the row times that of the column.
Each bin then is a weighted sum of a few pixels' channels, which torch has a kernel for: embedding_bag.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet.base import MXNetError

__all__ = ["align_weights", "bilinear", "bin_weights", "deformable_bins", "pooled_by"]

_TOGETHER = 64
"""How many regions are pooled in one call: it bounds memory, and how much longer than needed windows are."""


def align_weights(start: Tensor, length: Tensor, bins: int, ratio: int, size: int) -> Tensor:
    """How much each of `size` pixels counts in each bin of ROIAlign: (R, bins, size).

    Source: RoIAlign of Caffe2, which MXNet's follows: samples more than a pixel outside are 0 and count.
    """
    step = length / bins
    counts = torch.full_like(step, ratio) if ratio > 0 else torch.ceil(step)
    most = int(counts.max().clamp(min=1)) if counts.numel() else 1
    sample = torch.arange(most, dtype=start.dtype, device=start.device)
    bin_ = torch.arange(bins, dtype=start.dtype, device=start.device)
    each = (sample + 0.5) * (step / counts).unsqueeze(1)  # (R, samples)
    place = start[:, None, None] + bin_[None, :, None] * step[:, None, None] + each[:, None, :]
    valid = (place >= -1) & (place <= size) & (sample < counts.unsqueeze(1)).unsqueeze(1)
    place = place.clamp(0, size - 1)
    low = place.floor().clamp(max=size - 1)
    part = place - low
    share = valid.to(start.dtype) / counts.clamp(min=1)[:, None, None]
    weights = torch.zeros(*place.shape[:2], size, dtype=start.dtype, device=start.device)
    weights.scatter_add_(2, low.long(), (1 - part) * share)
    return weights.scatter_add_(2, (low + 1).clamp(max=size - 1).long(), part * share)


def bin_weights(start: Tensor, length: Tensor, bins: int, size: int) -> Tensor:
    """How much each of `size` pixels counts in the mean of each bin: (R, bins, size)."""
    step = (length / bins).unsqueeze(1)
    number = torch.arange(bins, dtype=start.dtype, device=start.device)
    low = torch.floor(number * step + start.unsqueeze(1)).clamp(0, size).unsqueeze(2)
    high = torch.ceil((number + 1) * step + start.unsqueeze(1)).clamp(0, size).unsqueeze(2)
    pixel = torch.arange(size, dtype=start.dtype, device=start.device)
    inside = (pixel >= low) & (pixel < high)
    return inside.to(start.dtype) / (high - low).clamp(min=1)


def pooled_by(data: Tensor, images: Tensor, rows: Tensor, columns: Tensor, sensitive: bool) -> Tensor:
    """data (N, C, H, W) weighted: (R, C, bins of rows, bins of columns).

    Args:
        images: (R,) which image each region is in; below 0 gives zeros.
        rows, columns: (R, bins, H), (R, bins, W).
        sensitive: channel c of bin (i, j) is taken from channel (c·h + i)·w + j.
    """
    count, high, wide = rows.shape[0], rows.shape[1], columns.shape[1]
    samples, channels, height, width = data.shape
    bins = high * wide if sensitive else 1
    table = data.reshape(samples, channels // bins, bins, height, width).permute(0, 3, 4, 2, 1)
    table = table.reshape(-1, channels // bins)  # one row for each pixel, and bin where they differ
    numbers = images.long()
    if count and int(numbers.max()) >= samples:
        raise MXNetError(f"a region is in image {int(numbers.max())}; there are {samples}.")
    y0, y_span = _spans(rows)
    x0, x_span = _spans(columns)
    order = torch.argsort(y_span * x_span)  # regions of like size together: windows are as long as the longest
    places, parts = [], []
    for at in order.split(_TOGETHER):
        y_at, y_part = _window(rows[at], y0[at], int(y_span[at].max()))
        x_at, x_part = _window(columns[at], x0[at], int(x_span[at].max()))
        pixel = (numbers[at].clamp(min=0)[:, None, None] * height + y_at)[:, :, None, :, None] * width
        pixel = (pixel + x_at[:, None, :, None, :]).flatten(3).flatten(0, 2)
        part = (y_part[:, :, None, :, None] * x_part[:, None, :, None, :]).flatten(3)
        part = (part * (numbers[at] >= 0)[:, None, None, None]).flatten(0, 2)
        if sensitive:
            pixel = pixel * bins + torch.arange(bins, device=data.device).repeat(len(at)).unsqueeze(1)
        parts.append(torch.nn.functional.embedding_bag(pixel, table, mode="sum", per_sample_weights=part))
        places.append(at)
    if not count:
        return data.new_zeros((0, channels // bins, high, wide))
    found = torch.cat(parts).reshape(count, high, wide, channels // bins)[torch.argsort(torch.cat(places))]
    return found.permute(0, 3, 1, 2).contiguous()


def _spans(weights: Tensor) -> tuple[Tensor, Tensor]:
    """The first pixel that counts in each bin (R, bins), and how many one must take from there in a region (R,)."""
    used = weights != 0
    size = weights.shape[2]
    pixel = torch.arange(size, device=weights.device)
    first = torch.where(used, pixel, size).amin(2).clamp(max=size - 1)
    last = torch.where(used, pixel, 0).amax(2)
    return first, (last - first + 1).clamp(min=1).amax(1)


def _window(weights: Tensor, first: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """`length` pixels from the first one of each bin, and their weights: (R, bins, length)."""
    place = first.unsqueeze(2) + torch.arange(length, device=weights.device)
    inside = place < weights.shape[2]
    place = place.clamp(max=weights.shape[2] - 1)
    return place, weights.gather(2, place) * inside


def bilinear(data: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """data (R, C, H, W) at places (R, …) inside of it, interpolated: (R, C, …)."""
    height, width = data.shape[2:]
    y0, x0 = y.floor(), x.floor()
    dy, dx = (y - y0).unsqueeze(1), (x - x0).unsqueeze(1)
    flat = data.flatten(2)

    def take(row: Tensor, column: Tensor) -> Tensor:
        index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
        index = index.flatten(1).unsqueeze(1).expand(-1, data.shape[1], -1)
        return flat.gather(2, index).reshape(*data.shape[:2], *y.shape[1:])

    top = take(y0, x0) * (1 - dx) + take(y0, x0 + 1) * dx
    bottom = take(y0 + 1, x0) * (1 - dx) + take(y0 + 1, x0 + 1) * dx
    found: Tensor = top * (1 - dy) + bottom * dy
    return found


def deformable_bins(
    data: Tensor, rois: Tensor, trans: Tensor | None, scale: float, outputs: int, groups: int, size: int, parts: int,
    samples: int, spread: float,
) -> Tensor:  # fmt: skip
    """DeformablePSROIPooling: (R, outputs, size, size). Source: Dai et al., Deformable Convolutional Networks."""
    dtype, device = data.dtype, data.device
    count, (height, width) = rois.shape[0], data.shape[2:]
    boxes = rois.to(dtype)
    corners = torch.sign(boxes[:, 1:]) * torch.floor(boxes[:, 1:].abs() + 0.5)
    x1, y1 = (corners[:, :2] * scale - 0.5).unbind(1)
    x2, y2 = ((corners[:, 2:] + 1) * scale - 0.5).unbind(1)
    wide, high = (x2 - x1).clamp(min=0.1), (y2 - y1).clamp(min=0.1)
    number = torch.arange(size, dtype=dtype, device=device)
    classes = 1 if trans is None else trans.shape[1] // 2
    each = outputs // classes
    if trans is None:
        move_y = move_x = torch.zeros((count, classes, size, size), dtype=dtype, device=device)
    else:
        part = torch.tensor([i * parts // size for i in range(size)], device=device)
        moved = trans[:, :, part][:, :, :, part].reshape(count, classes, 2, size, size) * spread
        # MXNet's comments call the first one x; it is what the column is moved by.
        move_x, move_y = moved[:, :, 0], moved[:, :, 1]
    top = number[None, None, :, None] * (high / size)[:, None, None, None] + y1[:, None, None, None]
    left = number[None, None, None, :] * (wide / size)[:, None, None, None] + x1[:, None, None, None]
    top = top + move_y * high[:, None, None, None]
    left = left + move_x * wide[:, None, None, None]
    sample = torch.arange(samples, dtype=dtype, device=device)
    step_y, step_x = ((side / size / samples)[:, None, None, None, None, None] for side in (high, wide))
    y = (top[..., None, None] + sample[:, None] * step_y).expand(count, classes, size, size, samples, samples)
    x = (left[..., None, None] + sample[None, :] * step_x).expand(count, classes, size, size, samples, samples)
    inside = (y >= -0.5) & (y <= height - 0.5) & (x >= -0.5) & (x <= width - 0.5)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    group = torch.tensor([min(max(i * groups // size, 0), groups - 1) for i in range(size)], device=device)
    planes = data.reshape(data.shape[0], outputs, groups, groups, height, width)[:, :, group][:, :, :, group]
    planes = planes.reshape(data.shape[0], classes, each, size, size, height, width)
    found = []
    for i, image in enumerate(boxes[:, 0].long().tolist()):
        values = planes[image].permute(0, 2, 3, 1, 4, 5).reshape(-1, each, height, width)
        taken = bilinear(values, y[i].reshape(-1, samples, samples), x[i].reshape(-1, samples, samples))
        counted = inside[i].reshape(-1, 1, samples, samples)
        mean = (taken * counted).sum((2, 3)) / counted.sum((2, 3)).clamp(min=1)
        found.append(mean.reshape(classes, size, size, each).permute(0, 3, 1, 2).reshape(outputs, size, size))
    return torch.stack(found) if found else data.new_zeros((0, outputs, size, size))
