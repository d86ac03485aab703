"""mx.np's calculations that are neither element by element nor a plain reduction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._numpy_axes import axis_in, reduced_axes
from tensorkeep.mxnet.ops._numpy_types import InvalidValue, kind

Names = Sequence[str | None]


@operator("_npi_nan_to_num", shape="same")
def nan_to_num(
    data: Tensor, *, copy: bool = True, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN and infinities as numbers: 0 and the largest of the dtype unless others are given."""
    if not data.dtype.is_floating_point:
        return data.clone()
    return torch.nan_to_num(data, nan, posinf, neginf)


@operator("_npi_diff")
def diff(a: Tensor, *, n: int = 1, axis: int = -1) -> Tensor:
    """The differences of neighbours along an axis, n times."""
    if a.dim() == 0:
        raise MXNetError("index = 0 must be in range [0, 0)")
    if n < 0:
        raise MXNetError("order must be non-negative but got " + str(n))
    return torch.diff(a, n, axis_in(axis, a.dim(), a.shape)) if n else a.clone()


def _ends(attrs: Attrs) -> list[str]:
    return [f"input{i + 1}" for i in range(1 + attrs["to_begin_arr_given"] + attrs["to_end_arr_given"])]


@operator("_npi_ediff1d", inputs=_ends)
def ediff1d(
    *arrays: Tensor, to_begin_arr_given: bool = False, to_end_arr_given: bool = False,
    to_begin_scalar: float | None = None, to_end_scalar: float | None = None,
) -> Tensor:  # fmt: skip
    """The differences of neighbours in the flat array, with arrays or numbers before and after them."""
    flat, *ends = [array.reshape(-1) for array in arrays]
    parts = [torch.diff(flat)]
    if to_begin_arr_given:
        parts.insert(0, ends.pop(0))
    elif to_begin_scalar is not None:
        parts.insert(0, torch.full((1,), to_begin_scalar).to(flat))
    if to_end_arr_given:
        parts.append(ends.pop(0))
    elif to_end_scalar is not None:
        parts.append(torch.full((1,), to_end_scalar).to(flat))
    return torch.cat(parts)


@operator("_npi_polyval")
def polyval(p: Tensor, x: Tensor) -> Tensor:
    """The polynomial with the coefficients p, the highest power's first, at each element of x."""
    if p.dtype is not x.dtype:
        raise MXNetError("polyval: p and x must have one dtype")
    if p.dim() != 1:
        raise MXNetError("polyval: p must be a 1D array")
    found = torch.zeros_like(x)
    for coefficient in p:
        found = found * x + coefficient
    return found


def _counts(attrs: Attrs) -> list[str]:
    return ["data", "weights"] if attrs["has_weights"] else ["data"]


def _counted(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return names, [names[-1]]


@operator("_npi_bincount", inputs=_counts, dtype=_counted)
def bincount(data: Tensor, weights: Tensor | None = None, *, minlength: int = 0, has_weights: bool = False) -> Tensor:
    """How often each of 0, 1, 2 … is among the elements, or the sums of their weights."""
    if kind(data.dtype) == "f":
        raise MXNetError("Input data should be int type")
    if data.numel() and int(data.min()) < 0:
        raise MXNetError("input should be nonnegative number")
    length = max(minlength, int(data.max()) + 1 if data.numel() else 0)
    values = torch.ones_like(data) if weights is None else weights
    found = torch.zeros(length, dtype=values.dtype, device=data.device)
    return found.index_add(0, data.reshape(-1).long(), values.reshape(-1))


def _quantiles(attrs: Attrs) -> list[str]:
    return ["a"] if attrs["q_scalar"] is not None else ["a", "q"]


def _quantile_dtype(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return names, [names[0] if names[0] is None or names[0].startswith("float") else "float32"]


_ROUND = {
    "lower": torch.floor,
    "higher": torch.ceil,
    "midpoint": lambda at: (torch.floor(at) + torch.ceil(at)) / 2,
    "nearest": torch.round,
    "linear": lambda at: at,
}


def _quantile_shape(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    data, wanted = shapes[0], shapes[1] if len(shapes) > 1 else ()
    if data is None or wanted is None:
        return shapes, [None]
    axis = attrs.get("axis")
    axes = set(range(len(data))) if axis is None else {a % len(data) for a in axis}
    kept = [1 if i in axes else n for i, n in enumerate(data) if attrs.get("keepdims") or i not in axes]
    return shapes, [(*wanted, *kept)]


@operator("_npi_percentile", inputs=_quantiles, shape=_quantile_shape, dtype=_quantile_dtype)
def percentile(
    a: Tensor, q: Tensor | None = None, *, axis: tuple[int, ...] | None = None, interpolation: str = "linear",
    keepdims: bool = False, q_scalar: float | None = None,
) -> Tensor:  # fmt: skip
    """The values below which q percent of the elements lie, over axes.

    Args:
        q: 0 … 100, an array of up to one dimension whose axis comes first in the result, or q_scalar.
        interpolation: what is taken between two elements.
    """
    target = a.dtype if a.dtype.is_floating_point else torch.float32
    wanted = torch.tensor(float(q_scalar or 0.0), device=a.device) if q is None else q.detach().float()
    if bool(((wanted < 0) | (wanted > 100)).any()):
        raise InvalidValue("percentile exceeds the valid range")
    axes = reduced_axes(a, axis)
    kept = [i for i in range(a.dim()) if i not in axes]
    values = a.detach().permute((*kept, *axes)).reshape((*[a.shape[i] for i in kept], -1)).to(target)
    ordered = torch.sort(values, -1).values
    at = _ROUND[interpolation](wanted / 100.0 * (ordered.shape[-1] - 1))
    low = torch.floor(at)
    share = (at - low).to(target)
    below = ordered[..., low.long().clamp(0, ordered.shape[-1] - 1)]
    above = ordered[..., torch.ceil(at).long().clamp(0, ordered.shape[-1] - 1)]
    found = below + (above - below) * share
    if wanted.dim():
        found = found.movedim(-1, 0)
    if keepdims:
        shape = [1 if i in axes else n for i, n in enumerate(a.shape)]
        found = found.reshape([*wanted.shape, *shape])
    return found


def _outputs(attrs: Attrs) -> int:
    return 1 + sum(bool(attrs[word]) for word in ("return_index", "return_inverse", "return_counts"))


def _unique_dtypes(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return names, [names[0], *["int64"] * (_outputs(attrs) - 1)]


@operator("_npi_unique", outputs=_outputs, dtype=_unique_dtypes)
def unique(
    data: Tensor, *, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The different elements (or slices along an axis) in order.

    With return_index where each is first, with return_inverse which of them each element is, with return_counts how
    often each is there.
    """
    if data.dtype is torch.bool:
        raise MXNetError("Unknown type enum 7")
    values = data.detach()
    if axis is None:
        values, along = values.reshape(-1), 0
    else:
        along = axis_in(axis, data.dim(), data.shape)
    found, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True, dim=along)
    results = [found]
    if return_index:
        places = torch.arange(inverse.numel(), device=inverse.device)
        first = torch.full((found.shape[along],), inverse.numel(), dtype=torch.int64, device=inverse.device)
        results.append(first.scatter_reduce(0, inverse.reshape(-1), places, "amin"))
    if return_inverse:
        results.append(inverse.reshape(-1))
    if return_counts:
        results.append(counts)
    return tuple(results)


@operator("_npi_share_memory", shape=lambda shapes, attrs: (shapes, [()]), dtype=lambda names, attrs: (names, ["bool"]))
def share_memory(a: Tensor, b: Tensor) -> Tensor:
    """Whether both arrays lie in the same memory."""
    same: Any = False
    if a.numel() and b.numel():
        spans = [(t.data_ptr(), t.data_ptr() + t.numel() * t.element_size()) for t in (a, b)]
        same = spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]
    return torch.tensor(bool(same))


@operator("_npx_constraint_check", shape=lambda shapes, attrs: (shapes, [()]), dtype="bool")
def constraint_check(input: Tensor, *, msg: str = "Constraint violated.") -> Tensor:
    """True, when all elements are.

    Raises:
        ValueError: one is false; `msg`.
    """
    if input.device.type != "meta" and not bool(input.all()):
        raise InvalidValue(msg)
    return torch.ones((), dtype=torch.bool, device=input.device)
