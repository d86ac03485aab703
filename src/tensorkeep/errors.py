"""Every exception that tensorkeep raises on purpose.

    TensorkeepError (Exception)
    ├── CorruptFileError (ValueError)            the bytes break their format's rules, or a hash or CRC differs
    │   └── TruncatedFileError                   the file ends before what it promises
    ├── LimitError (ValueError)                  a number in the file is beyond a named limit of ours
    ├── UnsafeFileError (ValueError)             the file asks for code, or for a path outside its folder
    ├── UnsupportedFormatError (ValueError)      not a format, version or dtype that we read or write
    ├── UnsupportedDataError (TypeError)         the given data cannot be stored, or not in the chosen format
    ├── TensorNotFoundError (KeyError)           no tensor has that name
    ├── MismatchError (ValueError)               file and model, or file and request, do not fit
    ├── NotEnoughSpaceError (OSError)            the disk cannot hold what is to be written
    ├── SaveError (OSError)                      writing failed; the old file is untouched
    ├── StepExistsError (FileExistsError)        a checkpoint's step of that number is there already
    ├── WriterConflictError (RuntimeError)       another process writes steps into the directory
    └── MissingExtraError (ImportError)          an optional package is not installed

Catch `TensorkeepError` for all of them. None is a SystemExit, MemoryError or RecursionError, whatever the file holds.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CorruptFileError",
    "LimitError",
    "MismatchError",
    "MissingExtraError",
    "NotEnoughSpaceError",
    "SaveError",
    "StepExistsError",
    "TensorNotFoundError",
    "TensorkeepError",
    "TruncatedFileError",
    "UnsafeFileError",
    "UnsupportedDataError",
    "UnsupportedFormatError",
    "WriterConflictError",
]


class TensorkeepError(Exception):
    """The base of every exception that tensorkeep raises on purpose."""


class CorruptFileError(TensorkeepError, ValueError):
    """The bytes break their format's rules, or a stored hash or CRC does not fit them."""


class TruncatedFileError(CorruptFileError):
    """The file ends before what it promises: a copy or a write was cut off."""


class LimitError(TensorkeepError, ValueError):
    """A number in the file is beyond a named limit of ours; reading on could exhaust the machine."""


class UnsafeFileError(TensorkeepError, ValueError):
    """The file asks for code or for a path outside its folder. Nothing in it was executed.

    `requests` lists what the file asks for, one (module, name) pair each, where that is what made it unsafe.
    """

    def __init__(self, message: str, *, requests: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.requests = requests


class UnsupportedFormatError(TensorkeepError, ValueError):
    """Not a format, version or dtype that tensorkeep reads (or, when saving, writes)."""


class UnsupportedDataError(TensorkeepError, TypeError):
    """The given data cannot be stored, or not in the chosen format. Nothing was written."""


class TensorNotFoundError(TensorkeepError, KeyError):
    """No tensor of the file has the name that was asked for."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MismatchError(TensorkeepError, ValueError):
    """A file and what it is to fill do not fit together. Nothing was changed.

    Attributes:
        report: the LoadReport with everything that differs, when parameters were to be loaded; else None.
    """

    def __init__(self, message: str, *, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class NotEnoughSpaceError(TensorkeepError, OSError):
    """The disk has less room than the file needs. Nothing was written; the old file is untouched."""

    def __str__(self) -> str:
        return self.strerror or super().__str__()


class SaveError(TensorkeepError, OSError):
    """Writing failed (the cause is chained). The old file is untouched and nothing is left behind."""

    def __str__(self) -> str:
        return self.strerror or super().__str__()


class MissingExtraError(TensorkeepError, ImportError):
    """An optional package that this call needs is not installed; the text says how to get it."""


class StepExistsError(TensorkeepError, FileExistsError):
    """A step of that number is there already. It was not touched."""

    def __str__(self) -> str:
        return self.strerror or super().__str__()


class WriterConflictError(TensorkeepError, RuntimeError):
    """Another process writes steps into the directory. Nothing was written."""
