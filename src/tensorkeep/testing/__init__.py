"""Suites and tools for testing formats, savers and readers: shipped, so that a new format's tests are twenty lines.

    contract    FormatContract: inherited pytest tests that every format passes
    adapters    AdapterContract: the same for the adapter of a framework
    hostile     files that a reader must refuse, each with the reason
    mutate      damaged variants of good files, for fuzzing
    guard       run a reader under a memory limit and an alarm
    faults      make the n-th system call of a save fail
    crash       record a save's system calls; every state that a crash may leave

`contract` and `adapters` need pytest, `crash.trace` needs strace on Linux; the rest needs nothing but tensorkeep and NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorkeep.testing.adapters import AdapterContract
    from tensorkeep.testing.contract import FormatContract

__all__ = ["AdapterContract", "FormatContract"]

_HOMES = {"AdapterContract": "adapters", "FormatContract": "contract"}


def __getattr__(name: str) -> Any:
    # pytest is imported only by those who write tests with it.
    if name in _HOMES:
        import importlib

        import pytest

        home = f"tensorkeep.testing.{_HOMES[name]}"
        pytest.register_assert_rewrite(home)  # failures then show their values
        return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'tensorkeep.testing' has no attribute {name!r}")
