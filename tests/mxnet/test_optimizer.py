"""Optimizers against the steps of real MXNet 1.9.1 (tools/mxnet_optimizers.py asks it again), and their files."""

from __future__ import annotations

import io
import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.errors import UnsafeFileError  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402
from tests.mxnet import cases_optimizer as cases  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden" / "mxnet"
STATES = sorted(p for p in GOLDEN.rglob("*.states"))
ROUNDINGS = {"float16": 3e-3, "float32": 2e-6, "float64": 1e-12}


@cache
def golden() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with np.load(GOLDEN / "optimizer.npz") as file:
        stored = {name: file[name] for name in file.files}
    return json.loads(stored.pop("index").tobytes()), stored


@pytest.mark.filterwarnings("ignore:Accumulating with float16", "ignore:learning rate from")
@pytest.mark.parametrize("number", range(len(cases.CASES)), ids=[case[0] for case in cases.CASES])
def test_weights_and_states_are_those_of_mxnet(number: int) -> None:
    """After three and six steps; the states have the same structure, shapes and dtypes."""
    index, stored = golden()
    assert index["cases"][number] == cases.CASES[number][0]
    want = {k.partition("/")[2]: v for k, v in stored.items() if k.startswith(f"{number}/")}
    got = cases.run(mx, cases.CASES[number])

    assert got.keys() == want.keys()
    for name, value in got.items():
        assert (value.shape, value.dtype) == (want[name].shape, want[name].dtype), name
        rtol = ROUNDINGS[cases.CASES[number][2]]
        atol = rtol * float(np.abs(want[name].astype("float64")).max())
        np.testing.assert_allclose(
            value.astype("float64"), want[name].astype("float64"), rtol=rtol, atol=atol, err_msg=name
        )


@pytest.mark.parametrize("number", range(len(cases.SCHEDULERS)))
def test_schedules_are_those_of_mxnet(number: int) -> None:
    """The same learning rate after every update; the same refusals."""
    want = golden()[0]["rates"][number]
    got = cases.rates(mx, *cases.SCHEDULERS[number])

    assert got == (pytest.approx(want, rel=1e-15) if isinstance(want[0], float) else want)


@pytest.mark.parametrize("path", STATES, ids=lambda p: p.name)
def test_states_of_mxnet_are_read_and_written_to_the_byte(path: Path) -> None:
    """What MXNet 1.9.1 wrote gives states (and the optimizer), and they give the same bytes again."""
    updater = mx.optimizer.get_updater(mx.optimizer.SGD())
    data = path.read_bytes()
    updater.set_states(data)

    assert updater.get_states(dump_optimizer=not isinstance(updater.optimizer, mx.optimizer.SGD)) == data or (
        updater.get_states(dump_optimizer=True) == data
    )


def test_bytes_round_trip() -> None:
    """States with the optimizer: equal afterwards, counters and scheduler included, and training goes on."""
    scheduler = mx.lr_scheduler.FactorScheduler(2, 0.5, base_lr=0.001)
    made = mx.optimizer.Adam(lr_scheduler=scheduler, param_idx2name={0: "a_weight"})
    updater = mx.optimizer.get_updater(made)
    weight, grad = mx.nd.array(np.ones(3)), mx.nd.array(np.ones(3))
    for _ in range(5):
        updater(0, grad, weight)
    other = mx.optimizer.get_updater(mx.optimizer.SGD())
    other.set_states(updater.get_states(dump_optimizer=True))
    twin = weight.copy()
    updater(0, grad, weight)
    other(0, grad, twin)

    assert type(other.optimizer) is mx.optimizer.Adam
    assert other.optimizer.num_update == 6
    assert other.optimizer.lr_scheduler.count == updater.optimizer.lr_scheduler.count
    assert np.array_equal(weight.asnumpy(), twin.asnumpy())


class _Evil:
    def __reduce__(self) -> Any:
        return print, ("executed",)


@pytest.mark.parametrize("value", [_Evil(), {0: _Evil()}, io.BytesIO])
def test_nothing_in_states_is_executed(value: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A pickle that asks for anything else is refused, and the updater stays as it was."""
    updater = mx.optimizer.get_updater(mx.optimizer.SGD())
    with pytest.raises(UnsafeFileError, match="not plain data"):
        updater.set_states(pickle.dumps(value))

    assert capsys.readouterr().out == ""
    assert updater.states == {}


def test_records_that_are_no_optimizers_stay_records() -> None:
    """A gluon Parameter is known to the reader, but nothing is made of it."""
    data = b"\x80\x04\x8c\x15mxnet.gluon.parameter\x94\x8c\tParameter\x94\x93\x94)\x81\x94}\x94\x8c\x04name\x94\x8c\x01w\x94sb."
    with pytest.raises(UnsafeFileError, match=r"mxnet\.gluon\.parameter\.Parameter is no optimizer or scheduler"):
        mx.optimizer.get_updater(mx.optimizer.SGD()).set_states(data)


def test_damaged_states_are_an_mxnet_error() -> None:
    """Bytes that are no pickle raise MXNetError and say so."""
    with pytest.raises(MXNetError, match="the optimizer's states"):
        mx.optimizer.get_updater(mx.optimizer.SGD()).set_states(b"\x80\x04")


def test_class_paths_and_names() -> None:
    """Classes carry MXNet's paths; create() goes by the name in any case and refuses others."""
    assert repr(mx.optimizer.SGD) == "<class 'mxnet.optimizer.optimizer.SGD'>"
    assert mx.optimizer.contrib.GroupAdaGrad.__module__ == "mxnet.optimizer.contrib"
    assert type(mx.optimizer.create("ADAM")) is mx.optimizer.Adam
    with pytest.raises(ValueError, match="Cannot find optimizer nonesuch"):
        mx.optimizer.create("nonesuch")


def test_learning_rate() -> None:
    """learning_rate follows the scheduler, which set_learning_rate() must not override."""
    plain = mx.optimizer.SGD(learning_rate=0.3)
    plain.set_learning_rate(0.2)
    scheduled = mx.optimizer.SGD(lr_scheduler=mx.lr_scheduler.FactorScheduler(1, 0.5, base_lr=0.4))
    scheduled.num_update = 2

    assert plain.learning_rate == 0.2
    assert scheduled.learning_rate == 0.2
    with pytest.raises(UserWarning, match="LRScheduler of the optimizer has already been defined"):
        scheduled.set_learning_rate(0.1)


def test_registering_again_warns() -> None:
    """An optimizer of the same name takes the place of the other, with MXNet's warning."""

    class Twice(mx.optimizer.Optimizer):
        pass

    mx.optimizer.register(Twice)
    try:
        with pytest.warns(UserWarning, match="is overriding existing optimizer"):
            mx.optimizer.Optimizer.register(Twice)
        assert type(mx.optimizer.create("twice")) is Twice
    finally:
        del mx.optimizer.Optimizer.opt_registry["twice"]


def test_multipliers_of_gluon_parameters_go_first() -> None:
    """param_dict's lr_mult and wd_mult count before those by index."""

    class Parameter:
        lr_mult, wd_mult = 0.5, 3.0

    made = mx.optimizer.SGD(learning_rate=1.0, wd=0.1, param_dict={0: Parameter()})
    made.set_lr_mult({0: 7.0})

    assert made._get_lr(0) == 0.5
    assert made._get_wd(0) == pytest.approx(0.3)
