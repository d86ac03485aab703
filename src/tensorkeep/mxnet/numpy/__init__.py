"""mx.np: NumPy's functions on MXNet's arrays."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as _onp
from numpy import bool_, finfo, float16, float32, float64, int8, int32, int64, uint8

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import Functions, functions_of
from tensorkeep.mxnet.numpy.multiarray import array, empty, face, ndarray

__all__ = ["array", "bool_", "empty", "finfo", "float16", "float32", "float64", "int8", "int32", "int64", "ndarray",
           "uint8"]  # fmt: skip

bool = bool
pi, e, inf, nan, newaxis = _onp.pi, _onp.e, _onp.inf, _onp.nan, None
NAN = NaN = nan
NINF, PINF, NZERO, PZERO = -inf, inf, -0.0, 0.0

globals().update(functions_of(face, Functions))

_MODULES = ("linalg", "random")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise missing("mxnet.numpy", name, globals())
