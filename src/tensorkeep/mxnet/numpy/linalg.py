"""mx.np.linalg: norms, decompositions, solutions."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import functions_of
from tensorkeep.mxnet._numpy.linalg import Linalg
from tensorkeep.mxnet.numpy._eager import EagerFace
from tensorkeep.mxnet.numpy.fallback_linalg import FUNCTIONS
from tensorkeep.mxnet.numpy.multiarray import ndarray


class _Eager(EagerFace, Linalg):
    """The functions that MXNet has operators for."""


_FUNCTIONS = functions_of(_Eager(ndarray), Linalg, "mxnet.numpy.linalg")
__all__ = [*_FUNCTIONS, *FUNCTIONS]  # noqa: PLE0604 - names of the tables
globals().update(FUNCTIONS)
globals().update(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    raise missing("mxnet.numpy.linalg", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
