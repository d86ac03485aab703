"""Metrics against what real MXNet 1.9.1 computed (tools/mxnet_metrics.py asks it again)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tests.mxnet import cases_metric as cases  # noqa: E402

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "mxnet" / "metric.json").read_text("utf-8"))["cases"]


def same(got: Any, want: Any) -> bool:
    """Equal, numbers to a few roundings of float32."""
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(same(got[k], want[k]) for k in want)
    if isinstance(want, float):
        return bool(got == pytest.approx(want, rel=1e-6, abs=1e-6))
    return bool(got == want)


@pytest.mark.parametrize("case", cases.CASES, ids=cases.key_of)
def test_values_are_those_of_mxnet(case: Any) -> None:
    """After every batch, after reset_local() and reset(); configuration and refusals too."""
    got, want = cases.run(mx, case), GOLDEN[cases.key_of(case)]

    assert same(got, want), f"{got}\nMXNet: {want}"


def test_update_dict_takes_the_names_that_it_was_given() -> None:
    """output_names and label_names choose among what a module gives."""
    metric = mx.metric.MAE(output_names=["b"], label_names=["y"])
    ones, twos = mx.nd.array(np.ones(3)), mx.nd.array(np.full(3, 2.0))
    metric.update_dict({"x": twos, "y": ones}, {"a": ones, "b": twos})

    assert metric.get() == ("mae", 1.0)


def test_composite() -> None:
    """Names and values of all; one that is out of range is returned as an error, as MXNet does."""
    metric = mx.metric.CompositeEvalMetric(["mae"])
    metric.add("mse")
    metric.update_dict({"y": mx.nd.array(np.zeros(2))}, {"p": mx.nd.array(np.full(2, 2.0))})

    assert metric.get() == (["mae", "mse"], [2.0, 4.0])
    assert str(metric) == f"EvalMetric: {dict(metric.get_name_value())}"
    assert isinstance(metric.get_metric(5), ValueError)
    assert [c["metric"] for c in metric.get_config()["metrics"]] == ["MAE", "MSE"]


def test_functions() -> None:
    """np() keeps a function's name; a lambda is custom(<lambda>); neither can be written down."""

    def half(label: Any, pred: Any) -> float:
        return 0.5

    named, nameless = mx.metric.np(half), mx.metric.create(lambda label, pred: 0.0)

    assert named.name == "half"
    assert nameless.name == "custom(<lambda>)"
    with pytest.raises(NotImplementedError, match="cannot be serialized"):
        named.get_config()


def test_numbers_of_labels_and_predictions_must_agree() -> None:
    """MXNet's own sentence."""
    one = mx.nd.array(np.ones(2))
    with pytest.raises(ValueError, match="Shape of labels 1 does not match shape of predictions 2"):
        mx.metric.Accuracy().update([one], [one, one])
