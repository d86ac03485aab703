"""mx.io: batches for training, from arrays and from files."""

from __future__ import annotations

from tensorkeep.mxnet.io import io, utils
from tensorkeep.mxnet.io._image_record import ImageRecordIter, ImageRecordIter_v1, ImageRecordUInt8Iter
from tensorkeep.mxnet.io._readers import CSVIter, LibSVMIter, MNISTIter
from tensorkeep.mxnet.io.io import (
    DataBatch,
    DataDesc,
    DataIter,
    MXDataIter,
    NDArrayIter,
    PrefetchingIter,
    ResizeIter,
)

__all__ = [
    "CSVIter", "DataBatch", "DataDesc", "DataIter", "ImageRecordIter", "ImageRecordIter_v1", "ImageRecordUInt8Iter",
    "LibSVMIter", "MNISTIter", "MXDataIter", "NDArrayIter", "PrefetchingIter", "ResizeIter", "io", "utils",
]  # fmt: skip
