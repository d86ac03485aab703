"""Small networks, and what is observed of them: the same lines run with real MXNet 1.9.1 and with tensorkeep.mxnet.

Nothing here imports either; `mx` is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Network:
    """A network and its inputs.

    Attributes:
        build: mx → block.
        shapes: of the inputs; `ints` gives the upper limits of those that hold whole numbers.
        call: (mx, block, inputs) → outputs; by default block(*inputs).
        train: whether outputs and gradients in training are observed.
        hybrid: whether it is traced as well.
        np: NumPy semantics are on.
    """

    name: str
    build: Any
    shapes: tuple[tuple[int, ...], ...]
    ints: dict[int, int] = field(default_factory=dict)
    call: Any = None
    train: bool = True
    hybrid: bool = True
    np: bool = False


def values(shape: Any, seed: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Numbers that look random, the same for every NumPy."""
    return np.random.RandomState(seed).uniform(low, high, shape).astype(np.float32)


def flat(out: Any) -> list[Any]:
    """All arrays in nested lists."""
    return [x for part in out for x in flat(part)] if isinstance(out, (list, tuple)) else [out]


def fill(block: Any, mx: Any) -> None:
    """Give every Parameter values that depend on its place only."""
    for i, param in enumerate(block.collect_params().values()):
        if type(param).__name__ == "Constant":
            continue
        positive = param.name.endswith(("var", "gamma"))
        data = values(param.shape, 1000 + i, 0.5, 1.5) if positive else values(param.shape, 1000 + i)
        param.set_data(mx.nd.array(data) if not mx.util.is_np_array() else mx.np.array(data))


def observe(mx: Any, case: Network) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays by name, texts by name)."""
    arrays: dict[str, np.ndarray] = {}
    texts: dict[str, Any] = {}
    if case.np:
        mx.npx.set_np()
    try:
        with mx.name.NameManager():
            _observe(mx, case, arrays, texts)
    finally:
        if case.np:
            mx.npx.reset_np()
    return arrays, texts


def _observe(mx: Any, case: Network, arrays: dict[str, np.ndarray], texts: dict[str, Any]) -> None:
    block = case.build(mx)
    call = case.call or (lambda mx, block, inputs: block(*inputs))
    texts["repr before"] = repr(block)
    texts["params before"] = repr(block.collect_params())
    block.initialize()
    make = mx.np.array if case.np else mx.nd.array
    inputs = []
    for i, shape in enumerate(case.shapes):
        if i in case.ints:
            inputs.append(make(np.random.RandomState(i).randint(0, case.ints[i], shape).astype(np.float32)))
        else:
            inputs.append(make(values(shape, i)))
    call(mx, block, inputs)
    fill(block, mx)
    texts["repr"] = repr(block)
    texts["params"] = repr(block.collect_params())
    texts["structure"] = list(block._collect_params_with_prefix())
    for i, out in enumerate(flat(call(mx, block, inputs))):
        arrays[f"out{i}"] = out.asnumpy()
    if case.train:
        _train(mx, block, call, inputs, case, arrays)
    if case.hybrid:
        block.hybridize()
        outs = flat(call(mx, block, inputs))
        for i, out in enumerate(outs):
            arrays[f"hybrid{i}"] = out.asnumpy()
        if block._cached_graph:
            # MXNet names a Constant's initializer after its address; here it is one that another process can make.
            lines = block._cached_graph[1].tojson().split("\n")
            texts["json"] = [line for line in lines if "Constant_" not in line and '[\\"constant\\"' not in line]


def _train(mx: Any, block: Any, call: Any, inputs: list[Any], case: Network, arrays: dict[str, np.ndarray]) -> None:
    kept = {name: param.data().asnumpy() for name, param in block.collect_params().items()}
    for i, array in enumerate(inputs):
        if i not in case.ints:
            array.attach_grad()
    with mx.autograd.record():
        outs = [out for out in flat(call(mx, block, inputs)) if np.dtype(out.dtype).kind == "f"]
        make = mx.np.array if case.np else mx.nd.array
        weights = [make(values(out.shape, 500 + i)) for i, out in enumerate(outs)]
        mx.autograd.backward(outs, weights)
    mx.nd.waitall()
    for i, out in enumerate(outs):
        arrays[f"train{i}"] = out.asnumpy()
    for i, array in enumerate(inputs):
        if i not in case.ints:
            arrays[f"input grad{i}"] = array.grad.asnumpy()
    for i, (name, param) in enumerate(block.collect_params().items()):
        if param.grad_req != "null":
            arrays[f"grad{i}"] = param.grad().asnumpy()
        now = param.data().asnumpy()
        if not np.array_equal(now, kept[name]):
            arrays[f"changed{i}"] = now


def _layer(name: str, *shapes: tuple[int, ...], cls: str | None = None, where: str = "nn", **options: Any) -> Network:
    """A case of one layer: "Conv2D 3x3" → gluon.nn.Conv2D(**args)."""
    args = options.pop("args", {})
    kind = cls or name.split(" ")[0]

    def build(mx: Any) -> Any:
        space = mx.gluon
        for part in where.split("."):
            space = getattr(space, part)
        return getattr(space, kind)(**args)

    return Network(name, build, shapes, **options)


def _stacked(make: Any) -> Any:
    def build(mx: Any) -> Any:
        net = mx.gluon.nn.HybridSequential(prefix="net_")
        with net.name_scope():
            net.add(*make(mx.gluon.nn))
        return net

    return build


def _cnn(nn: Any) -> list[Any]:
    return [
        nn.Conv2D(4, 3, padding=1, activation="relu"),
        nn.BatchNorm(),
        nn.MaxPool2D(),
        nn.Conv2D(3, 3, groups=1, use_bias=False),
        nn.PReLU(),
        nn.GlobalAvgPool2D(),
        nn.Dense(3),
    ]


def _unroll(length: int, layout: str = "NTC", merge: bool | None = True, valid: bool = False) -> Any:
    def call(mx: Any, block: Any, inputs: list[Any]) -> Any:
        lengths = mx.nd.array([length, 1][: inputs[0].shape[layout.find("N")]]) if valid else None
        return block.unroll(length, inputs[0], layout=layout, merge_outputs=merge, valid_length=lengths)

    return call


def _with_states(mx: Any, block: Any, inputs: list[Any]) -> Any:
    return block(inputs[0], block.begin_state(batch_size=inputs[0].shape[1]))


def _cells(mx: Any) -> Any:
    rnn = mx.gluon.rnn
    stack = rnn.HybridSequentialRNNCell(prefix="stack_")
    with stack.name_scope():
        stack.add(rnn.LSTMCell(4))
        stack.add(rnn.DropoutCell(0.0))
        stack.add(rnn.ResidualCell(rnn.GRUCell(4)))
        stack.add(rnn.RNNCell(3, activation="relu"))
    return stack


def _both_ways(mx: Any) -> Any:
    rnn = mx.gluon.rnn
    return rnn.BidirectionalCell(rnn.LSTMCell(3, prefix="l_"), rnn.GRUCell(3, prefix="r_"))


def _custom(mx: Any) -> Any:
    class Gate(mx.gluon.HybridBlock):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            with self.name_scope():
                self.left = mx.gluon.nn.Dense(4, activation="tanh")
                self.right = mx.gluon.nn.Dense(4, activation="sigmoid")
                self.scale = self.params.get("scale", shape=(1, 4), init="ones")
                self.shift = self.params.get_constant("shift", mx.nd.array([[1.0, 2.0, 3.0, 4.0]]))

        def hybrid_forward(self, F: Any, x: Any, y: Any, scale: Any, shift: Any) -> Any:
            both = F.broadcast_mul(self.left(x) * self.right(y), scale)
            return F.broadcast_add(both, shift), [both, x + 1]

    return Gate(prefix="gate_")


def _concurrent(mx: Any) -> Any:
    contrib = mx.gluon.contrib.nn
    net = contrib.HybridConcurrent(axis=1, prefix="con_")
    with net.name_scope():
        net.add(mx.gluon.nn.Dense(3), contrib.Identity(), mx.gluon.nn.Dense(2, use_bias=False))
    return net


IMAGE, LINE, CUBE = (2, 4, 7, 6), (2, 4, 9), (2, 2, 5, 6, 5)

NETWORKS = [
    _layer("Dense plain", (2, 5), args={"units": 3}),
    _layer("Dense relu", (2, 3, 4), args={"units": 3, "activation": "relu", "in_units": 12}),
    _layer("Dense rows", (2, 3, 4), args={"units": 5, "flatten": False, "use_bias": False}),
    _layer("Dropout off", (3, 4), args={"rate": 0.5}, train=False),
    _layer("Dropout none", (3, 4), args={"rate": 0}),
    _layer("BatchNorm plain", IMAGE),
    _layer("BatchNorm options", (3, 4), args={
        "axis": -1, "momentum": 0.7, "epsilon": 1e-3, "center": False, "scale": False, "in_channels": 4,
    }),
    _layer("BatchNorm global", IMAGE, args={"use_global_stats": True}),
    _layer("BatchNormReLU fused", IMAGE),
    _layer("InstanceNorm plain", IMAGE, args={"scale": True}),
    _layer("InstanceNorm axis", IMAGE, args={"axis": 2, "epsilon": 1e-3}),
    _layer("LayerNorm plain", (2, 3, 4)),
    _layer("LayerNorm axis", (2, 3, 4), args={"axis": 1, "in_channels": 3, "scale": False}),
    _layer("GroupNorm two", IMAGE, args={"num_groups": 2}),
    _layer("Embedding plain", (2, 3), args={"input_dim": 6, "output_dim": 4}, ints={0: 6}),
    _layer("Flatten plain", (2, 3, 4)),
    _layer("HybridLambda name", (2, 3), args={"function": "tanh"}),
    _layer("Lambda name", (2, 3), args={"function": "tanh"}, hybrid=False),
    _layer("Conv1D plain", LINE, args={"channels": 3, "kernel_size": 3}),
    _layer("Conv1D options", LINE, args={
        "channels": 4, "kernel_size": 3, "strides": 2, "padding": 1, "dilation": 2, "groups": 2, "activation": "tanh",
    }),
    _layer("Conv2D plain", IMAGE, args={"channels": 3, "kernel_size": (3, 2)}),
    _layer("Conv3D plain", CUBE, args={"channels": 2, "kernel_size": 2, "strides": (1, 2, 1)}),
    _layer("Conv1DTranspose plain", LINE, args={"channels": 3, "kernel_size": 3, "strides": 2, "output_padding": 1}),
    _layer("Conv2DTranspose plain", IMAGE, args={
        "channels": 2, "kernel_size": 3, "strides": 2, "padding": 1, "in_channels": 4, "groups": 2,
    }),
    _layer("Conv3DTranspose plain", CUBE, args={"channels": 3, "kernel_size": 2, "in_channels": 2, "use_bias": False}),
    _layer("MaxPool1D plain", LINE),
    _layer("MaxPool2D ceil", IMAGE, args={"pool_size": 3, "strides": 2, "padding": 1, "ceil_mode": True}),
    _layer("MaxPool3D plain", CUBE),
    _layer("AvgPool1D plain", LINE, args={"padding": 1, "count_include_pad": False}),
    _layer("AvgPool2D plain", IMAGE, args={"pool_size": 3, "padding": 1}),
    _layer("AvgPool3D plain", CUBE),
    _layer("GlobalMaxPool1D plain", LINE),
    _layer("GlobalMaxPool2D plain", IMAGE),
    _layer("GlobalMaxPool3D plain", CUBE),
    _layer("GlobalAvgPool1D plain", LINE),
    _layer("GlobalAvgPool2D plain", IMAGE),
    _layer("GlobalAvgPool3D plain", CUBE),
    _layer("ReflectionPad2D plain", IMAGE, args={"padding": 2}),
    _layer("Activation softrelu", (3, 4), args={"activation": "softrelu"}),
    _layer("LeakyReLU plain", (3, 4), args={"alpha": 0.3}),
    _layer("PReLU plain", (3, 4, 5)),
    _layer("PReLU channels", (3, 4, 5), args={"in_channels": 4}),
    _layer("ELU plain", (3, 4), args={"alpha": 0.5}),
    _layer("SELU plain", (3, 4)),
    _layer("GELU plain", (3, 4)),
    _layer("Swish plain", (3, 4), args={"beta": 1.5}),
    Network("cnn", _stacked(_cnn), ((2, 2, 8, 8),)),
    Network("custom", _custom, ((2, 3), (2, 5))),
    Network("concurrent", _concurrent, ((2, 4),)),
    _layer("PixelShuffle1D plain", (2, 6, 3), where="contrib.nn", args={"factor": 2}),
    _layer("PixelShuffle2D plain", (2, 12, 3, 2), where="contrib.nn", args={"factor": (2, 3)}),
    _layer("PixelShuffle3D plain", (1, 12, 2, 1, 3), where="contrib.nn", args={"factor": (2, 3, 2)}),
    _layer("DeformableConvolution plain", IMAGE, where="contrib.cnn", args={
        "channels": 3, "kernel_size": (3, 3), "padding": (1, 1), "in_channels": 4,
    }),
    _layer("RNNCell unrolled", (2, 3, 4), where="rnn", args={"hidden_size": 3}, call=_unroll(3), hybrid=False),
    _layer("LSTMCell unrolled", (3, 2, 4), where="rnn", args={"hidden_size": 3}, call=_unroll(3, "TNC", False),
           hybrid=False),
    _layer("GRUCell valid", (2, 3, 4), where="rnn", args={"hidden_size": 3}, call=_unroll(3, valid=True),
           hybrid=False),
    Network("stacked cells", _cells, ((2, 3, 4),), call=_unroll(3), hybrid=False),
    Network("both ways", _both_ways, ((2, 3, 4),), call=_unroll(3), hybrid=False),
    Network("both ways valid", _both_ways, ((2, 3, 4),), call=_unroll(3, valid=True), hybrid=False),
    _layer("LSTMPCell unrolled", (2, 3, 4), where="contrib.rnn", args={"hidden_size": 3, "projection_size": 2},
           call=_unroll(3), hybrid=False),
    _layer("Conv2DLSTMCell unrolled", (1, 2, 2, 5, 5), where="contrib.rnn", args={
        "input_shape": (2, 5, 5), "hidden_channels": 3, "i2h_kernel": (3, 3), "h2h_kernel": (3, 3), "i2h_pad": (1, 1),
    }, call=_unroll(2, "NTC", False), hybrid=False),
    _layer("Conv1DGRUCell unrolled", (1, 2, 2, 5), where="contrib.rnn", args={
        "input_shape": (2, 5), "hidden_channels": 3, "i2h_kernel": (3,), "h2h_kernel": (3,), "i2h_pad": (1,),
    }, call=_unroll(2, "NTC", False), hybrid=False),
    _layer("Conv2DRNNCell unrolled", (1, 1, 2, 5, 5), where="contrib.rnn", args={
        "input_shape": (2, 5, 5), "hidden_channels": 3, "i2h_kernel": (3, 3), "h2h_kernel": (3, 3),
    }, call=_unroll(1, "NTC", False), hybrid=False, train=False),
    _layer("RNN relu", (3, 2, 4), where="rnn", args={"hidden_size": 3, "num_layers": 2}),
    _layer("RNN tanh", (2, 3, 4), where="rnn", args={"hidden_size": 3, "activation": "tanh", "layout": "NTC"}),
    _layer("LSTM bidirectional", (3, 2, 4), where="rnn", args={
        "hidden_size": 3, "num_layers": 2, "bidirectional": True,
    }, call=_with_states),
    _layer("GRU states", (3, 2, 4), where="rnn", args={"hidden_size": 3, "input_size": 4}, call=_with_states),
    _layer("L2Loss plain", (3, 4), (3, 4), where="loss"),
    _layer("L2Loss weighted", (3, 4), (3, 4), (3, 1), where="loss", args={"weight": 0.3}),
    _layer("L1Loss plain", (3, 4), (3, 4), where="loss"),
    _layer("SigmoidBinaryCrossEntropyLoss plain", (3, 4), (3, 4), where="loss", ints={1: 2}),
    _layer("SigmoidBinaryCrossEntropyLoss weighted", (3, 4), (3, 4), (3, 1), (1, 4), where="loss", ints={1: 2}),
    _layer("SoftmaxCrossEntropyLoss sparse", (3, 4), (3,), where="loss", ints={1: 4}),
    _layer("SoftmaxCrossEntropyLoss dense", (3, 4, 2), (3, 4, 2), where="loss", args={
        "sparse_label": False, "axis": 1, "weight": 2.0,
    }),
    _layer("KLDivLoss logits", (3, 4), (3, 4), where="loss", args={"from_logits": False}, ints={1: 3}),
    _layer("CTCLoss plain", (2, 5, 4), (2, 3), where="loss", ints={1: 3}),
    _layer("HuberLoss plain", (3, 4), (3, 4), where="loss", args={"rho": 0.5}),
    _layer("HingeLoss plain", (3, 4), (3, 4), where="loss"),
    _layer("SquaredHingeLoss plain", (3, 4), (3, 4), where="loss", args={"margin": 0.5}),
    _layer("LogisticLoss plain", (3, 4), (3, 4), where="loss"),
    _layer("LogisticLoss binary", (3, 4), (3, 4), where="loss", args={"label_format": "binary"}, ints={1: 2}),
    _layer("TripletLoss plain", (3, 4), (3, 4), (3, 4), where="loss"),
    _layer("PoissonNLLLoss plain", (3, 4), (3, 4), where="loss", ints={1: 5}),
    _layer("CosineEmbeddingLoss plain", (3, 4), (3, 4), (3,), where="loss", ints={2: 2}),
    _layer("SDMLLoss plain", (3, 4), (3, 4), where="loss", hybrid=False),
    _layer("Dense np", (2, 5), args={"units": 3, "activation": "relu"}, np=True),
    _layer("Conv2D np", IMAGE, args={"channels": 3, "kernel_size": 3}, np=True),
    _layer("BatchNorm np", IMAGE, np=True),
    _layer("LayerNorm np", (2, 3, 4), np=True),
    _layer("MaxPool2D np", IMAGE, np=True),
    _layer("Embedding np", (2, 3), args={"input_dim": 6, "output_dim": 4}, ints={0: 6}, np=True),
    _layer("LeakyReLU np", (3, 4), args={"alpha": 0.3}, np=True),
    _layer("Swish np", (3, 4), np=True),
    _layer("Flatten np", (2, 3, 4), np=True),
    _layer("L2Loss np", (3, 4), (3, 4), where="loss", np=True),
    _layer("SoftmaxCrossEntropyLoss np", (3, 4), (3,), where="loss", ints={1: 4}, np=True),
    _layer("SigmoidBinaryCrossEntropyLoss np", (3, 4), (3, 4), where="loss", ints={1: 2}, np=True),
    _layer("GRU np", (3, 2, 4), where="rnn", args={"hidden_size": 3}, np=True),
]  # fmt: skip
