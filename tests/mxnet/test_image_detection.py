"""Pictures with boxes against what real MXNet 1.9.1 made of them (tools/mxnet_detection.py asks it again)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

import tensorkeep.mxnet as mx  # noqa: E402
from tests.mxnet import cases_detection as cases  # noqa: E402

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "mxnet" / "detection.json").read_text("utf-8"))["cases"]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A folder with two pictures."""
    for name in "ab":
        Image.fromarray(cases.PICTURE).save(tmp_path / f"{name}.png")
    return str(tmp_path)


@pytest.mark.parametrize("name", cases.CASES)
def test_pictures_and_boxes_are_those_of_mxnet(name: str) -> None:
    """The same choices from the same seeds: shapes, pixels, boxes, and how the augmenters describe themselves."""
    assert cases.CASES[name](mx) == GOLDEN[name]


def test_batches_are_those_of_mxnet(folder: str) -> None:
    """Labels are as many rows as the picture with the most objects has; behind the last object they are -1."""
    assert cases.iterated(mx, folder) == GOLDEN["iterator"]


def test_label_shapes_are_brought_together(folder: str) -> None:
    """sync_label_shape() gives both iterators the larger count; a smaller one is refused."""
    row = [2, 5, 1, 0.1, 0.2, 0.6, 0.7]
    few = mx.image.ImageDetIter(1, (3, 20, 30), imglist=[[*row, "a.png"]], path_root=folder)
    many = mx.image.ImageDetIter(1, (3, 20, 30), imglist=[[*row, *row[2:], "b.png"]], path_root=folder)

    assert many.sync_label_shape(few) is few
    assert few.provide_label == [("label", (1, 2, 5))]
    assert next(few).label[0].asnumpy()[0, 1].tolist() == [-1] * 5
    with pytest.raises(ValueError, match="Attempts to reduce label count from 2 to 1, not allowed"):
        few.reshape(label_shape=(1, 5))


def test_ranges_that_cannot_be_switch_an_augmenter_off() -> None:
    """A warning names the range; the picture and the boxes stay."""
    with pytest.warns(UserWarning, match=r"Skip DetRandomCropAug due to invalid area_range: \(2, 1\)"):
        augmenter = mx.image.DetRandomCropAug(area_range=(2, 1))
    picture = mx.nd.array(cases.PICTURE)

    assert augmenter(picture, cases.BOXES)[0] is picture
    assert np.array_equal(augmenter(picture, cases.BOXES)[1], cases.BOXES)


def test_draw_next_is_refused() -> None:
    """Nothing here draws: the error says what does."""
    iterator = object.__new__(mx.image.ImageDetIter)

    with pytest.raises(NotImplementedError, match=r"draw_next: tensorkeep draws no pictures\. Draw the boxes"):
        iterator.draw_next()
