"""formats/_diagnose: files of other kinds, as their own tools write them, are named, and the text says what to do."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorkeep.core.bytesource import BufferSource
from tensorkeep.errors import CorruptFileError, TensorkeepError, TruncatedFileError, UnsupportedFormatError
from tensorkeep.formats import detect_folder
from tensorkeep.formats._diagnose import unreadable


def said(data: bytes, name: str = "model.bin") -> TensorkeepError:
    source = BufferSource(data, name)
    return unreadable(source, source.read(0, min(512, source.size)))


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return out.getvalue()


def tarred(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 3
            file.addfile(info, io.BytesIO(b"abc"))
    return out.getvalue()


OTHER = UnsupportedFormatError

# The pointer file that git-lfs writes in the place of a file (specification of Git LFS, the pointer).
LFS = b"""version https://git-lfs.github.com/spec/v1
oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
size 438012727
"""

PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<title>
  Sign in &amp; continue
</title></head><body>...</body></html>"""

# The first bytes of an ONNX model that torch.onnx exported: ir_version 8, producer_name "pytorch".
ONNX = bytes.fromhex("08 08 12 07 70 79 74 6f 72 63 68 1a 05 32 2e 30 2e 30 3a 10") + bytes(range(1, 100))


@pytest.mark.parametrize(
    ("data", "name", "error", "what", "do"),
    [
        (b"", "m.pt", TruncatedFileError, r"the file is empty \(0 bytes\)", "Copy it again"),
        (bytes(5000), "m.pt", CorruptFileError, "all 5000 bytes are zero", "restore a backup"),
        (bytes(600) + b"x" * 400, "m.pt", CorruptFileError, "the first 600 bytes of 1000 are zero", "Copy it again"),
        (LFS, "m.bin", OTHER, "a Git LFS pointer.* the real file has 438012727 bytes", "git lfs pull --include=m.bin"),
        (PAGE, "m.pt", OTHER, "a web page titled 'Sign in & continue'", "Get the file from its direct link"),
        (b"\n  <html><body>no</body></html>", "m", OTHER, "a web page, not a model", "direct link"),
        (gzip.compress(b"x" * 99, mtime=0), "m.npz.gz", OTHER, "compressed with gzip", "`gunzip --keep m.npz.gz`"),
        (bz2.compress(b"x" * 99), "m.bz2", OTHER, "compressed with bzip2", "`bunzip2 --keep m.bz2`"),
        (lzma.compress(b"x" * 99), "m.xz", OTHER, "compressed with xz", "`unxz --keep m.xz`"),
        (b"\x28\xb5\x2f\xfd\x04X", "m.zst", OTHER, "compressed with Zstandard", "`unzstd m.zst`"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "m.7z", OTHER, "a 7-Zip archive", "`7z x m.7z`"),
        (b"Rar!\x1a\x07\x01\0", "m.rar", OTHER, "a RAR archive", "`unrar x m.rar`"),
        (b"\x89HDF\r\n\x1a\n\0\0", "m.h5", OTHER, "an HDF5 file", "h5py opens it"),
        (b" " * 512 + b"\x89HDF\r\n\x1a\n", "m.mat", OTHER, "MATLAB 7.3", "h5py"),
        (b"GGUF\x03\0\0\0" + bytes(40), "m.gguf", OTHER, "a GGUF model", "gguf opens it"),
        (b"\x1c\0\0\0TFL3" + bytes(40), "m.tflite", OTHER, "a TensorFlow Lite model", "TensorFlow"),
        (b"\x7fELF\x02\x01\x01", "m.so", OTHER, r"a program or library \(ELF\)", "check the path"),
        (b"%PDF-1.7\n%\xe2\xe3", "m.pdf", OTHER, "a PDF document", "check the path"),
        (b"\x89PNG\r\n\x1a\n", "m.png", OTHER, "a PNG image", "check the path"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "m.jpg", OTHER, "a JPEG image", "check the path"),
        (struct.pack("<II", 0xCED7230A, 8) + bytes(8), "m.rec", OTHER, "an MXNet RecordIO data set", "no tensors"),
        (ONNX, "m.bin", OTHER, "an ONNX model", "The Python package onnx opens it"),
        (b"\x82\xa6params\x81\xa1w\xc7", "m.msgpack", OTHER, "a msgpack file", "flax.serialization"),
        (bytes(range(1, 100)) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "m.index", OTHER,
         "the index of a TensorFlow checkpoint", "tf.train.load_checkpoint"),
        (tarred("a/x.txt", "b"), "m.tar", OTHER, "a tar archive with 'a/x.txt', 'b', and not one of torch's", "`tar -xf m.tar`"),
        (zipped("config.json", "metadata.json", "model.weights.h5"), "m.keras", OTHER, "a Keras model", "Keras opens it"),
        (zipped("w.safetensors", "b"), "m.zip", OTHER, "a zip archive with 'w.safetensors', 'b', and neither", "`unzip m.zip`"),
        (zipped("a", "b")[:-5], "m.zip", TruncatedFileError, "a zip archive without its end record", "tkeep repair"),
        (b'{"model_type": "bert"}', "config.json", OTHER, "a JSON text that begins", "tensors are in another file"),
        (b'{"cells": [], "nbformat": 4}', "a", OTHER, "a Jupyter notebook", "no tensors"),
        (b"<?xml version='1.0'?><a/>", "a.xml", OTHER, "an XML text", "no tensors"),
        (b"model:\n  depth: 3\n", "a.yaml", OTHER, "a YAML text", "another file"),
        (b"#!/bin/sh\nrm -rf /\n", "a", OTHER, "a script that begins '#!/bin/sh rm -rf /'", "It was not run"),
        ("Größe 1, größe 2\n".encode() * 400, "a.csv", OTHER, "a text that begins 'Größe 1", "Check that the path"),
        ("hello".encode("utf-16"), "a.txt", OTHER, "a text in UTF-16", "no tensors"),
        (b"\xde\xad\xbe\xef" * 20, "m.params", OTHER,
         "begins with the bytes de ad be ef de ad .* promises an MXNet parameter file", "Compare its size or hash"),
        (b"\xde\xad\xbe\xef" * 20, "m.xyz", OTHER, "Known are safetensors, torch, npz", "Compare"),
        (b"ABCD\x00\xff", "m.xyz", OTHER, r"41 42 43 44 00 ff \('ABCD\\x00\\xff'\)", "Compare"),
    ],
)  # fmt: skip
def test_files_of_other_kinds_are_named_with_a_remedy(
    data: bytes, name: str, error: type[TensorkeepError], what: str, do: str
) -> None:
    """By their content, whatever they are called."""
    found = said(data, name)
    with pytest.raises(error, match=what) as caught:
        raise found

    assert type(caught.value) is error
    assert str(found).startswith(f"{name}: ")
    assert do in str(found)


@given(st.binary(max_size=600))
def test_any_bytes_give_one_of_our_errors(data: bytes) -> None:
    """Nothing raises while a file is looked at."""
    assert isinstance(said(data), TensorkeepError)


@given(st.sampled_from([LFS, PAGE, tarred("a", "b"), zipped("a", "b"), ONNX, gzip.compress(b"x", mtime=0)]), st.data())
def test_damaged_files_of_other_kinds_give_our_errors(data: bytes, draw: st.DataObject) -> None:
    """Bytes changed, a cut: still one of ours."""
    raw = bytearray(data)
    for _ in range(3):
        raw[draw.draw(st.integers(0, len(raw) - 1))] = draw.draw(st.integers(0, 255))

    assert isinstance(said(bytes(raw[: draw.draw(st.integers(0, len(raw)))])), TensorkeepError)


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ([], "the folder is empty"),
        (["saved_model.pb", "variables/x"], "a TensorFlow SavedModel"),
        (["__0_0.distcp"], "a torch.distributed.checkpoint folder without its .metadata file"),
        (["step-0000000100/manifest.json"], r"a folder of training steps. tk.Checkpointer\(folder\).restore\(\)"),
        (["m.index", "m.data-00000-of-00001"], "a TensorFlow checkpoint"),
        (["_CHECKPOINT_METADATA"], r"an Orbax checkpoint \(JAX\)"),
        ([".zgroup"], "a Zarr store"),
        (["snapshots/x", "blobs/y"], "Open a folder inside `snapshots`"),
        (["net-symbol.json", "net-0003.params"], r"load a checkpoint by its prefix: tk.load\('.*net', epoch=3\)"),
        (["a.pt", "b.pt", "c.txt"], "a folder with a.pt, b.pt. Open one of these files"),
        (["a.npy", "b.npy", "c.npy", "d.npy"], "a folder with a.npy, b.npy, c.npy and 1 more"),
        (["readme.md"], "a folder without tensor files; it holds readme.md. Check the path"),
        (["run1/model.pt"], "Look into its folder 'run1'"),
    ],
)
def test_folders_of_other_kinds_are_named_with_a_remedy(tmp_path: Path, files: list[str], what: str) -> None:
    """By the files in them."""
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UnsupportedFormatError, match=what) as caught:
        detect_folder(tmp_path)

    assert str(caught.value).startswith(f"{tmp_path}: ")


def test_real_files_of_ours_are_not_diagnosed_as_something_else(golden: Path) -> None:
    """A cut file of ours is told by its reader; only what no reader recognises comes here, as the unknown."""
    array = io.BytesIO()
    np.save(array, np.zeros(3))

    assert "no format that is read begins with" in str(said(array.getvalue()[1:], "a.npy"))
    assert "a JSON text" in str(said(json.dumps({"x": 1}).encode(), "a.json"))
