"""formats/torch: what torch.save writes is read equal without torch; torch.load(weights_only=True) reads what we write."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.api.converting import repair
from tensorkeep.core.bytesource import BufferSource
from tensorkeep.core.dtypes import DTYPES
from tensorkeep.core.hashing import Digest
from tensorkeep.core.plan import Deferred
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import Inert, flatten
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedDataError,
    UnsupportedFormatError,
)
from tensorkeep.formats.torch import FORMAT

torch = pytest.importorskip("torch")

BASE = torch.arange(24, dtype=torch.float32)
TORCH_DTYPES = (
    *(
        "bool",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "bfloat16",
        "float32",
    ),
    *("float64", "complex64", "complex128", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"),
    "float8_e8m0fnu",
)


def torchs(data: Any, **options: Any) -> bytes:
    """What torch.save writes."""
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sparse CSR and typed storages warn that they are young or old
        torch.save(data, out, **options)
    return out.getvalue()


def opened(data: bytes, unknown: str = "refuse") -> tk.TensorFile:
    assert FORMAT.open is not None
    return FORMAT.open(BufferSource(data), unknown)


def saved(path: Path, data: Any, **options: Any) -> Path:
    tk.save(path / "ours.pt", data, **options)
    return path / "ours.pt"


def bits(array: Any) -> bytes:
    """The bytes of a numpy array or a torch tensor."""
    if isinstance(array, torch.Tensor):
        return bytes(array.detach().contiguous().resolve_conj().reshape(-1).view(torch.uint8).numpy().tobytes())
    return np.ascontiguousarray(array).tobytes()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def archive(content: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, data in content.items():
            file.writestr(name, data)
    return out.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(n: int) -> bytes:
    return b"\x8a\x09" + n.to_bytes(9, "little", signed=True)


def tensor_pickle(
    *,
    numel: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (6,),
    stride: tuple[int, ...] = (1,),
    key: str = "0",
    cls: str = "torch\nFloatStorage",
    tail: bytes = b"\x89ccollections\nOrderedDict\n)R",
    func: str = "_rebuild_tensor_v2",
) -> bytes:
    """The opcodes that rebuild one tensor, with every number free to lie."""
    pid = b"(" + text("storage") + f"c{cls}\n".encode() + text(key) + text("cpu") + number(numel) + b"tQ"
    rows = b"".join(b"(" + b"".join(map(number, row)) + b"t" for row in (shape, stride))
    return f"ctorch._utils\n{func}\n(".encode() + pid + number(offset) + rows + tail + b"tR"


def with_pickle(pickle: bytes, records: dict[str, bytes] | None = None) -> bytes:
    """An archive around hand-made opcodes; six floats lie in record 0."""
    floats = struct.pack("<6f", *range(6))
    content = {
        "a/data.pkl": b"\x80\x02" + pickle + b".",
        "a/byteorder": b"little",
        "a/data/0": floats,
        "a/version": b"3\n",
    }
    return archive(content | (records or {}))


# --- reading what torch writes


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_every_dtype_of_torch_is_read(dtype: str) -> None:
    """All element types, typed and untyped storages, bit for bit."""
    raw = torch.arange(32, dtype=torch.uint8) % (2 if dtype == "bool" else 255)
    tensor = raw.view(getattr(torch, dtype)).reshape(-1, 2)

    found = opened(torchs({"w": tensor}))["w"]

    assert (found.dtype, found.shape) == (dtype, tuple(tensor.shape))
    assert bits(found.numpy()) == bytes(raw.numpy())


def test_pairs_of_float4_are_read_as_their_elements() -> None:
    """torch counts float4 in pairs; the last axis is twice as long."""
    packed = torch.tensor([[0x10, 0x32], [0x54, 0x76]], dtype=torch.uint8).view(torch.float4_e2m1fn_x2)

    found = opened(torchs(packed))["tensor"]

    assert found.shape == (2, 4)
    assert found.numpy().astype(np.float32).tolist() == [[0, 0.5, 1, 1.5], [2, 3, 4, 6]]


VIEWS = {
    "slice": BASE[3:9],
    "transposed": BASE.view(4, 6).t(),
    "every second": BASE[::2],
    "column": BASE.view(4, 6)[:, 1],
    "expanded": BASE[:1].expand(3, 4),
    "broadcast rows": BASE[:6].expand(2, 6),
    "permuted": BASE.view(2, 3, 4).permute(2, 0, 1),
    "0-d": BASE[5],
    "empty": BASE[:0].view(0, 3),
    "one axis of length 1": BASE.view(24, 1).t(),
    "windows": BASE.unfold(0, 4, 2),
    "channels last": BASE.view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    "conjugated": torch.tensor([1 + 2j, 3 - 1j]).conj(),
    "negated": torch.tensor([1 + 2j, 3 - 1j]).conj().imag,
    "parameter": torch.nn.Parameter(BASE.view(4, 6)),
    "with gradient": BASE.clone().requires_grad_(),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_have_the_values_that_torch_shows(name: str) -> None:
    """Strides, offsets, shared storages, lazy conjugation."""
    tensor = VIEWS[name]

    found = opened(torchs({"w": tensor}))["w"]

    assert found.shape == tuple(tensor.shape)
    assert bits(found.numpy()) == bits(tensor)


def test_tied_tensors_stay_one_and_views_share_their_record() -> None:
    """The same view is the same Tensor; other views of the storage lie in the same range."""
    file = opened(torchs({"a": BASE, "b": BASE, "part": BASE[2:4]}))

    assert file["a"] is file["b"]
    assert file["part"].extent.offset == file["a"].extent.offset + 8


NESTED = {
    "model": OrderedDict([("0.weight", torch.ones(2, 2)), ("0.bias", torch.zeros(2))]),
    "step": 3,
    "big": -(2**70),
    "lr": 1e-3,
    "flags": (True, False, None),
    "name": "résumé",
    "blob": b"\x00\xff",
    "z": 1 + 2j,
    "list": [torch.ones(1), [2, []], {}],
    7: {"k": ()},
    "size": torch.Size([2, 3]),
    "names": {"a", "b"},
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_containers_and_plain_values_come_back_as_they_were(protocol: int) -> None:
    """Every kind that torch.save is given in practice, in every protocol that it writes."""
    found = tk.load(torchs(NESTED, pickle_protocol=protocol))

    assert list(found) == list(NESTED)
    assert type(found["model"]) is OrderedDict
    for key in ("step", "big", "lr", "flags", "name", "blob", "z", 7, "names"):
        assert found[key] == NESTED[key]
        assert type(found[key]) is type(NESTED[key])
    assert found["size"] == (2, 3)
    assert found["list"][1:] == [[2, []], {}]
    assert np.array_equal(found["list"][0], [1])
    assert np.array_equal(found["model"]["0.weight"], np.ones((2, 2)))


def test_dtypes_devices_and_layouts_are_told_as_text() -> None:
    """Objects of torch that are names of things come as these names."""
    found = tk.load(torchs([torch.float16, torch.device("cuda:1"), torch.device("cpu"), torch.strided]))

    assert found == ["torch.float16", "cuda:1", "cpu", "torch.strided"]


def test_a_training_checkpoint_comes_back() -> None:
    """A real optimizer's and scheduler's state, with module metadata and NumPy values beside."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    state = {
        "model": model.state_dict(),
        "opt": optimizer.state_dict(),
        "sched": scheduler.state_dict(),
        "loss": np.float64(2),
    }

    found = tk.load(torchs(state))

    assert list(found["model"]) == list(state["model"])
    assert all(bits(found["model"][key]) == bits(value) for key, value in state["model"].items())
    assert found["opt"]["param_groups"] == state["opt"]["param_groups"]
    assert bits(found["opt"]["state"][0]["exp_avg"]) == bits(state["opt"]["state"][0]["exp_avg"])
    assert found["sched"] == state["sched"]
    assert type(found["loss"]) is np.float64


@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
def test_sparse_tensors_are_read(kind: str) -> None:
    """The three layouts as SparseTensors of the same dense values."""
    dense = torch.tensor([[0, 1.5, 0], [2.5, 0, 3]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparse = {"coo": dense.to_sparse, "csr": dense.to_sparse_csr, "csc": dense.to_sparse_csc}[kind]()

    found = tk.load(torchs(sparse))

    assert (type(found), found.kind) == (SparseTensor, kind)
    assert np.array_equal(found.to_dense(), dense.numpy())


def test_bare_storages_are_one_dimensional_tensors() -> None:
    """A storage that was saved by itself, typed and untyped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tk.load(torchs([BASE[:2].clone().storage(), torch.ones(1).untyped_storage()]))

    assert found[0].tolist() == [0, 1]
    assert found[1].tolist() == [0, 0, 128, 63]


def test_other_devices_are_ignored() -> None:
    """A tensor of a GPU that is not there is read all the same."""
    data = members(torchs({"w": BASE}))
    data["archive/data.pkl"] = data["archive/data.pkl"].replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:3")

    assert np.array_equal(tk.load(archive(data))["w"], BASE.numpy())


def test_big_endian_archives_are_read() -> None:
    """The byteorder record decides."""
    data = members(torchs({"w": BASE, "b": torch.ones(2, dtype=torch.uint8)}))
    data["archive/byteorder"] = b"big"
    data["archive/data/0"] = BASE.numpy().astype(">f4").tobytes()

    found = tk.load(archive(data))

    assert np.array_equal(found["w"], BASE.numpy())
    assert found["b"].tolist() == [1, 1]


def test_archives_of_torch_1_6_are_read() -> None:
    """They had no byteorder and no alignment records."""
    data = {
        n: d
        for n, d in members(torchs({"w": BASE})).items()
        if n.partition("/")[2] in ("data.pkl", "data/0", "version")
    }

    assert np.array_equal(tk.load(archive(data))["w"], BASE.numpy())


def test_none_is_none() -> None:
    """The smallest data there are."""
    assert tk.load(torchs(None)) is None


# --- what is not plain data


def test_a_pickled_module_is_refused_and_comes_as_records() -> None:
    """The classes are listed; with unknown="inert" the tensors are there under their state_dict's names."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    data = torchs(model)
    with pytest.raises(UnsafeFileError, match=r"Sequential.*unknown=\"inert\""):
        tk.load(data)

    file = opened(data, "inert")
    record = tk.load(data, unknown="inert")

    assert list(file) == list(model.state_dict())
    assert all(bits(file[name].numpy()) == bits(value) for name, value in model.state_dict().items())
    assert isinstance(record, Inert)
    assert isinstance(record.state["_modules"]["0"].state["_parameters"]["weight"], np.ndarray)
    assert list(tk.load(data, unknown="inert", only="0.*")) == ["0.weight", "0.bias"]


def test_torchscript_archives_say_that_they_carry_code(tmp_path: Path) -> None:
    """Their tensors are readable, `scan` does not call them data only."""
    path = tmp_path / "script.pt"
    linear = torch.nn.Linear(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(linear), path)

    report = tk.scan(path)
    with tk.open(path, unknown="inert") as file:
        assert np.array_equal(file["weight"].numpy(), linear.weight.detach().numpy())

    assert not report.data_only
    assert any("TorchScript" in note for note in report.notes)


def test_scan_tells_plain_from_hostile() -> None:
    """A state dict is provably data; a call of os.system is listed, with its pickle."""
    plain = tk.scan(torchs({"w": BASE}))
    hostile = tk.scan(with_pickle(b"cos\nsystem\n" + text("true") + b"\x85R"))

    assert plain.data_only
    assert [(r.module, r.name, r.where) for r in hostile.unknown] == [("os", "system", "a/data.pkl")]
    assert not hostile.data_only


UNREADABLE = {
    "complex32": lambda: torch.zeros(2, dtype=torch.complex32),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "meta": lambda: torch.empty(2, device="meta"),
    "block sparse": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.filterwarnings("ignore")
def test_tensors_without_a_counterpart_say_what_to_do(name: str) -> None:
    """Refused with a way out; with unknown="inert" the rest of the file is there."""
    data = torchs({"odd": UNREADABLE[name](), "w": BASE})
    with pytest.raises(UnsupportedFormatError, match=r"In torch|Initialise"):
        tk.load(data)

    found = tk.load(data, unknown="inert")

    assert isinstance(found["odd"], Inert)
    assert np.array_equal(found["w"], BASE.numpy())


# --- broken and hostile archives

HUGE = 2**62
LIES = {
    "offset out of the storage": tensor_pickle(offset=1),
    "negative offset": tensor_pickle(offset=-1),
    "offset that wraps": tensor_pickle(offset=2**64 - 8),
    "shape out of the storage": tensor_pickle(shape=(7,)),
    "stride out of the storage": tensor_pickle(shape=(3,), stride=(3,)),
    "negative stride": tensor_pickle(offset=5, stride=(-1,)),
    "negative shape": tensor_pickle(shape=(-1,)),
    "shapes that wrap": tensor_pickle(shape=(HUGE, 8), stride=(0, 0)),
    "zero times huge": tensor_pickle(shape=(0, 2**60, 2**60), stride=(0, 0, 0)),
    "one element as a terabyte": tensor_pickle(shape=(2**38,), stride=(0,)),
    "a number of axes": tensor_pickle(shape=(1,) * 65, stride=(0,) * 65),
    "fewer strides than axes": tensor_pickle(shape=(2, 3)),
    "more elements than the record": tensor_pickle(numel=7),
    "fewer elements than the record": tensor_pickle(numel=5),
    "negative elements": tensor_pickle(numel=-6),
    "elements that wrap": tensor_pickle(numel=2**62 + 6),
    "record that is not there": tensor_pickle(key="1"),
    "key that is a path": tensor_pickle(key="../data.pkl"),
    "storage of no class of torch": tensor_pickle(cls="collections\nOrderedDict"),
    "storage class that torch has not": tensor_pickle(cls="torch\nSize"),
    "one key, two types": b"(" + tensor_pickle() + tensor_pickle(cls="torch\nIntStorage") + b"l",
    "one key, two sizes": b"(" + tensor_pickle() + tensor_pickle(cls="torch\nDoubleStorage", numel=3) + b"l",
    "dtype that does not fit": tensor_pickle(func="_rebuild_tensor_v3", tail=b"\x89Nctorch\nint32\n"),
    "metadata that is code": tensor_pickle(tail=b"\x89N}" + text("x") + b"\x88s"),
    "a missing argument": tensor_pickle(tail=b""),
    "text as persistent id": text("storage") + b"Q",
    "short persistent id": text("storage") + b"\x85Q",
    "parameter of no tensor": b"ctorch._utils\n_rebuild_parameter\n(K\x01\x88NtR",
    "sparse of no tensors": b"ctorch._utils\n_rebuild_sparse_tensor\n" + text("torch.sparse_coo") + b")\x86R",
    "size of text": b"ctorch\nSize\n(" + text("x") + b"\x85tR",
}


@pytest.mark.parametrize("name", LIES)
def test_every_number_of_a_tensor_is_checked(name: str) -> None:
    """Views out of bounds, records of another size, two types for one key: refused when the file is opened."""
    with pytest.raises((CorruptFileError, LimitError), match=r"<bytes>: a/data\.pkl: the pickle is wrong at byte"):
        opened(with_pickle(LIES[name]))


def test_the_lies_are_lies() -> None:
    """The maker of the cases above makes a good tensor when it does not lie."""
    assert opened(with_pickle(tensor_pickle()))["tensor"].numpy().tolist() == [0, 1, 2, 3, 4, 5]


def test_views_together_stay_near_the_files_size() -> None:
    """A thousand overlapping views of one megabyte would fill a gigabyte when loaded."""
    record = bytes(1 << 20)
    views = b"".join(tensor_pickle(numel=1 << 18, offset=i, shape=((1 << 18) - i,), key="1") for i in range(1000))
    with pytest.raises(CorruptFileError, match="far more bytes"):
        opened(with_pickle(b"(" + views + b"l", {"a/data/1": record}))


GOOD = {
    "a/data.pkl": b"\x80\x02" + tensor_pickle() + b".",
    "a/data/0": struct.pack("<6f", *range(6)),
    "a/version": b"3\n",
}
ARCHIVES = {
    "two pickles": (GOOD | {"a/b/data.pkl": b"\x80\x02N."}, CorruptFileError, "one member"),
    "two folders": (GOOD | {"b/x": b""}, CorruptFileError, "one top folder"),
    "two folders with pickles": (GOOD | {"b/data.pkl": b"\x80\x02N."}, CorruptFileError, "this one has 2"),
    "pickle at the top": ({"data.pkl": b"\x80\x02N."}, CorruptFileError, "<folder>/data.pkl"),
    "second pickle behind the first": (
        GOOD | {"a/data.pkl": GOOD["a/data.pkl"] + b"\x80\x02N."},
        CorruptFileError,
        "4 bytes follow",
    ),
    "unknown byte order": (GOOD | {"a/byteorder": b"middle"}, CorruptFileError, "neither b'little' nor b'big'"),
    "name out of the folder": (GOOD | {"a/../x": b""}, UnsafeFileError, "leads out of a folder"),
    "metadata that is none": (GOOD | {"a/.data/tensorkeep.json": b"[1]"}, CorruptFileError, "object of strings"),
}


@pytest.mark.parametrize(("content", "error", "match"), ARCHIVES.values(), ids=ARCHIVES.keys())
def test_odd_archives_are_refused(content: dict[str, bytes], error: type[TensorkeepError], match: str) -> None:
    """One folder, one pickle and nothing behind it."""
    with pytest.raises(error, match=match):
        opened(archive(content))


def test_compressed_records_are_refused() -> None:
    """torch never writes them, and a small one could unfold to any size."""
    with pytest.raises(UnsupportedFormatError, match="compressed"):
        opened(archive(GOOD, zipfile.ZIP_DEFLATED))


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    """Whole records by their tensors' digests, views and small records by `check`: no changed bit is loaded."""
    good = torchs({"w": BASE[:6].clone(), "view": BASE.view(4, 6).t(), "part": BASE[20:]})
    want = tk.load(good)
    missed = []
    for at in range(len(good)):
        data = bytearray(good)
        data[at] ^= 1 << at % 8
        try:
            found = tk.load(bytes(data))
        except TensorkeepError:
            continue
        if any(not np.array_equal(found[key], want[key]) for key in want):
            missed.append(at)

    assert missed == []


def test_verify_sees_damage_behind_a_view(tmp_path: Path) -> None:
    """The report names the record; the tensors of other records stay good."""
    path = tmp_path / "x.pt"
    data = bytearray(torchs({"w": BASE.clone(), "view": (BASE + 100).view(4, 6).t()}))
    at = data.index((BASE + 100).numpy().tobytes())
    data[at] ^= 1
    path.write_bytes(data)

    report = tk.verify(path)

    assert report.status == "damaged"
    assert any("data/1" in sentence for sentence in report.damage)
    with pytest.raises(CorruptFileError, match="data/1"):
        tk.load(path)
    assert tk.load(path, verify=False)["w"].tolist() == BASE.tolist()


# --- cut files


def test_whole_tensors_are_saved_from_a_cut_file(tmp_path: Path) -> None:
    """An archive without its directory: every record in front of the cut counts."""
    state = {f"w{i}": torch.full((100,), float(i)) for i in range(10)}
    data = torchs(state)
    path = tmp_path / "cut.pt"
    path.write_bytes(data[: data.index(state["w6"].numpy().tobytes()) + 30])
    with pytest.raises(TruncatedFileError, match="tkeep repair"):
        tk.load(path)

    repair(path, tmp_path / "saved.safetensors")
    found = tk.load(tmp_path / "saved.safetensors")

    assert {name: array[0] for name, array in found.items()} == {f"w{i}": i for i in range(6)}


def test_a_file_cut_inside_its_pickle_has_nothing_to_save() -> None:
    """Without the pickle nobody knows what the records are."""
    data = torchs({"w": BASE})
    assert FORMAT.salvage is not None
    with pytest.raises(CorruptFileError, match=r"data\.pkl.*not whole"):
        FORMAT.salvage(BufferSource(data[:150]))


# --- writing


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("dtype", TORCH_DTYPES)
def test_torch_reads_every_dtype(tmp_path: Path, dtype: str, mmap: bool) -> None:
    """torch.load(weights_only=True) gives the same dtype and the same bits, mapped too."""
    raw = np.arange(32, dtype=np.uint8) % (2 if dtype == "bool" else 255)
    kind = np.dtype(getattr(ml_dtypes, dtype)) if hasattr(ml_dtypes, dtype) else np.dtype(dtype)
    array = raw.view(kind).reshape(-1, 2)

    found = torch.load(saved(tmp_path, {"w": array}), weights_only=True, mmap=mmap)["w"]

    assert found.dtype == getattr(torch, dtype)
    assert tuple(found.shape) == array.shape
    assert bits(found) == array.tobytes()


OURS = {
    "od": OrderedDict([("b", BASE.numpy()), ("a", np.zeros((0, 3), np.int8))]),
    "scalars": [
        0,
        255,
        256,
        -1,
        65536,
        -(2**31),
        2**31,
        2**100,
        -(2**200),
        0.5,
        True,
        False,
        None,
        "é",
        b"\x00\xff",
        1 - 2j,
    ],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    "empty": [[], {}, OrderedDict()],
    3: np.float32(BASE.numpy()).reshape(2, 3, 4)[:, ::2].T,
    "zero-d": np.array(3, np.int64),
    "five axes": np.zeros((1, 2, 1, 2, 1), np.float16),
}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.shape == tuple(b.shape) and np.array_equal(a, np.asarray(b))
    return type(a) is type(b) and a == b


def test_torch_reads_every_kind_of_value(tmp_path: Path) -> None:
    """Containers, numbers of any size, text, bytes, views; the kinds come back as given."""
    path = saved(tmp_path, OURS)

    for found in (torch.load(path, weights_only=True), torch.load(path, weights_only=False), tk.load(path)):
        assert same(OURS, found)


def test_only_the_visible_part_of_a_view_is_written(tmp_path: Path) -> None:
    """torch.save of a slice writes the whole storage; we write what is seen."""
    path = saved(tmp_path, {"w": torch.zeros(1_000_000)[:3]})

    assert path.stat().st_size < 2500
    assert torch.load(path, weights_only=True)["w"].untyped_storage().nbytes() == 12


def test_tied_tensors_share_one_storage(tmp_path: Path) -> None:
    """One record, and one tensor in torch as well."""
    path = saved(tmp_path, {"a": BASE, "b": BASE, "c": [BASE]})

    found = torch.load(path, weights_only=True)

    assert found["a"] is found["b"] is found["c"][0]
    assert [name for name in members(path.read_bytes()) if "/data/" in name] == ["archive/data/0"]


@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
@pytest.mark.filterwarnings("ignore")
def test_torch_reads_sparse_tensors(tmp_path: Path, kind: str) -> None:
    """Torch's layouts, with the invariants checked by torch itself."""
    dense = torch.tensor([[0, 1.5, 0], [2.5, 0, 3]])
    sparse = {"coo": dense.to_sparse, "csr": dense.to_sparse_csr, "csc": dense.to_sparse_csc}[kind]()

    with torch.sparse.check_sparse_tensor_invariants():
        found = torch.load(saved(tmp_path, [sparse, sparse]), weights_only=True)

    assert found[0].layout == sparse.layout
    assert torch.equal(found[1].to_dense(), dense)


def test_pairs_of_float4_are_written(tmp_path: Path) -> None:
    """Their packing is torch's; an odd last axis has no pairs."""
    array = np.array([[0, 0.5, 1, 6]], np.float32).astype(ml_dtypes.float4_e2m1fn)

    found = torch.load(saved(tmp_path, array), weights_only=True)

    assert found.dtype == torch.float4_e2m1fn_x2
    assert found.view(torch.uint8).tolist() == [[0x10, 0x72]]
    with pytest.raises(UnsupportedDataError, match="odd last axis"):
        saved(tmp_path, array[:, :3])


REFUSED = {
    "NumPy scalar": ({"a": {"b": np.float32(1)}}, r"a\.b.*numpy\.float32.*\.item\(\)"),
    "dtype of no torch": ({"w": np.zeros(2, ml_dtypes.float8_e4m3)}, "'?w'?.*float8_e4m3.*safetensors"),
    "int4": ({"w": np.zeros(2, ml_dtypes.int4)}, "int4"),
    "integer of 300 bytes": ({"n": 2**2400}, "n: an integer of 301 bytes"),
    "half a surrogate pair": ({"t": "\ud800"}, "t: a string holds half"),
    "half a pair as key": ({"\ud800": 1}, "half of a surrogate pair"),
    "row_sparse": (SparseTensor("row_sparse", (4, 2), np.ones((1, 2)), np.array([1])), "torch has no row_sparse"),
    "narrow indices": (SparseTensor("coo", (4,), np.ones(1), np.array([[1]], np.int32)), "torch wants int64"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_what_torch_would_refuse_is_refused_before_writing(tmp_path: Path, data: Any, match: str) -> None:
    """The leaf is named, a format that can hold it as well, and no file appears."""
    with pytest.raises(UnsupportedDataError, match=match):
        saved(tmp_path, data)

    assert list(tmp_path.iterdir()) == []


def test_the_layout_is_torchs(tmp_path: Path) -> None:
    """Record names, order, flags and the alignment of every record as torch 2.13 has them for the same data."""
    data = {"w": BASE, "b": torch.ones(3, dtype=torch.float8_e5m2)}
    ours = saved(tmp_path, data).read_bytes()
    with zipfile.ZipFile(io.BytesIO(ours)) as a, zipfile.ZipFile(io.BytesIO(torchs(data))) as b:
        assert a.testzip() is None
        assert a.namelist() == b.namelist()
        assert [i.flag_bits for i in a.infolist()] == [i.flag_bits for i in b.infolist()]
        assert [i.file_size for i in a.infolist()][1:] == [i.file_size for i in b.infolist()][1:]
        for name in ("archive/version", "archive/.format_version", "archive/.storage_alignment", "archive/byteorder"):
            assert a.read(name) == b.read(name)
        for info in a.infolist():
            start = info.header_offset
            name_nbytes, extra = struct.unpack_from("<HH", ours, start + 26)
            assert (start + 30 + name_nbytes + extra) % 64 == 0


def test_torch_computes_our_offsets_without_reading(tmp_path: Path) -> None:
    """torch can guess where records lie from its own padding rule, and checks that the guess is right."""
    from torch.utils.serialization import config

    path = saved(tmp_path, {f"w{i}": np.full(i * 7 + 1, i, np.float32) for i in range(40)})
    config.load.calculate_storage_offsets = True
    try:
        found = torch.load(path, weights_only=True, mmap=True)
    finally:
        config.load.calculate_storage_offsets = False

    assert all((found[f"w{i}"] == i).all() for i in range(40))


def test_metadata_lie_in_a_record_that_torch_ignores(tmp_path: Path) -> None:
    """Strings beside the data, found again by us."""
    path = saved(tmp_path, {"w": BASE}, metadata={"author": "Ada", "note": "é"})

    assert torch.equal(torch.load(path, weights_only=True)["w"], BASE)
    assert json.loads(members(path.read_bytes())["archive/.data/tensorkeep.json"]) == {"author": "Ada", "note": "é"}
    with tk.open(path) as file:
        assert file.metadata == {"author": "Ada", "note": "é"}


@pytest.mark.parametrize("nbytes", [2**32 - 2, 2**32 - 1, 2**32, 5 * 2**30])
def test_sizes_around_four_gigabytes_add_up(nbytes: int) -> None:
    """The plan's segments have the sizes that their bytes will have, zip64 fields where they are needed and not before."""
    tensors = [Tensor((nbytes,), DTYPES["uint8"], make=lambda: None), Tensor((3,), DTYPES["uint8"], make=lambda: None)]
    content = flatten({"big": tensors[0], "small": tensors[1]})
    assert FORMAT.plan is not None
    plan = FORMAT.plan(content)
    digests = {name: Digest("crc32", "00000001") for name in content.tensors}
    at, directory, sizes = 0, b"", []
    for segment in plan.segments:
        made = segment.make(digests) if isinstance(segment, Deferred) else b""
        sizes.append((at, segment.nbytes if not isinstance(segment, bytes) else len(segment)))
        assert not isinstance(segment, Deferred) or len(made) == segment.nbytes
        directory = made or directory
        at += sizes[-1][1]

    assert plan.nbytes == at
    assert (b"PK\x06\x06" in directory) == (nbytes + 2000 > 2**32)
    assert directory[-22:-18] == b"PK\x05\x06"


@pytest.mark.slow
def test_many_tensors_need_zip64_and_are_read_by_torch(tmp_path: Path) -> None:
    """More than 65,535 records."""
    path = saved(tmp_path, [np.array([i], np.int32) for i in range(66_000)])

    assert int(torch.load(path, weights_only=True)[65_999]) == 65_999
    assert len(opened(path.read_bytes())) == 66_000


def test_crc_in_the_directory_is_the_contents(tmp_path: Path) -> None:
    """What zlib computes of each record stands in the directory and behind the record."""
    data = saved(tmp_path, {"w": BASE}).read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        info = file.getinfo("archive/data/0")

    assert zlib.crc32(BASE.numpy().tobytes()) == info.CRC
    assert struct.pack("<4sIII", b"PK\x07\x08", info.CRC, 96, 96) in data
