"""How NumPy's operators mix dtypes, as dtype rules and as errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import NAMES, TORCH
from tensorkeep.mxnet.base import MXNetError

__all__ = [
    "InvalidValue", "comparing", "differ", "floats_only", "kind", "mixed", "mixing", "named", "promote", "quotient",
    "scalar_quotient", "unlike",
]  # fmt: skip

Names = Sequence[str | None]
_C_NAMES = {torch.int8: "char", torch.uint8: "unsigned char", torch.int32: "int", torch.int64: "long"}


class InvalidValue(MXNetError, ValueError):
    """What MXNet's newer operators raise for a value that they do not take: a ValueError."""


def named(dtype: torch.dtype) -> str:
    """ "float32" of torch.float32."""
    return NAMES.get(dtype, str(dtype).removeprefix("torch."))


def kind(dtype: torch.dtype) -> str:
    """ "f" for floats, "b" for bool, "i" for integers."""
    return "f" if dtype.is_floating_point else "b" if dtype is torch.bool else "i"


def unlike(expected: torch.dtype, got: torch.dtype) -> MXNetError:
    """The error of an operator whose inputs must have one dtype."""
    return MXNetError(f"Incompatible attr in node  at 1-th input: expected {named(expected)}, got {named(got)}")


def differ(given: torch.dtype, inferred: torch.dtype) -> MXNetError:
    """The error of a comparison whose sides have two dtypes."""
    return MXNetError(f"Type inconsistent, Provided = {named(given)}, inferred type = {named(inferred)}")


def promote(op: str, a: torch.dtype, b: torch.dtype, *, integers: bool = True) -> torch.dtype:
    """The common dtype of two: the float of an integer and a float, the wider of two floats.

    Raises:
        MXNetError: int8 with uint8; two unlike integers, where the operator does not mix them.
    """
    found: torch.dtype = torch.promote_types(a, b)
    if kind(a) == "f" or kind(b) == "f":
        return found
    if a is b:
        return a
    if not integers or (found is not a and found is not b):
        names = [_C_NAMES.get(dtype, named(dtype)) for dtype in (a, b)]
        raise MXNetError(f"Operator {op} does not support combination of {names[0]} with {names[1]} yet...")
    return found


def mixed(op: str, lhs: Tensor, rhs: Tensor, *, integers: bool = True) -> tuple[Tensor, Tensor]:
    """Both in their common dtype. (torch would keep the dtype of an array beside a 0-d one.)"""
    common = promote(op, lhs.dtype, rhs.dtype, integers=integers)
    return lhs.to(common), rhs.to(common)


def mixing(op: str, *, integers: bool = True) -> Any:
    """The dtype rule of `mixed`."""

    def rule(names: list[str | None], attrs: dict[str, Any]) -> tuple[Names, Names]:
        left, right = names
        if left is None or right is None:
            one = left or right
            return [one, one], [one]
        return names, [named(promote(op, TORCH[left], TORCH[right], integers=integers))]

    return rule


def quotient(names: list[str | None], attrs: dict[str, Any]) -> tuple[Names, Names]:
    """The dtype rule of true_divide: integers give float32."""
    left, right = names
    if left is None or right is None:
        left = right = left or right
    if left is None or right is None:
        return [None, None], [None]
    for name in (left, right):
        if name.startswith(("float", "bfloat")):
            return [left, right], [name]
    return [left, right], ["float32"]


def scalar_quotient(names: list[str | None], attrs: dict[str, Any]) -> tuple[Names, Names]:
    """The dtype rule of true_divide with a number."""
    name = names[0]
    return names, [name and (name if TORCH[name].is_floating_point else "float32")]


def comparing(names: list[str | None], attrs: dict[str, Any]) -> tuple[Names, Names]:
    """The dtype rule of comparisons: both sides alike, bool out."""
    known = next((name for name in names if name), None)
    return [name or known for name in names], ["bool"]


def floats_only(dtype: torch.dtype) -> None:
    """Raise MXNetError for integers and bools."""
    if not dtype.is_floating_point:
        raise MXNetError("Do not support `int` as input.\n")
