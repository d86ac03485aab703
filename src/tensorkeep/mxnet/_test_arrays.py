"""Random arrays and shapes for tests, drawn from NumPy's global generator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet._test_compare import default_context, default_dtype
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.utils import array, zeros

__all__ = [
    "assign_each", "assign_each2", "collapse_sum_like", "create_2d_tensor", "create_sparse_array",
    "create_sparse_array_zd", "create_vector", "get_identity_mat", "get_identity_mat_batch",
    "new_matrix_with_real_eigvals_2d", "new_matrix_with_real_eigvals_nd", "new_orthonormal_matrix_2d",
    "new_sym_matrix_with_real_eigvals_2d", "new_sym_matrix_with_real_eigvals_nd", "np_reduce", "rand_coord_2d",
    "rand_ndarray", "rand_shape_2d", "rand_shape_3d", "rand_shape_nd", "rand_sparse_ndarray", "random_arrays",
    "random_sample", "random_uniform_arrays", "shuffle_csr_column_indices",
]  # fmt: skip

Array = np.ndarray[Any, Any]


def random_arrays(*shapes: tuple[int, ...]) -> Any:
    """Normal float32 arrays of these shapes; one array for one shape."""
    arrays = [np.asarray(np.random.randn(*shape), dtype=default_dtype()) for shape in shapes]
    return arrays[0] if len(arrays) == 1 else arrays


def random_uniform_arrays(*shapes: tuple[int, ...], low: float = 0.0, high: float = 1.0, dtype: Any = None) -> Any:
    """Uniform arrays of these shapes."""
    return [np.random.uniform(low, high, size=shape).astype(dtype or default_dtype()) for shape in shapes]


def random_sample(population: Sequence[Any], k: int) -> Any:
    """k different ones of the population, in a random order."""
    assert 0 <= k <= len(population)
    shuffled = population[:]
    np.random.shuffle(shuffled)
    return shuffled[0:k]


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, int]:
    """A shape of two dimensions, at most these."""
    low = 0 if allow_zero_size else 1
    return np.random.randint(low, dim0 + 1), np.random.randint(low, dim1 + 1)


def rand_shape_3d(
    dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False
) -> tuple[int, int, int]:
    """A shape of three dimensions, at most these."""
    low = 0 if allow_zero_size else 1
    return (
        np.random.randint(low, dim0 + 1),
        np.random.randint(low, dim1 + 1),
        np.random.randint(low, dim2 + 1),
    )


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """A shape of so many dimensions, each at most `dim`."""
    return tuple(np.random.randint(0 if allow_zero_size else 1, dim + 1, size=num_dim))


def rand_coord_2d(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[Any, Any]:
    """A point: int64 numbers from the lower to below the upper bounds."""
    return np.random.randint(x_low, x_high, dtype=np.int64), np.random.randint(y_low, y_high, dtype=np.int64)


def create_2d_tensor(rows: int, columns: int, dtype: Any = np.int64) -> Any:
    """(rows, columns) of the row's number."""
    return array(np.repeat(np.arange(rows, dtype=dtype)[:, None], columns, axis=1), dtype=dtype)


def create_vector(size: int, dtype: Any = np.int64) -> Any:
    """0 … size - 1."""
    return array(np.arange(size, dtype=dtype), dtype=dtype)


def get_identity_mat(size: int) -> Any:
    """The identity matrix."""
    return array(np.eye(size))


def get_identity_mat_batch(size: int) -> Any:
    """Two of them."""
    return array(np.stack([np.eye(size)] * 2))


def assign_each(the_input: Any, function: Callable[[Any], Any] | None) -> Array:
    """The function of every element."""
    values = np.asarray(the_input)
    if function is None:
        return np.array(values)
    return np.array([function(x) for x in values.ravel()], dtype=np.float64).reshape(values.shape)


def assign_each2(input1: Any, input2: Any, function: Callable[[Any, Any], Any] | None) -> Array:
    """The function of every pair of elements."""
    if function is None:
        return np.array(input1)
    assert input1.shape == input2.shape
    pairs = zip(np.ravel(input1), np.ravel(input2), strict=True)
    return np.array([function(x, y) for x, y in pairs], dtype=np.float64).reshape(input1.shape)


def shuffle_csr_column_indices(csr: Any) -> None:
    """Put the columns of each row of a scipy CSR matrix into a random order, in place."""
    for start, stop in zip(csr.indptr[:-1], csr.indptr[1:], strict=True):
        row = np.array(csr.indices[start:stop])
        np.random.shuffle(row)
        csr.indices[start:stop] = row


def _check_density(rows: int, columns: int, density: float) -> None:
    if not 0 <= density <= 1:
        raise ValueError("density has to be between 0 and 1")
    if rows <= 0 or columns <= 0:
        raise ValueError("num_rows or num_cols should be greater than 0")


def _uniform_csr(rows: int, columns: int, density: float, dtype: Any, data_init: Any, shuffled: bool) -> Any:
    from tensorkeep.mxnet.ndarray.sparse import csr_matrix

    _check_density(rows, columns, density)
    values = np.random.rand(rows, columns).astype(dtype)
    kept = np.random.rand(rows, columns) < density
    if data_init is not None:
        values[...] = data_init
    index = [np.flatnonzero(row) for row in kept]
    if shuffled:
        for row in index:
            np.random.shuffle(row)
    data = np.concatenate([values[i, row] for i, row in enumerate(index)])
    indptr = np.cumsum([0, *(len(row) for row in index)])
    return csr_matrix((data, np.concatenate(index), indptr), shape=(rows, columns), dtype=dtype)


def _powerlaw_csr(rows: int, columns: int, density: float, dtype: Any) -> Any:
    """Each row has about twice as many values as the one before."""
    _check_density(rows, columns, density)
    left = int(rows * columns * density)
    if left < 2 * rows:
        raise ValueError(
            f"not supported for this density: {density} for this shape ({rows}, {columns}) "
            "Please keep : num_rows * num_cols * density >= 2 * num_rows"
        )
    values = np.zeros((rows, columns), dtype=dtype)
    values[:, 0] = 1 + np.random.uniform(0.001, 2, size=rows)
    left -= rows
    wide = 2
    for row in range(rows):
        more = max(min(columns, wide, left + 1), 1)
        values[row, 1:more] = 1 + np.random.uniform(0.001, 2, size=more - 1)
        left -= more - 1
        wide *= 2
    if left > 0:
        raise ValueError(f"not supported for this density: {density} for this shape ({rows},{columns})")
    return array(values, dtype=dtype).tostype("csr")


def rand_sparse_ndarray(
    shape: tuple[int, ...],
    stype: str,
    density: float | None = None,
    dtype: Any = None,
    distribution: str | None = None,
    data_init: Any = None,
    rsp_indices: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    shuffle_csr_indices: bool = False,
    ctx: Any = None,
) -> tuple[Any, tuple[Any, ...]]:
    """A random sparse array and its parts: (values, rows) of "row_sparse", (indptr, columns, values) of "csr".

    Args:
        density: the share of rows, or of values, that are there; random by default.
        distribution: "uniform", or of csr "powerlaw".
        data_init: the value of all elements that are there.
        rsp_indices: the rows that are there.
        modifier_func: a function of every value.
    """
    from tensorkeep.mxnet.ndarray.sparse import row_sparse_array

    ctx = ctx or default_context()
    density = np.random.rand() if density is None else density
    dtype = default_dtype() if dtype is None else dtype
    distribution = distribution or "uniform"
    if stype == "csr":
        assert len(shape) == 2
        assert distribution in ("uniform", "powerlaw"), f"Distribution not supported: {distribution}"
        if distribution == "uniform":
            csr = _uniform_csr(shape[0], shape[1], density, dtype, data_init, shuffle_csr_indices)
        else:
            csr = _powerlaw_csr(shape[0], shape[1], density, dtype)
        csr = csr.as_in_context(ctx)
        return csr, (csr.indptr, csr.indices, csr.data)
    assert stype == "row_sparse", "unknown storage type"
    assert distribution == "uniform", f"Distribution {distribution} not supported for row_sparse"
    if rsp_indices is not None:
        rows = np.asarray(rsp_indices)
        assert len(rows) <= shape[0]
    else:
        rows = np.flatnonzero(np.random.rand(shape[0]) < density)
    if not len(rows):
        return zeros(shape, stype="row_sparse", dtype=dtype, ctx=ctx), (np.array([], dtype=dtype), np.array([]))
    values = np.random.rand(len(rows), *shape[1:]).astype(dtype)
    if data_init is not None:
        values.fill(data_init)
    if modifier_func is not None:
        values = assign_each(values, modifier_func)
    return row_sparse_array((values, rows), shape=shape, dtype=dtype, ctx=ctx), (values, rows)


def rand_ndarray(
    shape: tuple[int, ...],
    stype: str = "default",
    density: float | None = None,
    dtype: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    shuffle_csr_indices: bool = False,
    distribution: str | None = None,
    ctx: Any = None,
) -> Any:
    """A random array, dense or sparse."""
    ctx = ctx or default_context()
    if stype == "default":
        return array(random_arrays(shape), dtype=dtype, ctx=ctx)
    return rand_sparse_ndarray(
        shape,
        stype,
        density=density,
        modifier_func=modifier_func,
        dtype=dtype,
        shuffle_csr_indices=shuffle_csr_indices,
        distribution=distribution,
        ctx=ctx,
    )[0]


def create_sparse_array(
    shape: tuple[int, ...],
    stype: str,
    data_init: Any = None,
    rsp_indices: Any = None,
    dtype: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    density: float = 0.5,
    shuffle_csr_indices: bool = False,
) -> Any:
    """A random sparse array."""
    if stype not in ("row_sparse", "csr"):
        raise AssertionError("Unknown storage type: " + stype)
    return rand_sparse_ndarray(
        shape,
        stype,
        density=density,
        data_init=data_init,
        rsp_indices=None if rsp_indices is None else np.sort(np.asarray(rsp_indices)),
        dtype=dtype,
        modifier_func=modifier_func,
        shuffle_csr_indices=shuffle_csr_indices,
    )[0]


def create_sparse_array_zd(
    shape: tuple[int, ...],
    stype: str,
    density: float,
    data_init: Any = None,
    rsp_indices: Any = None,
    dtype: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    shuffle_csr_indices: bool = False,
) -> Any:
    """A random sparse array; a row_sparse one only has the rows that are given."""
    return create_sparse_array(
        shape,
        stype,
        data_init=data_init,
        rsp_indices=rsp_indices,
        dtype=dtype,
        modifier_func=modifier_func,
        density=0.0 if stype == "row_sparse" else density,
        shuffle_csr_indices=shuffle_csr_indices,
    )


def np_reduce(dat: Array, axis: Any, keepdims: bool, numpy_reduce_func: Callable[..., Any]) -> Any:
    """A reduction of NumPy over several axes, one after another."""
    axes = [axis] if isinstance(axis, int) else list(axis) if axis is not None else list(range(dat.ndim))
    found: Any = dat
    for each in sorted(axes, reverse=True):
        found = numpy_reduce_func(found, axis=each)
    if keepdims:
        shape = [1 if i in axes else n for i, n in enumerate(dat.shape)]
        found = found.reshape(tuple(shape))
    return found


def collapse_sum_like(a: Array, shape: tuple[int, ...]) -> Array:
    """`a` summed until it has that shape: the gradient of a broadcast."""
    assert len(a.shape) >= len(shape)
    if np.prod(shape) == 0 or a.size == 0:
        return np.zeros(shape, dtype=a.dtype)
    more = len(a.shape) - len(shape)
    axes = list(range(more))
    for i, n in enumerate(shape):
        if n != a.shape[i + more]:
            assert n == 1
            axes.append(i + more)
    return np.asarray(np.sum(a, axis=tuple(axes)).reshape(shape))


def new_matrix_with_real_eigvals_2d(n: int) -> Array:
    """A random matrix (n, n) with real eigenvalues."""
    while True:
        d = np.diag(np.random.uniform(-1.0, 1.0, n))
        v = np.random.uniform(-1.0, 1.0, (n, 1))
        v = v / np.linalg.norm(v)
        q = (np.eye(n) - 2 * v @ v.T) @ d
        if np.linalg.cond(q, 2) < 3:
            break
    return np.asarray(np.linalg.inv(q) @ np.diag(np.random.uniform(-10.0, 10.0, n)) @ q)


def _several(make: Callable[[int], Array], shape: tuple[int, ...]) -> Array:
    count = int(np.prod(shape[:-2])) if len(shape) > 2 else 1
    return np.array([make(shape[-1]) for _ in range(count)]).reshape(shape)


def new_matrix_with_real_eigvals_nd(shape: tuple[int, ...]) -> Array:
    """Random matrices (…, n, n) with real eigenvalues."""
    return _several(new_matrix_with_real_eigvals_2d, shape)


def new_orthonormal_matrix_2d(n: int) -> Array:
    """A random orthogonal matrix."""
    x = np.random.randn(n, n)
    return np.asarray(np.linalg.qr(x.T @ x)[0])


def new_sym_matrix_with_real_eigvals_2d(n: int) -> Array:
    """A random symmetric matrix."""
    q = new_orthonormal_matrix_2d(n)
    return np.asarray(q.T @ np.diag(np.random.uniform(-10.0, 10.0, n)) @ q)


def new_sym_matrix_with_real_eigvals_nd(shape: tuple[int, ...]) -> Array:
    """Random symmetric matrices (…, n, n)."""
    return _several(new_sym_matrix_with_real_eigvals_2d, shape)


claim(globals(), "mxnet.test_utils")
