"""mx.sym.npx.random: distributions that NumPy does not have, drawn when the graph is computed."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import functions_of
from tensorkeep.mxnet._numpy.random import ExtensionRandom
from tensorkeep.mxnet.symbol.numpy._symbol import SymbolicFace


class _Symbolic(SymbolicFace, ExtensionRandom):
    """mx.sym.npx.random's functions."""


_FUNCTIONS = functions_of(_Symbolic(), ExtensionRandom, "mxnet.numpy_extension.random")
__all__: list[str] = []
__all__ += [*_FUNCTIONS]  # noqa: PLE0604 - names of the table
globals().update(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    raise missing("mxnet.symbol.numpy_extension.random", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
