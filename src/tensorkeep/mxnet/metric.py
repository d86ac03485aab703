"""mx.metric: how good predictions are, added up over batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy

from tensorkeep.mxnet._metric_base import (
    CompositeEvalMetric,
    CustomMetric,
    EvalMetric,
    Paired,
    alias,
    check_label_shapes,
    create,
    np,
    register,
)
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "F1", "MAE", "MCC", "MSE", "PCC", "RMSE", "Accuracy", "Caffe", "CompositeEvalMetric", "CrossEntropy",
    "CustomMetric", "EvalMetric", "Loss", "NegativeLogLikelihood", "PearsonCorrelation", "Perplexity", "TopKAccuracy",
    "Torch", "check_label_shapes", "create", "np", "register",
]  # fmt: skip

Array = numpy.ndarray[Any, Any]


@register
@alias("acc")
class Accuracy(Paired):
    """The share of labels that are the largest prediction along `axis` (or the prediction itself, of equal shapes)."""

    def __init__(
        self,
        axis: int = 1,
        name: str = "accuracy",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(name, output_names, label_names, axis=axis)
        self.axis = axis

    def _measure(self, label: Array, pred: Array) -> tuple[Any, Any]:
        if pred.shape != label.shape:
            pred = pred.argmax(self.axis)
        label, pred = label.astype("int32").ravel(), pred.astype("int32").ravel()
        check_label_shapes(label, pred)
        return (pred == label).sum(), len(pred)


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(Paired):
    """The share of labels that are among the top_k largest predictions."""

    def __init__(
        self,
        top_k: int = 1,
        name: str = "top_k_accuracy",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(name, output_names, label_names, top_k=top_k)
        self.top_k = top_k
        assert self.top_k > 1, "Please use Accuracy if top_k is no more than 1"
        self.name += f"_{self.top_k}"

    def _measure(self, label: Array, pred: Array) -> tuple[Any, Any]:
        assert pred.ndim <= 2, "Predictions should be no more than 2 dims"
        order = numpy.argpartition(pred.astype("float32"), -self.top_k)
        label = label.astype("int32")
        check_label_shapes(label, order)
        if order.ndim == 1:
            return (order == label.ravel()).sum(), len(order)
        top = order[:, -self.top_k :]
        return (top == label.reshape(-1, 1)).sum(), len(order)


class _Counts:
    """True and false positives and negatives."""

    def __init__(self) -> None:
        self.tp = self.fn = self.fp = self.tn = 0

    def add(self, other: _Counts) -> None:
        self.tp += other.tp
        self.fn += other.fn
        self.fp += other.fp
        self.tn += other.tn

    @property
    def total(self) -> int:
        return self.tp + self.fn + self.fp + self.tn

    @property
    def fscore(self) -> float:
        found, asked = self.tp + self.fp, self.tp + self.fn
        precision = float(self.tp) / found if found > 0 else 0.0
        recall = float(self.tp) / asked if asked > 0 else 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0

    @property
    def matthews(self) -> float:
        if not self.total:
            return 0.0
        tp, fp, fn, tn = (float(n) for n in (self.tp, self.fp, self.fn, self.tn))
        below = math.prod(term for term in (tp + fp, tp + fn, tn + fp, tn + fn) if term != 0.0)
        return (tp * tn - fp * fn) / math.sqrt(below)


class _Binary(EvalMetric):
    """Metrics of two classes; average "macro" is the mean over batches, another one counts all examples together."""

    _score: Callable[[_Counts], float]

    def __init__(self, name: str, output_names: list[str] | None, label_names: list[str] | None, average: str) -> None:
        self.average = average
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def reset(self) -> None:
        """Begin anew."""
        self._all = _Counts()
        super().reset()

    def reset_local(self) -> None:
        """Begin anew, but for what get_global() gives."""
        self._here = _Counts()
        super().reset_local()

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: labels of 0 and 1, predictions for both (n, 2)."""
        labels, preds = check_label_shapes(labels, preds, True)
        batch = _Counts()
        for label, pred in zip(labels, preds, strict=False):
            batch.add(self._count(label.asnumpy().astype("int32"), pred.asnumpy()))
        score = type(self)._score
        if self.average == "macro":
            self._add(score(batch), 1)
            return
        self._here.add(batch)
        self._all.add(batch)
        self.sum_metric, self.num_inst = score(self._here) * self._here.total, self._here.total
        self.global_sum_metric, self.global_num_inst = score(self._all) * self._all.total, self._all.total

    def _count(self, label: Array, pred: Array) -> _Counts:
        chosen = pred.argmax(axis=1)
        check_label_shapes(label, pred)
        if len(numpy.unique(label)) > 2:
            raise ValueError("_BinaryClassificationMetrics currently only supports binary classification.")
        counts = _Counts()
        yes, is_yes = chosen == 1, label == 1
        counts.tp, counts.fp = int((yes & is_yes).sum()), int((yes & ~is_yes).sum())
        counts.fn, counts.tn = int((~yes & is_yes).sum()), int((~yes & ~is_yes).sum())
        return counts


@register
class F1(_Binary):
    """2 · precision · recall / (precision + recall) of two classes."""

    _score = staticmethod(lambda counts: counts.fscore)

    def __init__(
        self,
        name: str = "f1",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)


@register
class MCC(_Binary):
    """Matthews' correlation coefficient of two classes."""

    _score = staticmethod(lambda counts: counts.matthews)

    def __init__(
        self,
        name: str = "mcc",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)


@register
class Perplexity(Paired):
    """e to the power of the mean negative log probability of the labels; those equal to ignore_label do not count."""

    def __init__(
        self,
        ignore_label: int | None,
        axis: int = -1,
        name: str = "perplexity",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(name, output_names, label_names, ignore_label=ignore_label)
        self.ignore_label = ignore_label
        self.axis = axis

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: lists of arrays."""
        assert len(labels) == len(preds)
        super().update(labels, preds)

    def _measure(self, label: Array, pred: Array) -> tuple[Any, Any]:
        assert label.size == pred.size / pred.shape[-1], f"shape mismatch: {label.shape} vs. {pred.shape}"
        moved = numpy.moveaxis(pred, self.axis, -1).reshape(-1, pred.shape[self.axis])
        label = label.ravel()
        index = numpy.clip(label.astype("int32"), 0, moved.shape[1] - 1)
        chosen = moved[numpy.arange(len(index)), index]
        count = chosen.size
        if self.ignore_label is not None:
            ignored = label == self.ignore_label
            count -= int(ignored.sum())
            chosen = numpy.where(ignored, numpy.ones_like(chosen), chosen)
        return -numpy.log(numpy.maximum(chosen.dtype.type(1e-10), chosen)).sum(), count

    def _value(self, total: Any, count: Any) -> Any:
        return float("nan") if count == 0 else math.exp(total / count)


class _Error(Paired):
    """The mean over batches of a mean over elements."""

    def _measure(self, label: Array, pred: Array) -> tuple[Any, Any]:
        columns = [each.reshape(-1, 1) if each.ndim == 1 else each for each in (label, pred)]
        return self._error(columns[0] - columns[1]), 1

    def _error(self, difference: Array) -> Any:
        raise NotImplementedError


@register
class MAE(_Error):
    """The mean absolute error."""

    def __init__(
        self, name: str = "mae", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names)

    def _error(self, difference: Array) -> Any:
        return numpy.abs(difference).mean()


@register
class MSE(_Error):
    """The mean squared error."""

    def __init__(
        self, name: str = "mse", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names)

    def _error(self, difference: Array) -> Any:
        return (difference**2.0).mean()


@register
class RMSE(_Error):
    """The root of the mean squared error, averaged over batches."""

    def __init__(
        self, name: str = "rmse", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names, label_names)

    def _error(self, difference: Array) -> Any:
        return numpy.sqrt((difference**2.0).mean())


class _LogLoss(Paired):
    """The mean of -log(probability of the label + eps)."""

    def __init__(self, eps: float, name: str, output_names: list[str] | None, label_names: list[str] | None) -> None:
        super().__init__(name, output_names, label_names, eps=eps)
        self.eps = eps

    def _measure(self, label: Array, pred: Array) -> tuple[Any, Any]:
        label = label.ravel()
        assert label.shape[0] == pred.shape[0], (label.shape[0], pred.shape[0])
        chosen = pred[numpy.arange(len(label)), label.astype("int64")]
        return (-numpy.log(chosen + self.eps)).sum(), len(label)


@register
@alias("ce")
class CrossEntropy(_LogLoss):
    """The mean of -log(probability of the label + eps)."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "cross-entropy",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
@alias("nll_loss")
class NegativeLogLikelihood(_LogLoss):
    """The same as CrossEntropy."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "nll-loss",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
@alias("pearsonr")
class PearsonCorrelation(Paired):
    """Pearson's correlation: with average "macro" the mean over batches, else that of all values together."""

    def __init__(
        self,
        name: str = "pearsonr",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        average: str = "macro",
    ) -> None:
        self.average = average
        super().__init__(name, output_names, label_names)

    def reset(self) -> None:
        """Begin anew."""
        self._seen: list[tuple[Array, Array]] = []
        super().reset()

    def _measure(self, label: Array, pred: Array) -> tuple[Any, Any]:
        check_label_shapes(label, pred, False, True)
        pair = label.ravel().astype("float64"), pred.ravel().astype("float64")
        if self.average == "macro":
            return numpy.corrcoef(pair[1], pair[0])[0, 1], 1
        self._seen.append(pair)
        return 0.0, 1

    def get(self) -> tuple[Any, Any]:
        """Name and value; NaN before the first batch."""
        if self.average == "macro" or self.num_inst == 0:
            return super().get()
        label, pred = (numpy.concatenate(each) for each in zip(*self._seen, strict=True))
        return self.name, numpy.corrcoef(pred, label)[0, 1]


@register
class PCC(EvalMetric):
    """The correlation of the table of predicted and true classes: MCC for more than two."""

    lcm: Array
    gcm: Array

    def __init__(
        self,
        name: str = "pcc",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
        has_global_stats: bool = True,
    ) -> None:
        self.k = 2
        super().__init__(
            name=name, output_names=output_names, label_names=label_names, has_global_stats=has_global_stats
        )

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: lists of arrays, or one array each."""
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds, strict=False):
            true, found = label.asnumpy().astype("int32").ravel(), pred.asnumpy()
            found = (found.argmax(axis=1) if found.shape != label.shape else found.astype("int32")).ravel()
            grown = int(max(found.max(), true.max())) + 1 - self.k
            if grown > 0:
                self.lcm, self.gcm = numpy.pad(self.lcm, (0, grown)), numpy.pad(self.gcm, (0, grown))
                self.k += grown
            for table in (self.lcm, self.gcm):
                numpy.add.at(table, (found, true), 1)
        self.num_inst += 1
        self.global_num_inst += 1

    def reset(self) -> None:
        """Begin anew."""
        self.global_num_inst = 0.0
        self.gcm = numpy.zeros((self.k, self.k))
        self.reset_local()

    def reset_local(self) -> None:
        """Begin anew, but for what get_global() gives."""
        self.num_inst = 0.0
        self.lcm = numpy.zeros((self.k, self.k))

    def get(self) -> tuple[Any, Any]:
        """Name and value; NaN before the first batch, and when all predictions or labels are one class."""
        return self.name, self._correlation(self.lcm, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """Name and value since reset()."""
        return self.name, self._correlation(self.gcm, self.global_num_inst)

    def _correlation(self, table: Array, count: float) -> float:
        n, x, y = table.sum(), table.sum(axis=1), table.sum(axis=0)
        xx, yy = (x * (n - x)).sum(), (y * (n - y)).sum()
        if count == 0 or xx == 0 or yy == 0:
            return float("nan")
        return float((table.diagonal() * n - x * y).sum() / (xx * yy) ** 0.5)


@register
class Loss(EvalMetric):
    """The mean of the outputs; labels do not matter."""

    def __init__(
        self, name: str = "loss", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: a list of arrays, or one array."""
        for pred in [preds] if isinstance(preds, NDArray) else preds:
            self._add(pred._t.detach().sum().item(), pred.size)


@register
class Torch(Loss):
    """Loss by another name."""

    def __init__(
        self, name: str = "torch", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)


@register
class Caffe(Loss):
    """Loss by another name."""

    def __init__(
        self, name: str = "caffe", output_names: list[str] | None = None, label_names: list[str] | None = None
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names)


claim(globals())
