"""mx.np.random: random numbers as NumPy names them, drawn from MXNet's generator."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import functions_of
from tensorkeep.mxnet._numpy.random import Random
from tensorkeep.mxnet.numpy._eager import EagerFace
from tensorkeep.mxnet.numpy.multiarray import ndarray


class _Eager(EagerFace, Random):
    """mx.np.random's functions."""


face = _Eager(ndarray)
_FUNCTIONS = functions_of(face, Random, "mxnet.numpy.random")
__all__ = list(_FUNCTIONS)
globals().update(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    raise missing("mxnet.numpy.random", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
