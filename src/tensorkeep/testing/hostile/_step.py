"""Steps of a Checkpointer whose manifest lies under a hash that fits, or whose files are not what they seem."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from typing import Any

from tensorkeep.core.hashing import XXH3_128, digest_of
from tensorkeep.testing.hostile._case import Case

__all__ = ["cases", "deep", "good", "resigned", "signed"]

Edit = Callable[[dict[str, Any]], Any]

MANIFEST, TENSORS = "manifest.json", "w.safetensors"
SHAPE = (4, 5)
_ZEROS = "0" * 32
_ROW = ("tensors", "w")
_PART = (*_ROW, 2, 0)  # file, name, start, shape, offset, hash
_FILE = ("files", TENSORS)  # size, hash of the header


def good(step: int = 1) -> dict[str, bytes]:
    """The files of a whole step whose state is {"w": float64 of SHAPE, "epoch": the step}, by name."""
    import numpy as np

    from tensorkeep.checkpoint.checkpointer import Checkpointer

    with TemporaryDirectory() as folder:
        with Checkpointer(folder, provenance=False, generators=False, signals=False, together=False) as ckpt:
            made = ckpt.save(step, {"w": np.arange(20.0).reshape(SHAPE), "epoch": step}, metrics={"loss": 0.5})
        assert made.path is not None
        return {name: _bytes(os.path.join(made.path, name)) for name in sorted(os.listdir(made.path))}


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def signed(data: dict[str, Any]) -> bytes:
    """A manifest with its own hash made to fit, as somebody who means harm would."""
    text = "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in data.items()) + "\n}\n"
    return resigned(text.encode())


def resigned(raw: bytes) -> bytes:
    """The same bytes with a hash that fits; as they are where there is no place for one."""
    at = raw.find(b'"hash": "') + 9
    if at < 9 or len(raw) < at + 32:
        return raw
    blank = raw[:at] + _ZEROS.encode() + raw[at + 32 :]
    return raw[:at] + digest_of(blank, XXH3_128).value.encode() + raw[at + 32 :]


def deep(levels: int) -> Any:
    """Lists inside each other."""
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


def cases() -> Iterator[Case]:
    """Folders of steps; the whole one that they are made from is `good()`."""
    files = good()
    data = json.loads(files[MANIFEST])
    beside = tuple((name, raw) for name, raw in files.items() if name != MANIFEST)
    for name, (edit, why) in _EDITS.items():
        lie = copy.deepcopy(data)
        edit(lie)
        yield _case(name, signed(lie), why, beside)
    raw = files[MANIFEST]
    for name, made, why in (
        ("duplicate-key", resigned(raw.replace(b'"step": 1', b'"step": 1,\n"step": 1', 1)), "a key twice"),
        ("parts-overlap-hashes-fit", signed(_overlapping(data, files[TENSORS])), "half of the tensor twice"),
        ("hash-wrong", raw.replace(b'"kind": "step"', b'"kind": "stop"', 1), "the manifest's own hash does not fit"),
        ("manifest-cut", raw[:-9], "the last bytes are missing"),
        ("manifest-half", raw[: len(raw) // 2], "half of the manifest"),
        ("manifest-empty", b"", "an empty manifest"),
        (
            "manifest-deep",
            resigned(raw.replace(b'"metrics": {', b'"x": ' + b"[" * 100_000 + b', "metrics": {', 1)),
            "depth",
        ),
    ):
        yield _case(name, made, why, beside)
    yield from _places(files)


def _case(name: str, manifest: bytes, why: str, beside: tuple[tuple[str, bytes], ...]) -> Case:
    lazy, harmless = name in _LAZY, name in _HARMLESS
    return Case(f"step/{name}", MANIFEST, manifest, why, lazy=lazy, harmless=harmless, beside=beside, folder=True)


def _places(files: dict[str, bytes]) -> Iterator[Case]:
    """What stands where a file should."""
    for name in (TENSORS, MANIFEST):
        rest = {other: raw for other, raw in files.items() if other != name}
        stem = name.partition(".")[0]
        for kind, what, why in (
            ("link", "link:elsewhere", "a link, though to the right bytes: a run must not go on from it"),
            ("link-to-other-bytes", "link:bytes", "a link to a file whose last bit was flipped"),
            ("link-to-nothing", "link:nowhere", "a link to nothing"),
            ("link-to-itself", f"link:{name}", "a link to itself"),
            ("link-to-folder", "link:.", "a link to a folder"),
            ("link-to-device", "link:/dev/zero", "a link to a device without end"),
            ("link-to-pipe", "link:pipe", "a link to a pipe that nobody writes to"),
            ("link-to-another", "link:other", "a link to another file of as many bytes"),
            ("folder", "folder", "a folder"),
            ("pipe", "pipe", "a pipe that nobody writes to"),
            ("device", "device", "a device without end"),
            ("missing", "", "nothing"),
        ):
            beside = dict(rest)
            if kind == "link":
                beside["elsewhere"] = files[name]
            if kind == "link-to-other-bytes":
                beside["bytes"] = files[name][:-1] + bytes([files[name][-1] ^ 1])
            if kind == "link-to-another":
                beside["other"] = b"{" + b" " * (len(files[name]) - 1)
            places = [(name, what)] if what else []
            if kind == "link-to-pipe":
                places.append(("pipe", "pipe"))
            first, *others = beside.items()
            yield Case(
                f"step/{stem}-{kind}",
                first[0],
                first[1],
                f"{why} in the place of {name}",
                beside=tuple(others),
                folder=True,
                places=tuple(places),
                # Links to regular files may be followed; without a manifest it is a folder of plain safetensors files.
                harmless=kind == "link" or (name == MANIFEST and kind != "link-to-other-bytes"),
                lazy=kind == "link-to-other-bytes",
            )


def _set(path: tuple[Any, ...], value: Any) -> Edit:
    """Set one value, deep inside."""

    def act(data: dict[str, Any]) -> None:
        place: Any = data
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return act


def _file_name(name: str) -> Edit:
    """Let the tensor lie in another file, by a name that leads elsewhere."""

    def act(data: dict[str, Any]) -> None:
        data["files"][name] = data["files"].pop(TENSORS)
        data["tensors"]["w"][2][0][0] = name

    return act


def _halves(data: dict[str, Any], starts: tuple[int, int], hashes: tuple[str, str] | None = None) -> None:
    """Put two parts of two rows each in the place of the one; their hashes as they were, or as given."""
    file, name, _, _, offset, digits = data["tensors"]["w"][2][0]
    both = hashes or (digits, digits)
    data["tensors"]["w"][2] = [
        [file, name, [start, 0], [2, SHAPE[1]], offset, each] for start, each in zip(starts, both, strict=True)
    ]


def _overlapping(data: dict[str, Any], raw: bytes) -> dict[str, Any]:
    """As many elements as the tensor has, in parts that lie over each other and whose hashes fit."""
    lie = copy.deepcopy(data)
    offset = lie["tensors"]["w"][2][0][4]
    digits = digest_of(raw[offset : offset + 80], XXH3_128).value
    _halves(lie, (0, 1), (digits, digits))
    return lie


def _twice(data: dict[str, Any]) -> None:
    parts = data["tensors"]["w"][2]
    parts.append(copy.deepcopy(parts[0]))


def _huge(data: dict[str, Any]) -> None:
    _set((*_ROW, 1), [1 << 40, 1 << 40])(data)
    _set((*_PART, 3), [1 << 40, 1 << 40])(data)


_NAMES = {
    "parent": "../secret",
    "absolute": "/etc/passwd",
    "folder": "a/b",
    "dots": "..",
    "dot": ".",
    "empty": "",
    "backslash": "a\\b",
    "drive": "c:x",
    "nul": "nul\0",
    "long": "x" * 300,
    "manifest": MANIFEST,
}

_EDITS: dict[str, tuple[Edit, str]] = {
    **{f"file-{key}": (_file_name(name), f"a tensor in the file {name[:20]!r}") for key, name in _NAMES.items()},
    "part-unknown-file": (_set((*_PART, 0), "optimizer.safetensors"), "a part of a file that is not named"),
    "part-outside": (_set((*_PART, 2), [3, 0]), "a part outside of the tensor"),
    "part-larger": (_set((*_PART, 3), [40, 5]), "a part larger than the tensor"),
    "part-flat": (_set((*_PART, 3), [20]), "a part of other dimensions"),
    "part-twice": (_twice, "one part twice"),
    "parts-overlap": (lambda data: _halves(data, (0, 1)), "halves that overlap and leave a hole"),
    "parts-none": (_set((*_ROW, 2), []), "a tensor of no part"),
    "start-negative": (_set((*_PART, 2), [-1, 0]), "a negative start"),
    "size-negative": (_set((*_PART, 3), [-4, 5]), "a negative size"),
    "shape-negative": (_set((*_ROW, 1), [-4, 5]), "a negative shape"),
    "shape-huge": (_huge, "a shape whose product is huge"),
    "shape-huge-part-small": (_set((*_ROW, 1), [1 << 31, 1 << 31]), "a huge tensor in one small part"),
    "offset-negative": (_set((*_PART, 4), -8), "a negative offset"),
    "offset-beyond": (_set((*_PART, 4), 1 << 40), "an offset behind the end"),
    "offset-wraps": (_set((*_PART, 4), 1 << 64), "an offset of 2**64"),
    "offset-float": (_set((*_PART, 4), 1e300), "an offset that is a float"),
    "offset-infinite": (_set((*_PART, 4), float("inf")), "an infinite offset"),
    "dtype-unknown": (_set((*_ROW, 0), "float1024"), "a dtype that is none"),
    "dtype-code": (_set((*_ROW, 0), "__import__('os').system('true')"), "a dtype that is code"),
    "tensor-hash-wrong": (_set((*_PART, 5), "f" * 32), "a hash that is wrong"),
    "tensor-hash-short": (_set((*_PART, 5), "x"), "a hash that is no hash"),
    "file-size-wrong": (_set((*_FILE, 0), 1), "a file's size that is wrong"),
    "file-size-negative": (_set((*_FILE, 0), -1), "a file's size that is negative"),
    "file-hash-wrong": (_set((*_FILE, 1), "f" * 32), "a file's header hash that is wrong"),
    "files-list": (_set(("files",), []), "files that are a list"),
    "tensors-list": (_set(("tensors",), [1]), "tensors that are a list"),
    "tensors-missing": (lambda data: data.pop("tensors"), "no tensors"),
    "step-another": (_set(("step",), 7), "another step's number"),
    "step-text": (_set(("step",), "x"), "a step that is text"),
    "version-later": (_set(("version",), 2), "a version to come"),
    "version-text": (_set(("version",), "1"), "a version that is text"),
    "format-another": (_set(("format",), "tensorkeep"), "another format"),
    "tree-deep": (_set(("tree",), deep(500)), "a tree of 500 lists inside each other"),
    "tree-no-tensor": (_set(("tree",), {"t": "dict", "k": 3}), "a tree that names no tensor"),
    "tree-text": (_set(("tree",), "w"), "a tree that is text"),
    "metrics-text": (_set(("metrics",), {"loss": "low"}), "metrics that are text"),
    "metrics-list": (_set(("metrics",), [1]), "metrics that are a list"),
    "entries-number": (_set(("entries",), 5), "entries that are a number"),
    "keep-number": (_set(("keep",), 5), "policies that are a number"),
    "provenance-missing": (lambda data: data.pop("provenance"), "no provenance"),
}

_LAZY = frozenset(
    (
        "file-manifest",
        "file-size-wrong",
        "file-size-negative",
        "file-hash-wrong",
        "tensor-hash-wrong",
        "tensor-hash-short",
    )
)
"""What is compared when values are loaded or verified, not when the folder is opened."""

_HARMLESS = frozenset(("step-another", "format-another", "tree-text", "manifest-empty"))
"""Lies about what nobody asks who opens a folder by its path; and where no manifest is recognised, the folder is one of plain
safetensors files. A Checkpointer must refuse them all the same."""
