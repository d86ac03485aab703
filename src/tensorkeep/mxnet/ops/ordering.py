"""Sorting and searching along an axis. Among equal elements the first comes first."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import TORCH
from tensorkeep.mxnet._registry import Attrs, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like
from tensorkeep.mxnet.ops._shapes import DTypes


def _numbers(data: Tensor) -> None:
    if data.dtype is torch.bool:
        raise MXNetError("Unknown type enum 7: the operator does not take bool, cast it.")


def _along(data: Tensor, axis: int | None) -> tuple[Tensor, int]:
    """The array and the axis to sort along; flat when axis is None."""
    _numbers(data)
    if axis is None:
        return data.flatten(), 0
    rank = data.dim()
    found = axis + rank if axis < 0 else axis
    if not 0 <= found < rank:
        raise MXNetError(f"Invalid axis! axis should be between 0 and {rank}, found axis={axis}")
    return data, found


def _index_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    return dtypes, [attrs["dtype"]]


@operator("sort")
def sort(data: Tensor, *, axis: int | None = -1, is_ascend: bool = True) -> Tensor:
    """The elements in order along an axis; axis None sorts all of them into one row."""
    data, along = _along(data, axis)
    return torch.sort(data, dim=along, descending=not is_ascend, stable=True).values


@operator("argsort", dtype=_index_dtype)
def argsort(data: Tensor, *, axis: int | None = -1, is_ascend: bool = True, dtype: str = "float32") -> Tensor:
    """Where the elements stand, in the order in which they would be sorted along an axis; of the given dtype."""
    data, along = _along(data.detach(), axis)
    return torch.sort(data, dim=along, descending=not is_ascend, stable=True).indices.to(TORCH[dtype])


def _topk_outputs(attrs: Attrs) -> int:
    return 2 if attrs["ret_typ"] == "both" else 1


def _topk_dtype(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    found = {"value": [dtypes[0]], "mask": [dtypes[0]], "both": [dtypes[0], attrs["dtype"]]}
    return dtypes, found.get(attrs["ret_typ"], [attrs["dtype"]])


@operator("topk", outputs=_topk_outputs, dtype=_topk_dtype)
def topk(
    data: Tensor, *, axis: int | None = -1, k: int = 1, ret_typ: str = "indices", is_ascend: bool = False,
    dtype: str = "float32",
) -> Tensor | tuple[Tensor, Tensor]:  # fmt: skip
    """The k largest elements along an axis, or with is_ascend the smallest.

    axis: None searches in all elements. k: 0 or less for all. ret_typ: "indices" (of the given dtype), "value",
    "both", or "mask": an array like data with 1 where one of them stands.
    """
    shape = data.shape
    data, along = _along(data, axis)
    length = data.shape[along]
    if k > length:
        raise MXNetError(f"k must be smaller than {length}, get k = {k}")
    values, indices = torch.sort(data, dim=along, descending=not is_ascend, stable=True)
    if 0 < k < length:
        values, indices = values.narrow(along, 0, k), indices.narrow(along, 0, k)
    if ret_typ == "mask":
        return torch.zeros_like(data).scatter_(along, indices, 1).reshape(shape)
    if ret_typ == "value":
        return values.contiguous()
    found = indices.to(TORCH[dtype]).contiguous()
    return (values.contiguous(), found) if ret_typ == "both" else found


def _position(data: Tensor, axis: int | None, keepdims: bool, largest: bool) -> Tensor:
    _numbers(data)
    rank = data.dim()
    if axis is not None and not -rank <= axis < max(rank, 1):
        raise MXNetError(f"axis {axis} exceeds the input dimension of {rank}")
    if data.numel() == 0 and axis is None:
        raise MXNetError("attempt to search an empty sequence")
    if axis is not None and rank and data.shape[axis] == 0:
        raise MXNetError(
            f"searching input tensor of shape {like(data.shape)} along axis = {axis} of zero dim-size is not allowed"
        )
    search = torch.argmax if largest else torch.argmin
    found = (
        search(data, axis, keepdims) if axis is not None else search(data).reshape((1,) * rank if keepdims else (1,))
    )
    return (found if found.dim() else found.reshape(1)).to(data.dtype)


@operator("argmax")
def argmax(data: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the largest element stands along an axis, or with axis None in the flat array; of data's dtype."""
    return _position(data, axis, keepdims, True)


@operator("argmin")
def argmin(data: Tensor, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Where the smallest element stands along an axis, or with axis None in the flat array; of data's dtype."""
    return _position(data, axis, keepdims, False)


@operator("argmax_channel")
def argmax_channel(data: Tensor) -> Tensor:
    """Where the largest element stands along axis 1; of data's dtype."""
    return _position(data, 1, False, True)
