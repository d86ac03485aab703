"""The methods of mx.np.ndarray that are functions of mx.np, and those of NDArray that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["REFUSED", "add_methods"]

REFUSED = (
    "abs arccos arccosh arcsin arcsinh arctan arctanh argmax_channel asscalar broadcast_axes broadcast_like cbrt ceil "
    "cos cosh degrees depth_to_space diag exp expand_dims expm1 fix flip floor log log10 log1p log2 log_softmax "
    "nanprod nansum norm one_hot ones_like pad pick radians rcbrt reciprocal relu reshape_like rint rsqrt shape_array "
    "sigmoid sign sin sinh size_array slice slice_axis slice_like softmax softmin space_to_depth split split_v2 sqrt "
    "square tan tanh tile topk tostype trunc zeros_like"
)
"""NDArray has them as methods; mx.np.ndarray raises, as MXNet's does: they are functions of mx.np or mx.npx."""


def _refused(cls: Any, name: str) -> Callable[..., Any]:
    kind = "mxnet.numpy.ndarray" if cls.__name__ == "ndarray" else cls.__name__

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AttributeError(f"{kind} object has no attribute {name}")

    method.__name__ = name
    method.__qualname__ = f"{cls.__name__}.{name}"
    method.__doc__ = f"Not a method here: use mx.np.{name} or mx.npx.{name}."
    return method


def add_methods(cls: Any, face: Any, only: frozenset[str] | None = None) -> None:
    """Give a class of arrays or symbols its methods.

    Args:
        face: where they end.
        only: the names that the class has; all by default.
    """
    for name in (REFUSED + " broadcast_to" * (only is not None)).split():
        if only is None or name in only:
            setattr(cls, name, _refused(cls, name))
    for method in _methods(face):
        name = method.__name__
        if only is None or (name in only and name != "broadcast_to"):
            method.__qualname__ = f"{cls.__name__}.{name}"
            setattr(cls, name, method)


def _methods(face: Any) -> list[Any]:
    call = face.call

    def all(self: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Whether no element over axes is 0."""
        return call("_np_all", (self,), out, axis=axis, keepdims=keepdims)

    def any(self: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Whether some element over axes is not 0."""
        return call("_np_any", (self,), out, axis=axis, keepdims=keepdims)

    def argmax(self: Any, axis: int | None = None, out: Any = None) -> Any:
        """The position of the largest element."""
        return face.argmax(self, axis, out)

    def argmin(self: Any, axis: int | None = None, out: Any = None) -> Any:
        """The position of the smallest element."""
        return face.argmin(self, axis, out)

    def argsort(self: Any, axis: int | None = -1, kind: Any = None, order: Any = None) -> Any:
        """The positions that put the elements of an axis in order."""
        return face.argsort(self, axis, kind, order)

    def broadcast_to(self: Any, shape: Any) -> Any:
        """The array repeated along dimensions of size 1 to a shape."""
        return face.broadcast_to(self, shape)

    def clip(self: Any, min: Any = None, max: Any = None, out: Any = None) -> Any:
        """Values below min as min, above max as max."""
        return face.clip(self, min, max, out)

    def cumsum(self: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
        """The running sum along an axis."""
        return call("_np_cumsum", (self,), out, axis=axis, dtype=dtype)

    def dot(self: Any, b: Any, out: Any = None) -> Any:
        """The sum of products over the last axis and the last but one of b."""
        return call("_np_dot", (self, b), out)

    def max(self: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The largest element over axes."""
        return call("_np_max", (self,), out, axis=axis, keepdims=keepdims)

    def mean(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The mean over axes."""
        return face.mean(self, axis, dtype, out, keepdims)

    def min(self: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The smallest element over axes."""
        return call("_np_min", (self,), out, axis=axis, keepdims=keepdims)

    def nonzero(self: Any) -> Any:
        """The positions of the elements that are not 0."""
        return face.nonzero(self)

    def prod(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The product over axes."""
        return call("_np_prod", (self,), out, axis=axis, dtype=dtype, keepdims=keepdims)

    def repeat(self: Any, repeats: Any, axis: int | None = None) -> Any:
        """Each element so many times."""
        return call("_np_repeat", (self,), repeats=repeats, axis=axis)

    def round(self: Any, decimals: int = 0, out: Any = None, **kwargs: Any) -> Any:
        """Rounded to a number of decimals."""
        return face.around(self, decimals, out, **kwargs)

    def sort(self: Any, axis: int | None = -1, kind: Any = None, order: Any = None) -> Any:
        """A copy with the elements of an axis in order."""
        return face.sort(self, axis, kind, order)

    def squeeze(self: Any, axis: Any = None) -> Any:
        """Without dimensions of size 1."""
        return call("_np_squeeze", (self,), axis=axis)

    def std(
        self: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
    ) -> Any:
        """The square root of the variance."""
        return face.std(self, axis, dtype, out, ddof, keepdims)

    def sum(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """The sum over axes."""
        return call("_np_sum", (self,), out, axis=axis, dtype=dtype, keepdims=keepdims)

    def swapaxes(self: Any, axis1: int, axis2: int) -> Any:
        """Two axes exchanged."""
        return face.swapaxes(self, axis1, axis2)

    def take(self: Any, indices: Any, axis: int | None = None, mode: str = "raise") -> Any:
        """The elements at positions along an axis."""
        return face.take(self, indices, axis, mode)

    def var(
        self: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
    ) -> Any:
        """The mean of the squared distances from the mean."""
        return face.var(self, axis, dtype, out, ddof, keepdims)

    return [method for method in locals().values() if callable(method) and method not in (call, face)]
