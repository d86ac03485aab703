"""The operators of mx.npx as functions on mx.np.ndarray, made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet._faces import face, public_names
from tensorkeep.mxnet._invoke import invoke
from tensorkeep.mxnet._registry import Operator
from tensorkeep.mxnet.numpy._eager import refuse
from tensorkeep.mxnet.numpy.multiarray import ndarray

__all__ = ["IMAGE", "call", "names", "operator"]

IMAGE = "_image_"
"""What the operators of npx.image begin with."""


def call(op: Operator, inputs: list[Any], attrs: dict[str, Any], out: Any, name: Any) -> Any:
    """Compute an operator on mx.np's arrays; a name is accepted and has no meaning here."""
    for array in inputs:
        if array.__class__ is not ndarray and array is not None and not isinstance(array, ndarray):
            refuse(op.name, array)
    return invoke(op, inputs, attrs, out, ndarray)


def names(prefix: str = "") -> list[str]:
    """The public names of the operators; with a prefix those that begin with it, without it."""
    found = public_names()["npx"]
    if prefix:
        return [name.removeprefix(prefix) for name in found if name.startswith(prefix)]
    return [name for name in found if name[0] != "_"]


def operator(name: str, prefix: str = "") -> Callable[..., Any] | None:
    """The function of an operator; None when there is no such operator."""
    op = public_names()["npx"].get(prefix + name)
    if op is None or (not prefix and name[0] == "_"):
        return None
    function = face(op, name, call)
    function.__module__ = "mxnet.numpy_extension"
    return function
