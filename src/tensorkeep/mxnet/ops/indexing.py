"""Parts of arrays by position or index."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import torch_of
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._rules import DTypes, Shapes, axis_of, first_dtype, index_of, out_of_bounds, outside

Positions = tuple[int | None, ...]


def _slices(shape: Sequence[int], begin: Positions, end: Positions, step: Positions) -> list[slice]:
    """One slice for each dimension that `begin` names; clamped as Python's are."""
    if len(begin) != len(end):
        raise MXNetError("begin and end must have the same length")
    if len(begin) > len(shape):
        raise MXNetError("Slicing axis exceeds data dimensions")
    if not step:
        step = (None,) * len(begin)
    elif len(step) != len(begin):
        raise MXNetError("step and begin must have the same length")
    elif 0 in step:
        raise MXNetError(f"slice op step[{step.index(0)}] cannot be 0")
    return [slice(*item) for item in zip(begin, end, step, strict=True)]


def _slice_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    if source is None:
        return shapes, [None]
    slices = _slices(source, attrs["begin"], attrs["end"], attrs["step"])
    taken = [-1 if d < 0 else len(range(*s.indices(d))) for d, s in zip(source, slices, strict=False)]
    return shapes, [(*taken, *source[len(taken) :])]


@operator("slice", shape=_slice_shapes, view=True)
def slice_(data: Tensor, *, begin: Positions, end: Positions, step: Positions = ()) -> Tensor:
    """The elements from begin to end in steps, along the first dimensions; None stands for the whole side."""
    slices = _slices(data.shape, begin, end, step)
    turned = []
    for axis, item in enumerate(slices):
        if item.step is not None and item.step < 0:
            chosen = range(*item.indices(data.shape[axis]))
            turned.append(axis)
            # torch has no negative steps: the same elements from the other end, turned round.
            slices[axis] = slice(chosen[-1], chosen[0] + 1, -item.step) if chosen else slice(0, 0)
    found = data[tuple(slices)] if slices else data.view(data.shape)
    return found.flip(turned) if turned else found


@operator("_slice_assign")
def slice_assign(lhs: Tensor, rhs: Tensor, *, begin: Positions, end: Positions, step: Positions = ()) -> Tensor:
    """lhs with the elements from begin to end replaced by rhs, which has their shape."""
    slices = _slices(lhs.shape, begin, end, step)
    places = tuple(_places(lhs, axis, item) for axis, item in enumerate(slices))
    shape = (*(len(p) for p in places), *lhs.shape[len(places) :])
    if tuple(rhs.shape) != shape:
        raise MXNetError(f"Operator _slice_assign: the slice has shape {list(shape)}, the new values {list(rhs.shape)}")
    if not places:
        return rhs.clone()
    return lhs.index_put(_grid(places), rhs)


@operator("_slice_assign_scalar")
def slice_assign_scalar(
    data: Tensor, *, scalar: float = 0, begin: Positions, end: Positions, step: Positions = ()
) -> Tensor:
    """data with the elements from begin to end replaced by a number."""
    slices = _slices(data.shape, begin, end, step)
    places = tuple(_places(data, axis, item) for axis, item in enumerate(slices))
    value = torch.tensor(scalar, device=data.device).to(data.dtype)
    return data.index_put(_grid(places), value) if places else value.expand(data.shape).clone()


def _places(data: Tensor, axis: int, item: slice) -> Tensor:
    chosen = range(*item.indices(data.shape[axis]))
    return torch.tensor(list(chosen), dtype=torch.int64, device=data.device)


def _grid(places: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Index vectors, one a dimension, so shaped that together they index their whole grid."""
    rank = len(places)
    return tuple(p.reshape((1,) * i + (-1,) + (1,) * (rank - 1 - i)) for i, p in enumerate(places))


def _slice_axis_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    if source is None:
        return shapes, [None]
    axis = axis_of(attrs["axis"], len(source), "slice_axis")
    if source[axis] < 0:
        return shapes, [source]
    begin, end = _bounds(source[axis], attrs["begin"], attrs["end"])
    return shapes, [(*source[:axis], end - begin, *source[axis + 1 :])]


def _bounds(size: int, begin: int, end: int | None) -> tuple[int, int]:
    first = begin + size if begin < 0 else begin
    last = size if end is None else end + size if end < 0 else end
    if first < 0:
        raise MXNetError(f"Invalid begin for begin={begin}")
    if last > size:
        raise MXNetError(f"Invalid end for end={end} as axis_size is {size}")
    if first >= last:
        raise MXNetError(f"Invalid begin, end, get begin={begin}, end={end}")
    return first, last


@operator("slice_axis", shape=_slice_axis_shapes, view=True)
def slice_axis(data: Tensor, *, axis: int, begin: int, end: int | None) -> Tensor:
    """The elements from begin to end along one axis; an `end` of None takes all that follow."""
    axis = axis_of(axis, data.dim(), "slice_axis")
    first, last = _bounds(data.shape[axis], begin, end)
    return data.narrow(axis, first, last - first)


def _slice_like_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, like = shapes
    if source is None or like is None:
        return shapes, [None]
    axes = [axis_of(a, len(source), "slice_like") for a in attrs["axes"]] or range(len(source))
    return shapes, [tuple(like[a] if a in axes and a < len(like) else size for a, size in enumerate(source))]


@operator("slice_like", shape=_slice_like_shapes, view=True, dtype=first_dtype)
def slice_like(data: Tensor, shape_like: Tensor, *, axes: tuple[int, ...] = ()) -> Tensor:
    """The first elements of data, as many along `axes` as shape_like has; along all axes when it is empty."""
    sizes = shape_like.shape
    if not axes:
        if data.dim() != len(sizes):
            raise MXNetError(
                "By default slice_axis performs slice on all axes, but ndim mismatch for inputs: "
                f"{data.dim()} vs. {len(sizes)}"
            )
        axes = tuple(range(data.dim()))
    found = data.view(data.shape)
    for given in axes:
        axis = given + data.dim() if given < 0 else given
        if not 0 <= axis < data.dim():
            raise MXNetError(f"Slice axis: {given} exceeds first input: {data.dim()}")
        if axis >= len(sizes):
            raise MXNetError(f"Slice axis: {axis} exceeds second input: {len(sizes)}")
        if data.shape[axis] < sizes[axis]:
            raise MXNetError(
                f"Slice axis {axis} with size {sizes[axis]} exceeds limit of input with size {data.shape[axis]}"
            )
        found = found.narrow(axis, 0, sizes[axis])
    return found


def _take_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return [dtypes[0], dtypes[1] or "float32"], [dtypes[0]]


def _take_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, indices = shapes
    if source is None or indices is None:
        return shapes, [None]
    axis = axis_of(attrs["axis"], len(source), "take")
    return shapes, [(*source[:axis], *indices, *source[axis + 1 :])]


@operator("take", shape=_take_shapes, dtype=_take_dtypes)
def take(a: Tensor, indices: Tensor, *, axis: int = 0, mode: str = "clip") -> Tensor:
    """The elements at `indices` along an axis; the indices' shape takes the axis' place.

    Indices outside are clipped, wrapped round (mode="wrap") or refused (mode="raise").
    """
    axis = axis_of(axis, a.dim(), "take")
    size = a.shape[axis]
    at = index_of(indices)
    if mode == "clip":
        at = at.clamp(0, size - 1)
    elif mode == "wrap":
        at = at.remainder(size)
    elif at.device.type != "meta" and at.numel() and (int(at.min()) < 0 or int(at.max()) >= size):
        raise MXNetError("take operator contains indices out of bound")
    if at.dim() == 1:
        return a.index_select(axis, at)
    return a.index_select(axis, at.reshape(-1)).reshape((*a.shape[:axis], *at.shape, *a.shape[axis + 1 :]))


@operator("batch_take", dtype=lambda dtypes, attrs: ([dtypes[0], "int32"], [dtypes[0]]))
def batch_take(a: Tensor, indices: Tensor) -> Tensor:
    """One element of each row of a matrix: a[i, indices[i]]; indices (int32) outside are clipped."""
    if indices.dtype is not torch.int32:
        raise MXNetError(f"Operator batch_take: indices must be int32, not {indices.dtype}")
    rows = a.reshape(-1, a.shape[-1])
    if indices.numel() != rows.shape[0]:
        raise MXNetError("Index array's size must be the same as data array's size excluding the first dimension")
    at = index_of(indices).reshape(-1, 1).clamp(0, a.shape[-1] - 1)
    return rows.gather(1, at).reshape(indices.shape)


def _pick_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, index = shapes
    if source is None or attrs["axis"] is None:
        return shapes, [None]
    axis = axis_of(attrs["axis"], len(source), "pick")
    dropped, kept = (*source[:axis], *source[axis + 1 :]), (*source[:axis], 1, *source[axis + 1 :])
    if index is None or len(index) < len(source):
        index = dropped or (1,)
    return [source, index], [kept if attrs["keepdims"] or not dropped else dropped]


@operator("pick", shape=_pick_shapes, dtype=_take_dtypes)
def pick(data: Tensor, index: Tensor, *, axis: int | None = -1, keepdims: bool = False, mode: str = "clip") -> Tensor:
    """One element along an axis for each place of the other axes; indices outside are clipped or wrapped round."""
    if axis is None:
        raise MXNetError("axis=None is not supported by pick yet. Must specify an axis.")
    axis = axis_of(axis, data.dim(), "pick")
    shape = data.shape
    at = index_of(index)
    if index.dim() < len(shape):
        at = at.unsqueeze(axis)
    if at.shape != (*shape[:axis], 1, *shape[axis + 1 :]):
        raise MXNetError(
            f"Operator pick: data {list(shape)} without axis {axis} does not match index {list(index.shape)}"
        )
    at = at.clamp(0, shape[axis] - 1) if mode == "clip" else at.remainder(shape[axis])
    found = data.gather(axis, at)
    return found if keepdims or len(shape) == 1 else found.squeeze(axis)


def _one_hot_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return [dtypes[0] or "float32"], [attrs["dtype"]]


def _one_hot_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    return shapes, [None if shapes[0] is None else (*shapes[0], attrs["depth"])]


@operator("one_hot", shape=_one_hot_shapes, dtype=_one_hot_dtypes)
def one_hot(
    indices: Tensor, *, depth: int, on_value: float = 1, off_value: float = 0, dtype: str = "float32"
) -> Tensor:
    """on_value at each index, off_value elsewhere, in a new last dimension; an index outside gives off_value only."""
    if depth < 0:
        raise MXNetError("Dimension size, depth, must be a non-negative integer")
    hit = index_of(indices).unsqueeze(-1) == torch.arange(depth, device=indices.device)
    kind = torch_of(dtype)
    if on_value == 1 and off_value == 0:
        return hit.to(kind)
    on, off = (torch.tensor(v, dtype=torch.float64, device=indices.device).to(kind) for v in (on_value, off_value))
    return torch.where(hit, on, off)


@operator("gather_nd", dtype=first_dtype)
def gather_nd(data: Tensor, indices: Tensor) -> Tensor:
    """data[indices[0], indices[1], …]: indices (M, …) index the first M dimensions; negative ones count from the end."""
    if indices.dim() < 2:
        raise MXNetError("gather_nd requires index tensor to have at least 2 dimensions")
    if indices.shape[0] > data.dim():
        raise MXNetError("Number of indices exceeds data dimension")
    try:
        return data[index_of(indices).unbind(0)]
    except IndexError as err:
        raise outside(err) from None


def _scatter_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    return shapes, [attrs["shape"]]


def _targets(indices: Tensor, shape: Sequence[int], values: Tensor) -> tuple[Tensor, ...]:
    rank = indices.shape[0] if indices.dim() else 0
    if rank > len(shape) or tuple(values.shape) != (*indices.shape[1:], *shape[rank:]):
        raise MXNetError(
            "Invalid data, indices, and output shape combination for scatter_nd: "
            f"{list(values.shape)}, {list(indices.shape)}, {list(shape)}"
        )
    at = index_of(indices)
    if at.device.type != "meta" and at.numel():
        for axis, row in enumerate(at.unbind(0)):
            if int(row.min()) < 0 or int(row.max()) >= shape[axis]:
                raise out_of_bounds(int(row.min() if int(row.min()) < 0 else row.max()), axis, shape[axis])
    return at.unbind(0)


@operator("scatter_nd", shape=_scatter_shapes, dtype=first_dtype)
def scatter_nd(data: Tensor, indices: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    """Zeros of `shape` with data[i] at the place that indices[:, i] names; of several values for a place one is kept."""
    return data.new_zeros(shape).index_put(_targets(indices, shape, data), data)


@operator("_contrib_boolean_mask", dtype=first_dtype)
def boolean_mask(data: Tensor, index: Tensor, *, axis: int = 0) -> Tensor:
    """The rows of data at which index (N,) is not 0."""
    if axis != 0:
        raise MXNetError("boolean_mask: axis must be 0, others are Not supported yet")
    if index.dim() != 1 or index.shape[0] != data.shape[0]:
        raise MXNetError(
            f"boolean_mask: index must be a vector of {data.shape[0]} values, not of shape {list(index.shape)}"
        )
    return data[index != 0]


@operator("_contrib_index_copy", dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]]))
def index_copy(old_tensor: Tensor, index_vector: Tensor, new_tensor: Tensor) -> Tensor:
    """old_tensor with the rows named in index_vector replaced by those of new_tensor."""
    if index_vector.dim() != 1 or index_vector.shape[0] != new_tensor.shape[0]:
        raise MXNetError("index_copy: index_vector must have one index for each row of new_tensor")
    at = index_of(index_vector)
    rows = old_tensor.shape[0]
    if at.device.type != "meta" and at.numel() and (int(at.min()) < 0 or int(at.max()) >= rows):
        raise out_of_bounds(int(at.min()) if int(at.min()) < 0 else int(at.max()), 0, rows)
    return old_tensor.index_copy(0, at, new_tensor)


@operator("_contrib_index_array", dtype=lambda dtypes, attrs: (dtypes, ["int64"]))
def index_array(data: Tensor, *, axes: tuple[int, ...] | None = None) -> Tensor:
    """The index of every element, int64: shape (*data.shape, number of axes)."""
    chosen = range(data.dim()) if axes is None else [axis_of(a, data.dim(), "_contrib_index_array") for a in axes]
    counts = [torch.arange(size, device=data.device) for size in data.shape]
    found = [grid.expand(data.shape) for grid in _grid(counts)]
    if not len(chosen):
        return torch.zeros((*data.shape, 0), dtype=torch.int64, device=data.device)
    return torch.stack([found[a] for a in chosen], -1)


@operator("_ravel_multi_index")
def ravel_multi_index(data: Tensor, *, shape: tuple[int, ...] = ()) -> Tensor:
    """The flat index of each column of data (M, N) in an array of `shape` (M numbers; the first may be -1)."""
    if data.dim() != 2:
        raise MXNetError("Input to ravel operator must be two-dimensional.")
    if data.shape[0] != len(shape):
        raise MXNetError("First dimension of input of ravel operator does not match shape parameter dimension.")
    flat = torch.zeros_like(data[0], dtype=torch.int64)
    for row, size in zip(index_of(data), shape, strict=True):
        flat = flat * size + row
    return flat.to(data.dtype)


@operator("_unravel_index")
def unravel_index(data: Tensor, *, shape: tuple[int, ...] = ()) -> Tensor:
    """The index of each flat index in an array of `shape` (M numbers; the first may be -1): shape (M, *data.shape)."""
    if not shape:
        raise MXNetError("unravel_index needs shape, which is empty.")
    left = index_of(data)
    rows = []
    for size in reversed(shape[1:]):
        rows.append(left.fmod(size))
        left = left.div(size, rounding_mode="trunc")
    rows.append(left)
    return torch.stack(rows[::-1]).to(data.dtype)
