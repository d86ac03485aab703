"""nd.random and sym.random: distributions with scalar parameters, with arrays of them, shaped like an array."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import NAMES, TORCH
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet._rng import generator, shuffle_order, to_unit
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.ops._random import SAMPLERS, empty, finish, randint, refuse, serial_uniform

_WORDS: dict[str, tuple[str, str]] = {
    "uniform": ("low", "high"),
    "normal": ("loc", "scale"),
    "gamma": ("alpha", "beta"),
    "exponential": ("lam", ""),
    "poisson": ("lam", ""),
    "negative_binomial": ("k", "p"),
    "generalized_negative_binomial": ("mu", "alpha"),
}
"""Distribution → the names of its scalar parameters."""
_DEFAULTS = {"low": 0.0, "loc": 0.0}
"""Parameters whose default is not 1."""
_HELP = {
    "uniform": "Values of the uniform distribution over low … high (high excluded).",
    "normal": "Values of the normal distribution with mean loc and standard deviation scale.",
    "gamma": "Values of the gamma distribution with shape alpha and scale beta.",
    "exponential": "Values of the exponential distribution with rate lam.",
    "poisson": "Values of the Poisson distribution with mean lam, as floats.",
    "negative_binomial": "Values of the negative binomial distribution: k failures of probability p, as floats.",
    "generalized_negative_binomial": "Values of the negative binomial distribution with mean mu and dispersion alpha.",
}


def _known(shape: Sequence[int | None] | None) -> Shape:
    """A `shape` parameter as a shape: without NumPy semantics 0 stands for a dimension that is not known yet."""
    if shape is None or (not shape and not state.np_shape):
        return None
    return tuple([-1 if n is None or (n == 0 and not state.np_shape) else n for n in shape])


def _given_shape(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    return [], [_known(attrs.get("shape"))]


def _given_dtype(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return [], [attrs.get("dtype") or "float32"]


def _kind(dtype: str) -> Any:
    return np.float32 if dtype == "float32" else np.float64


def _draw(
    name: str, first: float, second: float, shape: Sequence[int | None], dtype: str, device: torch.device
) -> Tensor:
    sampler, complaint = SAMPLERS[name]
    text = complaint(first, second)
    refuse(text is not None, text or "")
    if device.type == "meta":
        return empty(shape, dtype, device)
    sizes = [int(n or 0) for n in shape]
    count = prod(sizes)
    if not count:
        return empty(sizes, dtype, device)
    kind = np.float32 if name == "gamma" and dtype == "float16" else _kind(dtype)
    one, two = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return finish(sampler(count, kind, one, two), sizes, dtype, device)


def _scalar_family(name: str) -> None:
    first, second = _WORDS[name]
    defaults = tuple(_DEFAULTS.get(word, 1) for word in (first, second))

    def sample(
        *, shape: Sequence[int] | None = None, dtype: str | None = None, device: torch.device, **given: Any
    ) -> Tensor:
        one, two = given.get(first, defaults[0]), given.get(second, defaults[1])
        return _draw(name, one, two, _sized(shape), dtype or "float32", device)

    def sample_like(data: Tensor, **given: Any) -> Tensor:
        dtype = NAMES[data.dtype]
        one, two = given.get(first, defaults[0]), given.get(second, defaults[1])
        return _draw(name, one, two, data.shape, dtype, data.device)

    sample.__doc__ = f"{_HELP[name]}\n\nshape gives the array's dimensions, dtype float16, float32 or float64."
    sample_like.__doc__ = f"{_HELP[name]}\n\nThe array has the shape and dtype of data."
    operator(f"_random_{name}", shape=_given_shape, dtype=_given_dtype)(sample)
    operator(f"_random_{name}_like", shape="same")(sample_like)


def _sized(shape: Sequence[int] | None) -> Sequence[int]:
    """The dimensions that an eager call asks for; one value, shape (1,), when it names none."""
    return shape if shape or (shape is not None and state.np_shape) else (1,)


def _array_shape(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    known = next((s for s in shapes if s is not None), None)
    out = None if known is None else (*known, *attrs["shape"])
    return [known] * len(shapes), [out]


def _array_dtype(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    known = next((d for d in dtypes if d is not None), None)
    return [known] * len(dtypes), [attrs.get("dtype") or "float32"]


def _parameter(values: Tensor, kind: Any) -> Any:
    found = values.detach().reshape(-1).cpu().numpy()
    return found if found.dtype.kind == "f" else found.astype(kind)


def _array_family(name: str) -> None:
    def sample(
        first: Tensor, second: Tensor | None = None, *, shape: Sequence[int] = (), dtype: str | None = None
    ) -> Tensor:
        kind_name = dtype or "float32"
        refuse(
            second is not None and (second.shape != first.shape or second.dtype is not first.dtype),
            f"Shape or dtype inconsistent: the parameters have {tuple(first.shape)} {NAMES[first.dtype]} and "
            f"{second is not None and (tuple(second.shape), NAMES[second.dtype])}",
        )
        refuse(any(n <= 0 for n in shape), "shape parameter must be non-zero within each dimension")
        sizes = (*first.shape, *shape)
        if first.device.type == "meta":
            return empty(sizes, kind_name, first.device)
        kind = np.float32 if name == "gamma" and kind_name == "float16" else _kind(kind_name)
        one = _parameter(first, kind)
        two = one if second is None else _parameter(second, kind)
        return finish(SAMPLERS[name][0](prod(sizes), kind, one, two), sizes, kind_name, first.device)

    sample.__doc__ = (
        f"{_HELP[name]}\n\nThe parameters are arrays; for each of their entries an array of `shape` is drawn, "
        "so that the result has the dimensions of the parameters and then those of `shape`."
    )
    operator(f"_sample_{name}", shape=_array_shape, dtype=_array_dtype)(sample)


for _name in _WORDS:
    _scalar_family(_name)
    _array_family(_name)


def _randint_dtype(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return [], [attrs.get("dtype") or "int32"]


@operator("_random_randint", shape=_given_shape, dtype=_randint_dtype)
def random_randint(
    *, low: int, high: int, shape: Sequence[int] | None = None, dtype: str | None = None, device: torch.device
) -> Tensor:
    """Whole numbers from low to high-1, int32 unless dtype says int64."""
    sizes, kind = _sized(shape), dtype or "int32"
    refuse(high < low, "low must be less or equal to high in uniform distribution")
    count = prod([int(n or 0) for n in sizes])
    if device.type == "meta" or not count:
        return empty(sizes, kind, device)
    return finish(randint(count, low, high), sizes, kind, device)


@operator("_shuffle", shape="same")
def shuffle(data: Tensor) -> Tensor:
    """data with its rows (entries of the first axis) in a random order."""
    refuse(data.dim() == 0, "data must have at least one axis to shuffle")
    if data.device.type == "meta" or data.shape[0] < 2:
        return data.clone()
    order = shuffle_order(data.shape[0], downwards=data.dim() > 1)
    return data.detach()[torch.from_numpy(order).to(data.device)]


def _multinomial_shape(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data = shapes[0]
    out: Shape = None
    if data is not None:
        out = (*data[:-1], *attrs["shape"]) if len(data) > 1 or attrs["shape"] else (1,)
    return shapes, [out] * (2 if attrs["get_prob"] else 1)


def _multinomial_dtype(dtypes: list[str | None], attrs: Attrs) -> tuple[Sequence[str | None], Sequence[str | None]]:
    return dtypes, [attrs["dtype"], dtypes[0]][: 2 if attrs["get_prob"] else 1]


_MOST_CLASSES = {"uint8": 255, "float16": 2**11, "float32": 2**24, "int32": 2**31 - 1, "float64": 2**53}
"""Classes whose indices the dtype can tell apart."""


@operator(
    "_sample_multinomial",
    outputs=lambda attrs: 2 if attrs["get_prob"] else 1,
    shape=_multinomial_shape,
    dtype=_multinomial_dtype,
)
def sample_multinomial(
    data: Tensor, *, shape: Sequence[int] = (), get_prob: bool = False, dtype: str = "int32"
) -> Tensor | tuple[Tensor, Tensor]:
    """Indices drawn with the probabilities data (…, k), `shape` of them for each row; dtype of the indices.

    With get_prob also the logarithm of the probability of each, whose gradient flows back to data.
    """
    refuse(
        data.shape[-1] > _MOST_CLASSES[dtype],
        "'dtype' does not have a sufficient precision to represent the indices.",
    )
    rows = data.reshape(-1, data.shape[-1])
    sizes = (*data.shape[:-1], *shape) if data.dim() > 1 or shape else (1,)
    count = prod(sizes)
    if data.device.type == "meta":
        index = empty((len(rows), count // max(len(rows), 1)), "int64", data.device)
    else:
        points = torch.from_numpy(serial_uniform(count)).reshape(len(rows), -1).to(data.device, data.dtype)
        table = rows.detach().double().cumsum(1).float().to(data.dtype)
        index = torch.searchsorted(table.contiguous(), points.contiguous())
    found = index.reshape(sizes).to(TORCH[dtype])
    if not get_prob:
        return found
    return found, rows.gather(1, index.clamp(max=rows.shape[1] - 1)).log().reshape(sizes)


def _zipfian_shape(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    shape = _known(attrs.get("shape"))
    return [], [shape, None if shape is None else shape[:1]]


@operator(
    "_sample_unique_zipfian",
    outputs=2,
    shape=_zipfian_shape,
    dtype=lambda dtypes, attrs: ([], ["int64", "int64"]),
)
def sample_unique_zipfian(
    *, range_max: int, shape: Sequence[int] | None = None, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Different classes for each row of `shape`, approximately of Zipf's distribution, and how many draws it took."""
    refuse(shape is None or len(shape) != 2, f"shape must have two dimensions, got {shape}")
    rows, wanted = shape  # type: ignore[misc]  # two, as was just checked
    refuse(wanted > range_max, "Number of samples cannot exceed the number of possible classes")
    if device.type == "meta":
        return empty((rows, wanted), "int64", device), empty((rows,), "int64", device)
    source = generator()
    streams = min(rows, 1024)
    step = -(-rows // streams)
    found, tries = np.zeros((rows, wanted), np.int64), np.zeros(rows, np.int64)
    with source.lock:
        for row in range(rows):
            found[row], tries[row] = _unique(source.stream(row // step), wanted, range_max)
    return finish(found, (rows, wanted), "int64", device), finish(tries, (rows,), "int64", device)


def _unique(words: Any, wanted: int, range_max: int) -> tuple[list[int], int]:
    seen: dict[int, None] = {}
    tries = 0
    while len(seen) < wanted:
        unit = to_unit(words.take(2), np.float64)[0]
        seen.setdefault(round_half_away(np.exp(unit * np.log(range_max))) - 1)
        tries += 1
    return list(seen), tries


def round_half_away(value: float) -> int:
    """The nearest whole number, halves away from zero, as C's lround."""
    return int(np.floor(value + 0.5))
