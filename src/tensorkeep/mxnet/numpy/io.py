"""Arrays from text files."""

from __future__ import annotations

from typing import Any

import numpy as onp

from tensorkeep.mxnet.numpy.multiarray import array

__all__ = ["genfromtxt"]


def genfromtxt(*args: Any, **kwargs: Any) -> Any:
    """numpy.genfromtxt as an mx.np.ndarray on a device."""
    ctx = kwargs.pop("ctx", None)
    found = onp.genfromtxt(*args, **kwargs)
    return array(found, dtype=found.dtype, ctx=ctx)
