"""KVStore: weights by key within one process, with an optimizer or without."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet import optimizer as opt
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.kvstore.base import KVStoreBase
from tensorkeep.mxnet.ndarray._sparse_array import retain
from tensorkeep.mxnet.ndarray.ndarray import _STORAGE_TYPE_STR_TO_ID, NDArray
from tensorkeep.storage.atomic import replace_file

__all__ = ["KVStore"]

_IGNORED = (
    "non-default weights detected during kvstore pull. This call has been ignored. Please make sure to use "
    "kv.row_sparse_pull() or module.prepare() with row_ids."
)


def _flat(arrays: Any) -> list[NDArray]:
    """The arrays of nested lists."""
    if isinstance(arrays, (list, tuple)):
        return [array for inner in arrays for array in _flat(inner)]
    return [arrays]


class KVStore(KVStoreBase):
    """A store within one process.

    push() adds the arrays of a key up; without an updater the sum takes the place of what is kept, with one the updater
    changes what is kept by it. pull() copies what is kept.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._kept: dict[Any, NDArray] = {}
        self._key_type: type | None = None
        self._updater: Any = None

    def _pairs(self, key: Any, value: Any) -> list[tuple[Any, list[NDArray]]]:
        """Each key once with all its arrays, in the order in which the keys came."""
        keys, values = (key, value) if isinstance(key, (list, tuple)) else ([key], [value])
        assert len(keys) == len(values)
        found: dict[Any, list[NDArray]] = {}
        for name, given in zip(keys, values, strict=True):
            assert isinstance(name, (int, str)), f"unexpected type for keys: {type(name)}"
            kind = str if isinstance(name, str) else int
            if self._key_type not in (None, kind):
                raise MXNetError("Mixed key types are not allowed")
            self._key_type = kind
            arrays = [given] if isinstance(given, NDArray) else list(given)
            for array in arrays:
                assert isinstance(array, NDArray)
            found.setdefault(name, []).extend(arrays)
        return list(found.items())

    def _get(self, key: Any) -> NDArray:
        if key not in self._kept:
            raise MXNetError(f"key {key} has not been inited")
        return self._kept[key]

    def init(self, key: Any, value: Any) -> None:
        """Keep a copy of an array under a key; or of several under as many keys.

        Raises:
            MXNetError: there is one already.
        """
        for name, arrays in self._pairs(key, value):
            if name in self._kept or len(arrays) > 1:
                raise MXNetError(
                    f"duplicate init of key {name}. Please double check if you called kv.init or kv.broadcast with "
                    "this key multiple times"
                )
            self._kept[name] = arrays[0].copy()

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """init() and pull() at once."""
        self.init(key, value)
        self.pull(key, out)

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Add arrays up under their keys; priority is accepted and does nothing.

        Raises:
            MXNetError: a key was not inited, or shapes differ.
        """
        for name, arrays in self._pairs(key, value):
            kept = self._get(name)
            total = arrays[0].as_in_context(kept.context)
            for array in arrays[1:]:
                total = total + array.as_in_context(kept.context)
            if self._updater is not None:
                self._updater(name, total, kept)
            else:
                self._kept[name] = total.copy() if total is arrays[0] else total

    def pull(self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True) -> None:
        """Copy what is kept to every array of `out`.

        Args:
            ignore_sparse: leave sparse arrays of `out` alone, with a warning; row_sparse_pull() is for them.
        Raises:
            MXNetError: a key was not inited.
        """
        assert out is not None
        for name, arrays in self._pairs(key, out):
            kept = self._get(name)
            for array in arrays:
                if ignore_sparse and array.stype != "default":
                    warnings.warn(_IGNORED, stacklevel=2)
                else:
                    kept.copyto(array)

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """push() and pull() at once; without `out` into the arrays that were pushed."""
        self.push(key, value)
        self.pull(key, value if out is None else out)

    def row_sparse_pull(self, key: Any, out: Any = None, priority: int = 0, row_ids: Any = None) -> None:
        """Copy some rows of what is kept to row_sparse arrays, which then store just these.

        Args:
            row_ids: the numbers of the rows: one array for all of `out`, or one for each, nested like `out`.
        Raises:
            MXNetError: a key was not inited, or an array is not row_sparse.
        """
        assert out is not None
        assert row_ids is not None
        pairs = list(self._pairs(key, out))
        wanted = _flat(row_ids)
        targets = [(self._get(name), array) for name, arrays in pairs for array in arrays]
        for kept, array in targets:
            if array.stype != "row_sparse":
                raise MXNetError(
                    "Expected row_sparse storage type for row_sparse_pull values, but detected storage type "
                    f"{_STORAGE_TYPE_STR_TO_ID[array.stype]}"
                )
            if kept.stype != "row_sparse":
                raise MXNetError("PullRowSparse expects row_sparse src NDArray")
        ids = wanted * len(targets) if len(wanted) == 1 else wanted
        for (kept, array), rows in zip(targets, ids, strict=True):
            unique = wrap(rows._t.detach().flatten().unique(), rows._ctx, NDArray).as_in_context(kept.context)
            retain(kept, unique, out=array)

    def set_gradient_compression(self, compression_params: dict[str, Any]) -> None:
        """Refused: there is no other machine to send gradients to."""
        raise MXNetError("Gradient compression is not supported for this type of kvstore")

    def set_optimizer(self, optimizer: Any) -> None:
        """Update what is kept with an optimizer at every push()."""
        self._set_updater(opt.get_updater(optimizer))

    def _set_updater(self, updater: Callable[[Any, NDArray, NDArray], Any]) -> None:
        """Call updater(key, sum of what is pushed, what is kept) at every push()."""
        self._updater = updater

    def is_capable(self, capability: str) -> bool:
        """Whether it can update: yes."""
        if capability.lower() == KVStoreBase.OPTIMIZER:
            return True
        raise ValueError(f"Unknown capability: {capability}")

    @property
    def type(self) -> str:
        """The name that it was created by."""
        return self._kind

    @property
    def rank(self) -> int:
        """0: there is one worker."""
        return 0

    @property
    def num_workers(self) -> int:
        """1."""
        return 1

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Write the optimizer's states, with dump_optimizer also the optimizer, to a file that MXNet reads.

        The file is whole or as it was before.
        """
        assert self._updater is not None, "Cannot save states for distributed training"
        data = self._updater.get_states(dump_optimizer)
        with replace_file(os.fspath(fname), nbytes=len(data)) as file:
            file.write(data)

    def load_optimizer_states(self, fname: str) -> None:
        """Read the states of a file that save_optimizer_states() or MXNet wrote; nothing in it is executed.

        Raises:
            FileNotFoundError: there is no such file.
            UnsafeFileError: it asks for something else than arrays and optimizers.
        """
        assert self._updater is not None, "Cannot load states for distributed training"
        with open(fname, "rb") as file:
            self._updater.set_states(file.read())

    def _barrier(self) -> None:
        """Nothing: there is one worker."""


claim(globals())
