"""mx.np's choosing: where, nonzero, delete, insert, assignment through masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._numpy_axes import axis_in
from tensorkeep.mxnet.ops._numpy_types import InvalidValue, unlike
from tensorkeep.mxnet.ops._scalars import whole

Names = Sequence[str | None]


def _second(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    known = names[1] or (names[2] if len(names) > 2 else None)
    return [names[0], *[known] * (len(names) - 1)], [known]


def _fitting(value: float, dtype: torch.dtype) -> Any:
    if dtype.is_floating_point:
        return value
    return bool(value) if dtype is torch.bool else whole(value, dtype)


def _number(value: float, like_: Tensor) -> Tensor:
    return torch.tensor(_fitting(value, like_.dtype), dtype=like_.dtype, device=like_.device)


@operator("_npi_where", dtype=_second)
def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """x where the condition is not 0, else y; shapes broadcast."""
    if x.dtype is not y.dtype:
        raise unlike(x.dtype, y.dtype)
    return torch.where(condition if condition.dtype is torch.bool else condition != 0, x, y)


class _WithNumber(torch.autograd.Function):
    """The array where `chosen` is `kept`, else a number, with MXNet's gradient: it goes to the other elements."""

    @staticmethod
    def forward(ctx: Any, array: Tensor, chosen: Tensor, number: Tensor, kept: bool) -> Tensor:
        ctx.save_for_backward(chosen)
        ctx.kept, ctx.shape = kept, array.shape
        return torch.where(chosen if kept else ~chosen, array, number)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (chosen,) = ctx.saved_tensors
        masked = torch.where(~chosen if ctx.kept else chosen, grads[0], torch.zeros_like(grads[0]))
        return masked.sum_to_size(ctx.shape), None, None, None


@operator("_npi_where_lscalar", dtype=_second)
def where_lscalar(condition: Tensor, x: Tensor, *, scalar: float = 0.0) -> Tensor:
    """A number where the condition is not 0, else the array."""
    chosen = condition != 0
    if x.requires_grad:
        return _WithNumber.apply(x, chosen, _number(scalar, x), False)
    return torch.where(chosen, _number(scalar, x), x)


@operator("_npi_where_rscalar", dtype=_second)
def where_rscalar(condition: Tensor, y: Tensor, *, scalar: float = 0.0) -> Tensor:
    """The array where the condition is not 0, else a number."""
    chosen = condition != 0
    if y.requires_grad:
        return _WithNumber.apply(y, chosen, _number(scalar, y), True)
    return torch.where(chosen, y, _number(scalar, y))


@operator("_npi_where_scalar2", shape="same", dtype="float32")
def where_scalar2(condition: Tensor, *, x: float = 0.0, y: float = 0.0) -> Tensor:
    """The number x where the condition is not 0, else y."""
    first, second = (torch.tensor(value, dtype=torch.float32, device=condition.device) for value in (x, y))
    return torch.where(condition != 0, first, second)


@operator("_npx_nonzero", dtype="int64")
def nonzero(x: Tensor) -> Tensor:
    """The positions of the elements that are not 0, one a row."""
    return torch.nonzero(torch.atleast_1d(x))


@operator("_npi_diag_indices_from", dtype="int64")
def diag_indices_from(data: Tensor) -> Tensor:
    """The positions of the diagonal of a square of two or more dimensions, a row for each."""
    if data.dim() < 2:
        raise InvalidValue("Input array should be at least 2d")
    if len(set(data.shape)) != 1:
        raise InvalidValue("All dimensions of input must be of equal length")
    return torch.arange(data.shape[0], device=data.device).expand(data.dim(), -1).clone()


def _flattened(arr: Tensor, axis: int | None) -> tuple[Tensor, int]:
    if axis is None:
        return arr.reshape(-1), 0
    return arr, axis_in(axis, arr.dim(), arr.shape)


def _range(size: int, start: int | None, stop: int | None, step: int | None) -> list[int]:
    return list(range(size))[slice(start, stop, step)]


def _bounded(index: int, size: int, axis: int) -> int:
    if not -size <= index < size:
        raise MXNetError(f"index {index} is out of bounds for axis {axis} with size {size}")
    return index % size


@operator("_npi_delete")
def delete(
    arr: Tensor, obj: Tensor | None = None, *, start: int | None = None, stop: int | None = None,
    step: int | None = None, int_ind: int | None = None, axis: int | None = None,
) -> Tensor:  # fmt: skip
    """The array without some of its elements, or of its slices along an axis.

    Args:
        obj: their positions; those that are not there are ignored.
        start, stop, step: a range of positions. int_ind: one position.
    """
    data, along = _flattened(arr, axis)
    size = data.shape[along]
    if int_ind is not None:
        gone = {_bounded(int_ind, size, along)}
    elif obj is not None:
        gone = set(obj.reshape(-1).long().tolist())  # MXNet ignores negative ones
    else:
        gone = set(_range(size, start, stop, step))
    kept = torch.tensor([i for i in range(size) if i not in gone], dtype=torch.int64, device=data.device)
    return data.index_select(along, kept)


def _inserted(arr: Tensor, axis: int | None, places: list[int], one: bool, values: Tensor | None, val: Any) -> Tensor:
    """The array with values before the places (numbered before anything is inserted), as NumPy puts them."""
    data, along = _flattened(arr, axis)
    size = data.shape[along]
    for place in places:
        if not -size <= place <= size:
            raise MXNetError(
                f"Index should be in the range of [-r, r-1] where r is the dim size in 'axis': {place} with {size}"
            )
    places = [place + size if place < 0 else place for place in places]
    new = torch.tensor(_fitting(val or 0.0, data.dtype), device=data.device) if values is None else values
    if new.dtype is not data.dtype:
        new = new.to(data.dtype)
    shape = list(data.shape)
    if one:
        # One position takes a whole block: values lie along the axis, as NumPy's insert moves them there.
        new = new.reshape((1,) * (data.dim() - new.dim()) + tuple(new.shape))
        new = new.movedim(0, along) if new.dim() else new
        shape[along] = new.shape[along]
        places = places * shape[along]
    else:
        count = len(places)
        if count == 1 and new.dim() and new.dim() == data.dim() and new.shape[along] > 1:
            places = places * new.shape[along]
            count = len(places)
        shape[along] = count
    try:
        new = new.expand(shape)
    except RuntimeError as err:
        raise MXNetError(
            f"could not broadcast input array from shape {like(new.shape)} into shape {like(shape)}"
        ) from err
    order = sorted(range(len(places)), key=lambda i: places[i])
    at, taken = 0, []
    for i in order:
        taken += [*range(at, places[i]), size + i]
        at = max(at, places[i])
    taken += range(at, size)
    return torch.cat([data, new], along).index_select(along, torch.tensor(taken, device=data.device))


def _value_given(attrs: Attrs) -> list[str]:
    return ["arr"] if attrs["val"] is not None else ["arr", "values"]


@operator("_npi_insert_scalar", inputs=_value_given)
def insert_scalar(
    arr: Tensor, values: Tensor | None = None, *, val: float | None = None, int_ind: int | None = None,
    axis: int | None = None,
) -> Tensor:  # fmt: skip
    """The array with values before one position; in flat order without an axis."""
    return _inserted(arr, axis, [int_ind or 0], True, values, val)


@operator("_npi_insert_slice", inputs=_value_given)
def insert_slice(
    arr: Tensor, values: Tensor | None = None, *, val: float | None = None, start: int | None = None,
    stop: int | None = None, step: int | None = None, axis: int | None = None,
) -> Tensor:  # fmt: skip
    """The array with values before the positions of a range."""
    data, along = _flattened(arr, axis)
    return _inserted(arr, axis, _range(data.shape[along], start, stop, step), False, values, val)


def _positions_given(attrs: Attrs) -> list[str]:
    return ["arr", "obj"] if attrs["val"] is not None else ["arr", "values", "obj"]


@operator("_npi_insert_tensor", inputs=_positions_given, dtype=lambda names, attrs: (names, [names[0]]))
def insert_tensor(
    arr: Tensor, values: Tensor, obj: Tensor | None = None, *, val: float | None = None, axis: int | None = None
) -> Tensor:
    """The array with values before the positions in an array. (With `val` the second input is that array.)"""
    places, new = (values, None) if val is not None else (obj, values)
    if places is None:
        raise MXNetError("insert_tensor: the positions are missing")
    listed = places.reshape(-1).long().tolist()
    return _inserted(arr, axis, listed, places.dim() == 0, new, val)


def _over(data: Tensor, mask: Tensor, start_axis: int) -> Tensor:
    """The mask as bool with the rank of the data, its axes beginning at start_axis."""
    wanted = data.shape[start_axis : start_axis + mask.dim()]
    if mask.shape != wanted:
        raise MXNetError(f"boolean index did not match indexed array: {like(mask.shape)} and {like(wanted)}")
    behind = data.dim() - start_axis - mask.dim()
    return (mask != 0).reshape((1,) * start_axis + tuple(mask.shape) + (1,) * behind)


def _masked_shape(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    return shapes, [shapes[0]]


def _masked_dtype(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return names, [names[0]]


@operator("_npi_boolean_mask_assign_scalar", shape=_masked_shape, dtype=_masked_dtype)
def boolean_mask_assign_scalar(data: Tensor, mask: Tensor, *, value: Any = 0.0, start_axis: Any = 0) -> Tensor:
    """The array with a number where the mask is true; the mask's axes are those from start_axis on."""
    return torch.where(_over(data, mask, int(start_axis)), _number(float(value), data), data)


@operator("_npi_boolean_mask_assign_tensor", shape=_masked_shape, dtype=_masked_dtype)
def boolean_mask_assign_tensor(data: Tensor, mask: Tensor, value: Tensor, *, start_axis: Any = 0) -> Tensor:
    """The array with the values of another, in order, where the mask is true."""
    axis = int(start_axis)
    _over(data, mask, axis)
    key = (slice(None),) * axis + ((mask != 0),)
    count = int((mask != 0).sum())
    found = data.clone()
    picked = found[key]
    if value.dim() > axis and value.dim() == picked.dim() and value.shape[axis] not in (1, count):
        raise MXNetError(
            f"boolean array indexing assignment cannot assign {like(value.shape)} input values to the {count} output "
            "values where the mask is true"
        )
    found[key] = value.to(data.dtype).expand(picked.shape)
    return found
