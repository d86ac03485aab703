"""ImageIter: batches of pictures from a record file, a list file or a list."""

from __future__ import annotations

import logging
import os
import random
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet import recordio
from tensorkeep.mxnet._dtypes import torch_of
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import cpu
from tensorkeep.mxnet.image._augment import CreateAugmenter
from tensorkeep.mxnet.image.image import imdecode
from tensorkeep.mxnet.io.io import DataBatch, DataIter
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["ImageIter"]


def _kind() -> Any:
    from tensorkeep.mxnet.numpy import ndarray

    return ndarray if state.np_array else NDArray


def _zeros(shape: tuple[int, ...]) -> Any:
    return wrap(torch.zeros(shape), cpu(), _kind())


class ImageIter(DataIter):
    """Batches of pictures, (batch, channels, height, width) float32, and their labels.

    Args:
        batch_size: pictures of a batch.
        data_shape: (3, height, width).
        label_width: labels of a picture.
        path_imgrec: a record file; with path_imgidx, its index, in any order.
        path_imglist: a file of lines: number, labels, file name, with tabs between.
        path_root: where the file names of lists begin.
        shuffle: another order every epoch, by Python's generator.
        part_index, num_parts: take one of several equal parts.
        aug_list: the augmenters; by default those of CreateAugmenter(data_shape, **kwargs).
        imglist: a list of (label, file name), or of (labels …, file name).
        data_name, label_name: what they are called.
        dtype: of the labels.
        last_batch_handle: "pad", "discard" or "roll_over", as NDArrayIter's.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        label_width: int = 1,
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
        label_name: str = "softmax_label",
        dtype: str = "float32",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__()
        assert path_imgrec or path_imglist or isinstance(imglist, list)
        assert dtype in ("int32", "float32", "int64", "float64"), dtype + " label not supported"
        name = self.__class__.__name__
        self.imgrec: Any = None
        self.imgidx: Any = None
        if path_imgrec:
            logging.info("%s: loading recordio %s...", name, path_imgrec)
            if path_imgidx:
                self.imgrec = recordio.MXIndexedRecordIO(path_imgidx, path_imgrec, "r")
                self.imgidx = list(self.imgrec.keys)
            else:
                self.imgrec = recordio.MXRecordIO(path_imgrec, "r")
        self.imglist: dict[Any, tuple[Any, str]] | None = None
        if path_imglist:
            logging.info("%s: loading image list %s...", name, path_imglist)
            self.imglist = self._from_file(path_imglist, dtype)
        elif isinstance(imglist, list):
            logging.info("%s: loading image list...", name)
            self.imglist = self._from_list(imglist, dtype)
        self.path_root = path_root
        self.check_data_shape(data_shape)
        self.provide_data = [(data_name, (batch_size, *data_shape))]
        self.provide_label = [(label_name, (batch_size, label_width) if label_width > 1 else (batch_size,))]
        self.batch_size = batch_size
        self.data_shape = data_shape
        self.label_width = label_width
        self.shuffle = shuffle
        if self.imgrec is None:
            self.seq: Any = list(self.imglist or ())
        elif shuffle or num_parts > 1 or path_imgidx:
            assert self.imgidx is not None
            self.seq = self.imgidx
        else:
            self.seq = None
        if num_parts > 1:
            assert part_index < num_parts
            each = len(self.seq) // num_parts
            self.seq = self.seq[part_index * each : (part_index + 1) * each]
        self.auglist = CreateAugmenter(data_shape, **kwargs) if aug_list is None else aug_list
        self.cur = 0
        self._allow_read = True
        self.last_batch_handle = last_batch_handle
        self.num_image = len(self.seq) if self.seq is not None else None
        self._cache: Any = None
        self.reset()

    def _label(self, values: Any, dtype: str) -> Any:
        return wrap(torch.from_numpy(np.array(values, dtype=dtype).reshape(-1)), cpu(), _kind())

    def _from_file(self, path: str, dtype: str) -> dict[Any, tuple[Any, str]]:
        found = {}
        with open(path, encoding="utf-8") as file:
            for line in file:
                cells = line.strip().split("\t")
                found[int(cells[0])] = (self._label(cells[1:-1], dtype), cells[-1])
        return found

    def _from_list(self, rows: list[Any], dtype: str) -> dict[Any, tuple[Any, str]]:
        found = {}
        for i, row in enumerate(rows, 1):
            label = row[:-1] if len(row) > 2 else [row[0]] if isinstance(row[0], (int, float, np.generic)) else row[0]
            found[str(i)] = (self._label(label, dtype), row[-1])
        return found

    def reset(self) -> None:
        """Begin a new epoch."""
        if self.seq is not None and self.shuffle:
            random.shuffle(self.seq)
        if self.last_batch_handle != "roll_over" or self._cache is None:
            self._rewind()

    def hard_reset(self) -> None:
        """Begin a new epoch, and forget what would roll over."""
        if self.seq is not None and self.shuffle:
            random.shuffle(self.seq)
        self._rewind()
        self._cache = None

    def _rewind(self) -> None:
        if self.imgrec is not None:
            self.imgrec.reset()
        self.cur = 0
        self._allow_read = True

    def next_sample(self) -> tuple[Any, bytes]:
        """The next label, and the bytes of its picture.

        Raises:
            StopIteration: there is none.
        """
        if not self._allow_read:
            raise StopIteration
        if self.seq is None:
            packed = self.imgrec.read()
            if packed is None:
                if self.last_batch_handle != "discard":
                    self.imgrec.reset()
                raise StopIteration
            header, picture = recordio.unpack(packed)
            return header.label, picture
        if self.cur >= (self.num_image or 0):
            if self.last_batch_handle != "discard":
                self.cur = 0
            raise StopIteration
        index = self.seq[self.cur]
        self.cur += 1
        if self.imgrec is None:
            label, name = self.imglist[index]  # type: ignore[index]  # without records there is a list
            return label, self.read_image(name)
        header, picture = recordio.unpack(self.imgrec.read_idx(index))
        return (header.label if self.imglist is None else self.imglist[index][0]), picture

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
            except RuntimeError as err:
                logging.debug("Invalid image, skipping:  %s", err)
                continue
            picture = self.postprocess_data(self.augmentation_transform(picture))
            data._t[at] = picture._t
            labels._t[at] = label._t.reshape(labels._t[at].shape) if isinstance(label, NDArray) else torch.as_tensor(
                np.array(label, dtype="float32")
            ).reshape(labels._t[at].shape)  # fmt: skip
            at += 1
        return at

    def next(self) -> DataBatch:
        """The next batch.

        Raises:
            StopIteration: there is none, or only one that is too small.
            RuntimeError: a picture is broken.
        """
        if self._cache is not None:
            data, labels, filled = self._cache
        else:
            data = _zeros((self.batch_size, *self.data_shape))
            labels = _zeros(self.provide_label[0][1])
            filled = self._fill(data, labels, 0)
        pad = self.batch_size - filled
        if pad:
            if self.last_batch_handle == "discard":
                raise StopIteration
            if self.last_batch_handle == "roll_over" and self._cache is None:
                self._cache = data, labels, filled
                raise StopIteration
            self._fill(data, labels, filled)
            if self.last_batch_handle == "pad":
                self._allow_read = False
            else:
                self._cache = None
        return DataBatch([data], [labels], pad=pad)

    def check_data_shape(self, data_shape: Any) -> None:
        """Raise ValueError unless it is (3, height, width)."""
        if len(data_shape) != 3:
            raise ValueError("data_shape should have length 3, with dimensions CxHxW")
        if data_shape[0] != 3:
            raise ValueError("This iterator expects inputs to have 3 channels.")

    def check_valid_image(self, data: Any) -> None:
        """Raise RuntimeError when a picture has no shape."""
        if len(data[0].shape) == 0:
            raise RuntimeError("Data shape is wrong")

    def imdecode(self, s: bytes) -> Any:
        """The picture in the bytes of a file.

        Raises:
            RuntimeError: it is broken; its number or file is named.
        """
        try:
            return imdecode(s)
        except RuntimeError as err:
            raise RuntimeError(f"{self._where()}, {err}") from err

    def _where(self) -> str:
        if self.seq is None:
            return "Broken image"
        index = self.seq[self.cur % len(self.seq) - 1]
        return f"Broken image filename: {self.imglist[index][1]}" if self.imglist else f"Broken image index: {index}"

    def read_image(self, fname: str) -> bytes:
        """The bytes of a file below path_root."""
        with open(os.path.join(self.path_root or "", fname), "rb") as file:
            return file.read()

    def augmentation_transform(self, data: Any) -> Any:
        """The picture after all augmenters."""
        for each in self.auglist:
            data = each(data)
        return data

    def postprocess_data(self, datum: Any) -> Any:
        """The picture as (channels, height, width)."""
        return wrap(datum._t.permute(2, 0, 1).to(torch_of("float32")), datum._ctx, type(datum))


claim(globals(), "mxnet.image.image")
