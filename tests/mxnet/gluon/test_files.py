"""Files that MXNet 1.9.1's gluon wrote: networks that load them compute the same, and write the same bytes again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet import gluon, nd
from tensorkeep.mxnet.gluon import nn

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "gluon"
RECORD = json.loads((GOLDEN / "fixtures.json").read_text("utf-8"))
RTOL = 2e-6  # float32: sums are added up in another order


def cnn() -> Any:
    net = nn.HybridSequential(prefix="cnn_")
    with net.name_scope():
        net.add(
            nn.Conv2D(4, 3, padding=1, in_channels=2), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D(2),
            nn.Conv2D(3, 1, use_bias=False), nn.PReLU(), nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dropout(0.5),
            nn.Dense(3),
        )  # fmt: skip
    return net


def sequential(prefix: str | None = "sequential0_") -> Any:
    net = nn.Sequential(prefix=prefix)
    with net.name_scope():
        net.add(nn.Dense(10, activation="relu"), nn.Dense(2))
    return net


class Shared(gluon.HybridBlock):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.c = self.params.get_constant("c", nd.array([[1, 2, 3]]))
            self.a = nn.Dense(3, in_units=3)
            self.b = nn.Dense(3, in_units=3, params=self.a.params)

    def hybrid_forward(self, F: Any, x: Any, c: Any) -> Any:
        return F.broadcast_add(self.b(F.tanh(self.a(x))), c)


class Multi(gluon.HybridBlock):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.d = nn.Dense(2, in_units=3)
            self.e = nn.Embedding(5, 3)

    def hybrid_forward(self, F: Any, x: Any, y: Any) -> Any:
        e = self.e(y)
        return [self.d(x), e], (F.concat(x, e, dim=1), x * 2)


NETWORKS: dict[str, tuple[Callable[[], Any], str]] = {
    "seq_save_params.params": (sequential, "save_params"),
    "seq_save_parameters.params": (sequential, "save_parameters"),
    "dense_save_parameters.params": (lambda: nn.Dense(2), "save_parameters"),
    "cnn.params": (cnn, "save_parameters"),
    "cnn_save_params.params": (cnn, "save_params"),
    "shared.params": (Shared, "save_parameters"),
    "lstm.params": (lambda: gluon.rnn.LSTM(4, 2, bidirectional=True), "save_parameters"),
    "gru.params": (lambda: gluon.rnn.GRU(4, 2), "save_parameters"),
    "rnn_relu.params": (lambda: gluon.rnn.RNN(4, 2), "save_parameters"),
    "sparse_grad_emb.params": (lambda: nn.Embedding(6, 2, sparse_grad=True), "save_parameters"),
}


def recorded(name: str, what: str) -> np.ndarray:
    record = RECORD["files"][name]
    return np.array(record[f"{what}_values"], np.float32).reshape(record[f"{what} shape"])


def same(found: Any, name: str) -> None:
    np.testing.assert_allclose(found.asnumpy(), recorded(name, "output"), rtol=RTOL, atol=RTOL)


@pytest.mark.filterwarnings("ignore:save_params is deprecated")
@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_load_compute_and_save_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    """load_parameters, forward, and save_parameters or save_params, as MXNet wrote the file."""
    build, save = NETWORKS[name]
    net = build()

    net.load_parameters(str(GOLDEN / name))
    getattr(net, save)(str(tmp_path / name))

    assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()
    if "output_values" in RECORD["files"][name]:
        same(net(nd.array(recorded(name, "input"))), name)


def test_shared_parameters_are_saved_once(tmp_path: Path) -> None:
    """deduplicate=True keeps the last name, and the other one is not missed."""
    net = Shared()
    net.load_parameters(str(GOLDEN / "shared_dedup.params"))

    net.save_parameters(str(tmp_path / "d"), deduplicate=True)

    assert (tmp_path / "d").read_bytes() == (GOLDEN / "shared_dedup.params").read_bytes()
    same(net(nd.array(recorded("shared_dedup.params", "input"))), "shared_dedup.params")


def test_collected_parameters_load_and_save_to_the_same_bytes(tmp_path: Path) -> None:
    """ParameterDict.load and save with whole names; the dict prints as MXNet's."""
    name = "seq_collect_params.params"
    net = sequential()
    params = net.collect_params()

    params.load(str(GOLDEN / name))
    params.save(str(tmp_path / name))

    assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()
    assert repr(params) == RECORD["files"][name]["repr"]
    assert repr(net) == RECORD["files"][name]["net_repr"]


def traced_cnn() -> Any:
    """The network of the fixtures, in the state in which it was exported: run once, then traced."""
    net = cnn()
    net.initialize()
    data = nd.array(recorded("cnn.params", "input"))
    net(data)
    net.load_parameters(str(GOLDEN / "cnn.params"))
    net.hybridize()
    net(data)
    return net


def test_export_writes_the_same_bytes(tmp_path: Path) -> None:
    """Graph and parameters of a hybridized network."""
    net = traced_cnn()

    net.export(str(tmp_path / "cnn"), epoch=7)

    assert (tmp_path / "cnn-symbol.json").read_text() == (GOLDEN / "cnn-symbol.json").read_text()
    assert (tmp_path / "cnn-0007.params").read_bytes() == (GOLDEN / "cnn-0007.params").read_bytes()


def test_block_save_writes_the_same_bytes_and_loads_them(tmp_path: Path) -> None:
    """Block.save and Block.load: structure, traced graph and parameters."""
    traced_cnn().save(str(tmp_path / "cnn_blocksave"))
    other = cnn()

    other.load(str(tmp_path / "cnn_blocksave"))

    for name in ("cnn_blocksave-model.json", "cnn_blocksave-model.params"):
        assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()
    same(other(nd.array(recorded("cnn.params", "input"))), "cnn.params")


@pytest.mark.filterwarnings("ignore:Cannot decide type")  # as MXNet warns
@pytest.mark.parametrize("name", ["cnn-0007", "cnn_fp16-0000"])
def test_exported_networks_are_imported(name: str, tmp_path: Path) -> None:
    """SymbolBlock.imports computes what MXNet computed."""
    block = gluon.SymbolBlock.imports(str(GOLDEN / "cnn-symbol.json"), ["data"], str(GOLDEN / f"{name}.params"))
    dtypes = {str(np.dtype(param.dtype)) for param in block.collect_params().values()}
    block.cast("float32")  # MXNet recorded the output of the widened parameters

    out = block(nd.array(recorded("cnn-0007.params", "input")))

    assert dtypes == ({"float32"} if name == "cnn-0007" else {"float16", "float32"})
    np.testing.assert_allclose(
        out.asnumpy().ravel(), RECORD["files"][f"{name}.params"]["output_values"], rtol=RTOL, atol=RTOL
    )


@pytest.mark.filterwarnings("ignore:Cannot decide type")
def test_an_imported_network_saves_as_mxnet_does(tmp_path: Path) -> None:
    """Names of SymbolBlock.save_parameters and of its ParameterDict."""
    block = gluon.SymbolBlock.imports(str(GOLDEN / "cnn-symbol.json"), ["data"], str(GOLDEN / "cnn-0007.params"))

    block.save_parameters(str(tmp_path / "a"))
    block.collect_params().save(str(tmp_path / "b"))

    assert (tmp_path / "a").read_bytes() == (GOLDEN / "cnn_symbolblock.params").read_bytes()
    assert (tmp_path / "b").read_bytes() == (GOLDEN / "cnn_symbolblock_pd.params").read_bytes()


@pytest.mark.filterwarnings("ignore:Cannot decide type")
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_relu"])
def test_exported_recurrent_layers_are_imported(name: str) -> None:
    """The fused operator and its states."""
    params = f"{name}-0000.params"
    states = 2 if name == "lstm" else 1
    inputs = [f"data{i}" for i in range(states + 1)]
    block = gluon.SymbolBlock.imports(str(GOLDEN / f"{name}-symbol.json"), inputs, str(GOLDEN / params))
    layers = 4 if name == "lstm" else 2
    begin = [nd.zeros((layers, 2, 4)) for _ in range(states)]

    out = block(nd.array(recorded(params, "input")), *begin)

    same(out, params)


@pytest.mark.filterwarnings("ignore:Cannot decide type")
def test_several_inputs_and_outputs_are_imported() -> None:
    """data0, data1; nested outputs come flat."""
    record = RECORD["files"]["multi-0000.params"]
    block = gluon.SymbolBlock.imports(
        str(GOLDEN / "multi-symbol.json"), ["data0", "data1"], str(GOLDEN / "multi-0000.params")
    )

    outs = block(*[nd.array(np.reshape(a["values"], a["shape"])) for a in record["inputs"].values()])

    assert [out.shape for out in outs] == [tuple(out["shape"]) for out in record["outputs"]]
    for out, expected in zip(outs, record["outputs"], strict=True):
        np.testing.assert_allclose(out.asnumpy().ravel(), expected["values"], rtol=RTOL, atol=RTOL)


def test_several_inputs_and_outputs_are_exported(tmp_path: Path) -> None:
    """The same network, written to the same bytes."""
    net = Multi(prefix="multi_")
    net.collect_params().load(str(GOLDEN / "multi-0000.params"))
    net.hybridize()
    inputs = RECORD["files"]["multi-0000.params"]["inputs"].values()
    outs = net(*[nd.array(np.reshape(a["values"], a["shape"])) for a in inputs])

    net.export(str(tmp_path / "multi"))

    assert [type(outs[0]), type(outs[1])] == [list, list]
    for name in ("multi-symbol.json", "multi-0000.params"):
        assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


class _MLP(nn.Block):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = nn.Dense(16, activation="relu")
        self.output = nn.Dense(10)

    def forward(self, x: Any) -> Any:
        return self.output(self.hidden(x))


@pytest.fixture
def np_semantics() -> Any:
    mx.npx.set_np()
    yield
    mx.npx.reset_np()


def test_parameters_of_numpy_semantics(np_semantics: None, tmp_path: Path) -> None:
    """The second chapter's network: V3 records."""
    name = "np_mlp.params"
    net = _MLP()

    net.load_parameters(str(GOLDEN / name))
    net.save_parameters(str(tmp_path / name))

    assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()
    out = net(mx.np.array(recorded(name, "input")))
    assert type(out) is mx.np.ndarray
    same(out, name)


def test_classic_files_load_under_numpy_semantics(np_semantics: None, tmp_path: Path) -> None:
    """load_parameters reads V2 records of dotted names; dotless ones are refused, as by MXNet."""
    net = sequential()

    net.load_parameters(str(GOLDEN / "seq_save_parameters.params"))

    assert type(net[0].weight.data()) is mx.np.ndarray
    with pytest.raises(mx.MXNetError, match="np shape semantics"):
        sequential().load_parameters(str(GOLDEN / "seq_save_params.params"))


@pytest.mark.filterwarnings("ignore:Cannot decide type")
def test_exported_networks_of_numpy_semantics(np_semantics: None) -> None:
    """SymbolBlock.imports under set_np."""
    name = "np_export-0000.params"
    block = gluon.SymbolBlock.imports(str(GOLDEN / "np_export-symbol.json"), ["data"], str(GOLDEN / name))

    out = block(mx.np.array(recorded(name, "input")))

    assert type(out) is mx.np.ndarray
    same(out, name)


def test_an_exported_file_loads_into_the_network_itself() -> None:
    """Names behind arg: and aux: are whole; MXNet 1.9.1 puts the prefix before them again and fails."""
    net = cnn()

    net.load_parameters(str(GOLDEN / "cnn-0007.params"))

    same(net(nd.array(recorded("cnn.params", "input"))), "cnn.params")


def test_a_file_of_mxnet_2_loads(tmp_path: Path) -> None:
    """savez's archive of structural names, and those behind arg: that 2.0 exports."""
    source = nd.load(str(GOLDEN / "seq_save_parameters.params"))
    np.savez(tmp_path / "two.params.npz", **{name: array.asnumpy() for name, array in source.items()})
    nd.save(str(tmp_path / "export.params"), {f"arg:{name}": array for name, array in source.items()})
    expected = sequential()
    expected.load_parameters(str(GOLDEN / "seq_save_parameters.params"))
    data = nd.ones((2, 3))

    for name in ("two.params.npz", "export.params"):
        net = sequential()
        net.load_parameters(str(tmp_path / name))

        assert np.array_equal(net(data).asnumpy(), expected(data).asnumpy())
