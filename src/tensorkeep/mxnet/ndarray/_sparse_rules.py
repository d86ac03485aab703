"""Which operators give sparse arrays, and how they are computed without the dense values.

Source: the storage types that MXNet 1.9.1 answers with, asked operator by operator.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from tensorkeep.mxnet._invoke import invoke, wrap
from tensorkeep.mxnet._registry import Operator
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ndarray._sparse_array import (
    BaseSparseNDArray,
    CSRNDArray,
    RowSparseNDArray,
    csr_parts,
    from_parts,
    retain,
)
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["by_rule", "compute"]

_OF_VALUES = frozenset((
    "BlockGrad", "_contrib_quadratic", "_copy", "_div_scalar", "_mul_scalar", "_scatter_minus_scalar",
    "_scatter_plus_scalar", "abs", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt",
    "ceil", "degrees", "expm1", "fix", "floor", "log1p", "make_loss", "negative", "radians", "relu", "rint", "round",
    "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "clip",
))  # fmt: skip
"""f(0) = 0, or (`_scatter_`) what is not stored stays 0: the values that are stored are all that matters."""


_COMPARING = {
    "_equal_scalar": operator.eq, "_not_equal_scalar": operator.ne, "_greater_scalar": operator.gt,
    "_greater_equal_scalar": operator.ge, "_lesser_scalar": operator.lt, "_lesser_equal_scalar": operator.le,
}  # fmt: skip


def compute(op: Operator, inputs: list[Any], attrs: dict[str, Any] | None, out: Any) -> Any:
    """An operator with sparse arrays among its inputs or outputs: by a rule, else with the dense values."""
    if op.name in _LAZY and isinstance(inputs[1], RowSparseNDArray) and _is_lazy(op, inputs[0], attrs):
        return _update_rows(op, inputs, attrs, out)
    recorded = state.recording and any(getattr(array, "_collect", None) is not None for array in inputs)
    found = None if recorded else by_rule(op, inputs, attrs)  # what is recorded of a variable are its dense values
    if found is None:
        dense = [wrap(x._t, x._ctx, NDArray) if isinstance(x, BaseSparseNDArray) else x for x in inputs]
        found = invoke(op, dense, attrs, None if isinstance(out, BaseSparseNDArray) else out, NDArray)
        for position in op.mutates:
            if isinstance(inputs[position], BaseSparseNDArray):
                inputs[position]._fill(dense[position]._t.detach())
        if out is not None and not isinstance(out, BaseSparseNDArray):
            return out
    if out is None:
        return found
    if isinstance(out, BaseSparseNDArray) and not isinstance(found, BaseSparseNDArray):
        out._fill(found._t.detach())
    else:
        found.copyto(out)
    return out


def by_rule(op: Operator, inputs: list[Any], attrs: dict[str, Any] | None) -> Any:
    """What the operator's rule gives; None where there is none for such inputs, and only the dense values help."""
    rule = _RULES.get(op.name)
    if (
        (op.name in _OF_VALUES or op.name in _COMPARING)
        and isinstance(inputs[0], BaseSparseNDArray)
        and _keeps_zero(op, inputs[0], attrs)
    ):
        rule = _of_values
    return rule(op, inputs, attrs or {}) if rule is not None else None


_LAZY = frozenset(("sgd_update", "sgd_mom_update", "adam_update", "ftrl_update", "_sparse_adagrad_update"))
"""Updates that leave the rows alone of which the gradient stores nothing."""


def _is_lazy(op: Operator, weight: Any, attrs: dict[str, Any] | None) -> bool:
    if op.name == "ftrl_update":
        return isinstance(weight, RowSparseNDArray)
    return bool(op.complete(attrs or {}).get("lazy_update", True))


def _update_rows(op: Operator, inputs: list[Any], attrs: dict[str, Any] | None, out: Any) -> Any:
    """An optimizer's update of the rows that the gradient stores, in the weight and in the states."""
    rows = inputs[1]._parts[1]
    parts = [wrap(array._t.detach()[rows], array._ctx, NDArray) for array in inputs]
    found = invoke(op, parts, attrs, None, NDArray)
    for held, part in zip(inputs[2:], parts[2:], strict=True):
        _write_rows(held, rows, part._t)
    target = inputs[0].copy() if out is None else out
    if out is not None and out is not inputs[0]:
        inputs[0].copyto(out)
    _write_rows(target, rows, found._t)
    return target


def _write_rows(array: Any, rows: torch.Tensor, values: torch.Tensor) -> None:
    dense = array._t.data
    dense[rows] = values
    if isinstance(array, BaseSparseNDArray):
        array._fill(dense)


def _keeps_zero(op: Operator, array: BaseSparseNDArray, attrs: dict[str, Any] | None) -> bool:
    """Whether zero stays zero."""
    given = op.complete(attrs or {})
    if op.name == "_contrib_quadratic":
        return not given["c"] and isinstance(array, CSRNDArray)
    if op.name == "clip":
        return bool(given["a_min"] <= 0 <= given["a_max"])
    return op.name not in _COMPARING or not _COMPARING[op.name](0, given["scalar"])


def _of_values(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    array = inputs[0]
    found = invoke(op, [array.data], attrs, None, NDArray)
    return array._with(found._t, *array._parts[1:])


def _zeros_like(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    array = inputs[0]
    if not isinstance(array, BaseSparseNDArray):
        return None
    none = [part[:0] for part in array._parts[:2]]
    return array._with(*none, *[torch.zeros_like(part) for part in array._parts[2:]])


def _stored(array: BaseSparseNDArray) -> torch.Tensor:
    """Which elements of a CSR matrix, or rows of a row_sparse array, are stored."""
    indices = array._parts[1]
    if isinstance(array, CSRNDArray):
        mask = torch.zeros(array._shape, dtype=torch.bool, device=indices.device)
        mask[array._rows(), indices] = True
    else:
        mask = torch.zeros(array._shape[:1], dtype=torch.bool, device=indices.device)
        mask[indices] = True
    return mask


def _joined(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """Sum, difference and the like of arrays that are sparse in the same way: stored is what either stores."""
    kinds = {type(array) for array in inputs}
    if len(kinds) != 1 or not kinds <= {CSRNDArray, RowSparseNDArray}:
        return None
    return _result(op, inputs, attrs, lambda a, b: a | b)


def _divided(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """The quotients in the rows that the left array stores."""
    array = inputs[0]
    if not isinstance(array, RowSparseNDArray):
        return None
    rows = array._parts[1]
    below = wrap(inputs[1]._t.detach()[rows], array._ctx, NDArray)
    return array._with(invoke(op, [array.data, below], attrs, None, NDArray)._t, rows)


def _rows_joined(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    return _joined(op, inputs, attrs) if {type(array) for array in inputs} == {RowSparseNDArray} else None


def _product(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """The product of arrays of which one or both are sparse in one way: stored is what both store."""
    if len({type(array) for array in inputs if isinstance(array, BaseSparseNDArray)}) != 1:
        return None
    return _result(op, inputs, attrs, lambda a, b: a & b)


def _first_product(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """A CSR matrix times or through a dense row or number: stored is what the matrix stores."""
    if not isinstance(inputs[0], CSRNDArray) or isinstance(inputs[1], BaseSparseNDArray):
        return None
    return _result(op, inputs, attrs, lambda a, b: a & b)


def _result(
    op: Operator,
    inputs: list[Any],
    attrs: dict[str, Any],
    combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Any:
    sparse = [array for array in inputs if isinstance(array, BaseSparseNDArray)]
    masks = [_stored(array) for array in sparse]
    mask = masks[0]
    for other in masks[1:]:
        mask = combine(mask, other)
    dense = [wrap(array._t, array._ctx, NDArray) for array in inputs]
    found = invoke(op, dense, attrs, None, NDArray)._t
    if isinstance(sparse[0], CSRNDArray):
        return from_parts("csr", tuple(found.shape), *csr_parts(found, mask), ctx=sparse[0]._ctx)
    indices = mask.nonzero()[:, 0]
    return from_parts("row_sparse", tuple(found.shape), found[indices], indices, ctx=sparse[0]._ctx)


def _slice(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """A part of a CSR matrix stays one."""
    array = inputs[0]
    if not isinstance(array, CSRNDArray):
        return None
    found = invoke(op, [wrap(array._t, array._ctx, NDArray)], attrs, None, NDArray)
    mask = invoke(op, [wrap(_stored(array).to(torch.uint8), array._ctx, NDArray)], attrs, None, NDArray)
    shape = tuple(found._t.shape)
    return from_parts("csr", shape, *csr_parts(found._t, mask._t.to(torch.bool)), ctx=array._ctx)


def _concat(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """CSR matrices, one below the other, are one."""
    if int(attrs.get("dim", 1)) != 0 or {type(array) for array in inputs} != {CSRNDArray}:
        return None
    data, indices = (torch.cat([array._parts[i] for array in inputs]) for i in (0, 1))
    starts, total = [inputs[0]._parts[2][:1]], 0
    for array in inputs:
        starts.append(array._parts[2][1:] + total)
        total += int(array._parts[2][-1])
    shape = (sum(array._shape[0] for array in inputs), inputs[0]._shape[1])
    return from_parts("csr", shape, data, indices, torch.cat(starts), ctx=inputs[0]._ctx)


def _take(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """Rows of a CSR matrix are one.

    Raises:
        MXNetError: the indices are no vector.
    """
    array, indices = inputs
    given = op.complete(attrs)
    if not isinstance(array, CSRNDArray) or given["axis"] != 0:
        return None
    if len(indices.shape) != 1:
        raise MXNetError(
            f"Take with CSR array only supports one-dimensional indices. {len(indices.shape)} dimensional input is "
            "given instead"
        )
    masked = wrap(_stored(array).to(torch.uint8), array._ctx, NDArray)
    found = invoke(op, [wrap(array._t, array._ctx, NDArray), indices], attrs, None, NDArray)
    mask = invoke(op, [masked, indices], attrs, None, NDArray)
    return from_parts("csr", tuple(found._t.shape), *csr_parts(found._t, mask._t.to(torch.bool)), ctx=array._ctx)


def _squares(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """The sums of the squares of stored rows, as rows of one number where the axis is kept."""
    array, given = inputs[0], op.complete(attrs)
    if not isinstance(array, RowSparseNDArray) or given["axis"] != (1,) or not given["keepdims"]:
        return None
    values, indices = array._parts
    sums = values.square().sum(1, keepdim=True)
    return from_parts("row_sparse", (array._shape[0], 1), sums, indices, ctx=array._ctx)


def _dot(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """A CSR matrix times a dense one without the zeros; the transposed matrix times anything gives a row_sparse array."""
    left, right = inputs
    given = op.complete(attrs)
    turned, turned_right = given["transpose_a"], given["transpose_b"]
    wanted = given.get("forward_stype")
    if isinstance(left, CSRNDArray) and not isinstance(right, CSRNDArray) and not turned_right:
        values, indices, _ = left._parts
        places = torch.stack([left._rows(), indices])
        matrix = torch.sparse_coo_tensor(places, values, left._shape, check_invariants=False)
        if turned:
            matrix = matrix.t()
        tensor = right._t if state.recording else right._t.detach()
        if matrix.shape[1] != tensor.shape[0]:
            raise MXNetError(f"Operator dot: shapes {left._shape} and {tuple(tensor.shape)} do not fit.")
        flat = tensor.reshape(tensor.shape[0], -1)
        found = wrap(torch.sparse.mm(matrix, flat).reshape(-1, *tensor.shape[1:]), left._ctx, NDArray)
        return (
            found.tostype("row_sparse") if turned and wanted in (None, "row_sparse") and not state.recording else found
        )
    if isinstance(right, CSRNDArray) and not isinstance(left, BaseSparseNDArray) and wanted in (None, "csr"):
        dense = [wrap(array._t, array._ctx, NDArray) for array in inputs]
        return invoke(op, dense, attrs, None, NDArray).tostype("csr")
    return None


def _cast(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    stype = op.complete(attrs)["stype"]
    return None if stype == "default" else inputs[0].tostype(stype)


def _retained(op: Operator, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    return retain(*inputs)


_RULES: dict[str, Callable[[Operator, list[Any], dict[str, Any]], Any]] = {
    "_square_sum": _squares, "_sparse_retain": _retained, "cast_storage": _cast,
    "zeros_like": _zeros_like, "elemwise_add": _joined, "elemwise_sub": _joined, "_grad_add": _joined, "_hypot": _joined,
    "_maximum": _joined, "_minimum": _joined, "_scatter_elemwise_div": _divided,
    "add_n": _rows_joined, "elemwise_mul": _product, "broadcast_mul": _first_product, "broadcast_div": _first_product,
    "slice": _slice, "Concat": _concat, "dot": _dot, "take": _take,
}  # fmt: skip
"""Operator → a rule, which gives None where only the dense values help."""
