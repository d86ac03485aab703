"""Resizing, cropping, sampling at computed places, and the correlation of two images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import inconsistent, needs, require

Dims = tuple[int, ...]

_RANK = "Input data should be 4D in batch-channel-y-x"


def _times(size: int, scale: float) -> int:
    """In float32, as MXNet: 0.7 times 10 is 7, not a little less."""
    return int(np.float32(size) * np.float32(scale))


def _resized(size: int, mode: str, wanted: int, scale: float | None, like: int) -> int:
    """How long a side becomes."""
    if mode == "size":
        return wanted if scale is None else _times(size, scale)
    if mode == "odd_scale":
        if scale is None:
            raise MXNetError("scale_height and scale_width must be given with mode odd_scale.")
        return _times(size, scale) if size % 2 == 0 else _times(size - 1, scale) + 1
    if mode == "like":
        return like
    even = mode.startswith("to_even")
    if (size % 2 == 0) == even:
        return size
    return size + 1 if mode.endswith("up") else size - 1


def _resize_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    needs(shapes[0], 4, _RANK)
    known = [shape for shape in shapes if shape is not None and -1 not in shape]
    if shapes[0] is None or len(known) < len(shapes):
        return shapes, [None]
    return shapes, [(*shapes[0][:2], *_new_size(known, attrs))]


def _new_size(shapes: Sequence[Sequence[int]], attrs: Attrs) -> tuple[int, int]:
    mode, like = attrs["mode"], shapes[-1]
    return (
        _resized(shapes[0][2], mode, attrs["height"], attrs["scale_height"], like[2]),
        _resized(shapes[0][3], mode, attrs["width"], attrs["scale_width"], like[3]),
    )


@operator(
    "_contrib_BilinearResize2D",
    inputs=taking("data", "like", like=lambda a: a["mode"] == "like"),
    shape=_resize_shapes,
)
def bilinear_resize(
    data: Tensor, like: Tensor | None = None, *, height: int = 1, width: int = 1, scale_height: float | None = None,
    scale_width: float | None = None, mode: str = "size", align_corners: bool = True,
) -> Tensor:  # fmt: skip
    """data (N, C, H, W) resized by bilinear interpolation.

    mode says to what: "size" to height and width, or by the scales; "odd_scale" by the scales, odd sides to odd ones;
    "like" to the size of `like`; "to_even_down", "to_even_up", "to_odd_down", "to_odd_up" to the next such size.
    align_corners: whether the corners' centres stay where they are.
    """
    needs(data.shape, 4, _RANK)
    if mode == "like" and like is None:
        raise MXNetError("mode like takes the array `like`.")
    attrs = {
        "height": height, "width": width, "scale_height": scale_height, "scale_width": scale_width, "mode": mode,
    }  # fmt: skip
    size = _new_size([data.shape, (data if like is None else like).shape], attrs)
    return torch.nn.functional.interpolate(data, size, mode="bilinear", align_corners=align_corners)


def _kernel(scale: int) -> int:
    return 2 * scale - scale % 2


def _upsampling_inputs(attrs: Attrs) -> list[str]:
    if attrs["sample_type"] == "bilinear":
        return ["data", "weight"]
    return [f"arg{i}" for i in range(attrs["num_args"])]


def _upsampling_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    first, scale = shapes[0], attrs["scale"]
    needs(first, 4, "UpSampling: Input data should be 4D in (batch, channel, y, x)")
    if attrs["sample_type"] == "bilinear":
        side = _kernel(scale)
        weight = require(shapes[1] if len(shapes) > 1 else None, (first[1] if first else -1, 1, side, side))
        inputs: list[Shape] = [first, weight]
    else:
        inputs = shapes
    if first is None or any(shape is None for shape in inputs):
        return inputs, [None]
    sides = [size * scale if size >= 0 else -1 for size in first[2:]]
    channels = first[1]
    if attrs["sample_type"] == "nearest" and attrs["multi_input_mode"] == "concat":
        counts = [shape[1] for shape in inputs if shape is not None]
        channels = sum(counts) if min(counts) >= 0 else -1
    return inputs, [(first[0], channels, *sides)]


@operator("UpSampling", inputs=_upsampling_inputs, shape=_upsampling_shapes)
def upsampling(
    *data: Tensor, scale: int, sample_type: str, num_filter: int = 0, multi_input_mode: str = "concat"
) -> Tensor:
    """Images (N, C, H, W) enlarged `scale` times.

    sample_type "nearest" repeats pixels; several images are enlarged to the size of the first and joined along the
    channels, or added with multi_input_mode="sum". "bilinear" is a deconvolution of each channel with the second input,
    weight (C, 1, k, k), k = 2·scale - scale % 2.
    """
    first = data[0]
    needs(first.shape, 4, "UpSampling: Input data should be 4D in (batch, channel, y, x)")
    if sample_type == "bilinear":
        if len(data) != 2:
            raise MXNetError(f"Operator UpSampling expects 2 inputs, but got {len(data)} instead.")
        side = _kernel(scale)
        wanted = (first.shape[1], 1, side, side)
        if tuple(data[1].shape) != wanted:
            raise inconsistent(data[1].shape, wanted)
        pad = -(-(scale - 1) // 2)
        return torch.conv_transpose2d(first, data[1], None, scale, pad, 0, first.shape[1])
    height, width = first.shape[2] * scale, first.shape[3] * scale
    grown = []
    for image in data:
        times = height // image.shape[2], width // image.shape[3]
        if image.shape[2] * times[0] != height or image.shape[3] * times[1] != width:
            raise MXNetError(
                f"UpSampling: input height of {image.shape[2]} and width of {image.shape[3]} do not divide "
                f"{height} and {width}"
            )
        grown.append(image if times == (1, 1) else image.repeat_interleave(times[0], 2).repeat_interleave(times[1], 3))
    if len(grown) == 1:
        return grown[0] if scale > 1 else first.clone()
    if multi_input_mode == "sum":
        return torch.stack(grown).sum(0)
    return torch.cat(grown, 1)


def _crop_size(first: Sequence[int], attrs: Attrs, other: Sequence[int] | None) -> tuple[int, int, int, int]:
    """Top, left, height and width of what stays."""
    height, width = attrs["h_w"] if other is None else other[2:]
    for side, size, name in ((height, first[2], "height"), (width, first[3], "width")):
        if size < side:
            raise MXNetError(f"the crop {name} should be less than the input data's {name}: {side} of {size}")
    if attrs["center_crop"]:
        return (first[2] - height) // 2, (first[3] - width) // 2, height, width
    top, left = attrs["offset"]
    if top > first[2] - height:
        raise MXNetError("offset[0] should be less than the residual space of height")
    if left > first[3] - width:
        raise MXNetError("offset[1] should be less than the residual space of width")
    return top, left, height, width


def _crop_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    first, other = shapes[0], shapes[1] if len(shapes) > 1 else None
    needs(first, 4, "Input data should be 4D in batch-num_filter-y-x")
    if first is None or -1 in first or (len(shapes) > 1 and (other is None or -1 in other)):
        return shapes, [None]
    _, _, height, width = _crop_size(first, attrs, other)
    return shapes, [(first[0], first[1], height, width)]


@operator("Crop", shape=_crop_shapes)
def crop(*data: Tensor, offset: Dims = (0, 0), h_w: Dims = (0, 0), center_crop: bool = False) -> Tensor:
    """A part of data (N, C, H, W): as large as the second input where there is one, else h_w.

    It begins at `offset`, (y, x), or lies in the middle with center_crop.
    """
    needs(data[0].shape, 4, "Input data should be 4D in batch-num_filter-y-x")
    attrs = {"offset": offset, "h_w": h_w, "center_crop": center_crop}
    top, left, height, width = _crop_size(data[0].shape, attrs, data[1].shape if len(data) > 1 else None)
    return data[0][:, :, top : top + height, left : left + width].clone()


def _axis_places(size: int, like: Tensor) -> Tensor:
    """-1 … 1 in `size` steps."""
    return torch.arange(size, dtype=like.dtype, device=like.device) * (2.0 / (size - 1) if size > 1 else 0.0) - 1.0


def _affine_grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Where each place of an image (height, width) is taken from: (N, 2, height, width), x before y."""
    x, y = _axis_places(width, theta), _axis_places(height, theta)
    ones = torch.ones(height * width, dtype=theta.dtype, device=theta.device)
    places = torch.stack([x.repeat(height), y.repeat_interleave(width), ones])
    return (theta.reshape(-1, 2, 3) @ places).reshape(-1, 2, height, width)


def _grid_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None]
    _checked_grid(data, attrs["transform_type"], attrs["target_shape"])
    return shapes, [(data[0], 2, *attrs["target_shape"]) if attrs["transform_type"] == "affine" else data]


def _checked_grid(shape: Sequence[int], kind: str, target: Dims) -> None:
    if kind == "affine":
        if len(shape) != 2 or shape[1] not in (6, -1):
            raise MXNetError("incorrect data shape[1], should be 6")
        if len(target) != 2 or min(target) < 1:
            raise MXNetError(f"incorrect target_shape: {list(target)}")
    elif len(shape) != 4 or shape[1] not in (2, -1):
        raise MXNetError("incorrect data shape, should be (batch, 2, height, width)")


@operator("GridGenerator", outputs=2, visible=1, shape=_grid_shapes)
def grid_generator(data: Tensor, *, transform_type: str, target_shape: Dims = (0, 0)) -> Tensor:
    """The grid (N, 2, H, W) for BilinearSampler: for each place x and y between -1 and 1.

    "affine": data (N, 6) are the two rows of an affine map each, the grid has target_shape (H, W). "warp": data
    (N, 2, H, W) says by how many pixels each place is moved.
    """
    _checked_grid(data.shape, transform_type, target_shape)
    if transform_type == "affine":
        return _affine_grid(data, *target_shape)
    height, width = data.shape[2:]
    x = torch.arange(width, dtype=data.dtype, device=data.device).expand(height, width)
    y = torch.arange(height, dtype=data.dtype, device=data.device).unsqueeze(1).expand(height, width)
    half = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=data.dtype, device=data.device)
    return (data + torch.stack([x, y])) / half.reshape(2, 1, 1) - 1


def _sampled(data: Tensor, grid: Tensor) -> Tensor:
    return torch.nn.functional.grid_sample(data, grid.permute(0, 2, 3, 1), "bilinear", "zeros", True)


def _sampler_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, grid = shapes
    needs(data, 4, "input data should be 4D in batch-num_filter-y-x")
    needs(grid, 4, "Sampler grid should be 4D in batch-2-y-x")
    if data is None or grid is None:
        return shapes, [None]
    if grid[1] not in (2, -1) or (grid[0] != data[0] and -1 not in (grid[0], data[0])):
        raise MXNetError("incorrect grid shape[1], should be 2, and its batch that of data")
    return [data, (grid[0], 2, *grid[2:])], [(data[0], data[1], grid[2], grid[3])]


@operator("BilinearSampler", outputs=2, visible=1, shape=_sampler_shapes)
def bilinear_sampler(data: Tensor, grid: Tensor) -> Tensor:
    """data (N, C, H, W) at the places of grid (N, 2, h, w), interpolated; zeros outside: (N, C, h, w).

    grid holds x, then y, -1 and 1 being the centres of the outermost pixels.
    """
    needs(data.shape, 4, "input data should be 4D in batch-num_filter-y-x")
    needs(grid.shape, 4, "Sampler grid should be 4D in batch-2-y-x")
    return _sampled(data, grid)


def _transformer_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, loc = shapes
    needs(data, 4, "input data should be 4D in batch-num_filter-y-x")
    if loc is not None and (len(loc) != 2 or loc[1] not in (6, -1)):
        raise MXNetError("incorrect location network shape[1], should be 6")
    if data is None:
        return shapes, [None]
    return shapes, [(*data[:2], *attrs["target_shape"])]


@operator("SpatialTransformer", outputs=3, visible=1, shape=_transformer_shapes)
def spatial_transformer(
    data: Tensor, loc: Tensor, *, transform_type: str, sampler_type: str, target_shape: Dims = (0, 0)
) -> Tensor:
    """data (N, C, H, W) seen through the affine maps loc (N, 6): (N, C, *target_shape), interpolated, zeros outside."""
    needs(data.shape, 4, "input data should be 4D in batch-num_filter-y-x")
    if loc.dim() != 2 or loc.shape[1] != 6:
        raise MXNetError("incorrect location network shape[1], should be 6")
    if len(target_shape) != 2 or min(target_shape) < 1:
        raise MXNetError(f"incorrect target_shape: {list(target_shape)}")
    return _sampled(data, _affine_grid(loc, *target_shape))


def _correlation_sizes(height: int, width: int, attrs: Attrs) -> tuple[int, int, int]:
    """Radius of the displacements in steps, height and width of the result."""
    border = attrs["max_displacement"] + (attrs["kernel_size"] - 1) // 2
    sides = [
        -(-(size + 2 * attrs["pad_size"] - 2 * border) // attrs["stride1"]) if size >= 0 else -1
        for size in (height, width)
    ]
    if not all(side >= 1 or side == -1 for side in sides):
        raise MXNetError("Correlation cannot be done with current settings. Neighborhood and kernel don't fit in blob")
    return attrs["max_displacement"] // attrs["stride2"], sides[0], sides[1]


def _correlation_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    first = shapes[0] if shapes[0] is not None else shapes[1]
    needs(first, 4, "data should be a 4D tensor")
    if first is None:
        return shapes, [None]
    if attrs["kernel_size"] % 2 == 0:
        raise MXNetError("kernel size should be odd number")
    radius, height, width = _correlation_sizes(first[2], first[3], attrs)
    return [first, first], [(first[0], (2 * radius + 1) ** 2, height, width)]


@operator("Correlation", outputs=3, visible=1, shape=_correlation_shapes)
def correlation(
    data1: Tensor, data2: Tensor, *, kernel_size: int = 1, max_displacement: int = 1, stride1: int = 1,
    stride2: int = 1, pad_size: int = 0, is_multiply: bool = True,
) -> Tensor:  # fmt: skip
    """How patches of data1 resemble those of data2 around them; both (N, C, H, W).

    One channel for each displacement between ±max_displacement in steps of stride2: the mean over the channels and the
    patch of kernel_size of the product, or of the absolute difference without is_multiply; at every stride1-th place.
    """
    needs(data1.shape, 4, "data should be a 4D tensor")
    if data1.shape != data2.shape:
        raise inconsistent(data2.shape, data1.shape)
    if kernel_size % 2 == 0:
        raise MXNetError("kernel size should be odd number")
    attrs: dict[str, Any] = {
        "kernel_size": kernel_size, "max_displacement": max_displacement, "stride1": stride1, "stride2": stride2,
        "pad_size": pad_size,
    }  # fmt: skip
    radius, height, width = _correlation_sizes(data1.shape[2], data1.shape[3], attrs)
    grown = (height - 1) * stride1 + kernel_size, (width - 1) * stride1 + kernel_size
    edge = [pad_size] * 4
    first, second = (torch.nn.functional.pad(data, edge) for data in (data1, data2))
    # The last window may reach one stride too far; what it needs there is beyond the border.
    reach = max(0, max_displacement * 2 + grown[0] - first.shape[2], max_displacement * 2 + grown[1] - first.shape[3])
    if reach:
        first, second = (torch.nn.functional.pad(data, [0, reach, 0, reach]) for data in (first, second))

    def cut(data: Tensor, y: int, x: int) -> Tensor:
        top, left = max_displacement + y, max_displacement + x
        return data[:, :, top : top + grown[0], left : left + grown[1]]

    here = cut(first, 0, 0)
    found = []
    for y in range(-radius, radius + 1):
        for x in range(-radius, radius + 1):
            there = cut(second, y * stride2, x * stride2)
            # Where both are the same, MXNet's gradient is that of a difference above 0.
            alike = here * there if is_multiply else torch.where(here >= there, here - there, there - here)
            found.append(torch.nn.functional.avg_pool2d(alike.mean(1, keepdim=True), kernel_size, stride1))
    return torch.cat(found, 1)
