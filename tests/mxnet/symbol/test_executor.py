"""Executors: gradients by request, arrays that are shared, monitors, shapes that change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx

# The values below were printed by MXNet 1.9.1 for the same calls, unless they are plain arithmetic.


def net() -> Any:
    return mx.sym.FullyConnected(mx.sym.var("x"), num_hidden=3, name="f")


def ones(executor: Any) -> Any:
    for array in executor.arg_arrays:
        array[:] = 1
    return executor


def test_requests_write_add_or_leave_gradients() -> None:
    """ "add" sums over calls, "write" does not, "null" has no array."""
    executor = ones(net().simple_bind(mx.cpu(), {"x": "null", "f_weight": "add", "f_bias": "write"}, x=(2, 5)))

    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward(mx.nd.ones((2, 3)))

    assert executor.grad_dict["x"] is None
    assert (executor.grad_dict["f_weight"].asnumpy() == 4).all()
    assert (executor.grad_dict["f_bias"].asnumpy() == 2).all()


def test_gradients_go_into_the_given_arrays_in_place() -> None:
    """A part of a larger array can be the gradient of an argument."""
    whole = mx.nd.zeros((4,))
    x = mx.nd.array([1.0, 2.0])
    executor = mx.sym.square(mx.sym.var("x")).bind(mx.cpu(), [x], [whole[1:3]])
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones((2,)))

    assert whole.asnumpy().tolist() == [0.0, 2.0, 4.0, 0.0]


def test_backward_works_after_inference() -> None:
    """forward(is_train=False) keeps nothing; backward() computes what it needs, as MXNet's does."""
    executor = ones(net().simple_bind(mx.cpu(), x=(2, 5)))
    executor.forward()
    executor.backward(mx.nd.ones((2, 3)))

    assert (executor.grad_dict["x"].asnumpy() == 3).all()
    assert (executor.grad_dict["f_weight"].asnumpy() == 2).all()


def test_outputs_are_the_same_arrays_at_every_call() -> None:
    """Who keeps an output sees what the next forward() writes."""
    executor = ones(net().simple_bind(mx.cpu(), x=(2, 5)))
    output = executor.outputs[0]

    assert (output.asnumpy() == 0).all()
    executor.forward()
    assert (output.asnumpy() == 6).all()
    executor.forward(x=mx.nd.zeros((2, 5)))
    assert (output.asnumpy() == 1).all()


def test_outputs_do_not_share_memory_with_arguments() -> None:
    """A head that is a variable, or a view of one, is a copy."""
    x = mx.nd.ones((2,))
    var = mx.sym.var("x")
    executor = mx.sym.Group([var, mx.sym.reshape(var, shape=(2, 1)), mx.sym.reshape(var, shape=(1, 2))]).bind(
        mx.cpu(), [x]
    )
    outputs = executor.forward()
    outputs[1][:] = 7

    assert x.asnumpy().tolist() == [1.0, 1.0]
    assert outputs[0].asnumpy().tolist() == [1.0, 1.0]


def test_a_loss_needs_no_gradient_and_ignores_one() -> None:
    """SoftmaxOutput's gradient is p - onehot, whatever the head gradient; its label's is zero."""
    executor = ones(mx.sym.SoftmaxOutput(net(), name="softmax").simple_bind(mx.cpu(), x=(2, 5)))
    executor.forward(is_train=True)
    executor.backward()
    first = executor.grad_dict["f_bias"].asnumpy()
    executor.backward(mx.nd.ones((2, 3)) * 5)

    np.testing.assert_allclose(first, [2 / 3, -4 / 3, 2 / 3], rtol=1e-6)
    assert (executor.grad_dict["f_bias"].asnumpy() == first).all()
    assert (executor.grad_dict["softmax_label"].asnumpy() == 0).all()


def test_moving_statistics_change_in_backward() -> None:
    """BatchNorm's forward leaves them; its backward takes the batch's in."""
    executor = mx.sym.BatchNorm(mx.sym.var("x"), name="bn").simple_bind(mx.cpu(), x=(2, 3))
    executor.arg_dict["x"][:] = mx.nd.array([[1, 2, 3], [3, 5, 9]])
    executor.aux_dict["bn_moving_var"][:] = 1
    executor.forward(is_train=True)
    before = executor.aux_dict["bn_moving_mean"].asnumpy()
    executor.backward(mx.nd.ones((2, 3)))

    assert before.tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(executor.aux_dict["bn_moving_mean"].asnumpy(), [0.2, 0.35, 0.6], rtol=1e-6)
    np.testing.assert_allclose(executor.aux_dict["bn_moving_var"].asnumpy(), [1.0, 1.125, 1.8], rtol=1e-6)


@pytest.mark.parametrize("monitor_all", [False, True])
def test_a_monitor_sees_outputs_and_if_asked_inputs(monitor_all: bool) -> None:
    """Names come in MXNet's order, as bytes, which `py_str` takes."""
    names: list[bytes] = []
    executor = ones(mx.sym.SoftmaxOutput(net(), name="softmax").simple_bind(mx.cpu(), x=(2, 5)))
    executor.set_monitor_callback(lambda name, array: names.append(name), monitor_all)
    executor.forward()

    if monitor_all:
        assert names == [
            b"x", b"f_data", b"f_weight", b"f_weight", b"f_bias", b"f_bias", b"f_output", b"softmax_data",
            b"softmax_label", b"softmax_label", b"softmax_output",
        ]  # fmt: skip
    else:
        assert names == [b"f_output", b"softmax_output"]


def test_monitor_gives_statistics_of_what_fits_the_pattern() -> None:
    """tic and toc around a forward: outputs, then arguments, sorted by name."""
    executor = ones(net().simple_bind(mx.cpu(), x=(2, 5)))
    monitor = mx.mon.Monitor(2, stat_func=lambda array: array.sum(), pattern="f_.*", sort=True)
    monitor.install(executor)
    monitor.tic()
    executor.forward()

    assert monitor.toc() == [(1, "f_bias", "3.0\t"), (1, "f_output", "36.0\t"), (1, "f_weight", "15.0\t")]
    monitor.tic()
    executor.forward()
    assert monitor.toc() == []


def test_a_reshaped_executor_shares_what_keeps_its_shape() -> None:
    """Parameters are the same arrays, data a part of the old memory."""
    executor = ones(net().simple_bind(mx.cpu(), x=(4, 5)))
    small = executor.reshape(x=(2, 5))
    small.arg_dict["x"][:] = 2

    assert small.arg_dict["f_weight"] is executor.arg_dict["f_weight"]
    assert small.forward()[0].shape == (2, 3)
    assert executor.arg_dict["x"].asnumpy()[:, 0].tolist() == [2.0, 2.0, 1.0, 1.0]
    assert executor.reshape(x=(9, 5), allow_up_sizing=True).forward()[0].shape == (9, 3)


def test_executors_share_parameters_by_name() -> None:
    """simple_bind with shared_exec: one set of weights and gradients, data of their own."""
    first = ones(net().simple_bind(mx.cpu(), x=(4, 5)))
    second = net().simple_bind(
        mx.cpu(), x=(2, 5), shared_arg_names=["f_weight", "f_bias"], shared_exec=first, shared_buffer={}
    )

    assert second.arg_dict["f_weight"] is first.arg_dict["f_weight"]
    assert second.grad_dict["f_bias"] is first.grad_dict["f_bias"]
    assert second.arg_dict["x"] is not first.arg_dict["x"]


def test_dtypes_follow_from_one_argument() -> None:
    """type_dict for the data decides for all; without one it is float32."""
    half = net().simple_bind(mx.cpu(), type_dict={"x": "float16"}, x=(2, 5))

    assert {array.dtype for array in half.arg_arrays} == {np.float16}
    assert half.forward()[0].dtype == np.float16
    assert {array.dtype for array in net().simple_bind(mx.cpu(), x=(2, 5)).arg_arrays} == {np.float32}


def test_begin_states_take_the_batch_of_the_data() -> None:
    """A source with an unknown dimension is made in the shape that the inputs decide, at every batch size."""
    outputs, _ = mx.rnn.LSTMCell(4).unroll(3, inputs=mx.sym.var("data"), merge_outputs=True)
    weights = {"lstm_i2h_weight": (16, 5), "lstm_i2h_bias": (16,), "lstm_h2h_weight": (16, 4), "lstm_h2h_bias": (16,)}
    arrays = {name: mx.nd.ones(shape) for name, shape in weights.items()}

    for batch in (2, 7):
        found = outputs.bind(mx.cpu(), {"data": mx.nd.ones((batch, 3, 5)), **arrays}).forward()[0]
        assert found.shape == (batch, 3, 4)
        assert np.isfinite(found.asnumpy()).all()


def test_duplicate_names_are_two_arguments() -> None:
    """Two variables of one name bind as a list; by name they are refused."""
    executor = (mx.sym.var("x") + mx.sym.var("x")).bind(mx.cpu(), [mx.nd.ones((2,)), mx.nd.ones((2,)) * 3])

    assert executor.forward()[0].asnumpy().tolist() == [4.0, 4.0]
    with pytest.raises(ValueError, match="Duplicate names detected"):
        _ = executor.arg_dict


def test_an_error_names_the_node() -> None:
    """What an operator refuses while running says in which node."""
    symbol = mx.sym.batch_dot(mx.sym.var("a"), mx.sym.var("b"), name="product")

    with pytest.raises(mx.MXNetError, match="Error in operator product"):
        symbol.bind(mx.cpu(), [mx.nd.ones((2, 3, 4)), mx.nd.ones((2, 5, 6))]).forward()


def test_a_loop_of_no_step_gives_zeros() -> None:
    """A while_loop whose condition never holds has outputs of its full length, all zero, and its variables as given."""
    outputs, variables = mx.sym.contrib.while_loop(
        lambda i: i < 0, lambda i: ([i * 2], [i + 1]), [mx.sym.var("i")], max_iterations=3
    )
    found = mx.sym.Group([*outputs, *variables]).bind(mx.cpu(), [mx.nd.array([5.0])]).forward()

    assert found[0].asnumpy().tolist() == [[0.0], [0.0], [0.0]]
    assert found[1].asnumpy().tolist() == [5.0]


def test_shapes_follow_backwards_from_outputs() -> None:
    """A dimension that only the output knows reaches the input: through splits, joins and convolutions."""
    sym = mx.sym
    split = sym.SliceChannel(sym.var("a", shape=(0, 10)), num_outputs=10, axis=1, squeeze_axis=True)[1]
    joined = sym.Concat(sym.var("a", shape=(0, 10)), sym.var("b", shape=(0, 5)), dim=1)
    layer = sym.Convolution(sym.var("a", shape=(0, 10, 0, 0)), num_filter=21, kernel=(3, 3), pad=(1, 1))

    turned = sym.transpose(sym.var("x"), axes=(2, 0, 1)) + sym.var("w", shape=(2, 3, 4))
    wider = sym.expand_dims(sym.var("x"), axis=1) + sym.var("w", shape=(2, 1, 3))
    partly = sym.transpose(sym.var("x"), axes=(1, 0)) + sym.var("w")

    assert turned.infer_shape()[0] == [(3, 4, 2), (2, 3, 4)]
    assert wider.infer_shape()[0] == [(2, 3), (2, 1, 3)]
    assert partly.infer_shape_partial(w=(0, 3))[0] == [(3, 0), (0, 3)]
    assert (split + sym.var("c", shape=(5,))).infer_shape()[0] == [(5, 10), (5,)]
    assert (sym.var("d", shape=(2, 0)) + joined).infer_shape()[0] == [(2, 15), (2, 10), (2, 5)]
    assert (layer + sym.var("c", shape=(5, 21, 32, 32))).infer_shape()[0][0] == (5, 10, 32, 32)


def test_arrays_lie_where_their_group_does() -> None:
    """group2ctx gives the arrays their contexts; the outputs are the same."""
    with mx.AttrScope(ctx_group="one"):
        a = mx.sym.var("a") * 2
    with mx.AttrScope(ctx_group="two"):
        total = a + mx.sym.var("b")
    executor = total.simple_bind(mx.cpu(), group2ctx={"one": mx.cpu(1), "two": mx.cpu(2)}, a=(2,), b=(2,))

    assert [str(array.context) for array in executor.arg_arrays] == ["cpu(1)", "cpu(2)"]
    assert [str(array.context) for array in executor.grad_arrays] == ["cpu(1)", "cpu(2)"]
    assert executor.forward(a=mx.nd.ones((2,)), b=mx.nd.ones((2,)))[0].asnumpy().tolist() == [3.0, 3.0]


def test_sparse_variables_are_dense_in_executors() -> None:
    """The values are MXNet's; a warning says that they take the memory of dense ones."""
    sym = mx.sym
    data = sym.var("data", stype="csr")
    product = sym.sparse.dot(data, sym.var("w"))
    with pytest.warns(UserWarning, match=r"Dense instead of sparse.*: data \(csr\), w \(row_sparse\)$") as seen:
        executor = product.simple_bind(mx.cpu(), data=(2, 3), w=(3, 2), stype_dict={"w": "row_sparse"})

    assert seen[0].filename == __file__
    assert {name: array.stype for name, array in executor.arg_dict.items()} == {"data": "default", "w": "default"}


def test_a_monitor_sees_gradients_in_backward() -> None:
    """Those of each operator's inputs, where they are asked for, under MXNet's names."""
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, name="fc")
    out = mx.sym.LinearRegressionOutput(net, mx.sym.var("label"), name="out")
    module = mx.mod.Module(out, label_names=["label"])
    module.bind([("data", (2, 3))], [("label", (2, 2))])
    module.init_params(mx.init.One())
    monitor = mx.mon.Monitor(1, pattern=".*backward.*", sort=True)
    module.install_monitor(monitor)
    monitor.tic()
    module.forward_backward(mx.io.DataBatch([mx.nd.ones((2, 3))], [mx.nd.zeros((2, 2))]))

    assert monitor.toc() == [
        (1, "fc_backward_output1", "3.0\t"), (1, "fc_backward_output2", "3.0\t"), (1, "out_backward_output0", "1.5\t"),
    ]  # fmt: skip


def test_what_dropout_always_draws_is_what_backward_uses() -> None:
    """The gradient has the mask of the outputs that one sees, after forward(is_train=False) too."""
    executor = ones(mx.sym.Dropout(mx.sym.var("x"), p=0.5, mode="always").simple_bind(mx.cpu(), x=(64,)))
    seen = executor.forward(is_train=False)[0].asnumpy()
    executor.backward(mx.nd.ones((64,)), is_train=False)

    assert set(seen) == {0.0, 2.0}
    assert executor.grad_arrays[0].asnumpy().tolist() == seen.tolist()


@pytest.mark.parametrize(("source", "target"), [("int32", "float32"), ("uint8", "int32"), ("float32", "int32")])
@pytest.mark.parametrize(("request_", "expected"), [("write", [5, 6, 7]), ("add", [14, 15, 16])])
def test_whole_numbers_have_gradients(source: str, target: str, request_: str, expected: list[int]) -> None:
    """What MXNet 1.9.1 writes for the head gradient 5.7, 6, 7, which whole numbers cut."""
    executor = mx.sym.Cast(mx.sym.var("x"), dtype=target).bind(
        mx.cpu(), {"x": mx.nd.array([1, 2, 3], dtype=source)}, {"x": mx.nd.array([9, 9, 9], dtype=source)}, request_
    )
    executor.forward(is_train=True)
    executor.backward(mx.nd.array([5.7, 6, 7], dtype=target))

    assert np.dtype(executor.grad_dict["x"].dtype) == source
    assert executor.grad_dict["x"].asnumpy().tolist() == expected


def test_indices_of_whole_numbers_have_the_gradient_zero() -> None:
    """It is written, as MXNet does: what was in the array is no gradient."""
    executor = mx.sym.take(mx.sym.var("a"), mx.sym.var("i")).bind(
        mx.cpu(),
        {"a": mx.nd.ones(3), "i": mx.nd.array([0, 1], dtype="int32")},
        {"a": mx.nd.ones(3), "i": mx.nd.array([9, 9], dtype="int32")},
    )
    executor.forward(is_train=True)
    executor.backward(mx.nd.ones(2))

    assert executor.grad_dict["i"].asnumpy().tolist() == [0, 0]
    assert executor.grad_dict["a"].asnumpy().tolist() == [1.0, 1.0, 0.0]


def test_shapes_go_back_through_a_transpose() -> None:
    """A source without a shape gets it from what it is added to, as in MXNet."""
    back = mx.sym.ones(shape=(2, 3)) + mx.sym.transpose(mx.sym.ones(shape=(-1, -1)))
    mixed = mx.sym.ones(shape=(2, -1, 4)) + mx.sym.transpose(mx.sym.ones(shape=(3, 4, -1)), axes=(2, 0, 1))

    assert back.bind(mx.cpu(), {}).forward()[0].shape == (2, 3)
    assert mixed.bind(mx.cpu(), {}).forward()[0].shape == (2, 3, 4)
