"""gluon.contrib.estimator: a training loop with handlers of its events."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.contrib.estimator import batch_processor, estimator, event_handler
from tensorkeep.mxnet.gluon.contrib.estimator.batch_processor import BatchProcessor
from tensorkeep.mxnet.gluon.contrib.estimator.estimator import Estimator
from tensorkeep.mxnet.gluon.contrib.estimator.event_handler import (
    BatchBegin,
    BatchEnd,
    CheckpointHandler,
    EarlyStoppingHandler,
    EpochBegin,
    EpochEnd,
    GradientUpdateHandler,
    LoggingHandler,
    MetricHandler,
    StoppingHandler,
    TrainBegin,
    TrainEnd,
    ValidationHandler,
)  # fmt: skip

__all__ = [
    "BatchBegin", "BatchEnd", "BatchProcessor", "CheckpointHandler", "EarlyStoppingHandler", "EpochBegin", "EpochEnd",
    "Estimator", "GradientUpdateHandler", "LoggingHandler", "MetricHandler", "StoppingHandler", "TrainBegin",
    "TrainEnd", "ValidationHandler", "batch_processor", "estimator", "event_handler",
]  # fmt: skip
