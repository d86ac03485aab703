"""mx.operator: operators that users write in Python, called at once and in networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx

SEEN: list[Any] = []


class Sigmoid(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        SEEN.append(("forward", bool(is_train), req, mx.autograd.is_recording(), mx.autograd.is_training()))
        self.assign(out_data[0], req[0], mx.nd.array(1 / (1 + np.exp(-in_data[0].asnumpy()))))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        SEEN.append(("backward", req))
        y = out_data[0]
        self.assign(in_grad[0], req[0], y * (1 - y) * out_grad[0])


@mx.operator.register("test_sigmoid")
class SigmoidProp(mx.operator.CustomOpProp):
    def __init__(self, alpha="1"):
        super().__init__(need_top_grad=True)
        SEEN.append(("prop", alpha))

    def create_operator(self, ctx, in_shapes, in_dtypes):
        SEEN.append(("create", str(ctx), in_shapes, in_dtypes))
        return Sigmoid()


class Pair(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        aux[0][:] = aux[0] + 1
        self.assign(out_data[0], req[0], in_data[0] * 2)
        self.assign(out_data[1], req[1], in_data[1] + 1)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        SEEN.append(req)
        self.assign(in_grad[0], req[0], out_grad[0] * 2)
        self.assign(in_grad[1], req[1], out_grad[1])


@mx.operator.register("test_pair")
class PairProp(mx.operator.CustomOpProp):
    def list_arguments(self):
        return ["a", "b"]

    def list_outputs(self):
        return ["x", "y"]

    def list_auxiliary_states(self):
        return ["count"]

    def infer_shape(self, in_shape):
        return [in_shape[0], in_shape[0]], [in_shape[0], in_shape[0]], [(1,)]

    def infer_type(self, in_type):
        return [in_type[0]] * 2, [in_type[0]] * 2, [in_type[0]]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return Pair()


class Failing(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        raise KeyError("oh no")


@mx.operator.register("test_failing")
class FailingProp(mx.operator.CustomOpProp):
    def create_operator(self, ctx, in_shapes, in_dtypes):
        return Failing()


@mx.operator.register("test_short")
class ShortProp(mx.operator.CustomOpProp):
    def infer_shape(self, in_shape):
        return in_shape, [], []


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


def test_forward_and_backward_are_called_as_mxnet_calls_them() -> None:
    """Parameters come as strings, shapes as lists, dtypes as flags; nothing inside is recorded."""
    x = mx.nd.array([1, 2])
    x.attach_grad()

    with mx.autograd.record():
        y = mx.nd.Custom(x, op_type="test_sigmoid", alpha=2.5)
    y.backward()

    assert SEEN == [
        ("prop", "2.5"),
        ("create", "cpu(0)", [[2]], [0]),
        ("forward", True, ["write"], False, True),
        ("backward", ["write"]),
    ]
    assert np.allclose(y.asnumpy(), [0.7310586, 0.880797])
    assert np.allclose(x.grad.asnumpy(), [0.19661193, 0.10499363])


def test_states_change_and_unwanted_gradients_are_null() -> None:
    """Auxiliary states are the last inputs; `req` is "null" for an input that needs no gradient."""
    x, b, count = mx.nd.array([1, 2]), mx.nd.array([5, 6]), mx.nd.zeros((1,))
    x.attach_grad()

    with mx.autograd.record():
        outputs = mx.nd.Custom(x, b, count, op_type="test_pair")
    outputs[0].backward()

    assert [o.asnumpy().tolist() for o in outputs] == [[2, 4], [6, 7]]
    assert count.asnumpy().tolist() == [1]
    assert SEEN == [["write", "null"]]
    assert x.grad.asnumpy().tolist() == [2, 2]


def test_in_a_network_it_has_the_names_that_its_class_lists() -> None:
    """Missing inputs become variables; outputs and states are called as the class says."""
    symbol = mx.sym.Custom(a=mx.sym.var("d"), op_type="test_pair", name="tw")

    assert symbol.list_arguments() == ["d", "tw_b"]
    assert symbol.list_outputs() == ["tw_x", "tw_y"]
    assert symbol.list_auxiliary_states() == ["tw_count"]
    assert symbol.infer_shape(d=(2,)) == ([(2,), (2,)], [(2,), (2,)], [(1,)])
    assert symbol.infer_shape_partial(d=(0, 3)) == ([(0, 3), (0, 3)], [(0, 3), (0, 3)], [(1,)])


def test_an_executor_runs_it_and_keeps_its_operator() -> None:
    """The user's operator is made once for an executor; its parameters stand in the network's JSON."""
    symbol = mx.sym.Custom(mx.sym.var("d"), op_type="test_sigmoid", name="foo", alpha=3)
    again = mx.sym.load_json(symbol.tojson())
    x, grad = mx.nd.array([1, 2]), mx.nd.zeros((2,))
    executor = again.bind(mx.cpu(), {"d": x}, args_grad={"d": grad})

    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((2,)))

    assert again.attr_dict()["foo"] == {"alpha": "3", "op_type": "test_sigmoid"}
    assert sum(item[0] == "create" for item in SEEN) == 1
    assert np.allclose(grad.asnumpy(), [0.19661193, 0.10499363])


@pytest.mark.parametrize(
    ("inputs", "attrs", "text"),
    [
        (1, {"op_type": "nope"}, "Cannot find custom operator nope"),
        (2, {"op_type": "test_sigmoid"}, "Operator Custom expects 1 inputs, but got 2 instead"),
        (2, {"op_type": "test_pair"}, "Operator Custom expects 3 inputs, but got 2 instead"),
        (1, {}, "Required argument `op_type` is missing"),
        (1, {"op_type": "test_failing"}, "Error in CustomOp.forward of test_failing: KeyError: 'oh no'"),
        (1, {"op_type": "test_short"}, "infer_shape gave 0 entries for its 1 outputs"),
    ],
)
def test_what_does_not_fit_is_refused(inputs, attrs, text) -> None:
    """The error names the class and what is wrong with it."""
    with pytest.raises(mx.MXNetError, match=text):
        mx.nd.Custom(*[mx.nd.array([1])] * inputs, **attrs)


def test_only_subclasses_are_registered() -> None:
    """MXNet's assertion."""
    with pytest.raises(AssertionError, match="Can only register subclass of CustomOpProp"):
        mx.operator.register("x")(int)


def test_assign_writes_adds_or_leaves_alone() -> None:
    """What `req` says."""
    op, target = mx.operator.CustomOp(), mx.nd.array([1, 2])

    op.assign(target, "null", mx.nd.array([9, 9]))
    assert target.asnumpy().tolist() == [1, 2]
    op.assign(target, "add", mx.nd.array([1, 1]))
    assert target.asnumpy().tolist() == [2, 3]
    op.assign(target, "write", 7)
    assert target.asnumpy().tolist() == [7, 7]


def test_operator_arguments_are_told_in_mxnets_words() -> None:
    """MXNet 1.9.1's answers for Activation and Concat."""
    arguments = mx.operator.get_operator_arguments

    assert tuple(arguments("Activation")) == (
        2, ["data", "act_type"],
        ["NDArray-or-Symbol", "{'relu', 'sigmoid', 'softrelu', 'softsign', 'tanh'}, required"],
    )  # fmt: skip
    assert arguments("Concat").types == ["NDArray-or-Symbol[]", "int, required", "int, optional, default='1'"]
    assert "Activation" in mx.operator.get_all_registered_operators()


def test_a_network_with_an_unknown_class_is_loaded_but_not_run() -> None:
    """Its names and its text are there; running it lists what is missing."""
    text = mx.sym.Custom(mx.sym.var("d"), op_type="test_sigmoid", name="foo").tojson()
    symbol = mx.sym.load_json(text.replace("test_sigmoid", "test_unknown"))

    assert symbol.list_arguments() == ["d"]
    assert '"op_type": "test_unknown"' in symbol.tojson()
    with pytest.raises(RuntimeError, match="Custom"):
        symbol.bind(mx.cpu(), {"d": mx.nd.array([1])}).forward()
