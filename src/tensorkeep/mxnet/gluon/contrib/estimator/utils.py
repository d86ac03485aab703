"""Checks of the metrics that an Estimator and its handlers are given."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.loss import SoftmaxCrossEntropyLoss
from tensorkeep.mxnet.metric import Accuracy, CompositeEvalMetric, EvalMetric

__all__: list[str] = []


def _check_metrics(metrics: Any) -> list[Any]:
    """A list of simple metrics.

    Raises:
        ValueError: something else is among them.
    """
    if isinstance(metrics, CompositeEvalMetric):
        return [metric for part in metrics.metrics for metric in _check_metrics(part)]
    if isinstance(metrics, EvalMetric):
        return [metrics]
    metrics = metrics or []
    if not all(isinstance(metric, EvalMetric) for metric in metrics):
        raise ValueError(f"metrics must be a Metric or a list of Metric, refer to mxnet.metric.EvalMetric: {metrics}")
    found: list[Any] = metrics
    return found


def _check_handler_metric_ref(handler: Any, known_metrics: set[Any]) -> None:
    """Raise ValueError when a handler's metric is none of the Estimator's."""
    for attribute in dir(handler):
        if "metric" not in attribute:
            continue
        reference = getattr(handler, attribute)
        for metric in reference if isinstance(reference, list) else [reference]:
            if metric and metric not in known_metrics:
                raise ValueError(
                    f"Event handler {type(handler).__name__} refers to a metric instance {metric} outside of the known "
                    "training and validation metrics. Please use the metrics from estimator.train_metrics and "
                    "estimator.val_metrics instead."
                )


def _suggest_metric_for_loss(loss: Any) -> Any:
    return Accuracy() if isinstance(loss, SoftmaxCrossEntropyLoss) else None


claim(globals())
