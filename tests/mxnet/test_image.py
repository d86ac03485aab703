"""Pictures against what real MXNet 1.9.1 made of them (tools/mxnet_images.py asks it again)."""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402
from tests.mxnet import cases_image as cases  # noqa: E402

GOLDEN = json.loads(gzip.decompress((Path(__file__).parents[1] / "golden" / "mxnet" / "image.json.gz").read_bytes()))


@pytest.mark.parametrize("name", cases.CASES)
def test_pictures_are_those_of_mxnet(name: str) -> None:
    """dtype, shape and values; the same random choices from the same seeds; the same refusals."""
    got, want = cases.run(mx, name), GOLDEN["cases"][name]

    if len(want) == 2 and isinstance(want[1], str):
        assert got[0] == want[0]
        assert got[1].startswith(want[1])
    elif not isinstance(want[-1], list) or isinstance(want[0], list):
        assert got == want
    else:
        assert got[:2] == want[:2]
        apart = np.abs(np.array(got[2]) - np.array(want[2]))
        assert apart.max() <= (0 if want[0] == "uint8" else 2e-3)


def folder_with(tmp_path: Path, count: int = 5) -> list[np.ndarray]:
    """A record file with its index, PNG files and a list of them; the pictures."""
    pictures = [np.random.RandomState(i).randint(0, 256, (6 + i, 8, 3)).astype("uint8") for i in range(count)]
    writer = mx.recordio.MXIndexedRecordIO(str(tmp_path / "a.idx"), str(tmp_path / "a.rec"), "w")
    rows = []
    for i, picture in enumerate(pictures):
        packed = mx.recordio.pack_img((0, float(i), i, 0), picture[..., ::-1], quality=3, img_fmt=".png")
        writer.write_idx(i, packed)
        (tmp_path / f"{i}.png").write_bytes(mx.recordio.unpack(packed)[1])
        rows.append(f"{i}\t{i}\t{i}.png\n")
    writer.close()
    (tmp_path / "a.lst").write_text("".join(rows))
    return pictures


def sources(tmp_path: Path) -> dict[str, dict[str, Any]]:
    return {
        "records": {"path_imgrec": str(tmp_path / "a.rec")},
        "index": {"path_imgrec": str(tmp_path / "a.rec"), "path_imgidx": str(tmp_path / "a.idx")},
        "file": {"path_imglist": str(tmp_path / "a.lst"), "path_root": str(tmp_path)},
        "list": {"imglist": [(float(i), f"{i}.png") for i in range(5)], "path_root": str(tmp_path)},
    }


@pytest.mark.parametrize("source", ["records", "index", "file", "list"])
@pytest.mark.parametrize("last", ["pad", "discard", "roll_over"])
def test_image_iter(source: str, last: str, tmp_path: Path) -> None:
    """Pictures in the order of the file, centred parts of the size; labels; what happens to the last batch."""
    pictures = folder_with(tmp_path)
    it = mx.image.ImageIter(2, (3, 4, 4), last_batch_handle=last, **sources(tmp_path)[source])
    first, second = list(it), (it.reset(), list(it))[1]
    labels = [[batch.label[0].asnumpy().tolist() for batch in epoch] for epoch in (first, second)]
    top, left = (6 - 4) // 2, (8 - 4) // 2

    assert np.array_equal(first[0].data[0].asnumpy()[0], pictures[0][top : top + 4, left : left + 4].transpose(2, 0, 1))
    assert labels[0][:2] == [[0, 1], [2, 3]]
    if last == "pad":
        assert (len(labels[0]), labels[0][2], first[2].pad) == (3, [4, 0], 1)
        assert labels[1] == labels[0]
    elif last == "discard":
        assert labels == [[[0, 1], [2, 3]]] * 2
    else:
        assert labels[1][0] == [4, 0]


def test_image_record_iter(tmp_path: Path) -> None:
    """Centred parts, normalized; uint8 as they are; what cannot be computed is refused."""
    pictures = folder_with(tmp_path)
    given: dict[str, Any] = {"path_imgrec": str(tmp_path / "a.rec"), "data_shape": (3, 4, 4), "batch_size": 2}
    raw = mx.io.ImageRecordUInt8Iter(**given).next().data[0].asnumpy()
    it = mx.io.ImageRecordIter(**given, mean_r=10, mean_g=20, mean_b=30, std_r=2, scale=0.5)
    batches = list(it)
    mirrored = mx.io.ImageRecordUInt8Iter(**given, mirror=True).next().data[0].asnumpy()
    mean, std = np.array([10, 20, 30]).reshape(3, 1, 1), np.array([2, 1, 1]).reshape(3, 1, 1)

    assert np.array_equal(raw[0], pictures[0][1:5, 2:6].transpose(2, 0, 1))
    assert np.array_equal(mirrored, raw[..., ::-1])
    np.testing.assert_allclose(batches[0].data[0].asnumpy(), (raw - mean) / std * 0.5, rtol=1e-6)
    assert [batch.label[0].asnumpy().tolist() for batch in batches] == [[0, 1], [2, 3], [4, 0]]
    assert [batch.pad for batch in batches] == [0, 0, 1]
    with pytest.raises(MXNetError, match="max_rotate_angle cannot be computed here"):
        mx.io.ImageRecordIter(**given, max_rotate_angle=10)
    with pytest.raises(MXNetError, match="is smaller than data_shape"):
        mx.io.ImageRecordIter(**{**given, "data_shape": (3, 60, 60)})


def test_broken_pictures_are_named(tmp_path: Path) -> None:
    """The file of a list, the size of a bomb."""
    folder_with(tmp_path)
    (tmp_path / "0.png").write_bytes(b"nothing")
    it = mx.image.ImageIter(2, (3, 4, 4), **sources(tmp_path)["list"])
    with pytest.raises(RuntimeError, match=r"Broken image filename: 0\.png, Decoding failed\. Invalid image file"):
        it.next()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    with pytest.raises(MXNetError, match=r"A picture of 100000 x 100000 pixels|Decoding failed"):
        mx.image.imdecode(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b""))


def test_rotation() -> None:
    """A quarter of a turn is exact; zooming and bad arguments are told apart."""
    picture = mx.nd.array(np.arange(18).reshape(2, 3, 3))
    turned = mx.image.imrotate(picture, 90).asnumpy()

    np.testing.assert_allclose(turned, np.rot90(picture.asnumpy(), axes=(1, 2)), atol=1e-4)
    assert mx.image.imrotate(mx.nd.array(np.ones((2, 1, 4, 4))), 45, zoom_in=True).asnumpy().min() > 0.99
    with pytest.raises(ValueError, match="cannot be both True"):
        mx.image.imrotate(picture, 90, True, True)
    with pytest.raises(TypeError, match="Only `float32` images"):
        mx.image.imrotate(picture.astype("uint8"), 90)


def test_without_pillow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    import sys

    from tensorkeep.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tensorkeep\[image\]'"):
        mx.image.imdecode(b"x")


def test_double_pictures_are_resized() -> None:
    """Numbers of MXNet 1.9.1; the weights are float32 there."""
    picture = mx.nd.array(np.arange(12).reshape(3, 4, 1) / 7, dtype="float64")
    found = mx.image.imresize(picture, 3, 2)

    assert found.dtype is np.float64
    wanted = [
        [0.16666666524750845, 0.3571428571428571, 0.5476190362657819],
        [1.0238095096179416, 1.2142857142857142, 1.404761893408639],
    ]
    assert found.asnumpy()[:, :, 0].tolist() == wanted
