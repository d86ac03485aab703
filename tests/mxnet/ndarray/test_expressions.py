"""What arrays do, expression by expression, against real MXNet 1.9.1's answers (tools/mxnet_ndarray.py asks it)."""

from __future__ import annotations

import gzip
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tests.mxnet.ndarray.expressions import GROUPS, answer

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "ndarray.json.gz"
ROUNDINGS = 1e-5  # relative: float32 functions of two libraries differ in the last bits

MEANT: dict[str, str] = {
    "nd.array(3)[0]": "the sentence that MXNet has for it elsewhere",
    "after(nd.array(3), (), 4)": "a 0-d array can be written, also while NumPy shapes are off",
    "after(nd.array(3), slice(None), nd.array(5))": "a 0-d array can be written, also while NumPy shapes are off",
    "nd.foo": "says what is nearest",
    "seeded(lambda: nd.random.foo)": "says that tensorkeep lacks it",
    "nd.array([1.5, 3.14159], dtype=BF16)": "the numbers as bfloat16; MXNet takes 1 and 3 for the bits",
    "repr(nd.array([1.5, 3.25], dtype=BF16))": "the numbers as bfloat16; MXNet takes 1 and 3 for the bits",
    "nd.array([nd.array([1, 2]), nd.array([3, 4])])": "NDArrays have __array__ here",
    "nd.zeros(3, foo=1)": "the parameters are listed without MXNet's descriptions",
    'nd.array([1], dtype="foo")': "says which dtype is wrong",
    "nd.sparse.dot(c, nd.array([1, 2, 3]))": "a matrix times a vector is computed",
}
"""Expressions whose answer is another one on purpose, and why."""

CASES = [pytest.param(group, text, id=f"{group}: {text}") for group, texts in GROUPS.items() for text in texts]


@cache
def golden() -> dict[str, dict[str, Any]]:
    return json.loads(gzip.decompress(GOLDEN.read_bytes()))


def same(found: Any, wanted: Any) -> bool:
    """Equal but for roundings; the text of an error that MXNet's C++ raises is ours."""
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return (
            found == wanted or math.isclose(found, wanted, rel_tol=ROUNDINGS) or (found != found and wanted != wanted)
        )
    if isinstance(wanted, dict) and isinstance(found, dict):
        if "error" in wanted and wanted["text"] is None:
            return found.get("error") == wanted["error"]
        keys = set(wanted) - ({"repr"} if found.get("repr") != wanted.get("repr") and _rounded(wanted) else set())
        return set(found) == set(wanted) and all(same(found[key], wanted[key]) for key in keys)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return type(found) is type(wanted) and found == wanted


def _rounded(wanted: dict[str, Any]) -> bool:
    """Whether the values have digits enough for the last one to differ in print."""
    return any(len(word.strip("[],")) > 7 for word in wanted.get("repr", "").split())


@pytest.mark.parametrize(("group", "text"), CASES)
def test_expression_gives_what_mxnet_gives(group: str, text: str) -> None:
    """Values, dtypes and printed forms are those that real MXNet answered; where ours are better on purpose, they still differ."""
    # As `python -m tensorkeep.mxnet` has it; MXNet's answers are printed by NumPy 1.23.
    with np.printoptions(**({"legacy": "1.25"} if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else {})):
        found = json.loads(json.dumps(answer(mx, text)))
    wanted = golden()[group][text]

    if text in MEANT:
        assert not same(found, wanted), "the answers are the same again"
    else:
        assert same(found, wanted), f"\nfound  {found}\nwanted {wanted}"
