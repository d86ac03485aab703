"""gluon.contrib: layers and cells that never left the testing ground, and the Estimator."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.contrib import cnn, data, estimator, nn, rnn

__all__ = ["cnn", "data", "estimator", "nn", "rnn"]
