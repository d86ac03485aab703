"""Losses: how far predictions are from labels, one number an example."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.block import HybridBlock

__all__ = [
    "CTCLoss", "CosineEmbeddingLoss", "HingeLoss", "HuberLoss", "KLDivLoss", "L1Loss", "L2Loss", "LogisticLoss",
    "Loss", "PoissonNLLLoss", "SDMLLoss", "SigmoidBCELoss", "SigmoidBinaryCrossEntropyLoss", "SoftmaxCELoss",
    "SoftmaxCrossEntropyLoss", "SquaredHingeLoss", "TripletLoss",
]  # fmt: skip

_NUMBERS = (int, float, np.generic)


def _apply_weighting(F: Any, loss: Any, weight: float | None = None, sample_weight: Any = None) -> Any:
    """The loss times the weights of examples and times `weight`, where they are given."""
    if sample_weight is not None:
        loss = loss * sample_weight if state.np_array else F.broadcast_mul(loss, sample_weight)
    if weight is not None:
        assert isinstance(weight, _NUMBERS), "weight must be a number"
        loss = loss * weight
    return loss


def _reshape_like(F: Any, x: Any, y: Any) -> Any:
    if F is ndarray:
        return x.reshape(y.shape)
    return (F.npx if state.np_array else F).reshape_like(x, y)


class Loss(HybridBlock):
    """The base of losses.

    Args:
        weight: a factor; None is 1.
        batch_axis: the axis of the examples.
    """

    def __init__(self, weight: float | None, batch_axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._weight = weight
        self._batch_axis = batch_axis

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch_axis={self._batch_axis}, w={self._weight})"

    def _per_example(self, F: Any, loss: Any, weight: float | None, sample_weight: Any) -> Any:
        """The weighted mean over all axes but that of the examples."""
        loss = _apply_weighting(F, loss, weight, sample_weight)
        if not state.np_array:
            return F.mean(loss, axis=self._batch_axis, exclude=True)
        if F is ndarray:
            return F.np.mean(loss, axis=tuple(range(1, loss.ndim)))
        return F.npx.batch_flatten(loss).mean(axis=1)

    def _mean(self, F: Any, loss: Any, sample_weight: Any) -> Any:
        """The same for losses that only know classic arrays."""
        loss = _apply_weighting(F, loss, self._weight, sample_weight)
        return F.mean(loss, axis=self._batch_axis, exclude=True)


class L2Loss(Loss):
    """½ · weight · (label - pred)²."""

    def __init__(self, weight: float = 1.0, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,)."""
        difference = _reshape_like(F, label, pred) - pred
        loss = F.np.square(difference) if state.np_array else F.square(difference)
        assert self._weight is not None
        return self._per_example(F, loss, self._weight / 2, sample_weight)


class L1Loss(Loss):
    """|label - pred|."""

    def __init__(self, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,)."""
        difference = _reshape_like(F, label, pred) - pred
        loss = F.np.abs(difference) if state.np_array else F.abs(difference)
        return self._per_example(F, loss, self._weight, sample_weight)


class SigmoidBinaryCrossEntropyLoss(Loss):
    """Cross entropy of labels between 0 and 1.

    Args:
        from_sigmoid: whether predictions are probabilities already.
    """

    def __init__(
        self, from_sigmoid: bool = False, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_sigmoid = from_sigmoid

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None, pos_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,); `pos_weight` weighs the positive examples."""
        label = _reshape_like(F, label, pred)
        if state.np_array:
            relu, act, absolute, times, log = F.npx.relu, F.npx.activation, F.np.abs, F.np.multiply, F.np.log
        else:
            relu, act, absolute, times, log = F.relu, F.Activation, F.abs, F.broadcast_mul, F.log
        if self._from_sigmoid:
            eps = 1e-12
            positive = log(pred + eps) * label
            if pos_weight is not None:
                positive = times(positive, pos_weight)
            loss = -(positive + log(1.0 - pred + eps) * (1.0 - label))
        elif pos_weight is None:
            loss = relu(pred) - pred * label + act(-absolute(pred), act_type="softrelu")
        else:
            log_weight = 1 + times(pos_weight - 1, label)
            tail = act(-absolute(pred), act_type="softrelu") + relu(-pred)
            loss = pred - pred * label + log_weight * tail
        return self._per_example(F, loss, self._weight, sample_weight)


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss


class SoftmaxCrossEntropyLoss(Loss):
    """Cross entropy of classes.

    Args:
        axis: of the classes.
        sparse_label: whether labels are numbers of classes, and not probabilities.
        from_logits: whether predictions are log-probabilities already.
    """

    def __init__(
        self,
        axis: int = -1,
        sparse_label: bool = True,
        from_logits: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._axis = axis
        self._sparse_label = sparse_label
        self._from_logits = from_logits

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …, classes), (n, …) → (n,)."""
        own = F.npx if state.np_array else F
        if not self._from_logits:
            pred = own.log_softmax(pred, self._axis)
        if self._sparse_label:
            loss = -own.pick(pred, label, axis=self._axis, keepdims=True)
        else:
            loss = -(pred * _reshape_like(F, label, pred)).sum(axis=self._axis, keepdims=True)
        loss = _apply_weighting(F, loss, self._weight, sample_weight)
        if not state.np_array:
            return loss.mean(axis=self._batch_axis, exclude=True)
        if F is ndarray:
            return loss.mean(axis=tuple(range(1, loss.ndim)))
        return F.npx.batch_flatten(loss).mean(axis=1)


SoftmaxCELoss = SoftmaxCrossEntropyLoss


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence: label · (log label - pred).

    Args:
        from_logits: whether predictions are log-probabilities already.
    """

    def __init__(
        self, from_logits: bool = True, axis: int = -1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits = from_logits
        self._axis = axis

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,): a sum over all other axes."""
        if not self._from_logits:
            pred = F.log_softmax(pred, self._axis)
        loss = label * (F.log(label + 1e-12) - pred)
        loss = _apply_weighting(F, loss, self._weight, sample_weight)
        return F.sum(loss, axis=self._batch_axis, exclude=True)


class CTCLoss(Loss):
    """Connectionist temporal classification; the last class is the blank.

    Args:
        layout: of the predictions, "NTC" or "TNC".
        label_layout: "NT" or "TN"; labels are padded with -1.
    """

    def __init__(
        self, layout: str = "NTC", label_layout: str = "NT", weight: float | None = None, **kwargs: Any
    ) -> None:
        assert layout in ("NTC", "TNC"), f"Only 'NTC' and 'TNC' layouts for pred are supported. Got: {layout}"
        assert label_layout in ("NT", "TN"), f"Only 'NT' and 'TN' layouts for label are supported. Got: {label_layout}"
        self._layout = layout
        self._label_layout = label_layout
        super().__init__(weight, label_layout.find("N"), **kwargs)

    def hybrid_forward(
        self,
        F: Any,
        pred: Any,
        label: Any,
        pred_lengths: Any = None,
        label_lengths: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        """Predictions, labels → (n,)."""
        if self._layout == "NTC":
            pred = F.swapaxes(pred, 0, 1)
        if self._batch_axis == 1:
            label = F.swapaxes(label, 0, 1)
        loss = F.CTCLoss(
            pred,
            label,
            pred_lengths,
            label_lengths,
            use_data_lengths=pred_lengths is not None,
            use_label_lengths=label_lengths is not None,
            blank_label="last",
        )
        return _apply_weighting(F, loss, self._weight, sample_weight)


class HuberLoss(Loss):
    """Squared for differences up to `rho`, beyond it linear."""

    def __init__(self, rho: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._rho = rho

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,)."""
        loss = F.abs(_reshape_like(F, label, pred) - pred)
        loss = F.where(loss > self._rho, loss - 0.5 * self._rho, (0.5 / self._rho) * F.square(loss))
        return self._mean(F, loss, sample_weight)


class HingeLoss(Loss):
    """max(0, margin - pred · label), for labels -1 and 1."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,)."""
        label = _reshape_like(F, label, pred)
        loss = F.relu(self._margin - pred * label)
        return self._mean(F, loss, sample_weight)


class SquaredHingeLoss(Loss):
    """max(0, margin - pred · label)², for labels -1 and 1."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,)."""
        label = _reshape_like(F, label, pred)
        loss = F.square(F.relu(self._margin - pred * label))
        return self._mean(F, loss, sample_weight)


class LogisticLoss(Loss):
    """log(1 + exp(-pred · label)).

    Args:
        label_format: "signed" for labels -1 and 1, "binary" for 0 and 1.
    Raises:
        ValueError: another format.
    """

    def __init__(
        self, weight: float | None = None, batch_axis: int = 0, label_format: str = "signed", **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._label_format = label_format
        if label_format not in ("signed", "binary"):
            raise ValueError(f"label_format can only be signed or binary, recieved {label_format}.")

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, …), (n, …) → (n,)."""
        label = _reshape_like(F, label, pred)
        if self._label_format == "signed":
            label = (label + 1.0) / 2.0
        loss = F.relu(pred) - pred * label + F.Activation(-F.abs(pred), act_type="softrelu")
        return self._mean(F, loss, sample_weight)


class TripletLoss(Loss):
    """max(0, |positive - pred|² - |negative - pred|² + margin)."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, positive: Any, negative: Any) -> Any:
        """(n, …) three times → (n,)."""
        positive = _reshape_like(F, positive, pred)
        negative = _reshape_like(F, negative, pred)
        gap = F.square(positive - pred) - F.square(negative - pred)
        loss = F.relu(F.sum(gap, axis=self._batch_axis, exclude=True) + self._margin)
        return _apply_weighting(F, loss, self._weight, None)


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of counts.

    Args:
        from_logits: whether predictions are logarithms of the rate.
        compute_full: whether Stirling's term of the target is added.
    """

    def __init__(
        self,
        weight: float | None = None,
        from_logits: bool = True,
        batch_axis: int = 0,
        compute_full: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits = from_logits
        self._compute_full = compute_full

    def hybrid_forward(self, F: Any, pred: Any, target: Any, sample_weight: Any = None, epsilon: float = 1e-8) -> Any:
        """(n, …), (n, …) → one number: the mean of everything."""
        target = _reshape_like(F, target, pred)
        if self._from_logits:
            loss = F.exp(pred) - target * pred
        else:
            loss = pred - target * F.log(pred + epsilon)
        if self._compute_full:
            stirling = target * F.log(target) - target + 0.5 * F.log(2 * target * np.pi)
            loss = loss + stirling * (target > 1)
        return F.mean(_apply_weighting(F, loss, self._weight, sample_weight))


class CosineEmbeddingLoss(Loss):
    """1 - cosine for pairs with label 1, max(0, cosine - margin) for those with -1."""

    def __init__(self, weight: float | None = None, batch_axis: int = 0, margin: float = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, input1: Any, input2: Any, label: Any, sample_weight: Any = None) -> Any:
        """(n, k), (n, k), (n,) → (n, 1)."""
        input1 = _reshape_like(F, input1, input2)
        label = label.reshape((-1, 1))
        cosine = self._cosine_similarity(F, input1, input2)
        zero = F.array([0]) if F is ndarray else F.zeros((1, 1))
        same = (1 - cosine) * (label == 1)
        # The axis has no meaning, but stands in the graphs that MXNet writes.
        other = F.broadcast_maximum(zero, (label == -1) * (cosine - self._margin), axis=1)
        return _apply_weighting(F, same + other, self._weight, sample_weight)

    def _cosine_similarity(self, F: Any, x: Any, y: Any, axis: int = -1) -> Any:
        x_norm = F.norm(x, axis=axis).reshape((-1, 1))
        y_norm = F.norm(y, axis=axis).reshape((-1, 1))
        product = F.sum(x * y, axis=axis).reshape((-1, 1))
        smallest = F.array([1e-12]) if F is ndarray else F.full((1, 1), 1e-12)
        return product / F.broadcast_maximum(x_norm * y_norm, smallest)


class SDMLLoss(Loss):
    """Smoothed deep metric learning: aligned pairs against all others of the batch."""

    def __init__(
        self, smoothing_parameter: float = 0.3, weight: float = 1.0, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self.kl_loss = KLDivLoss(from_logits=True)
        self.smoothing_parameter = smoothing_parameter

    def _compute_distances(self, x1: Any, x2: Any) -> Any:
        assert x1.shape == x2.shape
        count, width = x1.shape
        left = x1.expand_dims(1).broadcast_to([count, count, width])
        right = x2.expand_dims(0).broadcast_to([count, count, width])
        return ((left - right) ** 2).sum(axis=2)

    def _compute_labels(self, F: Any, batch_size: int) -> Any:
        gold = F.eye(batch_size)
        return gold * (1 - self.smoothing_parameter) + (1 - gold) * self.smoothing_parameter / (batch_size - 1)

    def hybrid_forward(self, F: Any, x1: Any, x2: Any) -> Any:
        """(n, k), (n, k) → (n,)."""
        labels = self._compute_labels(F, x1.shape[0])
        distances = self._compute_distances(x1, x2)
        return self.kl_loss(F.log_softmax(-distances, axis=1), labels.as_in_context(distances.ctx))


claim(globals())
