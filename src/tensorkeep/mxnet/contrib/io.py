"""A gluon DataLoader as an iterator for Module."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.io import DataDesc, DataIter

__all__ = ["DataLoaderIter"]


class DataLoaderIter(DataIter):
    """An iterator over the (data, label) batches of a DataLoader; a short last batch is padded.

    Args:
        loader: gives pairs of arrays; its first batch tells shapes and batch size.
        data_name: the name of the data in the network.
        label_name: the name of the label.
        dtype: what both are cast to.
    """

    def __init__(
        self, loader: Any, data_name: str = "data", label_name: str = "softmax_label", dtype: str = "float32"
    ) -> None:
        super().__init__()
        self._loader = loader
        data, label = next(iter(loader))
        self.batch_size = data.shape[0]
        self.dtype = dtype
        self.provide_data = [DataDesc(data_name, data.shape, dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, dtype)]
        self._current_batch: Any = None
        self.reset()

    def reset(self) -> None:
        """Start again with the first batch."""
        self._iter = iter(self._loader)

    def iter_next(self) -> bool:
        """Go to the next batch; whether there is one."""
        self._current_batch = next(self._iter, None)
        return self._current_batch is not None

    def _padded(self, array: Any) -> list[Any]:
        cast = array.astype(self.dtype)
        if self.getpad():
            # MXNet's padded arrays are float32 whatever the dtype; the rows behind the last sample are arbitrary there.
            whole = nd.zeros((self.batch_size, *array.shape[1:]))
            whole[: array.shape[0]] = cast
            cast = whole
        return [cast]

    def getdata(self) -> list[Any]:
        """The data of the current batch."""
        return self._padded(self._current_batch[0])

    def getlabel(self) -> list[Any]:
        """The labels of the current batch."""
        return self._padded(self._current_batch[1])

    def getpad(self) -> int:
        """How many rows at the end of the current batch are no samples."""
        return int(self.batch_size - self._current_batch[0].shape[0])

    def getindex(self) -> None:
        """None: a DataLoader does not tell which samples it took."""
        return


claim(globals())
