"""mx.runtime: which features are there, asked of torch."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar

import torch

from tensorkeep.mxnet.base import claim

__all__ = ["Feature", "Features", "feature_list"]

_NAMES = (
    "CUDA", "CUDNN", "NCCL", "CUDA_RTC", "TENSORRT", "CPU_SSE", "CPU_SSE2", "CPU_SSE3", "CPU_SSE4_1", "CPU_SSE4_2",
    "CPU_SSE4A", "CPU_AVX", "CPU_AVX2", "OPENMP", "SSE", "F16C", "JEMALLOC", "BLAS_OPEN", "BLAS_ATLAS", "BLAS_MKL",
    "BLAS_APPLE", "LAPACK", "MKLDNN", "OPENCV", "CAFFE", "PROFILER", "DIST_KVSTORE", "CXX14", "INT64_TENSOR_SIZE",
    "SIGNAL_HANDLER", "DEBUG", "TVM_OP",
)  # fmt: skip
"""What MXNet 1.9.1 lists, in its order."""


class Feature:
    """One feature: its name and whether it is there."""

    def __init__(self, name: str, enabled: bool) -> None:
        self.name = name
        self.enabled = enabled

    def __repr__(self) -> str:
        return f"{'✔' if self.enabled else '✖'} {self.name}"


def feature_list() -> list[Feature]:
    """All features. What torch cannot tell, and what this package does not have, is off."""
    cuda = torch.cuda.is_available()
    capability = torch.backends.cpu.get_cpu_capability()
    vectors = capability.startswith("AVX")
    there = {
        "CUDA": cuda, "CUDNN": cuda and torch.backends.cudnn.is_available(), "CPU_AVX": vectors, "CPU_AVX2": vectors,
        "OPENMP": torch.backends.openmp.is_available(), "BLAS_MKL": torch.backends.mkl.is_available(),
        "MKLDNN": torch.backends.mkldnn.is_available(), "LAPACK": True, "PROFILER": True,
        "INT64_TENSOR_SIZE": True,
    }  # fmt: skip
    return [Feature(name, bool(there.get(name))) for name in _NAMES]


class Features(OrderedDict[str, Feature]):
    """The features by name; there is one such object."""

    instance: ClassVar[Features | None] = None

    def __new__(cls) -> Features:
        if cls.instance is None:
            cls.instance = super().__new__(cls)
            OrderedDict.__init__(cls.instance, [(feature.name, feature) for feature in feature_list()])
        return cls.instance

    def __init__(self) -> None:
        pass

    def __repr__(self) -> str:
        return str(list(self.values()))

    def is_enabled(self, feature_name: str) -> bool:
        """Whether a feature is there; upper or lower case does not matter.

        Raises:
            RuntimeError: MXNet knows no such feature.
        """
        name = feature_name.upper()
        if name not in self:
            raise RuntimeError(f"Feature '{name}' is unknown, known features are: {list(self)}")
        return self[name].enabled


claim(globals())
