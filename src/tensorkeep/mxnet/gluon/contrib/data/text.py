"""Texts as sequences of token numbers, for language models; read from files of this machine."""

from __future__ import annotations

import os
import zipfile
from typing import Any, ClassVar

import numpy as np

from tensorkeep.errors import CorruptFileError
from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.data.dataset import Dataset
from tensorkeep.mxnet.gluon.utils import _get_repo_file_url, data_dir, download

__all__ = ["WikiText2", "WikiText103"]

EOS_TOKEN = "<eos>"  # a word, no secret
_FILES = {"train": "wiki.train.tokens", "validation": "wiki.valid.tokens", "test": "wiki.test.tokens"}


class _WikiText(Dataset):
    """Examples are (tokens, the tokens that follow them), `seq_len` numbers each.

    Args:
        root: the folder with wiki.train.tokens and so on, or with the archive; by default ~/.mxnet/datasets/…
        segment: "train", "validation" or "test".
        vocab: a Vocabulary; None makes one of the text.
        seq_len: how many tokens an example has; the rest of the text is dropped.
    Raises:
        RuntimeError: the file is not there; the text says where it must lie.
    """

    _namespace: ClassVar[str]

    def __init__(self, root: str | None = None, segment: str = "train", vocab: Any = None, seq_len: int = 35) -> None:
        self._root = os.path.join(data_dir(), "datasets", self._namespace) if root is None else os.path.expanduser(root)
        self._segment = segment
        self._seq_len = seq_len
        self._vocab = vocab
        self._counter: Any = None
        text = self._read()
        self._build_vocab(text)
        lines = [line.split() for line in text.splitlines()]
        tokens = self._vocab.to_indices([token for line in lines if line for token in (*line, EOS_TOKEN)])
        numbers = np.array(tokens, np.int32)
        whole = max(0, len(numbers) - 1) // seq_len * seq_len
        self._data, self._label = (
            ndarray.array(part[:whole].reshape(-1, seq_len), dtype=np.int32) for part in (numbers[:-1], numbers[1:])
        )

    def _read(self) -> str:
        name = _FILES[self._segment]
        path = os.path.join(self._root, name)
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return file.read()
        archive = f"{self._namespace}-v1.zip"
        url = _get_repo_file_url(f"gluon/dataset/{self._namespace}", archive)
        with zipfile.ZipFile(download(url, path=os.path.join(self._root, archive))) as packed:
            member = next((each for each in packed.namelist() if os.path.basename(each) == name), None)
            if member is None:
                raise CorruptFileError(f"{packed.filename}: {name} is not in it. Fetch the archive again.")
            return packed.read(member).decode("utf-8")

    def _build_vocab(self, text: str) -> None:
        from tensorkeep.mxnet.contrib.text import utils, vocab

        self._counter = utils.count_tokens_from_str(text)
        if self._vocab is None:
            self._vocab = vocab.Vocabulary(counter=self._counter, reserved_tokens=[EOS_TOKEN])

    @property
    def vocabulary(self) -> Any:
        """The Vocabulary whose numbers the examples hold."""
        return self._vocab

    @property
    def frequencies(self) -> Any:
        """How often each token occurs, a Counter."""
        return self._counter

    def __getitem__(self, idx: Any) -> Any:
        return self._data[idx], self._label[idx]

    def __len__(self) -> int:
        return len(self._label)


class WikiText2(_WikiText):
    """WikiText-2 (Merity et al., 2016): two million tokens of Wikipedia.

    Args:
        root: the folder with wiki.train.tokens and so on, or with wikitext-2-v1.zip; by default
            ~/.mxnet/datasets/wikitext-2.
        segment: "train", "validation" or "test".
        vocab: a Vocabulary; None makes one of the text.
        seq_len: how many tokens an example has.
    """

    _namespace = "wikitext-2"


class WikiText103(_WikiText):
    """WikiText-103: a hundred million tokens; see WikiText2."""

    _namespace = "wikitext-103"


claim(globals())
