"""mx.np.random's distributions, drawn from MXNet's serial generator: the same numbers from the same seed.

Parameters are numbers or arrays, which broadcast; gradients flow to arrays where MXNet lets them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._numpy_types import InvalidValue
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
        texts = " ".join(like(s) for s in (*shapes, wanted))
        raise MXNetError(f"operands could not be broadcast together with shapes {texts}") from err
    return wanted


def noise(draw: Callable[..., Any], shape: tuple[int, ...], device: Any) -> Tensor:
    """float32 values of `draw` in a shape; no values on the meta device."""
    count = prod(shape)
    if device.type == "meta" or not count:
        return torch.empty(shape, device=device)
    return torch.from_numpy(draw(count).reshape(shape)).to(device)


def _batched(names: tuple[str, ...]) -> Any:
    """The shape rule of uniform_n and normal_n: `size` comes before the shape of the parameters."""

    def rule(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
        known = _drawn_shape(names)(shapes, {**attrs, "size": None})[1][0]
        return shapes, [None if known is None else (*(attrs.get("size") or ()), *known)]

    return rule


@operator(
    "_npi_uniform_n", inputs=_given(("low", "high")), shape=_batched(("low", "high")), dtype=_drawn_dtype
)  # fmt: skip
def uniform_n(
    *tensors: Tensor, low: float | None = None, high: float | None = None, size: Any = None, dtype: str = "float32",
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Values of the uniform distribution over low … high: `size` of them for each pair of parameters."""
    shape = (*(size or ()), *_size(_parameters(tensors, (low, high)), None))
    return uniform(*tensors, low=low, high=high, size=shape, dtype=dtype, device=device)


@operator(
    "_npi_normal_n", inputs=_given(("loc", "scale")), shape=_batched(("loc", "scale")), dtype=_drawn_dtype
)  # fmt: skip
def normal_n(
    *tensors: Tensor, loc: float | None = None, scale: float | None = None, size: Any = None, dtype: str = "float32",
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Values of the normal distribution with mean loc and deviation scale: `size` of them for each pair."""
    shape = (*(size or ()), *_size(_parameters(tensors, (loc, scale)), None))
    return normal(*tensors, loc=loc, scale=scale, size=shape, dtype=dtype, device=device)


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
    _checked(deviation, False, "scale < 0")
    values = noise(serial_normal, _size((mean, deviation), size), device)
    return (mean + deviation * values).to(TORCH[dtype])


def _family(
    name: str,
    words: tuple[str, ...],
    draw: Callable[..., Any],
    transform: Callable[..., Tensor],
    doc: str,
    **ranges: str,
) -> None:
    """A distribution that is a function of noise and of its parameters, with gradients to arrays among them.

    Args:
        transform: (noise, parameters) → values.
        ranges: parameter → what is said when one of its values is not above 0 (not negative, for "scale").
    """

    def distribution(*tensors: Tensor, size: Any = None, device: Any = None, **numbers: float | None) -> Tensor:
        parameters = _parameters(tensors, tuple(numbers.get(word) for word in words))
        for word, text in ranges.items():
            _checked(parameters[words.index(word)], word != "scale", text)
        values = noise(draw, _size(parameters, size), device)
        return transform(values, *parameters)

    distribution.__name__ = distribution.__qualname__ = name
    distribution.__doc__ = doc
    distribution.__signature__ = _signature(words)  # type: ignore[attr-defined]  # the registry reads it
    operator(name, inputs=_given(words), shape=_drawn_shape(words), dtype=_drawn_dtype)(distribution)


def _signature(words: tuple[str, ...]) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    names = (*words, "size", "device")
    return inspect.Signature(
        [
            inspect.Parameter("tensors", inspect.Parameter.VAR_POSITIONAL),
            *[inspect.Parameter(name, keyword, default=None) for name in names],
        ]
    )


def _checked(parameter: Any, positive: bool, text: str) -> None:
    if isinstance(parameter, Tensor):
        if parameter.device.type == "meta" or not parameter.numel():
            return
        least = float(parameter.detach().min())
    else:
        least = float(parameter)
    if least < 0 or (positive and least == 0):
        raise InvalidValue(text)


def _exponential(unit: Tensor) -> Tensor:
    return -torch.log(unit)


_family(
    "_npi_logistic", ("loc", "scale"), serial_uniform, lambda u, loc, scale: loc + torch.log(u / (1 - u)) * scale,
    "Values of the logistic distribution.", scale="scale < 0",
)  # fmt: skip
_family(
    "_npi_gumbel", ("loc", "scale"), serial_uniform, lambda u, loc, scale: loc - torch.log(-torch.log(u)) * scale,
    "Values of the Gumbel distribution.", scale="scale < 0",
)  # fmt: skip
_family(
    "_npi_exponential", ("scale",), serial_uniform, lambda u, scale: _exponential(u) * scale,
    "Values of the exponential distribution with mean `scale`.", scale="expect scale >= 0",
)  # fmt: skip
_family(
    "_npi_rayleigh", ("scale",), serial_uniform, lambda u, scale: torch.sqrt(-2 * torch.log(u)) * scale,
    "Values of the Rayleigh distribution.", scale="expect scale >= 0",
)  # fmt: skip
_family(
    "_npi_weibull", ("a",), serial_uniform, lambda u, a: _exponential(u) ** (1 / a),
    "Values of the Weibull distribution with scale 1.", a="expect a > 0",
)  # fmt: skip
_family(
    "_npi_pareto", ("a",), serial_uniform, lambda u, a: torch.exp(_exponential(u) / a) - 1,
    "Values of the Pareto II distribution.", a="expect a > 0",
)  # fmt: skip
_family(
    "_npi_powerd", ("a",), serial_uniform, lambda u, a: (1 - u) ** (1 / (a.detach() if isinstance(a, Tensor) else a)),
    "Values in [0, 1] of the power distribution with exponent a - 1.", a="expect a > 0",
)  # fmt: skip
