"""mx.engine: MXNet runs operators in bulk; torch runs each at once, so the size has no effect here."""

from __future__ import annotations

import threading

from tensorkeep.mxnet.base import claim

__all__ = ["bulk", "set_bulk_size"]

_lock = threading.Lock()
_size = 15


def set_bulk_size(size: int) -> int:
    """Note how many operators may run as one, which changes nothing here; what it was before."""
    global _size
    with _lock:
        before, _size = _size, int(size)
    return before


class _BulkScope:
    def __init__(self, size: int) -> None:
        self._size = size
        self._before = 0

    def __enter__(self) -> _BulkScope:
        self._before = set_bulk_size(self._size)
        return self

    def __exit__(self, *exc: object) -> None:
        set_bulk_size(self._before)


def bulk(size: int) -> _BulkScope:
    """A scope with another bulk size, which changes nothing here."""
    return _BulkScope(size)


claim(globals())
