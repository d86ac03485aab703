"""Estimator: fit and evaluate a network."""

from __future__ import annotations

import copy
import logging
import sys
import warnings
from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, cpu, gpu, num_gpus
from tensorkeep.mxnet.gluon.contrib.estimator.batch_processor import BatchProcessor
from tensorkeep.mxnet.gluon.contrib.estimator.event_handler import (
    BatchBegin,
    BatchEnd,
    EpochBegin,
    EpochEnd,
    GradientUpdateHandler,
    LoggingHandler,
    MetricHandler,
    StoppingHandler,
    TrainBegin,
    TrainEnd,
    ValidationHandler,
    _check_event_handlers,
)  # fmt: skip
from tensorkeep.mxnet.gluon.contrib.estimator.utils import (
    _check_handler_metric_ref,
    _check_metrics,
    _suggest_metric_for_loss,
)
from tensorkeep.mxnet.gluon.data import DataLoader
from tensorkeep.mxnet.gluon.loss import Loss
from tensorkeep.mxnet.gluon.trainer import Trainer
from tensorkeep.mxnet.metric import Loss as LossMetric

__all__ = ["Estimator"]

_EVENTS = (TrainBegin, EpochBegin, BatchBegin, BatchEnd, EpochEnd, TrainEnd)
_LOADERS_ONLY = (
    "Estimator only support input as Gluon DataLoader. Alternatively, you can transform your DataIter or any NDArray "
    "into Gluon DataLoader. Refer to gluon.data.{}"
)


class Estimator:
    """Fits a network to data, and evaluates it.

    Args:
        net: a Block.
        loss: a gluon.loss.Loss.
        train_metrics, val_metrics: EvalMetrics; by default the loss, and accuracy for SoftmaxCrossEntropyLoss.
        initializer: of Parameters that have no values yet.
        trainer: a Trainer; by default SGD with a learning rate of 0.001.
        context: a Context or a list of them; by default gpu(0) where there is one, else cpu().
        val_net, val_loss: of validation, where they differ.
        batch_processor: computes a batch.
    Attributes:
        logger: writes to standard output; add handlers to write elsewhere as well.
    Raises:
        ValueError: an argument is of the wrong kind.
    """

    logger: logging.Logger

    def __init__(
        self,
        net: Any,
        loss: Any,
        train_metrics: Any = None,
        val_metrics: Any = None,
        initializer: Any = None,
        trainer: Any = None,
        context: Any = None,
        val_net: Any = None,
        val_loss: Any = None,
        batch_processor: Any = None,
    ) -> None:
        self.net = net
        self.loss = self._check_loss(loss)
        self._train_metrics = _check_metrics(train_metrics)
        self._val_metrics = _check_metrics(val_metrics)
        self._add_default_training_metrics()
        self._add_validation_metrics()
        self.val_loss = self.loss if val_loss is None else self._check_loss(val_loss)
        self.val_net = self.net if val_net is None else val_net
        self.logger = logging.Logger(name="Estimator", level=logging.INFO)
        self.logger.addHandler(logging.StreamHandler(sys.stdout))
        self.context = self._check_context(context)
        self._initialize(initializer)
        self.trainer = self._check_trainer(trainer)
        self.batch_processor = self._check_batch_processor(batch_processor)
        self.max_epoch: int | None = None
        self.max_batch: int | None = None
        self.batch_axis = 0

    def _check_loss(self, loss: Any) -> Any:
        if not isinstance(loss, Loss):
            raise ValueError(f"loss must be a Loss, refer to gluon.loss.Loss:{loss}")
        return loss

    def _check_context(self, context: Any) -> list[Context]:
        gpus = [gpu(i) for i in range(num_gpus())]
        if not context:
            if len(gpus) > 1:
                warnings.warn(
                    "You have multiple GPUs, gpu(0) will be used by default.To utilize all your GPUs, specify context as "
                    "a list of gpus, e.g. context=[mx.gpu(0), mx.gpu(1)] ",
                    stacklevel=3,
                )
            return [gpus[0] if gpus else cpu()]
        contexts = [context] if isinstance(context, Context) else context
        if not isinstance(contexts, list) or not all(isinstance(ctx, Context) for ctx in contexts):
            raise ValueError(
                "context must be a Context or a list of Context, for example mx.cpu() or [mx.gpu(0), mx.gpu(1)], refer "
                f"to mxnet.Context:{context}"
            )
        for ctx in contexts:
            assert ctx in gpus or str(ctx).startswith("cpu"), (
                f"{ctx} is not available, please make sure your context is in one of: mx.cpu(), "
                f"{', '.join(map(str, gpus))}"
            )
        return contexts

    def _check_batch_processor(self, batch_processor: Any) -> Any:
        if batch_processor is None:
            return BatchProcessor()
        if not all(callable(getattr(batch_processor, name, None)) for name in ("fit_batch", "evaluate_batch")):
            raise ValueError("Customized Batch Processor must contain fit_batch() and evaluate_batch() methods")
        return batch_processor

    def _initialize(self, initializer: Any) -> None:
        if not self._is_initialized():
            self.net.initialize(init=initializer or None, ctx=self.context)
        elif initializer:
            warnings.warn(
                "Network already fully initialized, skipping initialization. You don't need to pass initializer if you "
                "already initialized your net. You can use net.initialize(init=your_initializer, force_reinit=True)to "
                "force re-initialize.",
                stacklevel=3,
            )

    def _check_trainer(self, trainer: Any) -> Any:
        if not trainer:
            warnings.warn("No trainer specified, default SGD optimizer with learning rate 0.001 is used.", stacklevel=3)
            return Trainer(self.net.collect_params(), "sgd", {"learning_rate": 0.001})
        if not isinstance(trainer, Trainer):
            raise ValueError(f"Trainer must be a Gluon Trainer instance, refer to gluon.Trainer:{trainer}")
        return trainer

    def _is_initialized(self) -> bool:
        return all(param._data is not None or param._deferred_init for param in self.net.collect_params().values())

    def _add_default_training_metrics(self) -> None:
        if not self._train_metrics:
            suggested = _suggest_metric_for_loss(self.loss)
            self._train_metrics = [suggested] if suggested else []
            self._train_metrics.append(LossMetric(self.loss.name.rstrip("1234567890")))
        for metric in self._train_metrics:
            metric.name = "training " + metric.name

    def _add_validation_metrics(self) -> None:
        if not self._val_metrics:
            self._val_metrics = [copy.deepcopy(metric) for metric in self._train_metrics]
        for metric in self._val_metrics:
            if "training" in metric.name:
                metric.name = metric.name.replace("training", "validation")
            else:
                metric.name = "validation " + metric.name

    @property
    def train_metrics(self) -> list[Any]:
        """The metrics of training."""
        return self._train_metrics

    @property
    def val_metrics(self) -> list[Any]:
        """The metrics of validation."""
        return self._val_metrics

    def evaluate(self, val_data: Any, batch_axis: int = 0, event_handlers: Any = None) -> None:
        """Compute the validation metrics over a DataLoader."""
        if not isinstance(val_data, DataLoader):
            raise ValueError(_LOADERS_ONLY.format("DataLoader"))
        for metric in self.val_metrics:
            metric.reset()
        handlers = self._prepare_default_validation_handlers(event_handlers)
        _, epoch_begin, batch_begin, batch_end, epoch_end, _ = self._categorize_handlers(handlers)
        for handler in epoch_begin:
            handler.epoch_begin(self)
        for batch in val_data:
            for handler in batch_begin:
                handler.batch_begin(self, batch=batch)
            _, label, pred, loss = self.batch_processor.evaluate_batch(self, batch, batch_axis)
            for handler in batch_end:
                handler.batch_end(self, batch=batch, pred=pred, label=label, loss=loss)
        for handler in epoch_end:
            handler.epoch_end(self)

    def fit(
        self,
        train_data: Any,
        val_data: Any = None,
        epochs: int | None = None,
        event_handlers: Any = None,
        batches: int | None = None,
        batch_axis: int = 0,
    ) -> None:
        """Train over a DataLoader, for a number of rounds or of batches.

        Args:
            val_data: a DataLoader that is evaluated after each round.
            event_handlers: are added to those that update, measure, validate, log and stop.
        Raises:
            ValueError: both `epochs` and `batches` were given, or none.
        """
        if not isinstance(train_data, DataLoader):
            raise ValueError(_LOADERS_ONLY.format("dataloader"))
        if bool(epochs) == bool(batches):
            raise ValueError(
                "Fit only support exactly one type of iteration, train by number of epochs or number of batches.Please "
                "specify one and only one of: epochs or batches."
            )
        self.max_epoch = epochs
        self.max_batch = batches
        self.batch_axis = batch_axis
        kinds = self._categorize_handlers(self._prepare_default_handlers(val_data, event_handlers))
        for handler in kinds[0]:
            handler.train_begin(self)
        while not self._epoch(train_data, kinds, batch_axis):
            pass
        for handler in kinds[-1]:
            handler.train_end(self)

    def _epoch(self, train_data: Any, kinds: tuple[list[Any], ...], batch_axis: int) -> bool:
        """One round; whether it was the last."""
        _, epoch_begin, batch_begin, batch_end, epoch_end, _ = kinds
        for handler in epoch_begin:
            handler.epoch_begin(self)
        for batch in train_data:
            for handler in batch_begin:
                handler.batch_begin(self, batch=batch)
            _, label, pred, loss = self.batch_processor.fit_batch(self, batch, batch_axis)
            results = [handler.batch_end(self, batch=batch, pred=pred, label=label, loss=loss) for handler in batch_end]
            if any(results):
                break
        results = [handler.epoch_end(self) for handler in epoch_end]  # all of them are called
        return any(results)

    def _categorize_handlers(self, event_handlers: list[Any]) -> tuple[list[Any], ...]:
        """The handlers of each event: train begin, epoch begin, batch begin, batch end, epoch end, train end."""
        return tuple([_of(kind, event_handlers) for kind in _EVENTS])

    def _prepare_default_handlers(self, val_data: Any, event_handlers: Any) -> list[Any]:
        """The handlers of training: those given, and those that nobody gave."""
        given = _check_event_handlers(event_handlers)
        added: list[Any] = [StoppingHandler(self.max_epoch, self.max_batch)]
        if not _of(GradientUpdateHandler, given):
            added.append(GradientUpdateHandler())
        if not _of(MetricHandler, given):
            added.append(MetricHandler(metrics=self.train_metrics))
        if val_data and not _of(ValidationHandler, given):
            added.append(ValidationHandler(val_data=val_data, eval_fn=self.evaluate))
        if not _of(LoggingHandler, given):
            added.append(LoggingHandler(metrics=self.train_metrics))
        return _complete(given, added, {*self.train_metrics, *self.val_metrics})

    def _prepare_default_validation_handlers(self, event_handlers: Any) -> list[Any]:
        """The handlers of validation: those given, and those that nobody gave."""
        given = _check_event_handlers(event_handlers)
        added: list[Any] = []
        if not _of(MetricHandler, given):
            added.append(MetricHandler(metrics=self.val_metrics))
        if not _of(LoggingHandler, given):
            added.append(LoggingHandler(metrics=self.val_metrics))
        return _complete(given, added, set(self.val_metrics))


def _complete(given: list[Any], added: list[Any], known: set[Any]) -> list[Any]:
    """All handlers in the order of their priority.

    Raises:
        ValueError: a handler has a metric of its own, which no other one would update.
    """
    if given and added:
        for handler in [*given, *added]:
            _check_handler_metric_ref(handler, known)
    return sorted([*given, *added], key=lambda handler: getattr(handler, "priority", 0))


def _of(kind: type[Any], handlers: list[Any]) -> list[Any]:
    return [handler for handler in handlers if isinstance(handler, kind)]


claim(globals())
