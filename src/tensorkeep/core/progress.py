"""How far long work is: storage tells how many bytes it has passed; whoever started the work may listen.

One listener for the process, because the bytes pass in threads of a pool. It must be quick and must not raise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["advance", "listening"]

_listener: Callable[[int], None] | None = None


def advance(nbytes: int) -> None:
    """Tell the listener, if there is one, that `nbytes` more were read and checked, or written."""
    if _listener is not None:
        _listener(nbytes)


@contextlib.contextmanager
def listening(listener: Callable[[int], None]) -> Iterator[None]:
    """Call `listener` with each piece of progress inside the `with` block, from any thread."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before
