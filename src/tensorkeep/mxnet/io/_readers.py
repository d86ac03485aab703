"""Iterators over files of numbers: CSV, LibSVM and the idx files of MNIST. A file is read as a whole."""

from __future__ import annotations

import gzip
import logging
import math
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tensorkeep.mxnet._rng import std_shuffle
from tensorkeep.mxnet._schema import _PARSERS
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.io.io import MXDataIter
from tensorkeep.mxnet.ndarray.utils import array

__all__ = ["BatchLoader", "CSVIter", "LibSVMIter", "MNISTIter", "options"]

Array = np.ndarray[Any, Any]
_REQUIRED = object()


def options(given: dict[str, Any], **known: tuple[str, Any]) -> dict[str, Any]:
    """The typed parameters of an iterator; unknown ones are left alone, as MXNet leaves them.

    Args:
        known: name → (type in MXNet's words, default or _REQUIRED).
    Raises:
        MXNetError: one is missing or does not fit.
    """
    found = {}
    for name, (kind, default) in known.items():
        if name not in given:
            if default is _REQUIRED:
                raise MXNetError(f"Required parameter {name} of {kind} is not presented")
            found[name] = default
            continue
        try:
            found[name] = _PARSERS[kind](given[name])
        except (ValueError, TypeError) as err:
            raise MXNetError(f"Invalid Parameter format for {name} expect {kind} but value='{given[name]}'") from err
    return found


def _no_positions(args: tuple[Any, ...], name: str) -> None:
    if args:
        raise TypeError(f"{name} can only accept keyword arguments")


class BatchLoader:
    """Batches of examples by their numbers.

    Args:
        count: how many examples there are.
        make: numbers → (data, label).
        round_batch: fill a last batch up with the first examples, with which the next epoch then does not begin; else
            what the batch before held stays in it.
    """

    def __init__(
        self, count: int, make: Callable[[Array], tuple[Any, Any]], batch_size: int, round_batch: bool
    ) -> None:
        if batch_size > count and round_batch:
            raise MXNetError("number of input must be bigger than batch size")
        self._count, self._make = count, make
        self._size, self._round = batch_size, round_batch
        self._at = self._over = 0
        self._last = np.zeros(batch_size, np.int64)

    def reset(self) -> None:
        """Begin a new epoch."""
        if self._round and self._over:
            self._over = 0
        else:
            self._at = 0

    def next(self) -> Any:
        """(data, label, pad, numbers), or None at the end."""
        if self._over or self._at >= self._count:
            return None
        index = np.arange(self._at, min(self._at + self._size, self._count))
        self._at += len(index)
        pad = self._size - len(index)
        if pad and self._round:
            self._over = self._at = pad
            index = np.concatenate([index, np.arange(pad)])
        elif pad:
            index = np.concatenate([index, self._last[len(index) :]])
        self._last = index
        return *self._make(index), pad, index.astype(np.uint64)


def _files(path: str) -> list[str]:
    """The file, or all files of the folder."""
    if os.path.isdir(path):
        found = sorted(os.path.join(path, name) for name in os.listdir(path))
        return [name for name in found if os.path.isfile(name)]
    if not os.path.isfile(path):
        raise MXNetError(f"Cannot find any files that matches the URI pattern {path}")
    return [path]


def _lines(path: str) -> Iterator[tuple[str, int, str]]:
    for name in _files(path):
        with open(name, encoding="utf-8", errors="backslashreplace") as file:  # what is no UTF-8 is no number either
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield name, number, line


_WHOLE = re.compile(r"\s*[-+]?\d+")


def _csv(path: str, shape: tuple[int, ...], dtype: str) -> Array:
    """The rows of a CSV file, each in the given shape."""
    rows = []
    want = int(np.prod(shape))
    for name, number, line in _lines(path):
        cells = line.split(",")
        if len(cells) != want:
            raise MXNetError(
                f"The data size in CSV do not match size of shape: specified shape={list(shape)}, the csv row-length="
                f"{len(cells)} ({name}, line {number})"
            )
        try:
            if dtype == "float32":
                rows.append(np.array([float(cell) for cell in cells], np.float32))
            else:  # what follows the digits is passed over, as MXNet's reader does
                rows.append(np.array([int(_WHOLE.match(cell)[0]) for cell in cells], dtype))  # type: ignore[index]  # None is a TypeError
        except (ValueError, TypeError, OverflowError) as err:
            raise MXNetError(
                f"{name}, line {number}: {line.strip()!r:.80} holds something that is no number of {dtype}"
            ) from err
    return np.stack(rows).reshape(-1, *shape) if rows else np.empty((0, *shape), dtype)


def CSVIter(*args: Any, **kwargs: Any) -> MXDataIter:
    """Batches of a CSV file.

    Args:
        data_csv: the file, or a folder whose files are read one after another.
        data_shape: of one row.
        label_csv: a file with as many rows; without it all labels are 0.
        label_shape: of one row of it; (1,) by default, for which labels are (batch_size,).
        batch_size: rows of a batch.
        round_batch: fill a last batch up with the first rows (default), with which the next epoch then does not begin.
        dtype: "float32", "int32" or "int64".
        data_name, label_name: "data" and "softmax_label" by default.
    """
    _no_positions(args, "CSVIter")
    o = options(
        kwargs,
        data_csv=("string", _REQUIRED),
        data_shape=("Shape(tuple)", _REQUIRED),
        label_csv=("string", "NULL"),
        label_shape=("Shape(tuple)", (1,)),
        batch_size=("int (non-negative)", _REQUIRED),
        round_batch=("boolean", True),
        dtype=("string", "None"),
    )
    dtype = "float32" if o["dtype"] == "None" else o["dtype"]
    if dtype not in ("float32", "int32", "int64"):
        raise MXNetError(f"{dtype} is not supported for CSVIter")
    data = _csv(o["data_csv"], o["data_shape"], dtype)
    if o["label_csv"] == "NULL":
        labels = np.zeros((len(data), *o["label_shape"]), dtype)
    else:
        labels = _csv(o["label_csv"], o["label_shape"], dtype)
    if len(labels) < len(data):
        raise MXNetError(f"Data CSV's row is larger than the label CSV: {len(data)} rows and {len(labels)} labels")
    if o["label_shape"] == (1,):
        labels = labels.reshape(-1)

    def make(index: Array) -> tuple[Any, Any]:
        return array(data[index], dtype=dtype), array(labels[index], dtype=dtype)

    return MXDataIter(BatchLoader(len(data), make, o["batch_size"], o["round_batch"]), **kwargs)


class _Sparse:
    """Rows of a LibSVM file: a label, and values at some columns."""

    def __init__(self, path: str, width: int) -> None:
        self.labels: list[float] = []
        self.rows: list[tuple[list[int], list[float]]] = []
        self.width = width
        for name, number, line in _lines(path):
            words = line.split("#")[0].split()
            if not words:
                continue
            label, *pairs = words
            try:
                split = [pair.split(":") for pair in pairs]
                columns, values = [int(k) for k, _ in split], [float(v) for _, v in split]
                self.labels.append(float(label))
            except ValueError as err:
                raise MXNetError(f"{name}, line {number}: {line.strip()!r:.80} is no row of LibSVM") from err
            if columns and not 0 <= min(columns) <= max(columns) < width:
                raise MXNetError(f"{name}, line {number}: a column is outside of 0 … {width - 1}; they begin at 0")
            self.rows.append((columns, values))

    def batch(self, index: Array) -> Any:
        """Some rows as a CSRNDArray."""
        from tensorkeep.mxnet.ndarray.sparse import csr_matrix

        chosen = [self.rows[i] for i in index.tolist()]
        indptr = np.cumsum([0, *(len(columns) for columns, _ in chosen)])
        indices = np.array([c for columns, _ in chosen for c in columns], np.int64)
        values = np.array([v for _, row in chosen for v in row], np.float32)
        return csr_matrix((values, indices, indptr), shape=(len(chosen), self.width), dtype="float32")


def LibSVMIter(*args: Any, **kwargs: Any) -> MXDataIter:
    """Batches of a LibSVM file, whose columns begin at 0; the data are CSRNDArrays.

    Args:
        data_libsvm: the file, or a folder whose files are read one after another.
        data_shape: (columns,).
        label_libsvm: a file of the same kind whose rows are the labels, CSRNDArrays; without it each row's own label.
        label_shape: (columns,) of it.
        batch_size: rows of a batch.
        round_batch: only True: a last batch is filled up with the first rows.
        data_name, label_name: "data" and "softmax_label" by default.
    """
    _no_positions(args, "LibSVMIter")
    o = options(
        kwargs,
        data_libsvm=("string", _REQUIRED),
        data_shape=("Shape(tuple)", _REQUIRED),
        label_libsvm=("string", "NULL"),
        label_shape=("Shape(tuple)", (1,)),
        num_parts=("int", 1),
        batch_size=("int (non-negative)", _REQUIRED),
        round_batch=("boolean", True),
    )
    if len(o["data_shape"]) != 1 or len(o["label_shape"]) != 1:
        raise MXNetError("dimension of data_shape is expected to be 1")
    if not o["round_batch"] or o["num_parts"] != 1:
        raise MXNetError("LibSVMIter: only round_batch=True and num_parts=1 are supported")
    data = _Sparse(o["data_libsvm"], o["data_shape"][0])
    labels = None if o["label_libsvm"] == "NULL" else _Sparse(o["label_libsvm"], o["label_shape"][0])
    own = np.array(data.labels, np.float32)

    def make(index: Array) -> tuple[Any, Any]:
        return data.batch(index), labels.batch(index) if labels else array(own[index], dtype="float32")

    return MXDataIter(BatchLoader(len(data.rows), make, o["batch_size"], True), **kwargs)


def _idx(path: str, axes: int, start_stop: Callable[[int], tuple[int, int]]) -> Array:
    """The bytes of an idx file, plain or gzipped: examples start … stop."""
    if not os.path.isfile(path):
        raise MXNetError(f'LocalFileSystem: Open "{path}": No such file or directory')
    with open(path, "rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    # Packed data hold at most a thousand times their size: what the header says is checked before it is believed.
    most = os.path.getsize(path) * (1032 if zipped else 1)
    with gzip.open(path) if zipped else open(path, "rb") as file:
        try:
            head = file.read(4 + 4 * axes)
            if len(head) != 4 + 4 * axes:
                raise MXNetError(f"invalid mnist format: {path} has {len(head)} bytes")
            shape = struct.unpack(f">{axes}I", head[4:])
            start, stop = start_stop(shape[0])
            each = math.prod(shape[1:])
            data = b""
            if shape[0] * each <= most:
                file.seek(4 + 4 * axes + start * each)
                data = file.read((stop - start) * each)
        except (EOFError, OSError, zlib.error) as err:
            raise MXNetError(f"invalid mnist format: {path}: the packed data are broken ({err})") from err
    if len(data) != (stop - start) * each:
        raise MXNetError(f"invalid mnist format: {path} is cut off; its header says {shape}")
    return np.frombuffer(data, np.uint8).reshape(stop - start, *shape[1:])


class _Whole:
    """Batches of arrays in memory; a last one that is too small is left out."""

    def __init__(self, data: Array, labels: Array, batch_size: int) -> None:
        self._data, self._labels, self._size = data, labels, batch_size
        self._at = 0

    def reset(self) -> None:
        self._at = 0

    def next(self) -> Any:
        start, stop = self._at, self._at + self._size
        if stop > len(self._data):
            return None
        self._at = stop
        return (
            array(self._data[start:stop]),
            array(self._labels[start:stop]),
            0,
            np.arange(start, stop, dtype=np.uint64),
        )


def MNISTIter(*args: Any, **kwargs: Any) -> MXDataIter:
    """Batches of MNIST's files: float32 images (n, 1, rows, columns) from 0 to below 1, labels (n,).

    Args:
        image, label: the idx files, plain or gzipped.
        batch_size: 128 by default; a last batch that is too small is left out.
        shuffle: one order for all epochs, from `seed`; True by default.
        flat: images as (n, rows * columns).
        silent: log nothing.
        num_parts, part_index: take one of several equal parts.
        data_name, label_name: "data" and "softmax_label" by default.
    """
    _no_positions(args, "MNISTIter")
    o = options(
        kwargs,
        image=("string", "./train-images-idx3-ubyte"),
        label=("string", "./train-labels-idx1-ubyte"),
        batch_size=("int", 128),
        shuffle=("boolean", True),
        flat=("boolean", False),
        seed=("int", 0),
        silent=("boolean", False),
        num_parts=("int", 1),
        part_index=("int", 0),
    )
    parts, part = o["num_parts"], o["part_index"]
    if not 0 <= part < parts or o["batch_size"] < 1:
        raise MXNetError(f"part_index {part} of {parts} parts, batch_size {o['batch_size']}: one is out of range")

    def bounds(count: int) -> tuple[int, int]:
        return int(count / parts * part), int(count / parts * (part + 1))

    images = _idx(o["image"], 3, bounds).astype(np.float32) * np.float32(1 / 256)
    labels = _idx(o["label"], 1, bounds).astype(np.float32)
    if len(images) != len(labels):
        raise MXNetError(f"{o['image']} has {len(images)} images, {o['label']} {len(labels)} labels")
    if o["shuffle"]:
        order = std_shuffle(o["seed"], len(labels))
        images, labels = images[order], labels[order]
    images = images.reshape(len(images), -1) if o["flat"] else images[:, None]
    if not o["silent"]:
        shape = (o["batch_size"], *images.shape[1:])
        logging.info("MNISTIter: load %d images, shuffle=%d, shape=%s", len(images), o["shuffle"], list(shape))
    return MXDataIter(_Whole(images, labels, o["batch_size"]), **kwargs)


claim(globals(), "mxnet.io.io")
