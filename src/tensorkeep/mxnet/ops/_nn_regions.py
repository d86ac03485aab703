"""Means over regions as products with two matrices: one of weights for the rows, one for the columns.

A mean of bilinear samples on a grid is separable: its weight at a pixel is that of the row times that of the column.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["align_weights", "bilinear", "bin_weights", "deformable_bins", "pooled_by"]

_MEMORY = 1 << 24
"""How many elements an intermediate result may have; more regions are taken in turns."""


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
    channels = data.shape[1] // (high * wide) if sensitive else data.shape[1]
    out = data.new_zeros((count, channels, high, wide))
    each = max(1, _MEMORY // max(1, high * data.shape[1] * data.shape[3]))
    numbers = images.long()
    places, parts = [], []
    for image in sorted(set(numbers.tolist()) & set(range(data.shape[0]))):
        plane = data[image]
        for at in (numbers == image).nonzero().flatten().split(each):
            y, x = rows[at], columns[at]
            if sensitive:
                split = plane.reshape(channels, high, wide, *plane.shape[1:])
                parts.append(torch.einsum("rih,cijhw,rjw->rcij", y, split, x))
            else:
                lines = torch.einsum("rih,chw->rciw", y, plane)
                parts.append(torch.einsum("rciw,rjw->rcij", lines, x))
            places.append(at)
    return out.index_copy(0, torch.cat(places), torch.cat(parts)) if places else out


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
