"""Boxes: areas, overlaps, suppression. A box is (left, top, right, bottom), or (x, y, width, height) about its centre."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["area", "intersection", "suppress", "to_center", "to_corner"]


def to_corner(boxes: Tensor) -> Tensor:
    """(x, y, width, height) as (left, top, right, bottom)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), -1)


def to_center(boxes: Tensor) -> Tensor:
    """(left, top, right, bottom) as (x, y, width, height)."""
    start, end = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((start + end) / 2, end - start), -1)


def area(boxes: Tensor, center: bool, border: float = 0) -> Tensor:
    """Width times height; 0 where one is negative. border=1 counts both outermost pixels."""
    size = boxes[..., 2:] if center else boxes[..., 2:] - boxes[..., :2] + border
    return torch.where((size < 0).any(-1), 0, size.prod(-1))


def intersection(a: Tensor, b: Tensor, center: bool, border: float = 0) -> Tensor:
    """The area that boxes have in common; a and b (…, 4) broadcast."""
    if center:
        a, b = to_corner(a), to_corner(b)
    size = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2]) + border
    size = size.clamp(min=0)
    return size[..., 0] * size[..., 1]


def suppress(
    boxes: Tensor, classes: Tensor | None, threshold: float, *, center: bool = False, inclusive: bool = False,
    border: float = 0, most: int | None = None,
) -> Tensor:  # fmt: skip
    """Which boxes remain when each, in the order given, drops the later ones that overlap it too much.

    Args:
        boxes: (n, 4), the best first.
        classes: (n,); only boxes of one class drop each other. None: all do.
        threshold: intersection over union above which (inclusive=True: from which on) a box is dropped.
        border: 1 where a box of one pixel has equal corners.
        most: as soon as so many remain, the others are dropped.
    Returns:
        The indices that remain, ascending.
    """
    areas = area(boxes, center, border)
    corners = to_corner(boxes) if center else boxes
    left = torch.arange(len(boxes), device=boxes.device)
    kept: list[Tensor] = []
    while len(left) and len(kept) != most:
        first, left = left[0], left[1:]
        kept.append(first)
        shared = intersection(corners[first], corners[left], False, border)
        ratio = shared / (areas[first] + areas[left] - shared)
        drop = ratio >= threshold if inclusive else ratio > threshold
        if classes is not None:
            drop &= classes[left] == classes[first]
        left = left[~drop]
    return torch.stack(kept) if kept else left[:0]
