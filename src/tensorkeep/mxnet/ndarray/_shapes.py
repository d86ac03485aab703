"""The shape that x.reshape(...) asks for."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from tensorkeep.mxnet.base import MXNetError

__all__ = ["infer", "reshaped", "squeezed"]


def infer(codes: Sequence[int], shape: Sequence[int], reverse: bool = False) -> list[int]:
    """The dimensions that the codes of MXNet's Reshape stand for.

    0 copies a dimension, -1 is what is left over, -2 copies all that remain, -3 multiplies two, -4 splits one into the
    two that follow. With reverse=True codes and dimensions are matched from the right.

    Raises:
        MXNetError: the codes want dimensions that are not there, or several are -1.
    """
    codes, dims = list(codes), list(shape)
    if reverse:
        codes, dims = codes[::-1], dims[::-1]
    found: list[int] = []
    unknown = None
    source = position = 0

    def take() -> int:
        nonlocal source
        if source >= len(dims):
            raise MXNetError(f"Cannot reshape {tuple(shape)} with {tuple(codes)}: there are not so many dimensions.")
        source += 1
        return dims[source - 1]

    def unknown_here() -> None:
        nonlocal unknown
        if unknown is not None:
            raise MXNetError("One and only one dim can be inferred")
        unknown = len(found)
        found.append(1)

    while position < len(codes):
        code = codes[position]
        position += 1
        if code == 0:
            found.append(take())
        elif code == -1:
            unknown_here()
            source += 1
        elif code == -2:
            found.extend(dims[source:])
            source = len(dims)
        elif code == -3:
            found.append(take() * take())
        elif code == -4:
            if position + 2 > len(codes):
                raise MXNetError("-4 in a shape is followed by two dimensions.")
            whole, first, second = take(), codes[position], codes[position + 1]
            position += 2
            if first == second == -1:
                raise MXNetError("Split dims cannot both be -1.")
            found += [whole // second if first == -1 else first, whole // first if second == -1 else second]
        else:
            found.append(code)
            source += 1
    if unknown is not None:
        found[unknown] = prod(dims) // (prod(found) or 1)
    return found[::-1] if reverse else found


def reshaped(tensor: torch.Tensor, shape: tuple[Any, ...], options: dict[str, Any]) -> tuple[int, ...]:
    """The dimensions that `x.reshape(*shape, **options)` asks for.

    Raises:
        TypeError: an option that reshape does not have.
        ValueError: the number of elements would change.
    """
    if len(shape) == 1 and isinstance(shape[0], (list, tuple)):
        shape = tuple(shape[0])
    elif not shape:
        wanted = options.get("shape")
        assert wanted, "Shape must be provided."
        shape = tuple(wanted) if isinstance(wanted, (list, tuple)) else (wanted,)
    unknown = [name for name in options if name not in ("shape", "reverse")]
    if unknown:
        raise TypeError(
            f"Got unknown keywords in reshape: {', '.join(unknown)}. "
            "Accepted keyword arguments are 'shape' and 'reverse'."
        )
    codes = tuple(int(code) for code in shape)
    found = infer(codes, tuple(tensor.shape), options.get("reverse", False))
    if prod(found) != tensor.numel():
        raise ValueError(f"Cannot reshape array of size {tensor.numel()} into shape {codes}")
    return tuple(found)


def squeezed(shape: tuple[int, ...], axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """The shape without dimensions of size 1: all, or those of `axis`; (1,) when none is left.

    Raises:
        AssertionError: an axis twice, outside, or of another size.
    """
    ndim = len(shape)
    axes = [axis] if isinstance(axis, int) else list(axis or ())
    assert len(axes) == len(set(axes)), f"axis {axis} contains duplicate which is not allowed."
    for one in axes:
        assert -ndim <= one < ndim, f"axis {one} is out of range for {ndim}d array"
        assert shape[one] == 1, f"Squeeze target axis {one} must be size 1, got {shape[one]}."
    dropped = {one % ndim for one in axes} if axes else {i for i, n in enumerate(shape) if n == 1}
    return tuple(n for i, n in enumerate(shape) if i not in dropped) or (1,)
