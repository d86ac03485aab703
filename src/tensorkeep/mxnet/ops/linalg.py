"""linalg.*: products, factorizations and determinants of the matrices in the last two axes."""

from __future__ import annotations

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._rules import axis_of, one_dtype


def _checked(*arrays: Tensor) -> None:
    """Raise MXNetError unless all are float32 or all float64."""
    one_dtype(arrays, "linalg")
    if arrays[0].dtype not in (torch.float32, torch.float64):
        raise MXNetError("This operation only supports 32-bit and 64-bit floating point")


def _square(array: Tensor) -> None:
    """Raise MXNetError unless it holds square matrices of float32 or float64."""
    _checked(array)
    if array.dim() < 2 or array.shape[-1] != array.shape[-2]:
        raise MXNetError(f"Input operand must be a tensor of square matrices, not of shape {list(array.shape)}")


def _scaled(array: Tensor, alpha: float) -> Tensor:
    return array if alpha == 1 else array * alpha


def _vector(array: Tensor) -> Tensor:
    """A result without dimensions has one in MXNet, unless NumPy's shapes are on."""
    return array if array.dim() or state.np_shape else array.reshape(1)


def _product(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, alpha: float) -> Tensor:
    left = a.transpose(-1, -2) if transpose_a else a
    right = b.transpose(-1, -2) if transpose_b else b
    if a.dim() != b.dim() or a.dim() < 2:
        raise MXNetError(
            f"Shapes of inputs 0, 1 must have the same number of dimensions: {list(a.shape)} {list(b.shape)}"
        )
    if left.shape[:-2] != right.shape[:-2]:
        raise MXNetError("Shapes of inputs 0, 1 must be the same, except on row/col axis")
    if left.shape[-1] != right.shape[-2]:
        raise MXNetError(f"Incompatible matrix dimensions for multiplication: {list(a.shape)} {list(b.shape)}")
    return _scaled(left.matmul(right), alpha)


def _row_axis(axis: int, rank: int) -> int:
    """Where the rows are: 0 ≤ axis < rank - 1."""
    found = axis_of(axis, rank, "linalg")
    if found >= rank - 1:
        raise MXNetError(f"Invalid row axis ({axis})")
    return found


@operator("_linalg_gemm2")
def gemm2(
    a: Tensor, b: Tensor, *, transpose_a: bool = False, transpose_b: bool = False, alpha: float = 1, axis: int = -2
) -> Tensor:
    """alpha times the product of the matrices of A and B; `axis` is where their rows are."""
    _checked(a, b)
    rows = _row_axis(axis, a.dim())
    if rows == a.dim() - 2:
        return _product(a, b, transpose_a, transpose_b, alpha)
    if a.dim() != b.dim():
        raise MXNetError(
            f"Shapes of inputs 0, 1 must have the same number of dimensions: {list(a.shape)} {list(b.shape)}"
        )
    moved = _product(a.movedim(rows, -2), b.movedim(rows, -2), transpose_a, transpose_b, alpha)
    return moved.movedim(-2, rows)


@operator("_linalg_gemm")
def gemm(
    a: Tensor, b: Tensor, c: Tensor, *, transpose_a: bool = False, transpose_b: bool = False, alpha: float = 1,
    beta: float = 1, axis: int = -2,
) -> Tensor:  # fmt: skip
    """alpha times the product of the matrices of A and B, plus beta times C; `axis` is where their rows are."""
    _checked(a, b, c)
    found = gemm2(a, b, transpose_a=transpose_a, transpose_b=transpose_b, alpha=alpha, axis=axis)
    if found.shape != c.shape:
        raise MXNetError(f"Shape inconsistent, Provided = {list(c.shape)}, inferred shape={list(found.shape)}")
    return found + _scaled(c, beta)


@operator("_linalg_potrf")
def potrf(a: Tensor, *, lower: bool = True) -> Tensor:
    """The lower triangular L with A = L Lᵀ; only the lower triangle of the symmetric positive definite A is read.

    lower=False: the upper triangular U with A = Uᵀ U, from the upper triangle of A.
    """
    _square(a)
    found, info = torch.linalg.cholesky_ex(a, upper=not lower)
    if info.device.type != "meta" and bool(info.any()):
        raise MXNetError(
            "potrf failed in lapack on cpu. This may happen when the input matrix is either not symmetric or not "
            "positive definite."
        )
    return found


@operator("_linalg_potri")
def potri(a: Tensor, *, lower: bool = True) -> Tensor:
    """The inverse of A Aᵀ (Aᵀ A with lower=False) for a triangular A: of a matrix whose potrf is A."""
    triangle = _triangle(a, lower)
    eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    inverse = torch.linalg.solve_triangular(triangle, eye.expand(a.shape), upper=not lower)
    turned = inverse.transpose(-1, -2)
    return turned.matmul(inverse) if lower else inverse.matmul(turned)


def _triangle(a: Tensor, lower: bool) -> Tensor:
    _square(a)
    return a.tril() if lower else a.triu()


@operator("_linalg_trmm")
def trmm(
    a: Tensor, b: Tensor, *, transpose: bool = False, rightside: bool = False, lower: bool = True, alpha: float = 1
) -> Tensor:
    """alpha A B, or alpha B A with rightside=True, for a triangular A (transposed with transpose=True)."""
    _checked(a, b)
    triangle = _triangle(a, lower)
    if rightside:
        return _product(b, triangle, False, transpose, alpha)
    return _product(triangle, b, transpose, False, alpha)


@operator("_linalg_trsm")
def trsm(
    a: Tensor, b: Tensor, *, transpose: bool = False, rightside: bool = False, lower: bool = True, alpha: float = 1
) -> Tensor:
    """The X of A X = alpha B, or of X A = alpha B with rightside=True, for a triangular A (transposed if asked)."""
    _checked(a, b)
    triangle = _triangle(a, lower)
    if a.dim() != b.dim() or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-1 if rightside else -2]:
        raise MXNetError(f"Operator _linalg_trsm: A {list(a.shape)} and B {list(b.shape)} do not match")
    if transpose:
        triangle, lower = triangle.transpose(-1, -2), not lower
    return torch.linalg.solve_triangular(triangle, _scaled(b, alpha), upper=not lower, left=not rightside)


@operator("_linalg_syrk")
def syrk(a: Tensor, *, transpose: bool = False, alpha: float = 1) -> Tensor:
    """alpha A Aᵀ, or alpha Aᵀ A with transpose=True."""
    _checked(a)
    return _product(a, a, transpose, not transpose, alpha)


@operator("_linalg_gelqf", outputs=2, dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 2))
def gelqf(a: Tensor) -> tuple[Tensor, Tensor]:
    """Q with orthonormal rows and the lower triangular L of A = L Q; A has no more rows than columns."""
    _checked(a)
    if a.dim() < 2 or a.shape[-2] > a.shape[-1]:
        raise MXNetError("Input A shape wrong: Last dimension must be >= than second to last")
    q, r = torch.linalg.qr(a.transpose(-1, -2))
    return q.transpose(-1, -2), r.transpose(-1, -2)


@operator("_linalg_syevd", outputs=2, dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 2))
def syevd(a: Tensor) -> tuple[Tensor, Tensor]:
    """U, whose rows are the eigenvectors of the symmetric A, and the ascending eigenvalues L: A = Uᵀ diag(L) U.

    The component of each eigenvector that is largest in magnitude is positive.
    """
    _square(a)
    values, vectors = torch.linalg.eigh(a)
    rows = vectors.transpose(-1, -2)
    peaks = rows.gather(-1, rows.abs().argmax(-1, keepdim=True))
    return torch.where(peaks < 0, -rows, rows), values


@operator("_linalg_det")
def det(a: Tensor) -> Tensor:
    """The determinant of each matrix."""
    _square(a)
    return _vector(torch.linalg.det(a))


@operator("_linalg_slogdet", outputs=2, dtype=lambda dtypes, attrs: (dtypes, [dtypes[0]] * 2))
def slogdet(a: Tensor) -> tuple[Tensor, Tensor]:
    """The sign of the determinant of each matrix, and the logarithm of its absolute value."""
    _square(a)
    sign, logarithm = torch.linalg.slogdet(a)
    return _vector(sign), _vector(logarithm)


@operator("_linalg_inverse")
def inverse(a: Tensor) -> Tensor:
    """The inverse of each matrix."""
    _square(a)
    found, info = torch.linalg.inv_ex(a)
    if info.device.type != "meta" and bool(info.any()):
        raise MXNetError("the input matrix is non-convertible")
    return found


@operator("_linalg_sumlogdiag")
def sumlogdiag(a: Tensor) -> Tensor:
    """The sum of the logarithms of each matrix' diagonal."""
    _square(a)
    return _vector(a.diagonal(0, -2, -1).log().sum(-1))


def _offset(size: int, offset: int) -> None:
    if abs(offset) >= size:
        raise MXNetError(f"Illegal offset {offset} for diag/trian extraction of matrix with dimension {size}")


@operator("_linalg_extractdiag")
def extractdiag(a: Tensor, *, offset: int = 0) -> Tensor:
    """The diagonal of each matrix, above the main one where offset is positive."""
    _square(a)
    _offset(a.shape[-1], offset)
    return a.diagonal(offset, -2, -1).clone()


@operator("_linalg_makediag")
def makediag(a: Tensor, *, offset: int = 0) -> Tensor:
    """Square matrices that have the vectors of the last axis as their diagonals."""
    _checked(a)
    return torch.diag_embed(a, offset)


def _corner(size: int, offset: int, lower: bool, a: Tensor) -> Tensor:
    """Row and column of each element of a triangle: a lower one row by row, an upper one column by column; (2, n)."""
    if offset > 0 or (offset == 0 and not lower):
        return torch.tril_indices(size, size, -offset, device=a.device).flip(0)
    return torch.tril_indices(size, size, offset, device=a.device)


@operator("_linalg_extracttrian")
def extracttrian(a: Tensor, *, offset: int = 0, lower: bool = True) -> Tensor:
    """The elements of each matrix' triangle: of a lower one row by row, of an upper one column by column.

    offset=0: the triangle with the main diagonal, the lower one or the upper. Otherwise the corner that begins at
    that diagonal, whatever `lower` says.
    """
    _square(a)
    size = a.shape[-1]
    _offset(size, offset)
    rows, columns = _corner(size, offset, lower, a).unbind(0)
    return a.flatten(-2).index_select(-1, rows * size + columns)


@operator("_linalg_maketrian")
def maketrian(a: Tensor, *, offset: int = 0, lower: bool = True) -> Tensor:
    """Square matrices with the vectors of the last axis in a triangle, zeros elsewhere: extracttrian undone."""
    _checked(a)
    count = a.shape[-1]
    side = int((2 * count + 0.25) ** 0.5)
    if side * (side + 1) // 2 != count:
        raise MXNetError("Input tensor of maketrian has an invalid dimension for the last axis.")
    size = side + abs(offset)
    rows, columns = _corner(size, offset, lower, a).unbind(0)
    flat = a.new_zeros((*a.shape[:-1], size * size))
    return flat.index_copy(-1, rows * size + columns, a).reshape(*a.shape[:-1], size, size)
