"""What the layers share: MXNet's refusals, windows, layouts. -1 stands for a dimension that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape
from tensorkeep.mxnet.base import MXNetError

__all__ = [
    "attached", "channels_first", "channels_last", "expects", "floats_only", "inconsistent", "needs", "one_per_kernel",
    "require", "same_dtypes", "unless_no_bias", "window",
]  # fmt: skip

Dims = tuple[int, ...]


class _Constant(torch.autograd.Function):
    """Values that hang in the graph of `data` and give it a gradient of zeros."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, values: Tensor) -> Tensor:
        ctx.like = data.shape, data.dtype, data.device
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        shape, dtype, device = ctx.like
        return torch.zeros(shape, dtype=dtype, device=device), None


def attached(values: Tensor, data: Tensor) -> Tensor:
    """Statistics of data as an output: backward() from them is allowed, and changes nothing."""
    if data.requires_grad and torch.is_grad_enabled():
        found: Tensor = _Constant.apply(data, values.detach())
        return found
    return values


def unless_no_bias(attrs: Attrs) -> bool:
    """Whether a layer takes a bias: the condition for `taking(bias=...)`."""
    return not attrs["no_bias"]


def expects(op: str, wanted: int, got: int) -> MXNetError:
    """What MXNet says to a bias that is missing."""
    return MXNetError(f"Operator {op} expects {wanted} inputs, but got {got} instead.")


def floats_only(data: Tensor) -> MXNetError:
    """What MXNet says to integers where it computes with floats only."""
    return MXNetError(f"This operation only support floating point types, not {str(data.dtype).removeprefix('torch.')}")


def inconsistent(provided: Sequence[int], inferred: Sequence[int]) -> MXNetError:
    """What MXNet says to a parameter whose shape does not fit the data."""
    return MXNetError(
        f"Shape inconsistent, Provided = [{','.join(map(str, provided))}], "
        f"inferred shape=({','.join(map(str, inferred))}{',' if len(inferred) == 1 else ''})"
    )


def require(provided: Shape, inferred: Dims) -> Dims:
    """The inferred shape, its unknown dimensions filled from the provided one.

    Raises:
        MXNetError: they contradict each other.
    """
    if provided is None:
        return inferred
    if len(provided) != len(inferred) or any(
        x != y and x >= 0 and y >= 0 for x, y in zip(provided, inferred, strict=True)
    ):
        raise inconsistent(provided, inferred)
    return tuple(map(max, provided, inferred))


def needs(shape: Sequence[int] | None, rank: int, text: str) -> None:
    """Refuse arrays of another rank, in MXNet's words for the layer.

    Raises:
        MXNetError: the rank differs.
    """
    if shape is not None and len(shape) != rank:
        raise MXNetError(text)


def same_dtypes(names: Sequence[str], first: Tensor, *others: Tensor | None) -> None:
    """Refuse parameters of another dtype than the data's; torch would promote some of them.

    Raises:
        MXNetError: one differs; its name is said.
    """
    dtype = first.dtype
    for name, other in zip(names, others, strict=False):
        if other is not None and other.dtype is not dtype:
            wanted, given = (str(t).removeprefix("torch.") for t in (dtype, other.dtype))
            raise MXNetError(f"This layer requires uniform type. Expected '{wanted}' v.s. given '{given}' at '{name}'")


def one_per_kernel(kernel: Dims, **others: Dims) -> None:
    """Refuse stride, dilate and pad of another length than the kernel's; an empty one stands for its default.

    Raises:
        MXNetError: a length differs, or a stride or dilate is 0.
    """
    for name, value in others.items():
        if value and len(value) != len(kernel):
            raise MXNetError(
                f"{name.capitalize()} must have the same number of dimensions with kernel_size,"
                f"but kernel_size is set to [{','.join(map(str, kernel))}] while {name} is "
                f"[{','.join(map(str, value))}]"
            )
        if name in ("stride", "dilate") and 0 in value:
            raise MXNetError(f"incorrect {name} size: [{','.join(map(str, value))}]")
    if 0 in kernel:
        raise MXNetError(f"incorrect kernel size: [{','.join(map(str, kernel))}]")


def window(size: int, kernel: int, stride: int = 1, pad: int = 0, dilate: int = 1) -> int:
    """How many windows fit into a padded line; -1 when its size is not known."""
    return (size + 2 * pad - dilate * (kernel - 1) - 1) // stride + 1 if size >= 0 else -1


def channels_first(data: Tensor) -> Tensor:
    """A view with the channels, which come last, behind the batch."""
    return data.movedim(-1, 1)


def channels_last(data: Tensor) -> Tensor:
    """A view with the channels, which come second, at the end."""
    return data.movedim(1, -1)
