"""mx.npx.random: the seed, and distributions that NumPy does not have."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import functions_of
from tensorkeep.mxnet._numpy.random import ExtensionRandom
from tensorkeep.mxnet.numpy._eager import EagerFace
from tensorkeep.mxnet.numpy.multiarray import ndarray


class _Eager(EagerFace, ExtensionRandom):
    """mx.npx.random's functions."""


_FUNCTIONS = functions_of(_Eager(ndarray), ExtensionRandom, "mxnet.numpy_extension.random")
__all__ = ["seed"]
__all__ += [*_FUNCTIONS]  # noqa: PLE0604 - names of the table
globals().update(_FUNCTIONS)


def seed(seed: int, ctx: Any = "all") -> None:
    """Start the random numbers again from a seed."""
    from tensorkeep.mxnet.random import seed as start_again

    start_again(seed, ctx=ctx)


def __getattr__(name: str) -> Any:
    raise missing("mxnet.numpy_extension.random", name, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
