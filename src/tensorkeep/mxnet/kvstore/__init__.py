"""mx.kv: weights by key, and the sums of the gradients of several devices."""

from __future__ import annotations

from tensorkeep.mxnet.kvstore import base, kvstore
from tensorkeep.mxnet.kvstore.base import KVStoreBase, create
from tensorkeep.mxnet.kvstore.kvstore import KVStore

__all__ = ["KVStore", "KVStoreBase", "base", "create", "kvstore"]
