"""mx.mod: networks that are bound to shapes, trained, asked and saved."""

from __future__ import annotations

from tensorkeep.mxnet.module.base_module import BaseModule
from tensorkeep.mxnet.module.bucketing_module import BucketingModule
from tensorkeep.mxnet.module.executor_group import DataParallelExecutorGroup
from tensorkeep.mxnet.module.module import Module
from tensorkeep.mxnet.module.python_module import PythonLossModule, PythonModule
from tensorkeep.mxnet.module.sequential_module import SequentialModule

__all__ = [
    "BaseModule", "BucketingModule", "DataParallelExecutorGroup", "Module", "PythonLossModule", "PythonModule",
    "SequentialModule",
]  # fmt: skip
