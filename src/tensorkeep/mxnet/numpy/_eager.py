"""mx.np's functions on arrays: every one is computed at once."""

from __future__ import annotations

from typing import Any, NoReturn

from tensorkeep.mxnet._invoke import invoke
from tensorkeep.mxnet._numpy import Functions
from tensorkeep.mxnet._numpy.face import OPERATORS, Face, unsupported

__all__ = ["Eager", "EagerFace", "legacy", "refuse"]


class EagerFace(Face):
    """How operators are called on `mx.np.ndarray`."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def call(self, name: str, inputs: Any, out: Any = None, **attrs: Any) -> Any:
        """The operator computed; of several outputs a list."""
        cls = self.array
        for array in inputs:
            if array.__class__ is not cls and not isinstance(array, cls):
                refuse(name, array)
        if "dtype" in attrs and attrs["dtype"] is None:
            del attrs["dtype"]
        return invoke(OPERATORS[name], inputs, attrs, out, cls)

    def with_number(self, name: str, array: Any, number: Any, out: Any = None, left: bool = False) -> Any:
        """The operator computed with a number, which takes the dtype of the array."""
        if not isinstance(array, self.array):
            raise TypeError(f"type {type(array)} not supported")
        return invoke(OPERATORS[name], (array,), {"scalar": float(number)}, out, self.array)

    def refusal(self, operator: str, value: Any) -> TypeError:
        """The error of a function of one array for what is neither one nor a number."""
        return legacy(operator) if hasattr(value, "_t") else unsupported(value)

    def length(self, array: Any, axis: int) -> int:
        """The size of an axis."""
        return int(array.shape[axis])


class Eager(EagerFace, Functions):
    """mx.np's functions."""

    def _rank(self, array: Any, least: int, function: str) -> None:
        if array.ndim < least:
            raise ValueError(f"{function} only works on arrays of {least} or more dimensions")

    def _value(self, found: Any) -> Any:
        return found.item()


def refuse(name: str, array: Any) -> NoReturn:
    """Raise what MXNet says of an input that is no mx.np.ndarray.

    Raises:
        TypeError: it is an NDArray.
        AssertionError: it is no array at all.
    """
    if not hasattr(array, "_t"):
        raise AssertionError(f"Argument data must have NDArray type, but got {array}")
    raise legacy(name)


def legacy(name: str) -> TypeError:
    """The error for an array or symbol of mx.nd where one of mx.np is wanted."""
    known = name.removeprefix("_npi_").removeprefix("_npx_").removeprefix("_np_")
    return TypeError(
        f"Operator `{name}` registered in backend is known as `{known}` in Python. This is a numpy operator which can "
        "only accept MXNet numpy ndarrays, while received a legacy ndarray. Please ensure that you have activated "
        "numpy semantics by calling `npx.set_np()` in your code. If you still see this error with numpy semantics "
        "activated, please call `as_np_ndarray()` upon the legacy ndarray to convert it to an MXNet numpy ndarray, "
        "and then feed the converted array to this operator."
    )
