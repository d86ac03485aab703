"""Augmenters: changes of pictures, many of them random (Python's and NumPy's generators decide, as in MXNet)."""

from __future__ import annotations

import json
import random
import warnings
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.image.image import (
    _get_interp_method,
    center_crop,
    color_normalize,
    imresize,
    random_crop,
    random_size_crop,
    resize_short,
)
from tensorkeep.mxnet.ndarray.ndarray import NDArray, array

__all__ = [
    "Augmenter", "BrightnessJitterAug", "CastAug", "CenterCropAug", "ColorJitterAug", "ColorNormalizeAug",
    "ContrastJitterAug", "CreateAugmenter", "ForceResizeAug", "HorizontalFlipAug", "HueJitterAug", "LightingAug",
    "RandomCropAug", "RandomGrayAug", "RandomOrderAug", "RandomSizedCropAug", "ResizeAug", "SaturationJitterAug",
    "SequentialAug",
]  # fmt: skip

_GREY = (0.299, 0.587, 0.114)
"""How much of red, green and blue is in grey."""


def _array(values: Any) -> NDArray:
    return array(np.asarray(values, dtype="float32"))


def _like(src: Any, tensor: torch.Tensor) -> Any:
    return wrap(tensor, src._ctx, type(src))


class Augmenter:
    """The base of augmenters: called with a picture, they give one. What they are made of stands in dumps()."""

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {name: self._plain(value) for name, value in kwargs.items()}

    @staticmethod
    def _plain(value: Any) -> Any:
        value = value.asnumpy() if isinstance(value, NDArray) else value
        return value.tolist() if isinstance(value, np.ndarray) else value

    def dumps(self) -> Any:
        """JSON of its name and parameters."""
        return json.dumps([self.__class__.__name__.lower(), self._kwargs])

    def __call__(self, src: Any) -> Any:
        """The changed picture; float pictures may be changed in place."""
        raise NotImplementedError("Must override implementation.")


class _Several(Augmenter):
    def __init__(self, ts: list[Augmenter]) -> None:
        super().__init__()
        self.ts = ts

    def dumps(self) -> Any:
        """Its name and the dumps() of its parts."""
        return [self.__class__.__name__.lower(), [each.dumps() for each in self.ts]]

    def __call__(self, src: Any) -> Any:
        """The picture after all of them."""
        for each in self.ts:
            src = each(src)
        return src


class SequentialAug(_Several):
    """Augmenters one after another."""


class RandomOrderAug(_Several):
    """Augmenters in a random order."""

    def __call__(self, src: Any) -> Any:
        """The picture after all of them."""
        random.shuffle(self.ts)
        return super().__call__(src)


class ResizeAug(Augmenter):
    """The shorter side has `size` pixels."""

    def __init__(self, size: int, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size = size
        self.interp = interp

    def __call__(self, src: Any) -> Any:
        """The picture in its new size."""
        return resize_short(src, self.size, self.interp)


class ForceResizeAug(Augmenter):
    """The picture has `size` (width, height), whatever its proportions were."""

    def __init__(self, size: tuple[int, int], interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size = size
        self.interp = interp

    def __call__(self, src: Any) -> Any:
        """The picture in its new size."""
        sizes = (src.shape[0], src.shape[1], self.size[1], self.size[0])
        return imresize(src, *self.size, interp=_get_interp_method(self.interp, sizes))


class RandomCropAug(Augmenter):
    """A part of `size` (width, height) from anywhere."""

    def __init__(self, size: tuple[int, int], interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size = size
        self.interp = interp

    def __call__(self, src: Any) -> Any:
        """The part."""
        return random_crop(src, self.size, self.interp)[0]


class RandomSizedCropAug(Augmenter):
    """A part of random area and ratio, resized to `size` (width, height); see random_size_crop()."""

    def __init__(self, size: tuple[int, int], area: Any, ratio: Any, interp: int = 2, **kwargs: Any) -> None:
        super().__init__(size=size, area=area, ratio=ratio, interp=interp)
        self.size = size
        if "min_area" in kwargs:
            warnings.warn("`min_area` is deprecated. Please use `area` instead.", DeprecationWarning, stacklevel=2)
            area = kwargs.pop("min_area")
        self.area = area
        self.ratio = ratio
        self.interp = interp
        assert not kwargs, "unexpected keyword arguments for `RandomSizedCropAug`."

    def __call__(self, src: Any) -> Any:
        """The part."""
        return random_size_crop(src, self.size, self.area, self.ratio, self.interp)[0]


class CenterCropAug(Augmenter):
    """The part of `size` (width, height) in the middle."""

    def __init__(self, size: tuple[int, int], interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size = size
        self.interp = interp

    def __call__(self, src: Any) -> Any:
        """The part."""
        return center_crop(src, self.size, self.interp)[0]


class BrightnessJitterAug(Augmenter):
    """Times a random number between 1 - brightness and 1 + brightness."""

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness=brightness)
        self.brightness = brightness

    def __call__(self, src: Any) -> Any:
        """The picture, changed in place."""
        src *= 1.0 + random.uniform(-self.brightness, self.brightness)
        return src


class ContrastJitterAug(Augmenter):
    """Closer to its mean grey or further from it, by up to `contrast`."""

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast=contrast)
        self.contrast = contrast
        self.coef = _array([[_GREY]])

    def __call__(self, src: Any) -> Any:
        """The picture, changed in place."""
        alpha = 1.0 + random.uniform(-self.contrast, self.contrast)
        grey = src._t.detach() * self.coef._t
        grey = grey.sum() * (3.0 * (1.0 - alpha) / grey.numel())
        src *= alpha
        src += _like(src, grey.reshape(1))
        return src


class SaturationJitterAug(Augmenter):
    """Closer to grey or further from it, by up to `saturation`."""

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation=saturation)
        self.saturation = saturation
        self.coef = _array([[_GREY]])

    def __call__(self, src: Any) -> Any:
        """The picture, changed in place."""
        alpha = 1.0 + random.uniform(-self.saturation, self.saturation)
        grey = (src._t.detach() * self.coef._t).sum(2, keepdim=True) * (1.0 - alpha)
        src *= alpha
        src += _like(src, grey)
        return src


class HueJitterAug(Augmenter):
    """Colours turned in the YIQ space by up to `hue` half circles."""

    def __init__(self, hue: float) -> None:
        super().__init__(hue=hue)
        self.hue = hue
        self.tyiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
        self.ityiq = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])

    def __call__(self, src: Any) -> Any:
        """The changed picture."""
        alpha = random.uniform(-self.hue, self.hue)
        u, w = np.cos(alpha * np.pi), np.sin(alpha * np.pi)
        turned = np.array([[1.0, 0.0, 0.0], [0.0, u, -w], [0.0, w, u]])
        matrix = np.dot(np.dot(self.ityiq, turned), self.tyiq).T
        return _like(src, src._t.detach() @ _array(matrix)._t)


class ColorJitterAug(RandomOrderAug):
    """Brightness, contrast and saturation in a random order."""

    def __init__(self, brightness: float, contrast: float, saturation: float) -> None:
        ts: list[Augmenter] = []
        if brightness > 0:
            ts.append(BrightnessJitterAug(brightness))
        if contrast > 0:
            ts.append(ContrastJitterAug(contrast))
        if saturation > 0:
            ts.append(SaturationJitterAug(saturation))
        super().__init__(ts)


class LightingAug(Augmenter):
    """Noise along the principal components of colours (AlexNet)."""

    def __init__(self, alphastd: float, eigval: Any, eigvec: Any) -> None:
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd = alphastd
        self.eigval = eigval
        self.eigvec = eigvec

    def __call__(self, src: Any) -> Any:
        """The picture, changed in place."""
        alpha = np.random.normal(0, self.alphastd, size=(3,))
        src += _array(np.dot(self.eigvec * alpha, self.eigval))
        return src


class ColorNormalizeAug(Augmenter):
    """(picture - mean) / std."""

    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__(mean=mean, std=std)
        self.mean = mean if mean is None or isinstance(mean, NDArray) else _array(mean)
        self.std = std if std is None or isinstance(std, NDArray) else _array(std)

    def __call__(self, src: Any) -> Any:
        """The picture, changed in place."""
        return color_normalize(src, self.mean, self.std)


class RandomGrayAug(Augmenter):
    """Grey with the probability p."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p
        self.mat = _array([[0.21] * 3, [0.72] * 3, [0.07] * 3])

    def __call__(self, src: Any) -> Any:
        """The picture, or a grey one."""
        return _like(src, src._t.detach() @ self.mat._t) if random.random() < self.p else src


class HorizontalFlipAug(Augmenter):
    """Left and right exchanged with the probability p."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: Any) -> Any:
        """The picture, or its mirror image."""
        return _like(src, src._t.detach().flip(1)) if random.random() < self.p else src


class CastAug(Augmenter):
    """Another dtype: float32 by default."""

    def __init__(self, typ: Any = "float32") -> None:
        super().__init__(type=typ)
        self.typ = typ

    def __call__(self, src: Any) -> Any:
        """A copy in that dtype."""
        return src.astype(self.typ)


_EIGVAL = np.array([55.46, 4.794, 1.148])
_EIGVEC = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
"""The principal components of ImageNet's colours (Krizhevsky et al., 2012)."""


def _statistics(given: Any, standard: list[float]) -> Any:
    if given is True:
        return _array(standard)
    if given is not None:
        assert isinstance(given, (np.ndarray, NDArray))
        assert given.shape[0] in (1, 3)
    return given


def CreateAugmenter(
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: bool = False,
    rand_resize: bool = False,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    pca_noise: float = 0,
    rand_gray: float = 0,
    inter_method: int = 2,
) -> list[Augmenter]:
    """A list of augmenters, which ends in float32 pictures of data_shape (channels, height, width).

    Args:
        resize: of the shorter side, first.
        rand_crop, rand_resize, rand_mirror: random instead of fixed.
        mean, std: True for ImageNet's, an array, or None.
        brightness, contrast, saturation, hue, pca_noise, rand_gray: how much of each.
        inter_method: see imresize(); 9 by the sizes, 10 any.
    """
    size = (data_shape[2], data_shape[1])
    found: list[Augmenter] = [ResizeAug(resize, inter_method)] if resize > 0 else []
    if rand_resize:
        assert rand_crop
        found.append(RandomSizedCropAug(size, 0.08, (3.0 / 4.0, 4.0 / 3.0), inter_method))
    elif rand_crop:
        found.append(RandomCropAug(size, inter_method))
    else:
        found.append(CenterCropAug(size, inter_method))
    if rand_mirror:
        found.append(HorizontalFlipAug(0.5))
    found.append(CastAug())
    if brightness or contrast or saturation:
        found.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        found.append(HueJitterAug(hue))
    if pca_noise > 0:
        found.append(LightingAug(pca_noise, _EIGVAL, _EIGVEC))
    if rand_gray > 0:
        found.append(RandomGrayAug(rand_gray))
    mean, std = _statistics(mean, [123.68, 116.28, 103.53]), _statistics(std, [58.395, 57.12, 57.375])
    if mean is not None or std is not None:
        found.append(ColorNormalizeAug(mean, std))
    return found


claim(globals(), "mxnet.image.image")
