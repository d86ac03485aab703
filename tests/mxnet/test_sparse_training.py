"""Training with row_sparse gradients, against the numbers of real MXNet 1.9.1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tensorkeep.mxnet import autograd, gluon, init, nd, optimizer
from tensorkeep.mxnet.base import MXNetError


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        # Two updates by MXNet 1.9.1 of ones, learning_rate=0.1, wd=0.1.
        ("sgd", {}, [[0.89, 0.79], [1, 1], [0.5811, 0.6821], [1, 1]]),
        ("sgd", {"lazy_update": False}, [[0.8801, 0.7801], [0.9801, 0.9801], [0.5811, 0.6821], [0.9801, 0.9801]]),
        ("sgd", {"momentum": 0.9}, [[0.89, 0.79], [1, 1], [0.4821, 0.4931], [1, 1]]),
        (
            "sgd",
            {"momentum": 0.9, "lazy_update": False},
            [[0.8711, 0.7711], [0.9711, 0.9711], [0.4821, 0.4931], [0.9711, 0.9711]],
        ),
        (
            "sgd",
            {"momentum": 0.9, "clip_gradient": 0.5, "rescale_grad": 0.5},
            [[0.94, 0.94], [1, 1], [0.8266, 0.8266], [1, 1]],
        ),
        ("adam", {}, [[0.9256, 0.9256], [1, 1], [0.8074, 0.8062], [1, 1]]),
        ("adam", {"lazy_update": False}, [[0.8198, 0.8225], [0.8004, 0.8004], [0.8074, 0.8062], [0.8004, 0.8004]]),
        ("ftrl", {}, [[-0.0493, -0.0661], [0, 0], [0.3754, 0.5669], [0, 0]]),
        ("rmsprop", {}, [[0.3688, 0.3679], [0.4989, 0.4989], [0.3844, 0.5343], [0.4989, 0.4989]]),
    ],
)
def test_rows_change_as_in_mxnet(name: str, options: dict[str, Any], wanted: list[list[float]]) -> None:
    weight = nd.ones((4, 2))
    update = optimizer.get_updater(optimizer.create(name, learning_rate=0.1, wd=0.1, **options))
    update(0, nd.sparse.row_sparse_array(([[1, 2]], [2]), shape=(4, 2)), weight)
    update(0, nd.sparse.row_sparse_array(([[1, 2], [3, 1]], [0, 2]), shape=(4, 2)), weight)

    np.testing.assert_allclose(weight.asnumpy(), wanted, atol=6e-5)  # the numbers were rounded to four digits


def test_optimizer_without_a_rule_refuses() -> None:
    update = optimizer.get_updater(optimizer.create("lamb"))
    with pytest.raises(MXNetError, match="gradient row_sparse"):
        update(0, nd.sparse.zeros("row_sparse", (4, 2)), nd.ones((4, 2)))


def test_gradient_without_rows_changes_nothing() -> None:
    weight = nd.ones((4, 2))
    optimizer.get_updater(optimizer.create("sgd", wd=0.5))(0, nd.sparse.zeros("row_sparse", (4, 2)), weight)

    assert weight.asnumpy().tolist() == [[1, 1]] * 4


def test_embedding_trains_by_the_rows_that_it_looked_up() -> None:
    block = gluon.nn.Embedding(5, 2, sparse_grad=True)
    block.initialize(init.One())
    trainer = gluon.Trainer(block.collect_params(), "sgd", {"learning_rate": 1, "wd": 0.1, "momentum": 0.9})
    for _ in range(2):
        with autograd.record():
            loss = block(nd.array([0, 3])).sum()
        loss.backward()
        trainer.step(1)

    # Real MXNet 1.9.1's weights after the same two steps.
    np.testing.assert_allclose(
        block.weight.data().asnumpy(), [[-2.08] * 2, [1, 1], [1, 1], [-2.08] * 2, [1, 1]], rtol=1e-6
    )
