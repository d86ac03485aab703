"""The functions of mx.np.linalg that have no operator: NumPy computes them on the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as onp

from tensorkeep.mxnet.numpy.fallback import compute

__all__ = ["FUNCTIONS"]


def _fallback(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def on_values(*args: Any, **kwargs: Any) -> Any:
        return compute(function, name, args, kwargs)

    on_values.__name__ = on_values.__qualname__ = name
    on_values.__doc__ = f"NumPy's linalg.{name}, computed on the values; it has no gradient."
    on_values.__wrapped__ = function  # type: ignore[attr-defined]  # help() shows NumPy's signature
    return on_values


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: _fallback(name, getattr(onp.linalg, name))
    for name in ("cond", "lstsq", "matrix_power", "matrix_rank", "multi_dot", "qr")
}
"""Name → function."""
