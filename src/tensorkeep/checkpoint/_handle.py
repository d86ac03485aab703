"""SaveHandle: a save that may still be under way; NotCapturedWarning: what a state lacks."""

from __future__ import annotations

import errno
import os
import threading

from tensorkeep.errors import SaveError

__all__ = ["NotCapturedWarning", "NotRestoredWarning", "SaveHandle"]


class NotCapturedWarning(UserWarning):
    """Something of the training run is not in the saved state, so that a resume would not be the same run."""


class NotRestoredWarning(UserWarning):
    """Something of a step could not go back to where it was, so that the run that goes on is not quite the same."""


class SaveHandle:
    """A save that may still be under way.

    Attributes:
        step: its number.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._done = threading.Event()
        self._process = os.getpid()
        self._error: BaseException | None = None
        self.path: str | None = None
        self.nbytes_written = 0

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._done.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the step is durable; False when the time was not enough.

        Raises: what the save met, e.g. NotEnoughSpaceError.
        """
        if self._process != os.getpid() and not self.done:
            raise SaveError(
                errno.ECHILD,
                f"step {self.step} is being saved by process {self._process}, of which this one was forked. Wait for it there.",
            )
        if not self._done.wait(timeout_s):
            return False
        if self._error is not None:
            raise self._error
        return True

    def __repr__(self) -> str:
        state = "under way" if not self.done else "failed" if self._error else "durable"
        return f"<SaveHandle step {self.step}: {state}>"
