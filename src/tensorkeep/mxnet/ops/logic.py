"""Comparisons and logic: 0 and 1 in the dtype of the arrays."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import binary
from tensorkeep.mxnet.ops._scalars import fit, scalar_dtype
from tensorkeep.mxnet.ops._shapes import broadcast

_Test = Callable[..., Tensor]


def _logical_and(data: Tensor, scalar: float) -> Tensor:
    return torch.ne(data, 0) if scalar else torch.zeros_like(data)


def _logical_or(data: Tensor, scalar: float) -> Tensor:
    return torch.ones_like(data) if scalar else torch.ne(data, 0)


def _logical_xor(data: Tensor, scalar: float) -> Tensor:
    return torch.eq(data, 0) if scalar else torch.ne(data, 0)


_TESTS: dict[str, tuple[_Test, _Test, str]] = {
    "equal": (torch.eq, torch.eq, "equals"),
    "not_equal": (torch.ne, torch.ne, "differs from"),
    "greater": (torch.gt, torch.gt, "is greater than"),
    "greater_equal": (torch.ge, torch.ge, "is greater than or equal to"),
    "lesser": (torch.lt, torch.lt, "is less than"),
    "lesser_equal": (torch.le, torch.le, "is less than or equal to"),
    "logical_and": (torch.logical_and, _logical_and, "and"),
    "logical_or": (torch.logical_or, _logical_or, "or"),
    "logical_xor": (torch.logical_xor, _logical_xor, "or else"),
}
"""Name → of two arrays, of an array and a number, in words."""


def _numbers(test: _Test) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda lhs, rhs: test(lhs, rhs).to(lhs.dtype)


def _with_scalar(test: _Test, text: str) -> Callable[..., Tensor]:
    def scalar_test(data: Tensor, *, scalar: float = 1.0, is_int: bool = True) -> Tensor:
        if data.dtype is not torch.float32:
            data, scalar = fit(data, scalar, is_int)
        return test(data, scalar).to(data.dtype)

    scalar_test.__doc__ = text
    return scalar_test


for _name, (_arrays, _scalar, _words) in _TESTS.items():
    _said = f"{{}} {_words} {{}}"
    if _name.startswith("logical"):
        _said = f"{{}} {_words} {{}}, where everything but 0 is true"
    operator(f"broadcast_{_name}", shape=broadcast)(
        binary(
            f"broadcast_{_name}",
            _numbers(_arrays),
            f"1 where {_said.format('lhs', 'rhs')}, else 0; their shapes broadcast.",
            broadcasts=True,
        )
    )
    operator(f"_{_name}", shape="same")(
        binary(
            f"_{_name}",
            _numbers(_arrays),
            f"1 where {_said.format('lhs', 'rhs')}, else 0; of equal shapes.",
            broadcasts=False,
        )
    )
    operator(f"_{_name}_scalar", shape="same", dtype=scalar_dtype)(
        _with_scalar(_scalar, f"1 where {_said.format('data', 'scalar')}, else 0.")
    )


@operator("logical_not", shape="same")
def logical_not(data: Tensor) -> Tensor:
    """1 where data is 0, else 0."""
    if data.dtype is torch.bool:
        raise MXNetError("Unknown type enum 7: the operator does not take bool, cast it.")
    return torch.eq(data, 0).to(data.dtype)
