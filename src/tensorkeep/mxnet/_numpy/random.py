"""mx.np.random and mx.npx.random."""

from __future__ import annotations

from typing import Any

import numpy as onp

from tensorkeep.mxnet._numpy.face import Face

__all__ = ["ExtensionRandom", "Random"]


def _size(size: Any) -> Any:
    """The size that is asked for in Python's own numbers; None for one value."""
    if isinstance(size, (tuple, list)):
        return tuple([int(n) if isinstance(n, onp.integer) else n for n in size]) if size != () else None
    return int(size) if isinstance(size, onp.integer) else size


class _Drawing(Face):
    """How a function of a distribution calls its operator."""

    def _typed(self, ctx: Any, dtype: Any) -> dict[str, Any]:
        return {"dtype": "float32" if dtype is None else dtype, **self.at(ctx)}

    def _drawn(
        self, name: str, words: tuple[str, ...], values: tuple[Any, ...], size: Any, out: Any, **attrs: Any
    ) -> Any:
        """The operator `name`: arrays among the parameters are its inputs, numbers its attributes."""
        arrays = tuple(value for value in values if isinstance(value, self.array))
        numbers = {w: None if isinstance(v, self.array) else v for w, v in zip(words, values, strict=True)}
        return self.call(name, arrays, out, **numbers, size=_size(size), **attrs)


class Random(_Drawing):
    """The functions of mx.np.random."""

    def randint(
        self, low: int, high: int | None = None, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """Whole numbers low … high - 1, or 0 … low - 1; int64 unless another dtype is said."""
        low, high = (0, low) if high is None else (low, high)
        shape = () if size is None else size
        kind = "int64" if dtype in (None, "int", int) else dtype
        return self.call("_npi_random_randint", (), out, low=low, high=high, shape=shape, dtype=kind, **self.at(ctx))

    def uniform(
        self, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """Values of the uniform distribution over low … high (high excluded)."""
        return self._drawn("_npi_uniform", ("low", "high"), (low, high), size, out, **self._typed(ctx, dtype))

    def rand(self, *size: int, **kwargs: Any) -> Any:
        """rand(2, 3): values of the uniform distribution over 0 … 1 in that shape."""
        return self.uniform(0, 1, size=size, **kwargs)

    def normal(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """Values of the normal distribution with mean loc and standard deviation scale."""
        return self._drawn("_npi_normal", ("loc", "scale"), (loc, scale), size, out, **self._typed(ctx, dtype))

    def randn(self, *size: int, **kwargs: Any) -> Any:
        """randn(2, 3): values of the standard normal distribution in that shape."""
        return self.normal(0, 1, size=size, **kwargs)

    def lognormal(
        self, mean: Any = 0.0, sigma: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """exp of values of the normal distribution with mean `mean` and standard deviation sigma."""
        drawn = self.normal(mean, sigma, size, dtype, ctx, out)
        return self.call("_npi_exp", (drawn,))

    def multivariate_normal(
        self, mean: Any, cov: Any, size: Any = None, check_valid: Any = None, tol: Any = None
    ) -> Any:
        """Vectors of the normal distribution with mean `mean` and covariance cov, as MXNet combines them.

        MXNet multiplies the noise with the transposed Cholesky factor, and so do we; its noise comes from a generator
        that `mx.random.seed` does not reach, ours from that of `normal`.
        """
        for word, value in (("check_valid", check_valid), ("tol", tol)):
            if value is not None:
                raise NotImplementedError(f"Parameter `{word}` is not supported")
        if not self.eager:
            raise NotImplementedError("multivariate_normal has no operator that a symbol could hold")
        factor = self.call("_npi_cholesky", (cov,))
        shape = onp.broadcast_shapes(mean.shape, cov.shape[:-1])
        leading = () if size is None else (size,) if isinstance(size, int) else tuple(size)
        noise = self.normal(size=(*leading, *shape), dtype=mean.dtype, ctx=mean.ctx)
        moved = self.call("_npi_einsum", (factor, noise), num_args=2, subscripts="...jk,...j->...k", optimize=0)
        return self.call("_npi_add", (mean, moved))

    def logistic(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
        """Values of the logistic distribution."""
        return self._drawn("_npi_logistic", ("loc", "scale"), (loc, scale), size, out, **self.at(ctx))

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
        """Values of the Gumbel distribution."""
        return self._drawn("_npi_gumbel", ("loc", "scale"), (loc, scale), size, out, **self.at(ctx))

    def rayleigh(self, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
        """Values of the Rayleigh distribution."""
        return self._drawn("_npi_rayleigh", ("scale",), (scale,), size, out, **self.at(ctx))

    def exponential(self, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
        """Values of the exponential distribution with mean `scale`."""
        return self._drawn("_npi_exponential", ("scale",), (scale,), size, out, **self.at(ctx))

    def weibull(self, a: Any, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
        """Values of the Weibull distribution with scale 1."""
        return self._drawn("_npi_weibull", ("a",), (a,), size, out, **self.at(ctx))

    def pareto(self, a: Any, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
        """Values of the Pareto II distribution."""
        return self._drawn("_npi_pareto", ("a",), (a,), size, out, **self.at(ctx))

    def power(self, a: Any, size: Any = None) -> Any:
        """Values in [0, 1] of the power distribution with exponent a - 1."""
        return self._drawn("_npi_powerd", ("a",), (a,), size, None)

    def gamma(
        self, shape: Any, scale: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """Values of the gamma distribution; no gradient flows to its parameters."""
        size = out.shape if out is not None else size
        return self._drawn("_npi_gamma", ("shape", "scale"), (shape, scale), size, out, **self._typed(ctx, dtype))

    def beta(self, a: Any, b: Any, size: Any = None, dtype: Any = None, ctx: Any = None) -> Any:
        """Values of the beta distribution."""
        first = self.gamma(a, 1, size=size, dtype="float64", ctx=ctx)
        second = self.gamma(b, 1, size=size, dtype="float64", ctx=ctx)
        return (first / (first + second)).astype("float32" if dtype is None else dtype)

    def chisquare(self, df: Any, size: Any = None, dtype: Any = None, ctx: Any = None) -> Any:
        """What MXNet 1.9.1 gives for the chi-square distribution: gamma(df / 2, 1 / 2). (NumPy's scale is 2.)"""
        return self.gamma(df / 2, 1 / 2, size=size, dtype=dtype, ctx=ctx)

    def multinomial(self, n: int, pvals: Any, size: Any = None, **kwargs: Any) -> Any:
        """How often each outcome of probability pvals comes in n experiments."""
        if kwargs:
            raise TypeError(f"multinomial() got an unexpected keyword argument {next(iter(kwargs))!r}")
        if isinstance(pvals, self.array):
            return self.call("_npi_multinomial", (pvals,), pvals=None, n=n, size=size)
        if isinstance(pvals, onp.ndarray):
            raise ValueError("numpy ndarray is not supported!")
        if any(isinstance(value, list) for value in pvals):
            raise ValueError("object too deep for desired array")
        return self.call("_npi_multinomial", (), n=n, pvals=pvals, size=size)

    def choice(
        self, a: Any, size: Any = None, replace: bool = True, p: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """Elements of the array a, or of 0 … a - 1, each as likely as the others or as p says."""
        weights = () if p is None else (p,)
        attrs = {"size": _size(size), "replace": replace, "weighted": p is not None}
        if isinstance(a, self.array):
            places = self.call("_npi_choice", (a, *weights), a=None, ctx=None, **attrs)
            return self.call("_npi_take", (a, places))
        return self.call("_npi_choice", weights, out, a=a, **self.at(ctx), **attrs)

    def shuffle(self, x: Any) -> None:
        """Put the rows of x in another order, in place."""
        self.call("_npi_shuffle", (x,), x)


class ExtensionRandom(_Drawing):
    """The functions of mx.npx.random."""

    def bernoulli(
        self, prob: Any = None, logit: Any = None, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """1 with probability `prob`, or with the odds exp(logit), else 0."""
        if (prob is None) == (logit is None):
            raise ValueError(
                f"Either `prob` or `logit` must be specified, but not both. Received prob={prob}, logit={logit}"
            )
        value, word = (prob, "prob") if logit is None else (logit, "logit")
        attrs = {"dtype": "float32" if dtype is None else dtype, "is_logit": logit is not None, **self.at(ctx)}
        size = _size(size)
        if isinstance(value, self.array):
            return self.call("_npi_bernoulli", (value,), out, prob=None, logit=None, size=size, **attrs)
        return self.call("_npi_bernoulli", (), out, **{"prob": None, "logit": None, word: value}, size=size, **attrs)

    def uniform_n(
        self, low: Any = 0.0, high: Any = 1.0, batch_shape: Any = None, dtype: Any = None, ctx: Any = None
    ) -> Any:
        """Values of the uniform distribution over low … high: `batch_shape` of them for each pair of parameters."""
        return self._drawn("_npi_uniform_n", ("low", "high"), (low, high), batch_shape, None, **self._typed(ctx, dtype))

    def normal_n(
        self, loc: Any = 0.0, scale: Any = 1.0, batch_shape: Any = None, dtype: Any = None, ctx: Any = None
    ) -> Any:
        """Values of the normal distribution: `batch_shape` of them for each pair of parameters."""
        return self._drawn(
            "_npi_normal_n", ("loc", "scale"), (loc, scale), batch_shape, None, **self._typed(ctx, dtype)
        )
