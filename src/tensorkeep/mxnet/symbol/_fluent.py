"""The methods of Symbol that are an operator with the symbol as its first input: x.exp(), x.sum(axis=0) …"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet.symbol.register import call

__all__ = ["METHODS", "add_methods"]

METHODS = [
    "abs", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "argmax", "argmax_channel", "argmin",
    "argsort", "broadcast_axes", "broadcast_like", "broadcast_to", "cbrt", "ceil", "clip", "cos", "cosh", "degrees",
    "depth_to_space", "exp", "expm1", "fix", "flip", "floor", "log", "log10", "log1p", "log2", "log_softmax", "max",
    "mean", "min", "nanprod", "nansum", "norm", "one_hot", "ones_like", "pad", "pick", "prod", "radians", "rcbrt",
    "reciprocal", "relu", "repeat", "reshape", "reshape_like", "rint", "round", "rsqrt", "shape_array", "sigmoid",
    "sign", "sin", "sinh", "size_array", "slice", "slice_axis", "slice_like", "softmax", "softmin", "sort",
    "space_to_depth", "split", "sqrt", "square", "sum", "swapaxes", "take", "tan", "tanh", "tile", "topk", "transpose",
    "trunc", "zeros_like",
]  # fmt: skip
"""Method and operator have the same name."""


def add_methods(cls: Any) -> None:
    """Give the class the fluent methods."""
    for name in METHODS:
        setattr(cls, name, _method(cls, name))
    cls.astype = _named(cls, "astype", lambda self, *args, **kwargs: call("cast", self, *args, **kwargs))
    cls.diag = _named(cls, "diag", lambda self, k=0, **kwargs: call("diag", self, k, **kwargs))
    # `inplace` is there for the code that runs on arrays and on symbols; a symbol has no memory to change.
    cls.flatten = _named(cls, "flatten", lambda self, inplace=False, **kwargs: call("flatten", self, **kwargs))
    cls.squeeze = _named(
        cls, "squeeze", lambda self, axis=None, inplace=False, **kwargs: call("squeeze", self, axis=axis, **kwargs)
    )
    cls.expand_dims = _named(
        cls, "expand_dims", lambda self, axis, inplace=False, **kwargs: call("expand_dims", self, axis=axis, **kwargs)
    )
    cls.split_v2 = _named(cls, "split_v2", _split_v2)


def _split_v2(self: Any, *args: Any, **kwargs: Any) -> Any:
    from tensorkeep.mxnet.symbol._creation import split_v2

    return split_v2(self, *args, **kwargs)


def _method(cls: Any, name: str) -> Callable[..., Any]:
    return _named(cls, name, lambda self, *args, **kwargs: call(name, self, *args, **kwargs))


def _named(cls: Any, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    method.__name__ = name
    method.__qualname__ = f"{cls.__name__}.{name}"
    method.__doc__ = f"The operator {name} with this symbol as its first input."
    return method
