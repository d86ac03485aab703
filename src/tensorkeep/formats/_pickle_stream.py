"""Pickles that stand in a file one behind the other, with other bytes after them: they say nowhere how long they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tensorkeep.core.bounds import MAX_PICKLE_NBYTES
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.errors import LimitError, TruncatedFileError, UnsafeFileError
from tensorkeep.formats._pickle import Examined, Unpickled, examine, load
from tensorkeep.formats._pickle_parts import Known

__all__ = ["examine_at", "load_at"]

_FIRST_NBYTES = 1 << 16
_GROWTH = 8


def load_at(
    source: ByteSource,
    start: int,
    *,
    what: str,
    known: Mapping[tuple[str, str], Known] | None = None,
    persistent: Callable[[Any], Any] | None = None,
    unknown: str = "refuse",
    stop: int | None = None,
) -> Unpickled:
    """The pickle at byte `start` of a file; `end` of the result is an offset in the file too.

    Args: as `_pickle.load`; `stop` ends the range that the pickle may lie in. `persistent` may be called for the same
        ids again: the pickle is read in a larger piece when the first was too small.
    Raises: as `_pickle.load`.
    """
    stop = source.size if stop is None else stop
    for nbytes in _sizes(stop - start):
        data = source.read(start, nbytes)
        try:
            found = load(data, what=what, known=known, persistent=persistent, unknown=unknown)
        except (TruncatedFileError, UnsafeFileError) as err:
            # A piece that ends inside the pickle: what it asks for is known in full when all of it was seen.
            if nbytes < stop - start and _cut(err):
                _check_size(nbytes, what)
                continue
            raise
        return Unpickled(found.value, start + found.end, found.requests)
    raise AssertionError("the last piece reaches to the end")


def _cut(err: Exception) -> bool:
    return isinstance(err, TruncatedFileError) or isinstance(err.__cause__, TruncatedFileError)


def _check_size(nbytes: int, what: str) -> None:
    if nbytes >= MAX_PICKLE_NBYTES:
        raise LimitError(f"{what}: the pickle has no end within {nbytes} bytes. The file is damaged or hostile.")


def examine_at(
    source: ByteSource,
    start: int,
    *,
    what: str,
    known: Mapping[tuple[str, str], Known] | None = None,
    stop: int | None = None,
) -> Examined:
    """What the pickle at byte `start` asks for; `end` of the result is an offset in the file."""
    stop = source.size if stop is None else stop
    found = Examined(start, ())
    for nbytes in _sizes(stop - start):
        found = examine(source.read(start, nbytes), what=what, known=known)
        if not isinstance(found.error, TruncatedFileError) or nbytes >= MAX_PICKLE_NBYTES:
            break
    return Examined(start + found.end, found.requests, found.error)


def _sizes(available: int) -> list[int]:
    sizes, nbytes = [], _FIRST_NBYTES
    while nbytes < min(available, MAX_PICKLE_NBYTES):
        sizes.append(nbytes)
        nbytes *= _GROWTH
    return [*sizes, min(available, MAX_PICKLE_NBYTES)]
