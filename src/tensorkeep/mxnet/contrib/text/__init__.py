"""mx.contrib.text: vocabularies and vectors for tokens."""

from tensorkeep.mxnet.contrib.text import embedding, utils, vocab

__all__ = ["embedding", "utils", "vocab"]
