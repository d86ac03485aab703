"""Which of NumPy's functions mx.np answers when they are called on its arrays (NEP 18 and NEP 13)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.numpy._protocol import FUNCTIONS, LINALG, UFUNCS

__all__ = ["with_array_function_protocol", "with_array_ufunc_protocol"]

_NUMPY_ARRAY_FUNCTION_LIST = [*FUNCTIONS.split(), *[f"linalg.{name}" for name in LINALG.split()]]
_NUMPY_ARRAY_UFUNC_LIST = UFUNCS.split()


def _named(protocol: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(func: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(func)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                func(*args, **kwargs)
            except Exception as err:
                raise RuntimeError(
                    f"Running function {func.__name__} with NumPy array {protocol} protocol failed with exception {err}"
                ) from err

        return run

    return decorate


with_array_function_protocol = _named("function")
"""A decorator for tests of NumPy's functions on mx.np's arrays: what they raise says that it was the protocol."""
with_array_ufunc_protocol = _named("ufunc")
"""The same for NumPy's ufuncs."""

claim(globals())
