"""Another shape or order of the same values."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._reshape import resolve
from tensorkeep.mxnet.ops._rules import Shapes, axis_of, first_dtype, size_of


def _target(source: tuple[int, ...], target: tuple[int, ...], keep_highest: bool) -> tuple[int, ...]:
    """The shape that Reshape's old `target_shape` asks for, where 0 stands for what is left."""
    found = list(target)
    if keep_highest and found:
        found[0] = source[0]
    gaps = [i for i in range(1 if keep_highest else 0, len(found)) if found[i] == 0]
    if len(gaps) == 1:
        rest = prod(found[: gaps[0]]) * prod(found[gaps[0] + 1 :])
        found[gaps[0]] = size_of(source) // rest if -1 not in source else -1
    if -1 not in source and prod(found) != prod(source):
        raise MXNetError(f"cannot reshape an array of shape {list(source)} into target_shape {list(target)}")
    return tuple(found)


def _reshape_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    if source is None:
        return shapes, [None]
    if attrs["shape"]:
        out = resolve(tuple(source), attrs["shape"], attrs["reverse"], False)
    else:
        out = _target(tuple(source), attrs["target_shape"], attrs["keep_highest"])
    if -1 not in out and source.count(-1) == 1:
        # The result says how large the one unknown dimension of the source is.
        known = prod(d for d in source if d >= 0)
        source = tuple(d if d >= 0 else prod(out) // max(known, 1) for d in source)
    return [source], [out]


@operator("Reshape", shape=_reshape_shapes, view=True)
def reshape(
    data: Tensor, *, shape: tuple[int, ...] = (), reverse: bool = False, target_shape: tuple[int, ...] = (),
    keep_highest: bool = False,
) -> Tensor:  # fmt: skip
    """The same values in another shape.

    In `shape`, 0 keeps a dimension, -1 takes what is left (once), -2 copies all remaining dimensions, -3 merges two,
    -4 splits one into the next two numbers, one of which may be -1. reverse=True matches from the right.
    """
    if shape:
        return data.reshape(resolve(data.shape, shape, reverse, False))
    if target_shape:
        return data.reshape(_target(data.shape, target_shape, keep_highest))
    raise MXNetError("Reshape needs shape, which is empty.")


def _npx_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    if source is None or -1 in source:
        return shapes, [None if min(attrs["newshape"], default=0) < 0 else attrs["newshape"]]
    return shapes, [resolve(tuple(source), attrs["newshape"], attrs["reverse"], True)]


@operator("_npx_reshape", shape=_npx_shapes, view=True)
def npx_reshape(a: Tensor, *, newshape: tuple[int, ...], reverse: bool = False) -> Tensor:
    """The same values in another shape.

    In `newshape`, -1 takes what is left (once), -2 keeps a dimension, -3 drops one of size 1, -4 copies all remaining
    dimensions, -5 merges two, -6 splits one into the next two numbers, one of which may be -1.
    """
    return a.reshape(resolve(a.shape, newshape, reverse, True))


def _flatten_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    return shapes, [None if source is None else (source[0], size_of(source[1:]))]


@operator("Flatten", shape=_flatten_shapes, view=True)
def flatten(data: Tensor) -> Tensor:
    """(N, …) as (N, K): all dimensions but the first become one."""
    shape = data.shape
    if len(shape) == 2:
        return data.view(shape)
    return data.reshape(shape[0], prod(shape[1:]))


def _expand_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    if source is None:
        return shapes, [None]
    at = axis_of(attrs["axis"], len(source) + 1, "expand_dims")
    return shapes, [(*source[:at], 1, *source[at:])]


@operator("expand_dims", shape=_expand_shapes, view=True)
def expand_dims(data: Tensor, *, axis: int) -> Tensor:
    """The array with a new dimension of size 1 before `axis`."""
    return data.unsqueeze(axis)


@operator("squeeze", view=True)
def squeeze(data: Tensor, *, axis: tuple[int, ...] | None = None) -> Tensor:
    """The array without its dimensions of size 1, or without those in `axis`, which must have size 1."""
    if axis is None:
        found = data.squeeze()
    else:
        axes = [axis_of(a, data.dim(), "squeeze") for a in axis]
        if len(set(axes)) < len(axes):
            raise MXNetError(f"axis {list(axis)}: an axis is given twice")
        for a in axes:
            if data.shape[a] != 1:
                raise MXNetError(f"cannot select an axis to squeeze out which has size={data.shape[a]} not equal to 1")
        found = data.squeeze(axes) if axes else data.view(data.shape)
    return found if found.dim() else found.reshape(1)


def _transpose_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, axes = shapes[0], attrs["axes"]
    if source is None:
        return shapes, [None]
    if not axes:
        return shapes, [source[::-1]]
    return shapes, [tuple(source[a] for a in _axes(axes, len(source)))]


def _axes(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    if len(axes) != rank:
        raise MXNetError(f"Operator transpose: axes {list(axes)} do not match an array of {rank} dimensions")
    if sorted(axes) != list(range(rank)):
        raise MXNetError(f"Operator transpose: axes {list(axes)} must be each of 0 to {rank - 1} once")
    return axes


@operator("transpose", shape=_transpose_shapes, view=True)
def transpose(data: Tensor, *, axes: tuple[int, ...] = ()) -> Tensor:
    """The array with its dimensions in the order `axes`; reversed when it is empty."""
    if axes:
        return data.permute(_axes(axes, data.dim()))
    return data.permute(tuple(range(data.dim() - 1, -1, -1)))


def _swap_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source = shapes[0]
    if source is None:
        return shapes, [None]
    a, b = (axis_of(attrs[name], len(source), "SwapAxis") for name in ("dim1", "dim2"))
    found = list(source)
    found[a], found[b] = found[b], found[a]
    return shapes, [tuple(found)]


@operator("SwapAxis", shape=_swap_shapes, view=True)
def swap_axis(data: Tensor, *, dim1: int = 0, dim2: int = 0) -> Tensor:
    """The array with two dimensions exchanged."""
    return data.transpose(dim1, dim2)


def _span(begin: int | None, end: int | None, rank: int, side: str) -> tuple[int, int]:
    first = 0 if begin is None else begin + rank if begin < 0 else begin
    last = rank if end is None else end + rank if end < 0 else end
    if not 0 <= first < last <= rank:
        raise MXNetError(f"Operator reshape_like: {side}_begin={begin}, {side}_end={end} do not fit {rank} dimensions")
    return first, last


@operator("reshape_like", view=True, dtype=first_dtype)
def reshape_like(
    lhs: Tensor, rhs: Tensor, *, lhs_begin: int | None = None, lhs_end: int | None = None,
    rhs_begin: int | None = None, rhs_end: int | None = None,
) -> Tensor:  # fmt: skip
    """The values of lhs in the shape of rhs; with begin and end only those dimensions are replaced."""
    if lhs_begin is lhs_end is rhs_begin is rhs_end is None:
        return lhs.reshape(rhs.shape)
    first, last = _span(lhs_begin, lhs_end, lhs.dim(), "lhs")
    start, stop = _span(rhs_begin, rhs_end, rhs.dim(), "rhs")
    return lhs.reshape((*lhs.shape[:first], *rhs.shape[start:stop], *lhs.shape[last:]))


def _blocks(shape: Sequence[int], block_size: int, name: str) -> None:
    if len(shape) != 4:
        raise MXNetError(f"Operation {name} requires exactly 4D tensor")
    if not shape[1]:
        raise MXNetError("Depth dimension:1 cannot be 0")
    if 0 in shape:
        raise MXNetError(f"Operation requires a 4D tensor. Size of dimension:{list(shape).index(0)} cannot be 0")
    if block_size <= 0:
        raise MXNetError("block_size must be a positive integer value")


_NO_BLOCKS = (
    "Cannot perform Depth To Space operation on the specified tensor. Dimension:{} should be a multiple of 'block{}'"
)
"""MXNet's words, in both directions."""


def _depth_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, size = shapes[0], attrs["block_size"]
    if source is None or -1 in source[1:]:
        return shapes, [None]
    _fits_depth(source, size)
    batch, channels, height, width = source
    return shapes, [(batch, channels // size**2, height * size, width * size)]


def _fits_depth(shape: Sequence[int], block_size: int) -> None:
    _blocks(shape, block_size, "Depth To Space")
    if shape[1] % block_size**2:
        raise MXNetError(_NO_BLOCKS.format("1(depth dimension)", "^2"))


@operator("depth_to_space", shape=_depth_shapes)
def depth_to_space(data: Tensor, *, block_size: int) -> Tensor:
    """(N, C, H, W) as (N, C / block_size², H * block_size, W * block_size)."""
    _fits_depth(data.shape, block_size)
    n, c, h, w = data.shape
    depth = c // block_size**2
    blocks = data.reshape(n, block_size, block_size, depth, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, depth, h * block_size, w * block_size)


@operator("space_to_depth")
def space_to_depth(data: Tensor, *, block_size: int) -> Tensor:
    """(N, C, H, W) as (N, C * block_size², H / block_size, W / block_size)."""
    _blocks(data.shape, block_size, "Space To Depth")
    n, c, h, w = data.shape
    for size, which in ((h, "2(1st Space dimension)"), (w, "3(2nd space dimension)")):
        if size % block_size:
            raise MXNetError(_NO_BLOCKS.format(which, ""))
    rows, columns = h // block_size, w // block_size
    blocks = data.reshape(n, c, rows, block_size, columns, block_size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, c * block_size**2, rows, columns)


@operator("tile")
def tile(data: Tensor, *, reps: tuple[int, ...]) -> Tensor:
    """The array repeated reps[i] times along each dimension; missing ones are added in front."""
    if any(count < 1 for count in reps):
        rank = max(data.dim(), len(reps))
        own, times = ((1,) * (rank - len(t)) + tuple(t) for t in (data.shape, reps))
        sizes = [n * count for n, count in zip(own, times, strict=True)]
        for size in sizes:
            if size < -1:
                raise MXNetError(f"shape dim size must be >= -1, while received {size}")
        if not state.np_shape or -1 in sizes:
            raise MXNetError(
                f"Operator tile inferring shapes failed.\ninput shapes:\n{like(data.shape)}\noutput shapes:\n"
                f"{like([size or -1 for size in sizes])}\noperator attributes:\nreps : {reps}\n"
            )
    return data.tile(reps)


def _repeat_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, count, axis = shapes[0], attrs["repeats"], attrs["axis"]
    if source is None:
        return shapes, [None]
    if axis is None:
        size = size_of(source)
        return shapes, [(size if size < 0 else size * count,)]
    axis = axis_of(axis, len(source), "repeat")
    size = source[axis]
    return shapes, [(*source[:axis], size if size < 0 else size * count, *source[axis + 1 :])]


@operator("repeat", shape=_repeat_shapes)
def repeat(data: Tensor, *, repeats: int, axis: int | None = None) -> Tensor:
    """Each element `repeats` times in a row, along `axis` or flattened."""
    if axis is None:
        return data.flatten().repeat_interleave(repeats)
    return data.repeat_interleave(repeats, axis)


@operator("reverse", shape="same")
def reverse(data: Tensor, *, axis: tuple[int, ...]) -> Tensor:
    """The array with the order of the elements reversed along `axis`."""
    if axis and not 0 <= min(axis) <= max(axis) < data.dim():
        raise MXNetError(f"Operator reverse: axis {list(axis)} must be in the range [0, {data.dim()})")
    return data.flip(axis)


@operator("diag")
def diag(data: Tensor, *, k: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The k-th diagonal over two axes; of a vector the matrix that has it as its k-th diagonal."""
    if data.dim() == 1:
        return torch.diag(data, k)
    first, second = axis_of(axis1, data.dim(), "diag"), axis_of(axis2, data.dim(), "diag")
    if first == second:
        raise MXNetError(f"axis1 and axis2 cannot refer to the same axis {first}")
    if data.shape[first] + min(k, 0) < 0 or data.shape[second] - max(k, 0) < 0:
        raise MXNetError("Diagonal does not exist.")
    return data.diagonal(k, axis1, axis2).clone()


def _pad_shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    source, widths = shapes[0], attrs["pad_width"]
    if source is None:
        return shapes, [None]
    _fits_pad(len(source), widths)
    around = zip(source, widths[::2], widths[1::2], strict=True)
    return shapes, [tuple(size if size < 0 else size + before + after for size, before, after in around)]


def _fits_pad(rank: int, widths: tuple[int, ...]) -> None:
    if rank not in (4, 5):
        raise MXNetError("Current implementation only supports 4-D or 5-D input.")
    if len(widths) != 2 * rank or min(widths) < 0 or any(widths[:4]):
        raise MXNetError(
            "Current implementation expects padding on the first two axes to be zero. "
            f"pad_width {list(widths)} must hold {2 * rank} numbers, none negative"
        )


@operator("Pad", shape=_pad_shapes)
def pad(data: Tensor, *, mode: str, pad_width: tuple[int, ...], constant_value: float = 0) -> Tensor:
    """An array of four or five dimensions with more elements around it.

    Args:
        mode: "constant", "edge" (the outermost repeated) or "reflect" (mirrored about the outermost).
        pad_width: before and after of each dimension; 0 for the first two dimensions.
    """
    rank = data.dim()
    if not data.dtype.is_floating_point:
        raise MXNetError(f"This operation only support floating point types, not {data.dtype}")
    _fits_pad(rank, pad_width)
    widths = [w for d in range(rank - 1, 1, -1) for w in pad_width[2 * d : 2 * d + 2]]
    if mode == "constant":
        return torch.nn.functional.pad(data, widths, value=constant_value)
    return torch.nn.functional.pad(data, widths, mode="replicate" if mode == "edge" else "reflect")
