"""mx.np.random and mx.npx.random."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._numpy.face import Face, context

__all__ = ["Random"]


class Random(Face):
    """The functions that draw random numbers."""

    def _drawn(
        self, name: str, words: tuple[str, ...], values: tuple[Any, ...], size: Any, out: Any, **attrs: Any
    ) -> Any:
        """The operator `name`: arrays among the parameters are its inputs, numbers its attributes."""
        arrays = tuple(value for value in values if isinstance(value, self.array))
        numbers = {w: None if isinstance(v, self.array) else v for w, v in zip(words, values, strict=True)}
        return self.call(name, arrays, out, **numbers, size=None if size == () else size, **attrs)

    def uniform(
        self, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """Values of the uniform distribution over low … high (high excluded)."""
        attrs = {"ctx": context(ctx), "dtype": dtype or "float32"}
        return self._drawn("_npi_uniform", ("low", "high"), (low, high), size, out, **attrs)

    def normal(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
    ) -> Any:
        """Values of the normal distribution with mean loc and standard deviation scale."""
        attrs = {"ctx": context(ctx), "dtype": dtype or "float32"}
        return self._drawn("_npi_normal", ("loc", "scale"), (loc, scale), size, out, **attrs)
