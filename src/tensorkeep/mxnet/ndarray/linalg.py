"""nd.linalg: matrices and stacks of them."""

from __future__ import annotations

from tensorkeep.mxnet._faces import serve
from tensorkeep.mxnet.ndarray.register import call

__all__: list[str] = []

__getattr__, __dir__ = serve(globals(), "linalg", call, "mxnet.ndarray.linalg")
