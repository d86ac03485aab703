"""What every key-value store is, and create()."""

from __future__ import annotations

import builtins
import warnings
from typing import Any, ClassVar

from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["KVStoreBase", "create"]


class KVStoreBase:
    """The interface of key-value stores, which keep weights and add up the gradients of several devices."""

    OPTIMIZER = "optimizer"
    kv_registry: ClassVar[dict[str, builtins.type[KVStoreBase]]] = {}
    """The stores that were written in Python, by their names in lower case."""

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Keep a value under a key and copy it to every array of `out`."""
        raise NotImplementedError

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Add arrays up and copy the result to every array of `out`, by default to those of `value`."""
        raise NotImplementedError

    def set_optimizer(self, optimizer: Any) -> None:
        """Update what is kept with an optimizer."""
        raise NotImplementedError

    def is_capable(self, capability: str) -> bool:
        """Whether it can update ("optimizer")."""
        raise NotImplementedError

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Write the optimizer's states to a file."""
        raise NotImplementedError

    def load_optimizer_states(self, fname: str) -> None:
        """Read them."""
        raise NotImplementedError

    @property
    def type(self) -> str:
        """The name that it was created by."""
        raise NotImplementedError

    @property
    def rank(self) -> int:
        """The number of this worker."""
        raise NotImplementedError

    @property
    def num_workers(self) -> int:
        """How many workers there are."""
        raise NotImplementedError

    @staticmethod
    def register(klass: builtins.type[KVStoreBase]) -> builtins.type[KVStoreBase]:
        """Make a store known to create() by its name in lower case; a decorator."""
        assert isinstance(klass, builtins.type)
        name = klass.__name__.lower()
        known = KVStoreBase.kv_registry.get(name)
        if known is not None:
            warnings.warn(
                f"WARNING: New kvstore {klass.__module__}.{klass.__name__} is overriding "
                f"existing kvstore {known.__module__}.{known.__name__}",
                stacklevel=2,
            )
        KVStoreBase.kv_registry[name] = klass
        return klass


@KVStoreBase.register
class TestStore(KVStoreBase):
    """A store that keeps nothing: pushpull() adds up, and that is all."""

    __test__ = False

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Copy the value to every array of `out`."""
        for each in out if isinstance(out, list) else [out]:
            each[:] = value

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Add the arrays up and copy the result to every array of `out`, by default to those of `value`."""
        values = [value] if isinstance(value, NDArray) else value
        total = values[0].copy()
        for each in values[1:]:
            total += each.as_in_context(total.context)
        targets = values if out is None else out if isinstance(out, list) else [out]
        for each in targets:
            each[:] = total

    @staticmethod
    def is_capable(capability: str) -> bool:
        """It has no optimizer; also asked of the class."""
        if capability.lower() == KVStoreBase.OPTIMIZER:
            return False
        raise ValueError(f"Unknown capability: {capability}")

    @property
    def type(self) -> str:
        """ "teststore"."""
        return "teststore"

    @property
    def rank(self) -> int:
        """0: there is one worker."""
        return 0

    @property
    def num_workers(self) -> int:
        """1."""
        return 1


_LOCAL = ("local", "local_update_cpu", "local_allreduce_cpu", "device", "local_allreduce_device")


def create(name: str = "local") -> KVStoreBase:
    """A store by its name: "local" and "device", which are the same here, or a registered one.

    Raises:
        TypeError: the name is no string.
        MXNetError: the store needs other machines (dist_…, horovod, byteps) or NCCL, or nobody knows it.
    """
    if not isinstance(name, str):
        raise TypeError("name must be a string")
    name = name.lower()
    if name in KVStoreBase.kv_registry:
        return KVStoreBase.kv_registry[name]()
    if name not in _LOCAL:
        kind = "needs several processes" if "dist" in name or name in ("horovod", "byteps") else "is not known"
        if name == "nccl":
            kind = "needs NCCL"
        raise MXNetError(
            f"KVStore {name!r} {kind}: tensorkeep has {', '.join(_LOCAL)}, all within one process. Distributed training "
            "is torch.distributed's business; tensorkeep.checkpoint saves what it trains."
        )
    from tensorkeep.mxnet.kvstore.kvstore import KVStore

    return KVStore(name)


claim(globals())
