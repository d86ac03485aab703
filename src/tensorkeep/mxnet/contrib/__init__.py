"""mx.contrib: text, iterators and the first autograd; what is not there is refused by name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet._faces import missing

_MODULES = {
    "amp": "contrib.amp", "autograd": "contrib.autograd", "io": "contrib.io", "nd": "ndarray.contrib",
    "ndarray": "ndarray.contrib", "onnx": "contrib.onnx", "quant": "contrib.quantization",
    "quantization": "contrib.quantization", "svrg_optimization": "contrib.svrg_optimization",
    "sym": "symbol.contrib", "symbol": "symbol.contrib", "tensorboard": "contrib.tensorboard", "text": "contrib.text",
}  # fmt: skip
"""Public name → the module behind it; imported when first used."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise missing("mxnet.contrib", name, _MODULES)
    return import_module(f"tensorkeep.mxnet.{_MODULES[name]}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
