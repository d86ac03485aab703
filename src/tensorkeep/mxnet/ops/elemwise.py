"""Arithmetic of arrays, element by element."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._binary import div, hypot, maximum, minimum, mod, power
from tensorkeep.mxnet.ops._elementwise import binary, same_dtype, same_shape
from tensorkeep.mxnet.ops._shapes import broadcast

_BROADCASTING = {
    "broadcast_add": (torch.add, "lhs + rhs, their shapes broadcast."),
    "broadcast_sub": (torch.sub, "lhs - rhs, their shapes broadcast."),
    "broadcast_mul": (torch.mul, "lhs * rhs, their shapes broadcast."),
    "broadcast_div": (div, "lhs / rhs, their shapes broadcast; the quotient of whole numbers is cut off."),
    "broadcast_mod": (mod, "lhs % rhs with the sign of rhs, their shapes broadcast; 0 where rhs is 0."),
    "broadcast_power": (power, "lhs to the power of rhs, their shapes broadcast."),
    "broadcast_maximum": (maximum, "The larger of lhs and rhs, their shapes broadcast; NaN where one is NaN."),
    "broadcast_minimum": (minimum, "The smaller of lhs and rhs, their shapes broadcast; NaN where one is NaN."),
    "broadcast_hypot": (hypot, "The square root of lhs² + rhs², their shapes broadcast."),
}
_MATCHING = {
    "elemwise_add": (torch.add, "lhs + rhs of equal shapes."),
    "elemwise_sub": (torch.sub, "lhs - rhs of equal shapes."),
    "elemwise_mul": (torch.mul, "lhs * rhs of equal shapes."),
    "elemwise_div": (div, "lhs / rhs of equal shapes; the quotient of whole numbers is cut off."),
    "_mod": (mod, "lhs % rhs of equal shapes with the sign of rhs; 0 where rhs is 0."),
    "_power": (power, "lhs to the power of rhs, of equal shapes."),
    "_maximum": (maximum, "The larger of lhs and rhs, of equal shapes; NaN where one is NaN."),
    "_minimum": (minimum, "The smaller of lhs and rhs, of equal shapes; NaN where one is NaN."),
    "_hypot": (hypot, "The square root of lhs² + rhs², of equal shapes."),
    "_grad_add": (torch.add, "lhs + rhs of equal shapes: how gradients are added up."),
    "_scatter_elemwise_div": (div, "lhs / rhs of equal shapes."),
}

for _name, (_fn, _text) in _BROADCASTING.items():
    operator(_name, shape=broadcast)(binary(_name, _fn, _text, broadcasts=True))
for _name, (_fn, _text) in _MATCHING.items():
    operator(_name, shape="same")(binary(_name, _fn, _text, broadcasts=False))


@operator("add_n", shape="same")
def add_n(*args: Tensor) -> Tensor:
    """The sum of arrays of equal shapes and dtypes."""
    if not args:
        raise MXNetError(
            "value 0 for Parameter num_args should be greater equal to 1\n"
            'num_args: Number of inputs to be summed., in operator add_n(name="", num_args="0")'
        )
    total = args[0]
    for at, array in enumerate(args[1:], 1):
        same_shape(total, array, at)
        same_dtype(total, array, at)
        total = torch.add(total, array)
    return total.clone() if len(args) == 1 else total
