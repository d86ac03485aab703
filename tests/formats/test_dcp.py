"""formats/dcp: folders of torch.distributed.checkpoint, by one process and by two, are put together and checked."""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.core.tree import Inert
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedFormatError,
)
from tensorkeep.formats import _dcp_metadata

BASE = np.arange(35, dtype=np.float32).reshape(7, 5)


@pytest.fixture(scope="session")
def two_ranks(golden: Path) -> Path:
    """What torch 2.13 wrote with two processes (tests/golden/torch/make.py)."""
    return golden / "torch" / "dcp-2-ranks"


@pytest.fixture
def copied(two_ranks: Path, tmp_path: Path) -> Path:
    """The same folder, free to be damaged."""
    return Path(shutil.copytree(two_ranks, tmp_path / "dcp"))


def test_shards_of_two_processes_are_put_together(two_ranks: Path) -> None:
    """By rows (4 + 3), by columns (3 + 2), replicated, whole, one row for two ranks; numbers and None beside, nested."""
    found = tk.load(two_ranks)

    model = found["model"]
    assert np.array_equal(model["rows"], BASE)
    assert model["columns"].dtype.name == "bfloat16"
    assert np.array_equal(model["columns"].astype(np.float32), BASE)
    assert np.array_equal(model["replicated"], BASE + 1)
    assert np.array_equal(model["plain"], BASE * 2)
    assert model["one_row"].tolist() == [[1, 1, 1]]
    del found["model"]
    assert found == {"step": 7, "groups": [{"lr": 0.5, "betas": (0.9, 0.99)}], "nothing": None}


def test_opening_reads_the_metadata_only(copied: Path) -> None:
    """Shapes are there without a look at the files; they are checked to be there and long enough."""
    with tk.open(copied) as file:
        assert file["model.rows"].shape == (7, 5)
        assert sorted(file) == [f"model.{name}" for name in ("columns", "one_row", "plain", "replicated", "rows")]
        assert file.format == "dcp"
        assert file["model.rows"][6].tolist() == BASE[6].tolist()


def test_a_save_without_processes_comes_back(tmp_path: Path) -> None:
    """A model, an optimizer's state, views, small types, as torch's own reader gives them."""
    torch = pytest.importorskip("torch")
    dcp = pytest.importorskip("torch.distributed.checkpoint")
    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "list": [1, {"a": torch.arange(3)}, "text"],
        "view": torch.arange(10.0)[2:5],
        "transposed": torch.arange(6).view(2, 3).t(),
        "float8": torch.ones(4).to(torch.float8_e4m3fn),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "numpy": np.float32(2),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(state, checkpoint_id=tmp_path / "dcp", no_dist=True)

    found = tk.load(tmp_path / "dcp")

    assert np.array_equal(found["model"]["weight"], model.weight.detach().numpy())
    momentum = optimizer.state_dict()["state"][0]["momentum_buffer"]
    assert np.array_equal(found["optimizer"]["state"]["0"]["momentum_buffer"], momentum.numpy())
    assert found["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert [found["list"][0], found["list"][1]["a"].tolist(), found["list"][2]] == [1, [0, 1, 2], "text"]
    assert found["view"].tolist() == [2, 3, 4]
    assert found["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert (found["float8"].dtype.name, found["float8"].shape) == ("float8_e4m3fn", (4,))
    assert (found["scalar"].shape, found["scalar"].item(), found["empty"].shape) == ((), 2.5, (0, 3))
    assert type(found["numpy"]) is np.float32
    assert tk.verify(tmp_path / "dcp").status == "good"


def test_scan_and_verify_read_every_item(two_ranks: Path) -> None:
    """The metadata and every archive in the files: plain data, all CRCs good."""
    report = tk.scan(two_ranks)

    assert report.data_only
    assert report.pickles > 8
    assert tk.verify(two_ranks).ok


def test_a_folder_converts_to_one_file(two_ranks: Path, tmp_path: Path) -> None:
    """Shards to a safetensors file, without torch."""
    tk.convert(two_ranks, tmp_path / "one.safetensors")

    assert np.array_equal(tk.load(tmp_path / "one.safetensors")["model"]["rows"], BASE)


def test_a_flipped_bit_is_noticed(copied: Path) -> None:
    """In a chunk of a tensor: verify tells, load refuses."""
    file = copied / "__1_0.distcp"
    data = bytearray(file.read_bytes())
    at = data.index(BASE[4:].tobytes())
    data[at + 5] ^= 1
    file.write_bytes(data)

    assert tk.verify(copied).status == "damaged"
    with pytest.raises(CorruptFileError, match=r"model\.rows"):
        tk.load(copied)


def test_a_missing_file_is_named(copied: Path) -> None:
    """With the number of items that are lost."""
    (copied / "__1_0.distcp").unlink()
    with pytest.raises(TruncatedFileError, match=r"__1_0\.distcp.*missing"):
        tk.open(copied)


def test_a_cut_file_is_named(copied: Path) -> None:
    """With the item that ends behind it."""
    file = copied / "__1_0.distcp"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TruncatedFileError, match=r"__1_0\.distcp: the item .* ends at byte"):
        tk.open(copied)


def test_links_are_not_followed(copied: Path, tmp_path: Path) -> None:
    """A file outside the folder is no part of it, by whatever kind of link."""
    file = copied / "__1_0.distcp"
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    with pytest.raises(UnsafeFileError, match="a link"):
        tk.open(copied)
    file.unlink()
    os.link(elsewhere, file)
    with pytest.raises(UnsafeFileError, match="one name"):
        tk.open(copied)


def changed(folder: Path, old: bytes, new: bytes) -> None:
    """Replace bytes in .metadata; its frame has to keep its length."""
    assert len(old) == len(new)
    path = folder / ".metadata"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


LIES = {
    "path out of the folder": (b"__1_0.distcp", b"../../passwd", UnsafeFileError, "only files below the folder"),
    "absolute path": (b"__1_0.distcp", b"/etc/passwd0", UnsafeFileError, "only files below the folder"),
    "url": (b"__1_0.distcp", b"http://a.b/c", UnsafeFileError, "only files below the folder"),
    "backslash": (b"__1_0.distcp", b"..\\.\\passwd0", UnsafeFileError, "only files below the folder"),
    "payload": (b"ChunkStorageMetadata", b"ChunkStorageMetadat.", UnsafeFileError, "ChunkStorageMetadat"),
    "another class": (b"BytesStorageMetadata", b"ChunkStorageMetadata", CorruptFileError, "neither a tensor nor bytes"),
    "a larger shape": (b"K\x07K\x05\x86", b"K\x08K\x05\x86", CorruptFileError, "leave a hole"),
    "a smaller shape": (b"K\x07K\x05\x86", b"K\x06K\x05\x86", CorruptFileError, "lies outside the shape"),
    "another dtype": (b"bfloat16", b"qint8888", UnsafeFileError, "torch.qint8888"),
    "protocol 9": (b"\x80\x04", b"\x80\x09", CorruptFileError, "protocol 9"),
}


@pytest.mark.parametrize(("old", "new", "error", "match"), LIES.values(), ids=LIES.keys())
def test_lies_in_the_metadata_are_refused(
    copied: Path, old: bytes, new: bytes, error: type[TensorkeepError], match: str
) -> None:
    """Paths, classes, shapes: told before any file is opened."""
    changed(copied, old, new)
    with pytest.raises(error, match=match):
        tk.open(copied)


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("true",)


def test_a_payload_as_metadata_is_refused(tmp_path: Path) -> None:
    """`.metadata` is a pickle like any other."""
    (tmp_path / ".metadata").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UnsafeFileError, match=r"posix\.system"):
        tk.open(tmp_path)
    with pytest.raises(CorruptFileError, match="not the Metadata"):
        tk.open(tmp_path, unknown="inert")

    report = tk.scan(tmp_path)

    assert [(request.module, request.name) for request in report.unknown] == [("posix", "system")]
    assert not report.data_only


def test_an_object_among_the_bytes_is_refused_and_comes_as_a_record(tmp_path: Path) -> None:
    """Entries that are no tensors are torch.save archives of their own."""
    pytest.importorskip("torch")
    dcp = pytest.importorskip("torch.distributed.checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"path": Evil(), "n": 1}, checkpoint_id=tmp_path / "dcp", no_dist=True)
    with pytest.raises(UnsafeFileError, match=r"posix\.system"):
        tk.load(tmp_path / "dcp")

    found = tk.load(tmp_path / "dcp", unknown="inert")

    assert isinstance(found["path"], Inert)
    assert found["n"] == 1
    assert [(request.module, request.name) for request in tk.scan(tmp_path / "dcp").unknown] == [("posix", "system")]


def chunk(offsets: tuple[int, ...], sizes: tuple[int, ...]) -> _dcp_metadata.Chunk:
    return _dcp_metadata.Chunk(offsets, sizes, "f", 0, 1 << 20)


TILINGS = {
    "one": ((4, 4), [((0, 0), (4, 4))], None),
    "quarters": ((4, 4), [((0, 0), (2, 2)), ((0, 2), (2, 2)), ((2, 0), (2, 2)), ((2, 2), (2, 2))], None),
    "an empty chunk beside": ((4,), [((0,), (4,)), ((4,), (0,))], None),
    "0-d": ((), [((), ())], None),
    "no elements": ((0, 3), [((0, 0), (0, 3))], None),
    "a hole": ((4, 4), [((0, 0), (2, 4))], "leave a hole: they have 8 of 16"),
    "too much": ((4, 4), [((0, 0), (4, 4)), ((0, 0), (1, 1))], "overlap: they have 17 of 16"),
    "the same twice": ((4,), [((0,), (2,)), ((0,), (2,))], "overlaps another"),
    "a hole and an overlap": ((4, 4), [((0, 0), (2, 3)), ((1, 1), (3, 2)), ((3, 0), (1, 4))], "overlaps another"),
    "crossing": (
        (3, 3),
        [((1, 0), (1, 3)), ((0, 1), (3, 1)), ((0, 0), (1, 1)), ((2, 2), (1, 1)), ((0, 2), (1, 1))],
        "overlap",
    ),
}


@pytest.mark.parametrize(("shape", "chunks", "match"), TILINGS.values(), ids=TILINGS.keys())
def test_chunks_have_to_tile_their_tensor(shape: tuple[int, ...], chunks: Any, match: str | None) -> None:
    """No hole, no overlap; the volumes alone would not tell."""
    rows = tuple(chunk(*row) for row in chunks)
    count = int(np.prod(shape))
    if match is None:
        _dcp_metadata._check_tiling(rows, count, "x")
    else:
        with pytest.raises(CorruptFileError, match=match):
            _dcp_metadata._check_tiling(rows, count, "x")


def test_many_chunks_are_compared_in_reasonable_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand rows are only compared with their neighbours; chunks made to be compared with all are given up."""
    rows = tuple(chunk((i, 0), (1, 8)) for i in range(10_000))
    _dcp_metadata._check_tiling(rows, 80_000, "x")
    monkeypatch.setattr(_dcp_metadata, "MAX_COMPARISONS", 1000)
    grid = tuple(chunk((i, j), (1, 1)) for i in range(50) for j in range(50))
    with pytest.raises(LimitError, match="reasonable time"):
        _dcp_metadata._check_tiling(grid, 2500, "x")


def test_other_writers_are_told_apart(tmp_path: Path) -> None:
    """A folder with a `.metadata` of something else."""
    (tmp_path / ".metadata").write_bytes(b"hello")
    with pytest.raises((CorruptFileError, UnsupportedFormatError), match="metadata"):
        tk.open(tmp_path)
