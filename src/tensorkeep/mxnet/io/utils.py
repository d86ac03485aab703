"""What iterators do with the arrays that they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.ndarray.utils import array

__all__: list[str] = []

Named = list[tuple[str, Any]]
"""Arrays by their names, in the order of the names."""


def is_dataset(value: Any) -> bool:
    """Whether it is an h5py.Dataset, which is read batch by batch."""
    return type(value).__module__.startswith("h5py.") and hasattr(value, "shape")


def init_data(data: Any, allow_empty: bool, default_name: str) -> Named:
    """Arrays by name from an array, a list of them or a dict.

    Raises:
        TypeError: it is something else.
    """
    assert data is not None or allow_empty
    if data is None:
        data = []
    if isinstance(data, (np.ndarray, NDArray)) or is_dataset(data):
        data = [data]
    if isinstance(data, list):
        assert allow_empty or len(data) > 0
        names = [default_name] if len(data) == 1 else [f"_{i}_{default_name}" for i in range(len(data))]
        data = dict(zip(names, data, strict=True))
    if not isinstance(data, dict):
        raise TypeError("Input must be NDArray, numpy.ndarray, h5py.Dataset a list of them or dict with them as values")
    return sorted((name, _array(name, value)) for name, value in data.items()) if data else []


def _array(name: str, value: Any) -> Any:
    if isinstance(value, NDArray) or is_dataset(value):
        return value
    try:
        return array(value)
    except (TypeError, ValueError) as err:
        raise TypeError(
            f"Invalid type '{type(value)}' for {name}, should be NDArray, numpy.ndarray or h5py.Dataset"
        ) from err


def taken(data: Named, order: np.ndarray[Any, Any]) -> Named:
    """The arrays with their rows in another order; datasets stay as they are."""
    found: Named = []
    for name, value in data:
        if is_dataset(value):
            found.append((name, value))
        elif value.stype == "csr":
            dense = array(value.asnumpy()[order], value.context, value.dtype)
            found.append((name, dense.tostype("csr")))
        else:
            index = torch.from_numpy(order).to(value._t.device)
            found.append((name, wrap(value._t.detach()[index], value._ctx, type(value))))
    return found


def rows(value: Any, start: int, stop: int, axis: int, order: np.ndarray[Any, Any]) -> Any:
    """Some entries along the batch axis, as a new array."""
    if is_dataset(value):
        wanted = order[start:stop]
        back = np.argsort(np.argsort(wanted))
        return array(value[np.sort(wanted)][back])
    if value.stype == "csr":
        return value[start:stop]
    tensor = value._t.detach().narrow(axis, start, stop - start)
    return wrap(tensor.clone(), value._ctx, type(value))


claim(globals())
