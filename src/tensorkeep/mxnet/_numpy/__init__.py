"""The functions of mx.np and mx.npx, written once for arrays and for symbols."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._numpy.create import Creation
from tensorkeep.mxnet._numpy.elemwise import Elementwise
from tensorkeep.mxnet._numpy.face import Face
from tensorkeep.mxnet._numpy.linalg import Products
from tensorkeep.mxnet._numpy.reduce import Reductions
from tensorkeep.mxnet._numpy.shape import Shapes

__all__ = ["Face", "Functions", "functions_of", "names_of"]


class Functions(Elementwise, Creation, Reductions, Shapes, Products):
    """Every function of mx.np that is an operator."""


def names_of(cls: type) -> list[str]:
    """The functions that a class of them has."""
    hidden = set(dir(Face))
    return sorted(name for name in dir(cls) if name[0] != "_" and name not in hidden and callable(getattr(cls, name)))


def functions_of(face: Any, cls: type, module: str = "mxnet.numpy") -> dict[str, Any]:
    """Name → function of a class of them, bound to a face; `module` is what MXNet calls their module."""
    found = {name: getattr(face, name) for name in names_of(cls)}
    for function in found.values():
        function.__func__.__module__ = module
        function.__func__.__qualname__ = function.__name__
    return found
