"""Arrays from nothing, and arrays like others."""

from __future__ import annotations

from typing import Any

import numpy as onp

from tensorkeep.mxnet._numpy.face import NUMBERS, Face

__all__ = ["Creation"]

_LIKE_DTYPES = {None, "int8", "uint8", "int32", "int64", "float16", "float32", "float64", "bool_", "bool"}


def _c_order(order: str) -> None:
    if order != "C":
        raise NotImplementedError(f"only order='C' exists, not {order!r}")


def _dtype(dtype: Any) -> str:
    """The name of a dtype; float32 of None."""
    if dtype is None:
        return "float32"
    return dtype if isinstance(dtype, str) else onp.dtype(dtype).name


class Creation(Face):
    """zeros, ones, full, arange, eye …"""

    def zeros(self, shape: Any, dtype: Any = None, order: str = "C", ctx: Any = None) -> Any:
        """Zeros, float32 unless another dtype is said."""
        _c_order(order)
        return self.call("_npi_zeros", (), shape=shape, **self.at(ctx), dtype=_dtype(dtype))

    def ones(self, shape: Any, dtype: Any = onp.float32, order: str = "C", ctx: Any = None) -> Any:
        """Ones, float32 unless another dtype is said."""
        _c_order(order)
        return self.call("_npi_ones", (), shape=shape, **self.at(ctx), dtype=_dtype(dtype))

    def full(
        self, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None
    ) -> Any:
        """An array filled with a number (float32; of True and False: bool) or with an array that broadcasts."""
        _c_order(order)
        if isinstance(fill_value, self.array):
            found = self.broadcast_to(fill_value, shape)
            return found if dtype is None else found.astype(dtype)
        if isinstance(fill_value, bool):
            fill_value = int(fill_value)
            dtype = "bool" if dtype is None else dtype
        attrs = {"shape": shape, "value": fill_value, "dtype": _dtype(dtype), **self.at(ctx)}
        return self.call("_npi_full", (), out, **attrs)

    def broadcast_to(self, array: Any, shape: Any) -> Any:
        """The array repeated along dimensions of size 1 to a shape."""
        if onp.isscalar(array):
            return self.full(shape, array)
        return self.call("_npi_broadcast_to", (array,), shape=shape)

    def full_like(
        self, a: Any, fill_value: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None
    ) -> Any:
        """A number in every place, with the shape of `a`; its dtype unless another is said."""
        _c_order(order)
        value = int(fill_value) if isinstance(fill_value, bool) else fill_value
        return self.call("_npi_full_like", (a,), out, fill_value=value, dtype=dtype, **self.at(ctx))

    def zeros_like(self, a: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None) -> Any:
        """Zeros with the shape of `a`."""
        return self.full_like(a, 0, dtype, order, ctx, out)

    def ones_like(self, a: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None) -> Any:
        """Ones with the shape of `a`."""
        return self.full_like(a, 1, dtype, order, ctx, out)

    def arange(self, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, ctx: Any = None) -> Any:
        """Evenly spaced values from start up to, without, stop; float32 unless another dtype is said."""
        if stop is None:
            start, stop = 0, start
        if start is None and stop is None:
            raise ValueError("start and stop cannot be both None")
        if step is None:
            step = 1
        if step == 0:
            raise ZeroDivisionError("step cannot be 0")
        return self.call("_npi_arange", (), start=start, stop=stop, step=step, dtype=_dtype(dtype), **self.at(ctx))

    def identity(self, n: int, dtype: Any = None, ctx: Any = None) -> Any:
        """A square with ones on its diagonal.

        Raises:
            TypeError, ValueError: n is no number of rows.
        """
        if not isinstance(n, int):
            raise TypeError("Input 'n' should be an integer")
        if n < 0:
            raise ValueError("Input 'n' cannot be negative")
        return self.call("_npi_identity", (), shape=(n, n), **self.at(ctx), dtype=_dtype(dtype))

    def eye(self, N: int, M: Any = None, k: int = 0, dtype: Any = onp.float32, **kwargs: Any) -> Any:
        """Ones on the k-th diagonal of an N × M array."""
        if "order" in kwargs:
            raise NotImplementedError("function eye does not support parameter order")
        return self.call("_npi_eye", (), N=N, M=M, k=k, **self.at(kwargs.pop("ctx", None)), dtype=_dtype(dtype))

    def linspace(
        self, start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
        axis: int = 0, ctx: Any = None,
    ) -> Any:  # fmt: skip
        """`num` evenly spaced values from start to stop; with retstep also the distance between two."""
        self._bounds(start, stop, "start and stop only support int", (list, onp.ndarray, self.array))
        self._first_axis(axis)
        attrs = {"start": start, "stop": stop, "num": num, "endpoint": endpoint}
        found = self.call("_npi_linspace", (), **attrs, **self.at(ctx), dtype=dtype)
        return (found, (stop - start) / (num - 1)) if retstep else found

    def logspace(
        self, start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10.0, dtype: Any = None,
        axis: int = 0, ctx: Any = None,
    ) -> Any:  # fmt: skip
        """`num` powers of `base`, their exponents evenly spaced from start to stop."""
        self._bounds(start, stop, "start and stop only support int and float", (list, tuple, onp.ndarray, self.array))
        self._first_axis(axis)
        attrs = {"start": start, "stop": stop, "num": num, "endpoint": endpoint, "base": base}
        return self.call("_npi_logspace", (), **attrs, **self.at(ctx), dtype=dtype)

    @staticmethod
    def _bounds(start: Any, stop: Any, text: str, arrays: Any) -> None:
        if isinstance(start, arrays) or isinstance(stop, arrays):
            raise NotImplementedError(text)

    @staticmethod
    def _first_axis(axis: int) -> None:
        if axis != 0:
            raise NotImplementedError("the function only support axis 0")

    def indices(self, dimensions: Any, dtype: Any = onp.int32, ctx: Any = None) -> Any:
        """The position of each element of a grid: one row for each axis."""
        if not isinstance(dimensions, (tuple, list)):
            raise ValueError("The dimensions must be sequence of ints")
        return self.call("_npi_indices", (), dimensions=dimensions, dtype=_dtype(dtype), **self.at(ctx))

    def hanning(self, M: int, dtype: Any = onp.float32, ctx: Any = None) -> Any:
        """The Hanning window of M points."""
        return self.call("_npi_hanning", (), M=M, dtype=_dtype(dtype), **self.at(ctx))

    def hamming(self, M: int, dtype: Any = onp.float32, ctx: Any = None) -> Any:
        """The Hamming window of M points."""
        return self.call("_npi_hamming", (), M=M, dtype=_dtype(dtype), **self.at(ctx))

    def blackman(self, M: int, dtype: Any = onp.float32, ctx: Any = None) -> Any:
        """The Blackman window of M points."""
        return self.call("_npi_blackman", (), M=M, dtype=_dtype(dtype), **self.at(ctx))

    def tril(self, m: Any, k: int = 0) -> Any:
        """The array with zeros above its k-th diagonal."""
        return self.call("_npi_tril", (m,), k=k)

    def expand_dims(self, a: Any, axis: int) -> Any:
        """The array with a new dimension of size 1."""
        return self.call("_npi_expand_dims", (a,), axis=axis)

    def tile(self, A: Any, reps: Any) -> Any:
        """The array repeated along each axis."""
        if isinstance(A, NUMBERS):
            return onp.tile(A, reps)
        return self.call("_npi_tile", (A,), reps=reps)
