"""mx.npx: what NumPy does not have: neural network operators, files, contexts, the switches of NumPy semantics."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet.context import Context, cpu, cpu_pinned, current_context, gpu, gpu_memory_info, num_gpus
from tensorkeep.mxnet.numpy_extension._op import names, operator
from tensorkeep.mxnet.numpy_extension.utils import load, save
from tensorkeep.mxnet.util import get_cuda_compute_capability, is_np_array, is_np_shape, reset_np, set_np

__all__ = [
    "Context", "cpu", "cpu_pinned", "current_context", "get_cuda_compute_capability", "gpu", "gpu_memory_info",
    "is_np_array", "is_np_shape", "load", "num_gpus", "reset_np", "save", "seed", "set_np", "waitall",
]  # fmt: skip

_MODULES = ("image", "random", "utils")


def waitall() -> None:
    """Wait until everything is computed."""
    from tensorkeep.mxnet.ndarray import waitall

    waitall()


def seed(seed: int, ctx: Any = "all") -> None:
    """Start the random numbers again from a seed."""
    from tensorkeep.mxnet.random import seed as start_again

    start_again(seed, ctx=ctx)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    found = operator(name)
    if found is None:
        raise missing("mxnet.numpy_extension", name, __dir__())
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *names()})
