"""gluon.data.vision: datasets of images, and transforms of them."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.data.vision import transforms
from tensorkeep.mxnet.gluon.data.vision.datasets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    FashionMNIST,
    ImageFolderDataset,
    ImageRecordDataset,
)  # fmt: skip

__all__ = [
    "CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "ImageFolderDataset", "ImageRecordDataset", "transforms",
]  # fmt: skip
