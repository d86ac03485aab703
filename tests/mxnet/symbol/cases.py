"""Networks, and calls that are refused, which real MXNet and this package are asked about alike; `mx` is handed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _mlp(mx: Any) -> Any:
    net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=8)
    net = mx.sym.Activation(net, act_type="relu")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="out"), name="softmax")


def _scopes(mx: Any) -> Any:
    with mx.AttrScope(ctx_group="one", __mood__="good"):
        a = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, attr={"lr_mult": "2"})
        with mx.AttrScope(ctx_group="two"):
            b = mx.sym.Activation(a, act_type="tanh")
    with mx.name.Prefix("p_"):
        return mx.sym.exp(b) + mx.sym.exp(b, name="mine")


def _variables(mx: Any) -> Any:
    a = mx.sym.var(
        "a", shape=(2, 3), lr_mult=2, wd_mult=0.5, dtype="float16", init=mx.init.Normal(0.1), stype="csr", __mine__=3
    )
    return mx.sym.Group([a, mx.sym.var("b", attr={"lr_mult": "3", "free": "2"}, shape=[2, 3])])


def _arithmetic(mx: Any) -> Any:
    x, y = mx.sym.var("x"), mx.sym.var("y")
    return mx.sym.Group(
        [
            x + y, x - y, x * y, x / y, x % y, x**y, x == y, x != y, x > y, x >= y, x < y, x <= y, -x, abs(x), x + 1,
            2 + x, x - 1, 1 - x, x * 3, x / 2, 2 / x, x % 2, 2 % x, x**2, 2**x, x == 1, x != 1.5, x > 1, x >= 1, x < 1,
            x <= 1,
        ]
    )  # fmt: skip


def _shared_statistics(mx: Any) -> Any:
    first = mx.sym.BatchNorm(mx.sym.var("x"), name="first", momentum=0.8)
    inside = first.get_internals()
    second = mx.sym.BatchNorm(
        mx.sym.var("y"), gamma=inside["first_gamma"], moving_mean=inside["first_moving_mean"],
        moving_var=inside["first_moving_var"], name="second",
    )  # fmt: skip
    return mx.sym.Group([first, second])


def _replaced(mx: Any) -> Any:
    net = mx.sym.FullyConnected(mx.sym.var("x"), num_hidden=3, name="f")
    return net(x=mx.sym.exp(mx.sym.var("y"), name="e"), name="renamed")


def _created(mx: Any) -> Any:
    sym = mx.sym
    return sym.Group(
        [
            sym.zeros((2, 3)), sym.ones((2, 3), dtype="int32"), sym.arange(3), sym.arange(1, 7, 2, repeat=2), sym.full((2,), 3),
            sym.eye(3), sym.linspace(0, 1, 3), sym.random.uniform(0, 1, shape=(2,)), sym.random.normal(shape=(2, 2)),
        ]
    )  # fmt: skip


def _functions(mx: Any) -> Any:
    x, y = mx.sym.var("x"), mx.sym.var("y")
    return mx.sym.Group(
        [
            mx.sym.maximum(x, y), mx.sym.maximum(x, 2), mx.sym.minimum(3, x), mx.sym.pow(2, x), mx.sym.power(x, y),
            mx.sym.hypot(x, y), x.sum(axis=1, keepdims=True), x.reshape((0, -1)), x.astype("float16"), x.flatten(),
            x.expand_dims(1), x.transpose(), mx.sym.elemwise_add(x, y), mx.sym.linalg.gemm2(x, y),
        ]
    )  # fmt: skip


def _parts(mx: Any) -> Any:
    parts = mx.sym.SliceChannel(mx.sym.var("x"), num_outputs=3, name="parts")
    other = mx.sym.split_v2(mx.sym.var("x"), (1, 2), axis=1)
    return mx.sym.Group([parts[2], parts[0], other[1], mx.sym.Concat(*list(parts), dim=0, name="all")])


def _slices(mx: Any) -> Any:
    net = mx.sym.Group([mx.sym.var("a"), mx.sym.var("b"), mx.sym.exp(mx.sym.var("c"), name="e")])
    return mx.sym.Group([net[1:], net["e_output"], net.get_children()])


def _begin_states(mx: Any) -> Any:
    state = mx.sym.zeros((1, 0, 4), name="begin")
    return mx.sym.RNN(
        mx.sym.var("data"), mx.sym.var("weights"), state, state_size=4, num_layers=1, mode="gru", name="rnn"
    )


def _convolutions(mx: Any) -> Any:
    net = mx.sym.Convolution(mx.sym.var("data"), num_filter=4, kernel=(3, 3), stride=(2, 2), name="c")
    net = mx.sym.LeakyReLU(mx.sym.BatchNorm(net, name="bn"), act_type="prelu", name="p")
    net = mx.sym.Deconvolution(net, num_filter=2, kernel=(2, 2), stride=(2, 2), name="d")
    return mx.sym.Dropout(mx.sym.Pooling(net, kernel=(2, 2), pool_type="avg", name="pool"), p=0.4, name="drop")


def _unrolled(make: Callable[[Any], Any], length: int = 3, **options: Any) -> Callable[[Any], Any]:
    def build(mx: Any) -> Any:
        outputs, _ = make(mx.rnn).unroll(length, inputs=mx.sym.var("data"), **options)
        return mx.sym.Group(list(outputs)) if isinstance(outputs, list) else outputs

    return build


def _stacked(rnn: Any) -> Any:
    stack = rnn.SequentialRNNCell()
    stack.add(rnn.LSTMCell(4, prefix="a_"))
    stack.add(rnn.DropoutCell(0.3))
    stack.add(rnn.ResidualCell(rnn.GRUCell(4, prefix="b_")))
    return stack


def _both_ways(rnn: Any) -> Any:
    return rnn.BidirectionalCell(rnn.LSTMCell(4, prefix="l_"), rnn.GRUCell(4, prefix="r_"))


def _convolutional_cell(mx: Any) -> Any:
    cell = mx.rnn.ConvLSTMCell((2, 3, 8, 8), 4)
    outputs, _ = cell.unroll(2, inputs=[mx.sym.var("a"), mx.sym.var("b")])
    return mx.sym.Group(outputs)


def _loop(mx: Any) -> Any:
    w = mx.sym.var("w")
    z = mx.sym.exp(w)

    def body(x: Any, states: Any) -> Any:
        return [x + states[0] * w, states[1]], [x * z + states[0], states[1] + 1]

    outputs, states = mx.sym.contrib.foreach(body, mx.sym.var("data"), [mx.sym.var("a"), mx.sym.var("b")])
    return mx.sym.Group([*outputs, *states])


def _loop_of_layers(mx: Any) -> Any:
    def body(x: Any, state: Any) -> Any:
        return mx.sym.FullyConnected(x, num_hidden=4, name="fc") + state, state * 2

    return mx.sym.Group(list(mx.sym.contrib.foreach(body, mx.sym.var("data"), mx.sym.var("init"))))


def _nested_loops(mx: Any) -> Any:
    def outer(x: Any, state: Any) -> Any:
        return mx.sym.contrib.foreach(lambda y, inner: (y + inner, inner * 2), x, state)

    return mx.sym.Group(list(mx.sym.contrib.foreach(outer, mx.sym.var("data"), mx.sym.var("init"))))


def _while(mx: Any) -> Any:
    w = mx.sym.var("w")
    z = mx.sym.exp(w)
    outputs, variables = mx.sym.contrib.while_loop(
        lambda i, s: i <= w,
        lambda i, s: ([i * w], [i + w, s * z]),
        (mx.sym.var("i"), mx.sym.var("s")),
        max_iterations=3,
    )
    return mx.sym.Group([*outputs, *variables])


def _branches(mx: Any) -> Any:
    d, w = mx.sym.var("data"), mx.sym.var("w")
    z = mx.sym.exp(w)
    return mx.sym.Group(mx.sym.contrib.cond(w.sum() < z.sum(), lambda: [d * z, w], lambda: [d + w, z]))


SEQUENCE = {"data": (2, 3, 5)}, {"data": "float32"}

SYMBOLS: dict[str, tuple[Callable[[Any], Any], dict[str, tuple[int, ...]], dict[str, str]]] = {
    "mlp": (_mlp, {"data": (4, 5)}, {"data": "float32"}),
    "mlp in half precision": (_mlp, {"data": (4, 5)}, {"data": "float16"}),
    "scopes": (_scopes, {"data": (2, 3)}, {"data": "float64"}),
    "variables": (_variables, {}, {}),
    "arithmetic": (_arithmetic, {"y": (2, 3)}, {"x": "float32"}),
    "shared statistics": (_shared_statistics, {"x": (2, 3, 4), "y": (1, 3, 5)}, {"x": "float16", "y": "float16"}),
    "replaced": (_replaced, {"y": (2, 5)}, {"y": "float32"}),
    "created": (_created, {}, {}),
    "functions": (_functions, {"x": (3, 3), "y": (3, 3)}, {"x": "float32", "y": "float32"}),
    "parts": (_parts, {"x": (2, 3)}, {"x": "int32"}),
    "slices": (_slices, {"b": (2,), "c": (3,)}, {"b": "float32", "c": "float16"}),
    "begin states": (_begin_states, {"data": (5, 2, 3)}, {"data": "float32"}),
    "rnn cell": (_unrolled(lambda rnn: rnn.RNNCell(4)), *SEQUENCE),
    "lstm cell": (_unrolled(lambda rnn: rnn.LSTMCell(4), merge_outputs=True), *SEQUENCE),
    "gru cell": (_unrolled(lambda rnn: rnn.GRUCell(4), 2, layout="TNC", merge_outputs=False), *SEQUENCE),
    "stacked cells": (_unrolled(_stacked, merge_outputs=True), *SEQUENCE),
    "both ways": (_unrolled(_both_ways, merge_outputs=False), *SEQUENCE),
    "both ways, merged": (_unrolled(_both_ways, merge_outputs=True), *SEQUENCE),
    "zoneout": (_unrolled(lambda rnn: rnn.ZoneoutCell(rnn.LSTMCell(4), 0.2, 0.3)), *SEQUENCE),
    "fused": (_unrolled(lambda rnn: rnn.FusedRNNCell(4, 2, "gru", True, 0.2, True)), *SEQUENCE),
    "unfused": (_unrolled(lambda rnn: rnn.FusedRNNCell(4, 2, "lstm", dropout=0.2).unfuse()), *SEQUENCE),
    "convolutional cell": (
        _convolutional_cell,
        {"a": (2, 3, 8, 8), "b": (2, 3, 8, 8)},
        {"a": "float32", "b": "float32"},
    ),
    "loop": (_loop, {"data": (3, 2), "a": (2,), "b": (2,), "w": (2,)}, {"data": "float32"}),
    "loop of layers": (_loop_of_layers, {"data": (3, 2, 5), "init": (2, 4)}, {"data": "float32", "init": "float32"}),
    "nested loops": (_nested_loops, {"data": (3, 2, 2), "init": (2,)}, {"data": "float32", "init": "float32"}),
    "while": (_while, {"i": (1,), "s": (1,), "w": (1,)}, {"i": "float32", "s": "float32", "w": "float32"}),
    "branches": (_branches, {"data": (2,), "w": (2,)}, {"data": "float32", "w": "float32"}),
    "convolutions": (_convolutions, {"data": (2, 3, 9, 9)}, {"data": "float32"}),
}
"""Name → (what makes it, shapes to infer from, dtypes to infer from)."""


def _x(mx: Any) -> Any:
    return mx.sym.var("x")


def _net(mx: Any) -> Any:
    return mx.sym.FullyConnected(_x(mx), num_hidden=3, name="f")


def _bound(mx: Any, **kwargs: Any) -> Any:
    return _net(mx).simple_bind(mx.cpu(), **{"x": (2, 5), **kwargs})


def _run(mx: Any) -> Any:
    executor = _bound(mx)
    executor.forward(is_train=True)
    return executor


def _ones(mx: Any, *shape: int) -> Any:
    return mx.nd.ones(shape)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "unknown parameter": lambda mx: mx.sym.FullyConnected(_x(mx), num_hidden=3, weight_lr_mult=3),
    "missing parameter": lambda mx: mx.sym.FullyConnected(_x(mx)),
    "unfit parameter": lambda mx: mx.sym.FullyConnected(_x(mx), num_hidden="a"),
    "unfit choice": lambda mx: mx.sym.Activation(_x(mx), act_type="bogus"),
    "unknown input": lambda mx: mx.sym.FullyConnected(_x(mx), num_hidden=3, foo=_x(mx)),
    "no symbol": lambda mx: mx.sym.FullyConnected(3, num_hidden=3),
    "no symbols": lambda mx: mx.sym.Concat([_x(mx), _x(mx)]),
    "input of several outputs": lambda mx: mx.sym.exp(mx.sym.Group([_x(mx), _x(mx)])),
    "argument of several outputs": lambda mx: mx.sym.Concat(mx.sym.Group([_x(mx), _x(mx)]), _x(mx)),
    "too many inputs": lambda mx: mx.sym.Concat(_x(mx), _x(mx), _x(mx), num_args=2),
    "auxiliary state that is computed": lambda mx: mx.sym.BatchNorm(_x(mx), moving_mean=mx.sym.exp(_x(mx))),
    "sum with text": lambda mx: _x(mx) + "a",
    "truth": lambda mx: bool(_x(mx)),
    "in place": lambda mx: _x(mx).__iadd__(1),
    "in place, division": lambda mx: _x(mx).__itruediv__(1),
    "values": lambda mx: _x(mx).asnumpy(),
    "empty group": lambda mx: mx.sym.Group([]),
    "output by an unknown name": lambda mx: _x(mx)["y"],
    "output by a fraction": lambda mx: _x(mx)[1.0],
    "output behind the last": lambda mx: _x(mx)[1],
    "output before the first": lambda mx: _x(mx)[-1],
    "variable without underscores": lambda mx: mx.sym.var("x", foo=1),
    "variable without a name": lambda mx: mx.sym.var(3),
    "attribute that is no text": lambda mx: mx.sym.var("x", attr={"lr_mult": 3}),
    "attribute of a group": lambda mx: mx.sym.Group([_x(mx), _net(mx)])._set_attr(a="b"),
    "scope that is no text": lambda mx: mx.AttrScope(a=1),
    "composed by position": lambda mx: _net(mx)(_x(mx)),
    "composed by an unknown name": lambda mx: _net(mx)(foo=_x(mx)),
    "composed of a number": lambda mx: _net(mx)(x=3),
    "composed of a group": lambda mx: _net(mx)(x=mx.sym.Group([_x(mx), _x(mx)])),
    "shapes that differ": lambda mx: (_x(mx) + mx.sym.var("y")).infer_shape(x=(3, 2), y=(2, 3)),
    "shape of a weight": lambda mx: _net(mx).infer_shape(x=(2, 5), f_weight=(3, 7)),
    "shape of an unknown name": lambda mx: _net(mx).infer_shape(nope=(2, 3)),
    "shape that is a list": lambda mx: _net(mx).infer_shape(x=[2, 5]),
    "shape that is a list, by position": lambda mx: _net(mx).infer_shape([2, 5]),
    "dtypes that differ": lambda mx: _net(mx).infer_type(x="float16", f_weight="float32"),
    "gradient symbol": lambda mx: _net(mx).gradient(["x"]),
    "JSON that is a number": lambda mx: mx.sym.load_json(3),
    "file that is a number": lambda mx: mx.sym.load(3),
    "method": lambda mx: _x(mx).foo,
    "bind: too few": lambda mx: _net(mx).bind(mx.cpu(), [_ones(mx, 2, 5)]),
    "bind: one is missing": lambda mx: _net(mx).bind(mx.cpu(), {"x": _ones(mx, 2, 5)}),
    "bind: no context": lambda mx: _net(mx).bind("cpu", {}),
    "bind: no arrays": lambda mx: _net(mx).bind(mx.cpu(), 3),
    "bind: a request": lambda mx: _net(mx).bind(
        mx.cpu(), [_ones(mx, 2, 5), _ones(mx, 3, 5), _ones(mx, 3)], grad_req="bad"
    ),
    "bind: auxiliary states": lambda mx: mx.sym.BatchNorm(_x(mx)).bind(
        mx.cpu(), [_ones(mx, 2, 3), _ones(mx, 3), _ones(mx, 3)]
    ),
    "simple_bind: no shapes": lambda mx: _net(mx).simple_bind(mx.cpu()),
    "simple_bind: a shape": lambda mx: _bound(mx, f_weight=(1, 1)),
    "simple_bind: a request": lambda mx: _bound(mx, grad_req="bad"),
    "simple_bind: a request by name": lambda mx: _bound(mx, grad_req={"x": "bad"}),
    "simple_bind: a list of requests": lambda mx: _bound(mx, grad_req=["null"]),
    "forward: an unknown name": lambda mx: _bound(mx).forward(z=_ones(mx, 2, 5)),
    "forward: a shape": lambda mx: _bound(mx).forward(x=_ones(mx, 3, 5)),
    "forward: a number": lambda mx: _bound(mx).forward(x=3),
    "backward: no gradient": lambda mx: _run(mx).backward(),
    "backward: a shape": lambda mx: _run(mx).backward(_ones(mx, 2, 2)),
    "backward: no array": lambda mx: _run(mx).backward([3]),
    "copy_params_from: an unknown name": lambda mx: _bound(mx).copy_params_from({"q": _ones(mx, 2)}),
    "copy_params_from: an unknown state": lambda mx: _bound(mx).copy_params_from({}, {"q": _ones(mx, 2)}),
    "copy_params_from: a shape": lambda mx: _bound(mx).copy_params_from({"f_weight": _ones(mx, 3, 4)}),
    "reshape: larger": lambda mx: _bound(mx).reshape(x=(4, 5)),
    "reshape: another weight": lambda mx: _bound(mx).reshape(x=(1, 6), allow_up_sizing=True),
}
"""Name → a call that MXNet refuses."""
