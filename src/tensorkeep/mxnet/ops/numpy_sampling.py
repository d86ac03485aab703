"""mx.np.random's draws that are no plain function of noise: gamma, Bernoulli, multinomial, choice."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet._rng import generator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._numpy_types import InvalidValue
from tensorkeep.mxnet.ops._random import serial_normal, serial_uniform

Names = Sequence[str | None]


def _inputs(first: str, second: str) -> Any:
    def names(attrs: Attrs) -> list[str]:
        return [f"input{i + 1}" for i in range(sum(attrs.get(word) is None for word in (first, second)))]

    return names


def _broadcast(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    size = attrs.get("size")
    if size is not None:
        return shapes, [tuple(-1 if n is None else n for n in size)]
    if any(shape is None or -1 in shape for shape in shapes):
        return shapes, [None]
    return shapes, [tuple(torch.broadcast_shapes(*[shape for shape in shapes if shape is not None]))]


def _typed(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return [name or "float32" for name in names], [attrs.get("dtype") or "float32"]


def _gamma_round(shape: Any, scale: Any, count: int) -> Any:
    """One try at every value (Marsaglia and Tsang), -1 where it failed; MXNet repeats the whole draw then."""
    unit = serial_uniform(2 * count, np.float64).reshape(count, 2)
    normal = serial_normal(2 * count, np.float64).reshape(count, 2)[:, 0]
    d = np.where(shape < 1, shape + 2.0 / 3.0, shape - 1.0 / 3.0)
    v = (1 + normal / np.sqrt(9.0 * d)) ** 3
    squared = normal * normal
    with np.errstate(divide="ignore", invalid="ignore"):
        squeeze = unit[:, 0] <= 1 - 0.0331 * squared * squared
        exact = np.log(unit[:, 0]) < 0.5 * squared + d * (1 - v + np.log(v))
    good = (v > 0) & (squeeze | exact)
    value = d * v * scale
    return np.where(good, np.where(shape < 1, value * unit[:, 1] ** (1 / shape), value), -1.0)


@operator("_npi_gamma", inputs=_inputs("shape", "scale"), shape=_broadcast, dtype=_typed)
def gamma(
    *tensors: Tensor, shape: float | None = None, scale: float | None = None, size: Any = None, dtype: str = "float32",
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Values of the gamma distribution. No gradient flows to its parameters."""
    rest = iter(tensors)
    parameters = [next(rest).detach() if number is None else torch.tensor(number) for number in (shape, scale)]
    wanted = torch.broadcast_shapes(*[p.shape for p in parameters]) if size is None else tuple(int(n) for n in size)
    if device.type == "meta":
        return torch.empty(wanted, dtype=TORCH[dtype], device=device)
    alpha, beta = (p.to("cpu", torch.float64).expand(wanted).reshape(-1).numpy() for p in parameters)
    if (alpha <= 0).any():
        raise InvalidValue("expect shape > 0")
    if (beta <= 0).any():
        raise InvalidValue("expect scale > 0")
    count = prod(wanted)
    found = np.full(count, -1.0)
    while count and (found < 0).any():
        found = np.where(found < 0, _gamma_round(alpha, beta, count), found)
    return torch.from_numpy(found.reshape(wanted)).to(device, TORCH[dtype])


def _one_input(attrs: Attrs) -> list[str]:
    return ["input1"] if attrs.get("prob") is None and attrs.get("logit") is None else []


@operator("_npi_bernoulli", inputs=_one_input, shape=_broadcast, dtype=_typed)
def bernoulli(
    *tensors: Tensor, prob: float | None = None, logit: float | None = None, size: Any = None, dtype: str = "float32",
    is_logit: bool = False, device: Any = None,
) -> Tensor:  # fmt: skip
    """1 with a probability, else 0.

    Args:
        is_logit: the parameter is the logarithm of the odds.
    """
    number = logit if is_logit else prob
    parameter = tensors[0].detach() if tensors else torch.tensor(float(number or 0.0), device=device)
    wanted = tuple(parameter.shape) if size is None else tuple(int(n) for n in size)
    if device.type == "meta":
        return torch.empty(wanted, dtype=TORCH[dtype], device=device)
    chance = torch.sigmoid(parameter.float()) if is_logit else parameter.float()
    if bool(((chance < 0) | (chance > 1)).any()):
        raise InvalidValue("expect probs >= 0 && probs <= 1")
    count = prod(wanted)
    unit = torch.from_numpy(serial_uniform(count).reshape(wanted)) if count else torch.zeros(wanted)
    try:
        return (unit.to(device) < chance.expand(wanted)).to(TORCH[dtype])
    except RuntimeError as err:
        raise MXNetError(
            f"operands could not be broadcast together with shapes {list(chance.shape)} {list(wanted)}"
        ) from err


def _numbers(text: Any) -> list[float] | None:
    """The values of a tuple parameter that the schema leaves as text."""
    if text in (None, "None", ""):
        return None
    return [float(part) for part in str(text).strip("()[] ").split(",") if part.strip()]


def _outcomes(attrs: Attrs) -> list[str]:
    return ["a"] if _numbers(attrs.get("pvals")) is None else []


def _counted_shape(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    values = _numbers(attrs.get("pvals"))
    last = len(values) if values is not None else shapes[0][-1] if shapes and shapes[0] else -1
    return shapes, [(*(attrs.get("size") or ()), last)]


@operator("_npi_multinomial", inputs=_outcomes, shape=_counted_shape, dtype="int64")
def multinomial(*tensors: Tensor, n: int, pvals: Any = None, size: Any = None, device: Any = None) -> Tensor:
    """How often each outcome comes in n experiments; the probabilities are `pvals` or an array."""
    given = _numbers(pvals)
    chances = torch.tensor(given, dtype=torch.float64) if given is not None else tensors[0].detach().cpu()
    wanted = tuple(int(k) for k in size or ())
    if device.type == "meta":
        return torch.empty((*wanted, chances.shape[0]), dtype=torch.int64, device=device)
    if n < 0:
        raise MXNetError(f"multinomial: the number of experiments is negative: {n}")
    if given is not None and float(chances[:-1].sum()) > 1.0 + 1e-12:  # an array is not checked
        raise MXNetError("sum(pvals[:-1]) > 1.0")
    count = prod(wanted)
    # MXNet lays probabilities that are a parameter behind the noise, and draws noise for their places too.
    extra = len(given) if given is not None else 0
    unit = serial_uniform(count * n + extra, np.float64)[: count * n].reshape(count, n)
    if not len(chances):
        return torch.zeros((*wanted, 0), dtype=torch.int64, device=device)
    bounds = np.cumsum(chances.numpy(), dtype=chances.numpy().dtype)
    outcome = np.minimum((bounds[None, None, :] <= unit[:, :, None]).sum(2), len(bounds) - 1)
    found = np.zeros((count, len(bounds)), np.int64)
    for row, drawn in zip(found, outcome, strict=True):
        row += np.bincount(drawn, minlength=len(bounds))
    return torch.from_numpy(found.reshape(*wanted, len(bounds))).to(device)


def _choices(attrs: Attrs) -> list[str]:
    count = (attrs.get("a") in (None, "None")) + bool(attrs.get("weighted"))
    return [f"input{i + 1}" for i in range(count)]


def _sized(text: Any) -> tuple[int, ...]:
    """The value of the parameter `size`, which the schema leaves as text."""
    return tuple(int(value) for value in _numbers(text) or ())


def _reservoir(total: int, count: int) -> Any:
    """`count` different numbers below `total`."""
    tries = min(count, total - count)
    split = total - tries
    with generator().lock:
        words = generator().serial.take(tries).astype(np.int64) if tries else np.zeros(0, np.int64)
    order = list(range(total))
    for i, word in enumerate(words.tolist()):
        other = word % (i + split + 1)
        if other < split:
            order[other], order[i + split] = order[i + split], order[other]
    return np.array(order[total - count :] if 2 * count < total else order[:count], np.int64)


@operator(
    "_npi_choice",
    inputs=_choices,
    shape=lambda shapes, attrs: (shapes, [_sized(attrs.get("size"))]),
    dtype=lambda names, attrs: ([name or "float32" for name in names], ["int64"]),
)
def choice(
    *tensors: Tensor, a: Any = None, size: Any = None, replace: bool = True, weighted: bool = False,
    device: Any = None,
) -> Tensor:  # fmt: skip
    """Positions below `a` (or in the first array), each as likely as the others or as its weight.

    Raises:
        MXNetError: more are wanted without replacement than there are.
    """
    rest = list(tensors)
    total = rest.pop(0).numel() if a in (None, "None") else int(a)
    wanted = _sized(size)
    count = prod(wanted)
    if device.type == "meta":
        return torch.empty(wanted, dtype=torch.int64, device=device)
    if not replace and count > total:
        raise MXNetError(f"Cannot take a larger sample ({count}) than population ({total}) when 'replace=False'")
    if total < 1:
        raise MXNetError("choice: there is nothing to choose from")
    if weighted:
        weights = rest[0].detach().cpu().float().numpy().reshape(-1)
        if len(weights) != total:
            raise MXNetError(f"'a' and 'p' must have same size: {total} and {len(weights)}")
        if replace:
            found = (np.cumsum(weights, dtype=np.float32)[None] < serial_uniform(count)[:, None]).sum(1)
        else:
            with np.errstate(divide="ignore"):
                keys = -np.log(-np.log(serial_uniform(total))) + np.log(weights)
            found = np.argsort(-keys, kind="stable")[:count]
    elif replace:
        with generator().lock:
            found = generator().serial.take(count).astype(np.int64) % total if count else np.zeros(0, np.int64)
    else:
        found = _reservoir(total, count)
    return torch.from_numpy(found.astype(np.int64).reshape(wanted)).to(device)
