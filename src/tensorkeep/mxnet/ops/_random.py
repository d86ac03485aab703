"""Distributions as MXNet's CPU samplers compute them: the same words of the generator, the same roundings.

Parameters come as scalars (float32 in MXNet) or as arrays with one entry for so many neighbouring values. What MXNet
computes in float is computed in float32 here, what it computes in double in float64: for float16 results the uniform
and normal values are double, for float32 float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._rng import Array, Lanes, generator
from tensorkeep.mxnet.base import MXNetError

__all__ = ["SAMPLERS", "empty", "finish", "refuse", "serial_normal", "serial_uniform"]

Sampler = Callable[[int, Any, Array, Array], Array]
"""(number of values, np.float32 or np.float64, first parameter, second parameter) → values."""


def refuse(condition: bool, text: str) -> None:
    """Raise MXNet's error for a parameter that it refuses."""
    if condition:
        raise MXNetError(text)


def empty(shape: Sequence[int | None], dtype: str, device: torch.device) -> Tensor:
    """An array without values, where only shapes are asked."""
    return torch.empty([int(n or 0) for n in shape], dtype=TORCH[dtype], device=device)


def finish(values: Array, shape: Sequence[int], dtype: str, device: torch.device) -> Tensor:
    """Values as a tensor on its device."""
    kind = np.dtype(dtype)
    if values.dtype != kind:
        values = values.astype(kind)
    found = torch.from_numpy(values.reshape(shape))
    return found if device.type == "cpu" else found.to(device)


def _spread(parameter: Array, count: int) -> Array:
    """One parameter for each value; a scalar stays one."""
    if parameter.ndim == 0:
        return parameter
    each = 1 + (count - 1) // len(parameter)
    return np.repeat(parameter, each)[:count]


def _rounded(values: Array, parameter: Array) -> Array:
    """An operation with a float16 parameter gives float16 in MXNet, whatever the other operand is."""
    return values.astype(np.float16).astype(np.float32) if parameter.dtype == np.float16 else values


def _uniform(count: int, kind: Any, low: Array, high: Array) -> Array:
    low, high = _spread(low, count), _spread(high, count)
    return low + _rounded((high - low) * generator().uniform(count, kind), low)


def _normal(count: int, kind: Any, mean: Array, deviation: Array) -> Array:
    mean, deviation = _spread(mean, count), _spread(deviation, count)
    return _rounded(_rounded(generator().normal(count, kind) * deviation, mean) + mean, mean)


def _exponential(count: int, kind: Any, rate: Array, _: Array) -> Array:
    unit = generator().uniform(count, kind)
    rate = _spread(rate, count)
    return _rounded(-np.log(1.0 - unit.astype(np.float64)) / rate, rate)


def _side_by_side(count: int, ahead: int, draw: Callable[[Lanes, Array, Array], Array], kind: Any) -> Array:
    """Values of a rejection sampler: draw(lanes, the lanes that want a value, the positions of their values)."""
    found = np.empty(count, kind)
    with generator().lock:
        used, step = generator().chunks(count)
        lanes = Lanes(generator(), used, ahead)
        starts = np.arange(used) * step
        for i in range(step):
            active = np.flatnonzero(starts + i < count)
            found[starts[active] + i] = draw(lanes, active, starts[active] + i)
        lanes.close()
    return found


def _full(parameter: Array, count: int, kind: Any) -> Array:
    return np.broadcast_to(_spread(parameter, count), (count,)).astype(kind)


def _one_gamma(lanes: Lanes, active: Array, alpha: Array, beta: Array, kind: Any) -> Array:
    """One value of the gamma distribution (Marsaglia and Tsang) for each of the active lanes."""
    wide = alpha.astype(np.float64)
    d = np.where(alpha < 1, wide + 2.0 / 3.0, wide - 1.0 / 3.0).astype(kind)
    k = np.sqrt(9.0 * d.astype(np.float64)).astype(kind)
    c = (1.0 / k.astype(np.float64)).astype(kind)
    found = np.empty(len(active), kind)
    open_ = np.arange(len(active))
    while len(open_):
        z = lanes.normal(active[open_], kind)
        tried = z > -k[open_]
        at, z = open_[tried], z[tried]
        if len(at):
            x = (1.0 + (c[at] * z).astype(np.float64)).astype(kind)
            v = x * x * x
            left = np.log(1.0 - lanes.uniform(active[at], kind).astype(np.float64))
            wide_z, wide_v = z.astype(np.float64), v.astype(np.float64)
            right = 0.5 * wide_z * wide_z + d[at] * (1.0 - wide_v + np.log(v).astype(np.float64))
            good = left < right
            found[at[good]] = d[at[good]] * v[good] * beta[at[good]]
            done = np.zeros(len(active), bool)
            done[at[good]] = True
            open_ = open_[~done[open_]]
    small = np.flatnonzero(alpha < 1)
    if len(small):
        power = (1.0 / alpha[small].astype(np.float64)).astype(kind).astype(np.float64)
        unit = lanes.uniform(active[small], kind).astype(np.float64)
        found[small] *= (unit**power).astype(kind)
    return found


def _gamma(count: int, kind: Any, alpha: Array, beta: Array) -> Array:
    alphas, betas = _full(alpha, count, kind), _full(beta, count, kind)

    def draw(lanes: Lanes, active: Array, at: Array) -> Array:
        return _one_gamma(lanes, active, alphas[at], betas[at], kind)

    return _side_by_side(count, 256, draw, kind)


_PI = np.float32(3.1415926)


def _lgamma(values: Array) -> Array:
    wide = torch.lgamma(torch.from_numpy(values.astype(np.float64)))
    found: Array = wide.numpy().astype(np.float32)
    return found


def _f32(values: Array) -> Array:
    return values.astype(np.float32)


def _one_poisson(lanes: Lanes, active: Array, rate: Array) -> Array:
    """One value of the Poisson distribution for each of the active lanes; rate: float32."""
    found = np.zeros(len(active), np.float32)
    low = np.flatnonzero(rate < 12.0)
    if len(low):
        limit = _f32(np.exp(-rate[low].astype(np.float64)))
        product = lanes.uniform(active[low])
        while True:
            more = product > limit
            low, limit, product = low[more], limit[more], product[more]
            if not len(low):
                break
            found[low] += 1
            product = product * lanes.uniform(active[low])
    high = np.flatnonzero(~(rate < 12.0))
    if len(high):
        _reject_poisson(lanes, active, rate, high, found)
    return found


def _reject_poisson(lanes: Lanes, active: Array, rate: Array, open_: Array, found: Array) -> None:
    """Numerical Recipes' method for rates from 12 on; the Lorentzian is drawn until it lies at 0 or above."""
    spread = _f32(np.sqrt(2.0 * rate.astype(np.float64)))
    log_rate = _f32(np.log(rate.astype(np.float64)))
    g = rate * log_rate - _lgamma(_f32(rate + 1.0))
    while len(open_):
        y = np.empty(len(open_), np.float32)
        em = np.empty(len(open_), np.float32)
        wanting = np.arange(len(open_))
        while len(wanting):
            at = open_[wanting]
            tangent = _f32(np.tan((_PI * lanes.uniform(active[at])).astype(np.float64)))
            y[wanting], em[wanting] = tangent, spread[at] * tangent + rate[at]
            wanting = wanting[em[wanting] < 0.0]
        em = np.floor(em)
        power = em * log_rate[open_] - _lgamma(_f32(em + 1.0)) - g[open_]
        density = 0.9 * (1.0 + (y * y).astype(np.float64)) * _f32(np.exp(power.astype(np.float64)))
        good = ~(lanes.uniform(active[open_]) > _f32(density))
        found[open_[good]] = em[good]
        open_ = open_[~good]


def _poisson(count: int, kind: Any, rate: Array, _: Array) -> Array:
    rates = _full(rate, count, np.float32)
    return _side_by_side(count, 256, lambda lanes, active, at: _one_poisson(lanes, active, rates[at]), np.float32)


def _negative_binomial(count: int, kind: Any, k: Array, p: Array) -> Array:
    alphas, odds = _full(k, count, np.float32), _full(p, count, np.float32)
    betas = _f32((1.0 - odds.astype(np.float64)) / odds)

    def draw(lanes: Lanes, active: Array, at: Array) -> Array:
        return _one_poisson(lanes, active, _one_gamma(lanes, active, alphas[at], betas[at], np.float32))

    return _side_by_side(count, 512, draw, np.float32)


def _generalized_negative_binomial(count: int, kind: Any, mu: Array, alpha: Array) -> Array:
    means, spreads = _full(mu, count, np.float32), _full(alpha, count, np.float32)

    def draw(lanes: Lanes, active: Array, at: Array) -> Array:
        rate = means[at]
        mixed = np.flatnonzero(spreads[at] != 0)
        if len(mixed):
            here = spreads[at][mixed]
            rate[mixed] = _one_gamma(lanes, active[mixed], np.float32(1) / here, here * rate[mixed], np.float32)
        return _one_poisson(lanes, active, rate)

    return _side_by_side(count, 512, draw, np.float32)


def randint(count: int, low: int, high: int) -> Array:
    """Whole numbers low … high-1 as int64, from two words each."""
    refuse(high < low, "low must be less or equal to high in uniform distribution")
    refuse(high == low, "low must be less than high: there is no whole number between them")
    with generator().lock:
        words = generator().words(count, 2).astype(np.int64).reshape(-1, 2)
    return low + ((words[:, 0] << 31) + words[:, 1]) % (high - low)


SAMPLERS: dict[str, tuple[Sampler, Callable[[Any, Any], str | None]]] = {
    "uniform": (
        _uniform,
        lambda low, high: "low must be less or equal to high in uniform distribution" if high < low else None,
    ),
    "normal": (
        _normal,
        lambda loc, scale: None if scale > 0 else "scale parameter in gaussian has to be positive",
    ),
    "exponential": (
        _exponential,
        lambda lam, _: None if lam > 0 else "lambda parameter in exponential distribution has to be positive",
    ),
    "gamma": (
        _gamma,
        lambda alpha, beta: (
            "alpha parameter in gamma distribution has to be positive" if not alpha > 0
            else None if beta > 0 else "beta parameter in gamma distribution has to be positive"
        ),
    ),
    "poisson": (
        _poisson,
        lambda lam, _: None if lam >= 0 else "lambda parameter in poisson distribution has to be non-negative",
    ),
    "negative_binomial": (
        _negative_binomial,
        lambda k, p: (
            "k parameter in negative binomial distribution has to be non-negative" if not k >= 0
            else None if p >= 0 else "p parameter in negative binomial distribution has to be non-negative"
        ),
    ),
    "generalized_negative_binomial": (
        _generalized_negative_binomial,
        lambda mu, alpha: (
            "mu parameter in generalized negative binomial distribution has to be non-negative" if not mu >= 0
            else None if alpha >= 0
            else "alpha parameter in generalized negative binomial distribution has to be non-negative"
        ),
    ),
}  # fmt: skip
"""Distribution → its sampler, and what MXNet says of two scalar parameters that it refuses (None: they are fine)."""


def serial_uniform(count: int, kind: Any = np.float32) -> Array:
    """Values in [0, 1) from the twister of the operators that are not parallel."""
    from tensorkeep.mxnet._rng import to_unit

    with generator().lock:
        return to_unit(generator().serial.take(count * (1 if kind is np.float32 else 2)), kind)


def serial_normal(count: int, kind: Any = np.float32) -> Array:
    """Standard normal values from that twister: each point of the plane gives two, as std::normal_distribution
    does when one object gives them all."""
    with generator().lock:
        return generator().serial_normal(count, kind)
