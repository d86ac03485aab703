"""Pictures with boxes: augmenters that change both, and ImageDetIter, which gives batches of them.

A label is a NumPy array (objects, 5 or more): class, left, top, right, bottom as parts of the picture, and what else the
file says of an object. Python's generator decides, in the order in which MXNet draws from it.
"""

from __future__ import annotations

import json
import logging
import random
import warnings
from math import sqrt
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.image._augment import (
    _EIGVAL,
    _EIGVEC,
    Augmenter,
    CastAug,
    ColorJitterAug,
    ColorNormalizeAug,
    ForceResizeAug,
    HueJitterAug,
    LightingAug,
    RandomGrayAug,
    ResizeAug,
    _statistics,
)
from tensorkeep.mxnet.image._iterator import ImageIter
from tensorkeep.mxnet.image.image import copyMakeBorder, fixed_crop
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "CreateDetAugmenter", "CreateMultiRandCropAugmenter", "DetAugmenter", "DetBorrowAug", "DetHorizontalFlipAug",
    "DetRandomCropAug", "DetRandomPadAug", "DetRandomSelectAug", "ImageDetIter",
]  # fmt: skip

Array = np.ndarray[Any, Any]


class DetAugmenter:
    """The base of augmenters of pictures with boxes: called with both, they give both."""

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {name: Augmenter._plain(value) for name, value in kwargs.items()}

    def dumps(self) -> Any:
        """JSON of its name and parameters."""
        return json.dumps([self.__class__.__name__.lower(), self._kwargs])

    def __call__(self, src: Any, label: Array) -> tuple[Any, Array]:
        """The changed picture and its boxes."""
        raise NotImplementedError("Must override implementation.")


class DetBorrowAug(DetAugmenter):
    """An augmenter of pictures that moves nothing in them: the boxes stay."""

    def __init__(self, augmenter: Augmenter) -> None:
        if not isinstance(augmenter, Augmenter):
            raise TypeError("Borrowing from invalid Augmenter")
        super().__init__(augmenter=augmenter.dumps())
        self.augmenter = augmenter

    def dumps(self) -> Any:
        """Its name and the dumps() of the augmenter."""
        return [self.__class__.__name__.lower(), self.augmenter.dumps()]

    def __call__(self, src: Any, label: Array) -> tuple[Any, Array]:
        """The changed picture and its boxes."""
        return self.augmenter(src), label


class DetRandomSelectAug(DetAugmenter):
    """One of several augmenters, or with the probability `skip_prob` none."""

    def __init__(self, aug_list: Any, skip_prob: float = 0) -> None:
        super().__init__(skip_prob=skip_prob)
        augmenters = list(aug_list) if isinstance(aug_list, (list, tuple)) else [aug_list]
        if not all(isinstance(each, DetAugmenter) for each in augmenters):
            raise ValueError("Allow DetAugmenter in list only")
        self.aug_list = augmenters
        self.skip_prob = skip_prob if augmenters else 1

    def dumps(self) -> Any:
        """Its name and the dumps() of its parts."""
        return [self.__class__.__name__.lower(), [each.dumps() for each in self.aug_list]]

    def __call__(self, src: Any, label: Array) -> tuple[Any, Array]:
        """The changed picture and its boxes."""
        if random.random() < self.skip_prob:
            return src, label
        random.shuffle(self.aug_list)
        found: tuple[Any, Array] = self.aug_list[0](src, label)
        return found


class DetHorizontalFlipAug(DetAugmenter):
    """Left and right exchanged with the probability p; the boxes are changed in place."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: Any, label: Array) -> tuple[Any, Array]:
        """The changed picture and its boxes."""
        if random.random() < self.p:
            src = wrap(src._t.detach().flip(1), src._ctx, type(src))
            label[:, 1], label[:, 3] = 1.0 - label[:, 3], 1.0 - label[:, 1]
        return src, label


def _range(given: Any, what: str, name: str) -> Any:
    if isinstance(given, (tuple, list)):
        return given
    logging.info("Using fixed %s: %s in %s", what, given, name)
    return given, given


class _Proposing(DetAugmenter):
    """Tries up to max_attempts random windows, and takes the first one that fits."""

    aspect_ratio_range: Any
    area_range: Any
    max_attempts: int
    enabled: bool

    def _settle(self, area_is_valid: bool) -> None:
        low, high = self.aspect_ratio_range
        name = self.__class__.__name__
        self.enabled = bool(area_is_valid and 0 < low <= high)
        if not area_is_valid:
            warnings.warn(f"Skip {name} due to invalid area_range: {self.area_range}", stacklevel=3)
        elif not self.enabled:
            warnings.warn(f"Skip {name} due to invalid aspect_ratio_range: {self.aspect_ratio_range}", stacklevel=3)

    def _limits(self, height: int, width: int) -> tuple[float, float]:
        return self.area_range[0] * height * width, self.area_range[1] * height * width


def _areas(boxes: Array) -> Array:
    found: Array = np.maximum(0, boxes[:, 3] - boxes[:, 1]) * np.maximum(0, boxes[:, 2] - boxes[:, 0])
    return found


class DetRandomCropAug(_Proposing):
    """A random part of the picture.

    Args:
        min_object_covered: how much of each box that the part touches it must hold.
        aspect_ratio_range: of its width to its height; one number for a fixed one.
        area_range: of its area to the picture's.
        min_eject_coverage: boxes of which less is left are dropped.
        max_attempts: after so many failures the picture stays whole.
    """

    def __init__(
        self,
        min_object_covered: float = 0.1,
        aspect_ratio_range: Any = (0.75, 1.33),
        area_range: Any = (0.05, 1.0),
        min_eject_coverage: float = 0.3,
        max_attempts: int = 50,
    ) -> None:
        ratios = _range(aspect_ratio_range, "aspect ratio", "DetRandomCropAug")
        areas = _range(area_range, "area range", "DetRandomCropAug")
        super().__init__(
            min_object_covered=min_object_covered, aspect_ratio_range=ratios, area_range=areas,
            min_eject_coverage=min_eject_coverage, max_attempts=max_attempts,
        )  # fmt: skip
        self.min_object_covered, self.min_eject_coverage = min_object_covered, min_eject_coverage
        self.max_attempts, self.aspect_ratio_range, self.area_range = max_attempts, ratios, areas
        self._settle(areas[1] > 0 and areas[0] <= areas[1])

    def __call__(self, src: Any, label: Array) -> tuple[Any, Array]:
        """The changed picture and its boxes."""
        height, width = src.shape[:2]
        for _ in range(self.max_attempts if self.enabled and height > 0 and width > 0 else 0):
            window = self._window(height, width)
            if window is None:
                continue
            x, y, w, h = window
            if self._holds_enough(label, x, y, x + w, y + h, width, height):
                left = self._moved(label, window, height, width)
                if left is not None:
                    return fixed_crop(src, x, y, w, h, None), left
        return src, label

    def _window(self, height: int, width: int) -> tuple[int, int, int, int] | None:
        low, high = self._limits(height, width)
        ratio = random.uniform(*self.aspect_ratio_range)
        if ratio <= 0:
            return None
        h, most = round(sqrt(low / ratio)), round(sqrt(high / ratio))
        if round(most * ratio) > width:
            most = int((width + 0.4999999) / ratio)
        most = min(most, height)
        h = min(h, most)
        if h < most:
            h = random.randint(h, most)
        w = round(h * ratio)
        if w * h < low:
            h += 1
            w = round(h * ratio)
        if w * h > high:
            h -= 1
            w = round(h * ratio)
        if not (low <= w * h <= high and 0 <= w <= width and 0 <= h <= height):
            return None
        y = random.randint(0, max(0, height - h))
        return random.randint(0, max(0, width - w)), y, w, h

    def _holds_enough(self, label: Array, x1: int, y1: int, x2: int, y2: int, width: int, height: int) -> bool:
        if (x2 - x1) * (y2 - y1) < 2:
            return False
        areas = _areas(label[:, 1:])
        counts = areas * width * height > 2
        if not counts.any():
            return False
        boxes = label[counts, 1:].copy()
        boxes[:, 0], boxes[:, 1] = np.maximum(boxes[:, 0], x1 / width), np.maximum(boxes[:, 1], y1 / height)
        boxes[:, 2], boxes[:, 3] = np.minimum(boxes[:, 2], x2 / width), np.minimum(boxes[:, 3], y2 / height)
        boxes[(boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])] = 0
        covered = _areas(boxes) / areas[counts]
        covered = covered[covered > 0]
        return bool(covered.size > 0 and covered.min() > self.min_object_covered)

    def _moved(self, label: Array, window: tuple[int, int, int, int], height: int, width: int) -> Array | None:
        """The boxes as parts of the window; None when none is left."""
        w, h = window[2] / width, window[3] / height
        found: Array = label.copy()
        found[:, (1, 3)] -= window[0] / width
        found[:, (2, 4)] -= window[1] / height
        found[:, (1, 3)] /= w
        found[:, (2, 4)] /= h
        found[:, 1:5] = np.clip(found[:, 1:5], 0, 1)
        covered = _areas(found[:, 1:]) * w * h / _areas(label[:, 1:])
        left = (found[:, 3] > found[:, 1]) & (found[:, 4] > found[:, 2]) & (covered > self.min_eject_coverage)
        return found[left] if left.any() else None


class DetRandomPadAug(_Proposing):
    """The picture somewhere on a larger one of the colour pad_val.

    Args:
        aspect_ratio_range: of the larger one's width to its height; one number for a fixed one.
        area_range: of its area to the picture's.
        max_attempts: after so many failures the picture stays as it is.
        pad_val: a number, or one for each channel.
    """

    def __init__(
        self,
        aspect_ratio_range: Any = (0.75, 1.33),
        area_range: Any = (1.0, 3.0),
        max_attempts: int = 50,
        pad_val: Any = (128, 128, 128),
    ) -> None:
        ratios = _range(aspect_ratio_range, "aspect ratio", "DetRandomPadAug")
        areas = _range(area_range, "area range", "DetRandomPadAug")
        super().__init__(aspect_ratio_range=ratios, area_range=areas, max_attempts=max_attempts, pad_val=pad_val)
        self.pad_val = pad_val if isinstance(pad_val, (list, tuple)) else (pad_val,) * 3
        self.aspect_ratio_range, self.area_range, self.max_attempts = ratios, areas, max_attempts
        self._settle(areas[1] > 1.0 and areas[0] <= areas[1])

    def __call__(self, src: Any, label: Array) -> tuple[Any, Array]:
        """The changed picture and its boxes."""
        height, width, _ = src.shape
        low, high = self._limits(height, width)
        for _ in range(self.max_attempts if self.enabled and height > 0 and width > 0 else 0):
            ratio = random.uniform(*self.aspect_ratio_range)
            if ratio <= 0:
                continue
            h, most = round(sqrt(low / ratio)), round(sqrt(high / ratio))
            if round(h * ratio) < width:
                h = int((width + 0.499999) / ratio)
            h = min(max(h, height), most)
            if h < most:
                h = random.randint(h, most)
            w = round(h * ratio)
            if h - height < 2 or w - width < 2:
                continue
            y = random.randint(0, max(0, h - height))
            x = random.randint(0, max(0, w - width))
            found = label.copy()
            found[:, (1, 3)] = (found[:, (1, 3)] * width + x) / w
            found[:, (2, 4)] = (found[:, (2, 4)] * height + y) / h
            return copyMakeBorder(src, y, h - y - height, x, w - x - width, 0, values=self.pad_val), found
        return src, label


def CreateMultiRandCropAugmenter(
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 1.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    skip_prob: float = 0,
) -> DetRandomSelectAug:
    """One of several DetRandomCropAug: each parameter may be a list, of one item or of as many as the others."""
    given = (min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts)
    lists = [value if isinstance(value, list) else [value] for value in given]
    count = max(len(values) for values in lists)
    assert all(len(values) in (1, count) for values in lists), "the lists have different lengths"
    crops = zip(*[values * count if len(values) == 1 else values for values in lists], strict=True)
    return DetRandomSelectAug([DetRandomCropAug(*crop) for crop in crops], skip_prob=skip_prob)


def CreateDetAugmenter(
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: float = 0,
    rand_pad: float = 0,
    rand_gray: float = 0,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    pca_noise: float = 0,
    hue: float = 0,
    inter_method: int = 2,
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 3.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    pad_val: Any = (127, 127, 127),
) -> list[DetAugmenter]:
    """A list of augmenters, which ends in float32 pictures of data_shape (channels, height, width).

    Args:
        resize: of the shorter side, first.
        rand_crop, rand_pad, rand_gray: how probable each is.
        rand_mirror: mirrored half of the time.
        min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts: see DetRandomCropAug and
            CreateMultiRandCropAugmenter.
        pad_val: see DetRandomPadAug.
        mean, std, brightness, contrast, saturation, pca_noise, hue, inter_method: see CreateAugmenter.
    """
    found: list[DetAugmenter] = [DetBorrowAug(ResizeAug(resize, inter_method))] if resize > 0 else []
    if rand_crop > 0:
        crop = (min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts)
        found.append(CreateMultiRandCropAugmenter(*crop, skip_prob=1 - rand_crop))
    if rand_mirror:
        found.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        pad = DetRandomPadAug(aspect_ratio_range, (1.0, area_range[1]), max_attempts, pad_val)
        found.append(DetRandomSelectAug([pad], 1 - rand_pad))
    borrowed: list[Augmenter] = [ForceResizeAug((data_shape[2], data_shape[1]), inter_method), CastAug()]
    if brightness or contrast or saturation:
        borrowed.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        borrowed.append(HueJitterAug(hue))
    if pca_noise > 0:
        borrowed.append(LightingAug(pca_noise, _EIGVAL, _EIGVEC))
    if rand_gray > 0:
        borrowed.append(RandomGrayAug(rand_gray))
    mean = np.array([123.68, 116.28, 103.53]) if mean is True else _statistics(mean, [])
    std = np.array([58.395, 57.12, 57.375]) if std is True else _statistics(std, [])
    if mean is not None or std is not None:
        borrowed.append(ColorNormalizeAug(mean, std))
    return [*found, *[DetBorrowAug(each) for each in borrowed]]


class ImageDetIter(ImageIter):
    """Batches of pictures, (batch, channels, height, width) float32, and of their boxes, (batch, most objects, width).

    Rows of the labels behind a picture's last object are -1. In the files a label is: how many numbers stand before the
    objects (2 or more, this one included), how many an object has (5 or more), …, the objects one after another.

    Args:
        aug_list: the augmenters; by default those of CreateDetAugmenter(data_shape, **kwargs).
        batch_size, data_shape and the others: see ImageIter.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        path_imgrec: str | None = None,
        path_imglist: str | None = None,
        path_root: str | None = None,
        path_imgidx: str | None = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: Any = None,
        imglist: Any = None,
        data_name: str = "data",
        label_name: str = "label",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            batch_size, data_shape, path_imgrec=path_imgrec, path_imglist=path_imglist, path_root=path_root,
            path_imgidx=path_imgidx, shuffle=shuffle, part_index=part_index, num_parts=num_parts, aug_list=[],
            imglist=imglist, data_name=data_name, label_name=label_name, last_batch_handle=last_batch_handle,
        )  # fmt: skip
        self.auglist = CreateDetAugmenter(data_shape, **kwargs) if aug_list is None else aug_list
        self.label_shape = self._largest_label()
        self.provide_label: list[Any] = [(label_name, (batch_size, *self.label_shape))]

    def _largest_label(self) -> tuple[int, int]:
        most, width = 0, 0
        self.reset()
        try:
            while True:
                label = self._objects(self.next_sample()[0])
                most, width = max(most, label.shape[0]), label.shape[1]
        except StopIteration:
            pass
        self.reset()
        return most, width

    def _objects(self, label: Any) -> Array:
        """The objects of a label as a file has it, without those whose boxes are empty.

        Raises:
            RuntimeError: it is none, or has none.
        """
        raw = (label.asnumpy() if isinstance(label, NDArray) else np.asarray(label)).ravel()
        if raw.size < 7:
            raise RuntimeError(f"Label shape is invalid: {raw.shape}")
        before, width = int(raw[0]), int(raw[1])
        if before < 2 or width < 5 or (raw.size - before) % width:
            raise RuntimeError(f"Label shape {raw.shape} inconsistent with annotation width {width}.")
        found: Array = raw[before:].reshape(-1, width)
        found = found[(found[:, 3] > found[:, 1]) & (found[:, 4] > found[:, 2])]
        if not len(found):
            raise RuntimeError("Encounter sample with no valid label.")
        return found

    def _check_objects(self, label: Array) -> None:
        if label.ndim != 2 or label.shape[1] < 5:
            raise RuntimeError(f"Label with shape (1+, 5+) required, {label} received.")
        if not ((label[:, 0] >= 0) & (label[:, 3] > label[:, 1]) & (label[:, 4] > label[:, 2])).any():
            raise RuntimeError("Invalid label occurs.")

    def _fill(self, data: Any, labels: Any, start: int) -> int:
        at = start
        while at < self.batch_size:
            try:
                label, packed = self.next_sample()
            except StopIteration:
                if not at:
                    raise
                break
            picture = self.imdecode(packed)
            try:
                self.check_valid_image([picture])
                picture, objects = self.augmentation_transform(picture, self._objects(label))
                self._check_objects(objects)
            except RuntimeError as err:
                logging.debug("Invalid image, skipping:  %s", err)
                continue
            data._t[at] = self.postprocess_data(picture)._t
            labels._t[at] = -1
            labels._t[at, : len(objects)] = torch.from_numpy(np.ascontiguousarray(objects, dtype="float32"))
            at += 1
        return at

    def augmentation_transform(self, data: Any, label: Any = None) -> Any:
        """The picture and its boxes after all augmenters."""
        augmenters: list[Any] = self.auglist
        for each in augmenters:
            data, label = each(data, label)
        return data, label

    def reshape(self, data_shape: Any = None, label_shape: Any = None) -> None:
        """Give pictures and labels of other shapes from now on.

        Raises:
            ValueError: the labels would be fewer, or of another width.
        """
        if data_shape is not None:
            self.check_data_shape(data_shape)
            self.provide_data = [(self.provide_data[0][0], (self.batch_size, *data_shape))]
            self.data_shape = data_shape
        if label_shape is not None:
            self.check_label_shape(label_shape)
            self.provide_label = [(self.provide_label[0][0], (self.batch_size, *label_shape))]
            self.label_shape = label_shape

    def check_label_shape(self, label_shape: Any) -> None:
        """Raise ValueError unless it holds at least as many objects, of the same width."""
        if len(label_shape) != 2:
            raise ValueError("label_shape should have length 2")
        if label_shape[0] < self.label_shape[0]:
            raise ValueError(
                f"Attempts to reduce label count from {self.label_shape[0]} to {label_shape[0]}, not allowed."
            )
        if label_shape[1] != self.label_shape[1]:
            raise ValueError(f"label_shape object width inconsistent: {self.label_shape[1]} vs {label_shape[1]}.")

    def sync_label_shape(self, it: ImageDetIter, verbose: bool = False) -> ImageDetIter:
        """The other iterator, after both were told to give as many objects as the larger of them."""
        assert isinstance(it, ImageDetIter), "Synchronize with invalid iterator."
        assert self.label_shape[1] == it.label_shape[1], "object width mismatch."
        counts = self.label_shape[0], it.label_shape[0]
        for each in (self, it):
            if max(counts) > each.label_shape[0]:
                each.reshape(None, (max(counts), each.label_shape[1]))
        if verbose and counts[0] != counts[1]:
            logging.info("Resized label_shape to (%d, %d).", max(counts), self.label_shape[1])
        return it

    def draw_next(self, *args: Any, **kwargs: Any) -> Any:
        """Not there: nothing here opens windows or draws.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "ImageDetIter.draw_next: tensorkeep draws no pictures. Draw the boxes of next().label on next().data with "
            "matplotlib or OpenCV."
        )


claim(globals(), "mxnet.image.detection")
