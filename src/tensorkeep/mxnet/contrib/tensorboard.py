"""A callback that writes metrics for TensorBoard."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from tensorkeep.mxnet.base import claim

__all__ = ["LogMetricsCallback"]


class LogMetricsCallback:
    """A batch or epoch callback of fit() that writes each metric as a scalar, by means of the package mxboard.

    Without mxboard an error is logged when it is made, as in MXNet.

    Args:
        logging_dir: where the event files go.
        prefix: put before each metric's name.
    """

    def __init__(self, logging_dir: str, prefix: str | None = None) -> None:
        self.prefix = prefix
        try:
            writer = import_module("mxboard").SummaryWriter
        except ImportError:
            logging.error("You can install mxboard via `pip install mxboard`.")
        else:
            self.summary_writer = writer(logging_dir)

    def __call__(self, param: Any) -> None:
        if param.eval_metric is None:
            return
        for name, value in param.eval_metric.get_name_value():
            tag = name if self.prefix is None else f"{self.prefix}-{name}"
            self.summary_writer.add_scalar(tag, value, global_step=param.epoch)


claim(globals())
