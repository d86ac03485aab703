"""`tkeep`, the command line: list, show, verify, scan, convert, compare, extract and repair tensor files.

Each command group is one file; a command's file is imported when the command is used.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run `tkeep` with `args` (default: those of the process) and return its exit code."""
    from tensorkeep.cli._main import run

    return run(list(sys.argv[1:] if args is None else args))
