"""Whether two loaded pieces of data are the same: kinds, keys in order, dtypes, shapes and every byte."""

from __future__ import annotations

from typing import Any

__all__ = ["difference", "same"]


def same(a: Any, b: Any) -> bool:
    """Whether `difference` finds none."""
    return not difference(a, b)


def difference(a: Any, b: Any, path: str = "data") -> str:
    """Where and how `a` differs from `b`, in words; "" when they are the same. NaNs compare by their bytes."""
    import numpy as np

    from tensorkeep.core.tensor import SparseTensor, Tensor

    a, b = (each.numpy() if isinstance(each, Tensor) else each for each in (a, b))
    if type(a) is not type(b):
        return f"{path}: a {type(a).__name__} and a {type(b).__name__}"
    if isinstance(a, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"{path}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
        return "" if a.tobytes() == b.tobytes() else f"{path}: the values differ"
    if isinstance(a, SparseTensor):
        if (a.kind, tuple(a.shape)) != (b.kind, tuple(b.shape)):
            return f"{path}: {a.kind}{a.shape} and {b.kind}{b.shape}"
        return difference(dict(a.parts()), dict(b.parts()), path)
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{path}: keys {list(a)} and {list(b)}"
        return next((text for key in a if (text := difference(a[key], b[key], f"{path}[{key!r}]"))), "")
    if isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return f"{path}: {len(a)} and {len(b)} items"
        return next((text for i in range(len(a)) if (text := difference(a[i], b[i], f"{path}[{i}]"))), "")
    if isinstance(a, (np.generic, float, complex)):
        return "" if np.asarray(a).tobytes() == np.asarray(b).tobytes() else f"{path}: {a!r} and {b!r}"
    return "" if a == b else f"{path}: {a!r} and {b!r}"
