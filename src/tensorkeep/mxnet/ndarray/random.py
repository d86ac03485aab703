"""nd.random: arrays of random numbers, drawn as MXNet draws them."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import bind, serve
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import current_context
from tensorkeep.mxnet.ndarray._arithmetic import NUMBERS
from tensorkeep.mxnet.ndarray.ndarray import NDArray, call

__all__ = [
    "exponential", "gamma", "generalized_negative_binomial", "multinomial", "negative_binomial", "normal", "poisson",
    "randint", "randn", "shuffle", "uniform",
]  # fmt: skip


def _draw(name: str, params: tuple[Any, ...], shape: Any, dtype: Any, ctx: Any, out: Any, attrs: dict[str, Any]) -> Any:
    """Draw from a distribution: one shape of numbers, or for arrays of parameters some from each of them.

    Raises:
        AssertionError, ValueError: the parameters are not all arrays, and not all numbers.
    """
    attrs.pop("name", None)
    attrs.update({key: value for key, value in (("shape", shape), ("dtype", dtype)) if value is not None})
    arrays = isinstance(params[0], NDArray)
    if not arrays and not isinstance(params[0], NUMBERS):
        raise ValueError(f"Distribution parameters must be either NDArray or numbers, but got {type(params[0])}.")
    for other in params[1:]:
        assert isinstance(other, NDArray if arrays else NUMBERS), (
            f"Distribution parameters must all have the same type, but got both {type(params[0])} and {type(other)}."
        )
    if arrays:
        return call(get(f"_sample_{name}"), list(params), attrs, out)
    if shape is None and out is None:
        attrs["shape"] = 1
    attrs["ctx"] = str(ctx or current_context())
    op = get(f"_random_{name}")
    return call(op, bind(op, params, attrs), attrs, out)


def uniform(
    low: Any = 0, high: Any = 1, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any
) -> Any:
    """Numbers between `low` and `high`, all equally likely."""
    return _draw("uniform", (low, high), shape, dtype, ctx, out, kwargs)


def normal(
    loc: Any = 0, scale: Any = 1, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any
) -> Any:
    """Numbers of the normal distribution with the mean `loc` and the standard deviation `scale`."""
    return _draw("normal", (loc, scale), shape, dtype, ctx, out, kwargs)


def randn(*shape: int, **kwargs: Any) -> Any:
    """Numbers of the normal distribution in an array of the given dimensions; loc=0, scale=1."""
    loc, scale = kwargs.pop("loc", 0), kwargs.pop("scale", 1)
    dtype, ctx, out = (kwargs.pop(name, None) for name in ("dtype", "ctx", "out"))
    return _draw("normal", (loc, scale), shape, dtype, ctx, out, kwargs)


def poisson(lam: Any = 1, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any) -> Any:
    """Counts of the Poisson distribution with the mean `lam`, as floats."""
    return _draw("poisson", (lam,), shape, dtype, ctx, out, kwargs)


def exponential(
    scale: Any = 1, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any
) -> Any:
    """Numbers of the exponential distribution with the mean `scale`."""
    return _draw("exponential", (1.0 / scale,), shape, dtype, ctx, out, kwargs)


def gamma(
    alpha: Any = 1, beta: Any = 1, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any
) -> Any:
    """Numbers of the gamma distribution with the shape `alpha` and the scale `beta`."""
    return _draw("gamma", (alpha, beta), shape, dtype, ctx, out, kwargs)


def negative_binomial(
    k: Any = 1, p: Any = 1, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any
) -> Any:
    """How many failures come before `k` successes of probability `p`, as floats."""
    return _draw("negative_binomial", (k, p), shape, dtype, ctx, out, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any
) -> Any:
    """Counts with the mean `mu` and the dispersion `alpha`, as floats."""
    return _draw("generalized_negative_binomial", (mu, alpha), shape, dtype, ctx, out, kwargs)


def multinomial(
    data: NDArray, shape: Any = None, get_prob: bool = False, out: Any = None, dtype: Any = "int32", **kwargs: Any
) -> Any:
    """Positions in the last dimension of `data`, each as likely as the probability that stands there."""
    attrs = {"get_prob": get_prob, "dtype": dtype, **kwargs}
    if shape is not None:
        attrs["shape"] = shape
    return call(get("_sample_multinomial"), [data], attrs, out)


def shuffle(data: NDArray, **kwargs: Any) -> Any:
    """The rows of an array in a random order."""
    return call(get("_shuffle"), [data], {}, kwargs.get("out"))


def randint(
    low: Any, high: Any, shape: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None, **kwargs: Any
) -> Any:
    """Integers from `low` up to, without, `high`, all equally likely."""
    return _draw("randint", (low, high), shape, dtype, ctx, out, kwargs)


__getattr__, __dir__ = serve(globals(), "random", call, "mxnet.ndarray.random")

claim(globals())
