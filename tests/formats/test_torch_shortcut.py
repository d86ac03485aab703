"""formats/_torch_shortcut: a tensor taken in one step is what the machine makes of its opcodes one by one."""

from __future__ import annotations

import io
import random
import zipfile
from typing import Any

import pytest

from tensorkeep.core.bytesource import BufferSource
from tensorkeep.errors import TensorkeepError
from tensorkeep.formats import _torch_shortcut
from tensorkeep.formats._pickle import load
from tensorkeep.formats._torch_pickle import TORCH
from tensorkeep.formats._torch_zip import Archive
from tensorkeep.formats._zip import read_directory

torch = pytest.importorskip("torch")


def state() -> dict[str, Any]:
    """Many tensors, so that the memo is past its first 256 entries: types, axes, views, tied ones, other data between."""
    made: dict[str, Any] = {}
    shapes = [(), (3,), (300,), (2, 3), (2, 70000), (1, 2, 3), (1, 2, 1, 2), (1,) * 5, (0, 3)]
    for i in range(90):
        dtype = (torch.float32, torch.int64, torch.bfloat16, torch.float8_e5m2, torch.bool)[i % 5]
        made[f"layer.{i}.weight"] = torch.zeros(shapes[i % len(shapes)], dtype=dtype)
        if i % 7 == 0:
            made[f"layer.{i}.view"] = made[f"layer.{i}.weight"].t() if i % 9 == 3 else made["layer.0.weight"]
        if i % 10 == 0:
            made[f"layer.{i}.note"] = [i, {"text": "é"}, torch.nn.Parameter(torch.ones(2))]
    return made


@pytest.fixture(scope="module")
def saved() -> bytes:
    out = io.BytesIO()
    torch.save(state(), out)
    return out.getvalue()


def outcome(archive_bytes: bytes, pickle: bytes, shortcuts: Any) -> Any:
    """Value, requests and end of a pickle, or the class of the refusal."""
    source = BufferSource(archive_bytes)
    archive = Archive(source, read_directory(source, deflated=False).entries)
    try:
        found = load(pickle, what="x", known=TORCH, persistent=archive.storage, unknown="inert", shortcuts=shortcuts)
    except TensorkeepError as err:
        return type(err)
    return described(found.value), found.requests, found.end


def described(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, described(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [described(item) for item in value]
    if hasattr(value, "extent"):
        extent = value.extent
        return (
            value.shape,
            value.dtype,
            None if extent is None else (extent.offset, extent.nbytes, extent.strides),
            value.digest,
        )
    return repr(value)


def pickle_of(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return file.read("archive/data.pkl")


def test_the_result_is_the_machines(saved: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same tree, same requests and counts; and the shortcut was really taken for most tensors."""
    taken = []
    name, original = next(iter(_torch_shortcut.SHORTCUTS.items()))

    def counting(machine: Any, func: Any, pos: int) -> int:
        after = original(machine, func, pos)
        taken.append(after > 0)
        return after

    pickle = pickle_of(saved)

    assert outcome(saved, pickle, {name: counting}) == outcome(saved, pickle, None)
    assert sum(taken) > 30


def test_damaged_pickles_end_alike(saved: bytes) -> None:
    """Whatever is changed, the shortcut and the machine come to the same value or the same kind of refusal."""
    rng = random.Random(5)
    pickle = pickle_of(saved)
    different = []
    for i in range(400):
        data = bytearray(pickle)
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(3000, len(data))
            data[at] = rng.choice((0, 1, 255, data[at] ^ 1, rng.randrange(256)))
        if outcome(saved, bytes(data), _torch_shortcut.SHORTCUTS) != outcome(saved, bytes(data), None):
            different.append(i)

    assert different == []
