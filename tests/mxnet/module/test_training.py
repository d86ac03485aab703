"""Modules trained here and by real MXNet 1.9.1, from the same weights on the same batches.

`python tools/mxnet_modules.py`, run by an interpreter that has MXNet 1.9.1, trains them again.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tests.mxnet.module import cases
from tests.mxnet.module.cases import NETWORKS, OPTIMIZERS, train

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "training.npz"


@cache
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return {name: file[name] for name in file.files}


def wanted(start: str) -> dict[str, Any]:
    return {key[len(start) :]: value for key, value in golden().items() if key.startswith(start)}


def assert_near(found: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    assert found.keys() == want.keys()
    for name, value in want.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert float(np.abs(found[name] - value).max()) <= 2e-6 * max(1.0, float(np.abs(value).max())), name


NUMBER = re.compile(r"\d+\.\d+")


def assert_same_lines(lines: list[str], stored: np.ndarray) -> None:
    """The same texts; numbers may differ by a rounding of the last digit."""
    want = stored.tobytes().decode().split("\n")
    assert [NUMBER.sub("#", line) for line in lines] == [NUMBER.sub("#", line) for line in want]
    numbers = [[float(number) for line in group for number in NUMBER.findall(line)] for group in (lines, want)]
    np.testing.assert_allclose(*numbers, rtol=0, atol=2.1e-6)


@pytest.mark.parametrize("contexts", [1, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_training_gives_mxnets_weights(network: str, optimizer: str, contexts: int) -> None:
    """After ten batches all weights and moving statistics are MXNet's within 2e-6 of the largest."""
    found = train(mx, network, optimizer, contexts)

    assert_near(found, wanted(f"{network}/{optimizer}/{contexts}/"))


def test_buckets_train_to_mxnets_weights() -> None:
    """Three lengths of sentences share one set of weights, an optimizer and MXNet's order of batches."""
    found = cases.train_buckets(mx)

    assert_near(found, wanted("train_buckets/"))


def test_a_chain_of_modules_trains_to_mxnets_weights() -> None:
    """Gradients go from a loss in Python through two Modules."""
    found = cases.train_chain(mx)

    assert_near(found, wanted("train_chain/"))


def test_fit_logs_what_mxnet_logs(tmp_path: Path) -> None:
    """Metrics, checkpoints and callbacks give MXNet's lines; predict and score its values."""
    found, lines = cases.fit(mx, str(tmp_path))
    want = wanted("fit/")

    assert_same_lines(lines, want.pop("lines"))
    assert_near(found, want)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fit-0001.params", "fit-0002.params", "fit-symbol.json", "own-0002.params", "own-0002.states", "own-symbol.json",
    ]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*FeedForward has been deprecated")
def test_feed_forward_is_mxnets() -> None:
    """The model of MXNet's first years trains, predicts and logs as there."""
    found, lines = cases.feed_forward(mx)
    want = wanted("feed_forward/")

    assert_same_lines(lines, want.pop("lines"))
    assert_near(found, want)
