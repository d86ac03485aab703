"""mx.sym.npx: the operators of mx.npx on symbols."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet.numpy_extension._op import names
from tensorkeep.mxnet.symbol.numpy_extension._op import operator

__all__: list[str] = []

_MODULES = ("image", "random")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    found = None if name.startswith("__") else operator(name)
    if found is None:
        raise missing("mxnet.symbol.numpy_extension", name, __dir__())
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*_MODULES, *names()})
