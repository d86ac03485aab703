"""mx.io: batches for training, from arrays and from files."""

from __future__ import annotations

from tensorkeep.mxnet.io import io, utils
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
    "CSVIter", "DataBatch", "DataDesc", "DataIter", "LibSVMIter", "MNISTIter", "MXDataIter", "NDArrayIter",
    "PrefetchingIter", "ResizeIter", "io", "utils",
]  # fmt: skip
