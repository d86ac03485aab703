"""mx.npx: what NumPy does not have: neural network operators, files, contexts, the switches of NumPy semantics."""

from __future__ import annotations

from tensorkeep.mxnet.context import Context, cpu, cpu_pinned, current_context, gpu, gpu_memory_info, num_gpus
from tensorkeep.mxnet.util import (
    get_cuda_compute_capability,
    is_np_array,
    is_np_shape,
    reset_np,
    set_np,
)  # fmt: skip

__all__ = [
    "Context", "cpu", "cpu_pinned", "current_context", "get_cuda_compute_capability", "gpu", "gpu_memory_info",
    "is_np_array", "is_np_shape", "num_gpus", "reset_np", "set_np",
]  # fmt: skip
