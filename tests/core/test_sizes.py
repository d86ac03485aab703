"""Numbers of bytes, for people."""

from __future__ import annotations

import pytest

from tensorkeep.core.sizes import nbytes_text


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (4_200_000_000, "4.2 GB"),
        (999_960, "1.0 MB"),
        (10**15, "1,000.0 TB"),
    ],
)
def test_sizes_are_in_powers_of_1000(nbytes: int, text: str) -> None:
    """As disks and the messages of the library have them."""
    assert nbytes_text(nbytes) == text
