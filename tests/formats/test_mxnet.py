"""MXNet's list files: what real MXNet wrote is read equal and written back to the byte; damage is told, not hidden."""

from __future__ import annotations

import hashlib
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorkeep.core.bytesource import BufferSource, FileSource
from tensorkeep.core.dtypes import DTYPES, numpy_dtype
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    MismatchError,
    TensorkeepError,
    TruncatedFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)
from tensorkeep.formats import _mxnet_array, by_name
from tensorkeep.formats.mxnet import open_checkpoint
from tests.formats.mxnet_samples import (
    GOLDEN,
    V1,
    V2,
    V3,
    assert_equals,
    dense,
    dense_v0,
    f32,
    i64,
    is_list_file,
    list_file,
    manifest,
    open_bytes,
    open_path,
    planned,
    salvage_bytes,
    shape_bytes,
    sparse,
    written,
)

FACTS = {
    name: facts for name, facts in manifest(GOLDEN).items() if is_list_file(facts) and not name.startswith("pickle/")
}

CODES = (
    *("float32", "float64", "float16", "uint8", "int32", "int8", "int64"),
    *("bool", "int16", "uint16", "uint32", "uint64", "bfloat16"),
)


# --- files of real MXNet


@pytest.mark.parametrize("name", FACTS)
def test_files_of_mxnet_191_are_read_equal(name: str) -> None:
    """Shapes, dtypes, values, names and kind of container are what MXNet 1.9.1 wrote."""
    with open_path(GOLDEN / name) as file:
        assert file.format == "mxnet"
        assert isinstance(file.structure, dict if FACTS[name]["kind"] == "dict" else list)
        assert_equals(file.structure, FACTS[name]["arrays"], name)
        assert file.check() == []


@pytest.mark.parametrize("name", FACTS)
def test_what_was_read_is_written_to_the_byte(name: str) -> None:
    """Saving the same arrays gives MXNet's own bytes: V2, or V3 for what NumPy semantics wrote."""
    facts = FACTS[name]
    with open_path(GOLDEN / name) as file:
        data = written(file.structure, "mxnet-np" if facts.get("np_semantics") else "mxnet")
    assert hashlib.sha256(data).hexdigest() == facts["file_sha256"]


def test_every_list_file_beside_the_checkout_is_read_and_written(shared: Path) -> None:
    """The whole collection of MXNet 1.9.1's files, the 0.x one too: read equal, written back to the byte."""
    folder = shared / "mxnet" / "fixtures"
    count = 0
    for name, facts in manifest(folder).items():
        if not is_list_file(facts) or name.startswith("pickle/"):
            continue
        count += 1
        with open_path(folder / name) as file:
            assert_equals(file.structure, facts["arrays"], name)
            if not name.startswith("legacy/"):
                data = written(file.structure, "mxnet-np" if facts.get("np_semantics") else "mxnet")
                assert hashlib.sha256(data).hexdigest() == facts["file_sha256"], name
    assert count > 80


def test_zero_dimensional_and_empty_arrays_make_the_whole_file_v3() -> None:
    """V2 cannot hold them: "mxnet" then writes what MXNet writes under NumPy semantics."""
    for name in ("np/scalar", "np/zero_size"):
        with open_path(GOLDEN / name) as file:
            assert hashlib.sha256(written(file.structure, "mxnet")).hexdigest() == FACTS[name]["file_sha256"]


# --- the byte table


@pytest.mark.parametrize("code", range(13))
@pytest.mark.parametrize("magic", [None, V1, V2, V3])
def test_every_type_code_in_every_version(code: int, magic: int | None) -> None:
    """Codes 0 to 12 in V0 (None), V1, V2 and V3."""
    dtype = numpy_dtype(DTYPES[CODES[code]])
    values = np.arange(6).reshape(2, 3).astype(dtype)
    make = (
        dense_v0((2, 3), code, values.tobytes())
        if magic is None
        else dense((2, 3), code, values.tobytes(), magic=magic)
    )
    tensor = open_bytes(list_file([make], ["w"]))["w"]
    assert isinstance(tensor, Tensor)
    assert tensor.dtype == CODES[code]
    assert tensor.numpy().dtype == dtype
    assert tensor.tobytes() == values.tobytes()


@pytest.mark.parametrize("code", range(13))
@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 1, 1, 1, 1, 1, 1, 2)])
def test_arrays_are_written_as_the_table_says(code: int, shape: tuple[int, ...]) -> None:
    """One array: the list of one, V2, cpu(0), no names."""
    values = np.arange(np.prod(shape)).reshape(shape).astype(numpy_dtype(DTYPES[CODES[code]]))
    assert written(values) == list_file([dense(shape, code, values.tobytes())])
    assert written({"w": values}, "mxnet-np") == list_file([dense(shape, code, values.tobytes(), magic=V3)], ["w"])


def test_versions_may_be_mixed_and_are_told() -> None:
    """One file with V0, V1, V2 and V3 arrays."""
    one = f32(1.0)
    data = list_file([dense_v0((1,), 0, one), *(dense((1,), 0, one, magic=magic) for magic in (V1, V2, V3))])
    file = open_bytes(data)
    assert [tensor.tolist() for tensor in file.structure] == [[1.0]] * 4
    assert "V0, V1, V2, V3" in " ".join(file.notes)


@pytest.mark.parametrize(
    "none",
    [
        struct.pack("<I", 0),
        struct.pack("<Ii", V1, 0),
        struct.pack("<Iii", V2, 0, 0),
        struct.pack("<Iii", V3, 0, -1),
        struct.pack("<Iii", V3, 0, 2) + i64(-1, 3),
    ],
    ids=["V0", "V1", "V2", "V3 ndim", "V3 dimension"],
)
def test_none_arrays_are_none(none: bytes) -> None:
    """An array without values is None in the structure and has no name in the mapping; positions stay."""
    file = open_bytes(list_file([none, dense((1,), 0, f32(2.0))]))
    assert file.structure[0] is None
    assert list(file) == ["1"]
    assert file["1"].tolist() == [2.0]  # type: ignore[union-attr]
    named = open_bytes(list_file([none, dense((1,), 0, f32(2.0))], ["a", "b"]))
    assert list(named) == ["b"]
    assert list(named.structure) == ["a", "b"]


def test_none_is_written_as_a_none_array() -> None:
    """V2: no dimensions; V3: one unknown dimension. Nothing follows."""
    one = np.ones(1, np.float32)
    assert written([None, one]) == list_file([struct.pack("<Iii", V2, 0, 0), dense((1,), 0, f32(1.0))])
    expected = list_file([struct.pack("<Iiiq", V3, 0, 1, -1), dense((1,), 0, f32(1.0), magic=V3)])
    assert written([None, one], "mxnet-np") == expected


def test_the_reserved_word_is_ignored_and_strange_things_are_noted() -> None:
    """MXNet ignores the reserved word and bytes behind the end; the devices of a GPU file do not matter."""
    data = bytearray(list_file([dense((1,), 0, f32(1.0), device=(2, 3))], ["w"]) + b"tail")
    data[8] = 7
    file = open_bytes(bytes(data))
    assert file["w"].tolist() == [1.0]  # type: ignore[union-attr]
    assert any("gpu(3)" in note for note in file.notes)
    assert any("4 bytes stand behind the end" in note for note in file.notes)


def test_tied_tensors_are_written_twice() -> None:
    """The format cannot share: each name has values of its own."""
    one = np.arange(3, dtype=np.float32)
    same = dense((3,), 0, one.tobytes())
    plan = planned({"a": one, "b": one})
    assert written({"a": one, "b": one}) == list_file([same, same], ["a", "b"])
    assert plan.tensors == 2
    assert [segment.name for segment in plan.segments if not isinstance(segment, bytes)] == ["a", "b"]  # type: ignore[union-attr]


def test_indices_of_32_bits_are_written_as_64() -> None:
    """MXNet's index arrays are int64; scipy's and torch's often are not."""
    parts = {"data": np.array([1.0, 2.0], np.float32), "indices": np.array([0, 2]), "indptr": np.array([0, 1, 2])}
    wide = SparseTensor("csr", (2, 3), **parts)
    narrow = SparseTensor("csr", (2, 3), parts["data"], parts["indices"].astype("i4"), parts["indptr"].astype("i4"))
    expected = sparse(2, (2, 3), (2,), [(3,), (2,)], f32(1.0, 2.0) + i64(0, 1, 2) + i64(0, 2))
    assert written({"m": wide}) == list_file([expected], ["m"])
    assert written({"m": narrow}) == written({"m": wide})


@given(st.data())
def test_any_run_of_arrays_is_walked(data: st.DataObject) -> None:
    """Sizes around the borders of the reading windows: every array is found where it was written."""
    near = st.sampled_from([1, 3, 500, 570, 1000, 1024, 4000, 16000, 16384])
    sizes = data.draw(st.lists(st.one_of(near, st.integers(1, 70_000)), min_size=1, max_size=40))
    arrays = {f"{i}" * (i % 7 + 1): np.full(size, i, np.uint8) for i, size in enumerate(sizes)}
    file = open_bytes(written(arrays))
    assert {name: tensor.numpy().tobytes() for name, tensor in file.items()} == {  # type: ignore[union-attr]
        name: array.tobytes() for name, array in arrays.items()
    }


def test_long_headers_may_lie_across_windows() -> None:
    """64 dimensions make a header of 536 bytes: many of them meet every border."""
    arrays = [dense((1,) * 64, 0, f32(i)) for i in range(1500)]
    csr = sparse(2, (1, 2), (1,), [(2,), (1,)], f32(5) + i64(0, 1, 1))
    file = open_bytes(list_file([part for array in arrays for part in (array, csr)]))
    assert [tensor.numpy().item() for tensor in file.structure[::2]] == list(range(1500))
    assert {leaf.kind for leaf in file.structure[1::2]} == {"csr"}


def test_many_long_names_are_read_across_windows() -> None:
    """Names that do not fit the reading window of 64 KiB."""
    names = [chr(97 + i % 26) * (i * 997 % 70_000) + str(i) for i in range(60)]
    arrays = {name: np.array([i], np.int32) for i, name in enumerate(names)}
    file = open_bytes(written(arrays))
    assert list(file) == names
    assert [tensor.item() for tensor in file.values()] == list(range(60))  # type: ignore[union-attr]


def test_opening_reads_headers_only(tmp_path: Path) -> None:
    """1 GB of values (a hole in the file): less than 100 KB are read."""
    path = tmp_path / "large.params"
    head = struct.pack("<QQQ", 0x112, 0, 2)
    with path.open("wb") as file:
        file.write(head)
        for _ in range(2):
            file.write(dense((1 << 27,), 0, b""))
            file.seek(4 << 27, os.SEEK_CUR)
        file.write(struct.pack("<Q", 0))

    class Counting(FileSource):
        __slots__ = ("taken",)
        taken: int

        def read(self, offset: int, nbytes: int) -> bytes:
            self.taken += nbytes
            return super().read(offset, nbytes)

        def view(self, offset: int, nbytes: int) -> memoryview:
            self.taken += nbytes
            return super().view(offset, nbytes)

    source = Counting(path)
    source.taken = 0
    opened = by_name("mxnet").open
    assert opened is not None
    with opened(source, "refuse") as found:
        assert [tensor.shape for tensor in found.values()] == [(1 << 27,)] * 2
        assert source.taken < 100_000
        assert found["1"][5:7].tolist() == [0.0, 0.0]  # type: ignore[index]


# --- what cannot be written


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"a": {"b": np.ones(1)}}, "'a' is a dict"),
        ([np.ones(1), 3], "'1' is a int"),
        ((np.ones(1),), "not a tuple"),
        (3.5, "not a float"),
        (None, "not a NoneType"),
        ({1: np.ones(1)}, "the key 1 is no string"),
        ({"a\0b": np.ones(1)}, "zero byte"),
        ({"\ud800": np.ones(1)}, "half a character"),
        ({"a": np.ones(1, np.complex64)}, "complex64"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(data: Any, why: str) -> None:
    """Before a byte is written, naming formats that can."""
    with pytest.raises(UnsupportedDataError, match=why) as caught:
        planned(data)
    assert "safetensors" in str(caught.value)


def test_metadata_is_refused() -> None:
    """The format has no room for it; dropping it silently would be a lie."""
    with pytest.raises(UnsupportedDataError, match="no room for metadata"):
        planned({"a": np.ones(1)}, metadata={"k": "v"})


def test_sparse_arrays_cannot_be_v3() -> None:
    """Neither on request nor because an empty array stands beside; other kinds not at all."""
    csr = SparseTensor("csr", (1, 2), np.ones(1, np.float32), np.array([0]), np.array([0, 1]))
    with pytest.raises(UnsupportedDataError, match="V3 array cannot be"):
        planned({"m": csr}, "mxnet-np")
    with pytest.raises(UnsupportedDataError, match=r"because 'e' has shape \(0, 3\)"):
        planned({"m": csr, "e": np.ones((0, 3))})
    coo = SparseTensor("coo", (2, 2), np.ones(1, np.float32), np.array([[0], [1]]))
    with pytest.raises(UnsupportedDataError, match="sparse of kind coo"):
        planned({"m": coo})


def test_a_sparse_array_with_wrong_indices_is_not_written() -> None:
    """MXNet would read memory beyond the array."""
    wrong = SparseTensor("csr", (1, 2), np.ones(1, np.float32), np.array([5]), np.array([0, 1]))
    with pytest.raises(UnsupportedDataError, match="It is not written"):
        planned({"m": wrong})


# --- damage

SMALL = list_file(
    [
        dense((2,), 0, f32(1, 2)),
        sparse(2, (2, 3), (2,), [(3,), (2,)], f32(1, 2) + i64(0, 1, 2) + i64(0, 2)),
        dense_v0((3,), 3, b"abc"),
        dense((2, 1), 4, b"12345678", magic=V3),
    ],
    ["first", "m", "v0", "värld"],
)
ENDS = [24]
for _array in (
    dense((2,), 0, f32(1, 2)),
    sparse(2, (2, 3), (2,), [(3,), (2,)], f32(1, 2) + i64(0, 1, 2) + i64(0, 2)),
    dense_v0((3,), 3, b"abc"),
    dense((2, 1), 4, b"12345678", magic=V3),
):
    ENDS.append(ENDS[-1] + len(_array))


@pytest.mark.parametrize("size", range(len(SMALL)))
def test_a_cut_file_says_what_is_whole_and_can_be_salvaged(size: int) -> None:
    """At every byte: TruncatedFileError with the number of whole arrays; salvage gives exactly these."""
    with pytest.raises(TruncatedFileError, match="<bytes>") as caught:
        open_bytes(SMALL[:size])
    whole = sum(end <= size for end in ENDS[1:])
    if size < 24:
        assert "No array is whole" in str(caught.value)
        with pytest.raises(TruncatedFileError, match="No array is whole"):
            salvage_bytes(SMALL[:size])
        return
    assert f"{whole} array" in str(caught.value)
    assert "tkeep repair <bytes> --salvage OUT" in str(caught.value)
    good = open_bytes(SMALL)
    saved = salvage_bytes(SMALL[:size])
    assert len(saved) == whole
    for kept, wanted in zip(saved.values(), good.values(), strict=False):
        assert kept.shape == wanted.shape
        assert kept.dtype == wanted.dtype
        if isinstance(wanted, Tensor):
            assert isinstance(kept, Tensor)
            assert kept.tobytes() == wanted.tobytes()


def test_salvage_keeps_the_names_that_are_whole() -> None:
    """Cut inside the last name: three names are there, the fourth array gets its position."""
    saved = salvage_bytes(SMALL[:-1])
    assert list(saved) == ["first", "m", "v0", "3"]
    taken = list_file([dense((1,), 0, f32(1))] * 3, ["2", "1", "x"])
    assert list(salvage_bytes(taken[:-1])) == ["2", "1", "#2"]


def test_salvage_does_not_lose_arrays_whose_names_stand_twice() -> None:
    """Whether the names are whole or cut: then the positions are the names."""
    twice = list_file([dense((1,), 0, f32(1))] * 3, ["a", "a", "x"])
    for size in (len(twice), len(twice) - 1):
        assert list(salvage_bytes(twice[:size])) == ["0", "1", "2"]


def test_salvage_of_a_damaged_file_gives_the_arrays_before_the_damage() -> None:
    """The header of the third array is destroyed."""
    data = bytearray(SMALL)
    data[ENDS[2] : ENDS[2] + 4] = b"\xff\xff\xff\xff"
    saved = salvage_bytes(bytes(data))
    assert list(saved) == ["0", "1"]
    assert "2 of 4 arrays are whole." in saved.notes


def _use(file: Any) -> None:
    file.check()
    for leaf in file.values():
        if isinstance(leaf, Tensor):
            leaf.numpy()
        else:
            for _, part in leaf.parts():
                part.numpy()


@pytest.mark.parametrize("at", range(len(SMALL)))
def test_no_flipped_byte_gives_another_exception(at: int) -> None:
    """Each byte of a small file, eight ways: it still opens, or one of our errors says why not."""
    for mask in (0x01, 0x02, 0x04, 0x08, 0x10, 0x40, 0x80, 0xFF):
        data = bytearray(SMALL)
        data[at] ^= mask
        for opener in (open_bytes, salvage_bytes):
            try:
                _use(opener(bytes(data)))
            except TensorkeepError as err:
                assert "<bytes>" in str(err)  # noqa: PT017  # any refusal is good, a nameless one is not


HUGE = 2**31 - 1
HOSTILE: dict[str, tuple[bytes, type[TensorkeepError], str]] = {
    "2**40 arrays": (list_file([], count=1 << 40), TruncatedFileError, "of 1099511627776"),
    "ndim of V2": (list_file([struct.pack("<Iii", V2, 0, HUGE)]), LimitError, "2147483647 dimensions"),
    "negative ndim": (list_file([struct.pack("<Iii", V2, 0, -5)]), CorruptFileError, "-5 dimensions"),
    "V2 with unknown ndim": (list_file([struct.pack("<Iii", V2, 0, -1)]), CorruptFileError, "-1 dimensions"),
    "65 dimensions": (list_file([dense((1,) * 65, 0, f32(1))]), LimitError, "65 dimensions"),
    "negative dimension": (list_file([dense((-1,), 0, b"")]), CorruptFileError, "dimension of -1"),
    "below -1 in V3": (list_file([dense((-2,), 0, b"", magic=V3)]), CorruptFileError, "dimension of -2"),
    "overflow": (list_file([dense((1 << 32, 1 << 32), 0, b"")]), TruncatedFileError, "0 arrays are whole"),
    "overflow with a zero": (list_file([dense((0, 1 << 62, 1 << 62), 0, b"")]), LimitError, r"2\*\*63 elements"),
    "overflow to 64": (list_file([dense((1 << 63 - 1,) * 64, 0, b"")]), TruncatedFileError, "0 arrays are whole"),
    "more than is there": (list_file([dense((1 << 40,), 0, b"")]), TruncatedFileError, "0 arrays are whole"),
    "unknown version": (list_file([struct.pack("<I", 0xF993FACB) + bytes(60)]), CorruptFileError, "0xF993FACB"),
    "V0 of 65 dimensions": (list_file([dense_v0((1,) * 65, 0, f32(1))]), CorruptFileError, "0x00000041"),
    "storage type": (list_file([struct.pack("<Ii", V2, 7) + bytes(60)]), UnsupportedFormatError, "storage type 7"),
    "sparse V3": (
        list_file([struct.pack("<Ii", V3, 2) + bytes(60)]),
        CorruptFileError,
        "version 3 with storage type 2",
    ),
    "type code": (list_file([dense((1,), 13, b"abcd")]), UnsupportedFormatError, "type code 13"),
    "negative type code": (list_file([dense((1,), -1, b"abcd")]), UnsupportedFormatError, "type code -1"),
    "a file of zeros": (list_file([], count=100_000) + bytes(400_000), LimitError, "65536 arrays without values"),
    "names": (list_file([dense((1,), 0, f32(1))], ["a", "b"]), CorruptFileError, "1 arrays, but 2 names"),
    "2**60 names": (list_file([])[:-8] + i64(1 << 60), CorruptFileError, "names at byte 24"),
    "long name": (
        list_file([dense((1,), 0, f32(1))], ["a"])[:-9] + struct.pack("<Q", 2**64 - 1),
        TruncatedFileError,
        "inside name 0",
    ),
    "name of 2 MiB": (list_file([dense((1,), 0, f32(1))], ["a" * (2 << 20)]), LimitError, "2097152 bytes"),
    "no UTF-8": (list_file([dense((1,), 0, f32(1))], [b"\xff\xfe"]), CorruptFileError, "not UTF-8"),
    "zero byte": (list_file([dense((1,), 0, f32(1))], ["a\0b"]), CorruptFileError, "zero byte"),
    "same name twice": (list_file([dense((1,), 0, f32(1))] * 2, ["a", "a"]), CorruptFileError, "the name 'a'"),
    "csr of 3 dimensions": (
        list_file([sparse(2, (1, 1, 1), (1,), [(2,), (1,)], f32(1) + i64(0, 1, 0))]),
        CorruptFileError,
        "do not fit together",
    ),
    "csr row pointer": (
        list_file([sparse(2, (2, 3), (1,), [(2,), (1,)], f32(1) + i64(0, 1, 0))]),
        CorruptFileError,
        r"indptr of shape \(2,\)",
    ),
    "csr lengths": (
        list_file([sparse(2, (1, 3), (2,), [(2,), (1,)], f32(1, 2) + i64(0, 1, 0))]),
        CorruptFileError,
        "do not fit together",
    ),
    "row_sparse lengths": (
        list_file([sparse(1, (4, 3), (2, 3), [(1,)], f32(*range(6)) + i64(0))]),
        CorruptFileError,
        "do not fit together",
    ),
    "row_sparse with more rows than there are": (
        list_file([sparse(1, (1, 1), (2, 1), [(2,)], f32(1, 2) + i64(0, 1))]),
        CorruptFileError,
        "do not fit together",
    ),
    "float indices": (
        list_file([struct.pack("<Ii", V2, 1) + shape_bytes((1,)) * 2 + struct.pack("<4i", 1, 0, 0, 0) + bytes(60)]),
        CorruptFileError,
        "indices of type float32",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_numbers_are_refused_without_allocating(case: str) -> None:
    """The rule and the number are in the text; no more than a megabyte is taken beside the file."""
    data, error, why = HOSTILE[case]
    tracemalloc.start()
    try:
        with pytest.raises(error, match=why) as caught:
            open_bytes(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "<bytes>" in str(caught.value)
    assert peak < len(data) + (1 << 20)


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (sparse(2, (1, 2), (1,), [(2,), (1,)], f32(1) + i64(0, 1) + i64(2)), "outside 0 to 1"),
        (sparse(2, (1, 2), (1,), [(2,), (1,)], f32(1) + i64(0, 1) + i64(-1)), "outside 0 to 1"),
        (sparse(2, (2, 2), (1,), [(3,), (1,)], f32(1) + i64(0, 2, 1) + i64(0)), "does not rise"),
        (sparse(1, (2, 1), (1, 1), [(1,)], f32(1) + i64(2)), "outside 0 to 1"),
        (sparse(1, (2, 1), (2, 1), [(2,)], f32(1, 2) + i64(1, 0)), "do not rise"),
    ],
)
def test_indices_out_of_bounds_are_found_when_they_are_read(array: bytes, why: str) -> None:
    """Opening does not read them; checking and using does."""
    file = open_bytes(list_file([array], ["m"]))
    assert len(file.check()) == 1
    assert why in file.check()[0]
    with pytest.raises(CorruptFileError, match=why):
        file["m"].to_dense()  # type: ignore[union-attr]


def test_another_magic_is_no_list_file() -> None:
    """When format="mxnet" is forced on something else."""
    with pytest.raises(UnsupportedFormatError, match="0x113"):
        open_bytes(struct.pack("<QQQQ", 0x113, 0, 0, 0))


def test_no_header_is_longer_than_the_reading_window() -> None:
    """HEADER_NBYTES covers the longest header that there can be: csr with 64 dimensions in each of its shapes."""
    longest = struct.pack("<Ii", V2, 2) + shape_bytes((1,) * 64) * 2 + struct.pack("<3i", 1, 0, 0)
    longest += (struct.pack("<i", 6) + shape_bytes((1,) * 64)) * 2
    assert len(longest) <= _mxnet_array.HEADER_NBYTES


# --- checkpoints by prefix


def test_a_checkpoint_opens_by_prefix_and_epoch() -> None:
    """arg: and aux: are split, the graph comes with it, names stay those of the file."""
    with open_checkpoint(GOLDEN / "module" / "mx_mlp", 3) as file:
        facts = FACTS["module/mx_mlp-0003.params"]["arrays"]
        assert list(file) == list(facts)
        split = {
            kind: {name[4:]: fact for name, fact in facts.items() if name.startswith(kind)} for kind in ("arg", "aux")
        }
        assert_equals(file.structure, split, "mx_mlp")
        assert file.graph is not None
        assert set(file.graph.arguments) - {"data", "softmax_label"} == set(file.structure["arg"])
        assert file.graph.auxiliary == ["bn1_moving_mean", "bn1_moving_var"]


def test_a_missing_epoch_says_which_are_there() -> None:
    """FileNotFoundError, as for any path."""
    with pytest.raises(FileNotFoundError, match=r"No epoch 7 of this checkpoint \(there are 0001, 0003"):
        open_checkpoint(GOLDEN / "module" / "mx_mlp", 7)
    with pytest.raises(FileNotFoundError, match="there is none"):
        open_checkpoint(GOLDEN / "module" / "nothing", 1)


def test_a_checkpoint_without_its_symbol_still_opens(tmp_path: Path) -> None:
    """The parameters are there; a note says what is missing."""
    (tmp_path / "p-0001.params").write_bytes((GOLDEN / "module/mx_mlp-0001.params").read_bytes())
    with open_checkpoint(tmp_path / "p", 1) as file:
        assert file.graph is None
        assert any("p-symbol.json" in note for note in file.notes)


@pytest.mark.parametrize("source", ["module/bad_prefix.params", "nd/list.params"])
def test_names_without_arg_and_aux_are_no_checkpoint(tmp_path: Path, source: str) -> None:
    """MXNet raises for these as well; the text says how the arrays can be had."""
    (tmp_path / "p-0000.params").write_bytes((GOLDEN / source).read_bytes())
    with pytest.raises(MismatchError, match=r"tk\.load"):
        open_checkpoint(tmp_path / "p", 0)


def test_sources_are_named_in_errors(tmp_path: Path) -> None:
    """The file's name stands in the text of each refusal."""
    path = tmp_path / "cut.params"
    path.write_bytes(SMALL[:60])
    with pytest.raises(TruncatedFileError, match=r"cut\.params"):
        open_path(path)


def test_a_source_that_shrinks_while_it_is_read_is_told() -> None:
    """Another process cut the file between two reads."""

    class Shrinking(BufferSource):
        def read(self, offset: int, nbytes: int) -> bytes:
            self.check(offset, nbytes)
            self.size = min(self.size, 100)
            return super().read(offset, nbytes)

    opened = by_name("mxnet").open
    assert opened is not None
    with pytest.raises(TruncatedFileError, match="<bytes>"):
        opened(Shrinking(SMALL), "refuse")
