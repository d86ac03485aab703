"""Recording and gradients: what real MXNet 1.9.1 did in the same calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet import autograd as ag  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402


def leaf(*values: float, req: str = "write") -> Any:
    made = mx.nd.array(np.array(values, "float32"))
    made.attach_grad(req)
    return made


def numbers(array: Any) -> list[float]:
    return array.asnumpy().tolist()


def test_backward_of_a_leaf_and_of_several_heads() -> None:
    """A marked array is its own graph; heads without a gradient of their own count with ones."""
    x = leaf(1, 2)
    x.backward()
    alone = numbers(x.grad)
    with ag.record():
        y, z = x * x, x * 3
    ag.backward([y, z], [mx.nd.array(np.array([1, 10], "float32")), None])

    assert alone == [1, 1]
    assert numbers(x.grad) == [5, 43]


def test_requests() -> None:
    """ "add" adds, "write" writes anew; others are a KeyError, as in MXNet."""
    x, y = leaf(1, 2, req="add"), leaf(1, 2)
    for _ in range(3):
        with ag.record():
            z = x * 3 + y * y
        z.backward()

    assert numbers(x.grad) == [9, 9]
    assert numbers(y.grad) == [2, 4]
    with pytest.raises(KeyError, match="bogus"):
        leaf(1, req="bogus")


def test_what_took_no_part_keeps_its_gradient() -> None:
    """backward() touches only what the heads depend on; an intermediate that is marked cuts the history."""
    x, other = leaf(1, 2), leaf(3, 4)
    other.grad[:] = 7
    with ag.record():
        y = x * 2
        y.attach_grad()
        z = y * 3
    z.backward()

    assert numbers(other.grad) == [7, 7]
    assert numbers(y.grad) == [3, 3]
    assert numbers(x.grad) == [0, 0]


@pytest.mark.parametrize("recorded", [False, True])
def test_heads_outside_of_a_graph_are_refused(recorded: bool) -> None:
    """MXNet's own sentence, also when the graph was used up."""
    x = leaf(1, 2)
    with ag._Scope(recorded, None):
        y = mx.nd.exp(x)
    if recorded:
        y.backward()

    with pytest.raises(MXNetError, match="Cannot differentiate node because it is not in a computational graph"):
        y.backward()


def test_graphs_that_are_retained() -> None:
    """retain_graph=True leaves it for another backward()."""
    x = leaf(1, 2)
    with ag.record():
        y = mx.nd.exp(x)
    y.backward(retain_graph=True)
    first = numbers(x.grad)
    y.backward()

    assert numbers(x.grad) == first


def test_grad_gives_new_arrays() -> None:
    """grad() leaves .grad alone, always gives a list, and can be differentiated again."""
    x = leaf(1, 2)
    with ag.record():
        y = x * x * x
        (first,) = ag.grad(y, x, create_graph=True)
        z = first * first
    z.backward()

    assert numbers(first) == [3, 12]
    assert numbers(x.grad) == [36, 288]
    assert not ag.is_recording()


def test_grad_refuses() -> None:
    """Variables that were not marked, that no head depends on, none at all; lists of different lengths."""
    x, far = leaf(1, 2), leaf(1)
    plain = mx.nd.array(np.ones(1))
    with ag.record():
        y = x * x
    with pytest.raises(MXNetError, match=r"respect to the 1-th variable because it does not require gradient"):
        ag.grad(y, [plain])
    with pytest.raises(MXNetError, match=r"respect to the 2-th variable because it is unreachable from the outputs"):
        ag.grad(y, [x, far])
    with pytest.raises(AssertionError, match="variables cannot be an empty list"):
        ag.grad(y, [])
    with pytest.raises(AssertionError, match="heads and head_grads must be lists of the same length"):
        ag.backward([y], [None, None])


def test_a_wrong_head_gradient_is_an_mxnet_error() -> None:
    """MXNet reads beyond such an array; here its shape is named."""
    x = leaf(1, 2)
    with ag.record():
        y = x * x
    with pytest.raises(MXNetError, match="Error in backward"):
        ag.backward([y], [mx.nd.array(np.ones(3))])


def test_switches() -> None:
    """Each scope sets what it says, and puts it back; the setters give what was before."""
    seen = []
    with ag.record(train_mode=False):
        seen.append((ag.is_recording(), ag.is_training()))
    with ag.record():
        with ag.pause():
            seen.append((ag.is_recording(), ag.is_training()))
        with ag.predict_mode():
            seen.append((ag.is_recording(), ag.is_training()))
    with ag.train_mode():
        seen.append((ag.is_recording(), ag.is_training()))
    told = (ag.set_recording(True), ag.set_recording(False), ag.set_training(True), ag.set_training(False))

    assert seen == [(True, False), (False, False), (True, False), (False, True)]
    assert told == (False, True, False, True)


def test_mark_variables_uses_the_given_array() -> None:
    """The gradient lands in the array that was given."""
    x, gradient = mx.nd.array(np.array([1.0, 2.0], "float32")), mx.nd.array(np.full(2, 9.0))
    ag.mark_variables([x], [gradient])
    with ag.record():
        y = x * x
    y.backward()

    assert numbers(gradient) == numbers(x.grad) == [2, 4]


class _Sigmoid(ag.Function):
    def forward(self, x: Any) -> Any:
        y = 1 / (1 + mx.nd.exp(-x))
        self.save_for_backward(y)
        return y

    def backward(self, dy: Any) -> Any:
        assert not ag.is_recording()
        (y,) = self.saved_tensors
        return dy * y * (1 - y)


class _Two(ag.Function):
    def forward(self, a: Any, b: Any) -> Any:
        return a * b, a + b

    def backward(self, da: Any, db: Any) -> Any:
        return da * 2 + db, db * 3


class _Wrong(ag.Function):
    def forward(self, a: Any) -> Any:
        return a * 2

    def backward(self, da: Any) -> Any:
        return da, da


def test_functions() -> None:
    """One or several outputs, with gradients of one's own."""
    x, y = leaf(0, 1), leaf(5, 6)
    with ag.record():
        z = _Sigmoid()(x) * 2
    z.backward()
    single = numbers(x.grad)
    with ag.record():
        p, q = _Two()(x, y)
        z = p + q * 2
    z.backward()

    assert single == pytest.approx([0.5, 0.39322385], rel=1e-6)
    assert (numbers(x.grad), numbers(y.grad)) == ([4, 4], [6, 6])


def test_functions_refuse() -> None:
    """A second call; a backward() with too many gradients."""
    x, used = leaf(0, 1), _Sigmoid()
    used(x)
    with pytest.raises(AssertionError, match="Each Function instance can only be called once"):
        used(x)
    with ag.record():
        z = _Wrong()(x)
    with pytest.raises(MXNetError, match=r"_Wrong\.backward must return exactly the same number of NDArrays"):
        z.backward()


def test_get_symbol_is_refused() -> None:
    """torch's history has no symbols; what to do instead is said."""
    with pytest.raises(MXNetError, match="HybridBlock"):
        ag.get_symbol(leaf(1))
    with pytest.raises(AssertionError, match="get_symbol: Invalid argument type"):
        ag.get_symbol(3)
