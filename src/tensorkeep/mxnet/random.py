"""mx.random: seeds."""

from __future__ import annotations

from typing import Any


def seed(seed_state: int, ctx: Any = "all") -> None:
    """Start MXNet's generator anew."""
