"""MXNetError, and how the classes of this package come to carry MXNet's own module paths."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tensorkeep.errors import TensorkeepError

__all__ = [
    "MXNetError", "NotImplementedForSymbol", "NotSupportedForSparseNDArray", "claim", "data_dir", "integer_types",
    "mx_real_t", "numeric_types", "py_str", "string_types",
]  # fmt: skip

integer_types = (int, np.int32, np.int64)
numeric_types = (float, int, np.generic)
string_types = (str,)
mx_real_t = np.float32


def py_str(x: bytes) -> str:
    """The text of UTF-8 bytes."""
    return x.decode("utf-8")


def data_dir() -> str:
    """The folder for datasets and models: $MXNET_HOME, by default ~/.mxnet."""
    return os.environ.get("MXNET_HOME") or os.path.join(os.path.expanduser("~"), ".mxnet")


_OURS = "tensorkeep.mxnet"


def claim(namespace: dict[str, Any], path: str | None = None) -> None:
    """Give the classes and functions that a module defines MXNet's module path: "mxnet.gluon.block" and so on.

    Pickles then name what real MXNet has, and printed types read as its users know them. Called with `globals()` at the
    end of a module; `path` is for a module whose things stand elsewhere in MXNet.
    """
    own = namespace["__name__"]
    path = path or "mxnet" + own[len(_OURS) :]
    for value in list(namespace.values()):
        if getattr(value, "__module__", None) == own and hasattr(value, "__qualname__"):
            value.__module__ = path


def _as_list(value: Any) -> Any:
    """The value itself when it is a list or tuple, else a list of it. Scripts import it from here."""
    return value if isinstance(value, (list, tuple)) else [value]


class MXNetError(TensorkeepError, RuntimeError):
    """What MXNet raises for everything that goes wrong below its Python surface; the text is MXNet's own sentence."""


class NotImplementedForSymbol(MXNetError):
    """A method of NDArray was called on a Symbol, which has no values."""

    def __init__(self, function: Any, alias: str | None, *args: Any) -> None:
        named = function if isinstance(function, str) else function.__name__
        text = f"Function {named}"
        if alias:
            text += f' (namely operator "{alias}")'
        if args:
            text += f" with arguments ({', '.join(str(type(arg)) for arg in args)})"
        super().__init__(f"{text} is not implemented for Symbol and only available in NDArray.")


class NotSupportedForSparseNDArray(MXNetError):
    """A method of NDArray was called on a sparse array, which does not have it."""

    def __init__(self, function: Any, alias: str | None, *args: Any) -> None:
        text = f"Function {function.__name__}"
        if alias:
            text += f' (namely operator "{alias}")'
        if args:
            text += f" with arguments ({', '.join(str(type(arg)) for arg in args)})"
        super().__init__(f"{text} is not supported for SparseNDArray and only available in NDArray.")


claim(globals())
