"""Networks and batches that real MXNet and this package train alike. Needs NumPy only; `mx` is handed in."""

from __future__ import annotations

import logging
import random
import re
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


def train_buckets(mx: Any) -> dict[str, np.ndarray]:
    """A BucketingModule over sentences of three lengths."""

    def sym_gen(length: int) -> Any:
        data = mx.sym.Variable("data")
        embedded = mx.sym.Embedding(data, input_dim=12, output_dim=6, name="embed")
        outputs, _ = mx.rnn.LSTMCell(5, prefix="lstm_").unroll(length, inputs=embedded, merge_outputs=True)
        scores = mx.sym.FullyConnected(mx.sym.Reshape(outputs, shape=(-1, 5)), num_hidden=12, name="pred")
        label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
        return mx.sym.SoftmaxOutput(scores, label, name="softmax"), ("data",), ("softmax_label",)

    rng = np.random.RandomState(3)
    sentences = [rng.randint(1, 12, size=size).tolist() for size in (3, 5, 7) for _ in range(8)]
    random.seed(4)
    np.random.seed(4)
    batches = mx.rnn.BucketSentenceIter(sentences, 4, buckets=[3, 5, 7], invalid_label=0)
    module = mx.mod.BucketingModule(sym_gen, batches.default_bucket_key, context=mx.cpu())
    module.bind(batches.provide_data, batches.provide_label)
    symbol = sym_gen(7)[0]
    shapes = dict(zip(symbol.list_arguments(), symbol.infer_shape(data=(4, 7), softmax_label=(4, 7))[0]))  # noqa: B905
    module.init_params(
        arg_params={
            name: mx.nd.array(rng.normal(scale=0.3, size=shapes[name]))
            for name in symbol.list_arguments()
            if name not in ("data", "softmax_label") and "begin_state" not in name
        },
        aux_params={},
    )
    module.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": 0.2, "momentum": 0.9})
    metric = mx.metric.Perplexity(ignore_label=0)
    for batch in batches:
        module.forward_backward(batch)
        module.update()
        module.update_metric(metric, batch.label)
    mx.nd.waitall()
    found = {f"arg:{name}": value.asnumpy() for name, value in module.get_params()[0].items()}
    found["perplexity"] = np.array([metric.get()[1]])
    return found


def train_chain(mx: Any) -> dict[str, np.ndarray]:
    """A SequentialModule of two Modules and a loss in Python."""

    def gradient(scores: Any, labels: Any) -> Any:
        found = scores.asnumpy().copy()
        found[np.arange(len(found)), labels.asnumpy().astype("int")] -= 1.0
        return found

    first = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=7, name="fc1"), act_type="tanh")
    second = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc2")
    chain = mx.mod.SequentialModule()
    chain.add(mx.mod.Module(first, label_names=[], context=mx.cpu()))
    chain.add(mx.mod.Module(second, label_names=[], context=mx.cpu()), auto_wiring=True)
    chain.add(mx.mod.PythonLossModule(grad_func=gradient), take_labels=True, auto_wiring=True)
    data = batches((6,), True)
    chain.bind([("data", (BATCH, 6))], [("softmax_label", (BATCH,))])
    rng = np.random.RandomState(9)
    shapes = {"fc1_weight": (7, 6), "fc1_bias": (7,), "fc2_weight": (5, 7), "fc2_bias": (5,)}
    chain._modules[0].init_params(
        arg_params={n: mx.nd.array(rng.normal(scale=0.3, size=shapes[n])) for n in ("fc1_weight", "fc1_bias")},
        aux_params={},
    )
    chain._modules[1].init_params(
        arg_params={n: mx.nd.array(rng.normal(scale=0.3, size=shapes[n])) for n in ("fc2_weight", "fc2_bias")},
        aux_params={},
    )
    chain.params_initialized = True
    chain.init_optimizer(optimizer="sgd", optimizer_params={"learning_rate": 0.1})
    for values, labels in data:
        chain.forward_backward(mx.io.DataBatch([mx.nd.array(values)], [mx.nd.array(labels)]))
        chain.update()
    mx.nd.waitall()
    return {f"arg:{name}": value.asnumpy() for name, value in chain.get_params()[0].items()}


class Lines(logging.Handler):
    """Keeps what is logged; times and speeds are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = re.sub(r"(cost=|Speed: )[0-9.]+", r"\1", record.getMessage())
        self.lines.append(re.sub(r"/[^ \"]*/", "", text))


def _logged(run: Any) -> tuple[Any, list[str]]:
    handler, logger = Lines(), logging.getLogger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        return run(), handler.lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _fit_data(mx: Any, **options: Any) -> Any:
    rng = np.random.RandomState(5)
    data, label = rng.normal(size=(22, 12)).astype("float32"), rng.randint(0, 5, size=22).astype("float32")
    return mx.io.NDArrayIter(data, label, BATCH, **options)


def fit(mx: Any, folder: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Module.fit with callbacks and validation: outputs, and the lines that are logged."""
    symbol, shape = mlp(mx)
    args, _ = parameters(symbol, shape)

    def run() -> Any:
        module = mx.mod.Module(symbol, context=mx.cpu())
        module.fit(
            _fit_data(mx),
            eval_data=_fit_data(mx),
            eval_metric=["acc", "ce"],
            num_epoch=2,
            arg_params={name: mx.nd.array(value) for name, value in args.items()},
            optimizer_params={"learning_rate": 0.1, "momentum": 0.9},
            epoch_end_callback=[mx.callback.do_checkpoint(folder + "/fit"), ],
            batch_end_callback=[
                mx.callback.Speedometer(BATCH, 1), mx.callback.log_train_metric(2), mx.callback.ProgressBar(3, 10)
            ],
        )  # fmt: skip
        module.save_checkpoint(folder + "/own", 2, save_optimizer_states=True)
        return module

    module, lines = _logged(run)
    predicted = module.predict(_fit_data(mx))
    score = dict(module.score(_fit_data(mx), ["acc", "ce"]))
    pieces = [outs[0].shape[0] for outs, _, _ in module.iter_predict(_fit_data(mx))]
    found = {"predicted": predicted.asnumpy(), "pieces": np.array(pieces)}
    found["score"] = np.array([score["accuracy"], score["cross-entropy"]])
    return found, lines


def feed_forward(mx: Any) -> tuple[dict[str, np.ndarray], list[str]]:
    """FeedForward on an iterator: outputs, and the lines that are logged."""
    symbol, shape = mlp(mx)
    args, _ = parameters(symbol, shape)

    def run() -> Any:
        model = mx.model.FeedForward(
            symbol, ctx=mx.cpu(), num_epoch=3, learning_rate=0.1, momentum=0.9, wd=0.01,
            arg_params={name: mx.nd.array(value) for name, value in args.items()}, aux_params={},
        )  # fmt: skip
        model.fit(
            _fit_data(mx, last_batch_handle="discard"),
            eval_data=_fit_data(mx),
            batch_end_callback=mx.callback.log_train_metric(2),
        )
        return model

    model, lines = _logged(run)
    found = {f"arg:{name}": value.asnumpy() for name, value in model.arg_params.items()}
    found["predicted"] = model.predict(_fit_data(mx))
    found["score"] = np.array([model.score(_fit_data(mx))])
    return found, lines
