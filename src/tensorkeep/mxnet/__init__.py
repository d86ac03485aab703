"""MXNet 1.9.1's Python API, computed by PyTorch, without MXNet.

import tensorkeep.mxnet as mx

Its names are MXNet's own; its files are byte-compatible. `install()` makes `import mxnet` give this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._install import fallback
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import Context, cpu, cpu_pinned, current_context, gpu, gpu_memory_info, num_gpus

__all__ = ["Context", "MXNetError", "cpu", "cpu_pinned", "current_context", "gpu", "gpu_memory_info", "num_gpus"]

__version__ = "1.9.1"

_MODULES = {
    "attribute": "attribute", "autograd": "autograd", "base": "base", "callback": "callback", "context": "context",
    "contrib": "contrib", "engine": "engine", "error": "error", "executor": "executor", "executor_manager": "executor_manager",
    "gluon": "gluon", "image": "image", "img": "image", "init": "initializer", "initializer": "initializer",
    "io": "io", "kv": "kvstore", "kvstore": "kvstore", "libinfo": "libinfo", "log": "log",
    "lr_scheduler": "lr_scheduler", "metric": "metric",
    "mod": "module", "model": "model", "module": "module", "mon": "monitor", "monitor": "monitor", "name": "name",
    "nd": "ndarray", "ndarray": "ndarray", "np": "numpy", "npx": "numpy_extension", "numpy": "numpy",
    "np_symbol": "symbol.numpy", "numpy_dispatch_protocol": "numpy_dispatch_protocol",
    "numpy_extension": "numpy_extension", "operator": "operator", "opt": "optimizer", "optimizer": "optimizer",
    "profiler": "profiler", "random": "random", "recordio": "recordio", "registry": "registry", "rnd": "random",
    "rnn": "rnn", "runtime": "runtime", "sym": "symbol", "symbol": "symbol", "test_utils": "test_utils", "util": "util",
    "visualization": "visualization", "viz": "visualization",
}  # fmt: skip
"""Public name → the module behind it; imported when first used."""

_NAMES = {
    "AttrScope": "attribute", "FeedForward": "model", "Monitor": "monitor", "waitall": "ndarray",
    "install": "_install", "uninstall": "_install", "is_np_array": "util", "is_np_shape": "util", "np_array": "util",
    "np_shape": "util", "set_np_shape": "util", "use_np": "util", "use_np_array": "util", "use_np_shape": "util",
}  # fmt: skip

_INSIDE = "It is part of MXNet's inside, and has no counterpart here."
_REFUSED = {
    "_api_internal": _INSIDE, "_ctypes": _INSIDE, "_cy3": _INSIDE, "_ffi": _INSIDE, "_global_var": _INSIDE,
    "_numpy_op_doc": _INSIDE, "api": _INSIDE, "ndarray_doc": _INSIDE, "numpy_op_fallback": _INSIDE,
    "numpy_op_signature": _INSIDE, "symbol_doc": _INSIDE, "tvmop": _INSIDE,
    "library": "C++ libraries cannot be loaded; write operators as mx.operator.CustomOp.",
    "notebook": "Its charts of a training need bokeh; use mx.callback or the Estimator's handlers.",
    "onnx": "Convert between ONNX and MXNet with MXNet itself.",
    "rtc": "CUDA sources are not compiled; write operators as mx.operator.CustomOp.",
    "th": "It called Torch 7; import torch is the present one.",
    "torch": "It called Torch 7; import torch is the present one.",
}  # fmt: skip
"""What MXNet 1.9.1 has and this package refuses: why, and what to use."""


def __getattr__(name: str) -> Any:
    value: Any
    if name in _MODULES:
        module = f"{__name__}.{_MODULES[name]}"
        try:
            value = import_module(module)
        except ModuleNotFoundError as err:
            if err.name != module:
                raise
            raise missing("mxnet", name, [*_MODULES, *_NAMES, *__all__]) from None
    elif name in _NAMES:
        value = getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)
    elif name in _REFUSED:
        raise AttributeError(f"module 'mxnet' has no attribute '{name}': tensorkeep does not have it. {_REFUSED[name]}")
    else:
        raise missing("mxnet", name, [*_MODULES, *_NAMES, *__all__])
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})


fallback()
