"""mx.np's rearrangements: reshape, transpose, flip, roll, join, split, repeat and pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._numpy_axes import axis_in, split_points
from tensorkeep.mxnet.ops._numpy_types import InvalidValue, differ

Names = Sequence[str | None]


@operator("_np_copy", shape="same")
def copy(a: Tensor) -> Tensor:
    """A copy of the array."""
    return a.clone()


def _reshape_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    shape, new = shapes[0], attrs["newshape"]
    if shape is None or -1 in shape:
        return shapes, [tuple(new)]
    return shapes, [tuple(reshape(torch.empty(shape, device="meta"), newshape=new).shape)]


@operator("_np_reshape", shape=_reshape_shapes, view=True)
def reshape(a: Tensor, *, newshape: tuple[int, ...], order: str = "C") -> Tensor:
    """The elements in another shape; one dimension may be -1: what is left."""
    try:
        return torch.reshape(a, newshape)
    except RuntimeError as err:
        raise _misfit(a, newshape) from err


def _misfit(a: Tensor, newshape: tuple[int, ...]) -> MXNetError:
    if min(newshape, default=0) < -1:
        return MXNetError("The shape dimension size to inferred must be -1")
    if newshape.count(-1) > 1:
        return MXNetError("Can only specify one unknown dimension")
    return MXNetError(f"Cannot reshape array of size {a.numel()} into shape {like(newshape)}")


@operator("_np_squeeze", view=True)
def squeeze(a: Tensor, *, axis: tuple[int, ...] | None = None) -> Tensor:
    """The array without dimensions of size 1: all of them, or those of `axis`."""
    if axis is None:
        return torch.squeeze(a)
    if not a.dim() and set(axis) <= {0, -1}:
        return a  # as NumPy allows
    axes = [axis_in(i, a.dim(), a.shape) for i in axis]
    for i in axes:
        if a.shape[i] != 1:
            raise MXNetError(f"cannot select an axis to squeeze out which has size={a.shape[i]} not equal to one")
    return torch.squeeze(a, tuple(axes))


@operator("_np_transpose", view=True)
def transpose(a: Tensor, *, axes: tuple[int, ...] | None = None) -> Tensor:
    """The axes in another order; in the reverse one by default."""
    if not axes or None in axes:
        return a.permute(tuple(reversed(range(a.dim()))))
    if len(axes) != a.dim():
        raise MXNetError(
            "The number of axes does not match the dimension of the tensor. "
            f"axes = {like(axes)}, input tensor shape = {like(a.shape)}"
        )
    order = [axis_in(i, a.dim(), a.shape) for i in axes]
    if len(set(order)) != len(order):
        raise InvalidValue(f"Repeated axis in transpose. param.axes = {like(axes)}")
    return a.permute(tuple(order))


@operator("_np_moveaxis", view=True)
def moveaxis(a: Tensor, *, source: tuple[int, ...], destination: tuple[int, ...]) -> Tensor:
    """The axes `source` moved to the positions `destination`; the others keep their order."""
    if len(source) != len(destination):
        raise MXNetError("source and destination not equal.")
    for axes, word in ((source, "source"), (destination, "destination")):
        if len({axis_in(i, a.dim(), a.shape) for i in axes}) != len(axes):
            raise MXNetError(f"repeated axis in `{word}` argument")
    return torch.movedim(a, source, destination)


@operator("_np_roll", shape="same")
def roll(data: Tensor, *, shift: tuple[int, ...] | None = None, axis: tuple[int, ...] | None = None) -> Tensor:
    """The elements moved along axes, those that fall off the end come in at the front; without axes in flat order."""
    if shift is None:
        raise MXNetError("roll missing 1 required positional argument: 'shift'.")
    if data.numel() == 0:
        return data.clone()
    if axis is None:
        if len(shift) != 1:
            raise MXNetError("shift must be an int.")
        return torch.roll(data, shift[0])
    axes = []
    for i in axis:
        if not -data.dim() <= i < data.dim():
            raise MXNetError(f"axis {i} Exceeds input dimensions {like(data.shape)}")
        axes.append(i % data.dim())
    if len(shift) == 1:
        shift = shift * len(axes)
    if len(shift) != len(axes):
        raise MXNetError("shift and `axis` must be a tuple of the same size.")
    return torch.roll(data, shift, axes)


@operator("_npi_flip", shape="same")
def flip(data: Tensor, *, axis: tuple[int, ...] | None) -> Tensor:
    """The elements along axes, all of them by None, in the reverse order."""
    axis = tuple(range(data.dim())) if axis is None else axis
    for i in axis:
        if not 0 <= i < data.dim():
            raise MXNetError(f"axis {i} is out of bounds for array of dimension {data.dim()}")
    return torch.flip(data, axis)


class _Rot90(torch.autograd.Function):
    """rot90 with MXNet's gradient, which is turned k times too instead of back: the other way round for odd k."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, k: int, plane: list[int]) -> Tensor:
        ctx.turns = k, plane
        return torch.rot90(data, k, plane)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return torch.rot90(grads[0], *ctx.turns), None, None


@operator("_npi_rot90")
def rot90(data: Tensor, *, k: int = 1, axes: tuple[int, ...] | None = None) -> Tensor:
    """The plane of two axes turned k times by 90 degrees, from the first axis towards the second."""
    if axes is None or len(axes) != 2:
        raise MXNetError("The length of axes must be 2.")
    plane = [axis_in(i, data.dim(), data.shape) for i in axes]
    if plane[0] == plane[1]:
        raise MXNetError(f"axes have duplicates {like(axes)}")
    return _Rot90.apply(data, k, plane) if data.requires_grad else torch.rot90(data, k, plane)


@operator("_npi_broadcast_to", view=True)
def broadcast_to(array: Tensor, *, shape: tuple[int, ...] = ()) -> Tensor:
    """The array repeated along dimensions of size 1, and along new ones, to a shape. (-2 keeps a dimension's size.)"""
    offset = len(shape) - array.dim()
    if offset < 0:
        raise MXNetError(f"shape {like(array.shape)} is not broadcastable to {like(shape)}")
    wanted = tuple(array.shape[i - offset] if n == -2 and i >= offset else n for i, n in enumerate(shape))
    for have, want in zip(array.shape, wanted[offset:], strict=True):
        if have not in (want, 1):
            raise MXNetError(f"shape {like(array.shape)} is not broadcastable to {like(shape)}")
    return array.expand(wanted)


def one_dtype(arrays: Sequence[Tensor]) -> None:
    """Raise MXNetError when arrays that are joined differ in dtype."""
    for array in arrays:
        if array.dtype is not arrays[0].dtype:
            raise differ(array.dtype, arrays[0].dtype)


def _joined(arrays: Sequence[Tensor], axis: int) -> Tensor:
    first = arrays[0]
    dtype, rank = first.dtype, first.dim()
    for array in arrays:
        if array.dtype is not dtype:
            raise differ(array.dtype, dtype)
        if array.dim() != rank:
            raise _unjoinable(first, array, axis)
    try:
        return torch.cat(arrays, axis)
    except (RuntimeError, IndexError) as err:
        if not -rank <= axis < rank:
            raise MXNetError(f"axis {axis} is out of bounds for array of dimension {rank}") from err
        raise _unjoinable(first, next((t for t in arrays if t.shape != first.shape), first), axis) from err


def _unjoinable(first: Tensor, other: Tensor, axis: int) -> MXNetError:
    wanted = list(first.shape)
    if wanted:
        wanted[axis % len(wanted)] = -1
    return MXNetError(f"Incompatible input shape: expected {like(wanted)}, got {like(other.shape)}")


@operator("_npi_concatenate")
def concatenate(*data: Tensor, axis: int | None = 0) -> Tensor:
    """The arrays joined along an axis that they have; flattened first where axis is None."""
    if axis is None:
        return _joined([array.reshape(-1) for array in data], 0)
    return _joined(data, axis)


@operator("_npi_stack")
def stack(*data: Tensor, axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new axis."""
    one_dtype(data)
    rank = data[0].dim() + 1
    if not -rank <= axis < rank:
        raise MXNetError(f"axis {axis} exceeds the input dimension of {rank}")
    for array in data:
        if array.shape != data[0].shape:
            raise MXNetError(f"Incompatible input shape: expected {like(data[0].shape)}, got {like(array.shape)}")
    return torch.stack(data, axis)


@operator("_npi_vstack")
def vstack(*data: Tensor) -> Tensor:
    """The arrays below each other; a row of each with one dimension."""
    return _joined([torch.atleast_2d(array) for array in data], 0)


@operator("_npi_hstack")
def hstack(*data: Tensor, dim: int = 1) -> Tensor:
    """The arrays beside each other."""
    wide = [torch.atleast_1d(array) for array in data]
    return _joined(wide, 0 if wide[0].dim() == 1 else 1)


@operator("_npi_dstack")
def dstack(*data: Tensor, dim: int = 1) -> Tensor:
    """The arrays behind each other, along the third axis."""
    return _joined([torch.atleast_3d(array) for array in data], 2)


@operator("_npi_column_stack")
def column_stack(*data: Tensor) -> Tensor:
    """The arrays beside each other; those with one dimension as columns."""
    return _joined([array.reshape(-1, 1) if array.dim() < 2 else array for array in data], 1)


def _same_dtypes(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return names, list(names)


def _every(attrs: Attrs) -> int:
    return int(attrs.get("num_args", 1))


@operator("_np_atleast_1d", outputs=_every, dtype=_same_dtypes)
def atleast_1d(*arys: Tensor) -> tuple[Tensor, ...]:
    """The arrays with one dimension or more."""
    return tuple(torch.atleast_1d(array).clone() for array in arys)


@operator("_np_atleast_2d", outputs=_every, dtype=_same_dtypes)
def atleast_2d(*arys: Tensor) -> tuple[Tensor, ...]:
    """The arrays with two dimensions or more."""
    return tuple(torch.atleast_2d(array).clone() for array in arys)


@operator("_np_atleast_3d", outputs=_every, dtype=_same_dtypes)
def atleast_3d(*arys: Tensor) -> tuple[Tensor, ...]:
    """The arrays with three dimensions or more."""
    return tuple(torch.atleast_3d(array).clone() for array in arys)


def _parts(attrs: Attrs) -> int:
    return int(attrs["sections"]) if attrs["sections"] > 0 else len(attrs["indices"])


def _part_dtypes(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
    return names, [names[0]] * _parts(attrs)


def _split(data: Tensor, axis: int, indices: tuple[int, ...], sections: int, squeeze: bool) -> tuple[Tensor, ...]:
    lengths = split_points(data.shape[axis], indices, sections)
    starts = [0] * len(lengths)
    if sections > 0:
        for i in range(1, len(lengths)):
            starts[i] = starts[i - 1] + lengths[i - 1]
    else:
        starts = [min(max(i, 0), data.shape[axis]) for i in indices]
    parts = [torch.narrow(data, axis, start, length) for start, length in zip(starts, lengths, strict=True)]
    return tuple(part.squeeze(axis) if squeeze else part for part in parts)


@operator("_npi_hsplit", outputs=_parts, dtype=_part_dtypes, view=True)
def hsplit(
    data: Tensor, *, indices: tuple[int, ...], axis: int = 1, squeeze_axis: bool = False, sections: int = 0
) -> tuple[Tensor, ...]:
    """The array cut along its second axis (its first where it has no other): into sections, or before indices."""
    return _split(data, min(data.dim() - 1, 1), indices, sections, squeeze_axis)


@operator("_npi_dsplit", outputs=_parts, dtype=_part_dtypes, view=True)
def dsplit(
    data: Tensor, *, indices: tuple[int, ...], axis: int = 1, squeeze_axis: bool = False, sections: int = 0
) -> tuple[Tensor, ...]:
    """The array cut along its third axis: into sections, or before indices."""
    if data.dim() < 3:
        raise MXNetError("dsplit only works on arrays of 3 or more dimensions")
    return _split(data, 2, indices, sections, squeeze_axis)


@operator("_np_diag")
def diag(data: Tensor, *, k: int = 0) -> Tensor:
    """The k-th diagonal of a matrix; of a vector the matrix that has it there."""
    if not 1 <= data.dim() <= 2:
        raise MXNetError("Input must be 1- or 2-d")
    return _line(data, k, 0, 1) if data.dim() == 2 else torch.diag_embed(data, k)


@operator("_np_diagflat")
def diagflat(data: Tensor, *, k: int = 0) -> Tensor:
    """A matrix with the elements of the array on its k-th diagonal."""
    if data.dim() < 1:
        raise MXNetError("Diagonal does not exist.")
    return torch.diag_embed(data.reshape(-1), k)


def _line(data: Tensor, offset: int, axis1: int, axis2: int) -> Tensor:
    rows, columns = data.shape[axis1], data.shape[axis2]
    if offset > columns or -offset > rows:
        offset = columns if offset > 0 else -rows  # beyond the corner there is nothing; torch would refuse
    return torch.diagonal(data, offset, axis1, axis2).clone()


def _plane(data: Tensor, axis1: int, axis2: int) -> tuple[int, int]:
    if data.dim() < 2:
        raise MXNetError("Input array should be at least 2d")
    first, second = (axis_in(axis, data.dim(), data.shape) for axis in (axis1, axis2))
    if first == second:
        raise MXNetError(f"axis1 and axis2 cannot refer to the same axis {axis1}")
    return first, second


@operator("_np_diagonal")
def diagonal(data: Tensor, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonals of the planes of two axes, as the last axis."""
    return _line(data, offset, *_plane(data, axis1, axis2))


@operator("_np_trace")
def trace(data: Tensor, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sums of the diagonals of the planes of two axes."""
    return torch.sum(_line(data, offset, *_plane(data, axis1, axis2)), -1, dtype=data.dtype)


@operator("_npi_tril")
def tril(data: Tensor, *, k: int = 0) -> Tensor:
    """The array with zeros above the k-th diagonal of its last two axes; a vector is taken for every row."""
    if data.dim() < 1:
        raise MXNetError("index = 1 must be in range [0, 0)")
    return torch.tril(data.expand(data.shape[0], data.shape[0]) if data.dim() == 1 else data, k)


def _positions(size: int, before: int, after: int, mode: str, device: torch.device) -> Tensor:
    """For each place of a padded axis the place that it is copied from."""
    at = torch.arange(-before, size + after, device=device)
    if mode == "edge":
        return at.clamp(0, size - 1)
    if mode == "symmetric":
        at = at.remainder(2 * size)
        return torch.where(at >= size, 2 * size - 1 - at, at)
    if size == 1:
        return torch.zeros_like(at)
    at = at.remainder(2 * size - 2)
    return torch.where(at >= size, 2 * size - 2 - at, at)


@operator("_npi_pad")
def pad(
    data: Tensor, *, pad_width: tuple[tuple[int, int], ...], mode: str = "constant", constant_value: float = 0.0,
    reflect_type: str = "even",
) -> Tensor:  # fmt: skip
    """The array with elements before and after it along each axis.

    Args:
        pad_width: for each axis how many come before and after.
        mode: what they are: constant_value, the nearest element (edge), the mirror image without (reflect) or with
            (symmetric) the edge itself, or the axis's maximum or minimum.
    """
    if len(pad_width) != data.dim() or any(len(pair) != 2 for pair in pad_width):
        raise MXNetError(f"pad_width must have a pair for each of the {data.dim()} axes, but is {pad_width}")
    if mode == "constant":
        widths = [n for pair in reversed(pad_width) for n in pair]
        if data.dtype is torch.bool:
            return torch.nn.functional.pad(data.to(torch.uint8), widths, value=float(bool(constant_value))).bool()
        value = constant_value if data.dtype.is_floating_point else int(constant_value)
        return torch.nn.functional.pad(data, widths, value=value)
    for axis, (before, after) in enumerate(pad_width):
        if mode in ("maximum", "minimum"):
            edge = (torch.amax if mode == "maximum" else torch.amin)(data, axis, keepdim=True)
            sizes = [list(data.shape), list(data.shape)]
            sizes[0][axis], sizes[1][axis] = before, after
            data = torch.cat([edge.expand(sizes[0]), data, edge.expand(sizes[1])], axis)
        else:
            data = data.index_select(axis, _positions(data.shape[axis], before, after, mode, data.device))
    return data
