"""Functions of two arrays that the families for arrays and for scalars share; their gradients are MXNet's."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet.ops._elementwise import in_floats, with_partials

__all__ = ["div", "hypot", "maximum", "minimum", "mod", "power"]


def div(lhs: Tensor, rhs: Tensor) -> Tensor:
    """lhs / rhs; of whole numbers the quotient cut off."""
    if lhs.is_floating_point():
        return torch.div(lhs, rhs)
    return torch.div(lhs, rhs, rounding_mode="trunc")


maximum = with_partials(torch.maximum, lambda a, b, y: a >= b, lambda a, b, y: a < b)
"""The larger one; at a tie the gradient goes to the left one, torch would share it."""

minimum = with_partials(torch.minimum, lambda a, b, y: a <= b, lambda a, b, y: a > b)
"""The smaller one; at a tie the gradient goes to the left one."""


def _remainder(lhs: Tensor, rhs: Tensor) -> Tensor:
    zero = rhs == 0
    return torch.remainder(lhs, rhs.masked_fill(zero, 1)).masked_fill(zero, 0)


mod = with_partials(_remainder, lambda a, b, y: 1.0, lambda a, b, y: -torch.floor(a / b))
"""The remainder with the sign of rhs; 0 where rhs is 0."""

_power = with_partials(torch.pow, lambda a, b, y: b * torch.pow(a, b - 1), lambda a, b, y: torch.log(a) * y)


def power(lhs: Tensor, rhs: Tensor) -> Tensor:
    """lhs to the power of rhs."""
    return _power(lhs, rhs) if lhs.is_floating_point() else in_floats(torch.pow, lhs, rhs)


def hypot(lhs: Tensor, rhs: Tensor) -> Tensor:
    """The length of the hypotenuse over lhs and rhs."""
    return torch.hypot(lhs, rhs) if lhs.is_floating_point() else in_floats(torch.hypot, lhs, rhs)
