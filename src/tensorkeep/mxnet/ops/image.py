"""Pictures (H, W, C), some also (N, H, W, C): tensors from them, crops, sizes, mirrors, colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet._rng import below, generator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._random import serial_normal, serial_uniform
from tensorkeep.mxnet.ops._resize import resize
from tensorkeep.mxnet.ops._rules import DTypes


def _picture(data: Tensor, batches: bool) -> None:
    """Raise MXNetError unless it is a picture or, with `batches`, a batch of them."""
    if data.dim() == 3 or (batches and data.dim() == 4):
        return
    more = ", or (N, height, width, channels)" if batches else ""
    raise MXNetError(f"Input image must have shape (height, width, channels){more} but got {list(data.shape)}")


def _colours(data: Tensor) -> None:
    if data.shape[-1] not in (1, 3):
        raise MXNetError(f"Expect channel of the input image is 1 or 3, but got{data.shape[-1]}")


def _saturated(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Float values in the dtype of a picture: integers are cut off and kept within their range."""
    if dtype.is_floating_point:
        return values.to(dtype)
    limits = torch.iinfo(dtype)
    return values.clamp(limits.min, limits.max).to(dtype)


def _to_float32(dtypes: list[str | None], attrs: object) -> DTypes:
    return dtypes, ["float32"]


@operator("_image_to_tensor", dtype=_to_float32)
def to_tensor(data: Tensor) -> Tensor:
    """A picture (H, W, C) of values 0 to 255 as float32 (C, H, W) of values 0 to 1; a batch likewise."""
    _picture(data, batches=True)
    return (data / 255.0).to(torch.float32).movedim(-1, -3).contiguous()


@operator("_image_normalize")
def normalize(data: Tensor, *, mean: tuple[float, ...] = (0, 0, 0, 0), std: tuple[float, ...] = (1, 1, 1, 1)) -> Tensor:
    """(data - mean) / std of (C, H, W) or (N, C, H, W); one number for each of the 1 or 3 channels, or one for all."""
    if data.dim() not in (3, 4):
        raise MXNetError(
            "Input tensor must have shape (channels, height, width), or (N, channels, height, width), but got "
            f"{list(data.shape)}"
        )
    channels = data.shape[-3]
    if channels not in (1, 3):
        raise MXNetError(
            "The first dimension of input tensor must be the channel dimension with either 1 or 3 elements, but got "
            f"input with shape {list(data.shape)}"
        )
    sides = []
    for name, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise MXNetError(
                f"Invalid {name} for input with shape {list(data.shape)}. {name} must have either 1 or {channels} "
                f"elements, but got {list(values)}"
            )
        sides.append(torch.tensor(values, dtype=torch.float32, device=data.device).to(data.dtype).reshape(-1, 1, 1))
    return (data - sides[0]) / sides[1]


@operator("_image_crop")
def crop(data: Tensor, *, x: int, y: int, width: int, height: int) -> Tensor:
    """The part of a picture or of a batch that begins at column x and row y."""
    _picture(data, batches=True)
    _colours(data)
    if width <= 0 or height <= 0:
        raise MXNetError("Input height and width must be greater than 0")
    for name, start, size, limit in (("x", x, width, data.shape[-2]), ("y", y, height, data.shape[-3])):
        if start < 0 or start + size > limit:
            side = "width" if name == "x" else "height"
            raise MXNetError(
                f"{name} + {side} should not be greater than input {side}: {start} + {size}, the input has {limit}"
            )
    return data[..., y : y + height, x : x + width, :].clone()


@operator("_image_resize")
def image_resize(data: Tensor, *, size: tuple[int, ...] = (), keep_ratio: bool = False, interp: int = 1) -> Tensor:
    """A picture or a batch in another size, as OpenCV makes it.

    Args:
        size: (width, height), or one number for both; with keep_ratio=True one number for the shorter side.
        interp: 0 nearest, 1 bilinear, 2 bicubic, 3 by area, 4 Lanczos.
    """
    _picture(data, batches=True)
    _colours(data)
    if len(size) not in (1, 2):
        raise MXNetError(f"Input size dimension must be 1 or 2, but got {len(size)}")
    if min(size) <= 0:
        raise MXNetError(f"Input size should be greater than 0, but got {min(size)}")
    rows, columns = data.shape[-3:-1]
    width, height = size[0], size[-1]
    if len(size) == 1 and keep_ratio:
        if rows > columns:
            height = int(rows * width / columns)
        else:
            width = int(columns * height / rows)
    return resize(data, width, height, interp)


@operator("_image_flip_left_right")
def flip_left_right(data: Tensor) -> Tensor:
    """A picture with left and right exchanged."""
    _picture(data, batches=False)
    return data.flip(1)


@operator("_image_flip_top_bottom")
def flip_top_bottom(data: Tensor) -> Tensor:
    """A picture upside down."""
    _picture(data, batches=False)
    return data.flip(0)


def _tossed(data: Tensor, axis: int) -> Tensor:
    """The picture or its mirror image, each half of the time."""
    _picture(data, batches=False)
    if data.device.type == "meta" or serial_uniform(1, np.float64)[0] < 0.5:
        return data.clone()
    return data.flip(axis)


@operator("_image_random_flip_left_right")
def random_flip_left_right(data: Tensor) -> Tensor:
    """A picture, half of the time with left and right exchanged."""
    return _tossed(data, 1)


@operator("_image_random_flip_top_bottom")
def random_flip_top_bottom(data: Tensor) -> Tensor:
    """A picture, half of the time upside down."""
    return _tossed(data, 0)


def _between(low: float, high: float, data: Tensor) -> float:
    """One value from low to high; 1 when only shapes are asked."""
    if data.device.type == "meta":
        return 1.0
    unit = serial_uniform(1)[0]
    return float(unit * (np.float32(high) - np.float32(low)) + np.float32(low))


def _factors(low: float, high: float) -> None:
    if low > high:
        raise MXNetError(f"min_factor {low} must not be above max_factor {high}")


def _grey(values: Tensor) -> Tensor:
    """The brightness of each pixel: 0.299 red + 0.587 green + 0.114 blue; (H, W, 1)."""
    return values[..., :1] * 0.299 + values[..., 1:2] * 0.587 + values[..., 2:3] * 0.114


def _brightness(values: Tensor, factor: float) -> Tensor:
    return values * factor


def _contrast(values: Tensor, factor: float) -> Tensor:
    grey = _grey(values) if values.shape[-1] > 1 else values
    return values * factor + (1 - factor) * grey.mean()


def _saturation(values: Tensor, factor: float) -> Tensor:
    if values.shape[-1] == 1:
        return values
    # MXNet's loop over the channels keeps only its last term, blue's, of the grey image.
    return values[..., 2:] * 0.114 * (1 - factor) + values * factor


_SECTORS = ((1, 3, 0), (1, 0, 2), (3, 0, 1), (0, 2, 1), (0, 1, 3), (2, 1, 0))
"""For each sixth of the colour circle which of (most, least, falling, rising) blue, green and red are."""


def _hue(values: Tensor, turn: float) -> Tensor:
    """The colours turned by 360 * turn degrees, lightness and saturation kept."""
    if values.shape[-1] == 1:
        return values
    red, green, blue = (values / 255.0).unbind(-1)
    most, least = (values / 255.0).amax(-1), (values / 255.0).amin(-1)
    spread = most - least
    light = (most + least) * 0.5
    coloured = spread > torch.finfo(torch.float32).eps
    degrees = 60 / torch.where(coloured, spread, 1)
    hue = torch.where(
        most == red,
        (green - blue) * degrees,
        torch.where(most == green, (blue - red) * degrees + 120, (red - green) * degrees + 240),
    )
    hue = torch.where(hue < 0, hue + 360, hue)
    depth = torch.where(light < 0.5, spread / (most + least), spread / (2 - most - least))
    upper = torch.where(light <= 0.5, light * (1 + depth), light + depth - light * depth)
    lower = 2 * light - upper
    turned = ((hue + turn * 360) * (1 / 60)).remainder(6)
    sector = turned.to(torch.int64).clamp(0, 5)
    part = turned - sector
    table = torch.stack((upper, lower, lower + (upper - lower) * (1 - part), lower + (upper - lower) * part))
    order = torch.tensor(_SECTORS, device=values.device)[sector].movedim(-1, 0).flip(0)  # red, green, blue
    found = table.gather(0, order).movedim(0, -1)
    grey = light.unsqueeze(-1).expand_as(found)
    return torch.where((coloured & (depth != 0)).unsqueeze(-1), found, grey) * 255.0


def _changed(data: Tensor, change: Callable[[Tensor, float], Tensor], factor: float) -> Tensor:
    _picture(data, batches=False)
    _colours(data)
    return _saturated(change(data.to(torch.float32), factor), data.dtype)


@operator("_image_random_brightness")
def random_brightness(data: Tensor, *, min_factor: float, max_factor: float) -> Tensor:
    """A picture times a random factor."""
    _factors(min_factor, max_factor)
    return _changed(data, _brightness, _between(min_factor, max_factor, data))


@operator("_image_random_contrast")
def random_contrast(data: Tensor, *, min_factor: float, max_factor: float) -> Tensor:
    """A picture whose distance from its mean brightness is multiplied by a random factor."""
    _factors(min_factor, max_factor)
    return _changed(data, _contrast, _between(min_factor, max_factor, data))


@operator("_image_random_saturation")
def random_saturation(data: Tensor, *, min_factor: float, max_factor: float) -> Tensor:
    """A picture whose distance from its grey image (MXNet's: 0.114 blue) is multiplied by a random factor."""
    _factors(min_factor, max_factor)
    return _changed(data, _saturation, _between(min_factor, max_factor, data))


@operator("_image_random_hue")
def random_hue(data: Tensor, *, min_factor: float, max_factor: float) -> Tensor:
    """A picture whose colours are turned by a random part of the circle."""
    _factors(min_factor, max_factor)
    return _changed(data, _hue, _between(min_factor, max_factor, data))


def _order() -> list[int]:
    """0 to 3, shuffled as libstdc++'s std::shuffle does."""
    order = [0, 1, 2, 3]
    source = generator()
    with source.lock:
        picks = below(source.serial, np.array([2, 3, 4])).tolist()
    for i, j in enumerate(picks, 1):
        order[i], order[j] = order[j], order[i]
    return order


@operator("_image_random_color_jitter")
def random_color_jitter(data: Tensor, *, brightness: float, contrast: float, saturation: float, hue: float) -> Tensor:
    """Brightness, contrast, saturation and hue changed at random, in random order; by at most so much."""
    _picture(data, batches=False)
    _colours(data)
    if data.device.type == "meta":
        return torch.empty_like(data)
    found = data.clone()
    for number in _order():
        limit = (brightness, contrast, saturation, hue)[number]
        if limit <= 0:
            continue
        middle = 0.0 if number == 3 else 1.0
        factor = float(np.float32(middle + _between(-limit, limit, data)))
        found = _changed(found, (_brightness, _contrast, _saturation, _hue)[number], factor)
    return found


_AXES = (
    (55.46 * -0.5675, 4.794 * 0.7192, 1.148 * 0.4009),
    (55.46 * -0.5808, 4.794 * -0.0045, 1.148 * -0.8140),
    (55.46 * -0.5836, 4.794 * -0.6948, 1.148 * 0.4203),
)
"""How red, green and blue vary over ImageNet: its principal components times their deviations."""


@operator("_image_adjust_lighting")
def adjust_lighting(data: Tensor, *, alpha: tuple[float, ...]) -> Tensor:
    """A picture with `alpha` (three numbers) of ImageNet's principal colour components added."""
    _picture(data, batches=False)
    _colours(data)
    if len(alpha) != 3:
        raise MXNetError(f"alpha must have 3 elements, but got {list(alpha)}")
    if data.shape[-1] == 1:
        return data.clone()
    axes = torch.tensor(_AXES, dtype=torch.float32, device=data.device)
    shift = (axes * torch.tensor(alpha, dtype=torch.float32, device=data.device)).sum(-1)
    return _saturated(data.to(torch.float32) + shift, data.dtype)


@operator("_image_random_lighting")
def random_lighting(data: Tensor, *, alpha_std: float = 0.05) -> Tensor:
    """A picture with random amounts, of the deviation alpha_std, of ImageNet's principal colour components added."""
    if data.device.type == "meta":
        return adjust_lighting(data, alpha=(0.0, 0.0, 0.0))
    drawn = serial_normal(3) * np.float32(alpha_std)
    return adjust_lighting(data, alpha=tuple(drawn.tolist()))
