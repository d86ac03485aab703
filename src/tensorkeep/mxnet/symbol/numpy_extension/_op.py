"""The operators of mx.npx as functions on _Symbol, made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet._faces import public_names
from tensorkeep.mxnet._registry import Operator
from tensorkeep.mxnet.symbol.numpy._symbol import _Symbol, refuse
from tensorkeep.mxnet.symbol.register import face
from tensorkeep.mxnet.symbol.symbol import Symbol

__all__ = ["composed", "operator"]


def operator(name: str, prefix: str = "") -> Callable[..., Any] | None:
    """The function of an operator; None when there is no such operator."""
    op = public_names()["npx"].get(prefix + name)
    return None if op is None or (not prefix and name[0] == "_") else composed(op, name)


def composed(op: Operator, name: str) -> Callable[..., Any]:
    """The public function `name` of an operator on _Symbol: one of them, or a list of several."""
    plain_face = face(op, name)

    def plain(value: Any) -> Any:
        if isinstance(value, _Symbol):
            return value.as_nd_ndarray()
        if isinstance(value, Symbol):
            refuse(op.name, value)
        return value

    def function(*args: Any, **kwargs: Any) -> Any:
        found = plain_face(*map(plain, args), **{key: plain(value) for key, value in kwargs.items()})
        outputs = found._outputs
        return _Symbol(list(outputs)) if len(outputs) == 1 else [_Symbol([entry]) for entry in outputs]

    function.__name__ = function.__qualname__ = name
    function.__module__ = "mxnet.symbol.numpy_extension"
    function.__doc__ = plain_face.__doc__
    function.__signature__ = plain_face.__signature__  # type: ignore[attr-defined]  # what help() shows
    return function
