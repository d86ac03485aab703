"""Suites and tools for testing formats, savers and readers: shipped, so that a new format's tests are twenty lines.

    contract    FormatContract: inherited pytest tests that every format passes
    hostile     files that a reader must refuse, each with the reason
    mutate      damaged variants of good files, for fuzzing
    guard       run a reader under a memory limit and an alarm
    faults      make the n-th system call of a save fail
    crash       record a save's system calls; every state that a crash may leave

`contract` needs pytest, `crash.trace` needs strace on Linux; the rest needs nothing but tensorkeep and NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorkeep.testing.contract import FormatContract

__all__ = ["FormatContract"]


def __getattr__(name: str) -> Any:
    # pytest is imported only by those who write tests with it.
    if name == "FormatContract":
        import pytest

        pytest.register_assert_rewrite("tensorkeep.testing.contract")  # failures then show their values
        from tensorkeep.testing.contract import FormatContract

        return FormatContract
    raise AttributeError(f"module 'tensorkeep.testing' has no attribute {name!r}")
