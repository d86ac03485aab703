"""Files of records: MXNet's own are read and written again to the byte; damaged ones are refused."""

from __future__ import annotations

import copy
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tensorkeep.mxnet import recordio  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402

MAGIC = struct.pack("<I", 0xCED7230A)
# Three records and one with the magic word inside, as MXNet 1.9.1 writes them.
PLAIN = [b"record_0", b"record_1", b"record_2", MAGIC + b"magic inside"]
PLAIN_BYTES = b"".join(
    [
        *(MAGIC + struct.pack("<I", 8) + record for record in PLAIN[:3]),
        MAGIC + struct.pack("<I", 1 << 29),
        MAGIC + struct.pack("<I", 3 << 29 | 12) + b"magic inside",
    ]
)
FIXTURES = Path(__file__).parents[1] / "golden" / "mxnet" / "recordio"


def read_all(path: Path) -> list[bytes]:
    reader = recordio.MXRecordIO(str(path), "r")
    found = list(iter(reader.read, None))
    reader.close()
    return found


def test_records_are_written_and_read_as_mxnet_does(tmp_path: Path) -> None:
    """The bytes are MXNet's, with the magic word cut out where it stands at a multiple of 4."""
    path = tmp_path / "a.rec"
    writer = recordio.MXRecordIO(str(path), "w")
    for record in PLAIN:
        writer.write(record)
    writer.close()

    assert path.read_bytes() == PLAIN_BYTES
    assert read_all(path) == PLAIN


@pytest.mark.skipif(not FIXTURES.exists(), reason="the files that MXNet wrote are not here")
def test_mxnets_files_come_out_the_same(tmp_path: Path) -> None:
    """Both of the recorded files, the index too, are written again to the byte."""
    for name in ("a.rec", "b.rec"):
        writer = recordio.MXRecordIO(str(tmp_path / name), "w")
        for record in read_all(FIXTURES / name):
            writer.write(record)
        writer.close()
        assert (tmp_path / name).read_bytes() == (FIXTURES / name).read_bytes()
    source = recordio.MXIndexedRecordIO(str(FIXTURES / "b.idx"), str(FIXTURES / "b.rec"), "r")
    again = recordio.MXIndexedRecordIO(str(tmp_path / "c.idx"), str(tmp_path / "c.rec"), "w")
    for key in source.keys:
        header, body = recordio.unpack(source.read_idx(key))
        again.write_idx(key, recordio.pack(header, body))
    again.close()
    assert (tmp_path / "c.rec").read_bytes() == (FIXTURES / "b.rec").read_bytes()
    assert (tmp_path / "c.idx").read_bytes() == (FIXTURES / "b.idx").read_bytes()


@pytest.mark.parametrize(
    "record", [b"", b"x", MAGIC, MAGIC * 3, b"ab" + MAGIC + b"c", b"abcd" + MAGIC + b"e" + MAGIC, bytes(5)]
)
def test_any_bytes_come_back(record: bytes, tmp_path: Path) -> None:
    """Empty records, odd lengths, the magic word anywhere."""
    writer = recordio.MXRecordIO(str(tmp_path / "x.rec"), "w")
    writer.write(record)
    writer.write(b"after")
    del writer  # committed without close(), as MXNet's

    assert read_all(tmp_path / "x.rec") == [record, b"after"]


def test_the_old_file_stays_until_the_new_one_is_closed(tmp_path: Path) -> None:
    """A writer that is not closed has changed nothing."""
    path = tmp_path / "a.rec"
    path.write_bytes(PLAIN_BYTES)
    writer = recordio.MXRecordIO(str(path), "w")
    writer.write(b"new")
    before = read_all(path)
    writer.close()

    assert before == PLAIN
    assert read_all(path) == [b"new"]


def test_index(tmp_path: Path) -> None:
    """Records by key in any order; a pickled or copied reader opens the file again."""
    paths = (str(tmp_path / "b.idx"), str(tmp_path / "b.rec"))
    writer = recordio.MXIndexedRecordIO(*paths, "w", key_type=str)
    for key in ("a", "b", "c"):
        writer.write_idx(key, key.encode() * 5)
    writer.close()
    reader = copy.copy(recordio.MXIndexedRecordIO(*paths, "r", key_type=str))

    assert Path(paths[0]).read_text() == "a\t0\nb\t16\nc\t32\n"
    assert [reader.read_idx(key) for key in ("c", "a", "b")] == [b"ccccc", b"aaaaa", b"bbbbb"]
    assert reader.keys == ["a", "b", "c"]
    with pytest.raises(KeyError, match="d"):
        reader.read_idx("d")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (PLAIN_BYTES[:-1], "it ends 1 bytes before this record does"),
        (PLAIN_BYTES[:5], "byte 0: no record begins here"),
        (b"\0" * 16, "byte 0: no record begins here"),
        (MAGIC + struct.pack("<I", (1 << 29) - 1), "bytes before this record does"),
        (MAGIC + struct.pack("<I", 3 << 29), "a part of kind 3 stands here"),
        (MAGIC + struct.pack("<I", 1 << 29), "no record begins here"),
        (MAGIC + struct.pack("<I", 1 << 29) + MAGIC + struct.pack("<I", 0), "a part of kind 0 stands here"),
    ],
)
def test_damaged_files_are_refused(data: bytes, text: str, tmp_path: Path) -> None:
    """The file, the byte and what is wrong there; nothing is allocated for a length that lies."""
    path = tmp_path / "x.rec"
    path.write_bytes(data)
    with pytest.raises(MXNetError, match="Invalid RecordIO File") as caught:
        read_all(path)

    assert text in str(caught.value)


def test_refusals(tmp_path: Path) -> None:
    """Files that are not there, other flags, another process, a broken index."""
    with pytest.raises(MXNetError, match=r'LocalFileSystem: Open ".*none": No such file or directory'):
        recordio.MXRecordIO(str(tmp_path / "none"), "r")
    with pytest.raises(MXNetError, match="No such file or directory"):
        recordio.MXRecordIO(str(tmp_path / "no" / "where"), "w")
    with pytest.raises(ValueError, match="Invalid flag a"):
        recordio.MXRecordIO(str(tmp_path / "x"), "a")
    (tmp_path / "x.rec").write_bytes(PLAIN_BYTES)
    (tmp_path / "x.idx").write_text("1 2\n")
    with pytest.raises(MXNetError, match="line 1: '1 2' is not key, tab, offset"):
        recordio.MXIndexedRecordIO(str(tmp_path / "x.idx"), str(tmp_path / "x.rec"), "r")
    reader = recordio.MXRecordIO(str(tmp_path / "x.rec"), "r")
    reader.pid = os.getpid() + 1
    with pytest.raises(RuntimeError, match="Forbidden operation in multiple processes"):
        reader.read()


@pytest.mark.parametrize("label", [3.5, [1.0, 2.0, 3.0], np.array([7.0])])
def test_headers(label: Any) -> None:
    """A number stays in the header; several labels follow it."""
    packed = recordio.pack((5, label, 11, 2), b"body")
    header, body = recordio.unpack(packed)

    assert body == b"body"
    assert (header.id, header.id2) == (11, 2)
    assert np.array_equal(np.atleast_1d(header.label), np.atleast_1d(np.float32(label)))
    assert header.flag == (0 if isinstance(label, float) else np.size(label))
    with pytest.raises(MXNetError, match="A packed record has at least 24 bytes"):
        recordio.unpack(packed[:23])
    with pytest.raises(MXNetError, match="A packed record says 1000000 labels"):
        recordio.unpack(struct.pack("<IfQQ", 1000000, 0, 0, 0) + b"x")


def test_images(tmp_path: Path) -> None:
    """PNG keeps the values; the channels are blue, green, red on both sides."""
    pytest.importorskip("PIL")
    image = np.random.RandomState(0).randint(0, 256, (4, 5, 3)).astype("uint8")
    header, found = recordio.unpack_img(recordio.pack_img((0, 1.0, 2, 0), image, quality=3, img_fmt=".png"))
    _, grey = recordio.unpack_img(recordio.pack_img((0, 1.0, 2, 0), image, quality=3, img_fmt=".png"), iscolor=0)

    assert header.id == 2
    assert np.array_equal(found, image)
    assert grey.shape == (4, 5)
