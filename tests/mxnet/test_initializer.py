"""Initializers against what real MXNet 1.9.1 filled in (tools/mxnet_initializers.py asks it again)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensorkeep.mxnet import initializer, random  # noqa: E402
from tensorkeep.mxnet._state import state  # noqa: E402
from tensorkeep.mxnet.ndarray.ndarray import array  # noqa: E402
from tests.mxnet.cases_initializer import CASES  # noqa: E402

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "mxnet" / "initializer.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize(("key", "make", "name", "shape", "dtype"), CASES, ids=[case[0] for case in CASES])
def test_initializer_gives_mxnets_digits(
    key: str, make: Callable[[Any], Any], name: str, shape: tuple[int, ...], dtype: str
) -> None:
    """Values, JSON and refusals are those of MXNet after the same seed."""
    want = GOLDEN[key]
    random.seed(31)
    arr = array(np.zeros(shape, dtype), dtype=dtype)

    if "error" in want:
        kind, text = want["error"]
        with pytest.raises((AssertionError, ValueError)) as caught:
            make(initializer)(initializer.InitDesc(name), arr)
        # MXNet forgot to fill in the name in one of them.
        assert (type(caught.value).__name__, str(caught.value)) == (kind, text.replace("%s", name))
        return
    init = make(initializer)
    init(initializer.InitDesc(name), arr)
    got, expected = arr.asnumpy().ravel(), np.array(want["values"], dtype)
    if key.startswith("Orthogonal"):  # LAPACK is free to choose the signs of singular vectors
        np.testing.assert_allclose(np.abs(got), np.abs(expected), rtol=2e-6, atol=2e-6)
    else:
        np.testing.assert_array_equal(got, expected)
    assert (init.dumps() if hasattr(init, "dumps") else None) == want["dumps"]


def test_attribute_of_a_variable_goes_before_the_global_initializer() -> None:
    """`__init__` in the description's attributes names the initializer, whatever the name ends in."""
    arr = array(np.zeros((2, 2), "float32"))
    initializer.Uniform()(initializer.InitDesc("x_state", {"__init__": initializer.One().dumps()}), arr)

    assert (arr.asnumpy() == 1).all()


def test_plain_names_still_work_with_a_warning() -> None:
    """A str instead of an InitDesc goes by the old table of endings."""
    arr = array(np.zeros((2, 2), "float32"))
    with pytest.warns(DeprecationWarning, match="has been deprecated"):
        initializer.Uniform()("bn_moving_var", arr)

    assert (arr.asnumpy() == 1).all()


def test_load_takes_arrays_and_their_prefixes() -> None:
    """Names lose "arg:"; another shape is refused in MXNet's words; absent names get the default."""
    given = {"arg:a_weight": array(np.full((2,), 3.0, "float32"))}
    load = initializer.Load(given, default_init=initializer.One())
    first, second = array(np.zeros(2, "float32")), array(np.zeros(2, "float32"))
    load("a_weight", first)
    load(initializer.InitDesc("b_weight"), second)

    assert first.asnumpy().tolist() == [3, 3]
    assert second.asnumpy().tolist() == [1, 1]
    with pytest.raises(AssertionError, match=r"Shape mismatch, target \(3,\) vs loaded \(2,\)"):
        load("a_weight", array(np.zeros(3, "float32")))


def test_numpy_arrays_draw_from_the_serial_twister() -> None:
    """With NumPy arrays switched on, MXNet's initializers use np.random, whose numbers are other ones."""
    arr = array(np.zeros(100, "float32"))
    random.seed(2)
    state.np_array = True
    try:
        initializer.Uniform(1.0)(initializer.InitDesc("weight"), arr)
    finally:
        state.np_array = False
    first = np.random.RandomState(254).randint(0, 2**32, 100, dtype=np.uint32).astype("float32") / np.float32(2**32)

    np.testing.assert_array_equal(arr.asnumpy(), np.float32(-1) + first * np.float32(2))


def test_equal_when_made_alike() -> None:
    """Two initializers of one class with the same parameters are equal."""
    assert initializer.Normal(0.1) == initializer.Normal(0.1)
    assert initializer.Normal(0.1) != initializer.Normal(0.2)
    assert initializer.Zero() != initializer.One()
