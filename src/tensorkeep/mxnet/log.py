"""Loggers whose lines begin with a letter for the level, the time and the place."""

from __future__ import annotations

import logging
import warnings

from tensorkeep.mxnet.base import claim

__all__ = ["CRITICAL", "DEBUG", "ERROR", "INFO", "NOTSET", "WARNING", "getLogger", "get_logger"]

CRITICAL, ERROR, WARNING = logging.CRITICAL, logging.ERROR, logging.WARNING
INFO, DEBUG, NOTSET = logging.INFO, logging.DEBUG, logging.NOTSET

_LETTERS = {CRITICAL: "C", ERROR: "E", WARNING: "W", INFO: "I", DEBUG: "D"}
_PLACE = "%(asctime)s %(process)d %(pathname)s:%(funcName)s:%(lineno)d"


class _Formatter(logging.Formatter):
    """Red from warnings on, green for information, blue below."""

    def __init__(self) -> None:
        super().__init__(datefmt="%m%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        colour = 31 if record.levelno >= WARNING else 32 if record.levelno >= INFO else 34
        letter = _LETTERS.get(record.levelno, "U")
        self._style._fmt = f"\x1b[{colour}m{letter}{_PLACE}]\x1b[0m %(message)s"
        return super().format(record)


def get_logger(
    name: str | None = None, filename: str | None = None, filemode: str | None = None, level: int = WARNING
) -> logging.Logger:
    """A logger that writes to standard error, or to a file; without a name the root logger as it is.

    Args:
        filemode: how the file is opened, "a" by default.
        level: what is below is not written.
    """
    logger = logging.getLogger(name)
    if name is not None and not getattr(logger, "_init_done", False):
        setattr(logger, "_init_done", True)  # noqa: B010 - MXNet's own mark: it leaves such a logger alone, too
        handler: logging.Handler
        if filename:
            handler = logging.FileHandler(filename, filemode or "a")
        else:
            handler = logging.StreamHandler()
            handler.setFormatter(_Formatter())
        logger.addHandler(handler)
        logger.setLevel(level)
    return logger


def getLogger(
    name: str | None = None, filename: str | None = None, filemode: str | None = None, level: int = WARNING
) -> logging.Logger:
    """The same as get_logger(), under the name that MXNet deprecated."""
    warnings.warn("getLogger is deprecated, Use get_logger instead.", DeprecationWarning, stacklevel=2)
    return get_logger(name, filename, filemode, level)


claim(globals())
