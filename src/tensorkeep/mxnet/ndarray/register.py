"""How the namespaces of nd call an operator."""

from __future__ import annotations

from tensorkeep.mxnet.ndarray.ndarray import call

__all__ = ["call"]
