"""formats/torch_legacy: what torch before 1.6 wrote (and still can) is read equal, and every rule of it is checked."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.api.converting import repair
from tensorkeep.core.bytesource import BufferSource
from tensorkeep.core.tree import Inert
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedFormatError,
)
from tensorkeep.formats.torch_legacy import FORMAT

torch = pytest.importorskip("torch")

BASE = torch.arange(24, dtype=torch.float32)
MAGIC = 0x1950A86A20F9469CFC6C
FACTS = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def torchs(data: Any, **options: Any) -> bytes:
    """What torch.save writes in its old way."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(data, out, _use_new_zipfile_serialization=False, **options)
    return out.getvalue()


def opened(data: bytes, unknown: str = "refuse") -> tk.TensorFile:
    assert FORMAT.open is not None
    return FORMAT.open(BufferSource(data), unknown)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def by_hand(
    data: bytes | None = None,
    *,
    magic: Any = MAGIC,
    protocol: Any = 1001,
    facts: Any = FACTS,
    keys: Any = ("k",),
    numel: int = 6,
    tail: bytes = b"",
    view: bytes = b"N",
) -> bytes:
    """A file with one float storage of six elements, every part free to lie."""
    if data is None:
        pid = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("k") + text("cpu") + b"K\x06" + view + b"tQ"
        data = b"\x80\x02ctorch._utils\n_rebuild_tensor\n(" + pid + b"K\x00K\x02\x85K\x01\x85tR."
    out = b"".join(pickle.dumps(value, 2) for value in (magic, protocol, facts)) + data
    keys = list(keys) if isinstance(keys, tuple) else keys
    return out + pickle.dumps(keys, 2) + struct.pack("<q6f", numel, *range(6)) + tail


DATA = {
    "w": BASE,
    "view": BASE.view(4, 6).t(),
    "part": BASE[3:5],
    "parameter": torch.nn.Parameter(torch.ones(2, 2)),
    "bfloat16": torch.arange(3).bfloat16(),
    "float8": torch.arange(4.0).to(torch.float8_e4m3fn),
    "uint16": torch.arange(3).to(torch.uint16),
    "complex": torch.tensor([1 + 2j]),
    "conjugated": torch.tensor([1 + 2j]).conj().resolve_conj(),
    "empty": torch.zeros(0, 3),
    "0-d": torch.tensor(5),
}


def test_files_of_the_old_way_are_read() -> None:
    """Tensors, views, shared storages, containers, plain values."""
    state = {"tensors": OrderedDict(DATA), "step": 3, "list": [1.5, None, (True, "é", b"\xff")], "tied": DATA["w"]}

    found = tk.load(torchs(state))

    assert {key: value for key, value in found.items() if key not in ("tensors", "tied")} == {
        "step": 3,
        "list": state["list"],
    }
    assert type(found["tensors"]) is OrderedDict
    for name, tensor in DATA.items():
        array = found["tensors"][name]
        assert (array.shape, array.dtype.name) == (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        want = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        assert np.ascontiguousarray(array).tobytes() == want
    assert found["tied"] is found["tensors"]["w"]


def test_a_pickle_larger_than_a_piece_is_read() -> None:
    """Nothing says how long the pickles are; reading goes on until their STOP."""
    state = {f"a long name to fill the pickle, number {i}": torch.full((1,), float(i)) for i in range(3000)}

    found = tk.load(torchs(state))

    assert [array[0] for array in found.values()] == list(range(3000))


def test_old_views_of_storages_are_read() -> None:
    """Before 0.4 the persistent id itself could be a view: (key, offset, size)."""
    view = b"(" + text("v") + b"K\x02K\x03t"

    found = opened(by_hand(view=view))["tensor"]

    assert found.numpy().tolist() == [2, 3]


def test_a_pickled_module_is_refused_and_comes_as_records() -> None:
    """Its class and its source text lie in the file; neither is looked at."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3))
    data = torchs(model)
    with pytest.raises(UnsafeFileError, match=r"Linear.*unknown=\"inert\""):
        tk.load(data)

    file = opened(data, "inert")

    assert isinstance(file.structure, Inert)
    assert np.array_equal(file["0.weight"].numpy(), model[0].weight.detach().numpy())


EVIL = b"cos\nsystem\n" + text("true") + b"\x85R"


@pytest.mark.parametrize("place", range(5))
def test_a_payload_in_any_of_the_five_pickles_is_refused(place: int) -> None:
    """Also in those that only hold a number or a list."""
    parts = [pickle.dumps(value, 2) for value in (MAGIC, 1001, FACTS, None, [])]
    parts[place] = b"\x80\x02" + EVIL + b"."
    with pytest.raises(UnsafeFileError, match=r"os\.system"):
        opened(b"".join(parts))

    report = FORMAT.scan(BufferSource(b"".join(parts)))  # type: ignore[misc]  # it has one

    assert not report.data_only
    assert [(request.module, request.name) for request in report.unknown] == [("os", "system")]


def test_a_payload_in_a_large_pickle_is_listed_in_full() -> None:
    """What stands behind the first piece that is read counts as well."""
    data = b"\x80\x02(" + EVIL + text("a" * 200_000) + EVIL.replace(b"system", b"remove") + b"l."
    with pytest.raises(UnsafeFileError) as caught:  # noqa: PT011  # its list is compared below
        opened(by_hand(data))

    assert caught.value.requests == (("os", "remove"), ("os", "system"))


def test_scan_calls_plain_files_plain() -> None:
    """Five pickles that ask for tensors only."""
    report = tk.scan(torchs(DATA))

    assert report.data_only
    assert report.pickles == 5


LIES = {
    "another magic": (by_hand(magic=7), CorruptFileError, "before 1.6"),
    "another protocol": (by_hand(protocol=1002), UnsupportedFormatError, "1002"),
    "facts that are a list": (by_hand(facts=[1]), CorruptFileError, "before 1.6"),
    "keys that are text": (by_hand(keys="k"), CorruptFileError, "not a list of strings"),
    "keys that are numbers": (by_hand(keys=(1,)), CorruptFileError, "not a list of strings"),
    "a key too few": (by_hand(keys=()), CorruptFileError, "0 storage keys are listed, 1"),
    "a key too many": (by_hand(keys=("k", "l")), CorruptFileError, "2 storage keys are listed, 1"),
    "a key twice": (by_hand(keys=("k", "k")), CorruptFileError, "2 storage keys are listed, 1"),
    "another key": (by_hand(keys=("l",)), CorruptFileError, "not the same"),
    "other elements in front": (by_hand(numel=5), CorruptFileError, "has 5 elements in front"),
    "negative elements in front": (by_hand(numel=-6), CorruptFileError, "has -6 elements in front"),
    "bytes behind the end": (by_hand(tail=b"x"), CorruptFileError, "1 bytes follow"),
    "a view out of its storage": (by_hand(view=b"(" + text("v") + b"K\x05K\x03t"), CorruptFileError, "lies outside it"),
    "a view of text": (by_hand(view=text("v")), CorruptFileError, "not a key, an offset and a size"),
    "a negative view": (by_hand(view=b"(" + text("v") + b"J\xff\xff\xff\xffK\x03t"), CorruptFileError, "from 0 up"),
}


@pytest.mark.parametrize(("data", "error", "match"), LIES.values(), ids=LIES.keys())
def test_every_part_is_checked(data: bytes, error: type[TensorkeepError], match: str) -> None:
    """Magic, version, keys, numbers of elements, views, the end."""
    with pytest.raises(error, match=match):
        opened(data)


def test_the_lies_are_lies() -> None:
    """The maker of the cases above makes a good file when it does not lie; torch reads it as well."""
    assert opened(by_hand())["tensor"].numpy().tolist() == [0, 1]
    assert torch.load(io.BytesIO(by_hand()), weights_only=True).tolist() == [0, 1]


def test_a_pickle_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ever larger pieces stops at the limit for pickles."""
    from tensorkeep.formats import _pickle_stream

    monkeypatch.setattr(_pickle_stream, "MAX_PICKLE_NBYTES", 1 << 18)
    data = b"\x80\x02" + b"".join([text("a" * 1000) + b"0"] * 1000)
    with pytest.raises(LimitError, match="no end within"):
        opened(by_hand(data + b"N."))


def test_a_file_cut_anywhere_is_refused() -> None:
    """No prefix of a file is a file."""
    data = torchs({"a": torch.ones(3), "b": torch.ones(2, dtype=torch.int64)})
    for end in range(len(data)):
        with pytest.raises((CorruptFileError, UnsupportedFormatError)):  # noqa: PT011, RUF100  # any of ours
            tk.load(data[:end])


def test_whole_tensors_are_saved_from_a_cut_file(tmp_path: Path) -> None:
    """The storages in front of the cut are read; the message says how many they are."""
    state = {f"w{i}": torch.full((100,), float(i)) for i in range(10)}
    data = torchs(state)
    path = tmp_path / "cut.pt"
    path.write_bytes(data[:-950])
    with pytest.raises(TruncatedFileError, match=r"7 of 10 storages are whole.*tkeep repair"):
        tk.load(path)

    repair(path, tmp_path / "saved.safetensors")
    found = tk.load(tmp_path / "saved.safetensors")

    assert len(found) == 7
    assert all((array == float(name[1:])).all() for name, array in found.items())
