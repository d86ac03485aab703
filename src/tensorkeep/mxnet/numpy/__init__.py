"""mx.np: NumPy's functions on MXNet's arrays.

Functions that have an operator can be recorded and composed (mx.sym.np); those of `fallback` are NumPy's own, computed
on the values.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet._numpy import Functions, functions_of
from tensorkeep.mxnet.numpy.arrayprint import set_printoptions
from tensorkeep.mxnet.numpy.fallback import FUNCTIONS
from tensorkeep.mxnet.numpy.function_base import meshgrid
from tensorkeep.mxnet.numpy.io import genfromtxt
from tensorkeep.mxnet.numpy.multiarray import array, empty, empty_like, face, ndarray, resize, shape, unravel_index
from tensorkeep.mxnet.numpy.stride_tricks import broadcast_arrays
from tensorkeep.mxnet.numpy.utils import (
    NAN,
    NINF,
    NZERO,
    PINF,
    PZERO,
    NaN,
    bool,
    bool_,
    e,
    finfo,
    float16,
    float32,
    float64,
    inf,
    int8,
    int32,
    int64,
    nan,
    newaxis,
    pi,
    uint8,
)  # fmt: skip

_FUNCTIONS = functions_of(face, Functions)
_MODULES = ("arrayprint", "fallback", "fallback_linalg", "function_base", "io", "linalg", "multiarray", "random",
            "stride_tricks", "utils", "_internal")  # fmt: skip

__all__ = [
    "NAN",
    "NINF",
    "NZERO",
    "PINF",
    "PZERO",
    "NaN",
    "array",
    "bool",
    "bool_",
    "broadcast_arrays",
    "e",
    "empty",
    "empty_like",
    "finfo",
    "float16",
    "float32",
    "float64",
    "genfromtxt",
    "inf",
    "int8",
    "int32",
    "int64",
    "meshgrid",
    "nan",
    "ndarray",
    "newaxis",
    "pi",
    "resize",
    "set_printoptions",
    "shape",
    "uint8",
    "unravel_index",
]  # fmt: skip
__all__ += [*_FUNCTIONS, *FUNCTIONS]  # noqa: PLE0604 - names of the tables

globals().update(FUNCTIONS)
globals().update(_FUNCTIONS)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise missing("mxnet.numpy", name, globals())


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
