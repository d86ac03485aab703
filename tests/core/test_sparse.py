"""SparseTensor: dense, scipy and torch forms, and the checks on indices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch

from tensorkeep.core.sparse import check
from tensorkeep.core.tensor import SparseTensor
from tensorkeep.errors import CorruptFileError, UnsupportedDataError

DENSE = np.array([[0, 1, 0], [0, 0, 0], [2, 0, 3]], np.float32)
I = np.int64  # noqa: E741


def csr() -> SparseTensor:
    m = scipy.sparse.csr_array(DENSE)
    return SparseTensor("csr", (3, 3), m.data, m.indices.astype(I), m.indptr.astype(I))


def row_sparse() -> SparseTensor:
    return SparseTensor("row_sparse", (3, 3), DENSE[[0, 2]], np.array([0, 2], I))


def coo() -> SparseTensor:
    t = torch.from_numpy(DENSE).to_sparse().coalesce()
    return SparseTensor("coo", (3, 3), t.values().numpy(), t.indices().numpy())


def csc() -> SparseTensor:
    m = scipy.sparse.csc_array(DENSE)
    return SparseTensor("csc", (3, 3), m.data, m.indices, m.indptr)


@pytest.mark.parametrize("make", [csr, row_sparse, coo, csc])
def test_all_forms_are_the_same_matrix(make: object) -> None:
    """Dense, scipy's and torch's."""
    sparse = make()  # type: ignore[operator]

    np.testing.assert_array_equal(sparse.to_dense(), DENSE)
    np.testing.assert_array_equal(sparse.to_scipy().toarray(), DENSE)
    np.testing.assert_array_equal(sparse.to_torch().to_dense().numpy(), DENSE)


def test_entries_that_stand_twice_are_added() -> None:
    """As scipy and torch do."""
    twice = SparseTensor("coo", (2,), np.array([1.0, 2.0]), np.array([[1, 1]]))

    assert twice.to_dense().tolist() == [0, 3]


BAD = {
    "index too large": SparseTensor("csr", (1, 2), np.ones(1), np.array([2]), np.array([0, 1])),
    "index negative": SparseTensor("csr", (1, 2), np.ones(1), np.array([-1]), np.array([0, 1])),
    "pointer starts late": SparseTensor("csr", (1, 2), np.ones(1), np.array([0]), np.array([1, 1])),
    "pointer falls": SparseTensor("csr", (2, 2), np.ones(1), np.array([0]), np.array([0, 2, 1])),
    "pointer ends early": SparseTensor("csr", (1, 2), np.ones(2), np.array([0, 1]), np.array([0, 1])),
    "pointer of wrong length": SparseTensor("csr", (3, 2), np.ones(1), np.array([0]), np.array([0, 1])),
    "no pointer": SparseTensor("csr", (1, 2), np.ones(1), np.array([0])),
    "float indices": SparseTensor("csr", (1, 2), np.ones(1), np.array([0.0]), np.array([0, 1])),
    "three dimensions": SparseTensor("csr", (1, 2, 3), np.ones(1), np.array([0]), np.array([0, 1])),
    "lengths differ": SparseTensor("csr", (1, 2), np.ones(2), np.array([0]), np.array([0, 2])),
    "rows do not rise": SparseTensor("row_sparse", (3, 1), np.ones((2, 1)), np.array([1, 1])),
    "row outside": SparseTensor("row_sparse", (3, 1), np.ones((1, 1)), np.array([3])),
    "rows of wrong shape": SparseTensor("row_sparse", (3, 2), np.ones((1, 1)), np.array([0])),
    "coo outside": SparseTensor("coo", (2, 2), np.ones(1), np.array([[0], [2]])),
    "coo too deep": SparseTensor("coo", (2,), np.ones(1), np.array([[0], [0]])),
    "unknown kind": SparseTensor("odd", (2,), np.ones(1), np.array([0])),
}


@pytest.mark.parametrize("case", BAD)
def test_indices_that_do_not_fit_are_refused(case: str) -> None:
    """Before they index anything."""
    with pytest.raises(CorruptFileError, match="damaged or hostile"):
        check(BAD[case])
    with pytest.raises(CorruptFileError, match="damaged or hostile"):
        BAD[case].to_dense()


def test_scipy_has_two_dimensions() -> None:
    """A row-sparse cube says what to use instead."""
    cube = SparseTensor("row_sparse", (2, 2, 2), np.ones((1, 2, 2)), np.array([1]))

    with pytest.raises(UnsupportedDataError, match="to_dense"):
        cube.to_scipy()
    assert cube.to_torch().to_dense().sum() == 4
