"""Gradients of whole numbers and through what has no gradient: what real MXNet 1.9.1 wrote in the same calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet import autograd as ag  # noqa: E402
from tensorkeep.mxnet import gluon, nd  # noqa: E402
from tensorkeep.mxnet._history import shadows  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402


def leaf(*values: float, dtype: str = "float32", req: str = "write", old: float = 7) -> Any:
    made = nd.array(np.array(values), dtype=dtype)
    made.attach_grad(req)
    made.grad[:] = old
    return made


def after(step: Callable[[Any], Any], variable: Any) -> list[float]:
    with ag.record():
        head = step(variable)
    head.backward()
    return numbers(variable.grad)


def numbers(array: Any) -> Any:
    return array.asnumpy().tolist()


ZEROS: dict[str, Callable[[Any], Any]] = {
    "comparison": lambda x: x > 1,
    "mean of a comparison": lambda x: (x == 2).mean(),
    "BlockGrad": nd.BlockGrad,
    "behind BlockGrad": lambda x: nd.BlockGrad(x) * 2,
    "argmax": lambda x: x.argmax(axis=0),
    "argsort": lambda x: x.argsort(),
    "topk": lambda x: x.topk(),
    "topk, indices of both": lambda x: x.topk(ret_typ="both")[1],
    "zeros_like": nd.zeros_like,
    "shape_array": nd.shape_array,
    "one_hot": lambda x: nd.one_hot(x, 4),
    "condition": lambda x: nd.where(x > 1, nd.ones((3,)), nd.zeros((3,))),
}


@pytest.mark.parametrize("name", ZEROS)
def test_zeros_where_no_gradient_passes(name: str) -> None:
    """A variable that the head depends on, but whose gradient stops on the way, gets zeros."""
    assert after(ZEROS[name], leaf(1, 2, 3)) == [0, 0, 0]


@pytest.mark.parametrize("step", [lambda x: x > 1, lambda x: (x > 1).sum(), lambda x: x.argmax()])
def test_zeros_in_numpy(step: Callable[[Any], Any]) -> None:
    """Heads of bool and int64 of mx.np have gradients, too."""
    x = mx.np.array([1.0, 2, 3])
    x.attach_grad()
    x.grad[:] = 7

    assert after(step, x) == [0, 0, 0]


def test_casts_pass_the_gradient() -> None:
    """Through whole numbers and back, whatever is done to them on the way."""
    assert after(lambda x: x.astype("int32"), leaf(1, 2, 3)) == [1, 1, 1]
    assert after(lambda x: x.astype("int32").astype("float32") * 2, leaf(1, 2, 3)) == [2, 2, 2]
    assert after(lambda x: x.astype("int32").astype("float32") * x, leaf(1, 2, 3)) == [2, 4, 6]
    assert after(lambda x: nd.cast(nd.cast(x, "int32") * 3, "float32"), leaf(1, 2, 3)) == [3, 3, 3]
    assert after(lambda x: (x.astype("int32") + 1).reshape((3, 1))[1], leaf(1, 2, 3)) == [0, 1, 0]


def test_variables_of_whole_numbers() -> None:
    """Their gradients are whole numbers, cut off where they are none; values written later count."""
    assert after(lambda x: x * x, leaf(1, 2, 3, dtype="int32")) == [2, 4, 6]
    assert after(lambda x: x.exp(), leaf(1, 2, 3, dtype="int32")) == [2, 7, 20]
    assert after(lambda x: x.astype("float32") * 2, leaf(1, 2, 3, dtype="uint8")) == [2, 2, 2]
    x = leaf(1, 2, 3, dtype="int32", req="add", old=0)
    x[:] = 5
    for _ in range(2):
        with ag.record():
            y = x * x
        y.backward(nd.array([1, 2, 3], dtype="int32"))
    with ag.record():
        z = x * x

    assert numbers(x.grad) == [20, 40, 60]
    assert x.grad.dtype is np.int32
    assert numbers(ag.grad(z, x)[0]) == [10, 10, 10]


def test_one_of_two_variables_gets_zeros() -> None:
    """Beside a variable that has a gradient; "add" leaves what was there."""
    x, w, added = leaf(1, 2), leaf(1, 2), leaf(1, 2, req="add")
    with ag.record():
        y = (x > 1) * w + nd.BlockGrad(added) * w
    y.backward()

    assert (numbers(x.grad), numbers(w.grad), numbers(added.grad)) == ([0, 0], [1, 3], [7, 7])
    assert x._fresh_grad


def test_a_variable_reached_both_ways_has_its_gradient() -> None:
    """Zeros never replace what another way gave in the same call of backward()."""
    x, w = leaf(1.5, 2.5, req="add", old=0), leaf(1, 2)
    for _ in range(2):
        with ag.record():
            h = x * w
            y = (nd.BlockGrad(h * 2) * w + (h > 2) + (h.astype("int32") + 1).astype("float32")).sum()
        y.backward()

    assert (numbers(x.grad), numbers(w.grad)) == ([2, 4], [4.5, 12.5])


class Steps(gluon.HybridBlock):
    """Gradients that stop, inside a network."""

    def hybrid_forward(self, F: Any, x: Any, w: Any) -> Any:
        return (x > 2) * w


@pytest.mark.parametrize("hybrid", [False, True])
def test_in_networks(hybrid: bool) -> None:
    """A hybridized block is recorded like its operators one by one."""
    net = Steps()
    net.hybridize(hybrid)
    x, w = leaf(1.5, 2.5), leaf(1, 2)
    with ag.record():
        y = net(x, w)
    y.backward()

    assert (numbers(x.grad), numbers(w.grad)) == ([0, 0], [0, 1])


def test_grad_of_what_is_blocked() -> None:
    """grad() gives zeros for it, and refuses what the heads do not depend on."""
    x, other = leaf(1, 2), leaf(3, 4)
    with ag.record():
        y = nd.BlockGrad(x) * 2

    assert numbers(ag.grad(y, x)[0]) == [0, 0]
    with ag.record():
        y = x > 1
    with pytest.raises(MXNetError, match="1-th variable because it is unreachable from the outputs"):
        ag.grad(y, other)


def test_backward_uses_the_graph_up() -> None:
    """Of whole numbers, too: a second call needs retain_graph=True."""
    x = leaf(1, 2)
    with ag.record():
        y = x.astype("int32")
    y.backward()

    with pytest.raises(MXNetError, match="Cannot differentiate node"):
        y.backward()


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_recorded_variables_are_not_written(dtype: str) -> None:
    """x += 1 and x[:] = 1 are refused inside record()."""
    x = leaf(1, 2, dtype=dtype)
    with ag.record(), pytest.raises(MXNetError, match="Assigning to NDArrays that are already in a computational"):
        x += 1
    with ag.record(), pytest.raises(MXNetError, match="Assigning to NDArrays that are already in a computational"):
        x[:] = 1

    assert numbers(x) == [1, 2]


def test_no_shadow_outlives_its_array() -> None:
    """What is kept of whole numbers goes with them."""
    before = len(shadows)
    x = leaf(1, 2, dtype="int32")
    with ag.record():
        y = x * 2
    held = len(shadows) - before
    del x, y

    assert held == 2
    assert len(shadows) == before


def test_operators_without_outputs_are_recorded_as_nothing() -> None:
    """reset_arrays gives nothing back, also while whole numbers are recorded."""
    x, other = leaf(1, 2), leaf(3, 4, dtype="int32")
    with ag.record():
        nd.reset_arrays(x, num_arrays=1)

    assert (numbers(x), numbers(other)) == ([0, 0], [3, 4])


def test_a_constraint_in_a_network_is_a_value_error() -> None:
    """A hybridized block raises what the operator raises, with the node's name before the sentence."""

    class Checked(gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return F.npx.constraint_check(x, "bad")

    block = Checked()
    block.hybridize()

    with pytest.raises(ValueError, match="constraint_check0: bad"):
        block(mx.np.zeros(1, dtype="bool"))
