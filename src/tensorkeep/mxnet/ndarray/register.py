"""How the namespaces of nd call an operator."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._invoke import invoke
from tensorkeep.mxnet._registry import Operator
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["call"]


def call(op: Operator, inputs: list[Any], attrs: dict[str, Any], out: Any, name: Any) -> Any:
    """Compute an operator on NDArrays; a name is accepted and has no meaning here."""
    return invoke(op, inputs, attrs, out, NDArray)
