"""gluon.contrib.data."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.contrib.data import text
from tensorkeep.mxnet.gluon.contrib.data.sampler import IntervalSampler
from tensorkeep.mxnet.gluon.contrib.data.text import WikiText2, WikiText103

__all__ = ["IntervalSampler", "WikiText2", "WikiText103", "text"]
