"""SSD's operators: anchors, their targets, detections."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._boxes import intersection, suppress, to_center
from tensorkeep.mxnet.ops._rules import Shapes, one_dtype

Variances = tuple[float, ...]
_VARIANCES = (0.1, 0.1, 0.2, 0.2)


def _only_float32(arrays: tuple[Tensor, ...], op: str) -> None:
    one_dtype(arrays, op)
    if arrays[0].dtype is not torch.float32:
        raise MXNetError(f"Operator {op}: Unsupported data type {arrays[0].dtype}; it is for float32")


def _prior_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    if source is None or len(source) < 4 or -1 in source[2:4]:
        return shapes, [None]
    each = len(attrs["sizes"]) + len(attrs["ratios"]) - 1
    return shapes, [(1, source[2] * source[3] * each, 4)]


@operator("_contrib_MultiBoxPrior", shape=_prior_shapes)
def multibox_prior(
    data: Tensor, *, sizes: tuple[float, ...] = (1.0,), ratios: tuple[float, ...] = (1.0,), clip: bool = False,
    steps: tuple[float, ...] = (-1.0, -1.0), offsets: tuple[float, ...] = (0.5, 0.5),
) -> Tensor:  # fmt: skip
    """Anchor boxes (1, H * W * K, 4) around the cells of data (N, C, H, W), as corners between 0 and 1.

    Each cell has K = len(sizes) + len(ratios) - 1 anchors: every size with the first ratio, then the first size with
    the other ratios.

    Args:
        clip: whether they are cut at 0 and 1.
        steps: (y, x) from cell to cell; 1/H and 1/W where not positive.
        offsets: (y, x) of the centre within a cell.
    """
    _only_float32((data,), "_contrib_MultiBoxPrior")
    if data.dim() != 4:
        raise MXNetError("Input data should be 4D: batch-channel-y-x")
    if not sizes or not ratios:
        raise MXNetError("MultiBoxPrior needs at least one size and one ratio")
    if len(steps) != 2 or len(offsets) != 2:
        raise MXNetError("MultiBoxPrior: steps and offsets are two numbers each, (y, x)")
    if steps[0] * steps[1] < 0:
        raise MXNetError("Must specify both step_y and step_x")
    height, width = data.shape[2:]
    like = {"dtype": torch.float32, "device": data.device}
    step_y, step_x = (torch.tensor(s if s > 0 else 1 / n, **like) for s, n in zip(steps, (height, width), strict=True))
    y = (torch.arange(height, **like) + offsets[0]) * step_y
    x = (torch.arange(width, **like) + offsets[1]) * step_x
    shapes = [(size, sqrt(ratios[0])) for size in sizes] + [(sizes[0], sqrt(ratio)) for ratio in ratios[1:]]
    half_w = torch.tensor([size * height / width * root / 2 for size, root in shapes], **like)
    half_h = torch.tensor([size / root / 2 for size, root in shapes], **like)
    grid_y, grid_x = y.reshape(-1, 1, 1), x.reshape(1, -1, 1)
    sides = (grid_x - half_w, grid_y - half_h, grid_x + half_w, grid_y + half_h)
    found = torch.stack([side.expand(height, width, len(shapes)) for side in sides], -1).reshape(1, -1, 4)
    return found.clamp(0, 1) if clip else found


def _target_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    anchor, label, _ = shapes
    if anchor is None or label is None:
        return shapes, [None] * 3
    batch, count = label[0], anchor[1]
    flat = -1 if count < 0 else count * 4
    return shapes, [(batch, flat), (batch, flat), (batch, count)]


@operator(
    "_contrib_MultiBoxTarget", outputs=3, shape=_target_shapes,
    dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 3),
)  # fmt: skip
def multibox_target(
    anchor: Tensor, label: Tensor, cls_pred: Tensor, *, overlap_threshold: float = 0.5, ignore_label: float = -1,
    negative_mining_ratio: float = -1, negative_mining_thresh: float = 0.5,
    variances: Variances = _VARIANCES,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """What a network is to predict for each of N anchors.

    Args:
        anchor: (1, N, 4), corners.
        label: (B, M, 5 or more): class, left, top, right, bottom; the first class of -1 ends the list.
        cls_pred: (B, C, N): the network's scores, by which negative samples are chosen.
        overlap_threshold: an anchor is positive when it overlaps a label by more than this.
        ignore_label: the class of anchors that do not count.
        negative_mining_ratio: so many negative anchors for each positive one, the hardest; -1: all others.
        negative_mining_thresh: only anchors that overlap no label by this much can be negative.
        variances: what the box targets are divided by.
    Returns:
        Box targets (B, N * 4), their mask (B, N * 4), classes (B, N), where 0 is the background.
    """
    _only_float32((anchor, label, cls_pred), "_contrib_MultiBoxTarget")
    if anchor.dim() != 3 or anchor.shape[0] != 1 or anchor.shape[2] != 4:
        raise MXNetError(f"MultiBoxTarget: anchors must have the shape (1, N, 4), not {list(anchor.shape)}")
    if label.dim() != 3 or label.shape[2] < 5:
        raise MXNetError(f"MultiBoxTarget: labels must have the shape (B, M, 5 or more), not {list(label.shape)}")
    if cls_pred.dim() != 3 or cls_pred.shape[2] != anchor.shape[1]:
        raise MXNetError(f"MultiBoxTarget: cls_pred {list(cls_pred.shape)} must be (B, C, {anchor.shape[1]})")
    batch, count = label.shape[0], anchor.shape[1]
    targets = anchor.new_zeros(batch, count, 4)
    mask = anchor.new_zeros(batch, count, 4)
    classes = anchor.new_full((batch, count), ignore_label)
    if anchor.device.type != "meta":
        boxes = anchor.detach()[0]
        for number, rows in enumerate(label.detach()):
            ends = (rows[:, 0] == -1).nonzero()
            rows = rows[: int(ends[0, 0])] if len(ends) else rows
            if not len(rows):
                continue
            overlaps = _overlaps(boxes, rows[:, 1:5])
            match, best, positive = _matches(overlaps, overlap_threshold)
            if negative_mining_ratio > 0:
                wanted = int(int(positive.sum()) * negative_mining_ratio)
                can = ~positive & (best < negative_mining_thresh)
                negative = _hardest(cls_pred.detach()[number], can, min(wanted, count - int(positive.sum())))
            else:
                negative = ~positive
            chosen = rows[match[positive]]
            classes[number, negative] = 0
            classes[number, positive] = chosen[:, 0] + 1
            mask[number, positive] = 1
            targets[number, positive] = _encoded(chosen[:, 1:5], boxes[positive], variances)
    return targets.reshape(batch, -1), mask.reshape(batch, -1), classes


def _overlaps(boxes: Tensor, truths: Tensor) -> Tensor:
    """Intersection over union (boxes, truths)."""
    left, right = boxes.unsqueeze(1), truths.unsqueeze(0)
    shared = intersection(left, right, False)
    sides = (left[..., 2:] - left[..., :2]).prod(-1) + (right[..., 2:] - right[..., :2]).prod(-1)
    union = sides - shared
    return torch.where(union == 0, 0, shared / union)


def _matches(overlaps: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """For each anchor: the label it is matched to, how well, and whether it is positive.

    Each label first gets its best anchor, the best pair of all first; then anchors above the threshold are positive.
    """
    anchors, truths = overlaps.shape
    best, match = overlaps.max(1)
    match = match.clone()
    positive = torch.zeros(anchors, dtype=torch.bool, device=overlaps.device)
    if threshold > 0:
        positive = best > threshold
    forced = torch.zeros_like(positive)
    left = overlaps.clone()
    for _ in range(truths):
        place = int(left.argmax())
        anchor, truth = divmod(place, truths)
        if float(left[anchor, truth]) <= 1e-6:
            break
        match[anchor], forced[anchor] = truth, True
        left[anchor, :] = -1
        left[:, truth] = -1
    return match, best, positive | forced


def _hardest(scores: Tensor, can: Tensor, wanted: int) -> Tensor:
    """The `wanted` anchors among those that can be negative whose background (class 0) is least likely."""
    chosen = torch.zeros_like(can)
    if wanted > 0:
        places = can.nonzero()[:, 0]
        if len(places) < wanted:
            raise MXNetError(f"MultiBoxTarget: {wanted} negative samples are wanted, {len(places)} are possible")
        background = scores.softmax(0)[0, places]
        chosen[places[background.sort(stable=True).indices[:wanted]]] = True
    return chosen


def _encoded(truths: Tensor, anchors: Tensor, variances: Variances) -> Tensor:
    """Labels relative to their anchors: shift by width and height, logarithm of the scale, over the variances."""
    found, own = to_center(truths), to_center(anchors)
    shift = (found[:, :2] - own[:, :2]) / own[:, 2:]
    scale = (found[:, 2:] / own[:, 2:]).log()
    return torch.cat((shift, scale), -1) / torch.tensor(variances, dtype=truths.dtype, device=truths.device)


def _detection_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    scores, _, anchor = shapes
    if scores is None or anchor is None:
        return shapes, [None]
    batch, _, count = scores
    return [scores, (batch, count * 4 if count >= 0 else -1), anchor], [(batch, count, 6)]


@operator("_contrib_MultiBoxDetection", shape=_detection_shapes)
def multibox_detection(
    cls_prob: Tensor, loc_pred: Tensor, anchor: Tensor, *, clip: bool = True, threshold: float = 0.01,
    nms_threshold: float = 0.5, force_suppress: bool = False, variances: Variances = _VARIANCES, nms_topk: int = -1,
) -> Tensor:  # fmt: skip
    """Detections (B, N, 6) from a network's predictions: class, score, left, top, right, bottom; class -1: none.

    Args:
        cls_prob: (B, C, N), probabilities; class 0 is the background.
        loc_pred: (B, N * 4), relative to the anchors.
        anchor: (1, N, 4), corners.
        clip: whether boxes are cut at 0 and 1.
        threshold: the least probability of a detection.
        nms_threshold: a box goes that overlaps a better one of its class by this much or more.
        force_suppress: boxes of different classes drop each other too.
        variances: what the predictions are multiplied by.
        nms_topk: suppression looks at so many of the best only; -1: all.
    """
    _only_float32((cls_prob, loc_pred, anchor), "_contrib_MultiBoxDetection")
    batch, _, count = cls_prob.shape
    if anchor.shape != (1, count, 4) or loc_pred.shape != (batch, count * 4):
        raise MXNetError(
            f"MultiBoxDetection: cls_prob {list(cls_prob.shape)} wants loc_pred {[batch, count * 4]} and anchor "
            f"{[1, count, 4]}, not {list(loc_pred.shape)} and {list(anchor.shape)}"
        )
    found = cls_prob.new_full((batch, count, 6), -1)
    if cls_prob.device.type == "meta":
        return found
    boxes = _decoded(loc_pred.detach().reshape(batch, count, 4), anchor.detach(), variances, clip)
    scores, classes = cls_prob.detach()[:, 1:].max(1)
    for number in range(batch):
        places = (scores[number] >= threshold).nonzero()[:, 0]
        rows = torch.cat(
            (classes[number, places, None].to(boxes.dtype), scores[number, places, None], boxes[number, places]), 1
        )
        if 0 < nms_threshold <= 1:
            keep = len(rows) if nms_topk <= 0 else min(nms_topk, len(rows))
            best = rows[:, 1].sort(descending=True, stable=True).indices[:keep]
            rows[:keep] = rows[best]
            rows[keep:, 0] = -1
            left = suppress(rows[:keep, 2:], None if force_suppress else rows[:keep, 0], nms_threshold, inclusive=True)
            gone = torch.ones(keep, dtype=torch.bool, device=rows.device)
            gone[left] = False
            rows[:keep, 0][gone] = -1
        found[number, : len(rows)] = rows
    return found


def _decoded(shifts: Tensor, anchors: Tensor, variances: Variances, clip: bool) -> Tensor:
    own = to_center(anchors)
    scaled = shifts * torch.tensor(variances, dtype=shifts.dtype, device=shifts.device)
    centre = scaled[..., :2] * own[..., 2:] + own[..., :2]
    half = scaled[..., 2:].exp() * own[..., 2:] / 2
    boxes = torch.cat((centre - half, centre + half), -1)
    return boxes.clamp(0, 1) if clip else boxes
