"""Numbers of bytes, for people."""

from __future__ import annotations

__all__ = ["nbytes_text"]


def nbytes_text(nbytes: int) -> str:
    """A number of bytes for people, in powers of 1000: "512 B", "4.2 GB"."""
    if nbytes < 1000:
        return f"{nbytes} B"
    value = float(nbytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:,.1f} TB"
