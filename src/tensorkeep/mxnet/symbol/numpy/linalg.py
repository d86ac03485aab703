"""mx.sym.np.linalg: norms, decompositions and solutions of symbols."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import functions_of
from tensorkeep.mxnet._numpy.linalg import Linalg
from tensorkeep.mxnet.symbol.numpy._symbol import SymbolicFace


class _Symbolic(SymbolicFace, Linalg):
    """mx.sym.np.linalg's functions."""


_FUNCTIONS = functions_of(_Symbolic(), Linalg, "mxnet.numpy.linalg")
__all__: list[str] = []
__all__ += [*_FUNCTIONS]  # noqa: PLE0604 - names of the table
globals().update(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    raise missing("mxnet.symbol.numpy.linalg", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
