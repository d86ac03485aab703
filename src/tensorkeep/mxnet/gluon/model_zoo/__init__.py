"""gluon.model_zoo: architectures with the names of MXNet's own parameter files."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.model_zoo import model_store, vision

__all__ = ["model_store", "vision"]
