"""Arrays of one shape."""

from __future__ import annotations

from typing import Any

import numpy as onp

from tensorkeep.mxnet.numpy.multiarray import face

__all__ = ["broadcast_arrays"]


def broadcast_arrays(*args: Any) -> list[Any]:
    """The arrays, each repeated to the shape that all of them broadcast to."""
    shape = onp.broadcast_shapes(*[array.shape for array in args])
    return [array if array.shape == shape else face.broadcast_to(array, shape) for array in args]
