"""Rules between frameworks: the outputs of two networks of two frameworks agree after one's parameters went into the other."""

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

CLOSE = {"rtol": 2e-5, "atol": 2e-6}  # float32, sums of some hundred terms in another order


def torch_net(make: Any) -> Any:
    """A network with drawn values everywhere, its running statistics too."""
    torch.manual_seed(0)
    net = make()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
        for name, buffer in net.named_buffers():
            if name.endswith("mean"):
                buffer.copy_(torch.randn_like(buffer))
            elif name.endswith("var"):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return net.eval()


def run(net: Any, x: Any) -> Any:
    with torch.no_grad():
        return net(torch.from_numpy(np.ascontiguousarray(x))).numpy()


def channels_first(x: Any) -> Any:
    return np.moveaxis(x, -1, 1)


class Image(nn.Module):
    """Every convolution, a flattened image, a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(4, 6, 3, groups=2)
        self.bn = nn.BatchNorm2d(6, eps=1e-3)
        self.dw = nn.Conv2d(6, 12, 3, groups=6)
        self.ct = nn.ConvTranspose2d(12, 5, 3)
        self.ln = nn.LayerNorm(5, eps=1e-3)
        self.fc = nn.Linear(5 * 30, 7)

    def forward(self, x: Any) -> Any:
        x = self.ct(self.dw(self.bn(self.c1(x)).relu()))
        x = self.ln(x.movedim(1, -1)).movedim(-1, 1)
        return self.fc(x.flatten(1))


def keras_image() -> Any:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((7, 8, 4)),
            layers.Conv2D(6, 3, groups=2, name="c1"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, depth_multiplier=2, name="dw"),
            layers.Conv2DTranspose(5, 3, name="ct"),
            layers.LayerNormalization(name="ln"),
            layers.Flatten(),
            layers.Dense(7, name="fc"),
        ]
    )


def drawn(model: Any) -> Any:
    """A Keras model with drawn, positive values."""
    rng = np.random.RandomState(1)
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(rng.rand(*weight.shape) * 0.4 + 0.1)
    return model


X = np.random.RandomState(0).randn(2, 7, 8, 4).astype("float32")


def test_an_image_network_goes_from_keras_to_torch(tmp_path: Path) -> None:
    """Grouped, depthwise and transposed kernels, both norms, a dense layer behind a flattened image."""
    model, net = drawn(keras_image()), Image().eval()
    tk.save_parameters(model, tmp_path / "k.safetensors")

    report = tk.load_parameters(net, tmp_path / "k.safetensors", flatten={"fc": (5, 5, 6)})

    assert report.layout == "keras to torch"
    assert len(report.verified) == len(report.matched) == 14
    assert "kernel axes" in report.moved["c1.weight"]
    np.testing.assert_allclose(run(net, channels_first(X)), np.asarray(model(X, training=False)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_an_image_network_goes_from_torch_to_keras(tmp_path: Path, suffix: str) -> None:
    """The same way back, from files with room for the layout."""
    net, model = torch_net(Image), keras_image()
    tk.save_parameters(net, tmp_path / f"t{suffix}")

    tk.load_parameters(model, tmp_path / f"t{suffix}", flatten={"fc": (5, 5, 6)})

    np.testing.assert_allclose(np.asarray(model(X, training=False)), run(net, channels_first(X)), **CLOSE)


def test_a_state_dict_of_torch_itself_is_known_for_torchs(tmp_path: Path) -> None:
    """What torch.save wrote says nothing of layouts: its format does."""
    net, model = torch_net(Image), keras_image()
    torch.save({"model": net.state_dict(), "epoch": 3}, tmp_path / "t.pth")

    tk.load_parameters(model, tmp_path / "t.pth", flatten={"fc": (5, 5, 6)})

    np.testing.assert_allclose(np.asarray(model(X, training=False)), run(net, channels_first(X)), **CLOSE)


def test_a_flattened_image_is_not_guessed(tmp_path: Path) -> None:
    """The text names the layer and the option; a wrong shape and a wrong layer are told; None takes the inputs as they are."""
    net = Image()
    before = net.fc.weight.clone()
    tk.save_parameters(drawn(keras_image()), tmp_path / "k.safetensors")

    with pytest.raises(tk.MismatchError, match=r"flatten=\{'fc': \(5, height, width\)\}, with height · width = 30"):
        tk.load_parameters(net, tmp_path / "k.safetensors")
    with pytest.raises(tk.MismatchError, match=r"an image of \(5, 5, 5\), that is 125 values, but the layer takes 150"):
        tk.load_parameters(net, tmp_path / "k.safetensors", flatten={"fc": (5, 5, 5)})
    with pytest.raises(tk.MismatchError, match=r"flatten= names 'head', which is no dense layer.*There are: fc"):
        tk.load_parameters(net, tmp_path / "k.safetensors", flatten={"fc": None, "head": (5, 5, 6)})
    assert torch.equal(net.fc.weight, before)
    tk.load_parameters(net, tmp_path / "k.safetensors", flatten={"fc": None})

    assert np.array_equal(net.fc.weight.detach().numpy(), tk.load(tmp_path / "k.safetensors")["fc.kernel"].T)


@pytest.mark.parametrize("both", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_of_keras_and_torch(tmp_path: Path, kind: str, both: bool) -> None:
    """Orders of gates, one bias or two, both directions, there and back."""
    keras = pytest.importorskip("keras")
    layers = keras.layers

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = getattr(nn, kind)(4, 3, batch_first=True, bidirectional=both)

        def forward(self, x: Any) -> Any:
            return self.rnn(x)[0]

    def model() -> Any:
        layer = getattr(layers, kind.replace("RNN", "SimpleRNN"))(3, return_sequences=True, name="rnn")
        wrapped = layers.Bidirectional(layer, name="rnn") if both else layer
        return keras.Sequential([layers.Input((6, 4)), wrapped])

    x = np.random.RandomState(0).randn(2, 6, 4).astype("float32")
    first, net = drawn(model()), Net()
    tk.save_parameters(first, tmp_path / "k.safetensors")
    tk.load_parameters(net, tmp_path / "k.safetensors")

    np.testing.assert_allclose(run(net, x), np.asarray(first(x)), **CLOSE)
    net, second = torch_net(Net), model()
    tk.save_parameters(net, tmp_path / "t.safetensors")
    tk.load_parameters(second, tmp_path / "t.safetensors")
    np.testing.assert_allclose(np.asarray(second(x)), run(net, x), **CLOSE)


def test_another_gru_of_keras_is_refused(tmp_path: Path) -> None:
    """reset_after=False is another function of its input; the text says what to do."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = keras.Sequential([layers.Input((6, 4)), layers.GRU(3, name="rnn", reset_after=False)])
    net = nn.ModuleDict({"rnn": nn.GRU(4, 3)})
    tk.save_parameters(model, tmp_path / "k.safetensors")
    tk.save_parameters(net, tmp_path / "t.safetensors")

    with pytest.raises(tk.MismatchError, match=r"reset_after=False.*Train it with reset_after=True"):
        tk.load_parameters(net, tmp_path / "k.safetensors")
    with pytest.raises(tk.MismatchError, match=r"reset_after=False.*Make it with reset_after=True"):
        tk.load_parameters(model, tmp_path / "t.safetensors")


def test_two_layers_of_keras_make_one_of_torch(tmp_path: Path) -> None:
    """A rule puts the second under `rnn.l1.`; embeddings are not transposed."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = drawn(
        keras.Sequential(
            [
                layers.Input((6,), dtype="int32"),
                layers.Embedding(9, 9, name="embed"),
                layers.LSTM(3, return_sequences=True),
                layers.LSTM(3, return_sequences=True),
            ]
        )
    )

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(9, 9)
            self.rnn = nn.LSTM(9, 3, num_layers=2, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.rnn(self.embed(x))[0]

    net, x = Net(), np.arange(12).reshape(2, 6) % 9
    tk.save_parameters(model, tmp_path / "k.safetensors")
    tk.load_parameters(net, tmp_path / "k.safetensors", rename={"lstm.": "rnn.", "lstm_1.": "rnn.l1."})

    np.testing.assert_allclose(run(net, x), np.asarray(model(x)), **CLOSE)


def flax_image(turned: bool = False) -> Any:
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.c1 = nnx.Conv(4, 6, (3, 3), feature_group_count=2, padding="VALID", rngs=rngs)
            self.bn = nnx.BatchNorm(6, use_running_average=True, epsilon=1e-3, rngs=rngs)
            self.dw = nnx.Conv(6, 12, (3, 3), feature_group_count=6, padding="VALID", rngs=rngs)
            self.ct = nnx.ConvTranspose(12, 5, (3, 3), padding="VALID", transpose_kernel=turned, rngs=rngs)
            self.ln = nnx.LayerNorm(5, epsilon=1e-3, rngs=rngs)
            self.fc = nnx.Linear(5 * 30, 7, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            x = self.ln(self.ct(self.dw(nnx.relu(self.bn(self.c1(x))))))
            return self.fc(x.reshape(len(x), -1))

    return Net()


@pytest.mark.parametrize("turned", [False, True], ids=["mirrored", "transpose_kernel"])
def test_an_image_network_of_torch_goes_into_flax(tmp_path: Path, turned: bool) -> None:
    """Flax mirrors the kernel of a transposed convolution, unless transpose_kernel is set."""
    net, model = torch_net(Image), flax_image(turned)
    tk.save_parameters(net, tmp_path / "t.safetensors")

    tk.load_parameters(model, tmp_path / "t.safetensors", flatten={"fc": (5, 5, 6)})

    np.testing.assert_allclose(np.asarray(model(X)), run(net, channels_first(X)), rtol=1e-4, atol=1e-5)


def test_an_image_network_of_flax_goes_into_torch_and_keras(tmp_path: Path) -> None:
    """Its statistics too; Keras has channels last as well, so nothing is flattened otherwise."""
    model, net, third = flax_image(), Image().eval(), keras_image()
    tk.load_parameters(model, torch_net(Image).state_dict(), layout="torch", flatten={"fc": (5, 5, 6)})
    tk.save_parameters(model, tmp_path / "f.npz")

    tk.load_parameters(net, tmp_path / "f.npz", flatten={"fc": (5, 5, 6)})
    tk.load_parameters(third, tmp_path / "f.npz")

    expected = np.asarray(model(X))
    np.testing.assert_allclose(run(net, channels_first(X)), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(third(X, training=False)), expected, rtol=1e-4, atol=1e-5)


def test_a_flattened_image_is_not_guessed_for_flax(tmp_path: Path) -> None:
    """Flax orders layers by name: sizes tell that an image is flattened."""
    tk.save_parameters(torch_net(Image), tmp_path / "t.safetensors")

    with pytest.raises(tk.MismatchError, match=r"flatten=\{'fc': \(\d+, height, width\)\}"):
        tk.load_parameters(flax_image(), tmp_path / "t.safetensors")


@pytest.mark.parametrize("kind", ["OptimizedLSTMCell", "LSTMCell", "GRUCell", "SimpleCell"])
def test_recurrent_cells_of_flax_and_torch(tmp_path: Path, kind: str) -> None:
    """Fused gates or a pair of layers a gate; a GRU of torch whose reset gate has a bias inside has no place in Flax."""
    nnx = pytest.importorskip("flax.nnx")
    torchs = {"SimpleCell": nn.RNN, "GRUCell": nn.GRU}.get(kind, nn.LSTM)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = torchs(4, 3, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.rnn(x)[0]

    class Model(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            self.rnn = nnx.RNN(getattr(nnx, kind)(4, 3, rngs=rngs), rngs=rngs)

        def __call__(self, x: Any) -> Any:
            return self.rnn(x)

    x = np.random.RandomState(0).randn(2, 6, 4).astype("float32")
    net, model = torch_net(Net), Model()
    tk.save_parameters(net, tmp_path / "t.safetensors")
    if kind == "GRUCell":
        with pytest.raises(tk.MismatchError, match="a bias inside its reset gate"):
            tk.load_parameters(model, tmp_path / "t.safetensors")
        with torch.no_grad():
            net.rnn.bias_hh_l0[6:] = 0
        tk.save_parameters(net, tmp_path / "t.safetensors")
    tk.load_parameters(model, tmp_path / "t.safetensors")

    np.testing.assert_allclose(np.asarray(model(x)), run(net, x), **CLOSE)
    again = Net()
    tk.save_parameters(model, tmp_path / "f.safetensors")
    tk.load_parameters(again, tmp_path / "f.safetensors")
    np.testing.assert_allclose(run(again, x), np.asarray(model(x)), **CLOSE)


def test_variables_of_linen_load_into_torch() -> None:
    """`params` and `batch_stats` are collections and no layers; a plain tree says no layout, so the call does."""
    linen = pytest.importorskip("flax.linen")
    jax = pytest.importorskip("jax")

    class Model(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            x = linen.Conv(6, (3, 3), padding="VALID", name="c")(x)
            x = linen.BatchNorm(use_running_average=True, name="b")(x)
            return linen.Dense(7, name="d")(x.mean((1, 2)))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.b, self.d = nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 7)

        def forward(self, x: Any) -> Any:
            return self.d(self.b(self.c(x)).mean((2, 3)))

    model, net = Model(), Net().eval()
    variables = model.init(jax.random.key(0), X)
    tk.load_parameters(net, variables, layout="flax")

    np.testing.assert_allclose(run(net, channels_first(X)), np.asarray(model.apply(variables, X)), **CLOSE)


class Up(nn.Module):
    """Transposed convolutions, with as many outputs as inputs and with fewer."""

    def __init__(self) -> None:
        super().__init__()
        self.even, self.odd = nn.ConvTranspose2d(4, 4, 3), nn.ConvTranspose2d(4, 3, 2)

    def forward(self, x: Any) -> Any:
        return self.odd(self.even(x).relu())


def flax_up(turned: bool) -> Any:
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self) -> None:
            rngs = nnx.Rngs(0)
            options = {"padding": "VALID", "transpose_kernel": turned, "rngs": rngs}
            self.even = nnx.ConvTranspose(4, 4, (3, 3), **options)
            self.odd = nnx.ConvTranspose(4, 3, (2, 2), **options)

        def __call__(self, x: Any) -> Any:
            return self.odd(nnx.relu(self.even(x)))

    return Net()


@pytest.mark.parametrize("turned", [False, True], ids=["mirrored", "transpose_kernel"])
@pytest.mark.parametrize("name", ["f.safetensors", "f.npz"])
def test_a_file_says_how_its_transposed_kernels_lie(tmp_path: Path, turned: bool, name: str) -> None:
    """Shapes alone do not tell where a layer has as many inputs as outputs; the metadata do, and nothing is noted."""
    model, net = flax_up(turned), Up()
    tk.save_parameters(model, tmp_path / name)
    report = tk.load_parameters(net, tmp_path / name)

    np.testing.assert_allclose(run(net, channels_first(X)), channels_first(np.asarray(model(X))), **CLOSE)
    assert report.notes == ()


@pytest.mark.parametrize("turned", [False, True], ids=["mirrored", "transpose_kernel"])
def test_transposed_kernels_that_both_readings_fit_are_noted(turned: bool) -> None:
    """linen's variables do not say it: the report names the kernel and the layout= that decides, and that one is right."""
    linen = pytest.importorskip("flax.linen")
    jax = pytest.importorskip("jax")

    class Model(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            options = {"padding": "VALID", "transpose_kernel": turned}
            x = linen.relu(linen.ConvTranspose(4, (3, 3), name="even", **options)(x))
            return linen.ConvTranspose(3, (2, 2), name="odd", **options)(x)

    model, plain, other = Model(), Up(), Up()
    variables = model.init(jax.random.key(0), X)
    expected = channels_first(np.asarray(model.apply(variables, X)))
    report = tk.load_parameters(plain, variables, layout="flax")
    decided = tk.load_parameters(other, variables, layout="flax(transpose_kernel)")
    right, wrong = (other, plain) if turned else (plain, other)

    np.testing.assert_allclose(run(right, channels_first(X)), expected, **CLOSE)
    assert not np.allclose(run(wrong, channels_first(X)), expected, **CLOSE)
    assert "note: params.even.kernel: kernels of Flax's ConvTranspose lie otherwise" in str(report)
    assert "load with layout='flax(transpose_kernel)'" in str(report)
    assert "odd" not in " ".join(report.notes)
    assert decided.notes == ()


def test_a_flax_model_of_the_other_transpose_kernel_is_refused(tmp_path: Path) -> None:
    """The shapes fit and the outputs would be wrong; layout='same' takes the values all the same."""
    tk.save_parameters(flax_up(True), tmp_path / "f.safetensors")
    nnx = pytest.importorskip("flax.nnx")
    model = nnx.ConvTranspose(4, 4, (3, 3), padding="VALID", rngs=nnx.Rngs(1))

    with pytest.raises(tk.MismatchError, match="kernel: the file's ConvTranspose has transpose_kernel=True"):
        tk.load_parameters(model, tmp_path / "f.safetensors", rename={"even.": ""}, ignore_extra=True)
    report = tk.load_parameters(
        model, tmp_path / "f.safetensors", rename={"even.": ""}, ignore_extra=True, layout="same"
    )
    assert len(report.matched) == 2
    again = flax_up(True)
    assert tk.load_parameters(again, tmp_path / "f.safetensors").complete


@pytest.mark.parametrize("mark", ["no json", "[" * 100_000, "[1]", '{"even.kernel": "yes", "other": true}'])
def test_a_mark_that_says_nothing_is_passed_over(tmp_path: Path, mark: str) -> None:
    """What stands in a stranger's metadata decides nothing by accident; the note stays."""
    metadata = {"transpose_kernel": mark, "tensor_layout": "flax"}
    tensors = {
        name: np.asarray(value) for name, value in tk.load(_saved(flax_up(False), tmp_path / "a.safetensors")).items()
    }
    tk.save(tmp_path / "f.safetensors", tensors, metadata=metadata)

    assert "even.kernel: kernels of Flax's" in str(tk.load_parameters(Up(), tmp_path / "f.safetensors"))


def _saved(model: Any, path: Path) -> Path:
    tk.save_parameters(model, path)
    return path


def test_equinox_and_torch(tmp_path: Path) -> None:
    """The bias of a convolution has axes of its own; transposed kernels are mirrored and regrouped; there and back."""
    eqx = pytest.importorskip("equinox")
    jax = pytest.importorskip("jax")

    class Model(eqx.Module):
        c1: Any
        ct: Any
        fc: Any

        def __init__(self, key: Any) -> None:
            a, b, c = jax.random.split(key, 3)
            self.c1 = eqx.nn.Conv2d(4, 6, 3, groups=2, key=a)
            self.ct = eqx.nn.ConvTranspose2d(6, 10, 3, stride=2, groups=2, key=b)
            self.fc = eqx.nn.Linear(10 * 11 * 13, 7, key=c)

        def __call__(self, x: Any) -> Any:
            return self.fc(self.ct(self.c1(x)).reshape(-1))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1 = nn.Conv2d(4, 6, 3, groups=2)
            self.ct = nn.ConvTranspose2d(6, 10, 3, stride=2, groups=2)
            self.fc = nn.Linear(10 * 11 * 13, 7)

        def forward(self, x: Any) -> Any:
            return self.fc(self.ct(self.c1(x)).flatten(1))

    x = np.ascontiguousarray(channels_first(X))
    model, net = Model(jax.random.key(0)), Net()
    tk.save_parameters(model, tmp_path / "e.safetensors")
    tk.load_parameters(net, tmp_path / "e.safetensors")

    np.testing.assert_allclose(run(net, x), np.asarray(jax.vmap(model)(x)), rtol=1e-4, atol=1e-5)
    net = torch_net(Net)
    tk.save_parameters(net, tmp_path / "t.pt")
    filled = tk.load_parameters(Model(jax.random.key(1)), tmp_path / "t.pt").model
    np.testing.assert_allclose(np.asarray(jax.vmap(filled)(x)), run(net, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_cells_of_equinox_and_torch(tmp_path: Path, kind: str) -> None:
    """One bias, and of a GRU the last gate's own."""
    eqx = pytest.importorskip("equinox")
    jax = pytest.importorskip("jax")
    x = np.random.RandomState(0).randn(4).astype("float32")
    h = np.random.RandomState(1).randn(3).astype("float32")

    def outputs(cell: Any, net: Any) -> tuple[Any, Any]:
        state = (h, h) if kind == "LSTM" else h
        ours = cell(x, state)
        given = torch.from_numpy(h)[None]
        with torch.no_grad():
            theirs = net(torch.from_numpy(x)[None], (given, given) if kind == "LSTM" else given)
        return np.stack(ours).reshape(-1), np.concatenate([t.numpy().reshape(-1) for t in theirs])

    cell, net = getattr(eqx.nn, f"{kind}Cell")(4, 3, key=jax.random.key(0)), getattr(nn, f"{kind}Cell")(4, 3)
    tk.save_parameters(cell, tmp_path / "e.safetensors")
    tk.load_parameters(net, tmp_path / "e.safetensors")
    np.testing.assert_allclose(*outputs(cell, net), **CLOSE)
    net = torch_net(lambda: getattr(nn, f"{kind}Cell")(4, 3))
    tk.save_parameters(net, tmp_path / "t.safetensors")
    filled = tk.load_parameters(cell, tmp_path / "t.safetensors").model

    np.testing.assert_allclose(*outputs(filled, net), **CLOSE)


def test_a_layer_that_no_rule_knows_is_refused(tmp_path: Path) -> None:
    """A kernel into a class of the user's own: its axes are not guessed, a square one would fit either way."""
    nnx = pytest.importorskip("flax.nnx")

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.zeros(3, 3)), nn.Parameter(torch.zeros(3))

    net = nn.ModuleDict({"a": Own()})
    source = nnx.Dict(a=nnx.Linear(3, 3, rngs=nnx.Rngs(0)))
    tk.save_parameters(source, tmp_path / "f.safetensors")

    with pytest.raises(tk.MismatchError, match=r"a\.weight: how the axes of a Own correspond between flax and torch"):
        tk.load_parameters(net, tmp_path / "f.safetensors")


def test_files_without_room_for_the_layout_go_back_where_they_came_from(tmp_path: Path) -> None:
    """A Keras model in a .params file: its kernels are no words of MXNet, so nothing is turned."""
    keras = pytest.importorskip("keras")
    layers = keras.layers

    def model() -> Any:
        return drawn(keras.Sequential([layers.Input((3,)), layers.Dense(3, name="a"), layers.Dense(3, name="b")]))

    first, second = model(), model()
    second.layers[0].kernel.assign(np.zeros((3, 3)))
    tk.save_parameters(first, tmp_path / "k.params")

    report = tk.load_parameters(second, tmp_path / "k.params")

    assert report.layout == ""
    assert np.array_equal(np.asarray(second.layers[0].kernel), np.asarray(first.layers[0].kernel))


def test_names_are_proposed_across_frameworks(tmp_path: Path) -> None:
    """Kernels have other axes: their sizes pair them, and the rules load with equal outputs."""
    pytest.importorskip("scipy")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = drawn(
        keras.Sequential([layers.Input((4,)), layers.Dense(6, name="hidden"), layers.Dense(3, name="output")])
    )
    net = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3))
    tk.save_parameters(model, tmp_path / "k.safetensors")

    proposal = tk.match(net, tmp_path / "k.safetensors")
    tk.load_parameters(net, tmp_path / "k.safetensors", rename=proposal.rules)

    assert proposal.rules["hidden.kernel"] == "0.weight"
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(run(net, x), np.asarray(model(x)), **CLOSE)
