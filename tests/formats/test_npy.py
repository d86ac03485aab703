"""formats/npy: arrays of numpy.save and MXNet 2.0 are read equal, hostile headers refused, ours are numpy.save's bytes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tensorkeep.core.bytesource import BufferSource, FileSource
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import flatten
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)
from tensorkeep.formats import detect
from tensorkeep.formats.npy import FORMAT

DTYPES = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]


def saved(array: Any, **options: Any) -> bytes:
    """What numpy.save writes."""
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def opened(data: bytes) -> TensorFile:
    assert FORMAT.open is not None
    return FORMAT.open(BufferSource(data, "f.npy"), "refuse")


def planned(data: Any) -> bytes:
    """What we write."""
    assert FORMAT.plan is not None
    plan = FORMAT.plan(flatten(data))
    return b"".join(part if isinstance(part, bytes) else part.tensor.tobytes() for part in plan.segments)


def with_header(literal: str | bytes, data: bytes = bytes(24), version: int = 1) -> bytes:
    raw = literal if isinstance(literal, bytes) else literal.encode("latin-1")
    length = len(raw).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + raw + data


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"

ARRAYS = npst.arrays(
    st.sampled_from([np.dtype(order + name) for name in DTYPES for order in "<>"]),
    npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)


@given(ARRAYS, st.booleans())
def test_what_numpy_saves_is_read_to_the_same_bits(array: np.ndarray, fortran: bool) -> None:
    """Every dtype, byte order, memory order and shape."""
    array = np.asfortranarray(array) if fortran and array.ndim else array
    got = opened(saved(array)).structure.numpy()

    assert got.dtype == array.dtype.newbyteorder("=")
    assert got.shape == array.shape
    assert got.tobytes() == array.astype(got.dtype).tobytes()


@given(ARRAYS)
def test_what_we_write_is_what_numpy_writes(array: np.ndarray) -> None:
    """Byte for byte, for little-endian arrays in C order."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)

    assert planned(array) == saved(array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_are_read(version: tuple[int, int]) -> None:
    """Versions differ in the width of the header's length."""
    out = io.BytesIO()
    np.lib.format.write_array(out, np.arange(5), version=version)

    assert opened(out.getvalue()).structure.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["mxnet20_float32", "mxnet20_scalar", "mxnet20_empty"])
def test_arrays_of_mxnet_2_are_read(golden: Path, name: str) -> None:
    """npx.save pads headers by up to 64 more bytes; the values are those that MXNet wrote."""
    expected = json.loads((golden / "npz/mxnet20.json").read_text("utf-8"))[f"npy/{name}.npy"]
    source = FileSource(golden / f"npy/{name}.npy")
    tensor = FORMAT.open(source, "refuse").structure  # type: ignore[misc]  # it is never None

    assert detect(source) is FORMAT
    assert (tensor.dtype, list(tensor.shape), tensor.tolist()) == tuple(expected.values())


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2"])
def test_types_that_numpy_writes_without_a_name_are_read_where_only_one_fits(name: str) -> None:
    """<V2 is bfloat16, <f1 is float8_e5m2, and a note says so."""
    array = np.array([1.5, -2, 3e4], getattr(ml_dtypes, name))
    file = opened(saved(array))

    assert file.structure.dtype == name
    assert file.structure.numpy().tobytes() == array.tobytes()
    assert f"read as {name}, whose name NumPy leaves out" in file.notes[0]


def test_bfloat16_is_read_as_mxnet_calls_it() -> None:
    """MXNet 2.0 calls it <b2 (cnpy.cc, dtype_descr)."""
    array = np.array([1.5, -2, 3e38], ml_dtypes.bfloat16)
    file = opened(saved(array).replace(b"<V2", b"<b2"))

    assert file.structure.numpy().tolist() == array.tolist()
    assert file.notes == []


@pytest.mark.parametrize(
    "literal",
    [
        "{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}",
        '{"descr": "<f4", "fortran_order": False, "shape": (2, 3)}   \n',
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }\n",  # Python 2
        "{'descr':'<f4','fortran_order':False,'shape':(2,3,)}",
        "{ 'descr' : '=f4' , 'fortran_order' : False , 'shape' : ( 2 , 3 ) , }",
        "{'descr': 'f4', 'fortran_order': False, 'shape': (2, 3)}",
    ],
)
def test_other_writers_spell_headers_differently(literal: str) -> None:
    """Any order of keys, spacing and quotes, Python 2's long numbers: as numpy.load reads them."""
    data = with_header(literal, np.arange(6, dtype="<f4").tobytes())

    assert opened(data).structure.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_slices_of_a_file_are_read_alone(tmp_path: Path) -> None:
    """Opening reads the header; a slice is a view of the mapped file."""
    np.save(tmp_path / "a.npy", np.arange(100_000).reshape(1000, 100))
    assert FORMAT.open is not None
    tensor = FORMAT.open(FileSource(tmp_path / "a.npy"), "refuse").structure
    part = tensor[10:12]

    assert part.tolist() == np.arange(1000, 1200).reshape(2, 100).tolist()
    assert not part.flags.writeable
    assert not part.flags.owndata


def _header_of(array: Any) -> bytes:
    return saved(array, allow_pickle=True)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (
            _header_of(np.array([{}], object)),
            UnsafeFileError,
            "an array of Python objects .*a pickle.* It was not read",
        ),
        (_header_of(np.array(["a"])), UnsupportedFormatError, "elements of type '<U1' are not read. It holds text"),
        (_header_of(np.array([b"a"])), UnsupportedFormatError, r"type '\|S1' are not read. It holds text"),
        (_header_of(np.array([1], "M8[s]")), UnsupportedFormatError, r"save array.view\('int64'\)"),
        (_header_of(np.zeros(2, "f16")), UnsupportedFormatError, "a type of one machine only"),
        (
            _header_of(np.zeros(2, ml_dtypes.float8_e4m3fn)),
            UnsupportedFormatError,
            "NumPy writes float8 .* without their",
        ),
        (_header_of(np.zeros(2, "V2")), UnsupportedFormatError, r"type '\|V2' are not read"),
        (_header_of(np.zeros(2, [("a", "i4")])), UnsupportedFormatError, r"a structured array \(\[\('a', '<i4'\)\]\)"),
        (
            saved(np.zeros(3))[:-1],
            TruncatedFileError,
            "takes 24 bytes from byte 128 on, but the file ends 1 bytes earlier",
        ),
        (
            saved(np.zeros(3)) + b"x",
            CorruptFileError,
            "ends at byte 152, but the file has 153 bytes: the file is damaged",
        ),
        (saved(np.zeros(3)) * 2, CorruptFileError, r"another array follows \(numpy.save was called more than once"),
        (b"\x93NUMPY\x01", TruncatedFileError, "ends after 7 bytes, inside the header"),
        (saved(np.zeros(3))[:60], TruncatedFileError, "bytes 10 to 128 are needed, but the file ends at 60"),
        (b"\x93NUMPY\x04\x00" + bytes(200), UnsupportedFormatError, "version 4.0 of the .npy format is not known"),
        (b"\x93NUMPY\x02\x00" + b"\xff" * 200, LimitError, "a header of 4294967295 bytes; at most 65536 are read"),
        (with_header("(" * 60_000), CorruptFileError, "is not a plain dict literal|has no '{' where it should"),
        (with_header("{" + "'descr': (" * 6_000), CorruptFileError, "header of the NumPy array"),
        (with_header("__import__('os').system('true')"), CorruptFileError, "has no '{' where it should"),
        (with_header(GOOD.replace("'<f4'", "__import__('os')")), CorruptFileError, "is not a plain dict literal"),
        (with_header(GOOD.replace("'<f4'", "'<f4' + ''")), CorruptFileError, "has no ',' where it should"),
        (with_header(GOOD.replace("'<f4'", "None")), CorruptFileError, "is not a plain dict literal"),
        (with_header(GOOD.replace("'<f4'", "4")), CorruptFileError, "they are of a wrong kind"),
        (with_header(GOOD.replace("False", "'no'")), CorruptFileError, "they are of a wrong kind"),
        (with_header(GOOD.replace("False", "0")), CorruptFileError, "they are of a wrong kind"),
        (with_header(GOOD.replace("(2, 3)", "[2, 3]")), CorruptFileError, "has no '\\(' where it should"),
        (with_header(GOOD.replace("(2, 3)", "(6)")), CorruptFileError, "a shape that is a number, not a tuple"),
        (with_header(GOOD.replace("(2, 3)", "(,)")), CorruptFileError, "no tuple of numbers"),
        (with_header(GOOD.replace("(2, 3)", "(-2, 3)")), CorruptFileError, "is not a plain dict literal"),
        (with_header(GOOD.replace("(2, 3)", "(2.0, 3)")), CorruptFileError, "header of the NumPy array"),
        (with_header(GOOD.replace("(2, 3)", "(2**3, 3)")), CorruptFileError, "header of the NumPy array"),
        (with_header(GOOD.replace("(2, 3)", "(True, 3)")), CorruptFileError, "no tuple of numbers"),
        (with_header(GOOD.replace("(2, 3)", "(" + "1, " * 65 + ")")), LimitError, "65 dimensions; at most 64"),
        (with_header(GOOD.replace("(2, 3)", "(" + "1, " * 9000 + ")")), TensorkeepError, "more|64"),
        (with_header(GOOD.replace("(2, 3)", f"({2**40}, {2**40})")), LimitError, r"2\*\*63 elements or more"),
        (with_header(GOOD.replace("(2, 3)", f"(0, {2**62}, 8)")), LimitError, r"2\*\*63 elements or more"),
        (with_header(GOOD.replace("(2, 3)", f"({2**62},)")), LimitError, r"2\*\*63 bytes or more"),
        (with_header(GOOD.replace("(2, 3)", f"({10**30}, 0)")), CorruptFileError, "header of the NumPy array"),
        (with_header(GOOD.replace("}", "'shape': (6,)}")), CorruptFileError, "has the key 'shape' .twice"),
        (with_header(GOOD.replace("}", "'more': (6,)}")), CorruptFileError, "has the key 'more'"),
        (with_header(GOOD.replace("'fortran_order': False, ", "")), CorruptFileError, "lacks descr or fortran_order"),
        (with_header(GOOD.replace("'shape': (2, 3), ", "")), CorruptFileError, "lacks the shape"),
        (with_header(GOOD.rstrip() + "; 1"), CorruptFileError, "goes on after its dict"),
        (with_header(GOOD.rstrip() + "\0"), CorruptFileError, "goes on after its dict"),
        (with_header(GOOD.replace("'<f4'", "'<f4\\x00'")), CorruptFileError, "is not a plain dict literal"),
        (with_header(""), CorruptFileError, "has no '{' where it should"),
    ],
)
def test_hostile_and_foreign_headers_are_refused(data: bytes, error: type[TensorkeepError], message: str) -> None:
    """Objects, text, code, bombs, lies about sizes: refused with the reason, and nothing is evaluated."""
    with pytest.raises(error, match=message) as caught:
        opened(data)

    assert str(caught.value).startswith("f.npy: ")


@given(st.data())
def test_changed_bytes_give_our_errors_only(data: st.DataObject) -> None:
    """Bytes of the header changed, a cut: a tensor that fills the file, or one of our errors."""
    raw = bytearray(saved(np.zeros((2, 3), "<f4")))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, 80))] = data.draw(st.integers(0, 255))
    changed = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        tensor = opened(changed).structure
    except TensorkeepError:
        return

    assert tensor.numpy().nbytes == tensor.nbytes == tensor.extent.nbytes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": np.zeros(2)}, r"holds one dense tensor, and the data are a dict. Use .npz, .safetensors or .pt"),
        ([np.zeros(2)], "the data are a list"),
        (7, "the data are a int"),
        (np.zeros(2, ml_dtypes.bfloat16), "bfloat16 elements cannot be kept in .npy: .* Use .safetensors or .pt"),
        (np.zeros(2, ml_dtypes.float8_e4m3fn), "float8_e4m3fn elements cannot be kept"),
    ],
)
def test_what_npy_cannot_hold_is_refused_with_formats_that_can(data: Any, message: str) -> None:
    """Several tensors, plain values, types that NumPy's files have no name for."""
    with pytest.raises(UnsupportedDataError, match=message):
        planned(data)
