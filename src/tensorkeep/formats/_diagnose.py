"""What a file is that no format of ours recognises, and what to do with it: told by its content, never by guessing alone.

Each case is one row or one small function. Nothing is unpacked or parsed deeply here; at most the first MiB is read (the
end as well where a magic stands there).
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable
from pathlib import Path

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.errors import CorruptFileError, TensorkeepError, TruncatedFileError, UnsupportedFormatError

__all__ = ["unreadable", "unreadable_folder"]

_START_NBYTES = 1 << 20
_HOLE_NBYTES = 64 << 20
"""How far a file that begins with zeros is searched for something else."""


def unreadable(source: ByteSource, head: bytes) -> TensorkeepError:
    """The error to raise for a file that is none of ours; `head` is its first 512 bytes.

    Returns:
        UnsupportedFormatError for a file of another kind; TruncatedFileError or CorruptFileError for one that is empty,
        cut, or all zeros.
    """
    for ask in (_empty, _zeros, _git_lfs, _web_page, _by_magic, _tar, _zip, _tensorflow, _msgpack, _onnx, _text):
        found = ask(source, head)
        if found is not None:
            return found
    return _unknown(source, head)


def _other(source: ByteSource, what: str, do: str) -> UnsupportedFormatError:
    remedy = do.replace("FILE", os.path.basename(source.name))
    return UnsupportedFormatError(f"{source.name}: this is {what}. {remedy}")


def _empty(source: ByteSource, head: bytes) -> TensorkeepError | None:
    if source.size:
        return None
    return TruncatedFileError(
        f"{source.name}: the file is empty (0 bytes): it was never written, or its download failed. Copy it again."
    )


def _zeros(source: ByteSource, head: bytes) -> TensorkeepError | None:
    if head.strip(b"\0"):
        return None
    zeros = 0
    for at in range(0, min(source.size, _HOLE_NBYTES), _START_NBYTES):
        piece = source.read(at, min(_START_NBYTES, source.size - at))
        rest = piece.lstrip(b"\0")
        zeros += len(piece) - len(rest)
        if rest:
            break
    whole = zeros == source.size
    return CorruptFileError(
        f"{source.name}: {'all' if whole else 'the first'} {zeros} bytes{'' if whole else f' of {source.size}'} are zero. "
        "Its size was set, but its data were never written: the typical trace of a crash or of a broken download. "
        "Copy it again, or restore a backup."
    )


def _git_lfs(source: ByteSource, head: bytes) -> TensorkeepError | None:
    if not head.startswith(b"version https://git-lfs"):
        return None
    size = re.search(rb"^size (\d{1,19})$", head, re.MULTILINE)
    real = f"; the real file has {int(size[1])} bytes" if size else ""
    return _other(
        source,
        f"a Git LFS pointer, not the file that it stands for{real}",
        "Fetch that with `git lfs pull --include=FILE` in the repository (after `git lfs install`).",
    )


def _web_page(source: ByteSource, head: bytes) -> TensorkeepError | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:256].lower()
    is_html = start.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
    if not is_html and not (start.startswith((b"<?xml", b"<!--")) and b"<html" in head.lower()):
        return None
    text = source.read(0, min(source.size, 1 << 16))
    title = re.search(rb"<title[^>]{0,200}>([^<]{0,300})", text, re.IGNORECASE)
    named = " ".join(html.unescape(title[1].decode("utf-8", "replace")).split())[:120] if title else ""
    return _other(
        source,
        f"a web page{f' titled {named!r}' if named else ''}, not a model",
        "The download gave a page instead of the file (a login, an error, or the page about the file). "
        "Get the file from its direct link, logged in where that is needed.",
    )


_UNPACK = "Unpack it with `{}`, then open what comes out."
_NOT_READ = "Files of this kind are not read."
_NO_TENSORS = "It holds no tensors; check the path."

_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"\x1f\x8b", "compressed with gzip", _UNPACK.format("gunzip --keep FILE")),
    (0, b"BZh", "compressed with bzip2", _UNPACK.format("bunzip2 --keep FILE")),
    (0, b"\xfd7zXZ\0", "compressed with xz", _UNPACK.format("unxz --keep FILE")),
    (0, b"\x28\xb5\x2f\xfd", "compressed with Zstandard", _UNPACK.format("unzstd FILE")),
    (0, b"\x04\x22\x4d\x18", "compressed with LZ4", _UNPACK.format("unlz4 FILE")),
    (0, b"\x1f\x9d", "compressed with compress (.Z)", _UNPACK.format("uncompress FILE")),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK.format("7z x FILE")),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK.format("unrar x FILE")),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5, .hdf5, MATLAB 7.3)", f"{_NOT_READ} h5py opens it."),
    (512, b"\x89HDF\r\n\x1a\n", "an HDF5 file (MATLAB 7.3 .mat)", f"{_NOT_READ} h5py opens it."),
    (0, b"GGUF", "a GGUF model (llama.cpp)", f"{_NOT_READ} The Python package gguf opens it."),
    (0, b"lmgg", "a GGML model (llama.cpp before GGUF)", f"{_NOT_READ} Convert it to GGUF with llama.cpp."),
    (0, b"tjgg", "a GGJT model (llama.cpp before GGUF)", f"{_NOT_READ} Convert it to GGUF with llama.cpp."),
    (0, b"fmgg", "a GGMF model (llama.cpp before GGUF)", f"{_NOT_READ} Convert it to GGUF with llama.cpp."),
    (4, b"TFL3", "a TensorFlow Lite model", f"{_NOT_READ} TensorFlow opens it."),
    (0, b"MATLAB 5.0 MAT-file", "a MATLAB file", f"{_NOT_READ} scipy.io.loadmat opens it."),
    (0, b"\x0a\x23\xd7\xce", "an MXNet RecordIO data set (.rec), not parameters", _NO_TENSORS),
    (0, b"PAR1", "a Parquet table", f"{_NOT_READ} pyarrow or pandas opens it."),
    (0, b"ARROW1", "an Arrow file", f"{_NOT_READ} pyarrow opens it."),
    (0, b"SQLite format 3\0", "an SQLite data base", _NO_TENSORS),
    (0, b"\x7fELF", "a program or library (ELF)", _NO_TENSORS),
    (0, b"MZ", "a Windows program or library", _NO_TENSORS),
    (0, b"\xca\xfe\xba\xbe", "a Java class or a macOS program", _NO_TENSORS),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program or library", _NO_TENSORS),
    (0, b"\0asm", "a WebAssembly program", _NO_TENSORS),
    (0, b"%PDF", "a PDF document", _NO_TENSORS),
    (0, b"\xd0\xcf\x11\xe0", "an Office document", _NO_TENSORS),
    (0, b"\x89PNG", "a PNG image", _NO_TENSORS),
    (0, b"\xff\xd8\xff", "a JPEG image", _NO_TENSORS),
    (0, b"GIF8", "a GIF image", _NO_TENSORS),
    (0, b"II*\0", "a TIFF image", _NO_TENSORS),
    (0, b"MM\0*", "a TIFF image", _NO_TENSORS),
    (8, b"WEBP", "a WebP image", _NO_TENSORS),
    (8, b"WAVE", "a WAV recording", _NO_TENSORS),
)


def _by_magic(source: ByteSource, head: bytes) -> TensorkeepError | None:
    start = source.read(0, min(source.size, 520)) if len(head) >= 512 else head
    for at, magic, what, do in _MAGIC:
        if start[at : at + len(magic)] == magic:
            return _other(source, what, do)
    return None


def _tar(source: ByteSource, head: bytes) -> TensorkeepError | None:
    if head[257:262] != b"ustar":
        return None
    names: list[str] = []
    at = 0
    while at + 512 <= source.size and len(names) < 3:
        block = source.read(at, 512)
        name, size = block[:100].rstrip(b"\0"), block[124:136].strip(b" \0")
        if not name or not re.fullmatch(rb"[0-7]{1,11}", size):
            break
        names.append(name.decode("utf-8", "replace"))
        at += 512 + (int(size, 8) + 511) // 512 * 512
    inside = f" with {', '.join(map(repr, names))}{' …' if len(names) == 3 else ''}" if names else ""
    return _other(source, f"a tar archive{inside}, and not one of torch's", _UNPACK.format("tar -xf FILE"))


_KERAS = "a Keras model (.keras): an archive of configuration and HDF5 weights"
_ZIPPED: tuple[tuple[Callable[[list[str]], bool], str, str], ...] = (
    (lambda names: "model.weights.h5" in names, _KERAS, f"{_NOT_READ} Keras opens it."),
    (lambda names: any(n.endswith("bytecode.pkl") for n in names), "a TorchScript archive for phones", _NOT_READ),
    (lambda names: "MAR-INF/MANIFEST.json" in names, "a TorchServe archive (.mar)", _UNPACK.format("unzip FILE")),
    (lambda names: "[Content_Types].xml" in names, "an Office document", _NO_TENSORS),
    (lambda names: "META-INF/MANIFEST.MF" in names, "a Java archive", _NO_TENSORS),
)


def _zip(source: ByteSource, head: bytes) -> TensorkeepError | None:
    if head[:4] not in (b"PK\x03\x04", b"PK\x05\x06"):
        return None
    from tensorkeep.formats._zip import read_directory

    try:
        names = list(read_directory(source, deflated=True).entries)
    except TensorkeepError as err:
        return err
    for fits, what, do in _ZIPPED:
        if fits(names):
            return _other(source, what, do)
    shown = ", ".join(f"{name!r:.80}" for name in names[:3]) + (" …" if len(names) > 3 else "")
    return _other(
        source,
        f"a zip archive with {shown}, and neither torch's nor NumPy's",
        _UNPACK.format("unzip FILE"),
    )


def _tensorflow(source: ByteSource, head: bytes) -> TensorkeepError | None:
    if os.path.basename(source.name) == "saved_model.pb":
        return _other(source, "the graph of a TensorFlow SavedModel", f"{_NOT_READ} TensorFlow opens its folder.")
    if source.size >= 48 and source.read(source.size - 8, 8) == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb":
        return _other(source, "the index of a TensorFlow checkpoint", f"{_NOT_READ} tf.train.load_checkpoint opens it.")
    return None


def _msgpack(source: ByteSource, head: bytes) -> TensorkeepError | None:
    # A map with a short string as its first key, as flax.serialization writes it.
    if not 0x81 <= head[0] <= 0x8F or len(head) < 2 or not 0xA1 <= head[1] <= 0xBF:
        return None
    key = head[2 : 2 + head[1] - 0xA0]
    if not key.isascii() or not key.decode("ascii").isprintable():
        return None
    return _other(source, "a msgpack file (Flax writes these)", f"{_NOT_READ} flax.serialization opens it.")


def _onnx(source: ByteSource, head: bytes) -> TensorkeepError | None:
    # A protobuf that begins with field 1, a small varint (the IR version), then field 2, a string (who made it).
    looks = len(head) > 4 and head[0] == 0x08 and head[1] <= 0x20 and head[2] in (0x12, 0x1A, 0x3A)
    if not looks and not source.name.lower().endswith(".onnx"):
        return None
    return _other(source, "an ONNX model, by the look of it", f"{_NOT_READ} The Python package onnx opens it.")


def _text(source: ByteSource, head: bytes) -> TensorkeepError | None:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") and source.size % 2 == 0:
        return _other(source, "a text in UTF-16", _NO_TENSORS)
    sample = source.read(0, min(source.size, 4096))
    text = sample.decode("utf-8", "ignore").lstrip("\ufeff")
    broken = len(text.encode("utf-8")) < len(sample) - 7  # a character may be cut at the end, a mark taken off
    if broken or any(ord(c) < 32 and c not in "\t\n\r\f\x1b" for c in text):
        return None
    start, suffix = text.lstrip(), os.path.splitext(source.name)[1].lower()
    first = " ".join(start[:200].split())[:60]
    if start.startswith(("{", "[")):
        if '"nbformat"' in text or suffix == ".ipynb":
            return _other(source, "a Jupyter notebook", _NO_TENSORS)
        return _other(
            source, f"a JSON text that begins {first!r}", "A model's configuration? Its tensors are in another file."
        )
    if start.startswith("<"):
        return _other(source, f"an XML text that begins {first!r}", _NO_TENSORS)
    if suffix in (".yaml", ".yml") or start.startswith(("---\n", "%YAML")):
        return _other(source, f"a YAML text that begins {first!r}", "A configuration? Its tensors are in another file.")
    if start.startswith("#!") or suffix == ".py":
        return _other(source, f"a script that begins {first!r}", "It was not run. Its tensors are in another file.")
    return _other(source, f"a text that begins {first!r}", "Check that the path or the link is the right one.")


_PROMISES = {
    ".safetensors": "a safetensors file",
    ".npz": "a NumPy archive",
    ".npy": "a NumPy array",
    ".params": "an MXNet parameter file",
    ".nd": "an MXNet parameter file",
    ".pt": "a torch file",
    ".pth": "a torch file",
    ".bin": "a torch file",
    ".ckpt": "a torch file",
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".states": "an MXNet optimizer's states",
}


def _unknown(source: ByteSource, head: bytes) -> TensorkeepError:
    from tensorkeep.formats import names

    promised = _PROMISES.get(os.path.splitext(source.name)[1].lower())
    shown = head[:16].hex(" ") + (f" ({head[:16].decode('latin-1')!a})" if head[:4].isalnum() else "")
    why = (
        f"Its name promises {promised}, and it does not begin like one: it is damaged, encrypted, or misnamed."
        if promised
        else f"Known are {', '.join(names())}."
    )
    return UnsupportedFormatError(
        f"{source.name}: no format that is read begins with the bytes {shown}; the file has {source.size} bytes. "
        f"{why} Compare its size or hash with the source."
    )


_FOLDERS: tuple[tuple[Callable[[list[str]], bool], str, str], ...] = (
    (lambda n: "saved_model.pb" in n, "a TensorFlow SavedModel", f"{_NOT_READ} TensorFlow opens it."),
    (lambda n: any(x.endswith(".distcp") for x in n), "a torch.distributed.checkpoint folder without its .metadata file",
     "It was copied without hidden files, or its save never finished. Copy it again with `cp -a`."),
    (lambda n: any(re.fullmatch(r"step-\d+", x) for x in n), "a folder of training steps",
     "tk.Checkpointer(folder).restore() takes the newest; or open one step's folder."),
    (lambda n: any(x.endswith(".index") for x in n) and any(".data-0" in x for x in n), "a TensorFlow checkpoint",
     f"{_NOT_READ} tf.train.load_checkpoint opens it."),
    (lambda n: "_CHECKPOINT_METADATA" in n or "manifest.ocdbt" in n or "_METADATA" in n, "an Orbax checkpoint (JAX)",
     f"{_NOT_READ} orbax.checkpoint opens it."),
    (lambda n: ".zarray" in n or ".zgroup" in n or "zarr.json" in n, "a Zarr store", f"{_NOT_READ} zarr opens it."),
    (lambda n: "snapshots" in n and "blobs" in n, "a folder of the Hugging Face cache", "Open a folder inside `snapshots`."),
)  # fmt: skip


def unreadable_folder(path: Path) -> TensorkeepError:
    """The error to raise for a folder that is none of ours."""
    inside = sorted(os.listdir(path))
    if not inside:
        return UnsupportedFormatError(f"{path}: the folder is empty. Check the path, or that its copy was finished.")
    for fits, what, do in _FOLDERS:
        if fits(inside):
            return UnsupportedFormatError(f"{path}: this is {what}. {do}")
    ours = [name for name in inside if os.path.splitext(name)[1].lower() in _PROMISES]
    shown = ", ".join((ours or inside)[:3]) + (
        f" and {len(ours or inside) - 3} more" if len(ours or inside) > 3 else ""
    )
    symbols = [name for name in ours if re.search(r"-\d{4}\.params$", name)]
    if symbols:
        prefix, epoch = symbols[-1][: -len("-0000.params")], int(symbols[-1][-11:-7])
        return UnsupportedFormatError(
            f"{path}: a folder with MXNet checkpoints ({shown}). Open one of the files, or load a checkpoint by its prefix: "
            f"tk.load({str(path / prefix)!r}, epoch={epoch})."
        )
    if ours:
        return UnsupportedFormatError(f"{path}: this is a folder with {shown}. Open one of these files.")
    folders = [name for name in inside if (path / name).is_dir()]
    hint = f" Look into its folder {folders[0]!r}." if len(folders) == len(inside) else ""
    return UnsupportedFormatError(f"{path}: a folder without tensor files; it holds {shown}.{hint} Check the path.")
