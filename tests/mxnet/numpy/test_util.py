"""The switches of NumPy semantics."""

from __future__ import annotations

import logging
from typing import Any

import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet import util
from tensorkeep.mxnet._state import state


@pytest.fixture(autouse=True)
def switches() -> Any:
    """Both semantics are off, and are what they were afterwards."""
    before = state.np_shape, state.np_array
    state.np_shape = state.np_array = False
    yield
    state.np_shape, state.np_array = before


def both() -> tuple[bool, bool]:
    return util.is_np_shape(), util.is_np_array()


def test_set_np_switches_both_and_reset_np_back() -> None:
    """One call for shapes and arrays."""
    mx.npx.set_np()
    on = both()
    mx.npx.reset_np()

    assert (on, both()) == ((True, True), (False, False))


def test_arrays_need_shapes() -> None:
    """NumPy arrays without NumPy shapes are refused, in either order."""
    with pytest.raises(ValueError, match="NumPy Shape semantics is required in using NumPy array semantics"):
        util.set_np(shape=False, array=True)
    mx.npx.set_np()
    with pytest.raises(ValueError, match="Deactivating NumPy shape semantics while NumPy array semantics"):
        util.set_np_shape(False)


def test_set_np_logs_what_mxnet_logs_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines at INFO, the first time."""
    monkeypatch.setattr(util, "_logged", set())
    with caplog.at_level(logging.INFO):
        mx.npx.set_np()
        mx.npx.set_np()

    assert [record.message.split(" has been")[0] for record in caplog.records] == [
        "NumPy array semantics",
        "NumPy-shape semantics",
    ]


def test_scopes_nest_and_end() -> None:
    """np_shape and np_array hold inside their block only."""
    with util.np_shape(True), util.np_array(True):
        inside = both()
        with util.np_array(False):
            less = both()

    assert (inside, less, both()) == ((True, True), (True, False), (False, False))


def test_use_np_wraps_functions_classes_and_properties() -> None:
    """Everything of a class runs with NumPy semantics, even properties that can be set."""

    @util.use_np
    class Asked:
        kept = None

        def method(self) -> tuple[bool, bool]:
            return both()

        @property
        def value(self) -> tuple[bool, bool]:
            return both()

        @value.setter
        def value(self, new: Any) -> None:
            self.kept = (new, both())

    asked = Asked()
    asked.value = 1

    assert util.use_np(both)() == (True, True)
    assert (asked.method(), asked.value, asked.kept) == ((True, True), (True, True), (1, (True, True)))
    assert both() == (False, False)


def test_use_np_refuses_what_cannot_be_called() -> None:
    """With MXNet's sentence."""
    with pytest.raises(TypeError, match="can only decorate classes and callable objects"):
        util.use_np(3)


def test_without_numpy_shapes_an_element_has_one_dimension() -> None:
    """0-d arrays come with the switch."""
    legacy = mx.nd.ones((2,))[0].shape
    mx.npx.set_np()

    assert (legacy, mx.np.ones(2)[0].shape) == ((1,), ())


def test_environment_variables_are_set_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """setenv and getenv."""
    monkeypatch.delenv("TENSORKEEP_TEST", raising=False)
    util.setenv("TENSORKEEP_TEST", "1")
    found = util.getenv("TENSORKEEP_TEST")
    util.setenv("TENSORKEEP_TEST", None)

    assert (found, util.getenv("TENSORKEEP_TEST")) == ("1", None)
