"""Faster R-CNN's regions, and rotated ones."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._boxes import suppress
from tensorkeep.mxnet.ops._rules import Shapes, one_dtype


def _anchors(stride: int, ratios: tuple[float, ...], scales: tuple[float, ...], like: Tensor) -> Tensor:
    """The boxes (K, 4) around the cell at the origin, in pixels, both outermost ones included."""
    centre = 0.5 * (stride - 1)
    found = []
    for ratio in ratios:
        width = torch.floor(torch.sqrt(torch.floor(torch.tensor(float(stride * stride)) / ratio)) + 0.5)
        height = torch.floor(width * ratio + 0.5)
        for scale in scales:
            half_w, half_h = 0.5 * (float(width) * scale - 1), 0.5 * (float(height) * scale - 1)
            found.append((centre - half_w, centre - half_h, centre + half_w, centre + half_h))
    return torch.tensor(found, dtype=like.dtype, device=like.device)


def _grid(anchors: Tensor, height: int, width: int, stride: int) -> Tensor:
    """The anchors at every cell: (height, width, K, 4)."""
    y = torch.arange(height, dtype=anchors.dtype, device=anchors.device) * stride
    x = torch.arange(width, dtype=anchors.dtype, device=anchors.device) * stride
    shift_y, shift_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((shift_x, shift_y, shift_x, shift_y), -1).unsqueeze(2) + anchors


def _moved(boxes: Tensor, deltas: Tensor, iou_loss: bool) -> Tensor:
    """The anchors as the network's predictions move them."""
    if iou_loss:
        return boxes + deltas
    size = boxes[..., 2:] - boxes[..., :2] + 1
    centre = boxes[..., :2] + 0.5 * (size - 1)
    centre = deltas[..., :2] * size + centre
    half = 0.5 * (deltas[..., 2:].exp() * size - 1)
    return torch.cat((centre - half, centre + half), -1)


def _regions(scores: Tensor, deltas: Tensor, info: Tensor, grid: Tensor, attrs: Attrs) -> tuple[Tensor, Tensor]:
    """The best boxes (n, 4) of one image with their scores (n,), after suppression.

    Args:
        scores: (K, H, W). deltas: (K * 4, H, W). info: (3,), height, width and scale of the image.
        grid: (H, W, K, 4), the anchors.
    """
    count, height, width = scores.shape
    stride = attrs["feature_stride"]
    boxes = _moved(grid, deltas.reshape(count, 4, height, width).permute(2, 3, 0, 1), attrs["iou_loss"])
    image_h, image_w, scale = (float(value) for value in info)
    limits = torch.tensor((image_w - 1, image_h - 1) * 2, dtype=boxes.dtype, device=boxes.device)
    boxes = torch.minimum(boxes, limits).clamp(min=0)
    values = scores.permute(1, 2, 0).clone()
    # Cells of the padding, beyond the image, do not count.
    values[int(image_h / stride) :] = -1
    values[:, int(image_w / stride) :] = -1
    boxes, values = boxes.reshape(-1, 4), values.reshape(-1)
    least = attrs["rpn_min_size"] * scale
    small = (boxes[:, 2:] - boxes[:, :2] + 1 < least).any(-1)
    grow = torch.tensor((-least / 2,) * 2 + (least / 2,) * 2, dtype=boxes.dtype, device=boxes.device)
    boxes = torch.where(small.unsqueeze(-1), boxes + grow, boxes)
    values = torch.where(small, -1, values)
    before = attrs["rpn_pre_nms_top_n"]
    before = min(before, len(values)) if before > 0 else len(values)
    best = values.sort(descending=True, stable=True).indices[:before]
    boxes, values = boxes[best], values[best]
    left = suppress(boxes, None, attrs["threshold"], border=1, most=min(attrs["rpn_post_nms_top_n"], before))
    return boxes[left], values[left]


def _proposal_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    scores = shapes[0]
    if scores is None:
        return shapes, [None, None]
    batch, channels, height, width = scores
    rows = -1 if batch < 0 else batch * attrs["rpn_post_nms_top_n"]
    moves = channels * 2 if channels >= 0 else -1
    return [scores, (batch, moves, height, width), (batch, 3)], [(rows, 5), (rows, 1)]


_SCALES, _RATIOS = (4.0, 8.0, 16.0, 32.0), (0.5, 1.0, 2.0)


def _proposals(op: str, cls_prob: Tensor, bbox_pred: Tensor, im_info: Tensor, attrs: Attrs) -> tuple[Tensor, Tensor]:
    one_dtype((cls_prob, bbox_pred, im_info), op)
    if cls_prob.dtype is not torch.float32:
        raise MXNetError(f"Operator {op}: Unsupported data type {cls_prob.dtype}; it is for float32")
    batch, channels, height, width = cls_prob.shape
    count = len(attrs["ratios"]) * len(attrs["scales"])
    if channels != 2 * count or bbox_pred.shape != (batch, 4 * count, height, width) or im_info.shape != (batch, 3):
        raise MXNetError(
            f"Operator {op}: {count} anchors a cell want cls_prob {[batch, 2 * count, height, width]}, bbox_pred "
            f"{[batch, 4 * count, height, width]} and im_info {[batch, 3]}, not {list(cls_prob.shape)}, "
            f"{list(bbox_pred.shape)} and {list(im_info.shape)}"
        )
    wanted = attrs["rpn_post_nms_top_n"]
    rois, scores = cls_prob.new_zeros(batch * wanted, 5), cls_prob.new_zeros(batch * wanted, 1)
    if cls_prob.device.type == "meta":
        return rois, scores
    with torch.no_grad():
        stride = attrs["feature_stride"]
        grid = _grid(_anchors(stride, attrs["ratios"], attrs["scales"], cls_prob), height, width, stride)
        for number in range(batch):
            boxes, values = _regions(cls_prob[number, count:], bbox_pred[number], im_info[number], grid, attrs)
            # Too few are repeated from the first on.
            chosen = torch.arange(wanted, device=boxes.device) % len(boxes)
            rows = slice(number * wanted, (number + 1) * wanted)
            rois[rows, 0], rois[rows, 1:], scores[rows, 0] = number, boxes[chosen], values[chosen]
    return rois, scores


def _visible(attrs: Attrs) -> int:
    return 2 if attrs["output_score"] else 1


@operator(
    "_contrib_MultiProposal", outputs=2, visible=_visible, shape=_proposal_shapes,
    dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 2),
)  # fmt: skip
def multi_proposal(
    cls_prob: Tensor, bbox_pred: Tensor, im_info: Tensor, *, rpn_pre_nms_top_n: int = 6000,
    rpn_post_nms_top_n: int = 300, threshold: float = 0.7, rpn_min_size: int = 16,
    scales: tuple[float, ...] = _SCALES, ratios: tuple[float, ...] = _RATIOS, feature_stride: int = 16,
    iou_loss: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The regions of each image that a region proposal network finds: (B * n, 5), image and corners in pixels.

    Args:
        cls_prob: (B, 2 K, H, W): background, then foreground probabilities of the K anchors of a cell.
        bbox_pred: (B, 4 K, H, W). im_info: (B, 3), height, width, scale.
        rpn_pre_nms_top_n, rpn_post_nms_top_n: so many of the best before and n after suppression.
        threshold: a box goes that overlaps a better one by more than this.
        rpn_min_size: smaller boxes come last.
        scales, ratios, feature_stride: of the anchors; K = len(scales) * len(ratios).
        iou_loss: predictions are added to the corners.
    """
    attrs = {
        "rpn_pre_nms_top_n": rpn_pre_nms_top_n, "rpn_post_nms_top_n": rpn_post_nms_top_n, "threshold": threshold,
        "rpn_min_size": rpn_min_size, "scales": scales, "ratios": ratios, "feature_stride": feature_stride,
        "iou_loss": iou_loss,
    }  # fmt: skip
    return _proposals("_contrib_MultiProposal", cls_prob, bbox_pred, im_info, attrs)


@operator(
    "_contrib_Proposal", outputs=2, visible=_visible, shape=_proposal_shapes,
    dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 2),
)  # fmt: skip
def proposal(cls_prob: Tensor, bbox_pred: Tensor, im_info: Tensor, **attrs: object) -> tuple[Tensor, Tensor]:
    """MultiProposal for one image."""
    if cls_prob.shape[0] != 1:
        raise MXNetError("Sorry, multiple images each device is not implemented.")
    return multi_proposal(cls_prob, bbox_pred, im_info, **{k: v for k, v in attrs.items() if k != "output_score"})


def _rroi_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    data, rois = shapes
    if data is None or rois is None:
        return shapes, [None]
    return shapes, [(rois[0], data[1], *attrs["pooled_size"])]


@operator("_contrib_RROIAlign", shape=_rroi_shapes)
def rroi_align(
    data: Tensor, rois: Tensor, *, pooled_size: tuple[int, ...], spatial_scale: float, sampling_ratio: int = -1
) -> Tensor:
    """Rotated regions of data (N, C, H, W), sampled bilinearly and averaged: (R, C, *pooled_size).

    Args:
        rois: (R, 6): image, x and y of the centre, width, height, angle in degrees.
        spatial_scale: what they are multiplied by.
        sampling_ratio: samples a bin in each direction; -1: as many as it has pixels.
    """
    one_dtype((data, rois), "_contrib_RROIAlign")
    rows, columns = pooled_size
    found = data.new_zeros(rois.shape[0], data.shape[1], rows, columns)
    if data.device.type == "meta":
        return found
    with torch.no_grad():
        for number, roi in enumerate(rois):
            image = int(roi[0])
            if image < 0:
                continue
            x, y, width, height = roi[1:5] * spatial_scale
            width, height = width.clamp(min=1), height.clamp(min=1)
            samples_y, samples_x = (
                sampling_ratio if sampling_ratio > 0 else int(torch.ceil(size / bins))
                for size, bins in ((height, rows), (width, columns))
            )
            own_y = _samples(height, rows, samples_y).reshape(-1, 1)
            own_x = _samples(width, columns, samples_x).reshape(1, -1)
            angle = roi[5] * (torch.pi / 180)
            at_x = own_x * angle.cos() + own_y * angle.sin() + x
            at_y = own_y * angle.cos() - own_x * angle.sin() + y
            values = _bilinear(data[image], at_y, at_x)
            found[number] = values.reshape(-1, rows, samples_y, columns, samples_x).mean((2, 4))
    return found


def _samples(size: Tensor, bins: int, samples: int) -> Tensor:
    """Where the samples of each bin lie along a side, from the middle of the side: (bins * samples,)."""
    step = size / bins
    inner = (torch.arange(samples, dtype=size.dtype, device=size.device) + 0.5) * step / samples
    outer = torch.arange(bins, dtype=size.dtype, device=size.device) * step
    return (outer.unsqueeze(1) + inner).reshape(-1) - size / 2


def _bilinear(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """The values of image (C, H, W) at places between its pixels; 0 more than a pixel outside."""
    height, width = image.shape[1:]
    outside = (y < -1) | (y > height) | (x < -1) | (x > width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor().long(), x.floor().long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    dy, dx = y - top, x - left
    upper = image[:, top, left] * (1 - dx) + image[:, top, right] * dx
    lower = image[:, bottom, left] * (1 - dx) + image[:, bottom, right] * dx
    return (upper * (1 - dy) + lower * dy).masked_fill(outside, 0)
