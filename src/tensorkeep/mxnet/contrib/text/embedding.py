"""Vectors for tokens, read from text files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from tensorkeep.mxnet import ndarray as nd
from tensorkeep.mxnet import numpy as mx_np
from tensorkeep.mxnet import registry
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.contrib.text import _pretrained, vocab
from tensorkeep.mxnet.gluon.utils import data_dir

__all__ = [
    "CompositeEmbedding", "CustomEmbedding", "FastText", "GloVe", "create", "get_pretrained_file_names", "register",
]  # fmt: skip

_LINE = "At line {} of the pre-trained token embedding file: "
_MATRIX = "2-D NDArray if `tokens` is a list of multiple strings"


def register(embedding_cls: type) -> type:
    """A decorator: create() finds the class by its name, whatever its case."""
    made: type = registry.get_register_func(_TokenEmbedding, "token embedding")(embedding_cls)
    return made


def create(embedding_name: str, **kwargs: Any) -> Any:
    """Vectors of a registered class: "glove", "fasttext", or one of your own."""
    return registry.get_create_func(_TokenEmbedding, "token embedding")(embedding_name, **kwargs)


def get_pretrained_file_names(embedding_name: str | None = None) -> Any:
    """The files of a class, or a dict of those of all classes.

    Raises:
        KeyError: no class of that name.
    """
    classes: dict[str, Any] = registry.get_registry(_TokenEmbedding)
    if embedding_name is None:
        return {name: list(cls.pretrained_file_name_sha1) for name, cls in classes.items()}
    if embedding_name not in classes:
        raise KeyError(
            f"Cannot find `embedding_name` {embedding_name}. Use `get_pretrained_file_names(embedding_name=None).keys()` "
            "to get all the valid embedding names."
        )
    return list(classes[embedding_name].pretrained_file_name_sha1)


def _array(values: Any) -> Any:
    return mx_np.array(values) if state.np_array else nd.array(values)


class _TokenEmbedding(vocab.Vocabulary):
    """A vocabulary with a vector for each token; index 0 has the vector of unknown tokens.

    Attributes:
        vec_len: the length of a vector.
        idx_to_vec: (tokens, vec_len), the vectors.
    """

    pretrained_file_name_sha1: ClassVar[dict[str, str]] = {}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._vec_len: Any = None
        self._idx_to_vec: Any = None

    def _load_embedding(
        self, path: Any, delim: str, init_unknown_vec: Callable[..., Any], encoding: str = "utf8"
    ) -> None:
        """Take the tokens and vectors of a text file: a token and its numbers on each line."""
        rows: list[list[float]] = []
        unknown: list[float] | None = None
        seen: set[str] = set()
        with open(path, encoding=encoding) as file:
            for number, line in enumerate(file, 1):
                token, *texts = line.rstrip().split(delim)
                assert texts, (
                    f"At line {number} of the pre-trained text embedding file: the data format of the pre-trained token "
                    f"embedding file {path} is unexpected."
                )
                vector = [float(text) for text in texts]
                if token == self.unknown_token and unknown is None:
                    unknown = vector
                    seen.add(token)
                elif token in seen:
                    warnings.warn(
                        f"{_LINE.format(number)}the embedding vector for token {token} has been loaded and a duplicate "
                        "embedding for the  same token is seen and skipped.",
                        stacklevel=3,
                    )
                elif len(vector) == 1:
                    warnings.warn(
                        f"At line {number} of the pre-trained text embedding file: token {token} with 1-dimensional "
                        f"vector {vector} is likely a header and is skipped.",
                        stacklevel=3,
                    )
                else:
                    assert not rows or len(vector) == len(rows[0]), (
                        f"{_LINE.format(number)}the dimension of token {token} is {len(vector)} but the dimension of "
                        f"previous tokens is {len(rows[0]) if rows else 0}. Dimensions of all the tokens must be the same."
                    )
                    rows.append(vector)
                    self._token_to_idx[token] = len(self._idx_to_token)
                    self._idx_to_token.append(token)
                    seen.add(token)
        self._vec_len = len(rows[0]) if rows else None
        self._idx_to_vec = _array([[0.0] * len(rows[0]), *rows] if rows else [])
        if unknown is not None:
            self._idx_to_vec[vocab.UNKNOWN_IDX] = _array(unknown)
        else:
            made = init_unknown_vec(shape=self._vec_len)
            self._idx_to_vec[vocab.UNKNOWN_IDX] = made.as_np_ndarray() if state.np_array else made

    def _index(self, vocabulary: vocab.Vocabulary) -> None:
        """Take the tokens of a vocabulary."""
        self._token_to_idx = vocabulary.token_to_idx.copy()
        self._idx_to_token = vocabulary.idx_to_token[:]
        self._unknown_token = vocabulary.unknown_token
        reserved = vocabulary.reserved_tokens
        self._reserved_tokens = None if reserved is None else reserved[:]

    def _gather(self, embeddings: list[Any], tokens: list[Any]) -> None:
        """Vectors for these tokens: those of the embeddings, one behind the other."""
        width = sum(embedding.vec_len for embedding in embeddings)
        vectors = (mx_np if state.np_array else nd).zeros(shape=(len(tokens), width))
        start = 0
        for embedding in embeddings:
            stop = start + embedding.vec_len
            vectors[0, start:stop] = embedding.idx_to_vec[0]
            if len(tokens) > 1:
                vectors[1:, start:stop] = embedding.get_vecs_by_tokens(tokens[1:])
            start = stop
        self._vec_len = width
        self._idx_to_vec = vectors

    def _restrict(self, vocabulary: vocab.Vocabulary | None) -> None:
        """Keep only the tokens of a vocabulary, where one is given."""
        if vocabulary is None:
            return
        assert isinstance(vocabulary, vocab.Vocabulary), (
            "The argument `vocabulary` must be an instance of mxnet.contrib.text.vocab.Vocabulary."
        )
        self._gather([self], vocabulary.idx_to_token)
        self._index(vocabulary)

    @property
    def vec_len(self) -> Any:
        """The length of a vector."""
        return self._vec_len

    @property
    def idx_to_vec(self) -> Any:
        """(tokens, vec_len), the vectors by index."""
        return self._idx_to_vec

    def get_vecs_by_tokens(self, tokens: Any, lower_case_backup: bool = False) -> Any:
        """(vec_len,) of a token, or (tokens, vec_len) of a list of tokens.

        Args:
            lower_case_backup: a token that is not known is looked up in lower case as well.
        """
        found = []
        for token in tokens if isinstance(tokens, list) else [tokens]:
            known = token if not lower_case_backup or token in self._token_to_idx else token.lower()
            found.append(self._token_to_idx.get(known, vocab.UNKNOWN_IDX))
        vectors = self._idx_to_vec[_array(found)]
        return vectors if isinstance(tokens, list) else vectors[0]

    def update_token_vectors(self, tokens: Any, new_vectors: Any) -> None:
        """Give tokens other vectors.

        Args:
            new_vectors: (tokens, vec_len), or (vec_len,) for one token.
        Raises:
            ValueError: a token is unknown; name the unknown token itself to change its vector.
        """
        assert self._idx_to_vec is not None, "The property `idx_to_vec` has not been properly set."
        names = tokens if isinstance(tokens, list) else [tokens]
        single = len(names) == 1
        wanted = "1-D or 2-D NDArray if `tokens` is a singleton" if single else _MATRIX
        assert isinstance(new_vectors, nd.NDArray), f"`new_vectors` must be a {wanted}."
        assert new_vectors.ndim in ((1, 2) if single else (2,)), f"`new_vectors` must be a {wanted}."
        vectors = new_vectors.reshape((1, -1)) if new_vectors.ndim == 1 else new_vectors
        assert vectors.shape == (len(names), self._vec_len), (
            "The length of new_vectors must be equal to the number of tokens and the width of"
            "new_vectors must be equal to the dimension of embeddings of the glossary."
        )
        for token in names:
            if token not in self._token_to_idx:
                raise ValueError(
                    f"Token {token} is unknown. To update the embedding vector for an unknown token, please specify it "
                    f"explicitly as the `unknown_token` {self._idx_to_token[vocab.UNKNOWN_IDX]} in `tokens`. This is to "
                    "avoid unintended updates."
                )
        self._idx_to_vec[_array([self._token_to_idx[token] for token in names])] = vectors

    @classmethod
    def _pretrained_path(cls, root: str | None, name: str, archive: Callable[[str], str]) -> str:
        family = cls.__name__.lower()
        if name not in cls.pretrained_file_name_sha1:
            raise KeyError(
                f"Cannot find pretrained file {name} for token embedding {family}. Valid pretrained files for embedding "
                f"{family}: {', '.join(cls.pretrained_file_name_sha1)}"
            )
        return _pretrained.find(root or os.path.join(data_dir(), "embeddings"), family, name, archive(name))


class GloVe(_TokenEmbedding):
    """GloVe vectors (https://nlp.stanford.edu/projects/glove/), from a file that was put into `embedding_root`.

    Args:
        pretrained_file_name: one of get_pretrained_file_names("glove").
        embedding_root: the file lies in its folder `glove`; ~/.mxnet/embeddings by default.
        init_unknown_vec: makes the vector of unknown tokens from its shape.
        vocabulary: only its tokens are kept.
    """

    pretrained_archive_name_sha1 = _pretrained.known("glove")["archives"]
    pretrained_file_name_sha1 = _pretrained.known("glove")["files"]

    def __init__(
        self,
        pretrained_file_name: str = "glove.840B.300d.txt",
        embedding_root: str | None = None,
        init_unknown_vec: Callable[..., Any] = nd.zeros,
        vocabulary: vocab.Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        path = self._pretrained_path(embedding_root, pretrained_file_name, self._get_download_file_name)
        super().__init__(**kwargs)
        self._load_embedding(path, " ", init_unknown_vec)
        self._restrict(vocabulary)

    @classmethod
    def _get_download_file_name(cls, pretrained_file_name: str) -> str:
        corpus = pretrained_file_name.split(".")[1]
        return next(name for name in cls.pretrained_archive_name_sha1 if name.split(".")[1] == corpus)


class FastText(_TokenEmbedding):
    """fastText vectors (https://fasttext.cc), from a file that was put into `embedding_root`.

    Args:
        pretrained_file_name: one of get_pretrained_file_names("fasttext").
        embedding_root: the file lies in its folder `fasttext`; ~/.mxnet/embeddings by default.
        init_unknown_vec: makes the vector of unknown tokens from its shape.
        vocabulary: only its tokens are kept.
    """

    pretrained_archive_name_sha1 = _pretrained.known("fasttext")["archives"]
    pretrained_file_name_sha1 = _pretrained.known("fasttext")["files"]

    def __init__(
        self,
        pretrained_file_name: str = "wiki.simple.vec",
        embedding_root: str | None = None,
        init_unknown_vec: Callable[..., Any] = nd.zeros,
        vocabulary: vocab.Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        path = self._pretrained_path(embedding_root, pretrained_file_name, self._get_download_file_name)
        super().__init__(**kwargs)
        self._load_embedding(path, " ", init_unknown_vec)
        self._restrict(vocabulary)

    @classmethod
    def _get_download_file_name(cls, pretrained_file_name: str) -> str:
        return pretrained_file_name.rpartition(".")[0] + ".zip"


class CustomEmbedding(_TokenEmbedding):
    """Vectors from a text file of your own: on each line a token and its numbers.

    Args:
        pretrained_file_path: the file.
        elem_delim: what stands between a token and numbers.
        encoding: of the file.
        init_unknown_vec: makes the vector of unknown tokens from its shape.
        vocabulary: only its tokens are kept.
    """

    def __init__(
        self,
        pretrained_file_path: str,
        elem_delim: str = " ",
        encoding: str = "utf8",
        init_unknown_vec: Callable[..., Any] = nd.zeros,
        vocabulary: vocab.Vocabulary | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._load_embedding(pretrained_file_path, elem_delim, init_unknown_vec, encoding)
        self._restrict(vocabulary)


class CompositeEmbedding(_TokenEmbedding):
    """The tokens of a vocabulary with the vectors of several embeddings, one behind the other.

    Args:
        vocabulary: tells the tokens.
        token_embeddings: one embedding, or a list of them.
    """

    def __init__(self, vocabulary: vocab.Vocabulary, token_embeddings: Any) -> None:
        assert isinstance(vocabulary, vocab.Vocabulary), (
            "The argument `vocabulary` must be an instance of mxnet.contrib.text.indexer.Vocabulary."
        )
        embeddings = token_embeddings if isinstance(token_embeddings, list) else [token_embeddings]
        for embedding in embeddings:
            assert isinstance(embedding, _TokenEmbedding), (
                "The argument `token_embeddings` must be an instance or a list of instances of "
                "`mxnet.contrib.text.embedding.TextEmbedding` whose embedding vectors will be"
                "loaded or concatenated-then-loaded to map to the indexed tokens."
            )
        super().__init__()
        self._index(vocabulary)
        self._gather(embeddings, self._idx_to_token)


claim(globals())
register(GloVe)
register(FastText)
