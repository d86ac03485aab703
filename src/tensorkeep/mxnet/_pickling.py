"""Pickles of arrays: byte for byte what MXNet writes, read by it and by us."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._files import read_record

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


def restore(array: Any, state: dict[str, Any]) -> None:
    """Fill an array that was made of None with what pickle kept of it."""
    handle = state["handle"]
    if handle is None:
        array._t = None
        return
    found = read_record(handle, type(array))
    for name in ("_t", "_ctx", "_grad") if found.stype == "default" else ("_parts", "_shape", "_ctx", "_grad"):
        setattr(array, name, getattr(found, name))


def restored(module: str, name: str, record: bytes) -> Any:
    """The array of a pickle that does not use MXNet's names."""
    from importlib import import_module

    found = import_module(module.replace("mxnet", "tensorkeep.mxnet", 1))
    return read_record(record, getattr(found, name))
