"""Activation functions, softmax and its kin, Dropout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._nn_common import floats_only
from tensorkeep.mxnet.ops._nn_random import bernoulli, uniform

Dims = tuple[int, ...]

_TORCH = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}


def _softrelu(data: Tensor) -> Tensor:
    return torch.nn.functional.softplus(data, 1, 20)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softrelu": _softrelu,
    "softsign": torch.nn.functional.softsign,
    "tanh": torch.tanh,
}


@operator("Activation", shape="same")
def activation(data: Tensor, *, act_type: str) -> Tensor:
    """An activation function of each element.

    relu: max(x, 0), sigmoid, softrelu: log(1 + eˣ), softsign: x / (1 + |x|), tanh. NaN stays NaN.
    """
    if not data.is_floating_point():
        raise floats_only(data)
    return _ACTIVATIONS[act_type](data)


class _Selu(torch.autograd.Function):
    """selu with MXNet's gradient: λ·(α + y) where y is negative, which is λ·α + y in the textbook."""

    @staticmethod
    def forward(ctx: Any, data: Tensor) -> Tensor:
        out = torch.selu(data)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (out,) = ctx.saved_tensors
        return grad * torch.where(out > 0, _LAMBDA, _LAMBDA * (_ALPHA + out))


_ALPHA, _LAMBDA = 1.6732632423543772848, 1.0507009873554804934
_SLOPE = 0.25
_RRELU = (0.125, 0.333999991)


def _leaky_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    outputs = [data] * (2 if attrs["act_type"] == "rrelu" else 1)
    if len(shapes) == 1:
        return shapes, outputs
    gamma = shapes[1]
    if gamma is None and data is not None:
        gamma = (data[1] if len(data) > 1 else data[0],)
    return [data, gamma], outputs


def _is_rrelu(attrs: Attrs) -> int:
    return 2 if attrs["act_type"] == "rrelu" else 1


@operator(
    "LeakyReLU",
    inputs=taking("data", "gamma", gamma=lambda a: a["act_type"] == "prelu"),
    outputs=_is_rrelu,
    shape=_leaky_shapes,
)
def leaky_relu(
    data: Tensor, gamma: Tensor | None = None, *, act_type: str = "leaky", slope: float = _SLOPE,
    lower_bound: float = _RRELU[0], upper_bound: float = _RRELU[1], is_train: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """A rectifier that lets negative elements through in part.

    leaky: slope·x; prelu: gamma·x, gamma (1,), one for each channel of axis 1, or (N, C); elu: slope·(eˣ - 1); selu; gelu: x·Φ(x)
    with the exact error function; rrelu: in training a random slope between lower_bound and upper_bound for each
    element, else their mean. The random slopes follow mx.random.seed, but are not the ones that MXNet draws. rrelu also
    returns the slopes; zeros outside training.
    """
    if act_type == "leaky":
        return torch.nn.functional.leaky_relu(data, slope)
    if act_type == "gelu":
        return torch.nn.functional.gelu(data)
    if act_type == "elu":
        return torch.nn.functional.elu(data, slope)
    if act_type == "selu":
        found: Tensor = _Selu.apply(data)
        return found
    if act_type == "prelu":
        if gamma is None:
            raise MXNetError("Operator LeakyReLU expects 2 inputs, but got 1 instead.")
        return torch.where(data > 0, data, data * _along(gamma, data))
    if not is_train:
        return torch.where(data > 0, data, data * ((lower_bound + upper_bound) / 2)), torch.zeros_like(data)
    slopes = uniform(data, lower_bound, upper_bound)
    return torch.where(data > 0, data, data * slopes), slopes


def _along(gamma: Tensor, data: Tensor) -> Tensor:
    """gamma so that it broadcasts: one number, one for each of axis 1 or else of axis 0, or (N or 1, C or 1)."""
    rank, shape = data.dim(), gamma.shape
    if gamma.numel() == 1 and len(shape) == 1:
        return gamma
    if len(shape) == 1 and rank > 1 and shape[0] == data.shape[1]:
        return gamma.reshape(-1, *[1] * (rank - 2))
    fits = all(n in (1, m) for n, m in zip(shape, data.shape, strict=False))
    if len(shape) not in (1, 2) or len(shape) > rank or not fits:
        raise MXNetError(f"Cannot broadcast gamma to data. gamma: {like(shape)}, data: {like(data.shape)}")
    return gamma.reshape(*shape, *[1] * (rank - len(shape)))


def _axis(data: Tensor, axis: int) -> int:
    rank = max(data.dim(), 1)  # a single number is a line of one
    if not -rank <= axis < rank:
        raise MXNetError(f"axis {axis} exceeds the input dimension of {rank}")
    return axis


def _softmax_dtype(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return dtypes, [attrs["dtype"] or dtypes[0]]


def _softmax_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    if len(shapes) == 1 or data is None:
        return shapes, [data]
    axis = attrs["axis"] % len(data)
    return [data, (*data[:axis], *data[axis + 1 :])], [data]


@operator(
    "softmax",
    inputs=taking("data", "length", length=lambda a: bool(a["use_length"])),
    shape=_softmax_shapes,
    dtype=_softmax_dtype,
)
def softmax(
    data: Tensor, length: Tensor | None = None, *, axis: int = -1, temperature: float | None = None,
    dtype: str | None = None, use_length: bool | None = False,
) -> Tensor:  # fmt: skip
    """e to the elements, scaled so that they add up to 1 along `axis`.

    The elements are divided by `temperature` first. With use_length, `length` (data's shape without axis, integers)
    says how many elements of each line count; the others get 0.
    """
    if not data.is_floating_point():
        raise floats_only(data)
    axis = _axis(data, axis)
    if temperature is not None and temperature != 1:
        data = data / temperature
    if not use_length:
        return torch.softmax(data, axis, _TORCH[dtype] if dtype is not None else None)
    if length is None:
        raise MXNetError("Operator softmax expects 2 inputs, but got 1 instead.")
    if length.is_floating_point():
        raise MXNetError(f"This operation only support integer types, not {str(length.dtype).removeprefix('torch.')}")
    beyond = _positions(data, axis) >= length.unsqueeze(axis)
    # A line without elements is all zeros: -inf everywhere would give NaN, also in its gradient.
    masked = data.masked_fill(beyond, float("-inf")).masked_fill((length <= 0).unsqueeze(axis), 0)
    found = torch.softmax(masked, axis, _TORCH[dtype] if dtype is not None else None)
    return found.masked_fill(beyond, 0)


def _positions(data: Tensor, axis: int) -> Tensor:
    shape = [1] * data.dim()
    shape[axis] = -1
    return torch.arange(data.shape[axis], device=data.device).reshape(shape)


@operator("log_softmax", shape="same", dtype=_softmax_dtype)
def log_softmax(
    data: Tensor, *, axis: int = -1, temperature: float | None = None, dtype: str | None = None,
    use_length: bool | None = False,
) -> Tensor:  # fmt: skip
    """The logarithm of softmax along `axis`, computed without overflow; elements are divided by `temperature` first."""
    prepared = _scaled(data, axis, temperature, use_length)
    return torch.log_softmax(prepared, axis, _TORCH[dtype] if dtype is not None else None)


@operator("softmin", shape="same", dtype=_softmax_dtype)
def softmin(
    data: Tensor, *, axis: int = -1, temperature: float | None = None, dtype: str | None = None,
    use_length: bool | None = False,
) -> Tensor:  # fmt: skip
    """softmax of the negated elements along `axis`; they are divided by `temperature` first."""
    prepared = _scaled(data, axis, temperature, use_length)
    return torch.softmax(-prepared, axis, _TORCH[dtype] if dtype is not None else None)


def _scaled(data: Tensor, axis: int, temperature: float | None, use_length: bool | None) -> Tensor:
    if not data.is_floating_point():
        raise floats_only(data)
    if use_length:
        raise MXNetError("use_length is a parameter of softmax; this operator takes no lengths.")
    _axis(data, axis)
    return data if temperature is None or temperature == 1 else data / temperature


class _SoftmaxLast(torch.autograd.Function):
    """softmax over the last axis, with the sum of MXNet's gradient over axis 1; in two dimensions they are one."""

    @staticmethod
    def forward(ctx: Any, data: Tensor) -> Tensor:
        out = torch.softmax(data, -1)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (out,) = ctx.saved_tensors
        return out * (grad - (grad * out).sum(1, keepdim=True))


@operator("SoftmaxActivation", shape="same")
def softmax_activation(data: Tensor, *, mode: str = "instance") -> Tensor:
    """softmax over axis 1 (mode "channel"), or over the last axis (mode "instance")."""
    if not data.is_floating_point():
        raise floats_only(data)
    if mode == "channel":
        if data.dim() < 3:
            raise MXNetError("Input need to have a least 3 dimensions when mode=channel")
        return torch.softmax(data, 1)
    if data.dim() == 2 or not (data.requires_grad and torch.is_grad_enabled()):
        return torch.softmax(data, -1)
    found: Tensor = _SoftmaxLast.apply(data)
    return found


@operator("Dropout", outputs=2, visible=1, shape="same", view=True)
def dropout(data: Tensor, *, p: float = 0.5, mode: str = "training", axes: Dims = (), is_train: bool = False) -> Tensor:
    """data with a share `p` of its elements set to 0 and the others divided by 1 - p.

    Nothing is dropped outside training, unless mode is "always". `axes` are those along which one decision holds for
    all elements. The choice follows mx.random.seed, but is not the one that MXNet makes.
    """
    if not 0 <= p <= 1:
        raise MXNetError(
            f"value {p:g} for Parameter p exceed bound [0,1]\n"
            "p: Fraction of the input that gets dropped out during training time."
        )
    if not (is_train or mode == "always") or p == 0:
        return torch.ops.aten.alias(data)
    if not data.is_floating_point():
        raise floats_only(data)
    shape = list(data.shape)
    for axis in axes:
        if not 0 <= axis < len(shape):
            raise MXNetError(f"index = {axis} must be in range [0, {len(shape)})")
        shape[axis] = 1
    mask = bernoulli(data, shape, 1 - p)
    return data * (mask / 0 if p == 1 else mask)  # nothing is kept, and divided by 0: NaN, as in MXNet
