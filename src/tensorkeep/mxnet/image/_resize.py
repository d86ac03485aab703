"""Images in another size, with the roundings of OpenCV, which MXNet resizes with: fixed point for uint8.

Source: resize.cpp of OpenCV 3.4; compared with real MXNet in tests/mxnet/test_image.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tensorkeep.mxnet.base import MXNetError

__all__ = ["resize"]

Array = np.ndarray[Any, Any]
Taps = tuple[Array, Array]
"""For each new pixel the old ones (n, k) and their weights (n, k)."""

_ONE = 2048
"""1 in fixed point: INTER_RESIZE_COEF_SCALE."""


def resize(image: Array, width: int, height: int, interp: int) -> Array:
    """A new array (height, width, channels).

    Args:
        image: (h, w, channels), uint8, float32 or float64.
        interp: 0 nearest, 1 bilinear, 2 cubic over 4x4, 3 area, 4 Lanczos over 8x8.
    Raises:
        MXNetError: the size or the method is none.
    """
    if width <= 0 or height <= 0:
        raise MXNetError(f"imresize: a size of {width} x {height} has no pixels")
    if interp not in range(5):
        raise MXNetError(f"Unknown interpolation method {interp}: 0 to 4 are known")
    h, w = image.shape[:2]
    if (h, w) == (height, width):
        return image.copy()
    scales = h / height, w / width
    if interp == 1 and scales == (2.0, 2.0):
        interp = 3  # as OpenCV does
    if interp == 0:
        rows = np.minimum((np.arange(height) * scales[0]).astype(int), h - 1)
        columns = np.minimum((np.arange(width) * scales[1]).astype(int), w - 1)
        return image[rows][:, columns]
    if interp == 3 and min(scales) >= 1:
        return _area(image, _shares(h, height), _shares(w, width), scales)
    make = {1: _linear, 2: _cubic, 3: _stretched, 4: _lanczos}[interp]
    down, across = make(h, height), make(w, width)
    if interp in (1, 3):
        across = _held(across)
    if image.dtype == np.uint8:
        return _fixed(image, down, across)
    return _applied(_applied(image, across, 1), down, 0).astype(image.dtype)


def _places(old: int, new: int) -> tuple[Array, Array]:
    """Where the middle of each new pixel lies: the old pixel to the left of it and how far behind that, float32."""
    at = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    left = np.floor(at).astype(int)
    return left, (at - left).astype(np.float32)


def _taps(left: Array, weights: Array, first: int, old: int) -> Taps:
    index = left[:, None] + np.arange(first, first + weights.shape[1])
    return np.clip(index, 0, old - 1), weights.astype(np.float32)


def _linear(old: int, new: int) -> Taps:
    left, share = _places(old, new)
    return _taps(left, np.stack([1 - share, share], 1), 0, old)


def _held(taps: Taps) -> Taps:
    """Across, OpenCV gives a pixel at the edge all of its weight; down it adds it up from two rows that are one."""
    index, weights = taps
    same = (index[:, 0] == index[:, 1])[:, None]
    return index, np.where(same, np.array([[1, 0]], np.float32), weights)


def _stretched(old: int, new: int) -> Taps:
    """What OpenCV does with "area" when an image grows."""
    scale = old / new
    left = np.floor(np.arange(new) * scale).astype(int)
    share = (np.arange(new) + 1 - (left + 1) / scale).astype(np.float32)
    share = np.where(share <= 0, np.float32(0), share - np.floor(share))
    return _taps(left, np.stack([1 - share, share], 1), 0, old)


def _cubic(old: int, new: int) -> Taps:
    left, x = _places(old, new)
    a = np.float32(-0.75)
    w0 = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    w1 = ((a + 2) * x - (a + 3)) * x * x + 1
    w2 = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    return _taps(left, np.stack([w0, w1, w2, 1 - w0 - w1 - w2], 1), -1, old)


def _lanczos(old: int, new: int) -> Taps:
    left, x = _places(old, new)
    half = 0.70710678118654752440084436210485
    turns = [(1, 0), (-half, -half), (0, 1), (half, -half), (-1, 0), (half, half), (0, -1), (-half, half)]
    weights = np.zeros((new, 8), np.float32)
    for row, share in enumerate(x.tolist()):
        if share < np.finfo(np.float32).eps:
            weights[row, 3] = 1
            continue
        y0 = -(share + 3) * math.pi * 0.25
        sine, cosine = math.sin(y0), math.cos(y0)
        for i, (s, c) in enumerate(turns):
            y = -(share + 3 - i) * math.pi * 0.25
            weights[row, i] = (s * sine + c * cosine) / (y * y)
        weights[row] *= np.float32(1) / weights[row].sum(dtype=np.float32)
    return _taps(left, weights, -3, old)


def _applied(values: Array, taps: Taps, axis: int) -> Array:
    index, weights = taps
    shape = [1, 1, 1]
    shape[axis] = -1
    total: Any = 0
    for k in range(index.shape[1]):
        total = total + values.take(index[:, k], axis) * weights[:, k].reshape(shape)
    return np.asarray(total)


def _fixed(image: Array, down: Taps, across: Taps) -> Array:
    across = across[0], np.rint(across[1] * _ONE).astype(np.int64)
    down = down[0], np.rint(down[1] * _ONE).astype(np.int64)
    rows = _applied(image.astype(np.int64), across, 1)
    if down[0].shape[1] == 2:  # the vector code of the bilinear case shifts in between
        parts = [(rows.take(down[0][:, k], 0) >> 4) * down[1][:, k].reshape(-1, 1, 1) >> 16 for k in (0, 1)]
        found = (parts[0] + parts[1] + 2) >> 2
    else:
        found = (_applied(rows, down, 0) + (1 << 21)) >> 22
    if down[0].shape[1] == 4:  # the vector code of the cubic case is float, eight values at a time
        share = down[1].astype(np.float32) * np.float32(1 / (_ONE * _ONE))
        exact = np.rint(_applied(rows.astype(np.float32), (down[0], share), 0)).astype(np.int64)
        flat, many = found.reshape(len(found), -1), found[0].size // 8 * 8
        flat[:, :many] = exact.reshape(len(found), -1)[:, :many]
        found = flat.reshape(found.shape)
    return np.clip(found, 0, 255).astype(np.uint8)


def _shares(old: int, new: int) -> Array:
    """(new, old): how much of each old pixel lies in each new one, divided by the size of the new one."""
    scale = old / new
    edges = np.arange(new + 1) * scale
    left = np.maximum(edges[:-1, None], np.arange(old))
    right = np.minimum(edges[1:, None], np.arange(old) + 1)
    cell = np.minimum(scale, old - edges[:-1, None])
    shares = np.maximum(right - left, 0)
    shares[shares <= 1e-3] = 0
    found: Array = (shares / cell).astype(np.float32)
    return found


def _area(image: Array, down: Array, across: Array, scales: tuple[float, float]) -> Array:
    # One axis after the other: both at once would be every old pixel for every new one.
    rows = np.tensordot(down.astype(np.float64), image.astype(np.float64), (1, 0))  # (y, w, c)
    total = np.moveaxis(np.tensordot(rows, across.astype(np.float64), (1, 1)), 1, 2)  # (y, c, x) → (y, x, c)
    if image.dtype != np.uint8:
        return total.astype(image.dtype)
    if scales == (2.0, 2.0):  # four pixels: OpenCV adds 2 and shifts, so halves go up
        return np.floor(total + 0.5).astype(np.uint8)
    return np.clip(np.rint(total), 0, 255).astype(np.uint8)
