"""Operators on boxes: overlap, suppression, matching, coding."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._boxes import area, intersection, suppress, to_center, to_corner
from tensorkeep.mxnet.ops._rules import Shapes, one_dtype


class _Selected(torch.autograd.Function):
    """Rows of (batch, boxes, width) in a new order, -1 below them; their gradients go back to where they came from."""

    @staticmethod
    def forward(ctx: Tensor, data: Tensor, flat: Tensor, record: Tensor) -> Tensor:
        ctx.save_for_backward(record)
        rows = flat.reshape(-1, flat.shape[-1])
        found = rows[record.clamp(min=0)]
        found[record < 0] = -1
        return found.reshape(flat.shape)

    @staticmethod
    def backward(ctx: Tensor, grad: Tensor) -> tuple[Tensor, None, None]:
        (record,) = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        back = torch.zeros_like(rows)
        kept = record >= 0
        back[record[kept]] = rows[kept]
        return back.reshape(grad.shape), None, None


@operator("_contrib_box_nms", outputs=2, visible=1, dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 2))
def box_nms(
    data: Tensor, *, overlap_thresh: float = 0.5, valid_thresh: float = 0, topk: int = -1, coord_start: int = 2,
    score_index: int = 1, id_index: int = -1, background_id: int = -1, force_suppress: bool = False,
    in_format: str = "corner", out_format: str = "corner",
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The boxes of data (…, n, width) that remain after non-maximum suppression, the best first, rows of -1 below.

    Args:
        overlap_thresh: a box goes that overlaps a better one by more than this (intersection over union).
        valid_thresh: boxes count whose score is above it.
        topk: at most so many of the best boxes are looked at; -1: all.
        coord_start, score_index, id_index: columns of the four coordinates, the score, the class (-1: none).
        background_id: the class that does not count, -1 by default.
        force_suppress: boxes of different classes drop each other too.
        in_format, out_format: "corner" (left, top, right, bottom) or "center" (x, y, width, height).
    """
    _check_nms(data, coord_start, score_index, id_index)
    width = data.shape[-1]
    flat = data.detach().reshape(-1, data.shape[-2], width)
    count = flat.shape[1]
    record = torch.full((flat.shape[0], count), -1, dtype=torch.int64, device=data.device)
    if data.device.type != "meta":
        for number, rows in enumerate(flat):
            valid = rows[:, score_index] > valid_thresh
            if id_index >= 0:
                valid &= rows[:, id_index].to(torch.int64) != background_id
            order = valid.nonzero()[:, 0]
            order = order[rows[order, score_index].sort(descending=True, stable=True).indices]
            if topk > 0:
                order = order[:topk]
            chosen = rows[order]
            classes = chosen[:, id_index].to(torch.int64) if id_index >= 0 and not force_suppress else None
            boxes = chosen[:, coord_start : coord_start + 4]
            order = order[suppress(boxes, classes, overlap_thresh, center=in_format == "center")]
            record[number, : len(order)] = order + number * count
    shown = flat
    if in_format != out_format:
        boxes = flat[..., coord_start : coord_start + 4]
        boxes = to_corner(boxes) if out_format == "corner" else to_center(boxes)
        shown = torch.cat((flat[..., :coord_start], boxes, flat[..., coord_start + 4 :]), -1)
    out = _Selected.apply(data, shown.reshape(data.shape), record.reshape(-1))
    return out, record.to(data.dtype).reshape(*data.shape[:-1], 1)


def _check_nms(data: Tensor, coord_start: int, score_index: int, id_index: int) -> None:
    if not data.dtype.is_floating_point:
        raise MXNetError(f"This operation only support floating point types, not {data.dtype}")
    if data.dim() < 2:
        raise MXNetError(
            f"input must have dim >= 2 the last two dimensions are num_box and box_width {list(data.shape)} provided"
        )
    width, end = data.shape[-1], coord_start + 3
    if not 0 <= coord_start <= width - 4:
        raise MXNetError(f"coord_start: {coord_start} with four coordinates is out of range: (0, {width})")
    for name, index in (("score_index", score_index), ("id_index", id_index)):
        if name == "id_index" and index < 0:
            continue
        if not 0 <= index < width:
            raise MXNetError(f"{name}: {index} out of range: (0, {width})")
        if coord_start <= index <= end:
            raise MXNetError(f"{name}: {index} conflict with coordinates: ({coord_start}, {end}).")


def _iou_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    left, right = shapes
    return shapes, [None if left is None or right is None else (*left[:-1], *right[:-1])]


@operator("_contrib_box_iou", shape=_iou_shapes)
def box_iou(lhs: Tensor, rhs: Tensor, *, format: str = "corner") -> Tensor:
    """Intersection over union of each box of lhs (…, 4) with each of rhs (…, 4): the two shapes joined."""
    one_dtype((lhs, rhs), "_contrib_box_iou")
    for name, boxes in (("lhs", lhs), ("rhs", rhs)):
        if boxes.dim() < 2:
            raise MXNetError(f"{name} must have dim >= 2 {boxes.dim()} provided")
        if boxes.shape[-1] != 4:
            raise MXNetError(f"last dimension of {name} must be 4 {boxes.shape[-1]} provided")
    left, right = lhs.detach().reshape(-1, 1, 4), rhs.detach().reshape(1, -1, 4)
    center = format == "center"
    shared = intersection(left, right, center)
    ratio = shared / (area(left, center) + area(right, center) - shared)
    return torch.where(shared > 0, ratio, 0).reshape(*lhs.shape[:-1], *rhs.shape[:-1])


@operator("_contrib_box_encode", outputs=2, dtype=lambda dtypes, attrs: (dtypes, [dtypes[2]] * 2))
def box_encode(
    samples: Tensor, matches: Tensor, anchors: Tensor, refs: Tensor, means: Tensor, stds: Tensor
) -> tuple[Tensor, Tensor]:
    """What a network is to predict for each anchor, and a mask of where.

    Args:
        samples: (B, N): 1 positive, 0 ignored, -1 negative.
        matches: (B, N): which box of refs each anchor is matched to.
        anchors: (B, N, 4), corners. refs: (B, M, 4), corners.
        means, stds: (4,): subtracted from and divided out of the targets.
    Returns:
        Targets (B, N, 4), 0 where an anchor is not positive; the mask, (B, N, 4).
    """
    with torch.no_grad():
        at = matches.to(torch.int64).unsqueeze(-1).expand(*matches.shape, 4)
        chosen, own = to_center(refs.gather(1, at)), to_center(anchors)
        shift = (chosen[..., :2] - own[..., :2]) / own[..., 2:]
        scale = (chosen[..., 2:] / own[..., 2:]).log()
        positive = (samples > 0.5).unsqueeze(-1)
        targets = torch.where(positive, (torch.cat((shift, scale), -1) - means) / stds, 0)
        return targets, positive.expand_as(targets).to(targets.dtype)


@operator("_contrib_box_decode")
def box_decode(
    data: Tensor, anchors: Tensor, *, std0: float = 1, std1: float = 1, std2: float = 1, std3: float = 1,
    clip: float = -1, format: str = "center",
) -> Tensor:  # fmt: skip
    """Boxes as corners, (B, N, 4), from a network's predictions and the anchors (1, N, 4) that they are relative to.

    Args:
        std0, std1, std2, std3: what the predictions are multiplied by.
        clip: upper limit of the logarithms of width and height; none if it is not positive.
        format: how the anchors are given: "center" or "corner".
    """
    one_dtype((data, anchors), "_contrib_box_decode")
    with torch.no_grad():
        own = to_center(anchors) if format == "corner" else anchors
        stds = torch.tensor((std0, std1, std2, std3), dtype=data.dtype, device=data.device)
        scaled = data * stds
        centre = scaled[..., :2] * own[..., 2:] + own[..., :2]
        size = scaled[..., 2:]
        if clip > 0:
            size = size.clamp(max=clip)
        half = size.exp() * own[..., 2:] * 0.5
        return torch.cat((centre - half, centre + half), -1)


@operator("_contrib_bipartite_matching", outputs=2, dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 2))
def bipartite_matching(
    data: Tensor, *, threshold: float, is_ascend: bool = False, topk: int = -1
) -> tuple[Tensor, Tensor]:
    """The greedy matching of rows with columns, the best score first.

    Args:
        data: scores (…, rows, columns).
        threshold: scores not above it (below it with is_ascend=True) match nothing.
        is_ascend: small scores are good ones.
        topk: no match is made after the one that exceeds this number; -1: all.
    Returns:
        The column of each row (…, rows), the row of each column (…, columns); -1 where there is none.
    """
    if data.dim() < 2:
        raise MXNetError(f"score matrix must have dim >= 2 {data.dim()} provided")
    rows, columns = data.shape[-2:]
    scores = data.detach().reshape(-1, rows * columns)
    by_row = torch.full((scores.shape[0], rows), -1.0, dtype=data.dtype, device=data.device)
    by_column = torch.full((scores.shape[0], columns), -1.0, dtype=data.dtype, device=data.device)
    if data.device.type != "meta":
        for number, row in enumerate(scores):
            values, order = row.sort(descending=not is_ascend, stable=True)
            good = values < threshold if is_ascend else values > threshold
            _match(order[: int(good.cumprod(0).sum())].tolist(), columns, topk, by_row[number], by_column[number])
    return by_row.reshape(data.shape[:-1]), by_column.reshape(*data.shape[:-2], columns)


def _match(order: list[int], columns: int, topk: int, by_row: Tensor, by_column: Tensor) -> None:
    rows_left, columns_left = set(range(len(by_row))), set(range(columns))
    made = 0
    for place in order:
        row, column = divmod(place, columns)
        if row in rows_left and column in columns_left:
            rows_left.remove(row)
            columns_left.remove(column)
            by_row[row], by_column[column] = column, row
            made += 1
            if 0 < topk < made:  # MXNet counts so too: one match more than topk says
                return
