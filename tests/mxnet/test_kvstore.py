"""Key-value stores: what real MXNet 1.9.1 did in the same calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402


def ones(value: float = 1.0) -> Any:
    return mx.nd.array(np.full(2, value))


@pytest.fixture(params=["local", "device"])
def kv(request: pytest.FixtureRequest) -> Any:
    found = mx.kv.create(request.param)
    found.init(3, ones(2))
    return found


def pulled(kv: Any, key: Any = 3) -> list[float]:
    out = ones(0)
    kv.pull(key, out=out)
    return out.asnumpy().tolist()


def test_push_without_updater_takes_the_place(kv: Any) -> None:
    """The sum of what is pushed is kept; arrays pushed twice under one key are added up."""
    seen = [pulled(kv)]
    for pushed in (ones(8), [ones(1), ones(5)]):
        kv.push(3, pushed)
        seen.append(pulled(kv))
    kv.push([3, 3], [ones(1), ones(2)])

    assert [*seen, pulled(kv)] == [[2, 2], [8, 8], [6, 6], [3, 3]]


def test_what_is_kept_is_a_copy(kv: Any) -> None:
    """Changing an array afterwards changes nothing in the store."""
    given = ones(8)
    kv.push(3, given)
    given[:] = 0

    assert pulled(kv) == [8, 8]


def test_pushpull(kv: Any) -> None:
    """The sum goes to out, or into the pushed arrays."""
    out, first, second = ones(0), ones(7), ones(1)
    kv.pushpull(3, ones(7), out=out)
    kv.pushpull(3, [first, second])

    assert out.asnumpy().tolist() == [7, 7]
    assert first.asnumpy().tolist() == second.asnumpy().tolist() == pulled(kv) == [8, 8]


def test_updater(kv: Any) -> None:
    """With an updater a push changes what is kept, by key, sum and kept array."""

    def add_tenfold(key: Any, grad: Any, weight: Any) -> None:
        assert key == 3
        weight += grad * 10

    kv._set_updater(add_tenfold)
    kv.push(3, [ones(1), ones(2)])
    out = ones(0)
    kv.pushpull(3, ones(1), out=out)

    assert out.asnumpy().tolist() == pulled(kv) == [42, 42]


def test_optimizer_and_its_states(tmp_path: Path) -> None:
    """set_optimizer() updates; its states go through a file, by the names of the keys."""
    kv = mx.kv.create()
    out = ones(0)
    kv.broadcast("b", ones(3), out=[out])
    kv.set_optimizer(mx.optimizer.SGD(learning_rate=0.1, momentum=0.9))
    kv.push("b", ones(1))
    path = tmp_path / "kv.states"
    kv.save_optimizer_states(str(path))
    twin = mx.kv.create()
    twin.init("b", mx.nd.array(pulled(kv, "b")))
    twin.set_optimizer(mx.optimizer.SGD(learning_rate=0.1, momentum=0.9))
    twin.load_optimizer_states(str(path))
    for each in (kv, twin):
        each.push("b", ones(1))

    assert out.asnumpy().tolist() == [3, 3]
    assert pulled(kv, "b") == pulled(twin, "b") == pytest.approx([2.71, 2.71])


def test_refusals(kv: Any) -> None:
    """MXNet's sentences, without its file and line."""
    with pytest.raises(MXNetError, match=r"duplicate init of key 3\. Please double check"):
        kv.init(3, ones())
    with pytest.raises(MXNetError, match="key 4 has not been inited"):
        kv.push(4, ones())
    with pytest.raises(MXNetError, match="key 4 has not been inited"):
        kv.pull(4, out=ones())
    with pytest.raises(MXNetError, match="Mixed key types are not allowed"):
        kv.init("x", ones())
    with pytest.raises(AssertionError):
        kv.push([3], [ones(), ones()])
    with pytest.raises(MXNetError, match="Expected row_sparse storage type"):
        kv.row_sparse_pull(3, out=ones(), row_ids=ones())
    with pytest.raises(AssertionError, match="Cannot save states for distributed training"):
        kv.save_optimizer_states("x")
    with pytest.raises(AssertionError, match="Cannot load states for distributed training"):
        kv.load_optimizer_states("x")
    with pytest.raises(ValueError, match="Unknown capability: flight"):
        kv.is_capable("flight")


@pytest.mark.parametrize(
    ("name", "text"), [("dist_sync", "several processes"), ("nccl", "NCCL"), ("x", "is not known")]
)
def test_stores_of_several_processes_are_refused(name: str, text: str) -> None:
    """Nothing pretends to be distributed."""
    with pytest.raises(MXNetError, match=text):
        mx.kv.create(name)
    with pytest.raises(TypeError, match="name must be a string"):
        mx.kv.create(3)  # type: ignore[arg-type]


def test_facts(kv: Any) -> None:
    """Type, rank, workers, capability; the paths of the classes; a store of one's own."""
    assert (kv.rank, kv.num_workers, kv.is_capable("optimizer")) == (0, 1, True)
    assert kv.type in ("local", "device")
    assert mx.kv.KVStore.__module__ == "mxnet.kvstore.kvstore"
    store = mx.kv.create("teststore")
    first, second = ones(1), ones(2)
    store.pushpull("k", [first, second])
    assert first.asnumpy().tolist() == second.asnumpy().tolist() == [3, 3]
    assert not store.is_capable("optimizer")


def test_rows_are_pulled_once_and_in_order() -> None:
    """Asked of MXNet 1.9.1: rows that are not stored are pulled as zeros, and a row that is named twice once."""
    nd = mx.nd
    store = mx.kv.create("local")
    store.init("a", nd.sparse.row_sparse_array((nd.ones((2, 2)), [0, 2]), shape=(4, 2)))
    out = nd.sparse.zeros("row_sparse", (4, 2))
    store.row_sparse_pull("a", out=out, row_ids=nd.array([2, 1, 2]))

    assert out.indices.asnumpy().tolist() == [1, 2]
    assert out.data.asnumpy().tolist() == [[0, 0], [1, 1]]
    with pytest.warns(UserWarning, match="This call has been ignored"):
        store.pull("a", out=out)
    assert out.indices.asnumpy().tolist() == [1, 2]
    dense = nd.zeros((4, 2))
    store.pull("a", out=dense)
    assert dense.asnumpy()[:, 0].tolist() == [1, 0, 1, 0]
    store.pull("a", out=out, ignore_sparse=False)
    assert out.indices.asnumpy().tolist() == [0, 2]
    store.init("d", dense)
    with pytest.raises(MXNetError, match="PullRowSparse expects row_sparse src NDArray"):
        store.row_sparse_pull("d", out=out, row_ids=nd.array([2]))


def test_rows_of_several_keys_are_pulled() -> None:
    """Row numbers nested like the arrays: a list for each key, an array for each device."""
    nd, store = mx.nd, mx.kv.create("local")
    store.init(["a", "b"], [nd.ones((3, 1)).tostype("row_sparse")] * 2)
    outs = [[nd.sparse.zeros("row_sparse", (3, 1)) for _ in range(2)] for _ in range(2)]
    store.row_sparse_pull(["a", "b"], out=outs, row_ids=[[nd.array([0]), nd.array([1])], [nd.array([2])] * 2])

    assert [[out.indices.asnumpy().tolist() for out in row] for row in outs] == [[[0], [1]], [[2], [2]]]


def test_capabilities_of_the_test_store_can_be_asked_of_its_class() -> None:
    """is_capable works with and without an instance, as MXNet's static method does."""
    assert mx.kv.create("teststore").is_capable("optimizer") is False
    assert type(mx.kv.create("teststore")).is_capable("optimizer") is False
