"""mx.nd: arrays that are computed at once, and every operator as a function on them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from tensorkeep.mxnet._faces import serve
from tensorkeep.mxnet.dlpack import from_dlpack, from_numpy, from_torch, to_dlpack_for_read, to_dlpack_for_write
from tensorkeep.mxnet.ndarray import ndarray
from tensorkeep.mxnet.ndarray._creation import (
    arange,
    concatenate,
    eye,
    full,
    histogram,
    linspace,
    moveaxis,
    onehot_encode,
    ones,
    split_v2,
)  # fmt: skip
from tensorkeep.mxnet.ndarray.ndarray import (
    NDArray,
    add,
    divide,
    equal,
    greater,
    greater_equal,
    lesser,
    lesser_equal,
    logical_and,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    modulo,
    multiply,
    not_equal,
    power,
    subtract,
    true_divide,
)  # fmt: skip
from tensorkeep.mxnet.ndarray.register import call
from tensorkeep.mxnet.ndarray.sparse import cast_storage
from tensorkeep.mxnet.ndarray.utils import array, empty, load, load_frombuffer, save, zeros

__all__ = [
    "NDArray", "add", "arange", "array", "cast_storage", "concatenate", "divide", "empty", "equal", "eye",
    "from_dlpack", "from_numpy", "from_torch", "full", "greater", "greater_equal", "histogram", "lesser",
    "lesser_equal", "linspace", "load", "load_frombuffer", "logical_and", "logical_or", "logical_xor", "maximum",
    "minimum", "modulo", "moveaxis", "multiply", "ndarray", "not_equal", "onehot_encode", "ones", "power", "save",
    "split_v2", "subtract", "to_dlpack_for_read", "to_dlpack_for_write", "true_divide", "waitall", "zeros",
]  # fmt: skip

_MODULES = {
    "contrib": "ndarray.contrib", "image": "ndarray.image", "linalg": "ndarray.linalg", "np": "numpy",
    "npx": "numpy_extension", "numpy": "numpy", "numpy_extension": "numpy_extension", "op": "ndarray.op",
    "random": "ndarray.random", "register": "ndarray.register", "sparse": "ndarray.sparse", "utils": "ndarray.utils",
    "_internal": "ndarray._internal",
}  # fmt: skip

_operator, __dir__ = serve(globals(), "", call, "mxnet.ndarray")


def waitall() -> None:
    """Wait until everything that was asked for is computed."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"tensorkeep.mxnet.{_MODULES[name]}")
    return _operator(name)
