"""sym.linalg: matrices and stacks of them."""

from __future__ import annotations

from tensorkeep.mxnet.symbol.register import serve

__all__: list[str] = []

__getattr__, __dir__ = serve(globals(), "linalg", "mxnet.symbol.linalg")
