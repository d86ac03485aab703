"""Carrying out a Plan: values straight into the model's memory where it has some, else in batches through memory of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorkeep.adapters.base import Adapter
from tensorkeep.adapters.match import Row
from tensorkeep.core.dtypes import numpy_dtype
from tensorkeep.core.tensor import Tensor

__all__ = ["fill"]

_BATCH_NBYTES = 256 << 20
"""What is held in memory of its own at a time where values cannot be read straight into the model."""


def fill(adapter: Adapter, rows: Sequence[Row], device: Any = None) -> None:
    """Copy the values of all rows into their slots. Nothing is checked any more."""
    from tensorkeep.storage.filling import read_into

    direct: list[tuple[Tensor, Any]] = []
    indirect: list[Row] = []
    for row in rows:
        plain = row.move is None and not row.crop and row.tensor.dtype == row.slot.dtype and device is None
        memory = adapter.memory(row.slot) if plain else None
        if memory is None:
            indirect.append(row)
        else:
            direct.append((row.tensor, memory))
    read_into([tensor for tensor, _ in direct], [memory for _, memory in direct])
    batch: list[Row] = []
    size = 0
    for row in indirect:
        part = adapter.part(row.tensor, row.slot) if row.move is None and not row.crop else row.tensor
        if part is not row.tensor:  # this process holds a part: only its bytes are read
            adapter.put(row.slot, _fitted(row, part), device)
            continue
        batch.append(row)
        size += row.tensor.nbytes
        if size >= _BATCH_NBYTES:
            _put(adapter, batch, device)
            batch, size = [], 0
    _put(adapter, batch, device)


def _put(adapter: Adapter, rows: Sequence[Row], device: Any) -> None:
    from tensorkeep.storage.reading import read_tensors

    arrays = read_tensors([row.tensor for row in rows], names=[row.source for row in rows], verify=False)
    for row, array in zip(rows, arrays, strict=True):
        if row.crop:
            array = _cropped(adapter, row, array)
        adapter.put(row.slot, adapter.part(_fitted(row, array), row.slot), device)


def _fitted(row: Row, array: Any) -> Any:
    """The values with the axes and the dtype of the slot."""
    if row.move is not None:
        array = row.move(array)
    if row.slot.dtype is not None and row.tensor.dtype != row.slot.dtype:
        array = array.astype(numpy_dtype(row.slot.dtype))
    return array


def _cropped(adapter: Adapter, row: Row, array: Any) -> Any:
    """The slot's own values with the part that both shapes have filled from the file."""
    import numpy as np

    from tensorkeep.core.foreign import as_tensor

    own = as_tensor(adapter.value(row.slot), where=row.slot.name)
    assert isinstance(own, Tensor)
    values = np.array(own.numpy())
    both = tuple(slice(min(a, b)) for a, b in zip(array.shape, values.shape, strict=True))
    values[both] = array[both]
    return values
