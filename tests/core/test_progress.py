"""Progress reaches the one who listens, and nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tensorkeep.core.progress import advance, listening


def test_a_listener_hears_every_thread() -> None:
    """The bytes pass in threads of a pool."""
    heard: list[int] = []
    with listening(heard.append), ThreadPoolExecutor(2) as pool:
        list(pool.map(advance, [1, 2, 3]))

    assert sorted(heard) == [1, 2, 3]


def test_nobody_listens_afterwards() -> None:
    """Also when the work failed; listeners nest."""
    outer: list[int] = []
    inner: list[int] = []
    with listening(outer.append):
        with pytest.raises(RuntimeError, match="failed"), listening(inner.append):
            raise RuntimeError("failed")
        advance(5)
    advance(7)

    assert (outer, inner) == ([5], [])
