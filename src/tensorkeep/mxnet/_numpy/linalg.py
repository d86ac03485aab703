"""mx.np.linalg, and the products of mx.np itself."""

from __future__ import annotations

from typing import Any

import numpy as onp

from tensorkeep.mxnet._numpy.face import Face
from tensorkeep.mxnet.util import refuse_ufunc_options

__all__ = ["Linalg", "Products"]


class Products(Face):
    """Products of arrays."""

    def dot(self, a: Any, b: Any, out: Any = None) -> Any:
        """The sum of products over the last axis of a and the last but one of b."""
        return self.call("_np_dot", (a, b), out)

    def matmul(self, a: Any, b: Any, out: Any = None, **kwargs: Any) -> Any:
        """The matrix product of the last two axes, the others broadcast."""
        if kwargs:
            refuse_ufunc_options("matmul", kwargs, unary=False)
        return self.call("_npi_matmul", (a, b), out)

    def tensordot(self, a: Any, b: Any, axes: Any = 2) -> Any:
        """The sum of products over pairs of axes, or over the last of a and the first of b."""
        if onp.isscalar(axes):
            return self.call("_npi_tensordot_int_axes", (a, b), axes=axes)
        if len(axes) != 2:
            raise ValueError("Axes must consist of two arrays.")
        first, second = ((side,) if onp.isscalar(side) else side for side in axes)
        if len(first) != len(second):
            raise ValueError("Axes length mismatch")
        return self.call("_npi_tensordot", (a, b), a_axes_summed=first, b_axes_summed=second)

    def inner(self, a: Any, b: Any) -> Any:
        """The sum of products over the last axes."""
        return self.tensordot(a, b, [-1, -1])

    def outer(self, a: Any, b: Any) -> Any:
        """The products of every element of a with every one of b."""
        return self.tensordot(a.flatten(), b.flatten(), 0)

    def vdot(self, a: Any, b: Any) -> Any:
        """The sum of products of the flat arrays."""
        return self.tensordot(a.flatten(), b.flatten(), 1)

    def einsum(self, *operands: Any, **kwargs: Any) -> Any:
        """einsum("ij,jk->ik", a, b): Einstein's sum over the letters that are left out on the right."""
        optimize, out = kwargs.pop("optimize", False), kwargs.pop("out", None)
        subscripts, arrays = operands[0], operands[1:]
        attrs = {"subscripts": subscripts, "optimize": int(optimize)}
        return self.call("_npi_einsum", arrays, out, num_args=len(arrays), **attrs)


class Linalg(Face):
    """The functions of mx.np.linalg."""

    def norm(self, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
        """The norm of vectors (one axis) or matrices (two); the root of all squares by default."""
        if axis is None and ord is None:
            return self._norm(x, 2, None, keepdims, -2)
        if not (axis is None or isinstance(axis, (int, tuple))):
            raise TypeError("'axis' must be None, an integer or a tuple of integers.")
        axes = (axis,) if isinstance(axis, int) else axis
        if axes is not None and len(axes) == 2 and ord in ("inf", "-inf", 1, -1):
            return self._sums(x, ord, axes, keepdims)
        if axes is not None and len(axes) == 2 and ord in (2, -2):
            return self._norm(x, ord, axes, keepdims, 0)
        if ord in ("inf", "-inf"):
            size = self.call("_npi_abs", (x,))
            return self.call("_np_max" if ord == "inf" else "_np_min", (size,), axis=axes, keepdims=keepdims)
        flags = {None: 1, "nuc": 2, "fro": 1, "f": 1}
        if ord in flags:
            return self._norm(x, 2, axes, keepdims, flags[ord])
        return self._norm(x, ord, axes, keepdims, -1)

    def _norm(self, x: Any, ord: Any, axis: Any, keepdims: bool, flag: int) -> Any:
        return self.call("_npi_norm", (x,), ord=ord, axis=axis, keepdims=keepdims, flag=flag)

    def _sums(self, x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
        """The largest or smallest sum of magnitudes over rows or columns."""
        rows, columns = axes
        over, then = (columns, rows) if isinstance(ord, str) else (rows, columns)
        if not keepdims and then > over:
            then -= 1
        sums = self.call("_np_sum", (self.call("_npi_abs", (x,)),), axis=over, keepdims=keepdims)
        return self.call("_np_max" if ord in ("inf", 1) else "_np_min", (sums,), axis=then, keepdims=keepdims)

    def svd(self, a: Any) -> Any:
        """(U, L, V) with a = U diag(L) V; a has no more rows than columns."""
        return self.several(self.call("_npi_svd", (a,)))

    def cholesky(self, a: Any) -> Any:
        """The lower triangular L with a = L Lᵀ."""
        return self.call("_npi_cholesky", (a,))

    def inv(self, a: Any) -> Any:
        """The inverse."""
        return self.call("_npi_inv", (a,))

    def det(self, a: Any) -> Any:
        """The determinant."""
        return self.call("_npi_det", (a,))

    def slogdet(self, a: Any) -> Any:
        """The sign of the determinant and the logarithm of its absolute value."""
        return self.call("_npi_slogdet", (a,))

    def solve(self, a: Any, b: Any) -> Any:
        """x with a x = b."""
        return self.call("_npi_solve", (a, b))

    def tensorinv(self, a: Any, ind: int = 2) -> Any:
        """The inverse of the product over axes."""
        return self.call("_npi_tensorinv", (a,), ind=ind)

    def tensorsolve(self, a: Any, b: Any, axes: Any = None) -> Any:
        """x with the product of a and x over all axes of x equal to b."""
        return self.call("_npi_tensorsolve", (a, b), a_axes=() if axes is None else axes)

    def pinv(self, a: Any, rcond: Any = 1e-15, hermitian: bool = False) -> Any:
        """The pseudo-inverse; singular values up to rcond times the largest count as 0."""
        if hermitian is True:
            raise NotImplementedError("hermitian is not supported yet...")
        if onp.isscalar(rcond):
            return self.call("_npi_pinv_scalar_rcond", (a,), rcond=rcond, hermitian=hermitian)
        return self.call("_npi_pinv", (a, rcond), hermitian=hermitian)

    def eigvals(self, a: Any) -> Any:
        """The eigenvalues, which have to be real."""
        return self.call("_npi_eigvals", (a,))

    def eigvalsh(self, a: Any, UPLO: str = "L") -> Any:
        """The ascending eigenvalues of symmetric matrices."""
        return self.call("_npi_eigvalsh", (a,), UPLO=UPLO)

    def eig(self, a: Any) -> Any:
        """The eigenvalues and the eigenvectors as columns; they have to be real."""
        return self.several(self.call("_npi_eig", (a,)))

    def eigh(self, a: Any, UPLO: str = "L") -> Any:
        """The ascending eigenvalues of symmetric matrices and the eigenvectors as columns."""
        return self.several(self.call("_npi_eigh", (a,), UPLO=UPLO))
