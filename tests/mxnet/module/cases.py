"""Networks and batches that real MXNet and this package train alike. Needs NumPy only; `mx` is handed in."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 10
BATCH = 8


def mlp(mx: Any) -> tuple[Any, tuple[int, ...]]:
    data = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data, num_hidden=16, name="fc1")
    net = mx.sym.Activation(net, act_type="relu", name="relu1")
    net = mx.sym.FullyConnected(net, num_hidden=5, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax"), (12,)


def convolutional(mx: Any) -> tuple[Any, tuple[int, ...]]:
    """Smooth all through: at a kink, rounding errors decide the way and ten steps make them visible."""
    data = mx.sym.Variable("data")
    net = mx.sym.Convolution(data, num_filter=6, kernel=(3, 3), pad=(1, 1), no_bias=True, name="conv1")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn1")
    net = mx.sym.Activation(net, act_type="tanh", name="tanh1")
    net = mx.sym.Pooling(net, kernel=(2, 2), stride=(2, 2), pool_type="avg", name="pool1")
    # A bias before a BatchNorm has a gradient of pure rounding errors, which Adam would blow up: there is none.
    net = mx.sym.Convolution(net, num_filter=4, kernel=(3, 3), no_bias=True, name="conv2")
    net = mx.sym.BatchNorm(net, name="bn2")
    net = mx.sym.LeakyReLU(net, act_type="elu", slope=1.0, name="elu1")
    net = mx.sym.FullyConnected(mx.sym.Flatten(net), num_hidden=5, name="fc1")
    return mx.sym.SoftmaxOutput(net, name="softmax"), (3, 8, 8)


def regression(mx: Any) -> tuple[Any, tuple[int, ...]]:
    data = mx.sym.Variable("data")
    hidden = mx.sym.tanh(mx.sym.FullyConnected(data, num_hidden=7, name="fc1"))
    net = mx.sym.FullyConnected(hidden, num_hidden=1, name="fc2")
    return mx.sym.LinearRegressionOutput(net, name="softmax", label=mx.sym.Variable("softmax_label")), (6,)


NETWORKS = {"mlp": mlp, "convolutional": convolutional, "regression": regression}

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {"learning_rate": 0.1}),
    "momentum": ("sgd", {"learning_rate": 0.05, "momentum": 0.9, "wd": 0.001}),
    "adam": ("adam", {"learning_rate": 0.01, "wd": 0.0001}),
    "nag": ("nag", {"learning_rate": 0.05, "momentum": 0.9}),
}


def parameters(symbol: Any, shape: tuple[int, ...]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The initial weights: the same in every process."""
    rng = np.random.RandomState(17)
    shapes, _, aux_shapes = symbol.infer_shape(data=(BATCH, *shape))
    args = {}
    for name, dims in zip(symbol.list_arguments(), shapes):  # noqa: B905  # one of the interpreters is old
        if name not in ("data", "softmax_label"):
            args[name] = rng.normal(scale=0.3, size=dims).astype("float32") + (1.0 if name.endswith("gamma") else 0.0)
            args[name] = args[name].astype("float32")
    aux = {}
    for name, dims in zip(symbol.list_auxiliary_states(), aux_shapes):  # noqa: B905
        aux[name] = np.full(dims, 0.0 if name.endswith("mean") else 1.0, dtype="float32")
    return args, aux


def batches(shape: tuple[int, ...], classes: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.RandomState(23)
    found = []
    for _ in range(STEPS):
        data = rng.normal(size=(BATCH, *shape)).astype("float32")
        label = rng.randint(0, 5, size=BATCH) if classes else rng.normal(size=(BATCH, 1))
        found.append((data, label.astype("float32")))
    return found


def train(mx: Any, network: str, optimizer: str, contexts: int = 1) -> dict[str, np.ndarray]:
    """Weights, auxiliary states and the last outputs after STEPS batches."""
    symbol, shape = NETWORKS[network](mx)
    args, aux = parameters(symbol, shape)
    data = batches(shape, network != "regression")
    kind, options = OPTIMIZERS[optimizer]
    context = [mx.cpu(i) for i in range(contexts)]
    module = mx.mod.Module(symbol, context=context if contexts > 1 else mx.cpu())
    module.bind([("data", (BATCH, *shape))], [("softmax_label", data[0][1].shape)])
    module.init_params(
        arg_params={name: mx.nd.array(value) for name, value in args.items()},
        aux_params={name: mx.nd.array(value) for name, value in aux.items()},
    )
    module.init_optimizer(kvstore="local", optimizer=kind, optimizer_params=options)
    for values, labels in data:
        module.forward_backward(mx.io.DataBatch([mx.nd.array(values)], [mx.nd.array(labels)]))
        module.update()
    # MXNet's first get_params() right behind update() returned moving means of before: wait for them.
    mx.nd.waitall()
    outputs = module.get_outputs()[0].asnumpy()
    found, states = module.get_params()
    result = {f"arg:{name}": value.asnumpy() for name, value in found.items()}
    result.update({f"aux:{name}": value.asnumpy() for name, value in states.items()})
    result["output"] = outputs
    return result
