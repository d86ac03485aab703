"""formats/npz: archives of NumPy, MXNet 2.0 and scipy are read equal; NumPy and scipy read what we write."""

from __future__ import annotations

import base64
import io
import json
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
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
    UnsupportedDataError,
    UnsupportedFormatError,
)

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3)


def numpys(compressed: bool = False, **arrays: Any) -> bytes:
    """What numpy.savez writes."""
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def zipped(content: dict[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in content.items():
            file.writestr(name, data)
        file.comment = comment
    return out.getvalue()


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def saved(path: Path, data: Any, **options: Any) -> bytes:
    tk.save(path / "ours.npz", data, **options)
    return (path / "ours.npz").read_bytes()


def same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def scipys() -> dict[str, Any]:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0, 1.5, 0], [2, 0, -3]])
    return {kind: getattr(sparse, f"{kind}_array")(dense) for kind in ("csr", "csc", "coo", "bsr")}


# What others write


def test_archives_of_mxnet_2_are_read(golden: Path) -> None:
    """Zero sizes and CRCs in local headers, DOS date 0, every dtype, names with colons, slashes and umlauts."""
    expected = json.loads((golden / "npz/mxnet20.json").read_text("utf-8"))["npz/mxnet20.npz"]
    got = tk.load(golden / "npz/mxnet20.npz")

    assert {k: (str(v.dtype), list(v.shape), v.tolist()) for k, v in got.items()} == {
        k: tuple(v.values()) for k, v in expected.items()
    }
    assert tk.verify(golden / "npz/mxnet20.npz").status == "good"


def test_sparse_arrays_of_mxnet_2_are_read(golden: Path) -> None:
    """csr and row_sparse groups, whose format.npy has a header that NumPy itself cannot parse."""
    expected = json.loads((golden / "npz/mxnet20.json").read_text("utf-8"))["npz/mxnet20_sparse.npz"]
    got = tk.load(golden / "npz/mxnet20_sparse.npz")

    assert set(got) == {"c", "r", "d"}
    assert got["d"].tolist() == expected["d"]["values"]
    for name in ("c", "r"):
        assert isinstance(got[name], tk.SparseTensor)
        assert got[name].kind == expected[name]["kind"]
        assert got[name].to_dense().tolist() == expected[name]["values"]
    assert tk.verify(golden / "npz/mxnet20_sparse.npz").status == "good"


def test_any_suffix_and_none_is_read_by_content(golden: Path, tmp_path: Path) -> None:
    """MXNet 2.0's parameters are npz archives called .params; its empty savez is an end record and nothing else."""
    (tmp_path / "net.params").write_bytes((golden / "npz/mxnet20.npz").read_bytes())

    assert tk.open(tmp_path / "net.params").format == "npz"
    assert tk.load(golden / "npz/mxnet20_empty.npz") == {}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_sparse_arrays_of_scipy_are_read(tmp_path: Path, kind: str, compressed: bool) -> None:
    """scipy.sparse.save_npz: the array itself comes back, not a dict of its parts."""
    given = scipys()[kind]
    scipy = pytest.importorskip("scipy.sparse")
    scipy.save_npz(tmp_path / "s.npz", given, compressed=compressed)
    got = tk.load(tmp_path / "s.npz")

    assert isinstance(got, tk.SparseTensor)
    assert got.kind == kind
    assert got.to_dense().tolist() == given.toarray().tolist()


def test_sparse_kinds_that_are_not_known_are_given_as_their_parts(tmp_path: Path) -> None:
    """scipy's bsr: plain tensors, and a note that says so."""
    given = scipys()["bsr"]
    pytest.importorskip("scipy.sparse").save_npz(tmp_path / "s.npz", given)
    with tk.open(tmp_path / "s.npz") as file:
        assert file["data"].tolist() == given.data.tolist()
        assert "bsr" in file.notes[0]


@pytest.mark.parametrize("compressed", [False, True])
def test_fortran_and_big_endian_members_are_read_and_checked(compressed: bool) -> None:
    """Their bytes are not those that a checksum of ours would cover, so the archive's CRC is checked instead."""
    arrays = {"f": np.asfortranarray(MATRIX), "b": MATRIX.astype(">f4")}
    data = numpys(compressed, **arrays)
    got = tk.load(data)

    assert got["f"].tolist() == got["b"].tolist() == MATRIX.tolist()
    assert tk.verify(data).status == "good"
    if not compressed:
        broken = bytearray(data)
        broken[data.find(arrays["f"].tobytes("A")) + 5] ^= 1
        assert tk.verify(bytes(broken)).status == "damaged"
        with pytest.raises(CorruptFileError, match=r"member 'f.npy' .*CRC"):
            tk.load(bytes(broken))
        with tk.open(bytes(broken)) as file, pytest.raises(CorruptFileError, match=r"member 'f.npy' .*CRC"):
            file["f"].numpy()


def test_opening_reads_no_values(tmp_path: Path) -> None:
    """A stored member is a range of the mapped file, and a slice is a view of it."""
    np.savez(tmp_path / "a.npz", w=np.arange(100_000).reshape(1000, 100))
    with tk.open(tmp_path / "a.npz") as file:
        part = file["w"][5]

        assert part.tolist() == list(range(500, 600))
        assert not part.flags.owndata
        assert not part.flags.writeable


def test_bfloat16_of_numpy_is_read_with_a_note() -> None:
    """NumPy writes ml_dtypes.bfloat16 as <V2; one sentence says how that is read."""
    given = np.array([1, -2.5], ml_dtypes.bfloat16)
    with tk.open(numpys(a=given, b=given)) as file:
        assert same(file["a"].numpy(), given)
        assert len(file.notes) == 1


def test_members_that_are_no_arrays_are_noted() -> None:
    """NumPy allows other files among the arrays; they are named and left out."""
    with tk.open(zipped({"a.npy": npy(MATRIX), "readme.txt": b"hello", "folder/": b""})) as file:
        assert list(file) == ["a"]
        assert file.notes == ["the member 'readme.txt' is no array and is left out"]


@pytest.mark.parametrize(
    ("array", "error"), [(np.array([{}], object), UnsafeFileError), (np.array(["a"]), UnsupportedFormatError)]
)
def test_objects_and_text_are_refused_or_left_as_records(array: Any, error: type[TensorkeepError]) -> None:
    """A pickle among the arrays is never read; with unknown="inert" the others are given, with a record in its place."""
    data = numpys(bad=array, good=MATRIX)
    with pytest.raises(error, match=r"member 'bad.npy'.*unknown=\"inert\" the other tensors") as caught:
        tk.load(data)
    got = tk.load(data, unknown="inert")

    assert str(caught.value).startswith("<bytes>: ")
    assert same(got["good"], MATRIX)
    assert isinstance(got["bad"], Inert)


# What we write


def test_numpy_lists_and_reads_just_the_arrays(tmp_path: Path) -> None:
    """Nesting, plain values and metadata lie where numpy.load does not look."""
    data = {"layers": [MATRIX, {"b": MATRIX[0]}], "step": 3, "note": "x", "pair": (None, 2.5)}
    saved(tmp_path, data, metadata={"author": "me"})
    with np.load(tmp_path / "ours.npz") as file:
        assert file.files == ["layers.0", "layers.1.b"]
        assert same(file["layers.0"], MATRIX)
    back = tk.load(tmp_path / "ours.npz")

    assert back["layers"][1]["b"].tolist() == MATRIX[0].tolist()
    assert {k: v for k, v in back.items() if k != "layers"} == {"step": 3, "note": "x", "pair": (None, 2.5)}
    assert tk.open(tmp_path / "ours.npz").metadata == {"author": "me"}


def test_a_flat_dict_is_a_plain_archive(tmp_path: Path) -> None:
    """No comment, no further member; every array aligned to 64 bytes; dates 1980; the same bytes every time."""
    data = saved(tmp_path, {"w": MATRIX, "ü/b": np.array(1)})
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert file.comment == b""
        assert [i.filename for i in file.infolist()] == ["w.npy", "ü/b.npy"]
        assert {i.date_time for i in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert file.read("w.npy") == npy(MATRIX)

    assert data.find(MATRIX.tobytes()) % 64 == 0
    assert saved(tmp_path, {"w": MATRIX, "ü/b": np.array(1)}) == data


def _where(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        if file.comment:
            return "packed comment" if b'"structure"' not in file.comment else "comment"
        return "member" if "__tensorkeep__.json" in file.namelist() else "field"


@pytest.mark.parametrize(
    ("extra", "place"),
    [
        (["x"], "comment"),
        ([f"key {i}" for i in range(900)], "packed comment"),
        ([f"key {i}" for i in range(9000)], "field"),
        ([np.random.default_rng(0).bytes(100_000)], "member"),
    ],
)
def test_structures_of_any_length_are_kept(tmp_path: Path, extra: list[Any], place: str) -> None:
    """JSON in the comment, packed, in an extra field of the first member, at last a member of its own."""
    data = saved(tmp_path, [MATRIX, *extra])
    with np.load(io.BytesIO(data)) as file:
        assert file.files == ["0"] + ["__tensorkeep__.json"] * (place == "member")
        assert same(file["0"], MATRIX)
    back = tk.load(data)

    assert _where(data) == place
    assert data.find(MATRIX.tobytes()) % 64 == 0
    assert back[1:] == extra
    assert tk.load(saved(tmp_path, extra)) == extra  # without any tensor


def test_every_flipped_bit_of_an_extra_field_is_noticed(tmp_path: Path) -> None:
    """The structure in a local header is guarded as the one in the comment is."""
    values = [f"key {i}" for i in range(9000)]
    data = saved(tmp_path, [MATRIX, *values])
    start = data.find(b"tensorkeep:1:")
    stop = data.find(b":tensorkeep", start) + 11
    for at in [*range(20, start + 40), *range(start, stop, 997), *range(stop - 20, stop + 8)]:
        broken = bytearray(data)
        broken[at] ^= 1 << at % 8
        try:
            got = tk.load(bytes(broken))
        except TensorkeepError:
            continue
        assert got[1:] == values


def test_tied_tensors_are_stored_once(tmp_path: Path) -> None:
    """Also in a flat dict, where the structure then says which names are one."""
    saved(tmp_path, {"a": MATRIX, "b": MATRIX})
    with np.load(tmp_path / "ours.npz") as file:
        assert file.files == ["a"]
    back = tk.load(tmp_path / "ours.npz")

    assert back["a"] is back["b"]


def test_ordered_dicts_keep_their_kind(tmp_path: Path) -> None:
    """As torch's state dicts are."""
    saved(tmp_path, OrderedDict(b=MATRIX, a=MATRIX + 1))
    back = tk.load(tmp_path / "ours.npz")

    assert type(back) is OrderedDict
    assert list(back) == ["b", "a"]


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_scipy_reads_one_sparse_array(tmp_path: Path, kind: str) -> None:
    """A csr array alone is what scipy.sparse.save_npz writes; csc comes back as itself through us."""
    given = scipys()[kind]
    saved(tmp_path, given)
    if kind == "csr":
        scipy = pytest.importorskip("scipy.sparse")
        assert (scipy.load_npz(tmp_path / "ours.npz").toarray() == given.toarray()).all()
    back = tk.load(tmp_path / "ours.npz")

    assert back.kind == kind
    assert back.to_dense().tolist() == given.toarray().tolist()


def test_sparse_groups_are_those_of_mxnet_2(tmp_path: Path, golden: Path) -> None:
    """The members of each group have the names and values that MXNet wrote for the same arrays."""
    theirs = golden / "npz/mxnet20_sparse.npz"
    saved(tmp_path, tk.load(theirs))
    with zipfile.ZipFile(theirs) as a, zipfile.ZipFile(tmp_path / "ours.npz") as b:
        assert sorted(a.namelist()) == sorted(b.namelist())
        assert b.comment == b""
        for name in a.namelist():
            x, y = a.read(name), b.read(name)
            if name.endswith("format.npy"):  # MXNet's header is malformed, its text is what counts
                assert x[10 + int.from_bytes(x[8:10], "little") :] == y[-len("csr") :] or y.endswith(b"row_sparse")
            else:
                assert np.load(io.BytesIO(x)).tolist() == np.load(io.BytesIO(y)).tolist()


def test_sparse_arrays_that_groups_cannot_say_come_back_too(tmp_path: Path) -> None:
    """csc, two that share an index, names that collide with a group's: plain members and the structure."""
    csr, csc = scipys()["csr"], scipys()["csc"]
    shared = tk.SparseTensor("csr", csr.shape, csr.data * 2, csr.indices, csr.indptr)
    data = {"c": csr, "e": [csc], "c.data": MATRIX, "s": shared, "c/shape": MATRIX + 1, "n": 1}
    data |= {"x.y": MATRIX + 2, "x": {"y": scipys()["csr"]}}
    saved(tmp_path, data)
    back = tk.load(tmp_path / "ours.npz")

    assert list(back) == list(data)
    assert back["c"].to_dense().tolist() == csr.toarray().tolist()
    assert back["e"][0].kind == "csc"
    assert back["s"].to_dense().tolist() == (csr * 2).toarray().tolist()
    assert same(back["c.data"], MATRIX)
    assert same(back["c/shape"], MATRIX + 1)
    assert same(back["x.y"], MATRIX + 2)
    assert back["x"]["y"].to_dense().tolist() == csr.toarray().tolist()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"w": np.zeros(2, ml_dtypes.bfloat16)},
            r"'w': bfloat16 elements cannot be kept in an .npz file: .* .safetensors",
        ),
        ({"w": np.zeros(2, ml_dtypes.int4)}, "'w': int4 elements cannot be kept"),
        ({"../w": MATRIX}, r"The name '../w' cannot stand in an .npz file"),
        ({"a\\b": MATRIX}, "cannot stand in an .npz file"),
        ({"\ud800": MATRIX}, "cannot stand in an .npz file"),
        ({"x" * 70_000: MATRIX}, "at most 65,535 bytes"),
        ([MATRIX, "\ud800"], "cannot be kept as JSON"),
    ],
)
def test_what_npz_cannot_hold_is_refused_before_a_byte_is_written(tmp_path: Path, data: Any, message: str) -> None:
    """The text names the tensor and what to use instead."""
    with pytest.raises(UnsupportedDataError, match=message):
        tk.save(tmp_path / "ours.npz", data)

    assert list(tmp_path.iterdir()) == []


# Damage


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """In a file with nesting: each bit changes nothing that is loaded, or raises."""
    given = {"a": [MATRIX, 1, "x"], "n": 2.5}
    data = saved(tmp_path, given)
    for bit in range(0, 8 * len(data), 7):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        try:
            got = tk.load(bytes(broken))
        except TensorkeepError:
            continue
        assert same(got["a"][0], MATRIX)
        assert got["a"][1:] == given["a"][1:]
        assert got["n"] == 2.5


@pytest.mark.parametrize("make", [numpys, lambda **a: numpys(True, **a)])
def test_a_flipped_bit_names_the_tensor(make: Callable[..., bytes]) -> None:
    """The CRC of the member without its header's share is the checksum of the tensor alone."""
    data = make(good=MATRIX, w=np.random.default_rng(0).normal(size=100))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        info = file.getinfo("w.npy")
    broken = bytearray(data)
    broken[info.header_offset + info.compress_size] ^= 16
    with pytest.raises(CorruptFileError, match=r"w"):
        tk.load(bytes(broken))
    report = tk.verify(bytes(broken))

    assert report.status == "damaged"


def test_a_cut_file_is_salvaged(tmp_path: Path) -> None:
    """tk.repair writes the tensors whose members are whole; the text of the error says so."""
    data = saved(tmp_path, {f"w{i}": MATRIX + i for i in range(5)})
    third = data.find(b"w3.npy") - 30
    (tmp_path / "cut.npz").write_bytes(data[: third + 50])
    with pytest.raises(TruncatedFileError, match=r"tkeep repair .*cut.npz --salvage OUT"):
        tk.load(tmp_path / "cut.npz")
    tk.repair(tmp_path / "cut.npz", tmp_path / "out.npz")
    back = tk.load(tmp_path / "out.npz")

    assert list(back) == ["w0", "w1", "w2"]
    assert same(back["w2"], MATRIX + 2)


def _comment(text: bytes) -> bytes:
    return b"tensorkeep:1:%08x:%b:tensorkeep" % (zlib.crc32(text), text)


PACKED = base64.b64encode(zlib.compress(b'{"metadata":{}}'))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (
            zipped({"a.npy": npy(MATRIX)[:-1]}),
            CorruptFileError,
            "takes 24 bytes behind its header of 128, but .* has 151",
        ),
        (zipped({"a.npy": npy(MATRIX) + b"x"}), CorruptFileError, "takes 24 bytes behind its header of 128"),
        (zipped({"a.npy": npy(MATRIX)[:50]}), CorruptFileError, "ends inside the header"),
        (zipped({"a.npy": b""}), TruncatedFileError, "member 'a.npy': ends after 0 bytes"),
        (zipped({"a.npy": b"hello"}), CorruptFileError, "starts with 68 65 6c 6c 6f, not with the magic"),
        (
            zipped({"a.npy": b"\x93NUMPY\x02\0\xff\xff\xff\x0f" + bytes(99)}, zipfile.ZIP_DEFLATED),
            LimitError,
            "a header of 268435455 bytes",
        ),
        (zipped({"a.npy": npy(MATRIX)}, comment=b"tensorkeep:1:"), CorruptFileError, "its checksum does not fit"),
        (zipped({}, comment=_comment(b"{}")[:-3]), CorruptFileError, "its checksum does not fit"),
        (zipped({}, comment=_comment(b"{}")[3:]), CorruptFileError, "its checksum does not fit"),
        (zipped({}, comment=_comment(b"{}").replace(b"{}", b"{ ")), CorruptFileError, "its checksum does not fit"),
        (zipped({}, comment=_comment(b"!!!")), CorruptFileError, "in the archive is damaged"),
        (zipped({}, comment=_comment(base64.b64encode(b"xx"))), CorruptFileError, "in the archive is damaged"),
        (zipped({}, comment=_comment(PACKED[:-8])), CorruptFileError, "in the archive is damaged"),
        (zipped({}, comment=_comment(b'{"metadata":3}')), CorruptFileError, "no object with a structure and metadata"),
        (zipped({}, comment=_comment(b'{"structure":"w"}')), CorruptFileError, "the stored structure has 'w' where it"),
        (zipped({"__tensorkeep__.json": b"[" * 9999}), LimitError, "inside each other"),
        (zipped({"__tensorkeep__.json": b"[]"}), CorruptFileError, "no object with a structure"),
    ],
)
def test_damaged_archives_are_refused(data: bytes, error: type[TensorkeepError], message: str) -> None:
    """Arrays that do not fill their member, and a structure that is not what was written."""
    with pytest.raises(error, match=message):
        tk.load(data)


def _group(**changes: Any) -> bytes:
    parts = {
        "data": np.array([1.0, 2.0]),
        "indices": np.array([0, 2]),
        "indptr": np.array([0, 1, 2]),
        "shape": np.array([2, 3]),
        "format": np.array(b"csr"),
    }
    parts |= changes
    return zipped({f"w/{name}.npy": npy(part) for name, part in parts.items() if part is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indptr": None}, "the csr array 'w' lacks its indptr"),
        ({"shape": np.array([2.0, 3.0])}, r"member 'w/shape.npy': float64\[2\] cannot be the shape"),
        ({"shape": np.array([-2, 3])}, "a dimension of -2"),
        ({"shape": np.zeros(65, int)}, "cannot be the shape of an array"),
        ({"indices": np.array([0, 3])}, "an index lies outside 0 to 2"),
        ({"indices": np.array([0, -1])}, "an index lies outside 0 to 2"),
        ({"indptr": np.array([0, 2, 1])}, "row pointer does not rise"),
        ({"indptr": np.array([0, 1, 9])}, "row pointer does not rise from 0 to 2"),
        ({"indices": np.array([0.0, 1.0])}, "indices are not integers"),
    ],
)
def test_sparse_arrays_whose_parts_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    """Missing parts, shapes that are none, indices out of bounds: as the rules of csr have it."""
    assert tk.load(_group())["w"].to_dense().tolist() == [[1, 0, 0], [0, 0, 2]]
    data = _group(**changes)
    with pytest.raises(CorruptFileError, match=message):
        tk.load(data)

    assert tk.verify(data).status == "damaged"


def test_an_array_beside_a_sparse_array_of_its_name_is_refused() -> None:
    """One name, two arrays: readers would disagree on which it is."""
    parts = {"data": np.ones(1), "indices": np.zeros(1, int), "shape": np.array([1]), "format": np.array(b"row_sparse")}
    content = {"w.npy": npy(MATRIX), **{f"w/{name}.npy": npy(part) for name, part in parts.items()}}
    with pytest.raises(CorruptFileError, match="two arrays are named 'w'"):
        tk.load(zipped(content))
