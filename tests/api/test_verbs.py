"""save, load, open: kinds, frameworks, selections, sources; values by NumPy and the frameworks themselves."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

import tensorkeep as tk
from tensorkeep.errors import (
    CorruptFileError,
    MismatchError,
    NotEnoughSpaceError,
    TensorNotFoundError,
    UnsupportedDataError,
    UnsupportedFormatError,
)

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("kind", ["tensor", "list", "tuple", "dict", "nested", "empty"])
def test_the_kind_comes_back(tmp_path: Path, suffix: str, kind: str) -> None:
    """One tensor, a list, a tuple, a dict, nesting with plain values: as given, in every format that holds them."""
    data = {
        "tensor": X,
        "list": [X, X + 1],
        "tuple": (X, X + 1),
        "dict": {"b": X, "a": X + 1},
        "nested": {"m": {"w": X, "l": [X + 1, 3, None, "s", 2.5, True]}, "t": (X + 2,), "n": {"x.y": X + 3}},
        "empty": {},
    }[kind]
    tk.save(tmp_path / f"x{suffix}", data)

    loaded = tk.load(tmp_path / f"x{suffix}")

    def same(a: object, b: object) -> bool:
        if isinstance(a, dict):
            return type(b) is dict and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
        if isinstance(a, (list, tuple)):
            return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))  # type: ignore[arg-type]
        return np.array_equal(a, b) and type(a) is type(b)  # type: ignore[arg-type]

    assert same(data, loaded)


def test_both_orders_of_arguments_work(tmp_path: Path) -> None:
    """torch's order and NumPy's."""
    tk.save(X, tmp_path / "a.safetensors")
    tk.save(tmp_path / "b.safetensors", X)

    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with pytest.raises(UnsupportedDataError, match=r"save\(path, data\)"):
        tk.save(X, X)


def test_loaded_memory_is_owned_and_writable(tmp_path: Path) -> None:
    """Writing into what was loaded changes neither the file nor another tensor."""
    tk.save(tmp_path / "x.safetensors", {"a": X, "b": X + 1, "big": np.zeros(1 << 18)})
    first = tk.load(tmp_path / "x.safetensors")
    for array in first.values():
        array += 100

    again = tk.load(tmp_path / "x.safetensors")

    np.testing.assert_array_equal(again["a"], X)
    np.testing.assert_array_equal(again["b"], X + 1)
    assert again["big"].max() == 0


def test_tied_tensors_come_back_tied(tmp_path: Path) -> None:
    """Also as torch tensors, and they are stored once."""
    net = torch.nn.ModuleDict({"emb": torch.nn.Embedding(100, 100), "head": torch.nn.Linear(100, 100, bias=False)})
    net["head"].weight = net["emb"].weight
    tk.save(tmp_path / "x.safetensors", net.state_dict())

    loaded = tk.load(tmp_path / "x.safetensors", framework="torch")

    assert os.path.getsize(tmp_path / "x.safetensors") < 41_500
    assert loaded["emb.weight"] is loaded["head.weight"]
    torch.testing.assert_close(loaded["head.weight"], net["emb"].weight.detach(), rtol=0, atol=0)


def test_tensors_of_torch_come_back_as_torch_with_their_dtype(tmp_path: Path) -> None:
    """framework= and device= give torch.Tensors; parameters, views and bfloat16 are taken as they are."""
    data = {
        "p": torch.nn.Parameter(torch.randn(3, 4, generator=torch.Generator().manual_seed(0))),
        "view": torch.arange(12).reshape(3, 4).T[1:3],
        "bf16": torch.ones(2, dtype=torch.bfloat16),
        "bool": torch.tensor([True, False]),
        "conj": torch.tensor([1 + 2j]).conj(),
        "neg": torch._neg_view(torch.ones(2)),
    }
    tk.save(tmp_path / "x.safetensors", data)

    loaded = tk.load(tmp_path / "x.safetensors", device="cpu")

    for name, expected in data.items():
        assert loaded[name].dtype == expected.dtype
        assert torch.equal(loaded[name], expected.detach().resolve_conj().resolve_neg())


def test_dtype_casts_floating_point_tensors_only(tmp_path: Path) -> None:
    """bfloat16 and float32 to float16; counters and masks keep theirs."""
    tk.save(
        tmp_path / "x.safetensors",
        {"a": X, "b": np.ones(2, ml_dtypes.bfloat16), "n": np.arange(3), "m": np.array([True])},
    )

    loaded = tk.load(tmp_path / "x.safetensors", dtype="float16")

    assert {name: array.dtype.name for name, array in loaded.items()} == {
        "a": "float16",
        "b": "float16",
        "n": "int64",
        "m": "bool",
    }
    with pytest.raises(UnsupportedDataError, match="must be a floating-point type"):
        tk.load(tmp_path / "x.safetensors", dtype="int8")


def test_only_chooses_by_glob_list_and_function(tmp_path: Path) -> None:
    """Containers keep their kind, plain values go by their path, what is not wanted is not read."""
    data = {"enc": {"w": X, "b": X + 1}, "dec": [X + 2, X + 3], "epoch": 4}
    path = tmp_path / "x.safetensors"
    tk.save(path, data)

    assert list(tk.load(path, only="enc.*")) == ["enc"]
    assert set(tk.load(path, only="enc.*")["enc"]) == {"w", "b"}
    assert tk.load(path, only=["epoch", "dec.1"])["epoch"] == 4
    assert len(tk.load(path, only=["epoch", "dec.1"])["dec"]) == 1
    assert list(tk.load(path, only=lambda name: name.endswith("b"))) == ["enc"]
    with pytest.raises(TensorNotFoundError, match=r"only='enc\.v' fits none .* Did you mean 'enc\.[wb]'"):
        tk.load(path, only="enc.v")


def test_only_does_not_read_what_is_not_wanted(tmp_path: Path) -> None:
    """A damaged tensor that was not asked for does not stand in the way."""
    path = tmp_path / "x.safetensors"
    tk.save(path, {"a": X, "z": X})
    tk.save(path, {"a": X, "z": X + 1})
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)

    np.testing.assert_array_equal(tk.load(path, only="a")["a"], X)


def test_rename_takes_prefixes_rules_and_functions(tmp_path: Path) -> None:
    """The result is flat; clashes and rules that fit nothing are told."""
    path = tmp_path / "x.safetensors"
    tk.save(path, {"module.a": X, "module.b": X + 1})

    assert list(tk.load(path, rename={"module.": ""})) == ["a", "b"]
    assert list(tk.load(path, rename={"module.a": "w", "module.": "m."})) == ["w", "m.b"]
    assert list(tk.load(path, rename=[(r"^module\.", ""), ("b$", "bias")])) == ["a", "bias"]
    assert list(tk.load(path, rename=str.upper)) == ["MODULE.A", "MODULE.B"]
    with pytest.raises(MismatchError, match=r"gives both 'module\.a' and 'module\.b' the name 'x'"):
        tk.load(path, rename=lambda name: "x")
    with pytest.raises(MismatchError, match=r"fit no name: 'modul\.'"):
        tk.load(path, rename={"modul.": ""})


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".npy", ".pt", ".params"])
def test_bytes_and_file_objects_work_like_paths(tmp_path: Path, suffix: str) -> None:
    """Written to a BytesIO, the bytes are the file's; read from bytes, a BytesIO and an open file."""
    name = suffix.removeprefix(".")
    format = {"pt": "torch", "params": "mxnet"}.get(name, name)
    data = X if suffix == ".npy" else {"x": X}
    tk.save(tmp_path / f"x{suffix}", data)
    memory = io.BytesIO()
    tk.save(memory, data, format=format)
    raw = (tmp_path / f"x{suffix}").read_bytes()

    assert memory.getvalue() == raw
    memory.seek(0)
    with (tmp_path / f"x{suffix}").open("rb") as file:
        for source in (raw, bytearray(raw), memoryview(raw), memory, file):
            loaded = tk.load(source)
            np.testing.assert_array_equal(loaded["x"] if suffix != ".npy" else loaded, X)


def test_a_pipe_is_written_in_order(tmp_path: Path) -> None:
    """A file object that can neither seek nor tell gets the same bytes."""

    class Pipe:
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def write(self, data: bytes) -> int:
            self.parts.append(bytes(data))
            return len(data)

    pipe = Pipe()
    tk.save(pipe, {"x": X})
    tk.save(tmp_path / "x.safetensors", {"x": X})

    assert b"".join(pipe.parts) == (tmp_path / "x.safetensors").read_bytes()


def test_unknown_suffixes_and_formats_name_the_known(tmp_path: Path) -> None:
    """Nothing is guessed."""
    with pytest.raises(UnsupportedFormatError, match=r"none of \.safetensors"):
        tk.save(tmp_path / "model.xyz", X)
    with pytest.raises(UnsupportedFormatError, match="known are safetensors"):
        tk.save(tmp_path / "model.safetensors", X, format="xyz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "data", "formats"),
    [
        (".params", {"a": {"b": X}}, "safetensors"),
        (".params", {"a": X, "n": 1}, "safetensors"),
        (".npy", [X, X], "safetensors"),
        (".safetensors", np.zeros(2, np.complex128), "npz"),
    ],
)
def test_formats_that_cannot_hold_it_name_those_that_can(
    tmp_path: Path, suffix: str, data: object, formats: str
) -> None:
    """Before a byte is written; the old file stays."""
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"old")

    with pytest.raises(TypeError, match=formats):
        tk.save(path, data)

    assert path.read_bytes() == b"old"


def test_too_little_space_is_told_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is needed and how much is free; the old file stays."""
    path = tmp_path / "x.safetensors"
    tk.save(path, X)
    before = path.read_bytes()
    real = os.statvfs

    class Full:
        def __init__(self, path: object) -> None:
            self.real = real(path)  # type: ignore[arg-type]

        def __getattr__(self, name: str) -> object:
            return 0 if name in ("f_bavail", "f_bfree") else getattr(self.real, name)

    monkeypatch.setattr(os, "statvfs", Full)
    with pytest.raises(NotEnoughSpaceError, match="free"):
        tk.save(path, np.zeros(1 << 20))

    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_saving_what_was_opened_streams_it(tmp_path: Path) -> None:
    """A TensorFile and lazy Tensors of it are data like any other."""
    tk.save(tmp_path / "x.safetensors", {"a": X, "n": 3}, metadata={"k": "v"})
    with tk.open(tmp_path / "x.safetensors") as file:
        tk.save(tmp_path / "y.safetensors", file)
        tk.save(tmp_path / "z.safetensors", {"b": file["a"]})

    assert (tmp_path / "y.safetensors").read_bytes() == (tmp_path / "x.safetensors").read_bytes()
    np.testing.assert_array_equal(tk.load(tmp_path / "z.safetensors")["b"], X)


def test_open_is_a_mapping_with_hints(tmp_path: Path) -> None:
    """Names, shapes, dtypes without reading; a wrong name names the nearest."""
    tk.save(tmp_path / "x.safetensors", {"layer.weight": X, "layer.bias": X[0]}, metadata={"k": "v"})
    with tk.open(tmp_path / "x.safetensors") as file:
        assert list(file) == ["layer.weight", "layer.bias"]
        assert (file["layer.weight"].shape, file["layer.weight"].dtype) == ((2, 3), "float32")
        assert file.metadata["k"] == "v"
        with pytest.raises(TensorNotFoundError, match=r"Did you mean 'layer\.weight'"):
            file["layer.wieght"]
        with pytest.raises(KeyError, match="no tensor is named 'x'"):
            file["x"]
        view = file["layer.weight"].numpy()
    assert view.tolist() == X.tolist()


def test_a_tensor_read_after_closing_says_so(tmp_path: Path) -> None:
    """And does not crash."""
    tk.save(tmp_path / "x.safetensors", {"a": X})
    with tk.open(tmp_path / "x.safetensors") as file:
        tensor = file["a"]

    with pytest.raises(ValueError, match="was closed"):
        tensor.numpy()


def test_the_kept_names_of_frameworks_are_checked(tmp_path: Path) -> None:
    """Typos in options are errors, not defaults."""
    tk.save(tmp_path / "x.safetensors", X)

    with pytest.raises(UnsupportedDataError, match="'numpy', 'torch' or 'jax'"):
        tk.load(tmp_path / "x.safetensors", framework="pytorch")
    with pytest.raises(UnsupportedDataError, match="'refuse' or 'inert'"):
        tk.load(tmp_path / "x.safetensors", unknown="ignore")
    with pytest.raises(UnsupportedDataError, match="has no device"):
        tk.load(tmp_path / "x.safetensors", framework="numpy", device="cuda")


def test_missing_files_are_the_usual_error(tmp_path: Path) -> None:
    """FileNotFoundError, as everywhere in Python."""
    with pytest.raises(FileNotFoundError):
        tk.load(tmp_path / "none.safetensors")


def test_opening_and_saving_numpy_imports_no_framework(tmp_path: Path) -> None:
    """A NumPy-only program stays one; looking into a file does not even need NumPy."""
    tk.save(tmp_path / "x.safetensors", {"a": X})
    look = "import sys, tensorkeep as tk; f = tk.open(sys.argv[1]); print(f['a'].shape, 'numpy' in sys.modules)"
    both = (
        "import sys, tensorkeep as tk; d = tk.load(sys.argv[1]); tk.save(sys.argv[1], d); "
        "print([m for m in ('torch', 'jax', 'safetensors', 'scipy', 'click', 'rich') if m in sys.modules])"
    )

    def run(code: str) -> str:
        done = subprocess.run([sys.executable, "-c", code, tmp_path / "x.safetensors"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run(look) == "(2, 3) False"
    assert run(both) == "[]"


def test_verify_tells_good_damaged_and_unchecked(tmp_path: Path) -> None:
    """Three states; a cut file is a report and no exception."""
    good, cut = tmp_path / "good.safetensors", tmp_path / "cut.safetensors"
    tk.save(good, {"a": X, "b": X})
    tk.save(tmp_path / "x.npy", X)
    raw = good.read_bytes()
    cut.write_bytes(raw[:-4])
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(raw[:-1] + bytes([raw[-1] ^ 4]))

    assert tk.verify(good).status == "good"
    assert tk.verify(good)
    assert tk.verify(tmp_path / "x.npy").status == "unchecked"
    assert tk.verify(cut).status == "damaged"
    report = tk.verify(bad)
    assert [check.name for check in report.tensors.values() if check.status == "damaged"] == ["a"]


def test_scan_of_a_format_without_code_is_data_only(tmp_path: Path) -> None:
    """Nothing to run, nothing read."""
    tk.save(tmp_path / "x.safetensors", {"a": X})

    assert tk.scan(tmp_path / "x.safetensors").data_only


def test_convert_checks_the_source_first(tmp_path: Path) -> None:
    """A damaged source is not copied under fresh checksums; verify=False copies it."""
    src, dst = tmp_path / "x.safetensors", tmp_path / "y.npz"
    tk.save(src, {"a": X})
    raw = bytearray(src.read_bytes())
    raw[-1] ^= 1
    src.write_bytes(raw)

    with pytest.raises(CorruptFileError, match="'a'"):
        tk.convert(src, dst)
    assert not dst.exists()
    tk.convert(src, dst, verify=False)
    assert dst.exists()


def test_convert_selects_renames_casts_and_flattens(tmp_path: Path) -> None:
    """Into a format that holds less."""
    src, dst = tmp_path / "x.safetensors", tmp_path / "y.npz"
    tk.save(src, {"model": {"w": X, "n": np.arange(2)}, "epoch": 3, "opt": {"m": X}})

    tk.convert(src, dst, only="model.*", rename={"model.": ""}, dtype="float64")
    with np.load(dst) as arrays:
        assert {name: arrays[name].dtype.name for name in arrays.files} == {"w": "float64", "n": "int64"}
    tk.convert(src, tmp_path / "z.params", flat=True)
    assert list(tk.load(tmp_path / "z.params")) == ["model.w", "model.n", "opt.m"]


def test_diff_finds_each_kind_of_change(tmp_path: Path) -> None:
    """identical, changed with max |Δ| and cosine, reshaped, added, removed, and plain values."""
    a, b = tmp_path / "a.safetensors", tmp_path / "b.npz"
    v = np.array([3.0, 4.0])
    tk.save(a, {"same": X, "moved": v, "shape": X, "gone": X, "type": X, "epoch": 1})
    tk.save(b, {"same": X, "moved": np.array([4.0, 3.0]), "shape": X.T, "new": X, "type": X.astype("f8"), "epoch": 2})

    result = tk.diff(a, b)
    changes = {change.name: change for change in result.changes}

    assert result.identical == ("same",)
    assert {name: change.kind for name, change in changes.items()} == {
        "moved": "changed",
        "shape": "reshaped",
        "gone": "removed",
        "type": "changed",
        "new": "added",
    }
    assert (changes["moved"].max_abs, changes["moved"].differing) == (1.0, 2)
    assert changes["moved"].cosine == pytest.approx(24 / 25, rel=1e-15)
    assert (changes["type"].max_abs, changes["type"].differing) == (0.0, 0)
    assert result.values == (("epoch", 1, 2),)
    assert not result.same
    assert tk.diff(a, a).same


def test_diff_counts_two_nans_as_equal_and_one_as_infinite(tmp_path: Path) -> None:
    """NaN in the same place is no change of value, though its bits may differ."""
    quiet = np.array([np.nan, 1.0], np.float32)
    other = np.array([0x7FC00001, 0x3F800000], np.uint32).view(np.float32)
    tk.save(tmp_path / "a.safetensors", {"x": quiet, "y": quiet})
    tk.save(tmp_path / "b.safetensors", {"x": other, "y": np.array([0.0, 1.0], np.float32)})

    changes = {
        change.name: change for change in tk.diff(tmp_path / "a.safetensors", tmp_path / "b.safetensors").changes
    }

    assert (changes["x"].max_abs, changes["x"].differing) == (0.0, 0)
    assert (changes["y"].max_abs, changes["y"].differing) == (np.inf, 1)
