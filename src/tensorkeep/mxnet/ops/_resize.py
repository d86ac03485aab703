"""Resizing of pictures, as OpenCV's cv::resize (3.4), which MXNet calls, does it. Source: its resize.cpp.

Equal to the last bit, but for Lanczos over floats (the last bits).
Each side is resampled by a table: for every place of the result the places of the picture and their weights. Bytes are
computed in integers with weights of 11 bits, as OpenCV does.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet.base import MXNetError

__all__ = ["resize"]

_BITS = 11
"""INTER_RESIZE_COEF_BITS: the fixed-point weights are multiples of 2**-11."""
_NEAREST, _LINEAR, _CUBIC, _AREA, _LANCZOS = range(5)
Array = np.ndarray[Any, Any]
_DTYPES = (torch.uint8, torch.float32, torch.float64)


def resize(images: Tensor, width: int, height: int, interpolation: int) -> Tensor:
    """Pictures (…, H, W, C) as (…, height, width, C).

    Args:
        interpolation: OpenCV's numbers: 0 nearest, 1 bilinear, 2 bicubic, 3 by area, 4 Lanczos over 8 x 8.
    Raises:
        MXNetError: another interpolation, or a dtype that OpenCV cannot resize.
    """
    if interpolation not in range(5):
        raise MXNetError(f"Unknown interpolation method {interpolation}: it is one of 0 to 4")
    if images.dtype not in _DTYPES:
        raise MXNetError(f"An image of {images.dtype} cannot be resized, those of uint8, float32 and float64 can")
    rows, columns = images.shape[-3:-1]
    if (rows, columns) == (height, width):
        return images.clone()
    if images.device.type == "meta":
        return images.new_empty(*images.shape[:-3], height, width, images.shape[-1])
    scale_y, scale_x = 1.0 / (height / rows), 1.0 / (width / columns)
    whole = all(abs(scale - round(scale)) < 2.3e-16 for scale in (scale_y, scale_x))
    if interpolation == _LINEAR and whole and round(scale_y) == round(scale_x) == 2:
        interpolation = _AREA
    if interpolation == _NEAREST:
        y = [min(math.floor(i * scale_y), rows - 1) for i in range(height)]
        x = [min(math.floor(i * scale_x), columns - 1) for i in range(width)]
        return images[..., y, :, :][..., x, :]
    if interpolation == _AREA and scale_x >= 1 and scale_y >= 1:
        if whole:
            return _blocks(images, round(scale_y), round(scale_x))
        return _area(images, height, width, scale_y, scale_x)
    return _taps(images, height, width, scale_y, scale_x, interpolation)


def _blocks(images: Tensor, down: int, across: int) -> Tensor:
    """The means of blocks of whole pixels."""
    rows, columns, channels = images.shape[-3:]
    blocks = images.reshape(*images.shape[:-3], rows // down, down, columns // across, across, channels)
    if images.dtype is not torch.uint8:
        return blocks.sum((-4, -2)) * torch.tensor(1.0 / (down * across), dtype=torch.float32).item()
    total = blocks.to(torch.int32).sum((-4, -2), dtype=torch.int32)
    if down == across == 2:
        return (total + 2 >> 2).to(torch.uint8)
    return _byte(total.to(torch.float32) * torch.tensor(1.0 / (down * across), dtype=torch.float32))


def _byte(values: Tensor) -> Tensor:
    """Rounded half to even, cut at 0 and 255."""
    return values.round().clamp(0, 255).to(torch.uint8)


@lru_cache(256)
def _shares(size: int, wanted: int, scale: float) -> list[list[tuple[int, float]]]:
    """For each place of the result the pixels that it covers, with their shares."""
    found = []
    for i in range(wanted):
        start, end = i * scale, i * scale + scale
        cell = min(scale, size - start)
        first = math.ceil(start)
        last = min(math.floor(end), size - 1)
        first = min(first, last)
        row = []
        if first - start > 1e-3:
            row.append((first - 1, (first - start) / cell))
        row += [(j, 1.0 / cell) for j in range(first, last)]
        if end - last > 1e-3:
            row.append((last, min(min(end - last, 1.0), cell) / cell))
        found.append(row)
    return found


def _area(images: Tensor, height: int, width: int, scale_y: float, scale_x: float) -> Tensor:
    """The means of what each pixel covers; summed in float32, as OpenCV does (float64 for float64)."""
    values = images.to(torch.float32) if images.dtype is torch.uint8 else images
    across = _weighted(values, _shares(images.shape[-2], width, scale_x), -2)
    found = _weighted(across, _shares(images.shape[-3], height, scale_y), -3)
    return _byte(found) if images.dtype is torch.uint8 else found


def _weighted(values: Tensor, table: list[list[tuple[int, float]]], dim: int) -> Tensor:
    """Sums of weighted slices along a side, added in the order of the table."""
    longest = max(map(len, table))
    total = None
    for k in range(longest):
        at = [row[k][0] if k < len(row) else 0 for row in table]
        weights = [row[k][1] if k < len(row) else 0.0 for row in table]
        part = values.index_select(dim, torch.tensor(at, device=values.device)) * _along(weights, values, dim)
        total = part if total is None else total + part
    assert total is not None  # a table has a share for every place
    return total


def _along(weights: list[float], like: Tensor, dim: int) -> Tensor:
    """The weights, rounded to float32, so shaped that they multiply along a side."""
    shape = [1] * (-dim)
    shape[0] = len(weights)
    return torch.tensor(weights, dtype=torch.float32, device=like.device).to(like.dtype).reshape(shape)


@lru_cache(256)
def _table(size: int, wanted: int, scale: float, interpolation: int, clip: bool) -> tuple[Tensor, Tensor]:
    """For each place of the result the pixels that it takes, (taps, wanted), and their float32 weights."""
    i = np.arange(wanted)
    if interpolation == _AREA:
        at = np.floor(i * scale)
        parts = ((i + 1) - (at + 1) * (wanted / size)).astype(np.float32)
        parts = np.where(parts <= 0, np.float32(0), parts - np.floor(parts))
    else:
        exact = ((i + 0.5) * scale - 0.5).astype(np.float32)
        at = np.floor(exact)
        parts = exact - at.astype(np.float32)
    if clip:
        parts = np.where((at < 0) | (at >= size - 1), np.float32(0), parts)
        at = np.clip(at, 0, size - 1)
    weights = _kernel(parts.astype(np.float32), interpolation)
    taps = np.arange(len(weights)) - len(weights) // 2 + 1
    places = np.clip(at.astype(np.int64) + taps[:, None], 0, size - 1)
    return torch.from_numpy(places), torch.from_numpy(weights)


def _kernel(x: Array, interpolation: int) -> Array:
    """The weights (taps, places) of the pixels around places that lie x behind one."""
    one = np.float32(1)
    if interpolation == _CUBIC:
        a = np.float32(-0.75)
        first = ((a * (x + one) - 5 * a) * (x + one) + 8 * a) * (x + one) - 4 * a
        second = ((a + 2) * x - (a + 3)) * x * x + one
        third = ((a + 2) * (one - x) - (a + 3)) * (one - x) * (one - x) + one
        return np.stack((first, second, third, one - first - second - third)).astype(np.float32)
    if interpolation == _LANCZOS:
        half = math.sqrt(0.5)
        turns = [(1, 0), (-half, -half), (0, 1), (half, -half), (-1, 0), (half, half), (0, -1), (-half, half)]
        hit = x < np.finfo(np.float32).eps
        behind = np.where(hit, 0.5, x.astype(np.float64))
        start = -(behind + 3) * (math.pi * 0.25)
        rows = [
            (c * np.sin(start) + s * np.cos(start)) / (-(behind + 3 - k) * (math.pi * 0.25)) ** 2
            for k, (c, s) in enumerate(turns)
        ]
        weights = np.stack(rows).astype(np.float32)
        weights = (weights * (one / weights.sum(0, dtype=np.float32))).astype(np.float32)
        weights[:, hit] = (np.arange(8) == 3)[:, None]
        return weights
    return np.stack((one - x, x))


def _taps(images: Tensor, height: int, width: int, scale_y: float, scale_x: float, interpolation: int) -> Tensor:
    """Weighted sums of 2, 4 or 8 neighbours along each side; the outermost pixels go on beyond the edge."""
    linear = interpolation in (_LINEAR, _AREA)
    fixed = images.dtype is torch.uint8
    values = images.to(torch.int32) if fixed else images
    exact: Tensor | None = None
    for dim, wanted, scale in ((-2, width, scale_x), (-3, height, scale_y)):
        places, weights = _table(images.shape[dim], wanted, scale, interpolation, linear and dim == -2)
        places, weights = places.to(images.device), weights.to(images.device)
        weights = (weights * (1 << _BITS)).round().to(torch.int32) if fixed else weights.to(images.dtype)
        weights = weights.reshape(len(weights), wanted, *[1] * (-dim - 1))
        # Bilinear sums of columns lose bits before they are added, so that OpenCV's fit 16.
        short = fixed and linear and dim == -3
        parts = [values.index_select(dim, places[k]) for k in range(len(weights))]
        if fixed and interpolation == _CUBIC:
            exact = _in_floats(parts, weights)
        parts = [
            (part >> 4) * weight >> 16 if short else part * weight for part, weight in zip(parts, weights, strict=True)
        ]
        values = parts[0]
        for part in parts[1:]:
            values = values + part
    if not fixed:
        return values
    if linear:
        return (values + 2 >> 2).clamp(0, 255).to(torch.uint8)
    found = values + (1 << (2 * _BITS - 1)) >> (2 * _BITS)
    if exact is not None:
        flat, vectors = found.flatten(-2), width * images.shape[-1] // 8 * 8
        found = torch.cat((exact.flatten(-2)[..., :vectors], flat[..., vectors:]), -1).view(found.shape)
    return found.clamp(0, 255).to(torch.uint8)


def _in_floats(parts: list[Tensor], weights: Tensor) -> Tensor:
    """Columns of bicubic bytes, as OpenCV's vector code sums them: in float32, eight values of a row at a time."""
    shares = weights.to(torch.float32) * (1 / (1 << 2 * _BITS))
    total = parts[0].to(torch.float32) * shares[0]
    for part, share in zip(parts[1:], shares[1:], strict=True):
        total = total + part.to(torch.float32) * share
    return total.round().to(torch.int32)
