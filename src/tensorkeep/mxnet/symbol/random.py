"""sym.random: symbols of random numbers. With numbers as parameters one distribution, with symbols one an element."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import public_names
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.symbol.register import call, serve
from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = [
    "exponential", "gamma", "generalized_negative_binomial", "multinomial", "negative_binomial", "normal", "poisson",
    "randint", "randn", "shuffle", "uniform",
]  # fmt: skip


def _draw(name: str, params: dict[str, Any], shape: Any, dtype: Any, kwargs: dict[str, Any]) -> Any:
    symbols = [isinstance(value, Symbol) for value in params.values()]
    attrs = {key: value for key, value in (("shape", shape), ("dtype", dtype)) if type(value).__name__ != "_NullType"}
    attrs = {key: value for key, value in attrs.items() if value is not None}
    if all(symbols):
        return call(f"_sample_{name}", *params.values(), **attrs, **kwargs)
    if any(symbols):
        kinds = [type(value) for value in params.values()]
        raise ValueError(f"Distribution parameters must all be Symbols or all be numbers, but got {kinds}.")
    return call(f"_random_{name}", **params, **attrs, **kwargs)


def uniform(low: Any = 0, high: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """Numbers between low and high."""
    return _draw("uniform", {"low": low, "high": high}, shape, dtype, kwargs)


def normal(loc: Any = 0, scale: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """Normally distributed numbers of mean loc and standard deviation scale."""
    params = {"loc": loc, "scale": scale}
    if isinstance(loc, Symbol) and isinstance(scale, Symbol):
        params = {"mu": loc, "sigma": scale}
    return _draw("normal", params, shape, dtype, kwargs)


def randn(*shape: int, **kwargs: Any) -> Any:
    """Normally distributed numbers of the given shape."""
    loc, scale, dtype = kwargs.pop("loc", 0), kwargs.pop("scale", 1), kwargs.pop("dtype", None)
    return normal(loc, scale, shape or None, dtype, **kwargs)


def poisson(lam: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """Poisson-distributed numbers of mean lam."""
    return _draw("poisson", {"lam": lam}, shape, dtype, kwargs)


def exponential(scale: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """Exponentially distributed numbers of mean scale."""
    return _draw("exponential", {"lam": 1.0 / scale}, shape, dtype, kwargs)


def gamma(alpha: Any = 1, beta: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """Gamma-distributed numbers of shape alpha and scale beta."""
    return _draw("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, kwargs)


def negative_binomial(k: Any = 1, p: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """Failures before the k-th success of probability p."""
    return _draw("negative_binomial", {"k": k, "p": p}, shape, dtype, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Any = None, dtype: Any = None, **kwargs: Any
) -> Any:
    """Negative binomial numbers of mean mu and dispersion alpha."""
    return _draw("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, kwargs)


def multinomial(data: Symbol, shape: Any = 1, get_prob: bool = True, dtype: str = "int32", **kwargs: Any) -> Any:
    """Indices drawn by the probabilities in data's last axis."""
    return call("_sample_multinomial", data, shape, get_prob, dtype=dtype, **kwargs)


def shuffle(data: Symbol, **kwargs: Any) -> Any:
    """The rows in a random order."""
    return call("_shuffle", data, **kwargs)


def randint(low: int, high: int, shape: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """Integers, low ≤ x < high."""
    return _draw("randint", {"low": low, "high": high}, shape, dtype, kwargs)


_operator, _dir = serve(globals(), "random", "mxnet.symbol.random")


def __getattr__(name: str) -> Any:
    # MXNet's module has the operators *_like besides the functions above; the others are in sym._internal.
    if name.endswith("_like") and name in public_names()["random"]:
        return _operator(name)
    raise AttributeError(f"module 'mxnet.symbol.random' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *(name for name in public_names()["random"] if name.endswith("_like"))})


claim(globals())
