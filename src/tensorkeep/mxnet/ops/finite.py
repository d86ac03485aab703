"""What optimizers ask of many arrays at once: whether they are finite, how large they are; and setting them to 0."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._shapes import DTypes, Shapes
from tensorkeep.mxnet.ops._updates import unrecorded


def _one(shapes: list[Shape], attrs: Attrs) -> Shapes:
    return shapes, [(1,)]


def _float32(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, ["float32"]


def _floats(array: Tensor) -> None:
    if not array.is_floating_point():
        raise MXNetError(f"This operation only support floating point types, not {NAMES[array.dtype]}")


@unrecorded
def _finite(arrays: tuple[Tensor, ...], init_output: bool, device: torch.device, out: Tensor | None) -> Tensor:
    found = torch.ones(1, dtype=torch.float32, device=device)
    if out is not None and not init_output:
        found = found * out.reshape(1).float()
    for array in arrays:
        _floats(array)
        found = found * torch.isfinite(array).all()
    return found


@operator("all_finite", shape=_one, dtype=_float32)
def all_finite(data: Tensor, *, init_output: bool = True, device: torch.device, out: Tensor | None = None) -> Tensor:
    """1 when every element is finite, else 0: (1,) of float32. init_output=False: and out= was 1 before."""
    return _finite((data,), init_output, device, out)


@operator("multi_all_finite", shape=_one, dtype=_float32)
def multi_all_finite(
    *data: Tensor, num_arrays: int = 1, init_output: bool = True, device: torch.device, out: Tensor | None = None
) -> Tensor:
    """1 when every element of all arrays is finite, else 0: (1,) of float32. init_output=False: and out= was 1 before."""
    return _finite(data, init_output, device, out)


@operator("multi_sum_sq", shape=lambda shapes, attrs: (shapes, [(len(shapes),)]), dtype=_float32)
@unrecorded
def multi_sum_sq(*data: Tensor, num_arrays: int) -> Tensor:
    """The sum of the squares of each array, as one array of float32; squares are rounded to the array's dtype."""
    return torch.stack([array.square().double().sum() for array in data]).float()


@operator("reset_arrays", outputs=0)
@unrecorded
def reset_arrays(*data: Tensor, num_arrays: int) -> tuple[Tensor, ...]:
    """Set arrays to 0, in place; nothing is given back."""
    for array in data:
        _floats(array)
    for array in data:
        array.zero_()
    return ()


@operator("multi_lars", shape="same")
@unrecorded
def multi_lars(
    lrs: Tensor, weights_sum_sq: Tensor, grads_sum_sq: Tensor, wds: Tensor, *, eta: float, eps: float,
    rescale_grad: float = 1.0,
) -> Tensor:  # fmt: skip
    """The learning rates of LARS: lr · eta · |w| / (|g| · rescale_grad + wd · |w| + eps), lr where |w| or |g| is 0."""
    if len({tuple(array.shape) for array in (lrs, weights_sum_sq, grads_sum_sq, wds)}) != 1:
        raise MXNetError(f"multi_lars takes arrays of one shape, got {like(lrs.shape)}, {like(wds.shape)} and others")
    weight, grad = torch.sqrt(weights_sum_sq), torch.sqrt(grads_sum_sq)
    rate = lrs * eta * weight / (grad * rescale_grad + wds * weight + eps)
    return torch.where((weight > 0) & (grad > 0), rate, lrs)
