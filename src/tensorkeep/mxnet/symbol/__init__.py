"""mx.sym: networks described as graphs, and every operator as a function on them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet.symbol._creation import (
    arange,
    eye,
    full,
    histogram,
    hypot,
    linspace,
    maximum,
    minimum,
    ones,
    pow,
    power,
    split_v2,
    zeros,
)  # fmt: skip
from tensorkeep.mxnet.symbol._fluent import add_methods
from tensorkeep.mxnet.symbol.register import compose, serve
from tensorkeep.mxnet.symbol.symbol import Group, Symbol, Variable, load, load_json, loads, var

__all__ = [
    "Group", "Symbol", "Variable", "arange", "compose", "eye", "full", "histogram", "hypot", "linspace", "load",
    "load_json", "loads", "maximum", "minimum", "ones", "pow", "power", "split_v2", "var", "zeros",
]  # fmt: skip

add_methods(Symbol)

_MODULES = {
    "contrib": "symbol.contrib", "image": "symbol.image", "linalg": "symbol.linalg", "np": "symbol.numpy",
    "npx": "symbol.numpy_extension", "numpy": "symbol.numpy", "numpy_extension": "symbol.numpy_extension",
    "op": "symbol.op", "random": "symbol.random", "register": "symbol.register", "sparse": "symbol.sparse",
    "symbol": "symbol.symbol", "_internal": "symbol._internal",
}  # fmt: skip

_operator, __dir__ = serve(globals(), "", "mxnet.symbol")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"tensorkeep.mxnet.{_MODULES[name]}")
    return _operator(name)
