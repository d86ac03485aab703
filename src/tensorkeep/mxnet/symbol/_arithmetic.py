"""Python's operators on symbols: a + b is the operator elemwise_add, a + 1 _plus_scalar."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Number
from typing import Any

import numpy as np

from tensorkeep.mxnet.base import NotImplementedForSymbol

__all__ = ["add_operators", "call_later"]


def call_later(operator: str, /, *args: Any, **kwargs: Any) -> Any:
    """What an operator gives for symbols. Its module imports that of Symbol, so it is loaded at the first call."""
    from tensorkeep.mxnet.symbol.register import call

    return call(operator, *args, **kwargs)


_ARITHMETIC = {
    "add": ("_Plus", "_PlusScalar", "_PlusScalar", "+="),
    "sub": ("_Minus", "_MinusScalar", "_RMinusScalar", "-="),
    "mul": ("_Mul", "_MulScalar", "_MulScalar", "*="),
    "truediv": ("_Div", "_DivScalar", "_RDivScalar", "/="),
    "mod": ("_Mod", "_ModScalar", "_RModScalar", None),
    "pow": ("_Power", "_PowerScalar", "_rpower_scalar", None),
}
"""Python's operator → MXNet's with a symbol, with a number, with a number on the left; how its in-place form is written."""

_COMPARISONS = {
    "eq": "_equal", "ne": "_not_equal", "gt": "_greater", "ge": "_greater_equal", "lt": "_lesser", "le": "_lesser_equal",
}  # fmt: skip


def _binary(cls: Any, symbols: str, scalars: str, numbers: Any) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if isinstance(other, cls):
            return call_later(symbols, self, other)
        if isinstance(other, numbers):
            return call_later(scalars, self, scalar=other)
        raise TypeError(f"type {type(other)} not supported")

    return method


def _reflected(cls: Any, name: str, scalars: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if isinstance(other, cls):
            return getattr(other, name)(self)
        if isinstance(other, Number):
            return call_later(scalars, self, scalar=other)
        raise TypeError(f"type {type(other)} not supported")

    return method


def _in_place(name: str, shown: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        # MXNet's += says a second argument, which nobody gave.
        raise NotImplementedForSymbol(name, shown, *((other, 1) if shown == "+=" else (other,)))

    return method


def add_operators(cls: Any) -> None:
    """Give the class Python's operators."""

    def put(name: str, method: Callable[[Any, Any], Any]) -> None:
        method.__name__ = name
        setattr(cls, name, method)

    for name, (symbols, scalars, reflected, shown) in _ARITHMETIC.items():
        put(f"__{name}__", _binary(cls, symbols, scalars, Number))
        put(f"__r{name}__", _reflected(cls, f"__{name}__", reflected))
        if shown:
            put(f"__i{name}__", _in_place(f"__i{name}__", shown))
    for name, operator in _COMPARISONS.items():
        put(f"__{name}__", _binary(cls, operator, f"{operator}_scalar", (int, float, np.generic)))
