"""Fused layers on 8-bit values: what MXNet's oneDNN backend makes of a quantized network.

A fused node's body is a convolution or a dense layer with what follows it: BatchNorm, relu, a sum, relu. Its inputs are
those of the body, then the ranges (min and max) of the data and of the sum's other operand; dense layers come with
8-bit weights and biases and with their ranges too. Source: mkldnn_conv.cc and mkldnn_fc.cc of 1.9.1; compared with
real MXNet in tests/mxnet/symbol/test_fused.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.symbol._node import Node, post_order

__all__ = ["eight_bit", "is_eight_bit", "kind_of"]

_LEVELS = {torch.int8: 127.5, torch.uint8: 255.5}
"""What a range's largest magnitude stands for."""
_LAYERS = ("Convolution", "FullyConnected")
Values = dict[int, Tensor]
"""id of a variable of the body → its tensor."""


def is_eight_bit(node: Node) -> bool:
    """Whether a fused node takes 8-bit values."""
    return node.attrs.get("quantized", "false").lower() in ("true", "1")


def _float(node: Node, key: str) -> float | None:
    text = node.attrs.get(key, "None")
    try:
        return None if text == "None" else float(text)
    except ValueError:
        raise MXNetError(f"{node.op} {node.name}: its {key} {text!r:.80} is no number.") from None


def _inside(node: Node) -> dict[str, list[Node]]:
    """The operators of the body by name, in their order.

    Raises:
        MXNetError: there is one that is not computed on 8-bit values here.
    """
    found: dict[str, list[Node]] = {}
    for inner in post_order(node.subgraphs[0]):
        if not inner.is_variable:
            found.setdefault(inner.op, []).append(inner)
    strange = [op for op in found if op not in (*_LAYERS, "BatchNorm", "Activation", "elemwise_add", "clip")]
    acts = [a.complete.get("act_type") for a in found.get("Activation", [])]
    if strange or set(acts) - {"relu"} or sum(len(found.get(op, [])) for op in _LAYERS) != 1:
        raise MXNetError(
            f"{node.op} {node.name}: its body ({', '.join([*found, *map(str, acts)])}) is not computed on 8-bit values."
        )
    return found


def kind_of(node: Node) -> str:
    """The dtype of its first output."""
    if node.attrs.get("enable_float_output", "false").lower() in ("true", "1"):
        return "float32"
    if _float(node, "min_calib_range") is None or _float(node, "max_calib_range") is None:
        return "int32"
    inside = _inside(node)
    last = post_order(node.subgraphs[0])[-1]
    positive = last.op == "Activation" or (last.op == "clip" and last.complete["a_min"] >= 0)
    return "uint8" if positive and inside else "int8"


def eight_bit(node: Node) -> Callable[..., tuple[Tensor, ...]]:
    """What computes the node: (tensors, is_train) → values, min, max; float values alone where it gives floats.

    Raises:
        MXNetError: a body or a setting that is not computed here.
    """
    inside = _inside(node)
    kind = kind_of(node)
    if kind == "int32":
        raise MXNetError(f"{node.op} {node.name}: 8-bit layers without a calibrated range are not computed here.")
    order = [inner for inner in post_order(node.subgraphs[0]) if inner.is_variable]
    if len(node.inputs) < len(order) + 2:
        raise MXNetError(f"{node.op} {node.name}: the ranges of its inputs are missing.")

    def run(*tensors: Tensor, is_train: bool) -> tuple[Tensor, ...]:
        values = {id(variable): tensor for variable, tensor in zip(order, tensors, strict=False)}
        ranges = [tensor.reshape(()).to(torch.float32) for tensor in tensors[len(order) :]]
        with torch.no_grad():
            return _run(node, inside, values, ranges, kind)

    return run


def _scale(kind: torch.dtype, low: Tensor, high: Tensor) -> Tensor:
    """What real values are multiplied by to fill the dtype."""
    return torch.tensor(_LEVELS[kind], device=low.device) / torch.maximum(low.abs(), high.abs())


def _bytes(values: Tensor, kind: torch.dtype) -> Tensor:
    limits = torch.iinfo(kind)
    return values.round().clamp(limits.min, limits.max)


def _run(node: Node, inside: dict[str, list[Node]], values: Values, ranges: list[Tensor], kind: str) -> tuple[Any, ...]:
    layer = next(inside[op][0] for op in _LAYERS if op in inside)
    data = values[id(layer.inputs[0][0])]
    if data.dtype not in _LEVELS:
        raise MXNetError(f"{node.op} {node.name} takes int8 or uint8, not {data.dtype}")
    own = _scale(data.dtype, ranges[0], ranges[1])
    weight, bias, weight_scale = _weights(layer, inside, values, ranges, own)
    rank = data.dim() if layer.op == "Convolution" else 2
    shape = (1, -1) + (1,) * (rank - 2)
    total = _layer(layer, data, weight, bias).to(torch.float32)
    if kind == "float32":
        return (total / (own * weight_scale).reshape(shape),)
    target = torch.uint8 if kind == "uint8" else torch.int8
    low, high = (torch.tensor(_float(node, k), device=data.device) for k in ("min_calib_range", "max_calib_range"))
    wanted = _scale(target, low, high)
    found = total * (wanted / (own * weight_scale)).reshape(shape)
    memory = target
    for inner in post_order(node.subgraphs[0]):
        if inner.op == "Activation":
            found = found.relu()
        elif inner.op == "clip":
            found = found.clamp(inner.complete["a_min"] * wanted, inner.complete["a_max"] * wanted)
        elif inner.op == "elemwise_add":
            other = next(values[id(n)] for n, _, _ in inner.inputs if n.is_variable)
            found = found + other.to(torch.float32) * (wanted / _scale(other.dtype, ranges[-2], ranges[-1]))
            memory = other.dtype
    # MXNet adds in the memory of the other operand: uint8 sums become int8 results bit by bit, negative ones are 0.
    return _bytes(found, memory).to(memory).view(target), low.reshape(1), high.reshape(1)


def _weights(
    layer: Node, inside: dict[str, list[Node]], values: Values, ranges: list[Tensor], own: Tensor
) -> tuple[Tensor, Tensor | None, Tensor]:
    """8-bit weights and 32-bit biases as floats, and what the weights were multiplied by, for each output."""
    weight = values[id(layer.inputs[1][0])]
    bias = None if layer.complete["no_bias"] else values[id(layer.inputs[2][0])]
    if weight.dtype is torch.int8:  # a dense layer's
        scale = _scale(torch.int8, ranges[2], ranges[3]).reshape(1)
        if bias is not None:
            factor = own * scale / _scale(torch.int8, ranges[4], ranges[5])
            bias = (
                (bias.to(torch.float32) * factor).round() if bias.dtype is torch.int8 else (bias * own * scale).round()
            )
        return weight.to(torch.float32), bias, scale
    if "BatchNorm" in inside:
        norm = inside["BatchNorm"][0]
        gamma, beta, mean, variance = (values[id(n)] for n, _, _ in norm.inputs[1:5])
        # eps is a double in MXNet, and so is everything up to the factor.
        spread = (variance.to(torch.float64) + norm.complete["eps"]).sqrt()
        factor = ((1.0 if norm.complete["fix_gamma"] else gamma) / spread).to(torch.float32)
        weight = weight * factor.reshape(-1, *[1] * (weight.dim() - 1))
        bias = beta - factor * (mean if bias is None else mean - bias)
    largest = weight.flatten(1).abs().amax(1)
    scale = torch.tensor(_LEVELS[torch.int8], device=weight.device) / torch.where(largest > 0, largest, 1)
    weight = _bytes(weight * scale.reshape(-1, *[1] * (weight.dim() - 1)), torch.int8)
    return weight, None if bias is None else (bias * (own * scale)).round(), scale


_EXACT = 2**24 // (255 * 128)
"""Sums of so many products of bytes are whole numbers that float32 holds; float64, for more, is half as fast."""


def _layer(layer: Node, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The exact sums of products and the bias, rounded to float32 once."""
    # Only on a CPU: cuDNN may choose a way of float32 that is not exact.
    kind = torch.float32 if weight[0].numel() <= _EXACT and data.device.type == "cpu" else torch.float64
    values, factors, attrs = data.to(kind), weight.to(kind), layer.complete
    if layer.op == "FullyConnected":
        total = torch.nn.functional.linear(values.flatten(1) if attrs["flatten"] else values, factors)
        shape: tuple[int, ...] = (-1,)
    elif len(attrs["kernel"]) != 2 or attrs.get("layout") not in (None, "NCHW"):
        raise MXNetError(f"Convolution {layer.name}: 8-bit values are convolved in two dimensions and the layout NCHW.")
    else:
        total = torch.nn.functional.conv2d(
            values, factors, None, attrs["stride"] or 1, attrs["pad"] or 0, attrs["dilate"] or 1, attrs["num_group"]
        )
        shape = (1, -1, 1, 1)
    return (
        total if bias is None else (total.to(torch.float64) + bias.to(torch.float64).reshape(shape)).to(torch.float32)
    )
