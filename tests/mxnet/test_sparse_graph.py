"""Executors that are given sparse arrays: storage types, values and gradients that real MXNet 1.9.1 gave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx

ROWS = [[0, 0], [1, 2], [0, 0], [3, 4]]
DOTS = [[0, 0], [1, 2], [0, 0], [3, 0]]


def arrays(stype: str) -> Any:
    if stype == "dense":
        return mx.nd.ones((4, 2))
    return mx.nd.array(ROWS if stype == "row_sparse" else DOTS).tostype(stype)


def operator(name: str) -> Any:
    return getattr(mx.sym, name, None) or getattr(mx.sym._internal, name)


def test_gradients_reach_sparse_arrays() -> None:
    """backward() writes into the sparse arrays that were bound, and adds to them when that is asked for."""
    symbol = mx.sym.var("a") * 3
    for request, want in (("write", [[3, 3]] * 4), ("add", [[3, 3], [4, 5], [3, 3], [6, 7]])):
        gradient = arrays("row_sparse")
        executor = symbol.bind(mx.cpu(), [arrays("row_sparse")], args_grad=[gradient], grad_req=request)
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((4, 2)))

        assert gradient.stype == "row_sparse"
        assert gradient.asnumpy().tolist() == want


def test_values_reach_sparse_arguments() -> None:
    """forward(a=…) and copy_params_from() write into a sparse argument."""
    executor = (mx.sym.var("a") * 3).bind(mx.cpu(), [arrays("row_sparse")])
    found = executor.forward(a=arrays("row_sparse") * 2)[0].asnumpy().tolist()
    executor.copy_params_from({"a": arrays("row_sparse") * 5})

    assert found == [[0, 0], [6, 12], [0, 0], [18, 24]]
    assert executor.arg_arrays[0].asnumpy().tolist() == [[0, 0], [5, 10], [0, 0], [15, 20]]


def test_states_that_are_sparse_change() -> None:
    """BatchNorm's moving statistics, which change in backward(), are written into sparse states as into dense ones."""
    symbol = mx.sym.BatchNorm(mx.sym.var("x"), fix_gamma=False, name="bn", momentum=0.5)
    found = []
    for stype in ("default", "row_sparse"):
        states = [mx.nd.array([1.0, 2.0]).tostype(stype), mx.nd.array([1.0, 1.0]).tostype(stype)]
        inputs = [mx.nd.array([[1, 2], [3, 6]]), mx.nd.ones(2), mx.nd.ones(2)]
        gradients = [mx.nd.zeros((2, 2)), mx.nd.zeros(2), mx.nd.zeros(2)]
        executor = symbol.bind(mx.cpu(), inputs, args_grad=gradients, aux_states=states)
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((2, 2)))
        found.append([state.asnumpy().tolist() for state in states])

    assert found[0] == found[1]
    assert np.allclose(found[0], [[1.5, 3.0], [1.0, 2.5]], rtol=1e-6)  # float32


UNARY: dict[str, tuple[str, str]] = {
    "relu": ("row_sparse", "csr"), "square": ("row_sparse", "csr"), "sqrt": ("row_sparse", "csr"),
    "negative": ("row_sparse", "csr"), "exp": ("default", "default"), "_scatter_plus_scalar": ("row_sparse", "csr"),
    "_scatter_minus_scalar": ("row_sparse", "csr"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_outputs_are_sparse_where_mxnets_are(name: str) -> None:
    """An operator of one array keeps its storage type where zero stays zero."""
    found = []
    for stype in ("row_sparse", "csr"):
        given = {"scalar": 2} if "scalar" in name else {}
        executor = operator(name)(mx.sym.var("a"), **given).bind(mx.cpu(), [arrays(stype)])
        found.append(executor.forward()[0].stype)

    assert tuple(found) == UNARY[name]


BINARY: dict[str, str] = {
    "elemwise_add": "rd/cd", "elemwise_mul": "rr/cc", "_maximum": "rd/cd", "_minimum": "rd/cd", "_hypot": "rd/cd",
    "_scatter_elemwise_div": "rr/dd",
}  # fmt: skip
"""Storage types of the result: row_sparse with row_sparse and dense / csr with csr and dense (d: default)."""


@pytest.mark.parametrize("name", BINARY)
def test_outputs_of_two_arrays_are_sparse_where_mxnets_are(name: str) -> None:
    """The same for operators of two arrays."""
    found = ""
    for left, others in (("row_sparse", ("row_sparse", "dense")), ("csr", ("csr", "dense"))):
        for right in others:
            symbol = operator(name)(mx.sym.var("a"), mx.sym.var("b"))
            found += symbol.bind(mx.cpu(), [arrays(left), arrays(right)]).forward()[0].stype[0]

    assert found[:2] + "/" + found[2:] == BINARY[name]


SCATTER: dict[str, tuple[Callable[..., Any], list[str], list[list[float]]]] = {
    "plus": (lambda a: mx.sym._internal._scatter_plus_scalar(a, 2), ["row_sparse"], [[0, 0], [3, 4], [0, 0], [5, 6]]),
    "minus": (lambda a: mx.sym._internal._scatter_minus_scalar(a, 2), ["csr"], [[0, 0], [-1, 0], [0, 0], [1, 0]]),
    "div": (
        lambda a, b: mx.sym._internal._scatter_elemwise_div(a, b), ["row_sparse", "row_sparse"],
        [[0, 0], [1, 1], [0, 0], [1, 1]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCATTER)
def test_scatter_operators_leave_alone_what_is_not_stored(name: str) -> None:
    """What is not stored stays zero, whatever the number is that is added."""
    make, stypes, want = SCATTER[name]
    symbol = make(*[mx.sym.var(letter) for letter in "ab"[: len(stypes)]])

    assert symbol.bind(mx.cpu(), [arrays(stype) for stype in stypes]).forward()[0].asnumpy().tolist() == want


def test_sparse_values_run_through_a_network() -> None:
    """dot() of a scaled CSR matrix, transposed, and a dense value that was computed: row_sparse, as MXNet's."""
    left, right = mx.sym.var("a") * 2, mx.sym.exp(mx.sym.var("b"))
    executor = mx.sym.sparse.dot(left, right, transpose_a=True).bind(mx.cpu(), [arrays("csr"), arrays("dense")])
    found = executor.forward()[0]

    assert found.stype == "row_sparse"
    assert np.allclose(found.asnumpy(), [[8 * np.e] * 2, [4 * np.e] * 2], rtol=1e-6)  # float32


def test_cast_storage_and_retain_are_operators_of_symbols() -> None:
    """sym.cast_storage gives the storage type that it names; sym.sparse.retain the rows that it is told."""
    cast = mx.sym.cast_storage(mx.sym.var("a"), stype="csr").bind(mx.cpu(), [mx.nd.array(DOTS)])
    kept = mx.sym.sparse.retain(mx.sym.var("a"), mx.sym.var("i"))
    executor = kept.bind(mx.cpu(), [arrays("row_sparse"), mx.nd.array([0, 3])])

    assert (cast.forward()[0].stype, cast.outputs[0].asnumpy().tolist()) == ("csr", DOTS)
    assert executor.forward()[0].stype == "row_sparse"
    assert executor.outputs[0].asnumpy().tolist() == [[0, 0], [0, 0], [0, 0], [3, 4]]


def test_quadratic_of_a_csr_matrix_stays_one_without_a_constant() -> None:
    """a·x² + b·x is zero where x is; with a constant, and of row_sparse arrays, it is dense, as in MXNet."""
    found = [mx.nd.contrib.quadratic(arrays(s), a=1, b=2, c=c).stype for c in (0, 1) for s in ("csr", "row_sparse")]

    assert found == ["csr", "default", "default", "default"]


def test_sparse_embedding_takes_deterministic() -> None:
    """MXNet takes the parameter without listing it, and keeps it in the symbol; another unknown one is refused."""
    data, weight = mx.sym.var("data"), mx.sym.var("weight")
    made = mx.sym.contrib.SparseEmbedding(data, weight, input_dim=3, output_dim=2, deterministic=True, name="e")

    assert made.attr_dict()["e"] == {"deterministic": "True", "input_dim": "3", "output_dim": "2"}
    with pytest.raises(mx.MXNetError, match="Cannot find argument 'foo'"):
        mx.sym.contrib.SparseEmbedding(data, weight, input_dim=3, output_dim=2, foo=1)
