"""Counting tokens."""

from __future__ import annotations

import re
from collections import Counter

from tensorkeep.mxnet.base import claim

__all__ = ["count_tokens_from_str"]


def count_tokens_from_str(
    source_str: str,
    token_delim: str = " ",
    seq_delim: str = "\n",
    to_lower: bool = False,
    counter_to_update: Counter[str] | None = None,
) -> Counter[str]:
    """How often each token occurs in a text.

    Args:
        token_delim: a regular expression for what stands between tokens.
        seq_delim: a regular expression for what stands between sequences.
        counter_to_update: counted on, and given back; a new Counter by default.
    """
    tokens = [token for token in re.split(f"{token_delim}|{seq_delim}", source_str) if token]
    counter: Counter[str] = Counter() if counter_to_update is None else counter_to_update
    counter.update([token.lower() for token in tokens] if to_lower else tokens)
    return counter


claim(globals())
