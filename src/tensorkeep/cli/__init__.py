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

    if args is not None:
        return run(list(args))
    import signal

    if hasattr(signal, "SIGPIPE"):
        # `tkeep ls file | head`: when the reader has seen enough we end quietly, as other commands do.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    return run(sys.argv[1:])
