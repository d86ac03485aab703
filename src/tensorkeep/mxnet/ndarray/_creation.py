"""Making arrays: zeros, ones, full, empty, array, arange, linspace, eye; joining them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import BFLOAT16, numpy_of, torch_of
from tensorkeep.mxnet._invoke import invoke, wrap
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, current_context, parse_context
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "arange", "array", "concatenate", "empty", "eye", "full", "histogram", "linspace", "moveaxis", "onehot_encode", "ones",
    "split_v2", "zeros",
]  # fmt: skip

Shape = int | tuple[int, ...] | list[int]


def _dims(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple([int(n) for n in shape])


def _filled(operator: str, value: float, shape: Any, ctx: Any, dtype: Any, kwargs: dict[str, Any]) -> NDArray:
    out = kwargs.pop("out", None)
    kwargs.pop("name", None)
    dims = _dims(shape)
    open_ = min(dims, default=0) < (0 if state.np_shape else 1)  # the operator knows what to say of such a shape
    if out is not None or kwargs or open_:
        attrs = {"shape": shape if out is not None else dims, "dtype": dtype or "float32", **kwargs}
        return invoke(get(operator), (), attrs if ctx is None else {**attrs, "ctx": ctx}, out, NDArray)
    ctx = parse_context(ctx)
    made = torch.full(dims, value, dtype=torch_of(dtype or "float32"), device=ctx.torch_device)
    return wrap(made, ctx, NDArray)


def zeros(shape: Shape, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An array of zeros; float32 and on the current context by default."""
    return _filled("_zeros", 0, shape, ctx, dtype, kwargs)


def ones(shape: Shape, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An array of ones; float32 and on the current context by default."""
    return _filled("_ones", 1, shape, ctx, dtype, kwargs)


def empty(shape: Shape, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """An array whose values are whatever the memory held."""
    ctx = parse_context(ctx)
    made = torch.empty(_dims(shape), dtype=torch_of(dtype or "float32"), device=ctx.torch_device)
    return wrap(made, ctx, NDArray)


def full(shape: Shape, val: Any, ctx: Context | None = None, dtype: Any = np.float32, out: Any = None) -> NDArray:
    """An array filled with a number, or with an array that broadcasts to `shape`."""
    target = empty(shape, ctx, dtype) if out is None else out
    target[:] = val
    return target


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """A copy of anything like an array: float32 unless `dtype` says otherwise, or `source_array` is an NDArray."""
    context = current_context() if ctx is None else parse_context(ctx)
    if isinstance(source_array, NDArray):
        tensor = source_array._t.detach()
        target = tensor.dtype if dtype is None else torch_of(dtype)
        return wrap(tensor.to(context.torch_device, target, copy=True).contiguous(), context, NDArray)
    target = torch_of(dtype or "float32")
    if isinstance(source_array, np.ndarray):
        return wrap(from_values(source_array, target).to(context.torch_device), context, NDArray)
    if isinstance(source_array, torch.Tensor):
        return wrap(source_array.detach().to(context.torch_device, target, copy=True), context, NDArray)
    try:
        values = np.array(source_array)
        values = values.astype(np.float32 if target is torch.bfloat16 else numpy_of(target))
    except (TypeError, ValueError, OverflowError) as err:
        raise TypeError("source_array must be array like object") from err
    return wrap(from_values(values, target).to(context.torch_device), context, NDArray)


def from_values(values: np.ndarray[Any, Any], dtype: torch.dtype) -> torch.Tensor:
    """A new contiguous CPU tensor with the values of a NumPy array, bfloat16's structured dtype included."""
    if values.dtype == BFLOAT16:
        raw = torch.from_numpy(np.array(values, order="C").view(np.uint16))
        return raw.view(torch.bfloat16).to(dtype)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    tensor = torch.from_numpy(np.array(values, order="C"))
    return tensor.to(dtype)


def arange(
    start: float, stop: float | None = None, step: float = 1.0, repeat: int = 1, infer_range: bool | None = None,
    ctx: Context | None = None, dtype: Any = np.float32,
) -> NDArray:  # fmt: skip
    """Evenly spaced values from `start` up to, without, `stop`, each `repeat` times; from 0 when `stop` is None."""
    if infer_range is not None:
        warnings.warn("`infer_range` argument has been deprecated", DeprecationWarning, stacklevel=2)
    attrs = {"start": start, "stop": stop, "step": step, "repeat": repeat, "infer_range": False, "dtype": dtype}
    return invoke(get("_arange"), (), {**attrs, "ctx": str(ctx or current_context())}, None, NDArray)


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, ctx: Context | None = None, dtype: Any = np.float32
) -> NDArray:
    """`num` evenly spaced values from `start` to `stop`, which is the last one unless endpoint=False."""
    attrs = {"start": start, "stop": stop, "num": num, "endpoint": endpoint, "dtype": dtype}
    return invoke(get("_linspace"), (), {**attrs, "ctx": str(ctx or current_context())}, None, NDArray)


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An (N, M) array with ones on the k-th diagonal; square when M is 0."""
    out = kwargs.pop("out", None)
    attrs = {"N": N, "M": M, "k": k, "ctx": str(ctx or current_context()), "dtype": dtype or np.float32, **kwargs}
    return invoke(get("_eye"), (), attrs, out, NDArray)


def concatenate(arrays: list[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """One array of several, joined along an axis that exists.

    Args:
        always_copy: False gives a single array back as it is.
    Raises:
        AssertionError: shapes or dtypes do not fit.
    """
    assert isinstance(arrays, list)
    assert arrays
    first = arrays[0]
    assert isinstance(first, NDArray)
    if not always_copy and len(arrays) == 1:
        return first
    shape = first.shape
    for other in arrays[1:]:
        assert shape[:axis] == other.shape[:axis]
        assert shape[axis + 1 :] == other.shape[axis + 1 :]
        assert first.dtype == other.dtype
    return wrap(torch.cat([item._t.detach() for item in arrays], dim=axis), first._ctx, NDArray)


def moveaxis(tensor: NDArray, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> NDArray:
    """The array with the axes `source` at the positions `destination`; the others keep their order.

    Raises:
        ValueError: an axis that is not there, or not as many of both.
    """
    ndim = tensor.ndim
    try:
        sources = [_axis(axis, ndim) for axis in ([source] if isinstance(source, int) else source)]
    except IndexError as err:
        raise ValueError(f"Source should verify 0 <= source < tensor.ndimGot {source}") from err
    try:
        targets = [_axis(axis, ndim) for axis in ([destination] if isinstance(destination, int) else destination)]
    except IndexError as err:
        raise ValueError(
            f"Destination should verify 0 <= destination < tensor.ndim ({ndim}).", f"Got {destination}"
        ) from err
    if len(set(sources)) < len(sources) or len(set(targets)) < len(targets):
        raise ValueError("repeated axis")
    if len(sources) != len(targets):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [axis for axis in range(ndim) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return invoke(get("transpose"), (tensor,), {"axes": tuple(order)}, None, NDArray)


def _axis(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise IndexError(axis)
    return axis % ndim


def split_v2(ary: NDArray, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
    """The parts of an array along an axis: so many equal ones, or those that begin at the positions given.

    Raises:
        ValueError: the parts would not be equal, or it is neither a number nor a tuple.
    """
    if isinstance(indices_or_sections, int):
        size = ary.shape[axis]
        if size % indices_or_sections:
            raise ValueError("array split does not result in an equal division")
        indices = tuple(i * (size // indices_or_sections) for i in range(indices_or_sections))
    elif isinstance(indices_or_sections, tuple):
        indices = (0, *indices_or_sections)
    else:
        raise ValueError("indices_or_sections must either int or tuple of ints")
    attrs = {"indices": indices, "axis": axis, "squeeze_axis": squeeze_axis}
    return invoke(get("_split_v2"), (ary,), attrs, None, NDArray)


def histogram(a: NDArray, bins: Any = 10, range: tuple[float, float] | None = None) -> Any:
    """How many values lie in each bin, and where the bins begin and end.

    Args:
        bins: their number, or an array with their edges.
        range: from where to where; from the smallest to the largest value when None.
    """
    if isinstance(bins, NDArray):
        return invoke(get("_histogram"), (a, bins), None, None, NDArray)
    if not isinstance(bins, (int, np.integer)):
        raise ValueError("bins argument should be either an integer or an NDArray")
    if range is None:
        warnings.warn("range is not specified, using numpy's result to ensure consistency with numpy", stacklevel=2)
        counts, edges = np.histogram(a.asnumpy(), bins=int(bins))
        return array(counts), array(edges)
    return invoke(get("_histogram"), (a,), {"bin_cnt": bins, "range": range}, None, NDArray)


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write a one at each index of a row of `out`, zeros elsewhere; `out` is returned."""
    rows = torch.nn.functional.one_hot(indices._t.detach().to(torch.int64), out.shape[1])
    out[:] = wrap(rows.to(out._t.dtype), out._ctx, NDArray)
    return out


claim(globals(), "mxnet.ndarray.ndarray")
