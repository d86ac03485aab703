"""Pickles of arrays: byte for byte what MXNet writes, read by it and by us."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._files import read_record
from tensorkeep.mxnet.base import MXNetError

__all__ = ["reduced", "restore", "restored"]


def reduced(array: Any) -> Any:
    """What `__reduce__` gives: the class as MXNet's, made of None and filled by its state.

    Pickle looks the class up by its name, mxnet.ndarray.ndarray.NDArray. Where another MXNet was imported under that
    name, the pickle names `restored` of this module instead: only tensorkeep reads it then.
    """
    from tensorkeep.mxnet._install import serves

    cls = type(array)
    if serves(cls.__module__):
        return cls, (None,), array.__getstate__()
    return restored, (cls.__module__, cls.__name__, bytes(array.__getstate__()["handle"]))


def restore(array: Any, state: Any) -> None:
    """Fill an array that was made of None with what pickle kept of it."""
    if not isinstance(state, dict) or "handle" not in state:
        raise MXNetError("Invalid NDArray file format: what was pickled is no state of an array")
    handle = state["handle"]
    if handle is None:
        array._t = None
        return
    found = read_record(handle, type(array))
    if found is None:
        array._t = None
        return
    for name in ("_t", "_ctx", "_grad") if found.stype == "default" else ("_parts", "_shape", "_ctx", "_grad"):
        setattr(array, name, getattr(found, name))


def restored(module: str, name: str, record: bytes) -> Any:
    """The array of a pickle that does not use MXNet's names."""
    from importlib import import_module

    from tensorkeep.mxnet.ndarray.ndarray import NDArray

    # Nothing else that a pickle names is imported.
    cls = getattr(import_module(f"tensorkeep.{module}"), str(name), None) if module in _MODULES else None
    if not (isinstance(cls, type) and issubclass(cls, NDArray)):
        raise MXNetError(f"A pickled array names {module!r:.60} and {name!r:.60}, which is no class of arrays here.")
    return read_record(record, cls)


_MODULES = ("mxnet.ndarray.ndarray", "mxnet.ndarray.sparse", "mxnet.numpy.multiarray")
