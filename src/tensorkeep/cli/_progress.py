"""A progress bar on standard error for work that lasts: only in a terminal, only after half a second, gone at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from tensorkeep.core.progress import listening

__all__ = ["progress", "size_of"]

_QUIET_S = 0.5
"""Work that is done sooner shows no bar (and does not import rich)."""


def size_of(path: str) -> int:
    """The bytes of a file, or of the files in a folder; 0 where there is none."""
    try:
        if not os.path.isdir(path):
            return os.path.getsize(path)
        with os.scandir(path) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except OSError:
        return 0


@contextlib.contextmanager
def progress(title: str, nbytes: int) -> Iterator[None]:
    """Show how far the work inside the `with` block is, of about `nbytes` bytes."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    bar = _Bar(title, nbytes)
    try:
        with listening(bar.advance):
            yield
    finally:
        bar.close()


class _Bar:
    """Counts bytes, and draws once the work has lasted long enough."""

    def __init__(self, title: str, nbytes: int) -> None:
        self.title = title
        self.nbytes = nbytes
        self.done = 0
        self.lock = threading.Lock()
        self.began_s = time.monotonic()
        self.drawn: Any = None
        self.task: Any = None

    def advance(self, nbytes: int) -> None:
        with self.lock:  # the bytes pass in several threads
            self.done += nbytes
            if self.drawn is not None:
                self.drawn.update(self.task, completed=min(self.done, self.nbytes))
            elif time.monotonic() - self.began_s > _QUIET_S and self.done < self.nbytes:
                self._draw()

    def _draw(self) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        from tensorkeep.cli._text import clean

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        drawn = Progress(
            *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self.task = drawn.add_task(escape(clean(self.title)), total=self.nbytes, completed=self.done)
        drawn.start()
        self.drawn = drawn

    def close(self) -> None:
        if self.drawn is not None:
            self.drawn.stop()
