"""mx.np, mx.npx and mx.sym.np against real MXNet 1.9.1: what 500 expressions print, raise and compose.

`python tools/mxnet_numpy.py`, run by an interpreter that has MXNet 1.9.1, asks it again.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet._state import state
from tests.mxnet.numpy import expressions, symbols

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "mxnet" / "numpy.json").read_text("utf-8"))
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")

DIFFERENT: dict[str, str] = {
    "methods: reshape word": "MXNet fails while it makes the sentence",
    "gradients: fallback": "MXNet fails while it makes the sentence",
    "functions: tensordot axes": "a third list of axes is ignored by MXNet",
    "0-d: percentile": "MXNet refuses it, NumPy and we do not",
    "fallbacks: result_type": "NumPy 2 has a class for each dtype",
}
"""Expressions whose answer is another one on purpose, with the reason."""


@pytest.fixture(autouse=True)
def numpy_semantics() -> Any:
    """NumPy semantics are on, and what the expressions switch is switched back."""
    before = state.np_shape, state.np_array
    state.np_shape = state.np_array = True
    yield
    state.np_shape, state.np_array = before


def close(got: str, want: str) -> bool:
    """Whether two texts are the same but for the last digits of their numbers."""
    if re.sub(r"\s", "", NUMBER.sub("#", got)) != re.sub(r"\s", "", NUMBER.sub("#", want)):
        return False
    pairs = zip(NUMBER.findall(got), NUMBER.findall(want), strict=True)
    return all(np.isclose(float(x), float(y), rtol=2e-6, atol=1e-7) for x, y in pairs)


@pytest.mark.parametrize(
    ("topic", "name"), [(topic, name) for topic, cases in expressions.TOPICS.items() for name in cases]
)
@pytest.mark.filterwarnings("ignore")
def test_expression_gives_what_mxnet_gives(topic: str, name: str) -> None:
    """Printed form, or type and sentence of the error."""
    # Errors out of C++ bring their name along, below a traceback of it.
    want = re.sub(r"^raises (\w+): \1: ", r"raises \1: ", GOLDEN["expressions"][topic][name])
    got = expressions.shown(mx, expressions.TOPICS[topic][name])

    if f"{topic}: {name}" in DIFFERENT:
        assert not close(got, want), "it is the same now: take it out of DIFFERENT"
        return
    kind = want.split(": ")[0] + ": "
    if want.startswith("raises MXNetError") or want == kind:
        assert got.startswith(kind), f"{got}\nMXNet:\n{want}"
        return
    if want.startswith("raises AttributeError: module"):
        assert got.startswith(want), f"{got}\nMXNet:\n{want}"  # ours says what is nearest
        return
    assert close(got, want), f"{got}\nMXNet:\n{want}"


@pytest.mark.parametrize("name", symbols.CASES)
def test_symbol_is_what_mxnet_composes(name: str) -> None:
    """Operators, hints of names and attributes of the nodes."""
    assert symbols.shown(mx, symbols.CASES[name]) == GOLDEN["symbols"][name]


SPACES = {
    "np": lambda: mx.np, "np.linalg": lambda: mx.np.linalg, "np.random": lambda: mx.np.random,
    "npx": lambda: mx.npx, "npx.random": lambda: mx.npx.random, "sym.np": lambda: mx.sym.np,
    "sym.np.linalg": lambda: mx.sym.np.linalg, "sym.np.random": lambda: mx.sym.np.random,
    "sym.npx": lambda: mx.sym.npx, "ndarray": lambda: mx.np.ndarray, "_Symbol": lambda: mx.sym.np._Symbol,
}  # fmt: skip
HELPERS = {"check_call", "classproperty", "with_metaclass", "current_context", "numeric_types", "integer_types",
           "mx_real_t", "is_np_array"}  # fmt: skip
"""Names that MXNet's modules only import for themselves."""
MISSING = {
    "ndarray": {"handle", "writable"},
    "_Symbol": {"handle"},
    "sym.np": {"empty_like", "resize", "unravel_index"},
}
"""What we do not have: the C handle and its lock; functions that are Custom operators in MXNet's graphs."""


@pytest.mark.parametrize("space", SPACES)
def test_public_names_are_mxnets(space: str) -> None:
    """Every public name of MXNet's namespace is there, but for those that are said to be missing."""
    have = SPACES[space]()
    missing = {name for name in GOLDEN["names"][space] if not hasattr(have, name)}

    assert missing - HELPERS == MISSING.get(space, set()) & missing


@pytest.mark.parametrize("space", ["np", "np.linalg", "np.random", "npx.random"])
def test_parameters_are_mxnets(space: str) -> None:
    """Functions take MXNet's parameters, in its order."""
    have = SPACES[space]()
    wrong = {}
    for name, wanted in GOLDEN["names"][space].items():
        if wanted is None or not hasattr(have, name):
            continue
        parameters = [p for p in inspect.signature(getattr(have, name)).parameters if p != "kwargs"]
        if parameters != wanted:
            wrong[name] = (parameters, wanted)

    assert wrong == {}
