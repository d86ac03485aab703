"""gluon.data: datasets, samplers, loaders."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.data import vision
from tensorkeep.mxnet.gluon.data.dataloader import DataLoader
from tensorkeep.mxnet.gluon.data.dataset import ArrayDataset, Dataset, RecordFileDataset, SimpleDataset
from tensorkeep.mxnet.gluon.data.sampler import (
    BatchSampler,
    FilterSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

__all__ = [
    "ArrayDataset", "BatchSampler", "DataLoader", "Dataset", "FilterSampler", "RandomSampler", "RecordFileDataset",
    "Sampler", "SequentialSampler", "SimpleDataset", "vision",
]  # fmt: skip
