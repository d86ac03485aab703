"""Layers that multiply with a weight."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._nn_common import expects, inconsistent, require, unless_no_bias


def _shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, weight = shapes[0], shapes[1]
    hidden, flatten = attrs["num_hidden"], attrs["flatten"]
    if data is None:
        return shapes, [None]
    rest = data[1:] if flatten else data[-1:]
    inputs = prod(rest) if -1 not in rest else -1
    found: list[Shape] = [data, require(weight, (hidden, inputs))]
    if len(shapes) > 2:
        found.append((hidden,))
    return found, [(data[0], hidden) if flatten else (*data[:-1], hidden)]


@operator("FullyConnected", inputs=taking("data", "weight", "bias", bias=unless_no_bias), shape=_shapes)
def fully_connected(
    data: Tensor, weight: Tensor, bias: Tensor | None = None, *, num_hidden: int, no_bias: bool = False,
    flatten: bool = True,
) -> Tensor:  # fmt: skip
    """data times the transposed weight, plus bias.

    data (N, …) is flattened to (N, K) unless flatten=False; weight (num_hidden, K); bias (num_hidden,); the result
    (N, num_hidden).
    """
    if weight.shape[0] != num_hidden:
        raise inconsistent(weight.shape, (num_hidden, prod(data.shape[1:]) if flatten else data.shape[-1]))
    if bias is None and not no_bias:
        raise expects("FullyConnected", 3, 2)
    if flatten and data.dim() != 2:
        data = data.flatten(1) if data.dim() > 1 else data.unsqueeze(1)
    if 2 <= data.shape[0] <= 15 and data.shape[-1] <= 16 and _tiny(data, weight, bias):
        found = _as_mxnet_adds(data, weight)
        return found if no_bias else found + bias
    return torch.nn.functional.linear(data, weight, None if no_bias else bias)


_TINY = 512
"""Products of a matrix multiplication up to which the order of additions costs a few µs and no more."""


def _tiny(data: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    return bool(
        data.dim() == 2
        and data.numel() * weight.shape[0] <= _TINY
        and data.dtype is weight.dtype is torch.float32
        and (bias is None or (bias.dtype is torch.float32 and bias.shape == weight.shape[:1]))
        and data.shape[1] == weight.shape[1]
        and data.device.type == "cpu"
        and not (torch.is_grad_enabled() and (data.requires_grad or weight.requires_grad))
    )


def _as_mxnet_adds(data: Tensor, weight: Tensor) -> Tensor:
    """data times the transposed weight to the last bit of MXNet 1.9.1 on x86, so that small examples print its digits.

    Measured for 2 to 15 rows of up to 16 numbers: eight lanes of products, halved until one is left. Other sizes have
    other kernels, and there the last bits differ.
    """
    lanes = data.t().unsqueeze(2) * weight.t().unsqueeze(1)  # (inputs, rows, hidden): a lane is one piece of memory
    used = lanes.shape[0]
    for width in (8, 4, 2, 1):
        if used > width:
            lanes[: used - width].add_(lanes[width:used])
            used = width
    return lanes[0].clone()


def _embedding_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    table = (attrs["input_dim"], attrs["output_dim"])
    if shapes[1] is not None and -1 not in shapes[1] and shapes[1] != table:
        raise inconsistent(shapes[1], table)
    if shapes[0] is None:
        return shapes, [None]
    return [shapes[0], table], [(*shapes[0], table[1])]


def _embedding_dtypes(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    weight = dtypes[1] or attrs["dtype"]
    return [dtypes[0], weight], [weight]


@operator("Embedding", "_contrib_SparseEmbedding", shape=_embedding_shapes, dtype=_embedding_dtypes)
def embedding(
    data: Tensor, weight: Tensor, *, input_dim: int, output_dim: int, dtype: str = "float32", sparse_grad: bool = False
) -> Tensor:
    """The rows of weight (input_dim, output_dim) that data names; the result (…data, output_dim).

    Numbers in data may be of any dtype: fractions are cut off, those below 0 stand for the first row, those beyond the
    last for the last. The result has the dtype of weight. The gradient of weight is dense, whatever sparse_grad says.
    """
    if tuple(weight.shape) != (input_dim, output_dim):
        raise inconsistent(weight.shape, (input_dim, output_dim))
    rows = data.to(torch.int64).clamp(0, input_dim - 1)
    return torch.embedding(weight, rows)


def _split_heads(packed: Tensor, heads: int, parts: int) -> Sequence[Tensor]:
    """(length, N, heads·parts·d) → `parts` tensors (N·heads, length, d)."""
    length, batch, width = packed.shape
    if width % (heads * parts):
        raise MXNetError(f"the last dimension {width} must be divisible by {parts} x heads {heads}")
    split = packed.reshape(length, batch * heads, parts, width // (heads * parts))
    found: Sequence[Tensor] = split.permute(2, 1, 0, 3).unbind(0)
    return found


def _joined(context: Tensor, heads: int) -> Tensor:
    """(N·heads, length, d) → (length, N, heads·d)."""
    rows, length, width = context.shape
    return context.transpose(0, 1).reshape(length, rows // heads, heads * width)


@operator("_contrib_interleaved_matmul_selfatt_qk")
def interleaved_matmul_selfatt_qk(queries_keys_values: Tensor, *, heads: int) -> Tensor:
    """Scores of self-attention, scaled by 1 / sqrt(d): (N·heads, length, length).

    queries_keys_values (length, N, heads·3·d) holds queries, keys and values head by head.
    """
    query, key, _ = _split_heads(queries_keys_values, heads, 3)
    return torch.bmm(query / sqrt(query.shape[-1]), key.transpose(1, 2))


@operator("_contrib_interleaved_matmul_selfatt_valatt")
def interleaved_matmul_selfatt_valatt(queries_keys_values: Tensor, attention: Tensor, *, heads: int) -> Tensor:
    """Values of self-attention weighted by attention (N·heads, length, length): (length, N, heads·d)."""
    value = _split_heads(queries_keys_values, heads, 3)[2]
    return _joined(torch.bmm(attention, value), heads)


@operator("_contrib_interleaved_matmul_encdec_qk")
def interleaved_matmul_encdec_qk(queries: Tensor, keys_values: Tensor, *, heads: int) -> Tensor:
    """Scores of attention from one sequence to another, scaled by 1 / sqrt(d): (N·heads, length, length of keys).

    queries (length, N, heads·d); keys_values (length of keys, N, heads·2·d), keys and values head by head.
    """
    query = _split_heads(queries, heads, 1)[0]
    key, _ = _split_heads(keys_values, heads, 2)
    return torch.bmm(query / sqrt(query.shape[-1]), key.transpose(1, 2))


@operator("_contrib_interleaved_matmul_encdec_valatt")
def interleaved_matmul_encdec_valatt(keys_values: Tensor, attention: Tensor, *, heads: int) -> Tensor:
    """Values of keys_values weighted by attention (N·heads, length, length of keys): (length, N, heads·d)."""
    value = _split_heads(keys_values, heads, 2)[1]
    return _joined(torch.bmm(attention, value), heads)
