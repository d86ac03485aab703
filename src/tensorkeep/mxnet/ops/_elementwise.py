"""What the families of element-by-element operators share: refusals, whole numbers, MXNet's own gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet.base import MXNetError

__all__ = ["binary", "in_floats", "like", "refuse", "same_dtype", "same_shape", "with_partials"]

_Bool = torch.bool


def same_dtype(lhs: Tensor, rhs: Tensor, at: int = 1) -> None:
    """Raise MXNetError where torch would promote: MXNet does not mix dtypes. `at` is the position of `rhs`."""
    if lhs.dtype is not rhs.dtype:
        raise MXNetError(
            f"Incompatible attr in node  at {at}-th input: expected {NAMES[lhs.dtype]}, got {NAMES[rhs.dtype]}"
        )


def same_shape(lhs: Tensor, rhs: Tensor, at: int = 1) -> None:
    """Raise MXNetError where torch would broadcast. `at` is the position of `rhs`."""
    if lhs.shape != rhs.shape:
        raise MXNetError(
            f"Incompatible attr in node  at {at}-th input: expected {like(lhs.shape)}, got {like(rhs.shape)}"
        )


def like(shape: Any) -> str:
    """A shape as MXNet's errors print it: [2,3]."""
    return f"[{','.join(map(str, shape))}]"


def refuse(name: str, lhs: Tensor, rhs: Tensor, equal_shapes: bool = False) -> None:
    """Raise what MXNet says of two arrays that `name` does not take; return when it takes them."""
    if equal_shapes:
        same_shape(lhs, rhs)
    same_dtype(lhs, rhs)
    if lhs.dtype is _Bool:
        raise MXNetError(f"Operator {name} does not support boolean type")


def _clash(lhs: Tensor, rhs: Tensor, err: Exception) -> NoReturn:
    try:
        torch.broadcast_shapes(lhs.shape, rhs.shape)
    except RuntimeError:
        raise MXNetError(
            f"operands could not be broadcast together with shapes {like(lhs.shape)} {like(rhs.shape)}"
        ) from err
    raise err


def binary(name: str, fn: Callable[[Tensor, Tensor], Tensor], text: str, *, broadcasts: bool) -> Callable[..., Tensor]:
    """`fn` as an operator of two arrays of one dtype, with MXNet's refusals; `text` is its help."""

    def broadcasting(lhs: Tensor, rhs: Tensor) -> Tensor:
        if lhs.dtype is not rhs.dtype or lhs.dtype is _Bool:
            refuse(name, lhs, rhs)
        try:
            return fn(lhs, rhs)
        except RuntimeError as err:
            _clash(lhs, rhs, err)

    def matching(lhs: Tensor, rhs: Tensor) -> Tensor:
        if lhs.dtype is not rhs.dtype or lhs.dtype is _Bool or lhs.shape != rhs.shape:
            refuse(name, lhs, rhs, equal_shapes=True)
        return fn(lhs, rhs)

    made = broadcasting if broadcasts else matching
    made.__doc__ = text
    return made


def in_floats(fn: Callable[..., Tensor], *arrays: Tensor) -> Tensor:
    """fn of whole numbers: computed in float32 and cut off, as MXNet does."""
    return fn(*[array.float() for array in arrays]).to(arrays[0].dtype)


def _summed(gradient: Tensor, shape: torch.Size) -> Tensor:
    return gradient if gradient.shape == shape else gradient.sum_to_size(shape)


def with_partials(
    forward: Callable[..., Tensor], *partials: Callable[..., Tensor | float] | None
) -> Callable[..., Tensor]:
    """`forward` with MXNet's own derivatives, where torch has others at ties, poles and edges.

    Args:
        forward: arrays → the result; they may broadcast.
        partials: for each array a function of all of them and the result: the derivative that the head gradient is
            multiplied with. None: the gradient is never asked for.
    """

    class Partials(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *arrays: Tensor) -> Tensor:
            result = forward(*arrays)
            ctx.save_for_backward(*arrays, result)
            return result

        @staticmethod
        def backward(ctx: Any, head: Tensor) -> tuple[Tensor | None, ...]:
            saved = ctx.saved_tensors
            return tuple(
                [
                    _summed(head * partial(*saved), array.shape) if needed and partial else None
                    for needed, partial, array in zip(ctx.needs_input_grad, partials, saved[:-1], strict=True)
                ]
            )

    apply = Partials.apply
    if len(partials) == 1:

        def one(array: Tensor) -> Tensor:
            return apply(array) if array.requires_grad else forward(array)

        return one

    def several(*arrays: Tensor) -> Tensor:
        for array in arrays:
            if array.requires_grad:
                return apply(*arrays)
        return forward(*arrays)

    return several
