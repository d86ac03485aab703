"""The methods of NDArray that are an operator with the array as its first input: x.exp(), x.sum(axis=0) …"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet._faces import face
from tensorkeep.mxnet._registry import get

__all__ = ["METHODS", "add_methods"]

METHODS = [
    "\"", "abs", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "argmax", "argmax_channel",
    "argmin", "argsort", "broadcast_axes", "cbrt", "ceil", "clip", "cos", "cosh", "degrees", "depth_to_space",
    "diag", "exp", "expm1", "fix", "flip", "floor", "log", "log10", "log1p", "log2",
    "log_softmax", "max", "mean", "min", "nanprod", "nansum", "norm", "one_hot", "ones_like", "pad", "pick", "prod",
    "radians", "rcbrt", "reciprocal", "relu", "repeat", "reshape_like", "rint", "round", "rsqrt", "shape_array",
    "sigmoid", "sign", "sin", "sinh", "size_array", "slice", "slice_axis", "slice_like", "softmax", "softmin",
    "sort", "space_to_depth", "split", "sqrt", "square", "sum", "swapaxes", "take", "tan", "tanh",
    "tile", "topk", "transpose", "trunc", "zeros_like",
]  # fmt: skip
"""Method and operator have the same name."""


def add_methods(cls: Any, call: Callable[..., Any], names: list[str]) -> None:
    """Give a class of arrays the operators `names` as methods."""
    for name in names:
        setattr(cls, name, _method(cls, name, call))


def _method(cls: Any, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    found: list[Callable[..., Any]] = []

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not found:  # the operators are registered by modules that import this one
            found.append(face(get(name), name, call))
        return found[0](self, *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"{cls.__name__}.{name}"
    method.__doc__ = f"The operator {name} with this array as its first input."
    return method
