"""Exit codes, and errors in the words of the command line."""

from __future__ import annotations

import os
import re
import sys

from tensorkeep.cli._text import clean
from tensorkeep.errors import (
    MismatchError,
    MissingExtraError,
    TensorkeepError,
    TensorNotFoundError,
    UnsupportedDataError,
)

__all__ = [
    "ERROR",
    "FOUND",
    "INTERRUPTED",
    "OK",
    "USAGE",
    "error_document",
    "exit_code",
    "paragraph",
    "tell",
    "worst",
]

OK, FOUND, USAGE, ERROR = 0, 1, 2, 3
INTERRUPTED = 130  # as shells have it: 128 + SIGINT

# The library's errors name its arguments; on the command line they are options.
_OPTIONS = tuple(
    (re.compile(pattern), option)
    for pattern, option in (
        (r"\bverify=False\b", "--no-verify"),
        (r"\bflat=True(?: \(--flat\))?", "--flat"),
        (r"\b(unknown|dtype|format|shard_size|epoch)=(['\"]?)([\w.-]+)\2", r"--\1 \3"),
        (r"\b(only|rename|dtype|format|shard_size)=(?=\W|$)", r"--\1 "),
        (r"--shard_size\b", "--shard-size"),
        (r"os\.makedirs\('([^'\s]*)', exist_ok=True\)", r"mkdir -p \1"),
        (r"(--[a-z-]+) +(?=[.,;:)]|$)", r"\1"),
    )
)


def exit_code(err: BaseException) -> int:
    """2 for what was asked wrongly, 3 for files that cannot be read or written."""
    wrong = (MismatchError, MissingExtraError, TensorNotFoundError, UnsupportedDataError)
    return USAGE if isinstance(err, wrong) else ERROR


def worst(codes: list[int]) -> int:
    """The exit code for several files: a finding outranks an unreadable file, which outranks nothing to check."""
    return next((code for code in (FOUND, ERROR, USAGE) if code in codes), OK)


def paragraph(err: BaseException) -> str | None:
    """What to tell a user of an expected error; None for a defect of ours, whose traceback helps."""
    if isinstance(err, TensorkeepError):
        text = str(err)
        for pattern, option in _OPTIONS:
            text = pattern.sub(option, text)
        return text
    if isinstance(err, OSError):
        return _system(err)
    return None


def _system(err: OSError) -> str:
    name = os.fsdecode(err.filename) if isinstance(err.filename, (str, bytes)) else ""
    if isinstance(err, FileNotFoundError) and name:
        return f"{name}: no such file or folder.{_near(name)}"
    if isinstance(err, PermissionError) and name:
        return f"{name}: permission denied."
    reason = (err.strerror or str(err)).lower()
    return f"{name}: {reason}." if name else f"{reason}."


def _near(name: str) -> str:
    """A hint for a name that is not there: an MXNet checkpoint's prefix, or a near name in the folder."""
    import difflib

    folder, base = os.path.split(name)
    try:
        beside = sorted(os.listdir(folder or "."))
    except OSError:
        return ""
    epochs = [int(m[1]) for each in beside if (m := re.fullmatch(re.escape(base) + r"-(\d{4,9})\.params", each))]
    if base and epochs:
        return f" It is the prefix of an MXNet checkpoint: add --epoch {max(epochs)}."
    near = difflib.get_close_matches(base, beside, n=1)
    return f" Did you mean {os.path.join(folder, near[0])}?" if near else ""


def tell(text: str, *, hint: str = "") -> None:
    """Print an error on standard error: one paragraph, nothing in it steers the terminal."""
    lines = [clean(line) for line in text.split("\n")]
    if hint:
        lines.append(hint)
    sys.stdout.flush()  # so that both streams keep their order in a terminal
    sys.stderr.write("tkeep: " + "\n".join(lines) + "\n")
    sys.stderr.flush()


def error_document(path: str, err: BaseException) -> dict[str, object]:
    """An error as `--json` gives it, in the place of a file's report."""
    return {"path": path, "error": {"kind": type(err).__name__, "message": paragraph(err) or str(err)}}
