"""gluon.contrib.data."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.contrib.data.sampler import IntervalSampler

__all__ = ["IntervalSampler"]
