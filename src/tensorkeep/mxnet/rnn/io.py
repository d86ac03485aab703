"""Sentences as batches of one length each."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.io import DataBatch, DataDesc, DataIter

__all__ = ["BucketSentenceIter", "encode_sentences"]


def encode_sentences(
    sentences: Sequence[Sequence[str]],
    vocab: dict[str, int] | None = None,
    invalid_label: int = -1,
    invalid_key: str = "\n",
    start_label: int = 0,
    unknown_token: str | None = None,
) -> tuple[list[list[int]], dict[str, int]]:
    """Sentences with numbers in the place of words, and the vocabulary.

    Args:
        vocab: word → number; made from the sentences when None.
        invalid_label, invalid_key: the number that no word gets, and its entry in a new vocabulary.
        unknown_token: what stands for words that a given vocabulary lacks; without it they are refused.
    """
    new_vocab = vocab is None
    vocab = {invalid_key: invalid_label} if vocab is None else vocab
    number = start_label
    found = []
    for sentence in sentences:
        coded = []
        for word in sentence:
            if word not in vocab:
                assert new_vocab or unknown_token, f"Unknown token {word}"
                if number == invalid_label:
                    number += 1
                if unknown_token:
                    word = unknown_token
                vocab[word] = number
                number += 1
            coded.append(vocab[word])
        found.append(coded)
    return found, vocab


class BucketSentenceIter(DataIter):
    """Batches of sentences that fit one bucket, in a new order after each reset; the labels are the next words.

    Args:
        sentences: lists of numbers.
        buckets: the lengths; by default those that at least batch_size sentences have.
        invalid_label: what fills up short sentences.
        layout: "NT" (batch first) or "TN".
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: list[int] | None = None,
        invalid_label: int = -1,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: Any = "float32",
        layout: str = "NT",
    ) -> None:
        super().__init__()
        lengths = [len(sentence) for sentence in sentences]
        sizes = sorted(buckets or [i for i, count in enumerate(np.bincount(lengths)) if count >= batch_size])
        filled: list[list[Any]] = [[] for _ in sizes]
        discarded = 0
        for sentence in sentences:
            at = bisect.bisect_left(sizes, len(sentence))
            if at == len(sizes):
                discarded += 1
                continue
            row = np.full((sizes[at],), invalid_label, dtype=dtype)
            row[: len(sentence)] = sentence
            filled[at].append(row)
        # MXNet prints this too; a script's output should not change.
        print(f"WARNING: discarded {discarded} sentences longer than the largest bucket.")  # noqa: T201
        self.buckets = [size for size, rows in zip(sizes, filled, strict=True) if rows]
        self.data = [np.asarray(rows, dtype=dtype) for rows in filled if rows]
        self.batch_size = batch_size
        self.data_name, self.label_name = data_name, label_name
        self.dtype, self.invalid_label, self.layout = dtype, invalid_label, layout
        self.major_axis = layout.find("N")
        if self.major_axis not in (0, 1):
            raise ValueError(f"Invalid layout {layout}: Must by NT (batch major) or TN (time major)")
        self.default_bucket_key = max(self.buckets)
        shape = (batch_size, self.default_bucket_key)[:: 1 if self.major_axis == 0 else -1]
        self.provide_data = [DataDesc(name=data_name, shape=shape, layout=layout)]
        self.provide_label = [DataDesc(name=label_name, shape=shape, layout=layout)]
        self.idx = [
            (i, j) for i, rows in enumerate(self.data) for j in range(0, len(rows) - batch_size + 1, batch_size)
        ]
        self.curr_idx = 0
        self.reset()

    def reset(self) -> None:
        """Begin anew, in another order: Python's and NumPy's random generators decide."""
        self.curr_idx = 0
        random.shuffle(self.idx)
        self.nddata, self.ndlabel = [], []
        for rows in self.data:
            np.random.shuffle(rows)
            label = np.empty_like(rows)
            label[:, :-1] = rows[:, 1:]
            label[:, -1] = self.invalid_label
            self.nddata.append(nd.array(rows, dtype=self.dtype))
            self.ndlabel.append(nd.array(label, dtype=self.dtype))

    def next(self) -> Any:
        """The next batch; `bucket_key` is the length of its sentences."""
        if self.curr_idx == len(self.idx):
            raise StopIteration
        i, j = self.idx[self.curr_idx]
        self.curr_idx += 1
        data, label = (rows[i][j : j + self.batch_size] for rows in (self.nddata, self.ndlabel))
        if self.major_axis == 1:
            data, label = data.T, label.T
        return DataBatch(
            [data],
            [label],
            pad=0,
            bucket_key=self.buckets[i],
            provide_data=[DataDesc(name=self.data_name, shape=data.shape, layout=self.layout)],
            provide_label=[DataDesc(name=self.label_name, shape=label.shape, layout=self.layout)],
        )


claim(globals())
