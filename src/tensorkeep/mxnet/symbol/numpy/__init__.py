"""mx.sym.np: the functions of mx.np on symbols."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import Functions, functions_of
from tensorkeep.mxnet.symbol.numpy._symbol import _Symbol, face

_ONLY_EAGER = frozenset({"nonzero"})
"""MXNet has them for arrays only: how many results there are depends on values."""
_FUNCTIONS = {name: f for name, f in functions_of(face, Functions).items() if name not in _ONLY_EAGER}
_CUSTOM = frozenset({"empty_like", "resize", "unravel_index"})
_MODULES = ("_internal", "linalg", "random")

__all__ = ["_Symbol"]
__all__ += [*_FUNCTIONS]  # noqa: PLE0604 - names of the table

globals().update(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _CUSTOM:
        raise AttributeError(
            f"module 'mxnet.symbol.numpy' has no attribute '{name}': MXNet composes a Custom operator in Python for it, "
            f"which a graph of tensorkeep cannot hold. Use mx.np.{name} on arrays, outside of the graph."
        )
    raise missing("mxnet.symbol.numpy", name, __all__)


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
