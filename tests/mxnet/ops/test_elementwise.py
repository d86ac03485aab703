"""What the cases of element-by-element operators, reductions and updates do not show."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet._invoke import invoke  # noqa: E402
from tensorkeep.mxnet._registry import get  # noqa: E402
from tensorkeep.mxnet._state import state  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402
from tensorkeep.mxnet.ndarray.ndarray import NDArray, array  # noqa: E402
from tests.mxnet.ops.test_operators import expected  # noqa: E402

FAMILIES = [
    "elemwise", "scalar", "logic", "unary", "reduce", "init", "ordering", "identity", "broadcasting", "misc", "finite",
    "optimizer_update", "optimizer_multi",
]  # fmt: skip
CASES = [(family, case) for family in FAMILIES for case in import_module(f"tests.mxnet.ops.cases_{family}").CASES]

OWN_WORDS = {
    ("_histogram", "TBlob"), ("_contrib_allclose", "TBlob"), ("_contrib_allclose", "inferring"),
    ("broadcast_axis", "param.axis.ndim()"), ("khatri_rao", "krprod"), ("khatri_rao", "index = 1"),
    ("sort", "found axis=-1"), ("_full", "inferring"), ("_arange", "inferring"),
}  # fmt: skip
"""Where MXNet's text names its own insides, or is wrong: the operator, a part of the text."""


@pytest.fixture
def semantics() -> Any:
    before = state.np_shape
    yield
    state.np_shape = before


def said(text: str) -> str:
    """The first sentence of MXNet's error, without where it was raised and the condition in C++."""
    lines = [line for line in text.split("\n") if not line.startswith(("Traceback", "  File"))]
    first = re.sub(r"^MXNetError: ", "", lines[0])
    return re.sub(r"Check failed: .*?: (?=\S)", "", first).rstrip(" :")


@pytest.mark.usefixtures("semantics")
def test_refusals_say_what_mxnet_says() -> None:
    """Every refused case raises an error that begins with MXNet's own sentence."""
    others = []
    for family, case in CASES:
        facts, _ = expected(family, case)
        if not case.error or any(case.op == op and part in facts["error"] for op, part in OWN_WORDS):
            continue
        state.np_shape = case.np
        arrays = [array(a, dtype=a.dtype) for a in case.arrays()]
        with pytest.raises(MXNetError) as caught:
            invoke(get(case.op), arrays, dict(case.attrs), case.targets(arrays), NDArray)
        if not str(caught.value).startswith(said(facts["error"])):
            others.append((case.key, said(facts["error"]), str(caught.value)))

    assert not others


@pytest.mark.usefixtures("semantics")
@pytest.mark.parametrize("recording", [False, True])
def test_results_share_no_memory_with_inputs(recording: bool) -> None:
    """Writing into a result leaves the inputs as they are."""
    sharing = set()
    for _, case in CASES:
        if case.error or case.out:
            continue
        state.np_shape = case.np
        arrays = [array(a, dtype=a.dtype) for a in case.arrays()]
        with mx.autograd.record() if recording else mx.autograd.pause():
            found = invoke(get(case.op), arrays, dict(case.attrs), None, NDArray)
        places = {a._t.untyped_storage().data_ptr() for a in arrays if a.size}
        for out in found if isinstance(found, list) else [found]:
            if out.size and out._t.untyped_storage().data_ptr() in places:
                sharing.add(case.op)

    assert not sharing


@pytest.mark.parametrize(
    ("data", "label", "head", "want"),
    [
        (
            [[1, 2, 3], [4, 1, 0]], [2, 0], -2.5,
            [[-0.22507644, -0.6118212, 0.8368976], [0.15940115, -0.11653155, -0.04286956]],
        ),
        ([[1, -200, 3]], [1], 1.0, [[0.11920292, -1, 0.880797]]),
    ],
)  # fmt: skip
def test_gradient_of_softmax_cross_entropy(data: Any, label: Any, head: float, want: Any) -> None:
    """It is what MXNet 1.9.1 printed, also where the loss itself is cut off."""
    x = mx.nd.array(data)
    x.attach_grad()
    with mx.autograd.record():
        loss = mx.nd.softmax_cross_entropy(x, mx.nd.array(label))
    loss.backward(mx.nd.array([head]))

    np.testing.assert_allclose(x.grad.asnumpy(), want, rtol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_norm_in_another_dtype(order: int) -> None:
    """out_dtype=float64 gives the exact norm of float32 values; MXNet needs MXNET_SAFE_ACCUMULATION=1 for it."""
    x = mx.nd.array([3, 4])
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.norm(x, ord=order, out_dtype="float64")
    y.backward()

    assert y.dtype == np.float64
    assert y.asnumpy().tolist() == [7.0 if order == 1 else 5.0]
    np.testing.assert_allclose(x.grad.asnumpy(), [1, 1] if order == 1 else [0.6, 0.8], rtol=1e-6)


def test_block_grad_is_a_constant() -> None:
    """The gradient of BlockGrad(x) * x is x."""
    x = mx.nd.array([1, 2, 3])
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.BlockGrad(x) * x
    y.backward()

    assert x.grad.asnumpy().tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("function", "second"),
    [
        (mx.nd.cbrt, lambda x: -2 / 9 * x ** (-5 / 3)),
        (mx.nd.rcbrt, lambda x: 4 / 9 * x ** (-7 / 3)),
        (lambda x: mx.nd.broadcast_power(x, mx.nd.array([3, 3])), lambda x: 6 * x),
        (mx.nd.softsign, lambda x: -2 / (1 + x) ** 3),
        (mx.nd.radians, lambda x: 0 * x),
        (lambda x: mx.nd.clip(x, 0, 1), lambda x: 0 * x),
    ],
)
def test_gradients_can_be_differentiated_again(function: Any, second: Any) -> None:
    """A gradient of a gradient equals the second derivative; that of a straight line is 0."""
    points = np.array([0.5, 2.0])
    x = mx.nd.array(points)
    x.attach_grad()
    with mx.autograd.record():
        slope = mx.autograd.grad(function(x), x, create_graph=True, retain_graph=True)[0]
    slope.backward()

    np.testing.assert_allclose(x.grad.asnumpy(), second(points), rtol=1e-5)


def test_set_value_fills_what_out_gives() -> None:
    """_set_value(src, out=x) fills x; without out= it is refused."""
    x = mx.nd.array([1, 2], dtype="int32")
    mx.nd._internal._set_value(src=7.5, out=x)

    assert x.asnumpy().tolist() == [7, 7]
    with pytest.raises(MXNetError, match="Set value target must not be empty"):
        mx.nd._internal._set_value(src=1.0)


def test_a_range_in_a_network_is_as_long_as_what_it_meets() -> None:
    """arange(start, infer_range=True) takes the length of the array that it is added to."""
    x = mx.sym.Variable("x")
    y = mx.sym.elemwise_add(x, mx.sym.arange(1, None, infer_range=True))

    assert y.infer_shape(x=(4,)) == ([(4,)], [(4,)], [])
    assert y.bind(mx.cpu(), {"x": mx.nd.ones((4,))}).forward()[0].asnumpy().tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("make", [mx.sym.zeros, mx.sym.ones])
def test_unknown_dimensions_of_sources_follow_from_what_they_meet(make: Any) -> None:
    """A begin state of shape (0, 3) becomes as large as the batch."""
    y = mx.sym.elemwise_add(mx.sym.Variable("x"), make(shape=(0, 3)))

    assert y.infer_shape(x=(2, 3)) == ([(2, 3)], [(2, 3)], [])
    assert y.bind(mx.cpu(), {"x": mx.nd.ones((2, 3))}).forward()[0].shape == (2, 3)


GRADIENT = [[0.5, -1], [0, 0]]


@pytest.mark.parametrize(
    ("op", "history", "attrs", "weight", "after"),
    [
        (
            "_sparse_adagrad_update", [[0.1, 0.2], [0.3, 0.4]], {"rescale_grad": 2.0},
            [[0.90508419, 2.0974741], [3, 4]], [[1.1, 4.2], [0.3, 0.4]],
        ),
        (
            "_sparse_adagrad_update", [[0.1, 0.2], [0.3, 0.4]], {"rescale_grad": 2.0, "clip_gradient": 0.6},
            [[0.91248101, 2.07947206], [3, 4]], [[0.46, 0.56], [0.3, 0.4]],
        ),
        (
            "_contrib_group_adagrad_update", [[0.1], [0.2]], {},
            [[0.94167882, 2.11664248], [3, 4]], [[0.725], [0.2]],
        ),
    ],
)  # fmt: skip
def test_adagrad_of_dense_arrays_is_mxnets_of_sparse_ones(
    op: str, history: Any, attrs: dict[str, Any], weight: Any, after: Any
) -> None:
    """MXNet 1.9.1 takes row_sparse gradients only; the numbers are those that it printed for the same rows."""
    w, h = mx.nd.array([[1, 2], [3, 4]]), mx.nd.array(history)
    invoke(get(op), [w, mx.nd.array(GRADIENT), h], {"lr": 0.1, "epsilon": 0.01, **attrs}, w, NDArray)

    np.testing.assert_allclose(w.asnumpy(), weight, rtol=1e-6)
    np.testing.assert_allclose(h.asnumpy(), after, rtol=1e-6)


def test_lamb_in_mixed_precision_moves_the_exact_weight() -> None:
    """weight32 takes the step; MXNet 1.9.1 leaves it where it was and never gets beyond the first step."""
    exact = mx.nd.array([1, 2])
    weight = mx.nd.array([1, 2], dtype="float16")
    norms = mx.nd.array([2.0]), mx.nd.array([0.5])
    mx.nd.mp_lamb_update_phase2(weight, mx.nd.array([0.5, -1]), *norms, exact, lr=0.1, out=weight)

    np.testing.assert_allclose(exact.asnumpy(), [0.8, 2.4], rtol=1e-6)
    np.testing.assert_allclose(weight.asnumpy(), [0.8, 2.4], rtol=1e-3)


def test_updates_are_not_recorded() -> None:
    """Inside of record() an update changes the state, and neither it nor the result has a history."""
    weight, mom = mx.nd.array([1, 2]), mx.nd.array([0, 0])
    weight.attach_grad()
    with mx.autograd.record():
        found = mx.nd.sgd_mom_update(weight, weight * 2, mom, lr=0.1, momentum=0.9)

    np.testing.assert_allclose(found.asnumpy(), [0.8, 1.6], rtol=1e-6)
    np.testing.assert_allclose(mom.asnumpy(), [-0.2, -0.4], rtol=1e-6)
    assert not found._t.requires_grad
    assert not mom._t.requires_grad
