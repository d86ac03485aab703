"""gluon.model_zoo: Parameters are called and shaped as in MXNet 1.9.1, and the networks compute what it computes."""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet import nd
from tensorkeep.mxnet.gluon.model_zoo import model_store, vision
from tests.mxnet.gluon.zoo import COMPUTED, computed, shapes

GOLDEN = Path(__file__).parents[2] / "golden" / "mxnet" / "gluon"
RTOL = 2e-4  # float32 through up to a hundred layers; relative to the largest output


@cache
def listed() -> dict[str, Any]:
    return json.loads(lzma.decompress((GOLDEN / "zoo.json.xz").read_bytes()))


@pytest.mark.parametrize("name", sorted(json.loads(lzma.decompress((GOLDEN / "zoo.json.xz").read_bytes()))))
def test_parameters_are_called_and_shaped_as_mxnets(name: str) -> None:
    """Whole names, structural names, shapes, in their order."""
    assert shapes(mx, name) == listed()[name]


@pytest.mark.parametrize("name", COMPUTED)
def test_networks_compute_what_mxnet_computes(name: str) -> None:
    """From the same Parameters."""
    with np.load(GOLDEN / "zoo.npz") as file:
        expected = file[name]

    found = computed(mx, name)

    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=RTOL * float(np.abs(expected).max()))


def test_all_networks_are_there() -> None:
    """34 names; others are refused with the list."""
    with pytest.raises(ValueError, match=r"Model lenet is not supported\. Available options are") as caught:
        vision.get_model("LeNet")

    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == sorted(listed())


def test_pretrained_says_where_the_file_must_lie(tmp_path: Path) -> None:
    """Nothing is downloaded."""
    with pytest.raises(
        RuntimeError, match=r"squeezenet1\.1-33ba0f93\.params does not exist, and tensorkeep\.mxnet"
    ) as e:
        vision.squeezenet1_1(pretrained=True, root=str(tmp_path))

    assert "gluon/models/squeezenet1.1-33ba0f93.zip by other means and put it" in str(e.value)
    assert str(tmp_path) in str(e.value)


def test_pretrained_loads_the_file_that_lies_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When its SHA-1 is the known one; otherwise it is refused."""
    import hashlib

    net = vision.squeezenet1_1()
    net.initialize(init="ones")
    net(nd.zeros((1, 3, 224, 224)))
    path = tmp_path / "squeezenet1.1-33ba0f93.params"
    net.save_parameters(str(path))

    with pytest.raises(RuntimeError, match="has another SHA-1"):
        vision.squeezenet1_1(pretrained=True, root=str(tmp_path))

    digest = "33ba0f93" + "0" * 32
    monkeypatch.setitem(model_store._model_sha1, "squeezenet1.1", digest)
    monkeypatch.setattr(
        hashlib, "sha1", lambda: type("H", (), {"update": lambda s, b: None, "hexdigest": lambda s: digest})()
    )
    loaded = vision.squeezenet1_1(pretrained=True, root=str(tmp_path))
    assert (loaded.features[0].weight.data().asnumpy() == 1).all()
