"""mx.sym.np.random: random numbers that are drawn when the graph is computed."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import functions_of
from tensorkeep.mxnet._numpy.random import Random
from tensorkeep.mxnet.symbol.numpy._symbol import SymbolicFace


class _Symbolic(SymbolicFace, Random):
    """mx.sym.np.random's functions."""


_ONLY_EAGER = frozenset({"multinomial", "randn"})
"""MXNet has them for arrays only."""
_FUNCTIONS = {
    name: f for name, f in functions_of(_Symbolic(), Random, "mxnet.numpy.random").items() if name not in _ONLY_EAGER
}
__all__: list[str] = []
__all__ += [*_FUNCTIONS]  # noqa: PLE0604 - names of the table
globals().update(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    raise missing("mxnet.symbol.numpy.random", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
