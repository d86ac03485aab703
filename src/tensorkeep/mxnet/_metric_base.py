"""What every metric shares, several metrics together, and metrics made of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy

from tensorkeep.mxnet import registry
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "CompositeEvalMetric", "CustomMetric", "EvalMetric", "Paired", "alias", "check_label_shapes", "create", "np",
    "register",
]  # fmt: skip

Array = numpy.ndarray[Any, Any]


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """Labels and predictions, which must be as many (with shape=True: of one shape).

    Args:
        wrap: one array becomes a list of it.
    Raises:
        ValueError: they are not.
    """
    sizes = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if sizes[0] != sizes[1]:
        raise ValueError(f"Shape of labels {sizes[0]} does not match shape of predictions {sizes[1]}")
    if wrap:
        labels = [labels] if isinstance(labels, NDArray) else labels
        preds = [preds] if isinstance(preds, NDArray) else preds
    return labels, preds


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class EvalMetric:
    """The base of all metrics: a sum and a count, since reset() and since reset_local().

    Args:
        name: what it is called in get().
        output_names, label_names: which outputs and labels update_dict() takes; by default all.
    """

    num_inst: Any
    sum_metric: Any
    global_num_inst: Any
    global_sum_metric: Any

    def __init__(
        self, name: str, output_names: list[str] | None = None, label_names: list[str] | None = None, **kwargs: Any
    ) -> None:
        self.name = str(name)
        self.output_names = output_names
        self.label_names = label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """What create() would make it from."""
        return {
            **self._kwargs,
            "metric": self.__class__.__name__,
            "name": self.name,
            "output_names": self.output_names,
            "label_names": self.label_names,
        }

    def update_dict(self, label: Mapping[str, NDArray], pred: Mapping[str, NDArray]) -> None:
        """Add a batch, given by the names of labels and outputs."""
        preds = [pred[n] for n in self.output_names] if self.output_names is not None else list(pred.values())
        labels = [label[n] for n in self.label_names] if self.label_names is not None else list(label.values())
        self.update(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: lists of arrays."""
        raise NotImplementedError

    def _add(self, value: Any, count: Any) -> None:
        self.sum_metric += value
        self.global_sum_metric += value
        self.num_inst += count
        self.global_num_inst += count

    def reset(self) -> None:
        """Begin anew."""
        self.global_num_inst = 0
        self.global_sum_metric = 0.0
        self.reset_local()

    def reset_local(self) -> None:
        """Begin anew, but for what get_global() gives."""
        self.num_inst = 0
        self.sum_metric = 0.0

    def get(self) -> tuple[Any, Any]:
        """Name and value; NaN before the first batch."""
        return self.name, self._value(self.sum_metric, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """Name and value since reset()."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self._value(self.global_sum_metric, self.global_num_inst)

    def _value(self, total: Any, count: Any) -> Any:
        return float("nan") if count == 0 else total / count

    def get_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and value."""
        name, value = self.get()
        return list(zip(_listed(name), _listed(value), strict=False))

    def get_global_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and value since reset()."""
        if not self._has_global_stats:
            return self.get_name_value()
        name, value = self.get_global()
        return list(zip(_listed(name), _listed(value), strict=False))


register = registry.get_register_func(EvalMetric, "metric")
alias = registry.get_alias_func(EvalMetric, "metric")
_create = registry.get_create_func(EvalMetric, "metric")


def create(metric: Any, *args: Any, **kwargs: Any) -> Any:
    """A metric from a name ("acc"), a function (label, pred) → value, a list of metrics, or a metric itself."""
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    if isinstance(metric, list):
        return CompositeEvalMetric([create(each, *args, **kwargs) for each in metric])
    return _create(metric, *args, **kwargs)


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics at once."""

    def __init__(
        self,
        metrics: Iterable[Any] | None = None,
        name: str = "composite",
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        self.metrics = [create(each) for each in metrics or ()]
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True)

    def add(self, metric: Any) -> None:
        """One more: whatever create() takes."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> Any:
        """One of them. Out of range MXNet returns the error and does not raise it."""
        try:
            return self.metrics[index]
        except IndexError:
            return ValueError(f"Metric index {index} is out of range 0 and {len(self.metrics)}")

    def update_dict(self, label: Mapping[str, NDArray], pred: Mapping[str, NDArray]) -> None:
        """Add a batch to each of them."""
        if self.label_names is not None:
            label = {name: value for name, value in label.items() if name in self.label_names}
        if self.output_names is not None:
            pred = {name: value for name, value in pred.items() if name in self.output_names}
        for metric in self.metrics:
            metric.update_dict(label, pred)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch to each of them."""
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self) -> None:
        """Begin each of them anew."""
        for metric in self.metrics:
            metric.reset()

    def reset_local(self) -> None:
        """Begin each of them anew, but for what get_global() gives."""
        for metric in self.metrics:
            metric.reset_local()

    def get(self) -> tuple[Any, Any]:
        """Lists of names and of values."""
        return self._together([metric.get() for metric in self.metrics])

    def get_global(self) -> tuple[Any, Any]:
        """Lists of names and of values since reset()."""
        return self._together([metric.get_global() for metric in self.metrics])

    def _together(self, found: list[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
        names: list[Any] = []
        values: list[Any] = []
        for name, value in found:
            names.extend(_listed(name))
            values.extend(_listed(value))
        return names, values

    def get_config(self) -> dict[str, Any]:
        """What create() would make it from."""
        return {**super().get_config(), "metrics": [metric.get_config() for metric in self.metrics]}


class Paired(EvalMetric):
    """Metrics that measure each pair of label and prediction as NumPy arrays; `options` are kept for get_config()."""

    def __init__(
        self, name: str, output_names: list[str] | None, label_names: list[str] | None, **options: Any
    ) -> None:
        super().__init__(name, output_names=output_names, label_names=label_names, has_global_stats=True, **options)

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: lists of arrays, or one array each."""
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds, strict=False):
            self._add(*self._measure(label.asnumpy(), pred.asnumpy()))

    def _measure(self, label: Array, pred: Array) -> tuple[Any, Any]:
        raise NotImplementedError


@register
class CustomMetric(EvalMetric):
    """A function of NumPy arrays: (label, pred) → value, or (sum, count).

    Args:
        feval: the function.
        name: by default the function's.
        allow_extra_outputs: whether there may be more outputs than labels.
    """

    def __init__(
        self,
        feval: Callable[[Any, Any], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: list[str] | None = None,
        label_names: list[str] | None = None,
    ) -> None:
        if name is None:
            name = feval.__name__
            name = f"custom({name})" if "<" in name else name
        super().__init__(
            name,
            feval=feval,
            allow_extra_outputs=allow_extra_outputs,
            output_names=output_names,
            label_names=label_names,
            has_global_stats=True,
        )
        self._feval = feval
        self._allow_extra_outputs = allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        """Add a batch: lists of arrays, or one array each."""
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, True)
        for pred, label in zip(preds, labels, strict=False):
            found = self._feval(label.asnumpy(), pred.asnumpy())
            total, count = found if isinstance(found, tuple) else (found, 1)
            self._add(total, count)

    def get_config(self) -> dict[str, Any]:
        """Refused: a function cannot be written down."""
        raise NotImplementedError("CustomMetric cannot be serialized")


def np(
    numpy_feval: Callable[[Any, Any], Any], name: str | None = None, allow_extra_outputs: bool = False
) -> CustomMetric:
    """A metric made of a function of NumPy arrays, with the function's name."""

    def feval(label: Any, pred: Any) -> Any:
        return numpy_feval(label, pred)

    feval.__name__ = numpy_feval.__name__
    return CustomMetric(feval, name, allow_extra_outputs)


claim(globals(), "mxnet.metric")
