"""mx.contrib: text, iterators, the first autograd. The same file passes on MXNet 1.9.1, but for what is said to differ."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet.contrib import autograd, text

VECTORS = "a 1 2 3\nb 4 5 6\nc 7 8 9\n"


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    path = tmp_path / "vectors.txt"
    path.write_text(VECTORS)
    return str(path)


def test_tokens_are_counted_between_delimiters() -> None:
    """Case may be folded, a counter may be updated in place, and delimiters are no patterns."""
    counted = text.utils.count_tokens_from_str(" Life is great ! \n life is good . \n", " ", "\n", True)

    assert counted == Counter({"life": 2, "is": 2, "great": 1, "!": 1, "good": 1, ".": 1})
    again = text.utils.count_tokens_from_str("*is*", r"\*", "\n", counter_to_update=counted)
    assert again is counted
    assert counted["is"] == 3


def test_vocabulary_orders_by_count_then_token() -> None:
    """Unknown and reserved tokens come first, limits of count and frequency hold, wrong indices are refused."""
    counter = Counter(["b", "b", "c", "c", "c", "a", "some", "$"])
    vocabulary = text.vocab.Vocabulary(counter, most_freq_count=3, unknown_token="?", reserved_tokens=["$"])

    assert vocabulary.idx_to_token == ["?", "$", "c", "b", "a"]
    assert len(vocabulary) == 5
    assert vocabulary.to_indices(["c", "never"]) == [2, 0]
    assert vocabulary.to_indices("b") == 3
    assert vocabulary.to_tokens([4, 0]) == ["a", "?"]
    for wrong in (5, 1.0, [0, 9]):
        with pytest.raises(ValueError, match="in the provided `indices` is invalid"):
            vocabulary.to_tokens(wrong)
    assert text.vocab.Vocabulary(counter, min_freq=2).idx_to_token == ["<unk>", "c", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_freq": 0}, "must be set to a positive value"),
        ({"reserved_tokens": ["<unk>"]}, "cannot contain `unknown_token`"),
        ({"reserved_tokens": ["x", "x"]}, "duplicate reserved tokens"),
        ({"counter": {"a": 1}}, "must be an instance of collections.Counter"),
    ],
)
def test_vocabulary_refuses(options: dict[str, object], message: str) -> None:
    """Options that contradict each other are told with MXNet's texts."""
    with pytest.raises(AssertionError, match=message):
        text.vocab.Vocabulary(**options)


def test_custom_vectors_are_read(vectors: str) -> None:
    """A file of vectors becomes an embedding that can be asked, and changed for tokens that are known."""
    embedding = text.embedding.CustomEmbedding(vectors, init_unknown_vec=mx.nd.ones)

    assert embedding.vec_len == 3
    assert embedding.idx_to_token == ["<unk>", "a", "b", "c"]
    assert embedding.idx_to_vec.asnumpy().tolist() == [[1, 1, 1], [1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert embedding.get_vecs_by_tokens("b").asnumpy().tolist() == [4, 5, 6]
    found = embedding.get_vecs_by_tokens(["C", "never"], lower_case_backup=True)
    assert found.asnumpy().tolist() == [[7, 8, 9], [1, 1, 1]]
    embedding.update_token_vectors(["a", "c"], mx.nd.array([[0, 0, 1], [0, 0, 2]]))
    assert embedding.get_vecs_by_tokens(["a", "c"]).asnumpy().tolist() == [[0, 0, 1], [0, 0, 2]]
    with pytest.raises(ValueError, match="Token never is unknown"):
        embedding.update_token_vectors("never", mx.nd.array([0, 0, 0]))
    with pytest.raises(AssertionError, match="1-D or 2-D NDArray if `tokens` is a singleton"):
        embedding.update_token_vectors("a", np.zeros(3))


def test_vectors_of_the_unknown_token_headers_and_duplicates(tmp_path: Path) -> None:
    """A line of sizes and a second vector of a token are passed over with a warning; lines of other lengths are refused."""
    path = tmp_path / "vectors.txt"
    path.write_text("2 2\n<unk> 9 9\na 1 2\na 3 4\nb 5 6\n")
    with pytest.warns(UserWarning, match="likely a header|duplicate"):
        embedding = text.embedding.CustomEmbedding(str(path))

    assert embedding.idx_to_vec.asnumpy().tolist() == [[9, 9], [1, 2], [5, 6]]
    for wrong, message in (("a 1 2\nb 1 2 3\n", "dimension of token b is 3"), ("a\n", "is unexpected")):
        path.write_text(wrong)
        with pytest.raises(AssertionError, match=message):
            text.embedding.CustomEmbedding(str(path))


def test_vectors_for_a_vocabulary_and_several_together(vectors: str) -> None:
    """Only the vocabulary's tokens are kept, and several embeddings stand side by side."""
    vocabulary = text.vocab.Vocabulary(Counter(["c", "x"]))
    restricted = text.embedding.CustomEmbedding(vectors, vocabulary=vocabulary)
    both = text.embedding.CompositeEmbedding(vocabulary, [restricted, text.embedding.CustomEmbedding(vectors)])

    assert restricted.idx_to_token == ["<unk>", "c", "x"]
    assert restricted.idx_to_vec.asnumpy().tolist() == [[0, 0, 0], [7, 8, 9], [0, 0, 0]]
    assert both.idx_to_vec.asnumpy().tolist() == [[0] * 6, [7, 8, 9, 7, 8, 9], [0] * 6]


def test_names_of_trained_vectors() -> None:
    """The files that MXNet knows can be listed by kind; others are refused with what was asked for."""
    assert len(text.embedding.get_pretrained_file_names("glove")) == 10
    assert set(text.embedding.get_pretrained_file_names()) >= {"glove", "fasttext"}
    assert "wiki.simple.vec" in text.embedding.get_pretrained_file_names("fasttext")
    with pytest.raises(KeyError, match="Cannot find `embedding_name` none"):
        text.embedding.get_pretrained_file_names("none")
    with pytest.raises(KeyError, match=r"Cannot find pretrained file x for token embedding glove"):
        text.embedding.create("glove", pretrained_file_name="x")


def test_trained_vectors_are_not_downloaded(tmp_path: Path) -> None:
    """Differs from MXNet, on purpose."""
    with pytest.raises(RuntimeError, match=r"glove\.6B\.50d\.txt does not exist, .*Fetch .*/glove/glove\.6B\.zip"):
        text.embedding.create("glove", pretrained_file_name="glove.6B.50d.txt", embedding_root=str(tmp_path))


def test_loaders_feed_modules() -> None:
    """A DataLoader of Gluon becomes an iterator of batches whose last one is padded, as often as it is reset."""
    data = mx.gluon.data.ArrayDataset(mx.nd.arange(10).reshape((5, 2)), mx.nd.arange(5))
    batches = mx.contrib.io.DataLoaderIter(mx.gluon.data.DataLoader(data, 2), data_name="x", label_name="y")

    assert [(d.name, d.shape) for d in batches.provide_data + batches.provide_label] == [("x", (2, 2)), ("y", (2,))]
    for _ in range(2):
        batches.reset()
        found = list(batches)
        assert [batch.pad for batch in found] == [0, 0, 1]
        assert found[2].data[0].shape == (2, 2)
        assert found[2].data[0][0].asnumpy().tolist() == [8, 9]
        assert found[1].label[0].asnumpy().tolist() == [2, 3]


def test_gradients_and_losses() -> None:
    """The old interface gives the gradients by argument, with the loss or alone."""
    x = mx.nd.array([1, 2, 3])

    grads, loss = autograd.grad_and_loss(lambda a, b: a * b + b, argnum=1)(x, x + 0)
    assert grads[0].asnumpy().tolist() == [2, 3, 4]
    assert loss.asnumpy().tolist() == [2, 6, 12]
    assert [g.asnumpy().tolist() for g in autograd.grad(lambda a, b: a * b)(x, x + 1)] == [[2, 3, 4], [1, 2, 3]]


def test_sections_switch_training() -> None:
    """Inside a test section nothing trains, and outside of both nothing is recorded."""
    x = mx.nd.ones((2,))
    gradient = mx.nd.zeros((2,))
    autograd.mark_variables([x], [gradient])
    with autograd.train_section():
        y = x * 3
        with autograd.test_section():
            assert not mx.autograd.is_training()
        assert mx.autograd.is_training()
        assert mx.autograd.is_recording()
        z = y * 2
    autograd.backward([z], [mx.nd.array([1, 10])])

    assert gradient.asnumpy().tolist() == [6, 60]
    assert not mx.autograd.is_recording()
    with pytest.raises(AssertionError, match="list or tuple of NDArrays"):
        autograd.compute_gradient(z)
