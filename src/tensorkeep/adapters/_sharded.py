"""Tensors of which a process holds parts: torch's DTensor, and a jax.Array on several devices."""

from __future__ import annotations

import sys
from functools import lru_cache
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
        UnsupportedDataError: the tensor is Partial: its values are a sum that nobody made yet; or its part is no box.
    """
    rank = sys.modules["torch.distributed"].get_rank()
    found = _box(tuple(value.shape), value.device_mesh, tuple(value.placements), rank)
    if isinstance(found, str):
        raise UnsupportedDataError(f"{name}: {found}")
    return found


@lru_cache(maxsize=4096)  # a model's tensors are of few shapes, and each look at a mesh takes 0.3 ms
def _box(
    whole: tuple[int, ...], mesh: Any, placements: tuple[Any, ...], rank: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | str:
    """The box, or what stands against it."""
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

    if any(placement.is_partial() for placement in placements):
        return "a DTensor with a Partial placement has no values yet. Redistribute it to Replicate() or Shard(…) first."
    where = mesh.get_coordinate()
    if where is None:
        return (0,) * len(whole), (0,) * len(whole)
    shape, start = compute_local_shape_and_global_offset(whole, mesh, placements)
    box = tuple(int(n) for n in start), tuple(int(n) for n in shape)
    if any(type(placement).__name__ == "_StridedShard" for placement in placements):
        rows = _rows(whole, mesh, placements, where)
        if 0 not in shape and any(own != list(range(a, a + n)) for a, n, own in zip(*box, rows, strict=True)):
            return (
                f"with placements {placements} this process holds several stretches of a DTensor, not one. Choose sizes that the "
                "mesh divides, or redistribute it to plain Shard placements."
            )
    return box


def _rows(whole: tuple[int, ...], mesh: Any, placements: tuple[Any, ...], where: Any) -> list[list[int]]:
    """Along each axis, which elements a process holds: strided shards of sizes that do not divide can be several stretches."""
    torch = sys.modules["torch"]
    rows = [torch.arange(n) for n in whole]
    for placement, ranks, rank in zip(placements, mesh.shape, where, strict=True):
        if hasattr(placement, "dim"):
            parts, _ = placement._split_tensor(rows[placement.dim], ranks, with_padding=False, contiguous=False)
            rows[placement.dim] = parts[rank] if rank < len(parts) else torch.arange(0)
    return [each.tolist() for each in rows]


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
