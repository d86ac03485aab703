"""Python's cyclic garbage collector, held off while many small objects are made at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from running inside the block.

    It looks at all young objects each time that 700 more are there, so a header of 10,000 tensors pays for some 40 rounds
    that find nothing: a third of the time of opening it. Reference counts free memory as always, and it is switched on
    again at the end, unless it was off before.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
