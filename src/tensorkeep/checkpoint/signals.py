"""SIGTERM and SIGUSR1: noticed at once, answered at the next step, when the state is whole."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["Signals"]


class Signals:
    """What a Checkpointer watches for while it is open.

    Attributes:
        stop: SIGTERM arrived: save and leave.
        save: SIGUSR1 arrived: save and go on.
    """

    def __init__(self) -> None:
        self.stop = False
        self.save = False
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def install(self) -> None:
        """Watch; in a thread other than the main one, where Python cannot, nothing happens."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, getattr(signal, "SIGUSR1", None)):
            if number is not None:
                with contextlib.suppress(ValueError, OSError):
                    self._before[number] = signal.signal(number, self._arrived)

    def remove(self) -> None:
        """Give the handlers back that were there before; twice is fine."""
        for number, handler in self._before.items():
            if threading.current_thread() is threading.main_thread() and signal.getsignal(number) == self._arrived:
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before = {}

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked worker: the signal means what it meant before
            before = self._before.get(number)
            signal.signal(number, before if before is not None else signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if number != signal.SIGTERM:
            self.save = True
            return
        if self.stop:  # the second one: whoever sends it does not want to wait
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self.stop = True
        before = self._before.get(number)
        if callable(before):
            before(number, frame)
