"""Sums, means, extremes, orders, counts."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._numpy.face import NUMBERS, Face

__all__ = ["Reductions"]


def _given(**attrs: Any) -> dict[str, Any]:
    """The attributes that are not at their default: MXNet stores those that a caller names."""
    return {key: value for key, value in attrs.items() if value is not None and value is not False}


class Reductions(Face):
    """Functions that make less of an array."""

    def sum(
        self, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, out: Any = None
    ) -> Any:
        """The sum over axes, all of them by default; of bool as int64."""
        attrs = _given(axis=axis, dtype=dtype, keepdims=keepdims, initial=initial)
        return self.call("_np_sum", (a,), out, **attrs)

    def prod(self, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The product over axes, all of them by default; of bool as int64."""
        return self.call("_np_prod", (a,), out, **_given(axis=axis, dtype=dtype, keepdims=keepdims))

    product = prod

    def max(self, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
        """The largest element over axes, all of them by default."""
        return self.call("_np_max", (a,), out, **_given(axis=axis, keepdims=keepdims))

    amax = max

    def min(self, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
        """The smallest element over axes, all of them by default."""
        return self.call("_np_min", (a,), out, **_given(axis=axis, keepdims=keepdims))

    amin = min

    def all(self, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
        """Whether no element over axes is 0."""
        return self.call("_np_all", (a,), out, **_given(axis=axis, keepdims=keepdims))

    def any(self, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
        """Whether some element over axes is not 0."""
        return self.call("_np_any", (a,), out, **_given(axis=axis, keepdims=keepdims))

    sometrue = any

    def cumsum(self, a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        """The running sum along an axis; without one along the flat array."""
        return self.call("_np_cumsum", (a,), out, **_given(axis=axis, dtype=dtype))

    def mean(self, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The mean over axes, all of them by default; of whole numbers as float32."""
        return self.call("_npi_mean", (a,), out, axis=axis, dtype=dtype, keepdims=keepdims)

    def std(
        self, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
    ) -> Any:
        """The square root of the variance."""
        return self.call("_npi_std", (a,), out, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)

    def var(
        self, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
    ) -> Any:
        """The mean of the squared distances from the mean; the divisor is the number of elements less ddof."""
        return self.call("_npi_var", (a,), out, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)

    def average(self, a: Any, axis: Any = None, weights: Any = None, returned: bool = False, out: Any = None) -> Any:
        """The weighted mean over axes; with returned also the sum of the weights."""
        if weights is None:
            return self.call("_npi_average", (a,), out, axis=axis, returned=returned, weighted=False)
        return self.call("_npi_average", (a, weights), out, axis=axis, returned=returned)

    def argmax(self, a: Any, axis: int | None = None, out: Any = None) -> Any:
        """The position of the largest element, the first of equal ones, as int64; without an axis in the flat array."""
        return self.call("_npi_argmax", (a,), out, axis=axis, keepdims=False)

    def argmin(self, a: Any, axis: int | None = None, out: Any = None) -> Any:
        """The position of the smallest element, the first of equal ones, as int64; without an axis in the flat array."""
        return self.call("_npi_argmin", (a,), out, axis=axis, keepdims=False)

    def argsort(self, a: Any, axis: int | None = -1, kind: Any = None, order: Any = None) -> Any:
        """The positions that put the elements of an axis in order, as int64."""
        _no_order(order)
        return self.call("_npi_argsort", (a,), axis=axis, is_ascend=True, dtype="int64")

    def sort(self, a: Any, axis: int | None = -1, kind: Any = None, order: Any = None) -> Any:
        """The elements of an axis in order."""
        _no_order(order)
        return self.call("_npi_sort", (a,), axis=axis, is_ascend=True)

    def percentile(
        self, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = None,
        interpolation: str = "linear", keepdims: bool = False,
    ) -> Any:  # fmt: skip
        """The values below which q percent of the elements lie, over axes."""
        if overwrite_input is not None:
            raise NotImplementedError("overwrite_input is not supported yet")
        attrs = {"axis": axis, "interpolation": interpolation, "keepdims": keepdims}
        if isinstance(q, NUMBERS):
            return self.call("_npi_percentile", (a,), out, **attrs, q_scalar=q)
        return self.call("_npi_percentile", (a, q), out, **attrs, q_scalar=None)

    def quantile(
        self, a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: Any = None,
        interpolation: str = "linear", keepdims: bool = False,
    ) -> Any:  # fmt: skip
        """The values below which the share q, 0 … 1, of the elements lies, over axes."""
        return self.percentile(a, q * 100, axis, out, overwrite_input, interpolation, keepdims)

    def unique(
        self, ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
        axis: int | None = None,
    ) -> Any:  # fmt: skip
        """The different elements (or slices along an axis) in order; with more asked for a tuple."""
        attrs = {"return_index": return_index, "return_inverse": return_inverse, "return_counts": return_counts}
        found = self.call("_npi_unique", (ar,), **attrs, axis=axis)
        return self.several(found) if isinstance(found, list) else found

    def bincount(self, x: Any, weights: Any = None, minlength: int = 0) -> Any:
        """How often each of 0, 1, 2 … is among the elements, or the sums of their weights."""
        if not isinstance(x, self.array):
            raise TypeError("Input data should be NDarray")
        if minlength < 0:
            raise ValueError("Minlength value should greater than 0")
        if weights is None:
            return self.call("_npi_bincount", (x,), minlength=minlength, has_weights=False)
        return self.call("_npi_bincount", (x, weights), minlength=minlength, has_weights=True)

    def histogram(
        self, a: Any, bins: Any = 10, range: Any = None, normed: Any = None, weights: Any = None, density: Any = None
    ) -> Any:
        """How many elements lie in each bin, and the edges of the bins.

        Args:
            bins: their number, with `range`, or an array of edges.
        """
        for word, value in (("normed", normed), ("density", density)):
            if value is True:
                raise NotImplementedError(f"{word} is not supported yet...")
        if weights is not None:
            raise NotImplementedError("weights is not supported yet...")
        if isinstance(bins, NUMBERS):
            if range is None:
                raise NotImplementedError("automatic range is not supported yet...")
            return self.call("_npi_histogram", (a,), bin_cnt=bins, range=range)
        if isinstance(bins, (list, tuple)):
            raise NotImplementedError("array_like bins is not supported yet...")
        if isinstance(bins, str):
            raise NotImplementedError("string bins is not supported yet...")
        if isinstance(bins, self.array):
            return self.call("_npi_histogram", (a, bins))
        raise ValueError(f"np.histogram fails with bins {bins!r}")

    def diff(self, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
        """The differences of neighbours along an axis, n times."""
        if prepend or append:
            raise NotImplementedError("prepend and append options are not supported yet")
        return self.call("_npi_diff", (a,), n=n, axis=axis)

    def ediff1d(self, ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
        """The differences of neighbours in the flat array, with arrays or numbers before and after them."""
        begins, ends = isinstance(to_begin, self.array), isinstance(to_end, self.array)
        arrays = (ary, *((to_begin,) if begins else ()), *((to_end,) if ends else ()))
        attrs = {"to_begin_arr_given": begins, "to_end_arr_given": ends}
        numbers = {"to_begin_scalar": None if begins else to_begin, "to_end_scalar": None if ends else to_end}
        return self.call("_npi_ediff1d", arrays, **attrs, **numbers)

    def polyval(self, p: Any, x: Any) -> Any:
        """The polynomial with the coefficients p, the highest power's first, at each element of x."""
        kinds = isinstance(p, self.array), isinstance(x, self.array)
        if all(kinds):
            return self.call("_npi_polyval", (p, x))
        if not any(kinds):
            import numpy as onp

            return onp.polyval(p, x)
        raise TypeError("type not supported")


def _no_order(order: Any) -> None:
    if order is not None:
        raise NotImplementedError("order not supported here")
