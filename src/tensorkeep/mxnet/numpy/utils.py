"""The constants of mx.np and NumPy's types under its names."""

from __future__ import annotations

import builtins

import numpy as onp
from numpy import bool_, float16, float32, float64, int8, int32, int64, uint8

__all__ = [
    "NAN",
    "NINF",
    "NZERO",
    "PINF",
    "PZERO",
    "NaN",
    "bool",
    "bool_",
    "e",
    "finfo",
    "float16",
    "float32",
    "float64",
    "inf",
    "int8",
    "int32",
    "int64",
    "nan",
    "newaxis",
    "pi",
    "uint8",
]  # fmt: skip

pi, e, inf, nan = onp.pi, onp.e, onp.inf, onp.nan
NAN = NaN = nan
PINF, NINF, PZERO, NZERO = inf, -inf, 0.0, -0.0
newaxis = None
finfo = onp.finfo
bool = builtins.bool
