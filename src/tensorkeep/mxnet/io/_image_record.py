"""ImageRecordIter: batches of pictures from a record file."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.io._readers import _REQUIRED, BatchLoader, _no_positions, options
from tensorkeep.mxnet.io.io import MXDataIter
from tensorkeep.mxnet.ndarray.utils import array

__all__ = ["ImageRecordIter", "ImageRecordIter_v1", "ImageRecordUInt8Iter"]

Array = np.ndarray[Any, Any]
_REFUSED = (
    "brightness", "contrast", "fill_value", "hue", "max_aspect_ratio", "max_crop_size", "max_img_size",
    "max_random_area", "max_random_scale", "max_rotate_angle", "max_shear_ratio", "mean_a", "mean_img", "min_crop_size",
    "min_img_size", "min_random_area", "min_random_scale", "min_aspect_ratio", "pad", "path_imglist", "pca_noise",
    "random_h", "random_l", "random_resized_crop", "random_s", "rotate", "saturation", "std_a",
)  # fmt: skip
"""Parameters that change pictures in ways that are not computed here: refused, not passed over."""


def _offsets(reader: Any) -> list[int]:
    """Where each record begins."""
    found: list[int] = []
    while True:
        at = reader._file.tell()
        if reader.read() is None:
            return found
        found.append(at)


class _Pictures:
    """Examples of a record file by their numbers, decoded when they are asked for."""

    def __init__(self, o: dict[str, Any], given: dict[str, Any], dtype: str) -> None:
        from tensorkeep.mxnet.recordio import MXIndexedRecordIO, MXRecordIO

        wrong = [name for name in _REFUSED if name in given]
        if wrong:
            raise MXNetError(
                f"ImageRecordIter: {', '.join(wrong)} cannot be computed here. mx.image.ImageIter has augmenters."
            )
        if o["path_imgidx"]:
            reader: Any = MXIndexedRecordIO(o["path_imgidx"], o["path_imgrec"], "r")
            self._places = [reader.idx[key] for key in reader.keys]
        else:
            reader = MXRecordIO(o["path_imgrec"], "r")
            self._places = _offsets(reader)
        self._reader, self._options, self._dtype = reader, o, dtype
        self._random = random.Random(o["seed"])
        parts, part = o["num_parts"], o["part_index"]
        count = len(self._places)
        self._places = self._places[count * part // parts : count * (part + 1) // parts]
        self.count = len(self._places)
        if o["shuffle"]:
            self._random.shuffle(self._places)
        self._mean = np.array([o[f"mean_{c}"] for c in "rgb"], np.float32).reshape(3, 1, 1)
        self._std = np.array([o[f"std_{c}"] for c in "rgb"], np.float32).reshape(3, 1, 1)

    def make(self, index: Array) -> tuple[Any, Any]:
        examples = [self._one(self._places[i]) for i in index.tolist()]
        data = np.stack([picture for _, picture in examples])
        labels = np.stack([label for label, _ in examples])
        width = self._options["label_width"]
        return array(data, dtype=self._dtype), array(labels[:, 0] if width == 1 else labels, dtype="float32")

    def _one(self, place: int) -> tuple[Array, Array]:
        from tensorkeep.mxnet.image._codec import decode
        from tensorkeep.mxnet.recordio import unpack

        self._reader._file.seek(place)
        header, packed = unpack(self._reader.read())
        label = np.atleast_1d(np.asarray(header.label, np.float32))
        width = self._options["label_width"]
        if len(label) < width:
            raise MXNetError(f"A record has {len(label)} labels, label_width is {width}")
        channels = self._options["data_shape"][0]
        picture = decode(packed, 0 if channels == 1 else 1)
        picture = self._cut(picture if picture.ndim == 3 else picture[..., None])
        if self._dtype == "uint8":
            return label[:width], picture
        values = picture.astype(np.float32)
        if channels == 3:
            values = (values - self._mean) / self._std
        return label[:width], values * np.float32(self._options["scale"])

    def _cut(self, picture: Array) -> Array:
        """(channels, height, width) of the size that was asked for."""
        from tensorkeep.mxnet.image._resize import resize

        o = self._options
        h, w = picture.shape[:2]
        if o["resize"] > 0:
            short = o["resize"]
            size = (short, h * short // w) if h > w else (w * short // h, short)
            picture = resize(picture, *size, o["inter_method"])
            h, w = picture.shape[:2]
        _, height, width = o["data_shape"]
        if h < height or w < width:
            raise MXNetError(f"A picture of {h} x {w} is smaller than data_shape {o['data_shape']}; set resize=")
        y, x = (h - height) // 2, (w - width) // 2
        if o["rand_crop"]:
            y, x = self._random.randint(0, h - height), self._random.randint(0, w - width)
        picture = picture[y : y + height, x : x + width]
        if o["mirror"] or (o["rand_mirror"] and self._random.random() < 0.5):
            picture = picture[:, ::-1]
        return np.ascontiguousarray(picture.transpose(2, 0, 1))


def _iterator(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str) -> MXDataIter:
    _no_positions(args, name)
    colours: dict[str, tuple[str, Any]] = {f"mean_{c}": ("float", 0.0) for c in "rgb"}
    colours |= {f"std_{c}": ("float", 1.0) for c in "rgb"}
    o = options(
        kwargs,
        path_imgrec=("string", _REQUIRED),
        path_imgidx=("string", ""),
        data_shape=("Shape(tuple)", _REQUIRED),
        batch_size=("int (non-negative)", _REQUIRED),
        label_width=("int", 1),
        round_batch=("boolean", True),
        shuffle=("boolean", False),
        seed=("int", 0),
        num_parts=("int", 1),
        part_index=("int", 0),
        resize=("int", -1),
        rand_crop=("boolean", False),
        rand_mirror=("boolean", False),
        mirror=("boolean", False),
        inter_method=("int", 1),
        scale=("float", 1.0),
        **colours,
    )
    pictures = _Pictures(o, kwargs, dtype)
    return MXDataIter(BatchLoader(pictures.count, pictures.make, o["batch_size"], o["round_batch"]), **kwargs)


def ImageRecordIter(*args: Any, **kwargs: Any) -> MXDataIter:
    """Batches of the pictures in a record file: float32 (n, channels, height, width), red first, and labels.

    Args:
        path_imgrec, path_imgidx: the record file and its index, which saves a first pass over the records.
        data_shape: (3, height, width), or (1, height, width) for grey.
        batch_size, label_width, round_batch: as CSVIter's.
        shuffle: another order than that of the file, from `seed`; not the order that MXNet takes.
        resize: pixels of the shorter side, before a part of data_shape is cut out.
        rand_crop, rand_mirror, mirror: a part from anywhere, mirrored.
        mean_r … std_b, scale: (value - mean) / std * scale.
        num_parts, part_index: take one of several equal parts.
    """
    return _iterator("ImageRecordIter", args, kwargs, "float32")


def ImageRecordUInt8Iter(*args: Any, **kwargs: Any) -> MXDataIter:
    """The same as ImageRecordIter with uint8 pictures, which mean, std and scale do not change."""
    return _iterator("ImageRecordUInt8Iter", args, kwargs, "uint8")


def ImageRecordIter_v1(*args: Any, **kwargs: Any) -> MXDataIter:
    """ImageRecordIter by its older name."""
    return _iterator("ImageRecordIter_v1", args, kwargs, "float32")


claim(globals(), "mxnet.io.io")
