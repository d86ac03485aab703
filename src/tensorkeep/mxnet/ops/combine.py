"""Several arrays as one, one as several."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._rules import DTypes, Shapes, axis_of, one_dtype
from tensorkeep.mxnet.ops._shapes import join


def _concat_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    common: Shape = None
    for shape in shapes:
        if shape is not None:
            axis = axis_of(attrs["dim"], len(shape), "Concat")
            common = join(common, (*shape[:axis], -1, *shape[axis + 1 :]), "input shapes of Concat")
    if common is None:
        return shapes, [None]
    axis = axis_of(attrs["dim"], len(common), "Concat")
    sizes = [-1 if shape is None else shape[axis] for shape in shapes]
    total = -1 if -1 in sizes else sum(sizes)
    return [(*common[:axis], d, *common[axis + 1 :]) for d in sizes], [(*common[:axis], total, *common[axis + 1 :])]


@operator("Concat", shape=_concat_shapes)
def concat(*data: Tensor, dim: int = 1) -> Tensor:
    """The arrays one after the other along an axis; their other dimensions and their dtypes are equal."""
    if not data:
        raise MXNetError("Concat needs at least one array.")
    one_dtype(data, "Concat")
    first = data[0].shape
    axis = axis_of(dim, len(first), "Concat")
    for other in data:
        shape = other.shape
        if len(shape) != len(first) or shape[:axis] != first[:axis] or shape[axis + 1 :] != first[axis + 1 :]:
            expected = [-1 if i == axis else d for i, d in enumerate(first)]
            raise MXNetError(f"Incompatible input shape: expected {expected}, got {list(shape)}")
    return torch.cat(data, axis)


def _stack_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    common: Shape = None
    for shape in shapes:
        common = join(common, shape, "input shapes of stack")
    if common is None:
        return shapes, [None]
    axis = axis_of(attrs["axis"], len(common) + 1, "stack")
    return [common] * len(shapes), [(*common[:axis], len(shapes), *common[axis:])]


@operator("stack", shape=_stack_shapes)
def stack(*data: Tensor, axis: int = 0) -> Tensor:
    """The arrays, all of one shape and dtype, along a new axis."""
    if not data:
        raise MXNetError("stack needs at least one array.")
    one_dtype(data, "stack")
    return torch.stack(data, axis)


def _split_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, count = shapes[0], attrs["num_outputs"]
    if source is None:
        return shapes, [None] * count
    axis = axis_of(attrs["axis"], len(source), "SliceChannel")
    size = source[axis]
    part = -1 if size < 0 else _part(source, axis, count, attrs["squeeze_axis"])
    middle = () if attrs["squeeze_axis"] else (part,)
    return shapes, [(*source[:axis], *middle, *source[axis + 1 :])] * count


def _part(shape: tuple[int, ...], axis: int, count: int, squeeze: bool) -> int:
    size = shape[axis]
    if count < 1 or size % count:
        raise MXNetError(
            f"You are trying to split the {axis}-th axis of input tensor with shape {list(shape)} into "
            f"num_outputs={count} evenly sized chunks, but this is not possible because {count} does not evenly "
            f"divide {size}"
        )
    if squeeze and size != count:
        raise MXNetError(
            "If squeeze axis is True, the size of the sliced axis must be the same as num_outputs. "
            f"Input shape={list(shape)}, axis={axis}, num_outputs={count}."
        )
    return size // count


def _split_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [dtypes[0]] * attrs["num_outputs"]


@operator(
    "SliceChannel", outputs=lambda attrs: attrs["num_outputs"], shape=_split_shapes, dtype=_split_dtypes, view=True
)
def slice_channel(data: Tensor, *, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> tuple[Tensor, ...]:
    """num_outputs parts of equal size along an axis, without that axis when squeeze_axis is True."""
    axis = axis_of(axis, data.dim(), "SliceChannel")
    part = _part(data.shape, axis, num_outputs, squeeze_axis)
    return data.unbind(axis) if squeeze_axis else data.split(part, axis)


def _pieces(attrs: Attrs) -> int:
    sections = attrs["sections"]
    return int(sections) if sections > 0 else len(attrs["indices"])


@operator("_split_v2", outputs=_pieces, dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * _pieces(attrs)), view=True)
def split_v2(
    data: Tensor, *, indices: tuple[int, ...], axis: int = 1, squeeze_axis: bool = False, sections: int = 0
) -> tuple[Tensor, ...]:
    """The parts along an axis that begin at `indices` (0 is the first), or `sections` parts."""
    axis = axis_of(axis, data.dim(), "_split_v2")
    size = data.shape[axis]
    if sections > 0:
        # The first parts are one larger where the axis cannot be split evenly.
        small, large = divmod(size, sections)
        starts = [i * small + min(i, large) for i in range(sections)]
    else:
        starts = list(indices)
        if starts[:1] != [0]:
            raise MXNetError(f"_split_v2: indices {starts} must begin with 0")
    ends = [*starts[1:], size]
    if not size and not squeeze_axis:  # MXNet asks no more of the parts of nothing
        return tuple(data.narrow(axis, 0, 0) for _ in starts)
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if end > size:
            raise MXNetError(f"end {end} is no less than the size of the axis {size}")
        if start > end:
            raise MXNetError(f"start {start} is not less than end {end}for subarray {i}")
        if squeeze_axis and end - start != 1:
            raise MXNetError(f"expected axis size of 1 but got {end - start}")
    parts = data.split([end - start for start, end in zip(starts, ends, strict=True)], axis)
    return tuple(part.squeeze(axis) for part in parts) if squeeze_axis else parts


def _where_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    found = dtypes[1] or dtypes[2]
    return [dtypes[0] or "float32", found, found], [found]


def _where_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    condition, x, y = shapes
    values = join(x, y, "shapes of where")
    # The condition may be a vector: nothing is known of it from the values.
    return [condition, values, values], [values]


@operator("where", shape=_where_shapes, dtype=_where_dtypes)
def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """x where condition is not 0, y elsewhere; a vector as condition chooses whole rows."""
    one_dtype((x, y), "where")
    if x.shape != y.shape:
        raise MXNetError(f"Operator where: x {list(x.shape)} and y {list(y.shape)} differ in shape")
    chosen = condition != 0
    if condition.shape != x.shape:
        if condition.dim() != 1 or condition.shape[0] != x.shape[0]:
            raise MXNetError(
                f"Operator where: condition {list(condition.shape)} is neither of the shape {list(x.shape)} nor a "
                "vector with a value for each row"
            )
        chosen = chosen.reshape(-1, *[1] * (x.dim() - 1))
    return torch.where(chosen, x, y)
