"""safetensors files, against the reference library and against literal bytes."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch

import tensorkeep as tk
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TruncatedFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)

ALL_DTYPES = [
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
]


def file_of(header: object, data: bytes = b"", *, raw: bytes | None = None) -> bytes:
    """A safetensors file with this header (a JSON value, or raw bytes) and data."""
    text = json.dumps(header).encode() if raw is None else raw
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_reads_what_the_reference_library_wrote(tmp_path: Path) -> None:
    """Every dtype of safetensors.numpy comes back equal, with its metadata."""
    tensors = {dtype: np.arange(6).reshape(2, 3).astype(dtype) for dtype in ALL_DTYPES}
    safetensors.numpy.save_file(tensors, tmp_path / "x.safetensors", metadata={"who": "reference"})

    loaded = tk.load(tmp_path / "x.safetensors")
    with tk.open(tmp_path / "x.safetensors") as file:
        metadata = file.metadata

    assert set(loaded) == set(tensors)
    for dtype, expected in tensors.items():
        assert loaded[dtype].dtype == expected.dtype
        np.testing.assert_array_equal(loaded[dtype], expected)
    assert metadata == {"who": "reference"}


def test_the_reference_library_reads_what_is_written(tmp_path: Path) -> None:
    """safetensors.numpy gives the same tensors back, structure and checksums notwithstanding."""
    tensors = {dtype: np.arange(6).reshape(2, 3).astype(dtype) for dtype in ALL_DTYPES}
    tk.save(tmp_path / "x.safetensors", {"a": tensors, "step": 3}, metadata={"who": "us"})

    loaded = safetensors.numpy.load_file(tmp_path / "x.safetensors")

    assert set(loaded) == {f"a.{dtype}" for dtype in ALL_DTYPES}
    for dtype, expected in tensors.items():
        np.testing.assert_array_equal(loaded[f"a.{dtype}"], expected)
    with safetensors.safe_open(tmp_path / "x.safetensors", "np") as file:
        assert file.metadata()["who"] == "us"


@pytest.mark.parametrize(
    "dtype",
    ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"],
)
def test_torch_reads_the_types_that_numpy_lacks(tmp_path: Path, dtype: str) -> None:
    """bfloat16 and the float8 types have torch's bits after a trip through a file of ours, and back."""
    bits = np.arange(256, dtype=np.uint8) if dtype != "bfloat16" else np.arange(0, 65536, 257, dtype=np.uint16)
    tk.save(tmp_path / "x.safetensors", {"w": bits.view(getattr(ml_dtypes, dtype))})

    theirs = safetensors.torch.load_file(tmp_path / "x.safetensors")["w"]
    ours = tk.load(tmp_path / "x.safetensors", framework="torch")["w"]

    assert theirs.dtype == ours.dtype == getattr(torch, dtype)
    as_bits = torch.int16 if dtype == "bfloat16" else torch.uint8
    np.testing.assert_array_equal(theirs.view(as_bits).numpy().view(bits.dtype), bits)
    np.testing.assert_array_equal(ours.view(as_bits).numpy().view(bits.dtype), bits)


def test_four_bit_floats_are_packed_as_torch_packs_them(tmp_path: Path) -> None:
    """float4_e2m1fn_x2 of torch, saved by the reference library, gives the published values, low half first."""
    packed = torch.tensor([0x10, 0x32, 0x7F], dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    safetensors.torch.save_file({"w": packed}, tmp_path / "x.safetensors")

    loaded = tk.load(tmp_path / "x.safetensors")["w"]
    tk.save(tmp_path / "y.safetensors", {"w": packed})
    again = safetensors.torch.load_file(tmp_path / "y.safetensors")["w"]

    # OCP microscaling formats, table of E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
    assert loaded.astype(np.float32).tolist() == [0.0, 0.5, 1.0, 1.5, -6.0, 6.0]
    assert torch.equal(again.view(torch.uint8), packed.view(torch.uint8))


def test_literal_bytes_are_read() -> None:
    """A file typed by hand from the format's description."""
    header = b'{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    data = file_of(None, b"\0\0\x80\x3f\0\0\0\xc0", raw=header)

    assert tk.load(data)["w"].tolist() == [1.0, -2.0]
    assert tk.open(data).metadata == {"a": "b"}


@pytest.mark.parametrize("spelling", ["spaces", "order", "escapes", "metadata last"])
def test_any_spelling_of_the_json_is_read(spelling: str) -> None:
    """White space, the order of keys and escapes are the writer's choice."""
    raw = {
        "spaces": b'{ "w" : { "dtype" : "U8" , "shape" : [ 2 ] , "data_offsets" : [ 0 , 2 ] } }   ',
        "order": b'{"w":{"data_offsets":[0,2],"shape":[2],"dtype":"U8"}}',
        "escapes": b'{"\\u0077":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
        "metadata last": b'{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"__metadata__":{"k":"v"}}',
    }[spelling]

    assert tk.load(file_of(None, b"\1\2", raw=raw))["w"].tolist() == [1, 2]


W = entry("U8", [2], 0, 2)
REFUSED = {
    "length beyond the file": ((1000).to_bytes(8, "little") + b'{"a":1}', TruncatedFileError, "byte 1008"),
    "length beyond the cap": ((2**63).to_bytes(8, "little") + b'{"a":1}', LimitError, "at most 100000000"),
    "no object": (file_of(None, raw=b'{"w":[]}'), CorruptFileError, "'w'"),
    "not utf-8": (file_of(None, b"\1\2", raw=b'{"\xff":{}}'), CorruptFileError, "byte 10 of the header is not UTF-8"),
    "duplicate name": (
        file_of(
            None,
            b"\1\2",
            raw=b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
        ),
        CorruptFileError,
        "'w'",
    ),
    "duplicate name, escaped": (
        file_of(
            None,
            b"\1\2",
            raw=b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0077":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
        ),
        CorruptFileError,
        "'w'",
    ),
    "duplicate metadata key": (
        file_of(None, b"", raw=b'{"__metadata__":{"a":"1","a":"2"}}'),
        CorruptFileError,
        "'a'",
    ),
    "metadata no strings": (file_of({"__metadata__": {"a": 1}}), CorruptFileError, "strings to strings"),
    "overlap": (
        file_of({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 1, 3)}, b"\0" * 3),
        CorruptFileError,
        "overlap",
    ),
    "hole": (
        file_of({"a": entry("U8", [1], 0, 1), "b": entry("U8", [1], 2, 3)}, b"\0" * 3),
        CorruptFileError,
        "leave a hole at byte 1",
    ),
    "bytes after the end": (file_of({"w": W}, b"\0" * 5), CorruptFileError, "3 bytes follow the last tensor"),
    "size and shape differ": (file_of({"w": entry("F32", [2], 0, 2)}, b"\0\0"), CorruptFileError, "takes 8 bytes"),
    "shape product wraps": (
        file_of({"w": entry("U8", [2**32, 2**32], 0, 2)}, b"\0\0"),
        LimitError,
        "2**63 elements",
    ),
    "zeros hide a huge shape": (
        file_of({"w": entry("U8", [0, 2**62, 2**62], 0, 0)}),
        LimitError,
        "2**63 elements",
    ),
    "negative shape": (file_of({"w": entry("U8", [-2], 0, 2)}, b"\0\0"), CorruptFileError, "-2"),
    "negative offset": (file_of({"w": entry("U8", [2], -2, 0)}, b"\0\0"), CorruptFileError, "[-2, 0]"),
    "float offset": (
        file_of(None, b"\0\0", raw=b'{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2.0]}}'),
        CorruptFileError,
        "2.0",
    ),
    "unknown dtype": (file_of({"w": entry("Q4", [2], 0, 2)}, b"\0\0"), UnsupportedFormatError, "'Q4'"),
    "unknown key": (
        file_of({"w": {**W, "extra": 1}}, b"\0\0"),
        CorruptFileError,
        "dtype, shape and data_offsets",
    ),
    "half a byte": (file_of({"w": entry("F4", [3], 0, 2)}, b"\0\0"), CorruptFileError, "whole bytes"),
    "zero padding": (file_of(None, b"", raw=b"{}\0\0"), CorruptFileError, "zero bytes"),
    "too many dimensions": (file_of({"w": entry("U8", [1] * 65, 0, 1)}, b"\0"), LimitError, "65 dimensions"),
    "cut": (file_of({"a": W, "b": entry("U8", [9], 2, 11)}, b"\0" * 6), TruncatedFileError, "1 of 2 tensors are whole"),
    "deep": (file_of(None, raw=b'{"w":' + b"[" * 100000 + b"]" * 100000 + b"}"), LimitError, "inside each other"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_format_forbids_is_refused(case: str) -> None:
    """Each with one of our errors that says what and where."""
    data, error, text = REFUSED[case]

    with pytest.raises(error) as caught:
        tk.load(data)

    assert text in str(caught.value)


def test_a_changed_byte_of_a_tensor_is_noticed(tmp_path: Path) -> None:
    """load names the damaged tensors, all at once; verify=False reads them."""
    path = tmp_path / "x.safetensors"
    tk.save(path, {"a": np.zeros(64), "b": np.ones(64), "c": np.ones(64)})
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    raw[-64 * 8 * 3] ^= 1
    path.write_bytes(raw)

    with pytest.raises(CorruptFileError, match=r"2 tensors are damaged.*(?s:.*)'a'(?s:.*)'c'"):
        tk.load(path)
    assert tk.load(path, verify=False)["b"].sum() == 64
    assert tk.load(path, only="b")["b"].sum() == 64


def test_a_changed_byte_of_the_header_is_noticed(tmp_path: Path) -> None:
    """Also one that leaves the header well formed: a letter of a name."""
    path = tmp_path / "x.safetensors"
    tk.save(path, {"weight": np.zeros(4)})
    path.write_bytes(path.read_bytes().replace(b"weight", b"weighs"))

    with pytest.raises(CorruptFileError, match="header's checksum does not fit"):
        tk.open(path)


def test_metadata_copied_by_another_program_says_so(tmp_path: Path) -> None:
    """The reference writer, given our metadata, makes a file whose refusal names this cause and the way out."""
    tk.save(tmp_path / "x.safetensors", {"w": np.zeros(4)})
    with safetensors.safe_open(tmp_path / "x.safetensors", "np") as file:
        metadata = file.metadata()
    safetensors.numpy.save_file({"w": np.ones(4)}, tmp_path / "y.safetensors", metadata=metadata)

    with pytest.raises(CorruptFileError, match=r"drop the metadata keys that begin with 'tensorkeep\.'"):
        tk.load(tmp_path / "y.safetensors")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"w": np.zeros(2, np.complex128)}, r"no dtype complex128 .*\.npz or \.pt"),
        ({"w": np.zeros(3, ml_dtypes.float4_e2m1fn)}, "whole bytes"),
        ({"\ud800": np.zeros(3)}, "lone surrogate"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_before_a_byte_is_written(
    tmp_path: Path, data: object, text: str
) -> None:
    """The old file stays as it was and nothing is left beside it."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"old")

    with pytest.raises(UnsupportedDataError, match=text):
        tk.save(path, data)

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_booleans_are_zero_or_one(tmp_path: Path) -> None:
    """A byte of 2 would be a value that equals neither True nor False."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(file_of({"m": entry("BOOL", [3], 0, 3)}, b"\0\1\2"))

    with pytest.raises(CorruptFileError, match="a byte of 2 stands among booleans"):
        tk.load(path)
    with pytest.raises(CorruptFileError, match="a byte of 2"), tk.open(path) as file:
        file["m"].numpy()
    assert tk.load(file_of({"m": entry("BOOL", [2], 0, 2)}, b"\0\1"))["m"].tolist() == [False, True]


def test_metadata_must_be_strings(tmp_path: Path) -> None:
    """Numbers go into the data; our own keys are ours."""
    with pytest.raises(UnsupportedDataError, match="maps str to str"):
        tk.save(tmp_path / "x.safetensors", {}, metadata={"step": 3})  # type: ignore[dict-item]
    with pytest.raises(UnsupportedDataError, match="are ours"):
        tk.save(tmp_path / "x.safetensors", {}, metadata={"tensorkeep.header": "x"})


def test_names_that_look_like_our_keys_do_no_harm(tmp_path: Path) -> None:
    """A tensor and a value spelled like the header's checksum leave the checksum findable."""
    data = {"tensorkeep.header": np.arange(3), 'q"tensorkeep.header":"': 'x"tensorkeep.header":"'}
    tk.save(tmp_path / "x.safetensors", data, metadata={"k": '"tensorkeep.header":"0'})

    loaded = tk.load(tmp_path / "x.safetensors")

    assert loaded["tensorkeep.header"].tolist() == [0, 1, 2]
    assert loaded['q"tensorkeep.header":"'] == 'x"tensorkeep.header":"'


def test_mixed_widths_are_aligned_and_keep_their_order(tmp_path: Path) -> None:
    """Every tensor begins at a multiple of its item size, and the dict comes back in the order given."""
    data = {f"t{i}": np.arange(i % 5 + 1).astype(ALL_DTYPES[i % 13]) for i in range(40)}
    tk.save(tmp_path / "x.safetensors", data)

    with tk.open(tmp_path / "x.safetensors") as file:
        assert list(file) == list(data)
        assert all(t.extent.offset % t.dtype.itemsize == 0 for t in file.values())


def test_the_header_checksum_is_xxh3_of_the_header(tmp_path: Path) -> None:
    """As documented: length and JSON, with the checksum's digits as zeros; the tensors' one after the other."""
    import xxhash

    w, v = np.arange(5.0), np.arange(3)
    tk.save(tmp_path / "x.safetensors", {"w": w, "v": v})
    raw = (tmp_path / "x.safetensors").read_bytes()
    n = int.from_bytes(raw[:8], "little")
    metadata = json.loads(raw[8 : 8 + n])["__metadata__"]

    digits = metadata["tensorkeep.header"]
    zeroed = raw[: 8 + n].replace(digits.encode(), b"0" * 32)

    assert metadata["tensorkeep.xxh3_128"] == xxhash.xxh3_128_hexdigest(w) + xxhash.xxh3_128_hexdigest(v)
    assert digits == xxhash.xxh3_128_hexdigest(zeroed)


def test_salvage_gives_every_whole_tensor(tmp_path: Path) -> None:
    """A file cut in its last tensor yields the others, verified."""
    path = tmp_path / "x.safetensors"
    tk.save(path, {f"t{i}": np.full(1000, i) for i in range(10)})
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(TruncatedFileError, match="9 of 10 tensors are whole"):
        tk.load(path)
    receipt = tk.repair(path, tmp_path / "y.safetensors")

    assert receipt.tensors == 9
    assert tk.load(tmp_path / "y.safetensors")["t8"][0] == 8


def sealed(raw: bytes, old: bytes, new: bytes) -> bytes:
    """A file of ours with one piece of its header replaced and the header's checksum made anew, as a forger would."""
    import re

    import xxhash

    n = int.from_bytes(raw[:8], "little")
    header = raw[8 : 8 + n].replace(old, new, 1)
    header = header.rstrip(b" ") + b" " * (n - len(header.rstrip(b" ")))
    header = re.sub(rb'("tensorkeep.header":")[0-9a-f]{32}', rb"\g<1>" + b"0" * 32, header)
    digits = xxhash.xxh3_128_hexdigest(raw[:8] + header).encode()
    return raw[:8] + header.replace(b"0" * 32, digits, 1) + raw[8 + n :]


TRICKY = ['a"b', "a", "b", 'x,"b', "é", " ", "a\\", 'q":{"dtype":"', "tab\t", ","]


def long_file(path: Path) -> dict[str, np.ndarray]:
    """A file with a header that is searched rather than read, and names that a careless search would mistake."""
    names = TRICKY + [f"layer.{i}.weight" for i in range(1000)]
    data = {name: np.full(i % 3 + 1, i, np.int16) for i, name in enumerate(names)}
    tk.save(path, data)
    return data


def test_one_of_many_is_the_right_one(tmp_path: Path) -> None:
    """By name, before anything else of a long header was looked at: values, and the checksum of just this tensor."""
    data = long_file(tmp_path / "x.safetensors")

    for name in [*TRICKY, "layer.0.weight", "layer.10.weight", "layer.999.weight"]:
        with tk.open(tmp_path / "x.safetensors") as file:
            np.testing.assert_array_equal(file[name].numpy(), data[name])
        np.testing.assert_array_equal(tk.load(tmp_path / "x.safetensors", only=[name])[name], data[name])
    for name in ["layer.1", "weight", 'b":{"dtype', "layer.1000.weight"]:
        with tk.open(tmp_path / "x.safetensors") as file, pytest.raises(tk.TensorNotFoundError, match="among its 1010"):
            file[name]


def test_damage_of_one_of_many_is_noticed(tmp_path: Path) -> None:
    """A search finds the entry's own checksum, not a neighbour's."""
    path = tmp_path / "x.safetensors"
    long_file(path)
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)

    assert tk.load(path, only="layer.500.weight")
    with pytest.raises(CorruptFileError, match=r"layer\.999\.weight"):
        tk.load(path, only="layer.999.weight")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (b'"layer.7.weight":{"dtype":"I16"', b'"layer.7.weight":{"dtype":"I64"', "takes"),
        (b'"layer.7.weight":{"dtype":"I16"', b'"layer.7.weight":{"dtype":"Q16"', "Q16"),
        (b'"layer.7.weight":', b'"layer.8.weight":', "layer.8.weight"),
        (b'"layer.7.weight":', b'"layer.7.weighs":', "layer.7.weight"),
    ],
)
def test_a_forged_long_header_gives_no_wrong_tensor(tmp_path: Path, old: bytes, new: bytes, error: str) -> None:
    """A checksum can be forged; what is asked for by name is checked by itself, and reading all checks all."""
    path = tmp_path / "x.safetensors"
    data = long_file(path)
    path.write_bytes(sealed(path.read_bytes(), old, new))

    def after_listing() -> object:
        with tk.open(path) as file:
            return list(file) and file["layer.7.weight"]

    with pytest.raises(tk.TensorkeepError, match=error):
        after_listing()
    with tk.open(path) as file, pytest.raises(tk.TensorkeepError, match=error):
        file["layer.7.weight"]
    with tk.open(path) as file:
        np.testing.assert_array_equal(file["layer.9.weight"].numpy(), data["layer.9.weight"])


def test_a_cut_long_file_is_told_at_once(tmp_path: Path) -> None:
    """The sealed size does not fit: opening tells how much is there."""
    path = tmp_path / "x.safetensors"
    long_file(path)
    path.write_bytes(path.read_bytes()[:-3])

    with pytest.raises(TruncatedFileError, match="of 1010 tensors are whole"):
        tk.open(path)
