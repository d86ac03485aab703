"""mx.gluon: networks as blocks, run at once or as a graph."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet.gluon import loss, nn, rnn, utils
from tensorkeep.mxnet.gluon.block import Block, HybridBlock, SymbolBlock
from tensorkeep.mxnet.gluon.parameter import (
    Constant,
    DeferredInitializationError,
    Parameter,
    ParameterDict,
    tensor_types,
)
from tensorkeep.mxnet.gluon.trainer import Trainer

__all__ = [
    "Block", "Constant", "DeferredInitializationError", "HybridBlock", "Parameter", "ParameterDict", "SymbolBlock",
    "Trainer", "loss", "nn", "rnn", "tensor_types", "utils",
]  # fmt: skip

_MODULES = ("contrib", "data", "model_zoo")  # imported when first used


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise missing("mxnet.gluon", name, [*_MODULES, *__all__])


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
