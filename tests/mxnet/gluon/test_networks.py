"""Blocks give what real MXNet 1.9.1 gives: outputs, gradients, running values, names, printed forms, graphs.

`python tools/mxnet_gluon.py networks`, run by an interpreter that has MXNet 1.9.1, asks it again.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tests.mxnet.gluon.networks import NETWORKS, Network, observe

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "gluon"
RTOL = 2e-5  # float32, relative to the largest value: sums are added up in another order


@cache
def golden() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with np.load(GOLDEN / "networks.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads((GOLDEN / "networks.json").read_text("utf-8"))


@pytest.mark.filterwarnings("ignore")  # MXNet warns of unused inputs and of 0-d semantics
@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case.name)
def test_network_gives_what_mxnet_gives(case: Network) -> None:
    """Every array and every text that was observed of MXNet is found here."""
    arrays, texts = golden()
    expected = {k.removeprefix(case.name + "/"): v for k, v in arrays.items() if k.startswith(case.name + "/")}

    found, said = observe(mx, case)

    assert said == texts[case.name]
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        scale = max(1e-6, float(np.abs(value).max(initial=0)))
        np.testing.assert_allclose(found[name], value, rtol=RTOL, atol=RTOL * scale, err_msg=name)
