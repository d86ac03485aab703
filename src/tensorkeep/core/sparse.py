"""What a SparseTensor becomes: a dense array, a scipy matrix, a torch tensor. The parts are checked first."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from tensorkeep._optional import require
from tensorkeep.core.tensor import SparseTensor
from tensorkeep.errors import CorruptFileError, UnsupportedDataError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["check", "to_dense", "to_scipy", "to_torch"]


def _parts(sparse: SparseTensor) -> tuple[Any, Any, Any]:
    import numpy as np

    arrays = [None if part is None else np.asarray(part) for part in (sparse.data, sparse.indices, sparse.indptr)]
    return arrays[0], arrays[1], arrays[2]


def check(sparse: SparseTensor, *, what: str = "the sparse tensor") -> None:
    """Raise CorruptFileError unless the indices of `sparse` fit its shape.

    Every index lies in its axis; a row pointer starts at 0, never decreases and ends at the number of values; the
    lengths of the parts agree; row_sparse indices rise strictly (MXNet's rule).
    """
    import numpy as np

    data, indices, indptr = _parts(sparse)

    def fail(why: str) -> None:
        raise CorruptFileError(f"{what} ({sparse.kind}, shape {sparse.shape}): {why}. The file is damaged or hostile.")

    if indices.dtype.kind not in "iu" or (indptr is not None and indptr.dtype.kind not in "iu"):
        fail("its indices are not integers")
    if sparse.kind in ("csr", "csc"):
        if len(sparse.shape) != 2:
            fail("it does not have two dimensions")
        rows, cols = sparse.shape if sparse.kind == "csr" else sparse.shape[::-1]
        if indptr is None or indptr.shape != (rows + 1,):
            fail(f"its row pointer has shape {None if indptr is None else indptr.shape}, not ({rows + 1},)")
        if data.ndim != 1 or indices.shape != data.shape:
            fail(f"{data.shape} values stand beside {indices.shape} indices")
        if int(indptr[0]) != 0 or int(indptr[-1]) != len(data) or bool(np.any(indptr[1:] < indptr[:-1])):
            fail(f"its row pointer does not rise from 0 to {len(data)}")
        if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= cols):
            fail(f"an index lies outside 0 to {cols - 1}")
    elif sparse.kind == "row_sparse":
        if not sparse.shape or data.shape != (indices.size, *sparse.shape[1:]) or indices.ndim != 1:
            fail(f"values of shape {data.shape} stand beside {indices.shape} indices")
        if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= sparse.shape[0]):
            fail(f"an index lies outside 0 to {sparse.shape[0] - 1}")
        if bool(np.any(indices[1:] <= indices[:-1])):
            fail("its row indices do not rise")
    elif sparse.kind == "coo":
        if indices.ndim != 2 or indices.shape[0] > len(sparse.shape) or data.ndim < 1:
            fail(f"indices of shape {indices.shape} do not fit")
        if data.shape != (indices.shape[1], *sparse.shape[indices.shape[0] :]):
            fail(f"values of shape {data.shape} stand beside indices of shape {indices.shape}")
        for axis in range(indices.shape[0] if indices.size else 0):
            if int(indices[axis].min()) < 0 or int(indices[axis].max()) >= sparse.shape[axis]:
                fail(f"an index of axis {axis} lies outside 0 to {sparse.shape[axis] - 1}")
    else:
        fail("the kind is unknown")


def _rows(indptr: Any) -> Any:
    import numpy as np

    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr.astype(np.int64)))


def to_dense(sparse: SparseTensor) -> np.ndarray[Any, Any]:
    """See `SparseTensor.to_dense`."""
    import numpy as np

    check(sparse)
    data, indices, indptr = _parts(sparse)
    dense: np.ndarray[Any, Any] = np.zeros(sparse.shape, data.dtype)
    if sparse.kind == "row_sparse":
        dense[indices] = data
    elif sparse.kind == "csr":
        np.add.at(dense, (_rows(indptr), indices), data)
    elif sparse.kind == "csc":
        np.add.at(dense, (indices, _rows(indptr)), data)
    else:
        np.add.at(dense, tuple(indices), data)
    return dense


def to_scipy(sparse: SparseTensor) -> Any:
    """See `SparseTensor.to_scipy`."""
    scipy = require("scipy.sparse", extra="scipy", for_="giving a SparseTensor as a scipy array")
    import numpy as np

    if len(sparse.shape) != 2:
        raise UnsupportedDataError(f"scipy's arrays are 2-D, this tensor has shape {sparse.shape}. Use .to_dense().")
    check(sparse)
    data, indices, indptr = _parts(sparse)
    if sparse.kind in ("csr", "csc"):
        make = scipy.csr_array if sparse.kind == "csr" else scipy.csc_array
        return make((data, indices, indptr), shape=sparse.shape)
    if sparse.kind == "row_sparse":
        columns = np.tile(np.arange(sparse.shape[1]), len(indices))
        rows = np.repeat(indices, sparse.shape[1])
        return scipy.coo_array((data.reshape(-1), (rows, columns)), shape=sparse.shape)
    return scipy.coo_array((data, tuple(indices)), shape=sparse.shape)


def to_torch(sparse: SparseTensor) -> Any:
    """See `SparseTensor.to_torch`."""
    torch = require("torch", extra="torch", for_="giving a SparseTensor as a torch tensor")
    import numpy as np

    from tensorkeep.core import foreign

    check(sparse)
    data, indices, indptr = _parts(sparse)
    values = foreign.to_torch(data, copy=True)
    index = torch.from_numpy(indices.astype(np.int64))
    if sparse.kind in ("csr", "csc"):
        make = torch.sparse_csr_tensor if sparse.kind == "csr" else torch.sparse_csc_tensor
        pointer = torch.from_numpy(indptr.astype(np.int64))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sparse CS", UserWarning)  # torch says once that these are in beta
            return make(pointer, index, values, size=sparse.shape, check_invariants=True)
    if sparse.kind == "row_sparse":
        index = index[None, :]
    return torch.sparse_coo_tensor(index, values, size=sparse.shape, check_invariants=True)
