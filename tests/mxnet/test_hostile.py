"""Files from strangers: nothing in them is executed or imported, a refusal is MXNetError or ours, and changes nothing."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.errors import TensorkeepError
from tensorkeep.mxnet import autograd, gluon, nd, recordio
from tensorkeep.testing.guard import alarm
from tensorkeep.testing.mutate import mutations

GOLDEN = Path(__file__).parents[1] / "golden" / "mxnet"
REFUSED = (mx.MXNetError, TensorkeepError)
VARIABLE = {"op": "null", "name": "x", "inputs": []}


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    with alarm(30):  # of a whole test, on a busy machine; each call takes milliseconds
        yield


class Evil:
    """Pickled, it asks for a call."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


def graph(*nodes: dict[str, Any], heads: list[list[int]] | None = None, **attrs: Any) -> str:
    """The JSON of a network behind the variable x."""
    found = [VARIABLE, *nodes]
    whole = {
        "nodes": found,
        "arg_nodes": [0],
        "heads": heads or [[len(nodes), 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901], **attrs},
    }
    return json.dumps(whole)


def call(op: str, *inputs: list[int], **attrs: str) -> dict[str, Any]:
    """An operator; on x where no inputs are given."""
    return {"op": op, "name": "z", "attrs": attrs, "inputs": list(inputs)}


def run(text: str, shape: tuple[int, ...] = (1, 1, 2, 2)) -> Any:
    """Load, infer, run."""
    symbol = mx.sym.load_json(text)
    symbol.list_outputs()
    given = {"x": shape} if "x" in symbol.list_arguments() else {}
    shapes = symbol.infer_shape(**given)[0] or [shape] * len(symbol.list_arguments())
    symbol.infer_type()
    return symbol.eval(ctx=mx.cpu(), **{n: nd.ones(s) for n, s in zip(symbol.list_arguments(), shapes, strict=True)})


GRAPHS = {
    "an array of terabytes": (graph(call("_zeros", shape="(10000000000000,)")), "z"),
    "a shape beyond 64 bits": (graph(call("_zeros", shape="(10000000,1000000000,1000000000)")), "z"),
    "a shape of too large numbers": (graph(call("_zeros", shape="(99999999999999999999,)")), "shape"),
    "a tile of terabytes": (graph(call("tile", [0, 0, 0], reps="(10000000,1000000)")), "z"),
    "a billion outputs": (graph(call("SliceChannel", [0, 0, 0], num_outputs="1000000000")), "at most 65536"),
    "a billion sections": (graph(call("_split_v2", [0, 0, 0], indices="(0,)", sections="1000000000")), "at most 65536"),
    "a billion weights": (graph(call("multi_sgd_update", num_weights="1000000000", lrs="(1,)", wds="(1,)")), "65536"),
    "a billion inputs": (graph(call("Concat", [0, 0, 0], num_args="1000000000")), "at most 65536"),
    "inputs that are not there": (
        graph(call("FullyConnected", [0, 0, 0], num_hidden="2")),
        r"takes 3 inputs \(data, weight, bias\), the network gives it 1",
    ),
    "too many inputs": (graph(call("broadcast_add", [0, 0, 0], [0, 0, 0], [0, 0, 0])), "takes 2 inputs"),
    "an output that a variable lacks": (graph(call("exp", [0, 5, 0])), "output 5 of x, which has outputs 0 … 0"),
    "a head that is not there": (graph(call("exp", [0, 0, 0]), heads=[[1, 7, 0]]), "output 7 of z"),
    "a circle": (graph(call("exp", [2, 0, 0]), call("exp", [1, 0, 0])), "circle|cycle"),
    "itself": (graph(call("exp", [1, 0, 0])), "circle|cycle"),
    "outputs by its own table": (
        json.dumps({**json.loads(graph(call("Mystery", [0, 0, 0]))), "node_row_ptr": [0, 1, 10**12]}),
        "from 0 to 65536",
    ),
    "a class by name": (graph(call("Custom", [0, 0, 0], op_type="os.system")), "Operator Custom"),
    "a module by name": (graph(call("os.system", [0, 0, 0])), "does not compute|not computed"),
    "a shape that calls": (
        graph({**call("exp", [1, 0, 0])}, heads=[[1, 0, 0]])
        .replace(
            json.dumps(VARIABLE), json.dumps({**VARIABLE, "attrs": {"__shape__": "__import__('os').mkdir('executed')"}})
        )
        .replace('[[1, 0, 0]], "name"', '[[0, 0, 0]], "name"'),
        "no tuple of integers|circle",
    ),
    "a loop of a trillion outputs": (
        (GOLDEN / "sym" / "while_loop-symbol.json")
        .read_text()
        .replace('"num_out_data": "1"', '"num_out_data": "1000000000000"'),
        "num_out_data is 1000000000000, its body has",
    ),
    "a loop without a body": (graph(call("_foreach", [0, 0, 0])), "z"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", GRAPHS)
def test_hostile_networks_are_refused(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading or running says what is wrong, and where."""
    monkeypatch.chdir(tmp_path)
    text, said = GRAPHS[what]

    with pytest.raises(mx.MXNetError, match=said):
        run(text)
    assert not Path("executed").exists()


@pytest.mark.filterwarnings("ignore")
def test_loops_in_loops_cost_what_one_costs() -> None:
    """Eight loops inside each other are inferred in a moment; more are refused."""

    def nested(depth: int, data: Any) -> Any:
        if depth == 0:
            return data + 1
        return mx.sym.contrib.foreach(lambda x, s: (nested(depth - 1, x), s + 1), data, mx.sym.zeros((1,)))[0]

    with alarm(5):
        good = mx.sym.load_json(nested(8, mx.sym.var("x")).tojson())
        assert good.infer_shape(x=(1,) * 9)[1] == [(1,) * 9]
    with pytest.raises(mx.MXNetError, match="more than 8 deep"):
        mx.sym.load_json(nested(9, mx.sym.var("x")).tojson())


@pytest.mark.filterwarnings("ignore")
def test_long_chains_are_no_recursion() -> None:
    """Thousands of operators behind each other load, infer, copy, run and are forgotten."""
    text = graph(*[call("exp" if i % 2 else "log", [i, 0, 0]) for i in range(1500)])

    symbol = pickle.loads(pickle.dumps(mx.sym.load_json(text)))
    symbol.__deepcopy__({})
    symbol.debug_str()

    assert symbol.infer_shape(x=(2,))[1] == [(2,)]
    assert symbol.bind(mx.cpu(), {"x": nd.ones(2)}).forward()[0].shape == (2,)


TEXTS = [
    "",
    "[]",
    "{}",
    "null",
    "[" * 100_000,
    '{"nodes":1}',
    '{"a":' * 5_000,
    '{"nodes":[],"nodes":[],"heads":[]}',
    "\0",
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:12])
def test_texts_that_are_no_network_are_refused(text: str, tmp_path: Path) -> None:
    """By load_json, load and model.load_checkpoint."""
    (tmp_path / "m-symbol.json").write_text(text)

    for loading in (lambda: mx.sym.load_json(text), lambda: mx.sym.load(str(tmp_path / "m-symbol.json"))):
        with pytest.raises(mx.MXNetError):
            loading()
    with pytest.raises(mx.MXNetError):
        mx.model.load_checkpoint(str(tmp_path / "m"), 0)


def test_np_shape_of_a_file_may_be_anything() -> None:
    """What is no ["int", 1] is not true."""
    with mx.util.np_shape(True):
        for value in (7, "x", None, [], ["int"], {"a": 1}):
            assert mx.sym.load_json(graph(is_np_shape=value)).list_arguments() == ["x"]


STATES = {
    "a call": pickle.dumps(Evil()),
    "nothing": b"",
    "no pickle": b"\x80\x04junk",
    "None": pickle.dumps(None),
    "a list": pickle.dumps([1, 2]),
    "a text as a state": pickle.dumps({0: "x"}),
    "three parts": pickle.dumps(({}, 1, 2)),
    "a text as optimizer": pickle.dumps(({}, "x")),
    "depth": b"\x80\x04" + b"]" * 100_000 + b".",
    "a cut file": (GOLDEN / "gluon" / "trainer_sgd_momentum.states").read_bytes()[:-20],
}


def _trainer(path: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    net = gluon.nn.Dense(2, in_units=3)
    net.initialize()
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"momentum": 0.9})
    with autograd.record():
        loss = net(nd.ones((1, 3))).sum()
    loss.backward()
    trainer.step(1)
    return lambda: trainer.load_states(path), lambda: trainer._updaters[0].get_states(dump_optimizer=True)


def _module(path: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    module = mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))
    module.bind([("data", (2, 3))], [("softmax_label", (2,))])
    module.init_params()
    module.init_optimizer(kvstore=None, optimizer_params={"momentum": 0.9})
    module.forward_backward(mx.io.DataBatch([nd.ones((2, 3))], [nd.ones((2,))]))
    module.update()
    return lambda: module.load_optimizer_states(path), lambda: module._updater.get_states()


@pytest.mark.parametrize("owner", [_trainer, _module], ids=["Trainer", "Module"])
@pytest.mark.parametrize("what", STATES)
def test_states_that_are_none_are_refused(
    what: str, owner: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is executed, and the states that there were are kept."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "s.states"
    path.write_bytes(STATES[what])
    loading, states = owner(str(path))
    before = states()

    with pytest.raises(REFUSED):
        loading()

    assert states() == before
    assert not Path("executed").exists()


@pytest.mark.parametrize("handle", [b"", b"x" * 5, 5, "text", [1], {}], ids=repr)
def test_pickled_arrays_hold_bytes_of_one_array(handle: Any) -> None:
    """A hostile `handle` is refused, as is one with bytes behind the array."""
    for state in ({"handle": handle}, {}, None, 5):
        with pytest.raises(mx.MXNetError):
            nd.NDArray(None).__setstate__(state)
    with pytest.raises(mx.MXNetError, match="2 bytes follow"):
        nd.NDArray(None).__setstate__({"handle": nd.ones(2).__getstate__()["handle"] + b"zz"})


def test_pickled_symbols_hold_a_text() -> None:
    """Anything else is refused."""
    for state in ({"handle": 5}, {"handle": "x"}, {"handle": "{}"}, {}, None):
        with pytest.raises(mx.MXNetError):
            mx.sym.Symbol(None).__setstate__(state)


def test_a_pickle_imports_no_module_that_it_names() -> None:
    """Only the modules of arrays are looked at."""
    from tensorkeep.mxnet._pickling import restored

    record = bytes(nd.ones(2).__getstate__()["handle"])
    for module, name in (("this", "s"), ("builtins", "str"), ("mxnet.ndarray.ndarray", "waitall"), (5, 5)):
        with pytest.raises(mx.MXNetError, match="no class of arrays"):
            restored(module, name, record)  # type: ignore[arg-type]  # a file can say anything

    assert "this" not in sys.modules


def _two_layers() -> Any:
    net = gluon.nn.HybridSequential(prefix="n_")
    with net.name_scope():
        net.add(gluon.nn.Dense(2, in_units=3), gluon.nn.Dense(2, in_units=2))
    net.initialize()
    return net


@pytest.mark.parametrize("change", ["1.weight", "1.bias", "extra", "dtype"])
def test_parameters_are_taken_over_whole_or_not_at_all(change: str, tmp_path: Path) -> None:
    """One that does not fit leaves all others as they were."""
    net = _two_layers()
    values = {"0.weight": nd.ones((2, 3)), "0.bias": nd.ones(2), "1.weight": nd.ones((2, 2)), "1.bias": nd.ones(2)}
    values |= {"dtype": {"1.bias": nd.ones(2, dtype="float64")}, "extra": {"2.bias": nd.ones(2)}}.get(
        change, {change: nd.ones((9, 9))}
    )
    nd.save(str(tmp_path / "p"), values)
    before = {name: param.data().asnumpy() for name, param in net.collect_params().items()}

    with pytest.raises((AssertionError, ValueError)):
        net.load_parameters(str(tmp_path / "p"))
    with pytest.raises((AssertionError, ValueError)):
        net.collect_params().load(str(tmp_path / "p"))

    assert all((param.data().asnumpy() == before[name]).all() for name, param in net.collect_params().items())


MODELS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no object": lambda model: 5,
    "another network": lambda model: {},
    "a number as block": lambda model: {"hybridsequential0": 5},
    "no name": lambda model: {"hybridsequential0": {**model, "orig_name": 5}},
    "no symbol": lambda model: {"hybridsequential0": {**model, "symbol": "x"}},
    "a number as inputs": lambda model: {"hybridsequential0": {**model, "inputs": 5}},
    "a text as format": lambda model: {"hybridsequential0": {**model, "in_format": "zz"}},
    "no children": lambda model: {"hybridsequential0": {**model, "children": {}}},
    "children by number": lambda model: {"hybridsequential0": {**model, "children": [1]}},
}


@pytest.mark.parametrize("what", MODELS)
def test_models_that_are_damaged_change_nothing(what: str, tmp_path: Path) -> None:
    """Block.load checks all of the structure before it renames anything."""
    net = _two_layers()
    net.hybridize()
    net(nd.ones((1, 3)))
    net.save(str(tmp_path / "m"))
    path = tmp_path / "m-model.json"
    path.write_text(json.dumps(MODELS[what](json.loads(path.read_text())["hybridsequential0"])))
    other = gluon.nn.HybridSequential(prefix="other_")
    other.add(gluon.nn.Dense(2, in_units=3), gluon.nn.Dense(2, in_units=2))
    before = repr(other), other.name, list(other._children), list(other.collect_params())

    with pytest.raises(REFUSED):
        other.load(str(tmp_path / "m"))

    assert (repr(other), other.name, list(other._children), list(other.collect_params())) == before


MAGIC = 0xCED7230A
RECORDS = {
    "junk": b"junk" * 10,
    "a length beyond the file": struct.pack("<II", MAGIC, (1 << 29) - 1),
    "a cut record": recordio.encoded(b"abc" * 10)[:-4],
    "a middle part first": struct.pack("<II", MAGIC, 2 << 29),
    "a part of no kind": struct.pack("<II", MAGIC, 7 << 29),
    "a first part only": struct.pack("<II", MAGIC, 1 << 29),
    "parts without end": struct.pack("<II", MAGIC, 1 << 29) + struct.pack("<II", MAGIC, 2 << 29) * 100_000,
}


@pytest.mark.parametrize("what", RECORDS)
def test_damaged_records_are_refused(what: str, tmp_path: Path) -> None:
    """By readers, datasets and iterators."""
    pytest.importorskip("PIL")
    path = str(tmp_path / "r.rec")
    Path(path).write_bytes(RECORDS[what])
    (tmp_path / "r.idx").write_text("0\t0\n")

    for reading in (
        lambda: recordio.MXRecordIO(path, "r").read(),
        lambda: gluon.data.RecordFileDataset(path)[0],
        lambda: gluon.data.vision.ImageRecordDataset(path)[0],
        lambda: mx.io.ImageRecordIter(path_imgrec=path, data_shape=(3, 8, 8), batch_size=1).next(),
        lambda: recordio.unpack_img(RECORDS[what]),
        lambda: mx.image.imdecode(RECORDS[what]),
    ):
        with pytest.raises(mx.MXNetError):
            reading()


@pytest.mark.parametrize("index", ["x", "0", "0\t-5", "a\tb\tc", "0\t" + "9" * 5_000, "0\t١", "\0", "0\t99999", "0\t1"])
def test_damaged_indexes_are_refused(index: str, tmp_path: Path) -> None:
    """Lines that are no key, tab, offset; offsets at which no record begins."""
    (tmp_path / "r.rec").write_bytes(recordio.encoded(b"abcd"))
    (tmp_path / "r.idx").write_text(index, encoding="utf-8")

    with pytest.raises(mx.MXNetError):
        recordio.MXIndexedRecordIO(str(tmp_path / "r.idx"), str(tmp_path / "r.rec"), "r").read_idx(0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_pipes_are_no_files(tmp_path: Path) -> None:
    """Nothing waits for a writer that may never come."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)

    for opening in (nd.load, mx.sym.load, lambda path: recordio.MXRecordIO(path, "r")):
        with pytest.raises(REFUSED, match="not a regular file"):
            opening(path)


def test_labels_of_a_record_are_bounded_by_it() -> None:
    """A header may say that four billion labels follow."""
    for flag in (2, 1000, 2**31, 2**32 - 1):
        with pytest.raises(mx.MXNetError, match="labels"):
            recordio.unpack(struct.pack("<IfQQ", flag, 1.0, 1, 1) + b"abcd")


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(100_000, 100_000), (40_000, 40_000), (2**31 - 1, 1), (0, 0)], ids=str)
def test_pictures_of_any_size_are_refused(size: tuple[int, int]) -> None:
    """A hundred bytes may claim gigabytes of pixels."""
    pytest.importorskip("PIL")

    with pytest.raises(mx.MXNetError):
        mx.image.imdecode(_png(*size))


@pytest.mark.filterwarnings("ignore")
def test_damaged_pictures_raise_one_error() -> None:
    """Whatever Pillow raises inside."""
    image = pytest.importorskip("PIL.Image")
    good = []
    for format in ("JPEG", "PNG", "GIF", "TIFF", "BMP"):
        out = io.BytesIO()
        image.new("RGB", (16, 16)).save(out, format)
        good.append(out.getvalue())

    refused = 0
    for data in mutations(good, 400, 1):
        try:
            assert mx.image.imdecode(data).shape[-1] == 3
        except mx.MXNetError:
            refused += 1

    assert 100 < refused < 400


def _idx(*dims: int, data: bytes = b"") -> bytes:
    return struct.pack(f">{len(dims) + 1}I", 0x800 + len(dims), *dims) + data


IDX = {
    "more images than numbers can count": _idx(2**32 - 1, 2**32 - 1, 2**32 - 1),
    "a size that wraps to nothing": _idx(2**32 - 1, 2**31, 2**31),
    "a gigabyte": _idx(1000, 1000, 1000),
    "a short header": b"ab",
    "a broken gzip": b"\x1f\x8b\x08" + bytes(7) + b"zzzzzzz",
    "a cut gzip": gzip.compress(_idx(1, 2, 2, data=b"abcd"))[:14],
}


@pytest.mark.parametrize("what", IDX)
def test_damaged_idx_files_are_refused(what: str, tmp_path: Path) -> None:
    """By MNISTIter and the data set."""
    suffix = ".gz" if IDX[what][:2] == b"\x1f\x8b" else ""
    image, label = tmp_path / f"train-images-idx3-ubyte{suffix}", tmp_path / "train-labels-idx1-ubyte"
    image.write_bytes(IDX[what])
    label.write_bytes(_idx(1, data=b"a"))

    with pytest.raises(mx.MXNetError):
        mx.io.MNISTIter(image=str(image), label=str(label), batch_size=1, silent=True)
    with pytest.raises(REFUSED):
        gluon.data.vision.MNIST(str(tmp_path))


def test_packed_zeros_are_not_unpacked(tmp_path: Path) -> None:
    """A megabyte of gzip that holds more than any file of the data set does."""
    bomb = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(bomb, "wb", 1) as file:
        file.write(_idx(1, 2, 2))
        for _ in range(136):
            file.write(bytes(1 << 20))

    with pytest.raises(TensorkeepError, match="unpacked it has more than"):
        gluon.data.vision.MNIST(str(tmp_path))


def _tar(size: int, fill: bytes = b"\0") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("cifar/test_batch.bin")
        member.size = size
        tar.addfile(member, io.BytesIO(fill * size))
    return out.getvalue()


@pytest.mark.parametrize(
    "raw", [b"junk", _tar(3073, os.urandom(1))[:60], _tar(5), b"\x1f\x8b\x08" + bytes(7) + b"zzzz", b""],
    ids=["junk", "cut", "no image", "broken", "empty"],
)  # fmt: skip
def test_damaged_archives_of_cifar_are_refused(raw: bytes, tmp_path: Path) -> None:
    """Nothing of them is unpacked to the disk."""
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(raw)

    with pytest.raises(TensorkeepError, match=r"cifar-10-binary|test_batch"):
        gluon.data.vision.CIFAR10(str(tmp_path), train=False)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]


@pytest.mark.parametrize(
    "raw", [b"a,b\n", b"1\n", b"\xff\xfe,2\n", b"\0,1\n", b"1," * 10_000, b"99999999999999999999,1\n"]
)
def test_damaged_csv_files_are_refused(raw: bytes, tmp_path: Path) -> None:
    """The file and the line are named."""
    (tmp_path / "c.csv").write_bytes(raw)

    with pytest.raises(mx.MXNetError, match="line 1"):
        mx.io.CSVIter(data_csv=str(tmp_path / "c.csv"), data_shape=(2,), batch_size=1, dtype="int32")


@pytest.mark.parametrize(
    "raw", [b"1 99999999999999999999:1\n", b"1 -1:2\n", b"1 5\n", b"x 0:1\n", b"\xff 0:1", b"1 0:1:2\n"]
)
def test_damaged_libsvm_files_are_refused(raw: bytes, tmp_path: Path) -> None:
    """The file and the line are named."""
    (tmp_path / "s.svm").write_bytes(raw)

    with pytest.raises(mx.MXNetError, match="line 1"):
        mx.io.LibSVMIter(data_libsvm=str(tmp_path / "s.svm"), data_shape=(2,), batch_size=1)


@pytest.mark.parametrize("name", ["nd/dict.params", "nd/sparse_mixed.params", "np/dict"])
def test_mutated_list_files_load_or_are_refused(name: str) -> None:
    """Through nd.load_frombuffer, with NumPy's semantics and without."""
    good = (GOLDEN / name).read_bytes()

    refused = 0
    for data in mutations([good], 300, 3):
        with mx.util.np_shape(name.startswith("np/")):
            try:
                nd.load_frombuffer(data)
            except mx.MXNetError:
                refused += 1

    assert refused > 100
    assert np.isfinite(refused)
