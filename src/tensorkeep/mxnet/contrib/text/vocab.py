"""Vocabularies: tokens and their indices."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tensorkeep.mxnet.base import claim

__all__ = ["UNKNOWN_IDX", "Vocabulary"]

UNKNOWN_IDX = 0
"""The index of the unknown token."""


class Vocabulary:
    """The tokens that are known, each with an index: the unknown token 0, then reserved ones, then by frequency.

    Args:
        counter: how often each token occurs; equal ones are sorted by the token.
        most_freq_count: at most so many tokens of `counter` are taken.
        min_freq: rarer ones are not taken.
        unknown_token: stands for all tokens that are not known.
        reserved_tokens: are known whatever `counter` has.
    """

    def __init__(
        self,
        counter: Counter[Any] | None = None,
        most_freq_count: int | None = None,
        min_freq: int = 1,
        unknown_token: Any = "<unk>",
        reserved_tokens: list[Any] | None = None,
    ) -> None:
        assert min_freq > 0, "`min_freq` must be set to a positive value."
        reserved = reserved_tokens or []
        assert unknown_token not in reserved, "`reserved_token` cannot contain `unknown_token`."
        assert len(set(reserved)) == len(reserved), "`reserved_tokens` cannot contain duplicate reserved tokens."
        self._unknown_token = unknown_token
        self._reserved_tokens = None if reserved_tokens is None else reserved_tokens[:]
        self._idx_to_token = [unknown_token, *reserved]
        if counter is not None:
            assert isinstance(counter, Counter), "`counter` must be an instance of collections.Counter."
            self._take(counter, len(counter) if most_freq_count is None else most_freq_count, min_freq)
        self._token_to_idx = {token: i for i, token in enumerate(self._idx_to_token)}

    def _take(self, counter: Counter[Any], most: int, min_freq: int) -> None:
        cap = len(self._idx_to_token) + most
        known = set(self._idx_to_token)
        # Two stable sorts: tokens need not be comparable with numbers.
        by_token = sorted(counter.items(), key=lambda item: item[0])
        for token, count in sorted(by_token, key=lambda item: item[1], reverse=True):
            if count < min_freq or len(self._idx_to_token) == cap:
                break
            if token not in known:
                self._idx_to_token.append(token)

    def __len__(self) -> int:
        return len(self._idx_to_token)

    @property
    def token_to_idx(self) -> dict[Any, int]:
        """The index of each token."""
        return self._token_to_idx

    @property
    def idx_to_token(self) -> list[Any]:
        """The token of each index."""
        return self._idx_to_token

    @property
    def unknown_token(self) -> Any:
        """What stands for tokens that are not known."""
        return self._unknown_token

    @property
    def reserved_tokens(self) -> list[Any] | None:
        """The tokens that were reserved; None when no list was given."""
        return self._reserved_tokens

    def to_indices(self, tokens: Any) -> Any:
        """The index of a token, or a list of the indices of a list of tokens; 0 for unknown ones."""
        if isinstance(tokens, list):
            return [self._token_to_idx.get(token, UNKNOWN_IDX) for token in tokens]
        return self._token_to_idx.get(tokens, UNKNOWN_IDX)

    def to_tokens(self, indices: Any) -> Any:
        """The token of an index, or a list of the tokens of a list of indices.

        Raises:
            ValueError: an index that is no int, or beyond the last token.
        """
        if not isinstance(indices, list):
            return self.to_tokens([indices])[0]
        for i in indices:
            if not isinstance(i, int) or i >= len(self._idx_to_token):
                raise ValueError(f"Token index {i} in the provided `indices` is invalid.")
        return [self._idx_to_token[i] for i in indices]


claim(globals())
