"""Tensors of which a process holds parts: torch's DTensor, and a jax.Array on several devices."""

from __future__ import annotations

import sys
from typing import Any

from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import UnsupportedDataError

__all__ = ["Box", "box_of", "boxes", "dtensor_like", "fill_dtensor", "is_dtensor"]

Box = tuple[tuple[int, ...], Any]
"""Where a part begins in the whole, and the part: an array."""


def is_dtensor(value: Any) -> bool:
    """Whether it is a torch DTensor."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(value, getattr(module, "DTensor", ()))


def boxes(value: Any, name: str) -> list[Box] | None:
    """The parts that this process holds, each once, without empty ones; None when the value is no tensor in parts.

    Raises:
        UnsupportedDataError: a DTensor whose sum is still to be made, or whose part is no box of the whole.
    """
    if is_dtensor(value):
        start, shape = box_of(value, name)
        local = value.detach().to_local()
        if tuple(local.shape) != shape:
            raise UnsupportedDataError(
                f"{name}: this process holds {list(local.shape)} of a DTensor where its placements {value.placements} say "
                f"{list(shape)}. Redistribute it to plain Shard placements before saving."
            )
        return [(start, local)] if local.numel() or not value.numel() else []
    jax = sys.modules.get("jax")
    if jax is None or not isinstance(value, jax.Array) or isinstance(value, jax.core.Tracer):
        return None
    if len(value.sharding.device_set) < 2 or value.is_fully_replicated:
        return None
    found: dict[tuple[int, ...], Any] = {}
    for shard in value.addressable_shards:
        start = tuple(each.start or 0 for each in shard.index)
        if start not in found and 0 not in shard.data.shape:
            found[start] = shard.data
    return list(found.items())


def box_of(value: Any, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(start, shape) of the part of a DTensor that this process holds; nothing (a size of 0) outside of its mesh.

    Raises:
        UnsupportedDataError: the tensor is Partial: its values are a sum that nobody made yet.
    """
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    if any(placement.is_partial() for placement in value.placements):
        raise UnsupportedDataError(
            f"{name}: a DTensor with a Partial placement has no values yet. Redistribute it to Replicate() or Shard(…) first."
        )
    if value.device_mesh.get_coordinate() is None:
        return (0,) * value.dim(), (0,) * value.dim()
    shape, start = compute_local_shape_and_global_offset(value.shape, value.device_mesh, value.placements)
    found = tuple(int(n) for n in start), tuple(int(n) for n in shape)
    if any(type(placement).__name__ == "_StridedShard" for placement in value.placements):
        _check_box(value, found, name)
    return found


def _check_box(value: Any, box: tuple[tuple[int, ...], tuple[int, ...]], name: str) -> None:
    """Raise UnsupportedDataError unless a part is one box: strided shards of sizes that do not divide can be several."""
    torch = sys.modules["torch"]
    rows = [torch.arange(n) for n in value.shape]
    where = value.device_mesh.get_coordinate()
    for placement, ranks, rank in zip(value.placements, value.device_mesh.shape, where, strict=True):
        if hasattr(placement, "dim"):
            parts, _ = placement._split_tensor(rows[placement.dim], ranks, with_padding=False, contiguous=False)
            rows[placement.dim] = parts[rank] if rank < len(parts) else torch.arange(0)
    for start, size, own in zip(*box, rows, strict=True):
        if own.tolist() != list(range(start, start + size)) and 0 not in box[1]:
            raise UnsupportedDataError(
                f"{name}: with placements {value.placements} this process holds several stretches of a DTensor, not one. Choose "
                "sizes that the mesh divides, or redistribute it to plain Shard placements."
            )


def _part(tensor: Tensor, value: Any) -> Any:
    """The part of a whole that belongs into a DTensor, as a torch.Tensor; only its bytes are read."""
    from tensorkeep.core.foreign import to_torch

    start, shape = box_of(value, "the tensor")
    index = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    return to_torch(tensor[index] if index else tensor.numpy(), copy=True)


def fill_dtensor(value: Any, tensor: Tensor) -> None:
    """Set a DTensor to a whole tensor's values: each process reads and copies its part."""
    if value.device_mesh.get_coordinate() is not None:
        value.detach().to_local().copy_(_part(tensor, value))


def dtensor_like(value: Any, tensor: Tensor) -> Any:
    """A new DTensor of a whole tensor's values and dtype, placed as `value` is; each process reads its part."""
    dtensor = sys.modules["torch.distributed.tensor"].DTensor
    local = _part(tensor, value).to(value.device)
    return dtensor.from_local(
        local, value.device_mesh, value.placements, run_check=False, shape=value.shape, stride=value.stride()
    )
