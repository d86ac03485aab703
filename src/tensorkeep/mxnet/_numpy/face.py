"""Face: where a function of mx.np ends, in an operator that is computed or in one that is composed.

The functions are methods of classes in this package; `Eager` (mx.np) and `Symbolic` (mx.sym.np) inherit all of them and
say what an array is, how an operator is called and how a number meets an array.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorkeep.mxnet._registry import Operator, get
from tensorkeep.mxnet.context import Context, current_context

__all__ = ["INTEGERS", "NUMBERS", "OPERATORS", "Face", "context", "shape_of", "unsupported"]

NUMBERS = (float, int, np.generic)
"""What counts as a number; bool is an int."""
INTEGERS = (int, np.int32, np.int64)


class _Operators(dict[str, Operator]):
    """Operators by name, each looked up once."""

    def __missing__(self, name: str) -> Operator:
        op = self[name] = get(name)
        return op


OPERATORS = _Operators()


class Face:
    """One of the two worlds of mx.np.

    Attributes:
        array: the class of its arrays.
        eager: whether operators are computed at once.
    """

    array: Any
    eager: bool = True

    def call(self, name: str, inputs: Any, out: Any = None, **attrs: Any) -> Any:
        """An operator called on arrays with the attributes that MXNet's own function would give it."""
        raise NotImplementedError

    def with_number(self, name: str, array: Any, number: Any, out: Any = None, left: bool = False) -> Any:
        """An operator of an array and a number; `left` says that the number stands there."""
        raise NotImplementedError

    def at(self, ctx: Any) -> dict[str, Any]:
        """The attribute `ctx` of an operator that makes arrays: nothing where it is the current context anyway."""
        return {} if ctx is None else {"ctx": ctx}

    def several(self, found: Any) -> Any:
        """Several results as the world gives them: a tuple of arrays; symbols as they are."""
        return tuple(found)

    def refusal(self, operator: str, value: Any) -> TypeError:
        """The error of a function of one array for what is neither one nor a number."""
        return unsupported(value)

    def length(self, array: Any, axis: int) -> int | None:
        """The size of an axis; None where it is not known."""
        raise NotImplementedError


def context(ctx: Any) -> Context:
    """The context that was asked for, or the current one."""
    return current_context() if ctx is None else ctx


def shape_of(shape: Any) -> Any:
    """A shape as a tuple; a number stands for one dimension."""
    return shape if isinstance(shape, (tuple, list)) or shape is None else (shape,)


def unsupported(value: Any) -> TypeError:
    """The error for what is neither an array nor a number."""
    return TypeError(f"type {type(value)} not supported")
