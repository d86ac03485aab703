"""Gluon's networks, MXNet's own files and symbols beside networks of torch, Keras and Flax: equal outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

os.environ.setdefault("KERAS_BACKEND", "jax")
torch = pytest.importorskip("torch")
nn = torch.nn
mx: Any = pytest.importorskip("tensorkeep.mxnet")

CLOSE = {"rtol": 2e-5, "atol": 2e-6}  # float32, sums of some hundred terms in another order
X = np.random.RandomState(0).randn(2, 4, 7, 8).astype("float32")


class Image(nn.Module):
    """Convolution, norm, transposed convolution, PReLU, a dense layer behind a flattened image."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(4, 6, 3, groups=2)
        self.bn = nn.BatchNorm2d(6)
        self.ct = nn.ConvTranspose2d(6, 5, 3)
        self.act = nn.PReLU()
        self.fc = nn.Linear(5 * 56, 7)

    def forward(self, x: Any) -> Any:
        return self.fc(self.act(self.ct(self.bn(self.c1(x)))).flatten(1))


def torch_image() -> Any:
    torch.manual_seed(0)
    net = Image().eval()
    with torch.no_grad():
        net.bn.weight.uniform_(0.5, 2)
        net.bn.running_mean.normal_()
        net.bn.running_var.uniform_(0.5, 2)
    return net


def gluon_image(*, scale: bool = True) -> Any:
    gnn = mx.gluon.nn

    class Net(gnn.HybridBlock if hasattr(gnn, "HybridBlock") else mx.gluon.HybridBlock):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.c1 = gnn.Conv2D(6, 3, groups=2)
                self.bn = gnn.BatchNorm(scale=scale)
                self.ct = gnn.Conv2DTranspose(5, 3)
                self.act = gnn.PReLU()
                self.fc = gnn.Dense(7)

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return self.fc(self.act(self.ct(self.bn(self.c1(x)))))

    return Net()


def run(net: Any, x: Any = X) -> Any:
    with torch.no_grad():
        return net(torch.from_numpy(x)).numpy()


def test_a_gluon_file_loads_into_torch_with_equal_outputs(tmp_path: Path) -> None:
    """What Block.save_parameters writes; gamma and beta get torch's names, the counter of batches is not missed."""
    block, net = gluon_image(), Image().eval()
    block.initialize(mx.init.Xavier())
    expected = block(mx.nd.array(X)).asnumpy()
    block.save_parameters(str(tmp_path / "net.params"))

    report = tk.load_parameters(net, tmp_path / "net.params")

    assert report.layout == "mxnet to torch"
    assert report.renamed["bn.gamma"] == "bn.weight"
    assert report.complete
    np.testing.assert_allclose(run(net), expected, **CLOSE)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_torch_file_loads_into_gluon_with_equal_outputs(tmp_path: Path, suffix: str) -> None:
    """Into a block whose shapes are not known yet."""
    net, block = torch_image(), gluon_image()
    if suffix == ".pth":
        torch.save(net.state_dict(), tmp_path / "net.pth")
    else:
        tk.save_parameters(net, tmp_path / "net.safetensors")

    tk.load_parameters(block, tmp_path / f"net{suffix}")

    np.testing.assert_allclose(block(mx.nd.array(X)).asnumpy(), run(net), **CLOSE)


def test_a_gamma_that_the_layer_reads_as_one_is_not_lost_in_silence(tmp_path: Path) -> None:
    """Gluon's scale=False ignores gamma: a file with other values is refused, one with ones is not."""
    net, block = torch_image(), gluon_image(scale=False)
    tk.save_parameters(net, tmp_path / "net.pt")

    with pytest.raises(tk.MismatchError, match=r"bn\.gamma: the layer has fix_gamma set.*scale=True"):
        tk.load_parameters(block, tmp_path / "net.pt")
    with torch.no_grad():
        net.bn.weight.fill_(1)
    tk.save_parameters(net, tmp_path / "net.pt")
    tk.load_parameters(block, tmp_path / "net.pt")

    np.testing.assert_allclose(block(mx.nd.array(X)).asnumpy(), run(net), **CLOSE)


def test_fix_gamma_of_a_graph_makes_ones(tmp_path: Path) -> None:
    """A checkpoint of a symbol, whose BatchNorm ignores gamma unless it says otherwise."""
    data = mx.sym.Variable("data")
    conv = mx.sym.Convolution(data, num_filter=6, kernel=(3, 3), name="c1")
    norm = mx.sym.BatchNorm(conv, name="bn")
    flat = mx.sym.Flatten(norm)
    symbol = mx.sym.FullyConnected(flat, num_hidden=7, name="fc")
    module = mx.mod.Module(symbol, data_names=["data"], label_names=None)
    module.bind(data_shapes=[("data", X.shape)], for_training=False)
    module.init_params(mx.init.Xavier())
    arg, aux = module.get_params()
    arg["bn_gamma"][:] = 3
    module.set_params(arg, aux)
    module.save_checkpoint(str(tmp_path / "net"), 1)
    module.forward(mx.io.DataBatch([mx.nd.array(X)]), is_train=False)
    expected = module.get_outputs()[0].asnumpy()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.bn, self.fc = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, eps=1e-3), nn.Linear(180, 7)

        def forward(self, x: Any) -> Any:
            return self.fc(self.bn(self.c1(x)).flatten(1))

    net = Net().eval()
    report = tk.load_parameters(net, tmp_path / "net", epoch=1)

    assert torch.equal(net.bn.weight, torch.ones(6))
    assert report.moved["bn.weight"] == "ones: fix_gamma of MXNet's BatchNorm"
    np.testing.assert_allclose(run(net), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_relu"])
def test_recurrent_files_of_real_mxnet_load_into_torch(golden: Path, kind: str) -> None:
    """Both names that Gluon has for a layer's tensors give the same network, with the outputs of tensorkeep.mxnet's own block."""
    with tk.open(golden / f"mxnet/gluon/{kind}.params") as file:
        both = any(".r_cell." in name for name in file)
        layers = len({name.split(".")[1] for name in file})
        inputs = min(tensor.shape[1] for name, tensor in file.items() if name.endswith("i2h_weight"))
        hidden = next(tensor.shape[1] for name, tensor in file.items() if name.endswith("h2h_weight"))
    options = {"bidirectional": both, "num_layers": layers}
    torchs = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k)}[kind]
    blocks = {"lstm": mx.gluon.rnn.LSTM, "gru": mx.gluon.rnn.GRU, "rnn_relu": mx.gluon.rnn.RNN}[kind]
    block = blocks(hidden, input_size=inputs, **options)
    block.load_parameters(str(golden / f"mxnet/gluon/{kind}.params"))
    net, second = torchs(inputs, hidden, **options), torchs(inputs, hidden, **options)
    x = np.random.RandomState(0).randn(6, 2, inputs).astype("float32")

    tk.load_parameters(net, golden / f"mxnet/gluon/{kind}.params")
    tk.load_parameters(second, golden / f"mxnet/gluon/{kind}-0000.params", rename=[(f"^arg:{kind}_", "")])

    expected = block(mx.nd.array(x)).asnumpy()
    np.testing.assert_allclose(net(torch.from_numpy(x))[0].detach().numpy(), expected, **CLOSE)
    np.testing.assert_allclose(second(torch.from_numpy(x))[0].detach().numpy(), expected, **CLOSE)


def test_a_recurrent_layer_of_torch_loads_into_gluon(tmp_path: Path) -> None:
    """Two layers, both directions; and from there into a second network of torch."""
    torch.manual_seed(0)
    net, again = (nn.LSTM(4, 3, num_layers=2, bidirectional=True) for _ in range(2))
    block = mx.gluon.rnn.LSTM(3, num_layers=2, bidirectional=True, input_size=4)
    x = np.random.RandomState(0).randn(6, 2, 4).astype("float32")
    tk.save_parameters(net, tmp_path / "t.pt")

    tk.load_parameters(block, tmp_path / "t.pt")
    tk.save_parameters(block, tmp_path / "m.params")
    tk.load_parameters(again, tmp_path / "m.params")

    expected = net(torch.from_numpy(x))[0].detach().numpy()
    np.testing.assert_allclose(block(mx.nd.array(x)).asnumpy(), expected, **CLOSE)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_the_flat_vector_of_the_operator_rnn_is_parted_and_joined(tmp_path: Path) -> None:
    """A Module's `rnn_parameters` and torch's separate tensors, both ways, with equal outputs."""
    data = mx.sym.Variable("data")
    symbol = mx.sym.RNN(
        data,
        parameters=mx.sym.Variable("rnn_parameters", init=mx.init.Uniform(0.5)),
        state=mx.sym.zeros((4, 2, 3)),
        state_cell=mx.sym.zeros((4, 2, 3)),
        state_size=3,
        num_layers=2,
        bidirectional=True,
        mode="lstm",
        name="rnn",
    )
    module = mx.mod.Module(symbol, data_names=["data"], label_names=None)
    x = np.random.RandomState(0).randn(6, 2, 4).astype("float32")
    module.bind(data_shapes=[("data", x.shape)], for_training=False)
    module.init_params(mx.init.Uniform(0.5))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(4, 3, num_layers=2, bidirectional=True)

    def outputs() -> Any:
        module.forward(mx.io.DataBatch([mx.nd.array(x)]), is_train=False)
        return module.get_outputs()[0].asnumpy()

    torch.manual_seed(0)
    net, other = Net(), Net()
    tk.save_parameters(module, tmp_path / "m.params")
    tk.load_parameters(net, tmp_path / "m.params")
    np.testing.assert_allclose(net.rnn(torch.from_numpy(x))[0].detach().numpy(), outputs(), **CLOSE)
    tk.save_parameters(other, tmp_path / "t.pt")
    tk.load_parameters(module, tmp_path / "t.pt")

    np.testing.assert_allclose(outputs(), other.rnn(torch.from_numpy(x))[0].detach().numpy(), **CLOSE)


def test_a_keras_network_loads_into_gluon(tmp_path: Path) -> None:
    """Kernels, transposed kernels and norms; channels last into channels first."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((7, 8, 4)),
            layers.Conv2D(6, 3, groups=2, name="c1"),
            layers.BatchNormalization(name="bn", epsilon=1e-5),
            layers.Conv2DTranspose(5, 3, name="ct"),
            layers.PReLU(name="act", shared_axes=[1, 2]),
            layers.Flatten(),
            layers.Dense(7, name="fc"),
        ]
    )
    rng = np.random.RandomState(1)
    for weight in model.weights:
        weight.assign(rng.rand(*weight.shape) * 0.4 + 0.1)

    class Net(mx.gluon.HybridBlock):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            gnn = mx.gluon.nn
            self.c1 = gnn.Conv2D(6, 3, groups=2)
            self.bn = gnn.BatchNorm()
            self.ct = gnn.Conv2DTranspose(5, 3)
            self.act = gnn.PReLU(in_channels=5)
            self.fc = gnn.Dense(7)

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return self.fc(self.act(self.ct(self.bn(self.c1(x)))))

    block = Net()
    block.initialize()
    block(mx.nd.array(X))
    tk.save_parameters(model, tmp_path / "k.safetensors")
    tk.load_parameters(block, tmp_path / "k.safetensors", flatten={"fc": (5, 7, 8)})

    expected = np.asarray(model(np.moveaxis(X, 1, -1), training=False))
    np.testing.assert_allclose(block(mx.nd.array(X)).asnumpy(), expected, rtol=1e-4, atol=1e-4)
