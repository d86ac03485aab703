"""Outputs with a loss of their own: what backward() gives the data does not depend on the head gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import expects


class _WithGradient(torch.autograd.Function):
    """`out` as it stands; `rule(head gradient)` as the gradient of data, zeros as that of the label."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, label: Tensor | None, out: Tensor, rule: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.rule = rule
        ctx.label = label
        return out

    @staticmethod
    def backward(ctx: Any, head: Tensor) -> Any:
        zeros = torch.zeros_like(ctx.label) if ctx.needs_input_grad[1] else None
        return ctx.rule(head), zeros, None, None


def _recorded(*tensors: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def _softmax_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None]
    if len(shapes) == 1:
        return shapes, [data]
    label = shapes[1]
    if attrs["multi_output"]:
        rest = data[2:]
        joined = -1 if -1 in rest else 1
        for size in rest if joined > 0 else ():
            joined *= size
        if label is None:
            label = (data[0], joined)
    elif label is None or -1 in label:
        label = data[:-1]
    return [data, label], [data]


@operator("SoftmaxOutput", shape=_softmax_shapes)
def softmax_output(
    data: Tensor, label: Tensor | None = None, *, grad_scale: float = 1.0, ignore_label: float = -1.0,
    multi_output: bool = False, use_ignore: bool = False, preserve_shape: bool = False, normalization: str = "null",
    out_grad: bool = False, smooth_alpha: float = 0.0,
) -> Tensor:  # fmt: skip
    """softmax of data; backward() gives data the gradient of the cross entropy with `label`.

    softmax goes over all but the first axis together; with preserve_shape over the last axis, with multi_output over
    axis 1. label holds class numbers, or, in data's shape, probabilities. The gradient is
    grad_scale · (softmax - one_hot(label)) whatever the head gradient is; normalization divides it by the number of
    samples ("batch") or of labels that are not ignored ("valid"), multi_output by the labels of a sample unless it is
    "valid". use_ignore gives rows with `ignore_label` no gradient; smooth_alpha moves that much of the label to the
    other classes. out_grad multiplies the gradient with the softmax, as MXNet 1.9.1 does; its documentation speaks of
    the head gradient.
    """
    flat = data if multi_output or preserve_shape or data.dim() == 2 else data.flatten(1)
    axis = 1 if multi_output else -1
    if label is None:
        return torch.softmax(flat, axis).reshape(data.shape)
    _check_label(data, label, multi_output)
    if not _recorded(data, label):
        return torch.softmax(flat, axis).reshape(data.shape)
    probabilities = torch.softmax(flat.detach(), axis)
    labels, shape = label.detach(), data.shape

    def rule(head: Tensor) -> Tensor:
        if labels.shape == shape:
            return (probabilities.reshape(shape) - labels) * grad_scale
        lines = probabilities.movedim(axis, -1)
        ignored = ignore_label if use_ignore else None
        grad = _softmax_gradient(lines, labels, ignored, 0.0 if multi_output else smooth_alpha)
        if out_grad:
            grad = grad * lines
        if normalization == "valid":
            valid = (labels.to(torch.int64) != int(ignore_label)).sum().clamp(min=1) if use_ignore else labels.numel()
            grad = grad * (grad_scale / valid)
        else:
            inner = lines.shape[1:-1].numel() if multi_output or normalization == "batch" else 1
            grad = grad * (grad_scale / (inner * (lines.shape[0] if normalization == "batch" else 1)))
        return grad.movedim(-1, axis).reshape(shape)

    found: Tensor = _WithGradient.apply(data, label, probabilities.reshape(data.shape), rule)
    return found


def _check_label(data: Tensor, label: Tensor, multi_output: bool) -> None:
    given, shape = tuple(label.shape), tuple(data.shape)
    if given == shape or (given == shape[:-1] and not multi_output):
        return
    if multi_output:
        rest = data.shape[2:].numel()
        if label.numel() == shape[0] * rest and (given[:1] == shape[:1] or given == (shape[0], rest)):
            return
        flat, planes = (shape[0], rest), (shape[0], *shape[2:])
        raise MXNetError(f"Expecting {_listed(flat)} or {_listed(planes)}. But got {_listed(given)}")
    raise MXNetError(f"Shape inconsistent, Provided = {_listed(given)}, inferred shape={_listed(shape[:-1])}")


def _listed(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _softmax_gradient(lines: Tensor, labels: Tensor, ignored: float | None, smooth: float) -> Tensor:
    """softmax minus the labels; lines (N, …, classes)."""
    classes = lines.shape[-1]
    # With flattened data MXNet has more labels than lines, and takes the first ones.
    numbers = labels.flatten()[: lines.shape[:-1].numel()].reshape(lines.shape[:-1]).to(torch.int64)
    inside = ((numbers >= 0) & (numbers < classes)).unsqueeze(-1)
    hot = torch.zeros_like(lines).scatter_(-1, numbers.clamp(0, classes - 1).unsqueeze(-1), 1.0) * inside
    if smooth:
        hot = hot * (1 - smooth) + (1 - hot) * (smooth / (classes - 1))
    grad = lines - hot
    return grad if ignored is None else grad * (numbers != int(ignored)).unsqueeze(-1)


def _same_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, label = shapes
    if data is None:
        return shapes, [None]
    if label is None or -1 in label:
        label = (data[0],) if len(data) == 2 and data[1] == 1 else data
    return [data, label], [data]


def _regression(
    data: Tensor, label: Tensor | None, scale: float, out: Callable[[Tensor], Tensor],
    gradient: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:  # fmt: skip
    if label is None:
        return out(data)
    if label.numel() != data.numel() or label.shape[0] != data.shape[0]:
        raise MXNetError(f"Shape inconsistent, Provided = {list(label.shape)}, inferred shape={list(data.shape)}")
    if not _recorded(data, label):
        return out(data)
    found = out(data.detach())
    target = label.detach().reshape(data.shape)
    share = scale * data.shape[0] / max(data.numel(), 1)

    def rule(head: Tensor) -> Tensor:
        return gradient(found, target) * share

    kept: Tensor = _WithGradient.apply(data, label, found, rule)
    return kept


@operator("LinearRegressionOutput", shape=_same_shapes, view=True)
def linear_regression_output(data: Tensor, label: Tensor | None = None, *, grad_scale: float = 1.0) -> Tensor:
    """data itself; backward() gives it grad_scale / m · (data - label), whatever the head gradient is.

    m is the number of outputs of a sample. label has data's shape, or (N,) for data (N, 1).
    """
    return _regression(data, label, grad_scale, torch.ops.aten.alias, torch.sub)


@operator("LogisticRegressionOutput", shape=_same_shapes)
def logistic_regression_output(data: Tensor, label: Tensor | None = None, *, grad_scale: float = 1.0) -> Tensor:
    """sigmoid(data); backward() gives data grad_scale / m · (sigmoid(data) - label), whatever the head gradient is.

    m is the number of outputs of a sample. label has data's shape, or (N,) for data (N, 1).
    """
    return _regression(data, label, grad_scale, torch.sigmoid, torch.sub)


@operator("MAERegressionOutput", shape=_same_shapes, view=True)
def mae_regression_output(data: Tensor, label: Tensor | None = None, *, grad_scale: float = 1.0) -> Tensor:
    """data itself; backward() gives it grad_scale / m · sign(data - label), whatever the head gradient is.

    m is the number of outputs of a sample. label has data's shape, or (N,) for data (N, 1).
    """
    return _regression(data, label, grad_scale, torch.ops.aten.alias, lambda out, target: torch.sign(out - target))


def _svm_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, label = shapes
    if data is None:
        return shapes, [None]
    return [data, data[:-1] if label is None or -1 in label else label], [data]


@operator("SVMOutput", shape=_svm_shapes, view=True)
def svm_output(
    data: Tensor, label: Tensor | None = None, *, margin: float = 1.0, regularization_coefficient: float = 1.0,
    use_linear: bool = False,
) -> Tensor:  # fmt: skip
    """data itself; backward() gives it the gradient of a hinge loss, whatever the head gradient is.

    data (N, classes) are scores, label (N,) class numbers. The loss is the squared hinge, or the hinge itself with
    use_linear; margin is its width, regularization_coefficient its weight.
    """
    if label is None or not _recorded(data, label):
        return torch.ops.aten.alias(data)
    scores, classes = data.detach(), data.shape[-1]
    hot = torch.nn.functional.one_hot(label.detach().to(torch.int64), classes).bool()

    def rule(head: Tensor) -> Tensor:
        if use_linear:
            right, wrong = (margin > scores).to(scores.dtype), (margin > -scores).to(scores.dtype)
        else:
            right, wrong = 2 * (margin - scores).clamp(min=0), 2 * (margin + scores).clamp(min=0)
        return torch.where(hot, -right, wrong) * regularization_coefficient

    found: Tensor = _WithGradient.apply(data, label, scores.view_as(scores), rule)
    return found


@operator("MakeLoss", shape="same", view=True)
def make_loss_output(
    data: Tensor, *, grad_scale: float = 1.0, valid_thresh: float = 0.0, normalization: str = "null"
) -> Tensor:
    """data itself, as a loss; backward() gives it grad_scale, whatever the head gradient is.

    normalization divides that by the number of samples ("batch") or of elements above valid_thresh ("valid").
    """
    if not _recorded(data):
        return torch.ops.aten.alias(data)
    values = data.detach()

    def rule(head: Tensor) -> Tensor:
        if normalization == "valid":
            valid = (values > valid_thresh).sum().clamp(min=1)
            return torch.ones_like(values) * (grad_scale / valid)
        return torch.full_like(values, grad_scale / values.shape[0] if normalization == "batch" else grad_scale)

    found: Tensor = _WithGradient.apply(data, None, values.view_as(values), rule)
    return found


def _ctc_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if data is None:
        return shapes, [None]
    if len(data) != 3:
        raise MXNetError("The data array must be of rank 3: (sequence_length, batch_size, alphabet_size).")
    return [*shapes[:2], *[(data[1],)] * (len(shapes) - 2)], [(data[1],)]


@operator(
    "CTCLoss",
    inputs=taking(
        "data", "label", "data_lengths", "label_lengths",
        data_lengths=lambda a: a["use_data_lengths"], label_lengths=lambda a: a["use_label_lengths"],
    ),
    outputs=2,
    visible=1,
    shape=_ctc_shapes,
    dtype=lambda dtypes, attrs: (dtypes, dtypes[:1]),
)  # fmt: skip
def ctc_loss(
    data: Tensor, label: Tensor, *lengths: Tensor, use_data_lengths: bool = False, use_label_lengths: bool = False,
    blank_label: str = "first",
) -> Tensor:  # fmt: skip
    """The connectionist temporal classification loss of each sequence: (N,).

    data (T, N, C), before the softmax; label (N, L). blank_label "first": class 0 is the blank, and 0 pads labels;
    "last": class C - 1 is, and -1 pads them. data_lengths and label_lengths (N,) are taken where use_data_lengths and
    use_label_lengths say so, in this order. A label that does not fit into its sequence has the loss 0.
    """
    if len(lengths) != use_data_lengths + use_label_lengths:
        raise expects("CTCLoss", 2 + use_data_lengths + use_label_lengths, 2 + len(lengths))
    if data.dim() != 3:
        raise MXNetError("The data array must be of rank 3: (sequence_length, batch_size, alphabet_size).")
    steps, batch, classes = data.shape
    if label.dim() != 2 or label.shape[0] != batch:
        raise MXNetError(
            f"The label array must be of shape (batch_size, label_sequence_length); batch_size is {batch}."
        )
    if steps < label.shape[1]:
        raise MXNetError("The max number of labels cannot exceed the maximum sequence length of the data.")
    targets = label.detach().to(torch.int64)
    times = lengths[0].to(torch.int64) if use_data_lengths else torch.full((batch,), steps, device=data.device)
    if use_data_lengths:  # what is behind the end, be it NaN, has no part in the gradient
        data = data.where((torch.arange(steps, device=data.device)[:, None] < times)[:, :, None], 0)
    if use_label_lengths:
        counts = lengths[-1].to(torch.int64)
    else:
        padding = 0 if blank_label == "first" else -1
        counts = (targets != padding).to(torch.int64).cumprod(1).sum(1)
    blank = 0 if blank_label == "first" else classes - 1
    targets = targets.clamp(0, classes - 1)
    found: Tensor = torch.nn.functional.ctc_loss(
        torch.log_softmax(data, 2), targets, times, counts, blank, "none", zero_infinity=True
    )
    return found


def _sparse_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    return [data, None if data is None else (data[1],)], [data]


@operator("IdentityAttachKLSparseReg", inputs=taking("data", "moving_avg"), shape=_sparse_shapes, view=True)
def identity_attach_kl_sparse_reg(
    data: Tensor, moving_avg: Tensor, *, sparseness_target: float = 0.100000001, penalty: float = 0.00100000005,
    momentum: float = 0.899999976,
) -> Tensor:  # fmt: skip
    """data (N, C) itself; backward() adds the gradient of a penalty on units that are active more than the target.

    moving_avg (C,) is each unit's mean activation, between 0 and 1; backward() moves it in place by
    momentum · moving_avg + (1 - momentum) · mean and adds
    penalty · (-target / moving_avg + (1 - target) / (1 - moving_avg)) to the head gradient.
    """
    if data.dim() != 2 or tuple(moving_avg.shape) != (data.shape[1],):
        raise MXNetError(f"data should be (batch, units), moving_avg (units,); they are {list(data.shape)} and "
                         f"{list(moving_avg.shape)}.")  # fmt: skip
    if not _recorded(data):
        return torch.ops.aten.alias(data)
    values = data.detach()

    def rule(head: Tensor) -> Tensor:
        average = moving_avg.detach().lerp_(values.mean(0), 1 - momentum)
        return head + penalty * (-sparseness_target / average + (1 - sparseness_target) / (1 - average))

    found: Tensor = _WithGradient.apply(data, None, values.view_as(values), rule)
    return found
