"""mx.random: the seed of every random number; the distributions are those of mx.nd.random."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorkeep.mxnet import _rng
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.context import Context, parse_context

__all__ = ["seed"]


def seed(seed_state: int, ctx: Context | str = "all") -> None:
    """Start the random number generators anew, so that the same numbers follow again.

    Args:
        seed_state: a whole number.
        ctx: "all", or the one context whose generator is meant. The numbers that follow differ between the two, as they
            do in MXNet.
    Raises:
        ValueError: the seed is not a whole number.
    """
    if not isinstance(seed_state, (int, np.integer)):
        raise ValueError("seed_state must be int")
    everywhere = isinstance(ctx, str) and ctx == "all"
    if not everywhere:
        parse_context(ctx)
    _rng.seed(int(seed_state), device_only=not everywhere)


def __getattr__(name: str) -> Any:
    from tensorkeep.mxnet.ndarray import random as distributions

    return getattr(distributions, name)


claim(globals())
