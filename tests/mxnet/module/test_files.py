"""Checkpoints of real MXNet 1.9.1's Modules: loaded, used, and written again to the byte; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet.base import MXNetError

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet"
MODULE = GOLDEN / "module"
FACTS = json.loads((MODULE / "facts.json").read_text("utf-8"))
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.1},
    "sgd_mom": {"learning_rate": 0.1, "momentum": 0.9},
    "adam": {"learning_rate": 0.01},
}


def same(a: Path, b: Path) -> bool:
    return a.read_bytes() == b.read_bytes()


def bound(prefix: str, epoch: int, **kwargs: Any) -> Any:
    module = mx.mod.Module.load(str(MODULE / prefix), epoch, **kwargs)
    module.bind([("data", (24, 4))], [("softmax_label", (24,))])
    return module


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_checkpoint_predicts_what_mxnet_predicted(epoch: int) -> None:
    """The outputs of a loaded Module are those that MXNet gave for the same data."""
    facts = FACTS["files"][f"module/mx_mlp-{epoch:04d}.params"]
    data = np.array(facts["input_values"], dtype="float32").reshape(24, 4)
    module = bound("mx_mlp", epoch)

    found = module.predict(mx.io.NDArrayIter(data, np.zeros(24), 24)).asnumpy()

    want = np.array(facts["output_values"], dtype="float32").reshape(24, 3)
    np.testing.assert_allclose(found, want, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("store", ["kv", "nokv"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_checkpoint_with_states_is_written_to_the_byte(optimizer: str, store: str, tmp_path: Path) -> None:
    """Symbol, parameters and the optimizer's states of MXNet are the same files when they are saved again."""
    prefix = f"{optimizer}_{store}"
    module = bound(prefix, 2, load_optimizer_states=True)
    kind = optimizer.partition("_")[0]
    module.init_optimizer(kvstore=None, optimizer=kind, optimizer_params=OPTIMIZERS[optimizer])
    module.save_checkpoint(str(tmp_path / prefix), 2, save_optimizer_states=True)

    for ending in ("-symbol.json", "-0002.params", "-0002.states"):
        assert same(tmp_path / (prefix + ending), MODULE / (prefix + ending)), ending


@pytest.mark.filterwarnings("ignore:.*FeedForward has been deprecated")
def test_a_feed_forward_model_is_written_to_the_byte(tmp_path: Path) -> None:
    """FeedForward.load and save."""
    model = mx.model.FeedForward.load(str(MODULE / "feedforward"), 1)
    model.save(str(tmp_path / "feedforward"), 1)

    assert same(tmp_path / "feedforward-symbol.json", MODULE / "feedforward-symbol.json")
    assert same(tmp_path / "feedforward-0001.params", MODULE / "feedforward-0001.params")


def test_weights_of_a_recurrent_cell_are_packed_and_unpacked(tmp_path: Path) -> None:
    """load_rnn_checkpoint and save_rnn_checkpoint give MXNet's file back."""
    hidden = mx.nd.load(str(MODULE / "rnn-0001.params"))["arg:lstm_i2h_i_weight"].shape[0]
    cell = mx.rnn.LSTMCell(hidden, prefix="lstm_")
    symbol, args, aux = mx.rnn.load_rnn_checkpoint(cell, str(MODULE / "rnn"), 1)
    mx.rnn.save_rnn_checkpoint(cell, str(tmp_path / "rnn"), 1, symbol, args, aux)

    assert args["lstm_i2h_weight"].shape[0] == 4 * hidden
    assert same(tmp_path / "rnn-symbol.json", MODULE / "rnn-symbol.json")
    found, want = mx.nd.load(str(tmp_path / "rnn-0001.params")), mx.nd.load(str(MODULE / "rnn-0001.params"))
    assert found.keys() == want.keys()
    assert all(np.array_equal(found[name].asnumpy(), want[name].asnumpy()) for name in want)


def test_a_loaded_symbol_equals_the_trained_one(tmp_path: Path) -> None:
    """load_checkpoint gives a symbol whose JSON is the file's, for `assert sym.tojson() == net.tojson()`."""
    symbol, args, aux = mx.model.load_checkpoint(str(MODULE / "mx_mlp"), 3)
    mx.model.save_checkpoint(str(tmp_path / "again"), 3, symbol, args, aux)

    assert symbol.tojson() == (MODULE / "mx_mlp-symbol.json").read_text()
    assert same(tmp_path / "again-0003.params", MODULE / "mx_mlp-0003.params")


def unbound() -> Any:
    return mx.mod.Module(mx.sym.load(str(MODULE / "mx_mlp-symbol.json")))


def with_params(change: Any) -> Any:
    module = bound("mx_mlp", 3)
    args, aux = (dict(params) for params in module.get_params())
    change(args)
    return module.set_params(args, aux)


REFUSED = {
    "module_load_missing_epoch": lambda: mx.mod.Module.load(str(MODULE / "mx_mlp"), 99),
    "module_set_params_unbound": lambda: unbound().set_params({}, {}),
    "module_get_params_unbound": lambda: unbound().get_params(),
    "module_bind_ellipsis": lambda: unbound().bind(...),
    "module_set_params_missing": lambda: with_params(lambda args: args.pop("fc1_weight")),
    "module_set_params_shape": lambda: with_params(lambda args: args.update(fc1_weight=mx.nd.ones((1, 1)))),
    "module_bad_data_name": lambda: mx.mod.Module(unbound().symbol, data_names=["nope"]),
    "module_load_params_bad_prefix": lambda: bound("mx_mlp", 3).load_params(str(MODULE / "bad_prefix.params")),
    "sym_load_nofile": lambda: mx.sym.load("/nonexistent-symbol.json"),
    "sym_load_pathlib": lambda: mx.sym.load(Path("x")),
    "sym_load_bad_attr": lambda: mx.sym.load_json(
        '{"nodes": [{"op": "null", "name": "d", "inputs": []}, {"op": "Activation", "name": "q", "attrs": '
        '{"act_type": "bogus"}, "inputs": [[0, 0, 0]]}], "arg_nodes": [0], "heads": [[1, 0, 0]]}'
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_keeps_mxnets_type_and_sentence(name: str) -> None:
    """What MXNet's users know, without its C++ file, line and condition."""
    facts = FACTS["errors"][name]
    text = facts["message"].replace("<OUT>", str(GOLDEN))
    for cut in ("Check failed: assign(&dattr, vec.at(i)): ", "Check failed: allow_null: :", "MXNetError: "):
        text = text.rpartition(cut)[2]

    with pytest.raises(Exception) as caught:  # its type is compared below
        REFUSED[name]()
    assert type(caught.value).__name__ == facts["raised"].rpartition(".")[2]
    assert text.strip() in str(caught.value)


def test_parameters_with_other_names_are_ignored() -> None:
    """set_params takes what it needs and leaves the rest, with and without allow_extra."""
    with_params(lambda args: args.update(other=mx.nd.ones((2,))))


def test_operators_that_cannot_be_computed_are_listed_before_anything_runs(tmp_path: Path) -> None:
    """A symbol with unknown operators loads and saves; binding it names them all."""
    text = (
        '{"nodes": [{"op": "null", "name": "d", "inputs": []}, {"op": "Mystery", "name": "a", "inputs": [[0, 0, 0]]}, '
        '{"op": "Mystery", "name": "b", "inputs": [[1, 0, 0]]}, {"op": "Riddle", "name": "c", "inputs": [[2, 0, 0]]}], '
        '"arg_nodes": [0], "heads": [[3, 0, 0]], "attrs": {"mxnet_version": ["int", 10901]}}'
    )
    symbol = mx.sym.load_json(text)
    symbol.save(str(tmp_path / "x.json"))

    assert mx.sym.load(str(tmp_path / "x.json")).list_outputs() == ["c_output"]
    with pytest.raises(MXNetError) as caught:
        symbol.bind(mx.cpu(), {"d": mx.nd.ones((1,))})
    assert "Mystery: 2 nodes (a, b)" in str(caught.value)
    assert "Riddle: 1 node (c)" in str(caught.value)
