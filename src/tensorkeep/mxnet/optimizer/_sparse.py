"""Updates where the gradient or the weight is sparse."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["update_sparsely"]

_BY_ROWS = frozenset(("Adam", "SGD", "ccSGD"))
"""They change only the rows that a row_sparse gradient stores, unless lazy_update=False."""
_UNDECAYED_BY_ROWS = frozenset(("AdaGrad", "GroupAdaGrad"))
"""They do so without weight decay, and refuse row_sparse gradients with it."""
_BY_ALL = frozenset(("AdaDelta", "Adamax", "DCASGD", "FTML", "Ftrl", "Nadam", "RMSProp"))
"""They take a dense weight, and the gradient's other rows for zeros. Source of all: MXNet 1.9.1, asked one by one."""


def update_sparsely(optimizer: Any, index: Any, weight: NDArray, grad: Any, state: Any) -> bool:
    """Update a weight where it or its gradient is sparse; False where the optimizer has no rule for that."""
    name = type(optimizer).__name__
    sparse = weight.stype != "default"
    undecayed = name in _UNDECAYED_BY_ROWS and grad.stype == "row_sparse"
    if undecayed and optimizer._get_wd(index):
        return False
    by_rows = undecayed or name in _BY_ROWS or (name == "Ftrl" and sparse)
    if not (sparse or by_rows or name in _BY_ALL):
        return False
    dense, held = _dense(weight), _dense(state)
    if grad.stype == "row_sparse" and by_rows and getattr(optimizer, "lazy_update", True):
        rows = grad.indices._t
        part, some = _picked(dense, rows), _picked(held, rows)
        optimizer.update_multi_precision(index, part, grad.data, some)
        _put_back(dense, part, rows)
        _put_back(held, some, rows)
    else:
        optimizer.update_multi_precision(index, dense, grad.tostype("default"), held)
    _take(weight, dense)
    _take(state, held)
    return True


def _dense(value: Any) -> Any:
    """An array, or a state, with dense arrays in the place of sparse ones."""
    if isinstance(value, NDArray):
        return value if value.stype == "default" else value.tostype("default")
    if isinstance(value, (tuple, list)):
        return type(value)(_dense(each) for each in value)
    return value


def _take(value: Any, dense: Any) -> None:
    """Copy what became of the dense arrays into the sparse ones."""
    if isinstance(value, NDArray):
        if value is not dense:
            value[:] = dense
    elif isinstance(value, (tuple, list)):
        for one, other in zip(value, dense, strict=True):
            _take(one, other)


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
