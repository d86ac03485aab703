"""mx.io: batches for training, from arrays and from files."""

from __future__ import annotations

import logging
import threading
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.io.utils import Named, init_data, rows, taken

__all__ = ["DataBatch", "DataDesc", "DataIter", "MXDataIter", "NDArrayIter", "PrefetchingIter", "ResizeIter"]


class DataDesc(namedtuple("DataDesc", ["name", "shape"])):
    """Name and shape of what an iterator gives; a pair of the two, with dtype and layout beside.

    Attributes:
        dtype: NumPy's class of the elements.
        layout: what the axes are: "NCHW"; N is the batch.
    """

    dtype: Any
    layout: str

    def __new__(cls, name: str, shape: Any, dtype: Any = np.float32, layout: str = "NCHW") -> DataDesc:
        made = super().__new__(cls, name, shape)
        made.dtype = dtype
        made.layout = layout
        return made

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """Where the batch is in a layout: 0 of "NCHW" and of None."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(shapes: Sequence[tuple[str, Any]], types: Sequence[tuple[str, Any]] | None) -> list[DataDesc]:
        """Descriptions of (name, shape) pairs, with dtypes by name where given."""
        if types is None:
            return [DataDesc(name, shape) for name, shape in shapes]
        by_name = dict(types)
        return [DataDesc(name, shape, by_name[name]) for name, shape in shapes]


class DataBatch:
    """What an iterator gives at each step: examples with their labels.

    Attributes:
        data, label: lists of arrays.
        pad: how many examples at the end only fill the batch up.
        index: the examples' numbers, or None.
        bucket_key: which bucket it is for.
        provide_data, provide_label: the descriptions, where they differ from the iterator's.
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        pad: int | None = None,
        index: Any = None,
        bucket_key: Any = None,
        provide_data: Any = None,
        provide_label: Any = None,
    ) -> None:
        if data is not None:
            assert isinstance(data, (list, tuple)), "Data must be list of NDArrays"
        if label is not None:
            assert isinstance(label, (list, tuple)), "Label must be list of NDArrays"
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self) -> str:
        shapes = [each.shape for each in self.data]
        labels = [each.shape for each in self.label] if self.label else None
        return f"{self.__class__.__name__}: data shapes: {shapes} label shapes: {labels}"


class DataIter:
    """The base of all iterators: subclasses have iter_next() and the getters, or next()."""

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> DataIter:
        return self

    def reset(self) -> None:
        """Go back to the first batch."""

    def next(self) -> DataBatch:
        """The next batch.

        Raises:
            StopIteration: there is none.
        """
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def __next__(self) -> DataBatch:
        return self.next()

    def iter_next(self) -> Any:
        """Move on; whether there is a batch."""

    def getdata(self) -> Any:
        """The data of the current batch."""

    def getlabel(self) -> Any:
        """Its labels."""

    def getindex(self) -> Any:
        """The numbers of its examples, or None."""
        return None

    def getpad(self) -> Any:
        """How many examples at its end only fill it up."""


class _Current(DataIter):
    """An iterator whose getters look into `current_batch`."""

    current_batch: Any

    def getdata(self) -> Any:
        """The data of the current batch."""
        return self.current_batch.data

    def getlabel(self) -> Any:
        """Its labels."""
        return self.current_batch.label

    def getindex(self) -> Any:
        """The numbers of its examples, or None."""
        return self.current_batch.index

    def getpad(self) -> Any:
        """How many examples at its end only fill it up."""
        return self.current_batch.pad


class ResizeIter(_Current):
    """Another iterator with a given number of batches an epoch: it starts again, or stops, where that is needed.

    Args:
        data_iter: the other iterator.
        size: batches of an epoch.
        reset_internal: whether reset() also resets the other iterator.
    """

    def __init__(self, data_iter: Any, size: int, reset_internal: bool = True) -> None:
        super().__init__()
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.current_batch = None
        self.provide_data = data_iter.provide_data
        self.provide_label = data_iter.provide_label
        self.batch_size = data_iter.batch_size
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    def reset(self) -> None:
        """Begin a new epoch."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        """Move on; whether there is a batch."""
        if self.cur == self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True


class PrefetchingIter(_Current):
    """Iterators side by side, each read ahead by a thread; their data and labels are put together.

    Args:
        iters: one iterator or a list.
        rename_data, rename_label: for each of them old name → new name.
    """

    def __init__(self, iters: Any, rename_data: Any = None, rename_label: Any = None) -> None:
        super().__init__()
        self.iters = iters if isinstance(iters, list) else [iters]
        self.n_iter = len(self.iters)
        assert self.n_iter > 0
        self.rename_data = rename_data
        self.rename_label = rename_label
        self.batch_size = self.provide_data[0][1][0]
        self.current_batch = None
        self._ahead = [_Ahead(each) for each in self.iters]

    def _provided(self, which: str, names: Any) -> list[DataDesc]:
        found: list[DataDesc] = []
        for i, each in enumerate(self.iters):
            for desc in getattr(each, which):
                desc = desc if isinstance(desc, DataDesc) else DataDesc(*desc)
                found.append(desc if names is None else DataDesc(names[i][desc.name], desc.shape, desc.dtype))
        return found

    @property
    def provide_data(self) -> list[DataDesc]:
        """The descriptions of all data."""
        return self._provided("provide_data", self.rename_data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """The descriptions of all labels."""
        return self._provided("provide_label", self.rename_label)

    def reset(self) -> None:
        """Go back to the first batch of each."""
        for each in self._ahead:
            each.wait()
            each.source.reset()
            each.start()

    def iter_next(self) -> bool:
        """Move on; whether there is a batch.

        Raises:
            AssertionError: one of the iterators ended before the others.
        """
        batches = [each.wait() for each in self._ahead]
        if batches[0] is None:
            assert all(batch is None for batch in batches), "Number of entry mismatches between iterators"
            return False
        assert all(b is not None and b.pad == batches[0].pad for b in batches), (
            "Number of entry mismatches between iterators"
        )
        self.current_batch = DataBatch(
            [array for batch in batches for array in batch.data],
            [array for batch in batches for array in batch.label],
            batches[0].pad,
            batches[0].index,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
        for each in self._ahead:
            each.start()
        return True

    def next(self) -> Any:
        """The next batch.

        Raises:
            StopIteration: there is none.
        """
        if self.iter_next():
            return self.current_batch
        raise StopIteration


class _Ahead:
    """The next batch of an iterator, fetched by a thread that ends with it: nothing is left when the iterator goes."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.start()

    def start(self) -> None:
        self._found: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._fetch, daemon=True)
        self._thread.start()

    def _fetch(self) -> None:
        try:
            self._found = self.source.next()
        except StopIteration:
            self._found = None
        except Exception as err:  # noqa: BLE001 - whatever it is, it is raised where the batch is asked for
            self._error = err

    def wait(self) -> Any:
        """The batch; None at the end. What went wrong in the thread is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found


class NDArrayIter(DataIter):
    """Batches of arrays.

    Args:
        data: an array, a list of them or a dict by name: NDArray, numpy.ndarray (taken as float32), h5py.Dataset.
        label: the same, or None.
        batch_size: examples of a batch.
        shuffle: take the examples in another order every epoch; NumPy's generator decides.
        last_batch_handle: what to do with a last batch that is too small: "pad" it with the first examples, "discard"
            it, or let it "roll_over" into the next epoch.
        data_name, label_name: the name of a single array.
        layout: where the batch axis is.
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        layout: str = "NCHW",
    ) -> None:
        super().__init__(batch_size)
        self.data = init_data(data, allow_empty=False, default_name=data_name)
        self.label = init_data(label, allow_empty=True, default_name=label_name)
        if last_batch_handle != "discard" and any(
            getattr(value, "stype", "") == "csr" for _, value in self.data + self.label
        ):
            raise NotImplementedError(
                "`NDArrayIter` only supports ``CSRNDArray`` with `last_batch_handle` set to `discard`."
            )
        self.idx = np.arange(self.data[0][1].shape[0])
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.batch_size = batch_size
        self.cursor = -self.batch_size
        self.num_data = self.idx.shape[0]
        self.reset()
        self.data_list = [value for _, value in self.data + self.label]
        self.num_source = len(self.data_list)
        self._cache_data: Any = None
        self._cache_label: Any = None
        self.layout = layout

    def _provided(self, named: Named) -> list[DataDesc]:
        axis = self.layout.find("N")
        return [
            DataDesc(
                name,
                (*value.shape[:axis], self.batch_size, *value.shape[axis + 1 :]),
                value.dtype,
                layout=self.layout,
            )
            for name, value in named
        ]

    @property
    def provide_data(self) -> list[DataDesc]:
        """The descriptions of the data."""
        return self._provided(self.data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """The descriptions of the labels."""
        return self._provided(self.label)

    def hard_reset(self) -> None:
        """Go back to the first batch, and forget what would roll over."""
        if self.shuffle:
            self._shuffle_data()
        self.cursor = -self.batch_size
        self._cache_data = None
        self._cache_label = None

    def reset(self) -> None:
        """Begin a new epoch."""
        if self.shuffle:
            self._shuffle_data()
        if self.last_batch_handle == "roll_over" and self.num_data - self.batch_size < self.cursor < self.num_data:
            self.cursor = self.cursor - self.num_data - self.batch_size
        else:
            self.cursor = -self.batch_size

    def iter_next(self) -> bool:
        """Move on; whether there is a batch."""
        self.cursor += self.batch_size
        return self.cursor < self.num_data

    def next(self) -> DataBatch:
        """The next batch.

        Raises:
            StopIteration: there is none, or only one that is too small.
        """
        if not self.iter_next():
            raise StopIteration
        data, label = self.getdata(), self.getlabel()
        if data[0].shape[self.layout.find("N")] != self.batch_size:
            self._cache_data, self._cache_label = data, label
            raise StopIteration
        return DataBatch(data=data, label=label, pad=self.getpad(), index=None)

    def _rows(self, named: Named, start: int, stop: int) -> list[Any]:
        axis = self.layout.find("N")
        return [rows(value, start, stop, axis, self.idx) for _, value in named]

    def _joined(self, first: list[Any], second: list[Any]) -> list[Any]:
        if not first or not second:
            return first or second
        assert len(first) == len(second), "data source should contain the same size"
        axis = self.layout.find("N")
        return [wrap(torch.cat([a._t, b._t], axis), a._ctx, type(a)) for a, b in zip(first, second, strict=True)]

    def _batch(self, named: Named) -> list[Any]:
        assert self.cursor < self.num_data, "DataIter needs reset."
        end = self.cursor + self.batch_size
        if self.last_batch_handle == "roll_over" and -self.batch_size < self.cursor < 0:
            assert self._cache_data is not None or self._cache_label is not None, "next epoch should have cached data"
            # The data are asked for first, the labels then.
            if self._cache_data is not None:
                kept, self._cache_data = self._cache_data, None
            else:
                kept, self._cache_label = self._cache_label, None
            return self._joined(kept, self._rows(named, 0, end))
        if self.last_batch_handle == "pad" and end > self.num_data:
            found = self._rows(named, self.cursor, self.num_data)
            missing = end - self.num_data
            while missing > 0:
                found = self._joined(found, self._rows(named, 0, min(missing, self.num_data)))
                missing -= self.num_data
            return found
        return self._rows(named, self.cursor, min(end, self.num_data))

    def getdata(self) -> list[Any]:
        """The data of the current batch."""
        return self._batch(self.data)

    def getlabel(self) -> list[Any]:
        """Its labels."""
        return self._batch(self.label)

    def getpad(self) -> int:
        """How many examples at its end only fill it up."""
        if self.last_batch_handle == "pad" and self.cursor + self.batch_size > self.num_data:
            return self.cursor + self.batch_size - self.num_data
        if self.last_batch_handle == "roll_over" and -self.batch_size < self.cursor < 0:
            return -self.cursor
        return 0

    def _shuffle_data(self) -> None:
        np.random.shuffle(self.idx)
        self.data = taken(self.data, self.idx)
        self.label = taken(self.label, self.idx)


class MXDataIter(DataIter):
    """Batches of a file, as CSVIter, MNISTIter and the others make them.

    Args:
        source: has next() → (data, label, pad, index) or None, and reset().
        data_name, label_name: what they are called.
    """

    def __init__(self, source: Any, data_name: str = "data", label_name: str = "softmax_label", **_: Any) -> None:
        super().__init__()
        self._source = source
        self._debug_skip_load = False
        self._current: Any = None
        self.first_batch: DataBatch | None = None
        self.first_batch = self.next()
        data, label = self.first_batch.data[0], self.first_batch.label[0]
        self.provide_data = [DataDesc(data_name, data.shape, data.dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, label.dtype)]
        self.batch_size = data.shape[0]

    def debug_skip_load(self) -> None:
        """Give the first batch again and again: to measure everything but reading."""
        self._debug_skip_load = True
        logging.info("Set debug_skip_load to be true, will simply return first batch")

    def reset(self) -> None:
        """Begin a new epoch."""
        self.first_batch = None
        self._source.reset()

    def iter_next(self) -> bool:
        """Move on; whether there is a batch."""
        if self.first_batch is not None:
            self.first_batch = None
            return True
        if self._debug_skip_load and self._current is not None:
            return True
        self._current = self._source.next()
        return self._current is not None

    def next(self) -> DataBatch:
        """The next batch.

        Raises:
            StopIteration: there is none.
        """
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=[self.getdata()], label=[self.getlabel()], pad=self.getpad(), index=self.getindex())

    def getdata(self) -> Any:
        """The data of the current batch: one array."""
        return self._current[0]

    def getlabel(self) -> Any:
        """Its labels: one array."""
        return self._current[1]

    def getpad(self) -> int:
        """How many examples at its end only fill it up."""
        found: int = self._current[2]
        return found

    def getindex(self) -> Any:
        """The numbers of its examples."""
        return self._current[3]


claim(globals())
