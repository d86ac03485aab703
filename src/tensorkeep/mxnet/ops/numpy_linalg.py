"""mx.np's linear algebra: products, einsum, norms, decompositions, solutions."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, prod
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Shape, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops._elementwise import like, same_dtype
from tensorkeep.mxnet.ops._numpy_axes import axis_in

Names = Sequence[str | None]


def _floats(what: str, *arrays: Tensor) -> None:
    for array in arrays:
        if not array.dtype.is_floating_point:
            raise MXNetError(f"{what} only supports float32/float64 for CPU, and float16/float32/float64 for GPU")


def _inner(a: Tensor, b: Tensor, first: int, second: int) -> None:
    if a.shape[first] != b.shape[second]:
        wanted = [-1] * b.dim()
        wanted[second] = a.shape[first]
        raise MXNetError(f"Shape inconsistent, Provided = {like(b.shape)}, inferred shape={like(wanted)}")


def _known(one: int, other: int) -> int:
    """A dimension that both have, as far as it is known."""
    return other if one == -1 else one


def _matched(a: tuple[int, ...], b: tuple[int, ...], row: int) -> tuple[list[int], list[int]]:
    """Both shapes, the last dimension of a and the dimension `row` of b known where one of them is."""
    left, right = list(a), list(b)
    left[-1] = right[row] = _known(left[-1], right[row])
    return left, right


def _dot_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    """Weights learn from data: the dimension that is summed over is the same in both."""
    a, b = shapes
    if a is None or b is None:
        return shapes, [None]
    if not a or not b:
        return shapes, [tuple(a) or tuple(b)]
    row = -2 if len(b) > 1 else -1
    left, right = _matched(a, b, row)
    rest = right[:-2] + right[-1:] if len(right) > 1 else []
    return [tuple(left), tuple(right)], [(*left[:-1], *rest)]


def _matmul_shapes(shapes: list[Shape], attrs: Attrs) -> tuple[Sequence[Shape], Sequence[Shape]]:
    a, b = shapes
    if a is None or b is None or not a or not b:
        return shapes, [None]
    left, right = _matched(a, b, -2 if len(b) > 1 else -1)
    rank = max(len(left), len(right)) - 2
    lead = []
    for x, y in zip(_padded(left, rank), _padded(right, rank), strict=True):
        lead.append(y if x == 1 else x if y == 1 else _known(x, y))
    ends = [*(left[-2:-1] if len(left) > 1 else []), *(right[-1:] if len(right) > 1 else [])]
    return [tuple(left), tuple(right)], [(*lead, *ends)]


def _padded(shape: list[int], rank: int) -> list[int]:
    """The dimensions before the matrix, with ones in front."""
    lead = shape[:-2] if len(shape) > 1 else []
    return [1] * (max(rank, 0) - len(lead)) + lead


@operator("_npi_matmul", shape=_matmul_shapes)
def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product of the last two axes, the others broadcast; vectors are rows on the left, columns right."""
    same_dtype(a, b)
    if a.dim() == 0 or b.dim() == 0:
        raise MXNetError("Multiplication by scalars is not allowed.")
    _floats("Matmul", a, b)
    _inner(a, b, -1, -2 if b.dim() > 1 else -1)
    return torch.matmul(a, b)


@operator("_np_dot", shape=_dot_shapes)
def dot(a: Tensor, b: Tensor) -> Tensor:
    """The sum of products over the last axis of a and the last but one of b; a 0-d array multiplies the other."""
    same_dtype(a, b)
    if not a.dtype.is_floating_point:
        raise MXNetError("This operation only support floating point types, not int32")
    if a.dim() == 0 or b.dim() == 0:
        return a * b
    if (a.dim() <= 2 and b.dim() <= 2) or b.dim() == 1:
        _inner(a, b, -1, -2 if b.dim() > 1 else -1)
        return torch.matmul(a, b)
    second = b.dim() - 2 if b.dim() > 1 else 0
    _inner(a, b, -1, second)
    return torch.tensordot(a, b, ([a.dim() - 1], [second]))


@operator("_npi_tensordot")
def tensordot(a: Tensor, b: Tensor, *, a_axes_summed: tuple[int, ...], b_axes_summed: tuple[int, ...]) -> Tensor:
    """The sum of products over pairs of axes; the other axes of a come before those of b."""
    same_dtype(a, b)
    _floats("Tensordot", a, b)
    if len(a_axes_summed) != len(b_axes_summed):
        raise MXNetError("Axes length mismatch")
    first = [axis_in(i, a.dim(), a.shape) for i in a_axes_summed]
    second = [axis_in(i, b.dim(), b.shape) for i in b_axes_summed]
    for i, j in zip(first, second, strict=True):
        _inner(a, b, i, j)
    return torch.tensordot(a, b, (first, second)) if first else _outer(a, b)


@operator("_npi_tensordot_int_axes")
def tensordot_int_axes(a: Tensor, b: Tensor, *, axes: int) -> Tensor:
    """The sum of products over the last `axes` axes of a and the first of b."""
    same_dtype(a, b)
    _floats("Tensordot", a, b)
    if axes < 0 or axes > min(a.dim(), b.dim()):
        raise MXNetError(f"tensordot over {axes} axes of arrays with {a.dim()} and {b.dim()} dimensions")
    for i in range(axes):
        _inner(a, b, a.dim() - axes + i, i)
    return torch.tensordot(a, b, axes) if axes else _outer(a, b)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a.reshape(tuple(a.shape) + (1,) * b.dim()) * b


@operator("_npi_einsum")
def einsum(*data: Tensor, subscripts: str = "", optimize: int = 0) -> Tensor:
    """Einstein's sum: products over the letters that are left out on the right of ->."""
    for array in data[1:]:
        same_dtype(data[0], array)
    return torch.einsum(subscripts, *data).clone()


def _vector_norm(data: Tensor, ord: float, axes: list[int], keepdims: bool) -> Tensor:
    size = data.abs()
    if ord == 0:
        return (data != 0).to(data.dtype).sum(axes, keepdim=keepdims)
    if isinf(ord):
        raise MXNetError(f"{'' if ord > 0 else '-'}inf norm handled in front-end.")
    if ord == 1:
        return size.sum(axes, keepdim=keepdims)
    if ord == 2:
        return torch.linalg.vector_norm(data, 2, axes, keepdim=keepdims)
    powers = size**ord if ord > 0 else torch.where(size == 0, torch.zeros_like(size), size**ord)
    return powers.sum(axes, keepdim=keepdims) ** (1 / ord)


def _matrix_norm(data: Tensor, ord: float, axes: list[int], keepdims: bool, nuclear: bool) -> Tensor:
    rows, columns = axes
    if nuclear or ord in (2, -2):
        moved = data.movedim((rows, columns), (-2, -1))
        values = torch.linalg.svdvals(moved)
        found = values.sum(-1) if nuclear else values.amax(-1) if ord > 0 else values.amin(-1)
        return found.reshape([1 if i in axes else n for i, n in enumerate(data.shape)]) if keepdims else found
    over, then = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = data.abs().sum(over, keepdim=True)
    found = (torch.amax if ord > 0 else torch.amin)(sums, then, keepdim=True)
    return found if keepdims else found.squeeze((over, then))


@operator("_npi_norm")
def norm(
    data: Tensor, *, ord: float = 2.0, axis: tuple[int, ...] | None = None, keepdims: bool = False, flag: int = -1
) -> Tensor:
    """The norm of vectors (one axis) or matrices (two).

    Args:
        axis: the last two axes, or the only one, by default.
        flag: -2 the root of the sum of all squares, 1 the Frobenius norm, 2 the nuclear norm; else `ord` says which.
    """
    if not data.dtype.is_floating_point:
        return norm(data.double(), ord=ord, axis=axis, keepdims=keepdims, flag=flag).to(data.dtype)
    if flag == -2:
        return torch.linalg.vector_norm(data, 2, list(range(data.dim())), keepdim=keepdims)
    if axis is None:
        axes = list(range(max(0, data.dim() - 2), data.dim()))
    else:
        axes = [axis_in(i, data.dim(), data.shape) for i in axis]
    if flag == 2 and len(axes) != 2:
        raise MXNetError("Invalid norm order for inputs.")
    if flag == 1:
        return torch.linalg.vector_norm(data, 2, axes, keepdim=keepdims)
    if len(axes) == 1:
        return _vector_norm(data, ord, axes, keepdims)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise MXNetError("Improper number of dimensions to norm.")
    return _matrix_norm(data, ord, axes, keepdims, flag == 2)


def _matrices(a: Tensor) -> None:
    if a.dtype not in (torch.float32, torch.float64):
        raise MXNetError("This operation only supports 32-bit and 64-bit floating point")
    _square(a)


def _square(a: Tensor) -> None:
    if a.dim() < 2:
        raise MXNetError("Array must be at least two-dimensional")
    if a.shape[-1] != a.shape[-2]:
        raise MXNetError("Input A's last two dimension must be equal")


@operator("_npi_cholesky")
def cholesky(A: Tensor, *, lower: bool = True) -> Tensor:
    """The lower triangular L with A = L Lᵀ (upper with lower=False) of symmetric positive definite matrices."""
    _matrices(A)
    found, info = torch.linalg.cholesky_ex(A, upper=not lower)
    if info.device.type != "meta" and bool(info.any()):
        raise MXNetError(
            "spotrf failed in lapack on cpu. This may happen when the input matrix is either not symmetric or not "
            "positive definite."
        )
    return found


def _names(count: int) -> Any:
    def rule(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
        return names, [names[0]] * count

    return rule


def _wide(count: int) -> Any:
    """Whole numbers give float64."""

    def rule(names: list[str | None], attrs: Attrs) -> tuple[Names, Names]:
        name = names[0]
        return names, [name if name is None or name.startswith("float") else "float64"] * count

    return rule


@operator("_npi_svd", outputs=3, dtype=_names(3))
def svd(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, L and V with A = U diag(L) V; the component of each row of V that is largest in magnitude is positive.

    A has no more rows than columns.
    """
    if A.dtype not in (torch.float32, torch.float64):
        raise MXNetError("This operation only supports 32-bit and 64-bit floating point")
    if A.dim() < 2 or A.shape[-2] > A.shape[-1]:
        raise MXNetError(
            "Input A shape wrong: The second to last dimension must be less than orequal to the last dimension"
        )
    u, values, v = torch.linalg.svd(A, full_matrices=False)
    sign = _signs(v.detach())
    return u * sign.transpose(-1, -2), values, v * sign


def _signs(rows: Tensor) -> Tensor:
    """1 or -1 for each row: the sign of its largest component in magnitude."""
    if not rows.numel():
        return torch.ones_like(rows[..., :1])
    peaks = rows.gather(-1, rows.abs().argmax(-1, keepdim=True))
    return torch.where(peaks < 0, -torch.ones_like(peaks), torch.ones_like(peaks))


def _for_eigenvalues(A: Tensor) -> Tensor:
    if A.dtype is torch.float16:
        raise MXNetError("array type float16 is unsupported in linalg")
    _square(A)
    return A if A.dtype.is_floating_point else A.double()


@operator("_npi_eigh", outputs=2, dtype=_wide(2))
def eigh(A: Tensor, *, UPLO: str = "L") -> tuple[Tensor, Tensor]:
    """The ascending eigenvalues of symmetric matrices, and the eigenvectors as columns.

    The component of each eigenvector that is largest in magnitude is positive. UPLO: which triangle is read.
    """
    values, vectors = torch.linalg.eigh(_for_eigenvalues(A), _triangle(UPLO))
    return values, vectors * _signs(vectors.detach().transpose(-1, -2)).transpose(-1, -2)


def _triangle(UPLO: str) -> str:
    found = str(UPLO)
    if found.isdigit():
        found = chr(int(found))  # a char parameter, stored as its code
    if found not in ("L", "U"):
        raise MXNetError("UPLO argument must be 'L' or 'U'")
    return found


@operator("_npi_eigvalsh", dtype=_wide(1))
def eigvalsh(A: Tensor, *, UPLO: str = "L") -> Tensor:
    """The ascending eigenvalues of symmetric matrices."""
    return torch.linalg.eigvalsh(_for_eigenvalues(A), _triangle(UPLO))


def _real(values: Tensor) -> Tensor:
    if values.device.type != "meta" and bool((values.imag.abs() > 1e-15).any()):
        raise MXNetError("Complex eigvals is unsupported in linalg temporary.")
    return values.real


@operator("_npi_eig", outputs=2, dtype=_wide(2))
def eig(A: Tensor) -> tuple[Tensor, Tensor]:
    """The eigenvalues of square matrices, and the eigenvectors as columns. They have to be real."""
    values, vectors = torch.linalg.eig(_for_eigenvalues(A.detach()))
    return _real(values).clone(), vectors.real.clone()


@operator("_npi_eigvals", dtype=_wide(1))
def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of square matrices. They have to be real."""
    return _real(torch.linalg.eigvals(_for_eigenvalues(A.detach()))).clone()


@operator("_npi_solve", dtype=_wide(1))
def solve(A: Tensor, B: Tensor) -> Tensor:
    """X with A X = B."""
    same_dtype(A, B)
    a, b = _for_eigenvalues(A), B if B.dtype.is_floating_point else B.double()
    columns = b.dim() != a.dim()
    if columns:
        b = b[..., None]
    if a.dim() != b.dim() or a.shape[-1] != b.shape[-2]:
        raise MXNetError(f"Cannot solve: A has shape {like(A.shape)}, B {like(B.shape)}")
    found, info = torch.linalg.solve_ex(a, b)
    if info.device.type != "meta" and bool(info.any()):
        at = int(info.reshape(-1).max())
        raise MXNetError(
            f"U({at}, {at}) is exactly zero. The factorization has been completed,but the factor U is exactly "
            "singular, so the solution could not be computed."
        )
    return found[..., 0] if columns else found


@operator("_npi_tensorinv", dtype=_wide(1))
def tensorinv(a: Tensor, *, ind: int = 2) -> Tensor:
    """The inverse of the product over axes: of the matrix whose rows are the first `ind` axes."""
    if ind <= 0:
        raise MXNetError("Invalid ind argument.")
    front, back = tuple(a.shape[:ind]), tuple(a.shape[ind:])
    if prod(front) != prod(back):
        raise MXNetError("a shape must be square, i. e., prod(a.shape[:ind]) == prod(a.shape[ind:]).")
    values = a if a.dtype.is_floating_point else a.double()
    found, info = torch.linalg.inv_ex(values.reshape(prod(front), prod(back)))
    if info.device.type != "meta" and bool(info.any()):
        raise MXNetError("the input matrix is non-convertible")
    return found.reshape(back + front)


@operator("_npi_tensorsolve", dtype=_wide(1))
def tensorsolve(a: Tensor, b: Tensor, *, a_axes: tuple[int, ...] = ()) -> Tensor:
    """x with the product of a and x over all axes of x equal to b; the axes a_axes of a are moved to its end first."""
    same_dtype(a, b)
    if a_axes and None not in a_axes:
        moved = [axis_in(i, a.dim(), a.shape) for i in a_axes]
        a = a.permute((*[i for i in range(a.dim()) if i not in moved], *moved))
    shape = tuple(a.shape[b.dim() - a.dim() :])  # as NumPy counts, also where b has as many axes as a, or more
    if prod(shape) != b.numel():
        raise MXNetError(f"tensorsolve: a has shape {like(a.shape)}, b {like(b.shape)}")
    found = solve(a.reshape(b.numel(), prod(shape)), b.reshape(-1))
    return found.reshape(shape)


def _pseudo_inverse(A: Tensor, rcond: Any) -> Tensor:
    if A.dtype not in (torch.float32, torch.float64):
        raise MXNetError("This operation only supports 32-bit and 64-bit floating point")
    if A.dim() < 2:
        raise MXNetError("Array must be at least two-dimensional")
    u, values, v = torch.linalg.svd(A, full_matrices=False)
    limit = values.amax(-1, keepdim=True) * rcond
    inverse = torch.where(values > limit, 1 / values, torch.zeros_like(values))
    return v.transpose(-1, -2) @ (inverse[..., None] * u.transpose(-1, -2))


@operator("_npi_pinv", dtype=lambda names, attrs: (names, [names[0]]))
def pinv(A: Tensor, rcond: Tensor, *, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse; singular values up to rcond times the largest count as 0."""
    return _pseudo_inverse(A, rcond.to(A.dtype)[..., None])


@operator("_npi_pinv_scalar_rcond")
def pinv_scalar_rcond(A: Tensor, *, rcond: float = 1e-15, hermitian: bool = False) -> Tensor:
    """The pseudo-inverse; singular values up to rcond times the largest count as 0."""
    return _pseudo_inverse(A, rcond)
