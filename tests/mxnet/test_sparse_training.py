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
    """After two updates by sparse gradients the weights are real MXNet's, lazy or not."""
    weight = nd.ones((4, 2))
    update = optimizer.get_updater(optimizer.create(name, learning_rate=0.1, wd=0.1, **options))
    update(0, nd.sparse.row_sparse_array(([[1, 2]], [2]), shape=(4, 2)), weight)
    update(0, nd.sparse.row_sparse_array(([[1, 2], [3, 1]], [0, 2]), shape=(4, 2)), weight)

    np.testing.assert_allclose(weight.asnumpy(), wanted, atol=6e-5)  # the numbers were rounded to four digits


def test_optimizer_without_a_rule_refuses() -> None:
    """An optimizer that cannot take a sparse gradient says so instead of making it dense."""
    update = optimizer.get_updater(optimizer.create("lamb"))
    with pytest.raises(MXNetError, match="gradient row_sparse"):
        update(0, nd.sparse.zeros("row_sparse", (4, 2)), nd.ones((4, 2)))


def test_gradient_without_rows_changes_nothing() -> None:
    """Not even by weight decay: no row was touched."""
    weight = nd.ones((4, 2))
    optimizer.get_updater(optimizer.create("sgd", wd=0.5))(0, nd.sparse.zeros("row_sparse", (4, 2)), weight)

    assert weight.asnumpy().tolist() == [[1, 1]] * 4


def test_embedding_trains_by_the_rows_that_it_looked_up() -> None:
    """Two steps of SGD with momentum give real MXNet's weights; other rows stay."""
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


@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        # The same with a row_sparse weight.
        ("sgd", {}, [[0.89, 0.79], [1, 1], [0.5811, 0.6821], [1, 1]]),
        (
            "sgd",
            {"momentum": 0.9, "lazy_update": False},
            [[0.8711, 0.7711], [0.9711, 0.9711], [0.4821, 0.4931], [0.9711, 0.9711]],
        ),
        ("adam", {}, [[0.9256, 0.9256], [1, 1], [0.8074, 0.8062], [1, 1]]),
        ("ftrl", {}, [[0.4473, 0.5977], [1, 1], [0.3754, 0.5669], [1, 1]]),
        ("adagrad", {"wd": 0.0}, [[0.9, 0.9], [1, 1], [0.8051, 0.8553], [1, 1]]),
        ("groupadagrad", {"wd": 0.0}, [[0.9368, 0.8735], [1, 1], [0.8272, 0.8370], [1, 1]]),
        ("rmsprop", {}, [[0.3688, 0.3679], [0.4989, 0.4989], [0.3844, 0.5343], [0.4989, 0.4989]]),
    ],
)
def test_row_sparse_weights_change_as_in_mxnet(name: str, options: dict[str, Any], wanted: list[list[float]]) -> None:
    """Weights that are sparse themselves end where real MXNet's do, and stay sparse."""
    weight = nd.ones((4, 2)).tostype("row_sparse")
    update = optimizer.get_updater(optimizer.create(name, learning_rate=0.1, **{"wd": 0.1, **options}))
    update(0, nd.sparse.row_sparse_array(([[1, 2]], [2]), shape=(4, 2)), weight)
    update(0, nd.sparse.row_sparse_array(([[1, 2], [3, 1]], [0, 2]), shape=(4, 2)), weight)

    assert weight.stype == "row_sparse"
    np.testing.assert_allclose(weight.asnumpy(), wanted, atol=6e-5)  # the numbers were rounded to four digits


def test_adagrad_refuses_decay_with_sparse_gradients() -> None:
    """As in MXNet, whose rule knows no decay there."""
    update = optimizer.get_updater(optimizer.create("adagrad", wd=0.1))
    with pytest.raises(MXNetError, match="gradient row_sparse"):
        update(0, nd.sparse.zeros("row_sparse", (4, 2)), nd.ones((4, 2)))


def test_master_copies_of_sparse_half_weights_change() -> None:
    """As of dense ones: the states hold a float32 copy, which is sparse like its weight."""
    results = []
    for stype in ("row_sparse", "default"):
        weight = nd.ones((4, 2), dtype="float16").tostype(stype)
        update = optimizer.get_updater(optimizer.create("adam", learning_rate=0.1, multi_precision=True))
        for _ in range(2):
            update(0, nd.ones((4, 2), dtype="float16").tostype(stype), weight)
        results.append(weight.asnumpy())

    assert results[0].tolist() == results[1].tolist()
    assert results[0][0, 0] < 0.9


@pytest.mark.parametrize("stype", ["row_sparse", "csr"])
def test_sparse_variables_have_gradients(stype: str) -> None:
    """Those of all elements, like dense ones: also of what is not stored."""
    x = nd.zeros((2, 2)).tostype(stype)
    x.attach_grad()
    with autograd.record():
        y = x * 2 + x * x + 1
    y.backward()

    assert x.grad.stype == stype
    assert x.grad.asnumpy().tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize("stype", ["row_sparse", "csr", "default"])
@pytest.mark.parametrize("grad", ["row_sparse", "csr", "default"])
def test_gradients_are_stored_as_asked(stype: str, grad: str) -> None:
    """Any pair of an array's and its gradient's storage works."""
    x = nd.ones((2, 2)).tostype(stype)
    x.attach_grad(stype=grad)

    assert x.grad.stype == grad


def test_recorded_variable_follows_its_changes() -> None:
    """Values that are assigned between two recordings count in the second."""
    x = nd.array([[1, 0], [0, 2]]).tostype("row_sparse")
    x.attach_grad()
    for scale in (1, 3):
        x[:] = nd.array([[scale, 0], [0, 2]])
        with autograd.record():
            y = (x * x).sum()
        y.backward()

        assert x.grad.asnumpy().tolist() == [[2 * scale, 0], [0, 4]]


def test_initializers_fill_sparse_arrays() -> None:
    """All elements get their value, also those that were not stored."""
    array = nd.sparse.zeros("row_sparse", (2, 3))
    init.One()(init.InitDesc("x_weight"), array)

    assert array.asnumpy().tolist() == [[1, 1, 1], [1, 1, 1]]


def test_sparse_parameter_trains_as_in_mxnet() -> None:
    """Rows are pulled, the gradient changes them in the store. Numbers: MXNet's own test of its Trainer."""
    params = gluon.ParameterDict()
    weight = params.get("embed_weight", stype="row_sparse", shape=(4, 3), grad_stype="row_sparse", init=init.One())
    params.initialize()
    trainer = gluon.Trainer(params, "sgd", {"learning_rate": 1})
    x = nd.array([[0, 2], [1, 2]])
    with autograd.record():
        rows = weight.row_sparse_data(x)
        y = nd.Embedding(x, rows, input_dim=4, output_dim=3, sparse_grad=True) * 2
    y.backward()
    trainer.step(1)

    assert rows.indices.asnumpy().tolist() == [0, 1, 2]
    after = weight.row_sparse_data(nd.arange(4))
    assert after.asnumpy()[:, 0].tolist() == [-1, -1, -3, 1]
    weight.row_sparse_data(nd.array([3]))
    assert weight._reduce().asnumpy()[:, 0].tolist() == [-1, -1, -3, 1]


def test_sparse_weights_are_updated_in_the_store() -> None:
    """update_on_kvstore=False cannot work for them and is refused with the reason."""
    params = gluon.ParameterDict()
    params.get("w", stype="row_sparse", shape=(4, 3), grad_stype="row_sparse", init="zeros")
    params.initialize()
    trainer = gluon.Trainer(params, "sgd", update_on_kvstore=False)
    with pytest.raises(ValueError, match="update_on_kvstore=False when sparse weights are present"):
        trainer.step(1)


def test_variables_can_be_marked_again() -> None:
    """The second gradient array is the one that is filled."""
    x = nd.ones((2, 2)).tostype("row_sparse")
    for _ in range(2):
        gradient = nd.zeros_like(x)
        autograd.mark_variables([x], [gradient])
        with autograd.record():
            y = x * 3
        y.backward()

        assert gradient.asnumpy().tolist() == [[3, 3], [3, 3]]


def test_sums_of_squares_of_rows() -> None:
    """Rows of one number where the axis is kept, else a dense array."""
    rows = nd.array([[1, 2], [0, 0], [3, 4]]).tostype("row_sparse")
    kept = nd._internal._square_sum(rows, axis=1, keepdims=True)
    columns = nd._internal._square_sum(rows, axis=0)

    assert (kept.stype, kept.asnumpy().tolist(), kept.indices.asnumpy().tolist()) == (
        "row_sparse", [[5], [0], [25]], [0, 2],
    )  # fmt: skip
    assert (columns.stype, columns.asnumpy().tolist()) == ("default", [10, 20])
