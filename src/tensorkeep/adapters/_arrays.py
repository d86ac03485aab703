"""What the adapters of JAX's frameworks share: arrays that cannot change, on devices and shardings of their own."""

from __future__ import annotations

import sys
from typing import Any

from tensorkeep.core.dtypes import DTYPES, DType, dtype_of_numpy
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import UnsupportedDataError

__all__ = ["class_in", "device_of", "dtype_of", "is_array", "is_jax", "like", "value_of"]


def is_array(value: Any) -> bool:
    """Whether it is an array of numbers, of NumPy, JAX or torch, or jax.ShapeDtypeStruct, which stands for one."""
    kind = type(value)
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        return dtype_of_numpy(value.dtype) is not None
    if is_jax(value):
        return not _is_key(value)
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_jax(value: Any) -> bool:
    """Whether it is a jax.Array or a jax.ShapeDtypeStruct."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, (jax.Array, jax.ShapeDtypeStruct))


def _is_key(value: Any) -> bool:
    """Whether it is a key of JAX's random generator, which is no array of numbers."""
    return sys.modules["jax"].dtypes.issubdtype(value.dtype, sys.modules["jax"].dtypes.prng_key)  # type: ignore[no-any-return]


def dtype_of(value: Any, name: str) -> DType:
    """The DType of an array of any framework."""
    found = DTYPES.get(str(value.dtype).removeprefix("torch.").removeprefix("float4_e2m1fn_"))
    if found is None:
        raise UnsupportedDataError(f"{name}: an array of dtype {value.dtype} cannot be saved or loaded as a tensor.")
    return found


def device_of(value: Any) -> str:
    """Where an array lies, in words; "meta" of a ShapeDtypeStruct."""
    if is_jax(value):
        jax = sys.modules["jax"]
        if not isinstance(value, jax.Array):
            return "meta"
        devices = value.devices()
        return str(next(iter(devices))) if len(devices) == 1 else f"{len(devices)} devices"
    return str(getattr(value, "device", "cpu"))


def value_of(value: Any, name: str) -> Any:
    """What `tk.save` takes for an array.

    Raises:
        UnsupportedDataError: a ShapeDtypeStruct, which has no values, or an array of which other processes hold a part.
    """
    if is_jax(value):
        jax = sys.modules["jax"]
        if not isinstance(value, jax.Array):
            raise UnsupportedDataError(
                f"{name}: a jax.ShapeDtypeStruct has no values. Load or initialise it before saving."
            )
        if not value.is_fully_addressable and not value.is_fully_replicated:
            raise UnsupportedDataError(
                f"{name}: other processes hold parts of this array. Gather it first "
                "(jax.experimental.multihost_utils.process_allgather), or save a checkpoint, which each process writes its part of."
            )
    return value


def like(old: Any, values: Any, device: Any = None) -> Any:
    """`values` (a numpy.ndarray, or a Tensor of which only the parts that are needed are read) as an array like `old`.

    Args:
        old: whose framework, sharding and device it gets.
        device: a jax device or sharding, or a torch device, instead of that of `old`.
    """
    if is_jax(old):
        jax = sys.modules["jax"]
        where = device if device is not None else old.sharding
        if where is None:
            return jax.numpy.asarray(_whole(values))
        if isinstance(where, jax.sharding.Sharding) and len(where.device_set) > 1:
            return jax.make_array_from_callback(tuple(values.shape), where, lambda index: _owned(values[index]))
        return jax.device_put(_whole(values), where)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(old, torch.Tensor):
        from tensorkeep.core.foreign import to_torch

        made = to_torch(_whole(values), device=device if device is not None else old.device)
        return made.requires_grad_(old.requires_grad)
    return _owned(_whole(values))


def _whole(values: Any) -> Any:
    return values.numpy() if isinstance(values, Tensor) else values


def _owned(values: Any) -> Any:
    import numpy as np

    return values if values.flags.owndata and values.flags.writeable else np.array(values)


def class_in(owner: Any, root: str) -> str:
    """The name of a framework's own class that a layer is of, or inherits from; else its own class."""
    for kind in type(owner).__mro__:
        if kind.__module__.partition(".")[0] == root and not kind.__name__.startswith("_"):
            bare = kind.__name__ in ("Module", "Layer", "Block", "HybridBlock")
            return type(owner).__name__ if bare else kind.__name__
    return type(owner).__name__
