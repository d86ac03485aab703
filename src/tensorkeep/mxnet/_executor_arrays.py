"""The arrays of executors: made, written into, shared, cut from larger ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._dtypes import NAMES, TORCH
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "REQUESTS",
    "copy_into",
    "from_buffer",
    "listed",
    "resized",
    "shared_or_zeros",
    "simple_requests",
    "zeros_of",
]

REQUESTS = {"null": 0, "write": 1, "add": 3}


def listed(shape: Sequence[int]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"


def zeros_of(shape: Sequence[int], dtype: str, ctx: Context) -> Any:
    return wrap(torch.zeros(tuple(shape), dtype=TORCH[dtype], device=ctx.torch_device), ctx, NDArray)


def copy_into(source: Any, target: Any) -> None:
    tensor = source._t.detach() if isinstance(source, NDArray) else torch.from_numpy(np.ascontiguousarray(source))
    if tuple(tensor.shape) != tuple(target._t.shape):
        raise MXNetError(
            f"Incompatible attr in node  at 0-th output: expected {listed(tuple(tensor.shape))}, "
            f"got {listed(target.shape)}"
        )
    if target.stype != "default":
        target[:] = source if isinstance(source, NDArray) else wrap(tensor, target._ctx, NDArray)
    else:
        target._t.detach().copy_(tensor)


def resized(old: Any, shape: tuple[int, ...], what: str, allow_up_sizing: bool) -> Any:
    if shape == tuple(old.shape):
        return old
    if prod(shape) > old.size:
        if not allow_up_sizing:
            raise MXNetError(
                f"New shape of {what} is larger than original.First making a big executor and then down sizing it is "
                "more efficient than the reverse.If you really want to up size, set allow_up_sizing=True to enable "
                "allocation of new arrays."
            )
        return zeros_of(shape, NAMES[old._t.dtype], old._ctx)
    return wrap(old._t.detach().reshape(-1)[: prod(shape)].view(shape), old._ctx, NDArray)


def shared_or_zeros(old: Any, shape: tuple[int, ...], dtype: str, ctx: Context) -> Any:
    """The array of another executor where it fits, else zeros."""
    if old is not None and tuple(old.shape) == shape and old._t.dtype is TORCH[dtype]:
        return old
    return zeros_of(shape, dtype, ctx)


def from_buffer(buffer: dict[str, Any] | None, name: str, shape: tuple[int, ...], dtype: str, ctx: Context) -> Any:
    if buffer is None:
        return zeros_of(shape, dtype, ctx)
    old = buffer.get(name)
    if old is not None and old._t.dtype is TORCH[dtype] and old.size >= prod(shape):
        return old if tuple(old.shape) == shape else resized(old, shape, name, False)
    made = buffer[name] = zeros_of(shape, dtype, ctx)
    return made


def simple_requests(grad_req: Any, names: list[str]) -> list[str]:
    if grad_req is None:
        requests = ["null"] * len(names)
    elif isinstance(grad_req, str):
        requests = [grad_req] * len(names)
    elif isinstance(grad_req, dict):
        requests = [grad_req.get(name, "null") for name in names]
    else:
        requests = list(grad_req)
        if len(requests) != len(names):
            raise MXNetError(
                "The length of grad_req list does not match the number of input arguments in simple_bind, expected "
                f"{len(names)}, provided {len(requests)}"
            )
    values = [*requests, *(grad_req.values() if isinstance(grad_req, dict) else ())]
    for request in values:
        if request not in REQUESTS:
            raise MXNetError(
                f"grad_req={request} is not a valid input in simple_bind; only 'null', 'write', and 'add' are supported"
            )
    return requests
