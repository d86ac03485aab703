"""npx.save and npx.load: arrays of mx.np in files."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._files import load_arrays, save_arrays
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.numpy.multiarray import ndarray

__all__ = ["load", "save"]


def _needs_semantics(what: str) -> None:
    if not (state.np_shape and state.np_array):
        raise ValueError(
            f"Cannot {what} `mxnet.numpy.ndarray` in legacy mode. Please activate numpy semantics by calling "
            "`npx.set_np()` in the global scope before calling this function."
        )


def save(file: str, arr: Any) -> None:
    """Write an array, a list of arrays or a dict of arrays by name to a file that MXNet reads.

    The file is whole or as it was before: the bytes take its name only once they are on the disk.

    Raises:
        TypeError, ValueError: NumPy semantics are off, or `arr` is something else.
        MXNetError: the file cannot be made there.
    """
    _needs_semantics("save")
    arrays = [arr] if isinstance(arr, ndarray) else arr
    if not isinstance(arrays, (list, dict)):
        raise ValueError("data needs to either be a ndarray, dict of (str, ndarray) pairs or a list of ndarrays.")
    values = arrays.values() if isinstance(arrays, dict) else arrays
    keys = arrays if isinstance(arrays, dict) else ()
    if not all(isinstance(key, str) for key in keys) or not all(isinstance(value, ndarray) for value in values):
        raise TypeError("Only accepts dict str->ndarray or list of ndarrays")
    save_arrays(file, arrays)


def load(file: str) -> Any:
    """The arrays of a file: a dict by name, or a list (of one, for one array) when it has no names.

    Raises:
        TypeError, ValueError: `file` is no string, or NumPy semantics are off.
        MXNetError: there is no such file, it is damaged, or was saved without NumPy's shapes.
    """
    _needs_semantics("load")
    if not isinstance(file, str):
        raise TypeError("file required to be a string")
    return load_arrays(file, ndarray)


claim(globals())
