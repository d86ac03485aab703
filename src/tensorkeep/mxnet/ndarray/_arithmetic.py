"""nd.add, nd.greater and so on, and the operators of Python that call them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorkeep.mxnet._registry import Operator, get

__all__ = ["NUMBERS", "add_operators", "binary"]

NUMBERS = (float, int, np.generic)
"""What counts as a number; bool is an int."""

Function = Callable[[Any, Any], Any]
Call = Callable[[Operator, Any, Any, Any], Any]
"""(operator, inputs, attributes, out=) → what the operator gives."""

_NAMES: dict[str, tuple[str, str, str, Function]] = {
    "add": ("broadcast_add", "_plus_scalar", "", operator.add),
    "subtract": ("broadcast_sub", "_minus_scalar", "_rminus_scalar", operator.sub),
    "multiply": ("broadcast_mul", "_mul_scalar", "", operator.mul),
    "divide": ("broadcast_div", "_div_scalar", "_rdiv_scalar", operator.truediv),
    "modulo": ("broadcast_mod", "_mod_scalar", "_rmod_scalar", operator.mod),
    "power": ("broadcast_power", "_power_scalar", "_rpower_scalar", operator.pow),
    "maximum": ("broadcast_maximum", "_maximum_scalar", "", max),
    "minimum": ("broadcast_minimum", "_minimum_scalar", "", min),
    "equal": ("broadcast_equal", "_equal_scalar", "", lambda x, y: int(x == y)),
    "not_equal": ("broadcast_not_equal", "_not_equal_scalar", "", lambda x, y: int(x != y)),
    "greater": ("broadcast_greater", "_greater_scalar", "_lesser_scalar", lambda x, y: int(x > y)),
    "greater_equal": (
        "broadcast_greater_equal", "_greater_equal_scalar", "_lesser_equal_scalar", lambda x, y: int(x >= y)
    ),
    "lesser": ("broadcast_lesser", "_lesser_scalar", "_greater_scalar", lambda x, y: int(x < y)),
    "lesser_equal": (
        "broadcast_lesser_equal", "_lesser_equal_scalar", "_greater_equal_scalar", lambda x, y: int(x <= y)
    ),
    "logical_and": ("broadcast_logical_and", "_logical_and_scalar", "", lambda x, y: int(bool(x and y))),
    "logical_or": ("broadcast_logical_or", "_logical_or_scalar", "", lambda x, y: int(bool(x or y))),
    "logical_xor": ("broadcast_logical_xor", "_logical_xor_scalar", "", lambda x, y: int(bool(x) ^ bool(y))),
}  # fmt: skip
"""Name → operator of two arrays, of array and number, of number and array ("" when it is the same), of two numbers."""

_PYTHON = {
    "add": "add", "sub": "subtract", "mul": "multiply", "div": "divide", "truediv": "divide", "mod": "modulo",
    "pow": "power", "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal", "lt": "lesser",
    "le": "lesser_equal",
}  # fmt: skip
"""__add__ and so on → the function behind."""
_REFLECTED = ("add", "sub", "mul", "div", "truediv", "mod", "pow")
_IN_PLACE = ("add", "sub", "mul", "div", "truediv", "mod")


def binary(name: str, cls: Any, call: Call) -> Function:
    """The function `name` for arrays of the class `cls`: two arrays, or an array and a number, or two numbers."""
    arrays, right, left, numbers = _NAMES[name]
    found: list[Operator] = []

    def function(lhs: Any, rhs: Any) -> Any:
        if not found:  # the operators' modules import this one
            found.extend((get(arrays), get(right), get(left or right)))
        if isinstance(rhs, cls):
            if isinstance(lhs, NUMBERS):
                return call(found[2], (rhs,), {"scalar": float(lhs)}, None)
            if isinstance(lhs, cls):
                return call(found[0], (lhs, rhs), None, None)
            raise TypeError(f"type {type(lhs)} not supported")
        if isinstance(rhs, NUMBERS):
            if isinstance(lhs, NUMBERS):
                return numbers(lhs, rhs)
            return call(found[1], (lhs,), {"scalar": float(rhs)}, None)
        raise TypeError(f"type {type(rhs)} not supported")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The elements of two arrays, or of an array and a number, in {name}(); shapes are broadcast."
    return function


def _reflected(function: Function) -> Function:
    def reflected(self: Any, other: Any) -> Any:
        return function(other, self)

    return reflected


def _in_place(name: str, cls: Any, call: Call) -> Function:
    arrays, scalar, _, _ = _NAMES[name]
    found: list[Operator] = []

    def in_place(self: Any, other: Any) -> Any:
        if not found:
            found.extend((get(arrays), get(scalar)))
        if isinstance(other, cls):
            return call(found[0], (self, other), None, self)
        if isinstance(other, NUMBERS):
            return call(found[1], (self,), {"scalar": float(other)}, self)
        raise TypeError(f"type {type(other)} not supported")

    return in_place


def add_operators(cls: Any, functions: dict[str, Function], call: Call) -> None:
    """Give a class of arrays Python's operators: `functions` holds what `binary` made, by name."""
    for python, name in _PYTHON.items():
        made = {f"__{python}__": functions[name]}
        if python in _REFLECTED:
            made[f"__r{python}__"] = _reflected(functions[name])
        if python in _IN_PLACE:
            made[f"__i{python}__"] = _in_place(name, cls, call)
        for method, function in made.items():
            setattr(cls, method, function)
