"""The events of an Estimator, and how handlers compare metrics."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

__all__ = [
    "BatchBegin", "BatchEnd", "EpochBegin", "EpochEnd", "EventHandler", "TrainBegin", "TrainEnd", "comparison", "worst",
]  # fmt: skip


class EventHandler:
    """The base of handlers."""


class TrainBegin(EventHandler):
    """A handler of the beginning of training."""

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Called once, before the first batch."""


class TrainEnd(EventHandler):
    """A handler of the end of training."""

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Called once, after the last batch."""


class EpochBegin(EventHandler):
    """A handler of the beginning of a round."""

    def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Called before each round."""


class EpochEnd(EventHandler):
    """A handler of the end of a round."""

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool | None:
        """Called after each round; True ends training."""
        return False


class BatchBegin(EventHandler):
    """A handler of the beginning of a batch."""

    def batch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Called before each batch."""


class BatchEnd(EventHandler):
    """A handler of the end of a batch."""

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool | None:
        """Called after each batch; True ends the round."""
        return False


def comparison(monitor: Any, mode: str, of: str) -> Any:
    """np.less or np.greater: how one tells that a metric is better than before.

    Args:
        mode: "min", "max", or "auto", which takes np.greater and warns; another one is taken for "auto".
        of: who asks, for the warning.
    """
    if mode not in ("auto", "min", "max"):
        warnings.warn(
            f"{of} mode {mode} is unknown, fallback to auto mode. CheckpointHandler will usemax mode for f1 and accuracy "
            "metric comparison and use min mode other wise",
            RuntimeWarning,
            stacklevel=3,
        )
        mode = "auto"
    if mode != "auto":
        return np.less if mode == "min" else np.greater
    # MXNet 1.9.1 means to look at the metric's name, but takes `greater` for every name.
    warnings.warn(
        f"`greater` operator will be used to determine if {monitor.get()[0]} has improved. Please specify `mode='min'` "
        "to use the `less` operator. Specify `mode='max' to disable this warning.`",
        stacklevel=3,
    )
    return np.greater


def worst(compare: Any) -> float:
    """What every value is better than."""
    return np.inf if compare == np.less else -np.inf
