"""How an Estimator computes one batch."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet import autograd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.utils import split_and_load

__all__ = ["BatchProcessor"]

Parts = tuple[list[Any], list[Any], list[Any], list[Any]]


class BatchProcessor:
    """Forward, loss and backward of a batch; subclass it for networks that need something else."""

    def _get_data_and_label(self, batch: Any, ctx: Any, batch_axis: int = 0) -> tuple[list[Any], list[Any]]:
        data, label = batch[0], batch[1]
        return (
            split_and_load(data, ctx_list=ctx, batch_axis=batch_axis),
            split_and_load(label, ctx_list=ctx, batch_axis=batch_axis),
        )

    def evaluate_batch(self, estimator: Any, val_batch: Any, batch_axis: int = 0) -> Parts:
        """Data, labels, predictions and losses, one of each a context."""
        data, label = self._get_data_and_label(val_batch, estimator.context, batch_axis)
        pred = [estimator.val_net(x) for x in data]
        loss = [estimator.val_loss(p, y) for p, y in zip(pred, label, strict=True)]
        return data, label, pred, loss

    def fit_batch(self, estimator: Any, train_batch: Any, batch_axis: int = 0) -> Parts:
        """The same in training; gradients are there afterwards."""
        data, label = self._get_data_and_label(train_batch, estimator.context, batch_axis)
        with autograd.record():
            pred = [estimator.net(x) for x in data]
            loss = [estimator.loss(p, y) for p, y in zip(pred, label, strict=True)]
        for each in loss:
            each.backward()
        return data, label, pred, loss


claim(globals())
