"""Operators on sparse arrays, against answers of real MXNet 1.9.1."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tensorkeep.mxnet import autograd, nd
from tensorkeep.mxnet.base import MXNetError

CSR = [[1, 0, 2], [0, 0, 3], [0, 0, 0]]


@pytest.mark.parametrize(
    ("mode", "wanted", "starts"),
    [
        ("clip", [[0, 0, 0], [1, 0, 2], [0, 0, 0], [1, 0, 2]], [0, 0, 2, 2, 4]),
        ("wrap", [[0, 0, 0], [1, 0, 2], [0, 0, 0], [0, 0, 0]], [0, 0, 2, 2, 2]),
    ],
)
def test_take_gives_rows_of_a_csr_matrix(mode: str, wanted: list[list[int]], starts: list[int]) -> None:
    """The rows stay sparse, and indices outside are clipped or wrapped as `mode` says."""
    found = nd.take(nd.array(CSR).tostype("csr"), nd.array([2, 0, 5, -1]), mode=mode)

    assert found.stype == "csr"
    assert found.asnumpy().tolist() == wanted
    assert found.indptr.asnumpy().tolist() == starts


def test_take_of_columns_is_dense() -> None:
    """Along the other axis rows fall apart, so the result is dense."""
    assert nd.take(nd.array(CSR).tostype("csr"), nd.array([1, 0]), axis=1).stype == "default"


def test_take_refuses_matrices_of_indices() -> None:
    """As MXNet does for a sparse matrix, with its text."""
    with pytest.raises(MXNetError, match="Take with CSR array only supports one-dimensional indices"):
        nd.take(nd.array(CSR).tostype("csr"), nd.array([[2, 0]]))


def test_getnnz_counts_what_is_stored() -> None:
    """In all, or by row; by column and of other kinds of arrays it is refused as in MXNet."""
    matrix = nd.array(CSR).tostype("csr")

    assert nd.contrib.getnnz(matrix).asnumpy().tolist() == [3]
    assert nd.contrib.getnnz(matrix, axis=1).asnumpy().tolist() == [2, 1, 0]
    with pytest.raises(MXNetError, match="getnnz with axis = 0 is not supported yet"):
        nd.contrib.getnnz(matrix, axis=0)
    with pytest.raises(MXNetError, match="CSRNDArray"):
        nd.contrib.getnnz(nd.ones((2, 2)))


def test_retain_refuses_unknown_arguments() -> None:
    """An argument that no operator has is an error and not passed over."""
    array = nd.sparse.zeros("row_sparse", (4, 2))
    with pytest.raises(MXNetError):
        nd.sparse.retain(array, invalid_arg="x")


def test_vectors_are_row_sparse_too() -> None:
    """One dimension is enough: assigning keeps only what is not 0."""
    array = nd.array([0, 3, 0, 5]).tostype("row_sparse")
    array[:] = nd.array([7, 0, 0, 5])

    assert array.indices.asnumpy().tolist() == [0, 3]
    assert array.asnumpy().tolist() == [7, 0, 0, 5]


def test_missing_inputs_in_the_middle_are_left_out() -> None:
    """CTCLoss(data, label, None, lengths): numbers of MXNet 1.9.1."""
    label = nd.array([[2, 1, 2, 2], [3, 2, 2, 2]])
    found = nd.CTCLoss(nd.ones((20, 2, 4)), label, None, nd.array([2, 3]), use_label_lengths=True)

    assert found.asnumpy().tolist() == pytest.approx([18.828207, 16.505817], rel=1e-6)


def test_square_sum_of_rows() -> None:
    """Over either axis the sum of squares is right, and its gradient 2x is too."""
    array = nd.array([[1, 2], [0, 0], [3, 4]]).tostype("row_sparse")
    array.attach_grad()
    with autograd.record():
        found = nd._internal._square_sum(array, axis=1)
    found.backward()

    assert found.asnumpy().tolist() == [5, 0, 25]
    assert nd._internal._square_sum(array, axis=0, keepdims=True).asnumpy().tolist() == [[10, 20]]
    assert array.grad.asnumpy().tolist() == [[2, 4], [0, 0], [6, 8]]
