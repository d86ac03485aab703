"""Random masks for layers, drawn from the generator that mx.random.seed starts."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from tensorkeep.mxnet._rng import generator, torch_generator

__all__ = ["bernoulli", "uniform"]


def uniform(like: Tensor, low: float, high: float) -> Tensor:
    """Values between low and high in the shape, dtype and place of `like`; shapes alone for a meta tensor."""
    made = torch.empty_like(like, requires_grad=False)
    if like.device.type == "meta":
        return made
    return made.uniform_(low, high, generator=torch_generator(like.device))


def bernoulli(like: Tensor, shape: Sequence[int], keep: float) -> Tensor:
    """1 / keep with the probability `keep`, else 0, in `shape`; dtype and place of `like`.

    On a CPU these are the masks that MXNet draws after the same seed.
    """
    if like.device.type == "cpu":
        kind = np.float32 if like.dtype is torch.float32 else np.float64
        drawn = generator().uniform(prod(shape), kind).astype(np.float32, copy=False)
        # MXNet's two kernels differ in what they do with a number that is `keep` itself.
        whole = tuple(shape) == tuple(like.shape)
        kept = drawn <= np.float32(keep) if whole else drawn < np.float32(keep)
        mask = torch.from_numpy(kept.reshape(tuple(shape))).to(like.dtype)
        return mask.div_(keep) if keep else mask
    made = torch.empty(shape, dtype=like.dtype, device=like.device)
    if like.device.type == "meta":
        return made
    made.bernoulli_(keep, generator=torch_generator(like.device))
    return made.div_(keep) if keep else made
