"""nd._internal: the operators whose names begin with an underscore."""

from __future__ import annotations

from tensorkeep.mxnet._faces import serve
from tensorkeep.mxnet.ndarray.register import call

__all__: list[str] = []

__getattr__, __dir__ = serve(globals(), "_internal", call, "mxnet.ndarray._internal")
