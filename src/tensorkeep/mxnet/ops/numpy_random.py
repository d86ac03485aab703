"""mx.np.random's distributions, drawn from MXNet's serial generator: the same numbers from the same seed.

Parameters are numbers or arrays, which broadcast; gradients flow to arrays where MXNet lets them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._random import serial_normal, serial_uniform


def _given(names: tuple[str, ...]) -> Callable[[Attrs], list[str]]:
    """input1, input2: as many as there are parameters that are no numbers."""

    def inputs(attrs: Attrs) -> list[str]:
        return [f"input{i + 1}" for i in range(sum(attrs.get(name) is None for name in names))]

    return inputs


def _drawn_shape(names: tuple[str, ...]) -> Callable[[list[Shape], Attrs], tuple[Sequence[Shape], Sequence[Shape]]]:
    def rule(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
        size = attrs.get("size")
        if size is not None:
            return shapes, [tuple(-1 if n is None else n for n in size)]
        if any(shape is None or -1 in shape for shape in shapes):
            return shapes, [None]
        return shapes, [tuple(torch.broadcast_shapes(*[shape for shape in shapes if shape is not None]))]

    return rule


def _drawn_dtype(names: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return [name or "float32" for name in names], [attrs.get("dtype") or "float32"]


def _parameters(tensors: tuple[Tensor, ...], numbers: tuple[Any, ...]) -> list[Any]:
    """The parameters in order: the numbers that were given, tensors in the other places."""
    rest = iter(tensors)
    return [next(rest) if number is None else number for number in numbers]


def _size(parameters: Sequence[Any], size: Any) -> tuple[int, ...]:
    shapes = [p.shape for p in parameters if isinstance(p, Tensor)]
    if size is None:
        return tuple(torch.broadcast_shapes(*shapes)) if shapes else ()
    wanted = tuple(int(n) for n in size)
    try:
        if shapes and tuple(torch.broadcast_shapes(wanted, *shapes)) != wanted:
            raise RuntimeError
    except RuntimeError as err:
        raise MXNetError(
            f"Check failed: the parameters of shapes {[tuple(s) for s in shapes]} do not broadcast to size {wanted}"
        ) from err
    return wanted


def noise(draw: Callable[..., Any], shape: tuple[int, ...], device: Any) -> Tensor:
    """float32 values of `draw` in a shape; no values on the meta device."""
    count = prod(shape)
    if device.type == "meta" or not count:
        return torch.empty(shape, device=device)
    return torch.from_numpy(draw(count).reshape(shape)).to(device)


@operator(
    "_npi_uniform", inputs=_given(("low", "high")), shape=_drawn_shape(("low", "high")), dtype=_drawn_dtype
)  # fmt: skip
def uniform(
    *tensors: Tensor, low: float | None = None, high: float | None = None, size: Any = None, dtype: str = "float32",
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Values of the uniform distribution over low … high."""
    first, second = [p.detach() if isinstance(p, Tensor) else p for p in _parameters(tensors, (low, high))]
    unit = noise(serial_uniform, _size((first, second), size), device)
    return (first + (second - first) * unit).to(TORCH[dtype])


@operator(
    "_npi_normal", inputs=_given(("loc", "scale")), shape=_drawn_shape(("loc", "scale")), dtype=_drawn_dtype
)  # fmt: skip
def normal(
    *tensors: Tensor, loc: float | None = None, scale: float | None = None, size: Any = None, dtype: str = "float32",
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Values of the normal distribution with mean loc and standard deviation scale."""
    mean, deviation = _parameters(tensors, (loc, scale))
    values = noise(serial_normal, _size((mean, deviation), size), device)
    return (mean + deviation * values).to(TORCH[dtype])
