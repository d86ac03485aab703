"""Blocks: names, children, hooks, deferred initialisation, hybridizing, torch modules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet import autograd, gluon, nd  # noqa: E402
from tensorkeep.mxnet.gluon import nn  # noqa: E402


@pytest.fixture(autouse=True)
def fresh_names() -> Any:
    with mx.name.NameManager():
        yield


def mlp(prefix: str | None = None) -> Any:
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(nn.Dense(3, activation="relu"), nn.Dense(2))
    return net


def test_the_first_chapter_prints_mxnets_digits() -> None:
    """Names, default initialisation, random numbers and sums as in MXNet 1.9.1 on a CPU."""
    mx.random.seed(0)
    net = nn.Sequential()
    with net.name_scope():
        net.add(nn.Dense(10, activation="relu"), nn.Dense(2))
    net.initialize()

    found = net(nd.random.uniform(shape=(2, 10)))

    assert str(found) == "\n[[ 0.00202204  0.00100273]\n [-0.00134863  0.00299659]]\n<NDArray 2x2 @cpu(0)>"


def test_names_count_within_their_scope() -> None:
    """Counters are global outside, and begin at 0 inside a name scope."""
    first, second, alone = mlp(), mlp(), nn.Dense(1)

    assert [first.name, second.name, alone.name] == ["hybridsequential0", "hybridsequential1", "dense0"]
    assert list(second.collect_params()) == [
        "hybridsequential1_dense0_weight", "hybridsequential1_dense0_bias", "hybridsequential1_dense1_weight",
        "hybridsequential1_dense1_bias",
    ]  # fmt: skip
    assert second[0].act.name == "hybridsequential1_dense0_relu"


def test_an_empty_prefix_takes_the_names_of_the_scope_around() -> None:
    """HybridSequential(prefix="") does not appear in names."""
    outer = nn.HybridSequential(prefix="outer_")
    with outer.name_scope():
        inner = nn.HybridSequential(prefix="")
        inner.add(nn.Dense(1), nn.Dense(1))

    assert [block.name for block in inner] == ["outer_dense0", "outer_dense1"]


def test_collect_params_selects_by_pattern() -> None:
    """A regular expression that names begin with."""
    assert list(mlp("m_").collect_params(".*weight")) == ["m_dense0_weight", "m_dense1_weight"]


def test_parameters_are_shared_through_params() -> None:
    """params= of another block."""
    one = nn.Dense(2, in_units=2)
    two = nn.Dense(2, in_units=2, params=one.collect_params())

    assert two.weight is one.weight


def test_attributes_keep_their_kind() -> None:
    """A child is not replaced by something else, a Parameter not by another."""
    block = gluon.Block()
    block.child = nn.Dense(1)

    with pytest.raises(TypeError, match="Changing attribute type for child from"):
        block.child = 3


def test_containers_of_blocks_are_warned_of() -> None:
    """A list of children is not registered."""
    block = gluon.Block()
    block.layers = [nn.Dense(1)]

    with pytest.warns(UserWarning, match=r'"Block\.layers" is an unregistered container with Blocks'):
        block.collect_params()


def test_children_of_hybrid_blocks_are_hybrid() -> None:
    """A plain Block is refused."""
    with pytest.raises(ValueError, match="Children of HybridBlock must also be HybridBlock"):
        nn.HybridSequential().add(nn.Lambda("tanh"))


def test_shapes_are_deferred_until_the_first_batch() -> None:
    """Then they are known, and values are there."""
    net = mlp()
    net.initialize()
    with pytest.raises(gluon.DeferredInitializationError):
        net[0].weight.data()

    net(nd.ones((4, 5)))

    assert net[0].weight.shape == (3, 5)
    assert net[0].weight.data().shape == (3, 5)


def test_deferred_shapes_that_contradict_are_told() -> None:
    """The parts of the network are named."""
    net = mlp()
    net.initialize()
    net(nd.ones((4, 5)))

    with pytest.raises(mx.MXNetError):
        net(nd.ones((4, 6)))


@pytest.mark.parametrize("static", [False, True])
def test_hybridized_networks_compute_the_same(static: bool) -> None:
    """Outputs and gradients; other shapes are taken as well."""
    net = mlp()
    net.initialize()

    def run(size: int) -> list[np.ndarray]:
        data = nd.array(np.linspace(-1, 1, size * 5).reshape(size, 5))
        data.attach_grad()
        with autograd.record():
            out = net(data)
        out.backward()
        return [out.asnumpy(), data.grad.asnumpy(), net[0].weight.grad().asnumpy()]

    eager = [run(4), run(2)]
    net.hybridize(static_alloc=static, static_shape=static)
    traced = [run(4), run(2)]

    for a, b in zip(eager, traced, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


def test_a_traced_block_is_traced_once() -> None:
    """hybrid_forward runs for the first call only, and anew after hybridize()."""
    calls = []

    class Counting(gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            calls.append(F)
            return x * 2

    block = Counting()
    block.hybridize()
    for _ in range(3):
        block(nd.ones((1,)))
    assert calls == [mx.sym]

    block.hybridize(False)
    block(nd.ones((1,)))
    assert calls == [mx.sym, mx.nd]


def test_arrays_and_symbols_are_not_mixed() -> None:
    """Neither is nothing."""
    block = nn.HybridLambda(lambda F, x, y: x + y)

    with pytest.raises(ValueError, match="we do not support mixed NDArrays and Symbols"):
        block(nd.ones((1,)), mx.sym.var("x"))
    with pytest.raises(ValueError, match="there must be one NDArray or one Symbol in the input"):
        block(1, 2)


def test_unused_inputs_are_warned_of() -> None:
    """At the first call of the traced block."""
    block = nn.HybridLambda(lambda F, x, y: x * 2)
    block.hybridize()

    with pytest.warns(UserWarning, match="The 1-th input to HybridBlock is not used by any computation"):
        block(nd.ones((1,)), nd.ones((1,)))


def test_another_structure_of_arguments_is_refused() -> None:
    """After tracing."""

    class Pair(gluon.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any, more: Any) -> Any:
            return x + more[0]

    block = Pair()
    block.hybridize()
    block(nd.ones((1,)), [nd.ones((1,))])

    with pytest.raises(ValueError, match="The argument structure of HybridBlock does not match the cached version"):
        block(nd.ones((1,)), nd.ones((1,)))


def test_optimize_for_traces_and_warns() -> None:
    """There are no backends; the network is traced all the same."""
    net = mlp()
    net.initialize()

    with pytest.warns(UserWarning, match="The backend 'MKLDNN' of MXNet does not exist"):
        net.optimize_for(nd.ones((1, 4)), backend="MKLDNN")

    assert net[0].weight.shape == (3, 4)
    with pytest.raises(ValueError, match='Must specify "backend" to optimize_for'):
        net.optimize_for(nd.ones((1, 4)))


def test_hooks_are_called_until_they_are_detached() -> None:
    """Before and after forward."""
    seen = []
    block = nn.Dense(1, in_units=1)
    block.initialize()
    before = block.register_forward_pre_hook(lambda b, inputs: seen.append(("before", len(inputs))))
    with block.register_forward_hook(lambda b, inputs, out: seen.append(("after", out.shape))):
        block(nd.ones((2, 1)))
    before.detach()

    block(nd.ones((2, 1)))

    assert seen == [("before", 1), ("after", (2, 1))]


def test_operators_outputs_are_monitored() -> None:
    """register_op_hook: names as bytes, and a handle that NDArray takes."""
    seen: dict[str, np.ndarray] = {}
    net = mlp("m_")
    net.initialize()
    net.hybridize()
    net.register_op_hook(lambda name, op, handle: seen.update({name.decode(): nd.NDArray(handle).asnumpy()}))

    out = net(nd.ones((1, 4)))

    assert list(seen) == ["m_dense0_fwd_output", "m_dense0_relu_fwd_output", "m_dense1_fwd_output"]
    assert np.array_equal(seen["m_dense1_fwd_output"], out.asnumpy())


def test_operators_inputs_are_monitored_under_mxnets_names() -> None:
    """monitor_all: as MXNet 1.9.1 called them for this network."""
    seen: list[str] = []
    net = nn.HybridSequential(prefix="m_")
    with net.name_scope():
        net.add(nn.Dense(3, activation="relu"), nn.BatchNorm())
    net.initialize()
    net.hybridize()
    net.register_op_hook(lambda name, op, handle: seen.append(f"{name.decode()} {op.decode()}"), monitor_all=True)

    net(nd.ones((2, 4)))

    assert seen == [
        "m_dense0_fwd_data FullyConnected", "m_dense0_fwd_weight FullyConnected", "m_dense0_fwd_bias FullyConnected",
        "m_dense0_fwd_output FullyConnected", "m_dense0_relu_fwd_input0 Activation",
        "m_dense0_relu_fwd_output Activation", "m_batchnorm0_fwd_data BatchNorm", "m_batchnorm0_fwd_gamma BatchNorm",
        "m_batchnorm0_fwd_beta BatchNorm", "m_batchnorm0_fwd_moving_mean BatchNorm",
        "m_batchnorm0_fwd_moving_var BatchNorm", "m_batchnorm0_fwd_output BatchNorm",
    ]  # fmt: skip


def test_apply_goes_from_the_leaves_to_the_root() -> None:
    """And gives the block."""
    names: list[str] = []
    net = mlp("m_")

    assert net.apply(lambda block: names.append(block.name)) is net
    assert names == ["m_dense0_relu", "m_dense0", "m_dense1", "m"]


def test_summary_prints_mxnets_table(capsys: pytest.CaptureFixture[str]) -> None:
    """As MXNet 1.9.1 printed it."""
    net = mlp("m_")
    net.initialize()
    net(nd.ones((2, 5)))

    net.summary(nd.ones((2, 5)))

    assert capsys.readouterr().out == SUMMARY


SUMMARY = """\
--------------------------------------------------------------------------------
        Layer (type)                                Output Shape         Param #
================================================================================
               Input                                      (2, 5)               0
        Activation-1                                      (2, 3)               0
             Dense-2                                      (2, 3)              18
             Dense-3                                      (2, 2)               8
================================================================================
Parameters in forward computation graph, duplicate included
   Total params: 26
   Trainable params: 26
   Non-trainable params: 0
Shared params in forward computation graph: 0
Unique parameters in model: 26
--------------------------------------------------------------------------------
"""


def test_cast_changes_parameters_but_not_batch_norm() -> None:
    """float16 leaves BatchNorm's float32."""
    net = nn.HybridSequential()
    net.add(nn.Dense(2, in_units=2), nn.BatchNorm(in_channels=2))
    net.initialize()

    net.cast("float16")

    assert net[0].weight.data().dtype == np.float16
    assert net[1].gamma.data().dtype == np.float32


def test_as_torch_shares_parameters_both_ways() -> None:
    """torch's optimizer trains the Block; names are those of save_parameters."""
    net = mlp()
    net.initialize()
    net(nd.ones((1, 4)))
    module = net.as_torch()
    data = torch.ones(2, 4)

    assert list(module.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    np.testing.assert_allclose(module(data).detach().numpy(), net(nd.ones((2, 4))).asnumpy(), rtol=1e-5, atol=1e-7)

    before = net[1].bias.data().asnumpy()
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    module(data).sum().backward()
    optimizer.step()

    assert net[1].bias.data().asnumpy().tolist() == (before - 2).tolist()
    net[1].bias.set_data(nd.array([5.0, 6.0]))
    assert module.state_dict()["1.bias"].tolist() == [5.0, 6.0]


def test_as_torch_follows_training_mode() -> None:
    """Dropout drops in training only; running values are buffers."""
    net = nn.HybridSequential()
    net.add(nn.BatchNorm(in_channels=3), nn.Dropout(0.5))
    net.initialize()
    module = net.as_torch()
    data = torch.ones(64, 3)

    module.eval()
    kept = module(data)
    module.train()
    dropped = module(data + torch.randn(64, 3))

    assert (kept != 0).all()
    assert (dropped == 0).any()
    assert [name for name, _ in module.named_buffers()] == ["0.running_mean", "0.running_var"]


def test_a_parameter_lies_on_several_contexts() -> None:
    """data(ctx), list_data, reset_ctx."""
    param = gluon.Parameter("w", shape=(2,))
    param.initialize(init="ones", ctx=[mx.cpu(0), mx.cpu(1)])

    assert param.list_ctx() == [mx.cpu(0), mx.cpu(1)]
    assert param.data(mx.cpu(1)).ctx == mx.cpu(1)
    with pytest.raises(RuntimeError, match=r"was not initialized on context cpu\(2\)"):
        param.data(mx.cpu(2))
    param.reset_ctx(mx.cpu(1))
    assert param.list_ctx() == [mx.cpu(1)]


def test_gradients_are_added_when_asked() -> None:
    """grad_req "add", and zero_grad; "null" has none."""
    param = gluon.Parameter("w", shape=(2,), grad_req="add")
    param.initialize()
    for _ in range(2):
        with autograd.record():
            loss = (param.data() * 3).sum()
        loss.backward()
    assert param.grad().asnumpy().tolist() == [6.0, 6.0]

    param.zero_grad()
    assert param.grad().asnumpy().tolist() == [0.0, 0.0]
    param.grad_req = "null"
    with pytest.raises(RuntimeError, match="because grad_req='null'"):
        param.grad()


def test_get_finds_or_makes_and_refuses_what_differs() -> None:
    """ParameterDict.get merges shapes and refuses other attributes."""
    params = gluon.ParameterDict("p_")
    made = params.get("w", shape=(4, 0), allow_deferred_init=True)

    assert params.get("w", shape=(4, 3)) is made
    assert made.shape == (4, 3)
    with pytest.raises(AssertionError, match="Cannot retrieve Parameter 'p_w' because desired attribute"):
        params.get("w", shape=(5, 3))


def test_constants_keep_their_value() -> None:
    """They have no gradient; grad_req is refused with a warning."""
    params = gluon.ParameterDict("p_")
    constant = params.get_constant("c", [[1, 2]])
    constant.initialize()

    assert constant.data().asnumpy().tolist() == [[1.0, 2.0]]
    with pytest.warns(UserWarning, match='Constant parameter "p_c" does not support grad_req other than "null"'):
        constant.grad_req = "write"
    assert constant.grad_req == "null"


def test_slices_of_sequentials_are_sequentials() -> None:
    """They share their children."""
    net = mlp("m_")

    assert net[:1][0] is net[0]
    assert len(net[1:]) == 1


def test_batches_are_split() -> None:
    """The first parts are longer; uneven parts are refused unless allowed."""
    data = nd.arange(10).reshape((5, 2))

    parts = gluon.utils.split_data(data, 2, even_split=False)

    assert [part.shape for part in parts] == [(3, 2), (2, 2)]
    with pytest.raises(ValueError, match="cannot be evenly split into 2 slices along axis 0"):
        gluon.utils.split_data(data, 2)
    loaded = gluon.utils.split_and_load(np.ones((4, 2)), [mx.cpu(0), mx.cpu(1)])
    assert [part.ctx for part in loaded] == [mx.cpu(0), mx.cpu(1)]


def test_gradients_are_clipped_together() -> None:
    """In place; the norm before is given."""
    arrays = [nd.array([3.0]), nd.array([4.0])]

    norm = gluon.utils.clip_global_norm(arrays, 1.0)

    assert norm == pytest.approx(5.0)
    assert [array.asscalar() for array in arrays] == pytest.approx([0.6, 0.8])


def test_unfused_layers_compute_the_same() -> None:
    """_unfuse gives cells that share the Parameters."""
    layer = gluon.rnn.LSTM(3, 2, bidirectional=True, input_size=4)
    layer.initialize()
    data = nd.array(np.linspace(-1, 1, 24).reshape(3, 2, 4))
    cells = layer._unfuse()

    out, _ = cells.unroll(3, data, layout="TNC", merge_outputs=True)

    np.testing.assert_allclose(out.asnumpy(), layer(data).asnumpy(), rtol=1e-5, atol=1e-6)
