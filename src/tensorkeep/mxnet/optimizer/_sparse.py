"""Updates of a dense weight by a row_sparse gradient, as gluon's Embedding(sparse_grad=True) gives one."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.optimizer._base import Optimizer

__all__ = ["update_sparsely"]

_BY_ROWS = frozenset(("Adam", "SGD", "ccSGD"))
"""They change only the rows that the gradient stores, unless lazy_update=False."""
_BY_ALL = frozenset(("AdaDelta", "Adamax", "DCASGD", "FTML", "Ftrl", "Nadam", "RMSProp"))
"""They take the gradient's other rows for zeros. Source of both: MXNet 1.9.1, asked optimizer by optimizer."""


def update_sparsely(optimizer: Optimizer, index: Any, weight: NDArray, grad: Any, state: Any) -> bool:
    """Update a dense weight by a row_sparse gradient; False where the optimizer has no rule for that."""
    if grad.stype != "row_sparse" or weight.stype != "default":
        return False
    name = type(optimizer).__name__
    if name in _BY_ROWS and getattr(optimizer, "lazy_update", True):
        rows = grad.indices._t
        part, held = _picked(weight, rows), _picked(state, rows)
        optimizer.update_multi_precision(index, part, grad.data, held)
        _put_back(weight, part, rows)
        _put_back(state, held, rows)
        return True
    if name in _BY_ROWS | _BY_ALL:
        optimizer.update_multi_precision(index, weight, grad.tostype("default"), state)
        return True
    return False


def _picked(value: Any, rows: Any) -> Any:
    """The rows of an array, or of every array of a state."""
    if isinstance(value, NDArray):
        return wrap(value._t.detach()[rows], value._ctx, NDArray)
    if isinstance(value, (tuple, list)):
        return type(value)(_picked(each, rows) for each in value)
    return value


def _put_back(value: Any, changed: Any, rows: Any) -> None:
    if isinstance(value, NDArray):
        value._t.data[rows] = changed._t.detach()
    elif isinstance(value, (tuple, list)):
        for one, other in zip(value, changed, strict=True):
            _put_back(one, other, rows)
