"""Modules trained here and by real MXNet 1.9.1, from the same weights on the same batches.

`python tools/mxnet_modules.py`, run by an interpreter that has MXNet 1.9.1, trains them again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tests.mxnet.module.cases import NETWORKS, OPTIMIZERS, train

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "training.npz"


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("contexts", [1, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_training_gives_mxnets_weights(network: str, optimizer: str, contexts: int) -> None:
    """After ten batches all weights and moving statistics are MXNet's within 2e-6 of the largest."""
    found = train(mx, network, optimizer, contexts)
    start = f"{network}/{optimizer}/{contexts}/"
    want: dict[str, Any] = {key[len(start) :]: value for key, value in golden().items() if key.startswith(start)}

    assert found.keys() == want.keys()
    for name, value in want.items():
        assert found[name].dtype == value.dtype
        assert float(np.abs(found[name] - value).max()) <= 2e-6 * max(1.0, float(np.abs(value).max())), name
