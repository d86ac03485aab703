"""Transforms of images: (height, width, channels) bytes until ToTensor, (channels, height, width) floats after it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.block import Block, HybridBlock
from tensorkeep.mxnet.gluon.nn import HybridSequential, Sequential

__all__ = [
    "Cast", "CenterCrop", "Compose", "CropResize", "Normalize", "RandomApply", "RandomBrightness",
    "RandomColorJitter", "RandomContrast", "RandomFlipLeftRight", "RandomFlipTopBottom", "RandomHue",
    "RandomLighting", "RandomResizedCrop", "RandomRotation", "RandomSaturation", "Resize", "Rotate", "ToTensor",
]  # fmt: skip

_FLOAT32_ONLY = "This transformation only supports float32. Consider calling it after ToTensor"
Size = int | tuple[int, int]


def _own(F: Any) -> Any:
    return F.npx if state.np_array else F


def _pair(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, (int, float, np.generic)) else size


class Compose(Sequential):
    """Transforms one after the other; those that can be hybridized are, in rows."""

    def __init__(self, transforms: list[Block | Callable[..., Any]]) -> None:
        super().__init__()
        row: list[Any] = []
        for transform in [*transforms, None]:
            if isinstance(transform, HybridBlock):
                row.append(transform)
                continue
            if len(row) > 1:
                together = HybridSequential()
                together.add(*row)
                together.hybridize()
                row = [together]
            self.add(*row)
            row = []
            if transform is not None:
                self.add(transform)  # type: ignore[arg-type]  # MXNet takes any callable


class Cast(HybridBlock):
    """The image in another dtype."""

    def __init__(self, dtype: Any = "float32") -> None:
        super().__init__()
        self._dtype = dtype

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x in another dtype."""
        return _own(F).cast(x, self._dtype)


class ToTensor(HybridBlock):
    """(h, w, c) bytes 0 to 255 → (c, h, w) float32 0 to 1; with a batch axis before, where there is one."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x as floats, channels first."""
        return _own(F).image.to_tensor(x)


class Normalize(HybridBlock):
    """(x - mean) / std, for each channel of (c, h, w)."""

    def __init__(self, mean: Any = 0.0, std: Any = 1.0) -> None:
        super().__init__()
        self._mean = mean
        self._std = std

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, normalised."""
        return _own(F).image.normalize(x, self._mean, self._std)


class Rotate(Block):
    """The image turned by a fixed angle in degrees, counter-clockwise.

    Args:
        zoom_in: so far that no corner is empty.
        zoom_out: so far that nothing is cut off.
    """

    def __init__(self, rotation_degrees: float, zoom_in: bool = False, zoom_out: bool = False) -> None:
        super().__init__()
        self._args = (rotation_degrees, zoom_in, zoom_out)

    def forward(self, x: Any) -> Any:
        """x, turned."""
        from tensorkeep.mxnet import image

        if x.dtype is not np.float32:
            raise TypeError(_FLOAT32_ONLY)
        return image.imrotate(x, *self._args)


class RandomRotation(Block):
    """The image turned by an angle between two limits, sometimes.

    Args:
        angle_limits: the least and the greatest angle, in degrees.
        rotate_with_proba: how often.
    Raises:
        ValueError: limits or probability make no sense.
    """

    def __init__(
        self,
        angle_limits: tuple[float, float],
        zoom_in: bool = False,
        zoom_out: bool = False,
        rotate_with_proba: float = 1.0,
    ) -> None:
        super().__init__()
        lower, upper = angle_limits
        if lower >= upper:
            raise ValueError("`angle_limits` must be an ordered tuple")
        if not 0 <= rotate_with_proba <= 1:
            raise ValueError("Probability of rotating the image should be between 0 and 1")
        self._args = (angle_limits, zoom_in, zoom_out)
        self._rotate_with_proba = rotate_with_proba

    def forward(self, x: Any) -> Any:
        """x, turned."""
        from tensorkeep.mxnet import image

        if np.random.random() > self._rotate_with_proba:
            return x
        if x.dtype is not np.float32:
            raise TypeError(_FLOAT32_ONLY)
        return image.random_rotate(x, *self._args)


class RandomResizedCrop(Block):
    """A part of the image, in a fixed size.

    Args:
        size: (width, height), or one number for both.
        scale: the least and the greatest share of the area.
        ratio: the least and the greatest ratio of width and height.
        interpolation: as OpenCV numbers it.
    """

    def __init__(
        self,
        size: Size,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: int = 1,
    ) -> None:
        super().__init__()
        self._args = (_pair(size), scale, ratio, interpolation)

    def forward(self, x: Any) -> Any:
        """A part of x."""
        from tensorkeep.mxnet import image

        return image.random_size_crop(x, *self._args)[0]


class CropResize(HybridBlock):
    """The part of the image from (x, y), `width` wide and `height` high, in another size where one is given."""

    def __init__(
        self, x: int, y: int, width: int, height: int, size: Size | None = None, interpolation: int | None = None
    ) -> None:
        super().__init__()
        self._box = (x, y, width, height)
        self._size = size
        self._interpolation = interpolation

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """A part of x."""
        own = _own(F)
        out = own.image.crop(x, *self._box)
        return own.image.resize(out, self._size, False, self._interpolation) if self._size else out


class CenterCrop(Block):
    """The middle of the image, in a fixed size (width, height); smaller images are made larger."""

    def __init__(self, size: Size, interpolation: int = 1) -> None:
        super().__init__()
        self._args = (_pair(size), interpolation)

    def forward(self, x: Any) -> Any:
        """The middle of x."""
        from tensorkeep.mxnet import image

        return image.center_crop(x, *self._args)[0]


class Resize(HybridBlock):
    """The image in another size.

    Args:
        size: (width, height), or one number for both (with `keep_ratio`, of the shorter side).
    """

    def __init__(self, size: Size, keep_ratio: bool = False, interpolation: int = 1) -> None:
        super().__init__()
        self._keep = keep_ratio
        self._size = size
        self._interpolation = interpolation

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x in another size."""
        return _own(F).image.resize(x, self._size, self._keep, self._interpolation)


class _Random(HybridBlock):
    """A transform that is an operator of `F.image`, with arguments."""

    _operator: ClassVar[str]
    _args: tuple[float, ...] = ()

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, changed by chance."""
        return getattr(_own(F).image, self._operator)(x, *self._args)


class RandomFlipLeftRight(_Random):
    """The image, or its mirror image."""

    _operator = "random_flip_left_right"


class RandomFlipTopBottom(_Random):
    """The image, or the same upside down."""

    _operator = "random_flip_top_bottom"


def _around_one(change: float) -> tuple[float, float]:
    return max(0, 1 - change), 1 + change


class RandomBrightness(_Random):
    """The image times a number between 1 - brightness and 1 + brightness."""

    _operator = "random_brightness"

    def __init__(self, brightness: float) -> None:
        super().__init__()
        self._args = _around_one(brightness)


class RandomContrast(_Random):
    """Contrast times a number between 1 - contrast and 1 + contrast."""

    _operator = "random_contrast"

    def __init__(self, contrast: float) -> None:
        super().__init__()
        self._args = _around_one(contrast)


class RandomSaturation(_Random):
    """Saturation times a number between 1 - saturation and 1 + saturation."""

    _operator = "random_saturation"

    def __init__(self, saturation: float) -> None:
        super().__init__()
        self._args = _around_one(saturation)


class RandomHue(_Random):
    """Hues turned by up to `hue` of a circle."""

    _operator = "random_hue"

    def __init__(self, hue: float) -> None:
        super().__init__()
        self._args = _around_one(hue)


class RandomColorJitter(_Random):
    """Brightness, contrast, saturation and hue changed, in an order of chance."""

    _operator = "random_color_jitter"

    def __init__(self, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0) -> None:
        super().__init__()
        self._args = (brightness, contrast, saturation, hue)


class RandomLighting(_Random):
    """Noise along the principal colours of ImageNet, with standard deviation `alpha`."""

    _operator = "random_lighting"

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self._args = (alpha,)


class RandomApply(Sequential):
    """A transform, sometimes.

    Args:
        p: how often.
    """

    def __init__(self, transforms: Any, p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, x: Any) -> Any:
        """x, transformed or as it is."""
        return x if self.p < random.random() else self.transforms(x)


claim(globals())
