"""Copies: in another dtype, with another gradient, without one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import in_floats, same_dtype, same_shape, with_partials
from tensorkeep.mxnet.ops._shapes import DTypes


def _cast_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [attrs["dtype"]]


@operator("Cast", shape="same", dtype=_cast_dtype)
def cast(data: Tensor, *, dtype: str) -> Tensor:
    """A copy in another dtype; whole numbers are cut off and wrap around."""
    return data.to(TORCH[dtype], copy=True)


def _amp_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [attrs["dtype"] if "float" in (dtypes[0] or "float") else dtypes[0]]


@operator("amp_cast", shape="same", dtype=_amp_dtype)
def amp_cast(data: Tensor, *, dtype: str) -> Tensor:
    """A copy in another dtype of an array of floats; whole numbers stay as they are."""
    return data.to(TORCH[dtype], copy=True) if data.is_floating_point() else data.clone()


_WIDTH = {"bfloat16": 0, "float16": 1, "float32": 2, "float64": 3}


def _common(dtypes: list[str | None], narrow: bool) -> str | None:
    floats = [d for d in dtypes if d in _WIDTH]
    if not floats:
        return None
    return (min if narrow else max)(floats, key=_WIDTH.__getitem__)


def _multicast_dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    target = _common(dtypes, attrs["cast_narrow"])
    return dtypes, [target if d is None or d in _WIDTH else d for d in dtypes]


@operator("amp_multicast", outputs=lambda attrs: int(attrs["num_outputs"]), dtype=_multicast_dtypes)
def amp_multicast(*data: Tensor, num_outputs: int, cast_narrow: bool = False) -> tuple[Tensor, ...]:
    """Copies of arrays of floats in the widest of their dtypes, or with cast_narrow in the narrowest."""
    target = _common([str(array.dtype).removeprefix("torch.") for array in data], cast_narrow)
    return tuple(
        [
            array.to(TORCH[target], copy=True) if target and array.is_floating_point() else array.clone()
            for array in data
        ]
    )


@operator("_copy", "_copyto", shape="same")
def copy(data: Tensor) -> Tensor:
    """A copy."""
    return data.clone()


@operator("BlockGrad", shape="same")
def block_grad(data: Tensor) -> Tensor:
    """A copy that no gradient passes: backward() sees a constant."""
    return data.detach().clone()


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, data: Tensor) -> Tensor:
        return data.clone()

    @staticmethod
    def backward(ctx: Any, head: Tensor) -> Tensor:
        return torch.ones_like(head)


@operator("make_loss", shape="same")
def make_loss(data: Tensor) -> Tensor:
    """A copy whose gradient is 1, whatever comes from behind: the end of a network that computes its own loss."""
    return _Loss.apply(data)


@operator("_identity_with_attr_like_rhs", shape="same")
def identity_with_attr_like_rhs(lhs: Tensor, rhs: Tensor) -> Tensor:
    """A copy of lhs, which has the shape and dtype of rhs."""
    same_shape(lhs, rhs)
    same_dtype(lhs, rhs)
    return lhs.clone()


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, data: Tensor, scalar: float) -> Tensor:
        ctx.scalar = scalar
        return data.clone()

    @staticmethod
    def backward(ctx: Any, head: Tensor) -> tuple[Tensor, None]:
        return head * ctx.scalar, None


@operator("_contrib_gradientmultiplier", shape="same")
def gradientmultiplier(data: Tensor, *, scalar: float = 1.0) -> Tensor:
    """A copy whose gradient is multiplied with a number; a negative one turns it round."""
    return _Scaled.apply(data, scalar)


def _away_from_zero(data: Tensor) -> Tensor:
    whole = torch.trunc(data)
    return torch.where((data - whole).abs() >= 0.5, whole + torch.sign(data), whole)


_round_ste = with_partials(_away_from_zero, lambda x, y: 1.0)
_sign_ste = with_partials(torch.sign, lambda x, y: 1.0)


@operator("_contrib_round_ste", shape="same")
def round_ste(data: Tensor) -> Tensor:
    """The nearest whole number, away from zero from the middle; the gradient passes as if it were a copy."""
    return _round_ste(data) if data.is_floating_point() else data.clone()


@operator("_contrib_sign_ste", shape="same")
def sign_ste(data: Tensor) -> Tensor:
    """-1, 0 or 1: the sign; the gradient passes as if it were a copy."""
    return _sign_ste(data)


@operator("_contrib_quadratic", shape="same")
def quadratic(data: Tensor, *, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> Tensor:
    """a·data² + b·data + c."""
    if data.dtype is torch.bool:
        raise MXNetError("Unknown type enum 7: the operator does not take bool, cast it.")
    if not data.is_floating_point():
        return in_floats(lambda x: (a * x + b) * x + c, data)
    return (a * data + b) * data + c


@operator("cast_storage", shape="same")
def cast_storage(data: Tensor, *, stype: str) -> Tensor:
    """The values in another storage type: "default", "row_sparse" or "csr"."""
    return data.clone()


@operator(
    "_sparse_retain", shape=lambda shapes, attrs: (shapes, [shapes[0]]), dtype=lambda names, attrs: (names, [names[0]])
)
def sparse_retain(data: Tensor, indices: Tensor) -> Tensor:
    """The rows that are named by indices; the others are zero."""
    rows = torch.zeros(data.shape[0], dtype=torch.bool, device=data.device)
    rows[indices.to(torch.int64)] = True
    return torch.where(rows.reshape(-1, *[1] * (data.dim() - 1)), data, 0)
