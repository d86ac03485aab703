"""sym.sparse: operators that MXNet also has for sparse arrays."""

from __future__ import annotations

from tensorkeep.mxnet.symbol.register import serve

__all__: list[str] = []

__getattr__, __dir__ = serve(globals(), "sparse", "mxnet.symbol.sparse")
