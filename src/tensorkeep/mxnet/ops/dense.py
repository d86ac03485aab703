"""Layers that multiply with a weight."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator, taking


def _shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, weight = shapes[0], shapes[1]
    hidden, flatten = attrs["num_hidden"], attrs["flatten"]
    inputs = -1
    if data is not None:
        rest = data[1:] if flatten else data[-1:]
        inputs = prod(rest) if -1 not in rest else -1
    if inputs < 0 and weight is not None:
        inputs = weight[1]
    found: list[Shape] = [data, (hidden, inputs)]
    if len(shapes) > 2:
        found.append((hidden,))
    if data is None:
        return found, [None]
    return found, [(data[0], hidden) if flatten else (*data[:-1], hidden)]


@operator("FullyConnected", inputs=taking("data", "weight", "bias", bias=lambda a: not a["no_bias"]), shape=_shapes)
def fully_connected(
    data: Tensor, weight: Tensor, bias: Tensor | None = None, *, num_hidden: int, no_bias: bool = False,
    flatten: bool = True,
) -> Tensor:  # fmt: skip
    """data times the transposed weight, plus bias.

    data (N, …) is flattened to (N, K) unless flatten=False; weight (num_hidden, K); bias (num_hidden,); the result
    (N, num_hidden).
    """
    if flatten and data.dim() != 2:
        data = data.flatten(1)
    return torch.nn.functional.linear(data, weight, None if no_bias else bias)
