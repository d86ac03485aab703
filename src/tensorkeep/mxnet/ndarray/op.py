"""nd.op: every operator without an underscore."""

from __future__ import annotations

from tensorkeep.mxnet._faces import serve
from tensorkeep.mxnet.ndarray.register import call

__all__: list[str] = []

__getattr__, __dir__ = serve(globals(), "", call, "mxnet.ndarray.op")
