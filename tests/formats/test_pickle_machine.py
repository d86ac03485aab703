"""formats/_pickle: plain data come out as Python's own unpickler gives them; nothing else does anything at all."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import Inert
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedFormatError,
)
from tensorkeep.formats import _pickle
from tensorkeep.formats._pickle import examine, load
from tensorkeep.formats._torch_pickle import TORCH

PLAIN: list[Any] = [
    0, 1, 255, 256, 65535, 65536, -1, -(2**31), 2**31, 2**62, 2**100, -(2**70), 2**2000, True, False, None,
    0.0, -1.5, 1e300, float("inf"), "", "text", "héllo ✓ 😀\n", "a" * 300, b"", b"\x00\xff", b"x" * 300,
    (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1, [2, [3]]], {}, {"a": 1, 2: {"b": None}}, {1.5: 1, None: 2, b"k": 3},
    {1, 2, "x"}, frozenset([1]), 1 + 2j, OrderedDict(b=1, a=2), [[]] * 3,
]  # fmt: skip


def value(data: bytes, **options: Any) -> Any:
    return load(data, what="x", **options).value


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_come_out_equal(protocol: int) -> None:
    """Every protocol of the real pickler, every plain type."""
    data = pickle.dumps(PLAIN, protocol)

    found = value(data)

    assert found == pickle.loads(data)
    assert [type(item) for item in found] == [type(item) for item in PLAIN]


@pytest.mark.parametrize("protocol", range(6))
def test_dicts_with_behaviour_become_dicts(protocol: int) -> None:
    """bytearray, Counter and defaultdict hold plain data and come as the plain kind."""
    found = value(pickle.dumps([bytearray(b"a\xff"), Counter("aab"), defaultdict(list, {1: [2]})], protocol))

    assert found == [b"a\xff", {"a": 2, "b": 1}, {1: [2]}]
    assert [type(item) for item in found] == [bytes, dict, dict]


ARRAYS = [
    np.arange(6, dtype="<f4").reshape(2, 3),
    np.arange(6, dtype=">i8").reshape(3, 2),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array(3.5, np.float16),
    np.zeros((0, 4), np.uint8),
    np.array([1 + 2j], np.complex64),
    np.array([True, False]),
    np.ones(3, ml_dtypes.bfloat16),
    np.ones(3, ml_dtypes.float8_e4m3fn),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_numpy_arrays_come_out_equal(array: np.ndarray, protocol: int) -> None:
    """What numpy pickles, in its two ways, is a Tensor of the same shape, dtype and values."""
    found = value(pickle.dumps(array, protocol))

    assert type(found) is Tensor
    assert found.shape == array.shape
    assert found.dtype == array.dtype.name
    assert np.array_equal(found.numpy(), array)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_numpy_scalars_and_dtypes_come_out(protocol: int) -> None:
    """Scalars keep their type; dtypes and scalar classes are told by their name."""
    found = value(pickle.dumps([np.float32(2.5), np.int8(-3), np.float64(1), np.dtype(">f4"), np.int64], protocol))

    assert found == [2.5, -3, 1.0, "float32", "int64"]
    assert [type(item) for item in found[:3]] == [np.float32, np.int8, np.float64]


def test_numpy_names_of_both_majors_are_known() -> None:
    """NumPy 1 wrote numpy.core, NumPy 2 writes numpy._core."""
    data = pickle.dumps(np.arange(3), 2)

    assert np.array_equal(value(data.replace(b"numpy._core.", b"numpy.core.")).numpy(), np.arange(3))


def test_arrays_that_are_no_tensors_become_records() -> None:
    """Strings and Python objects in an array are told, and harm nothing."""
    found = value(pickle.dumps([np.array(["a"]), np.array([None], object)], 4))

    assert [type(item) for item in found] == [Inert, Inert]
    assert [item.args[0] for item in found] == [(1,), (1,)]


# What Python 2.7's cPickle wrote (protocol 2 and 0, memo from 1 on) for {'k': u'é', 'raw': '\xff\x00', 'n': 5L}.
PY2 = b"\x80\x02}q\x01(U\x01kX\x02\x00\x00\x00\xc3\xa9q\x02U\x03rawq\x03U\x02\xff\x00q\x04U\x01nq\x05\x8a\x01\x05u."
PY2_TEXT = b"(dp1\nS'k'\np2\nV\xe9\np3\nsS'raw'\np4\nS'\\xff\\x00'\np5\nsS'n'\np6\nL5L\ns."


@pytest.mark.parametrize("data", [PY2, PY2_TEXT])
def test_python_2_strings_are_text_or_bytes(data: bytes) -> None:
    """A str of Python 2 is text where it is UTF-8, bytes where it is not."""
    assert value(data) == {"k": "é", "raw": b"\xff\x00", "n": 5}


class Evil:
    """Pickles into a call of os.system that would leave a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("unknown", ["refuse", "inert"])
def test_nothing_runs(tmp_path: Path, protocol: int, unknown: str) -> None:
    """A call in a pickle is refused or recorded; the sentinel file never appears."""
    data = pickle.dumps([1, Evil(tmp_path / "ran")], protocol)
    if unknown == "inert":
        record = value(data, unknown=unknown)[1]
        assert (record.module, record.name, record.args) == ("posix", "system", (f"touch {tmp_path / 'ran'}",))
    else:
        with pytest.raises(UnsafeFileError, match=r"posix\.system"):
            value(data)
    examine(data, what="x")

    assert list(tmp_path.iterdir()) == []


def call(module: str, name: str, args: bytes = b"(") -> bytes:
    return f"c{module}\n{name}\n".encode() + args + b"tR"


def test_the_refusal_lists_everything() -> None:
    """All unknown names, the harmless ones beside, and the way out; the error carries the names."""
    data = (
        b"\x80\x02](" + call("os", "system") + call("shutil", "rmtree") + call("os", "system") + call("builtins", "set")
    )
    with pytest.raises(
        UnsafeFileError,
        match=r"2 classes or functions.*os\.system.*shutil\.rmtree.*Harmless in it: builtins\.set.*unknown=\"inert\"",
    ) as caught:
        value(data + b"e.")

    assert caught.value.requests == (("os", "system"), ("shutil", "rmtree"))


def test_a_payload_before_a_broken_end_is_told() -> None:
    """What ran before the break in another reader is still listed."""
    data = b"\x80\x02" + call("os", "system") + b"0\xff"
    with pytest.raises(UnsafeFileError, match=r"os\.system.*also broken"):
        value(data)


HIDDEN = {
    "popped": b"\x80\x02" + call("os", "system") + b"0N.",
    "popped with its mark": b"\x80\x02(" + call("os", "system") + b"1N.",
    "as a dict's dropped state": b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00a"
    + call("os", "system")
    + b"sb.",
    "name from the memo": b"\x80\x04\x8c\x06system\x940\x8c\x02os\x94h\x00\x93)R0N.",
    "INST": b"(ios\nsystem\n.",
    "OBJ": b"(cos\nsystem\no.",
    "NEWOBJ": b"\x80\x02cos\nsystem\n)\x81.",
    "NEWOBJ_EX": b"\x80\x04cos\nsystem\n)}\x92.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "never called": b"\x80\x02cos\nsystem\n.",
    "dotted": b"\x80\x04\x8c\x08builtins\x8c\x0bset.__eval_\x93)R.",
    "known name, other module": b"\x80\x02cos\nOrderedDict\n)R.",
    "reconstructor": b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
}


@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN.keys())
def test_hidden_requests_are_found(data: bytes) -> None:
    """Every way to ask for a class counts, whatever becomes of the result."""
    with pytest.raises(UnsafeFileError, match="not plain data"):
        value(data)

    assert any(not request.known for request in examine(data, what="x").requests)
    value(data, unknown="inert")


class Thing:
    """An object that refers to itself, has items and entries."""

    def __init__(self) -> None:
        self.me = self
        self.numbers = [1, 2]


class Listed(list):  # type: ignore[type-arg]
    pass


class Mapped(dict):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize("protocol", range(6))
def test_inert_records_keep_what_the_object_held(protocol: int) -> None:
    """State, list items and dict entries of an unknown class; its reference to itself is a record without contents."""
    thing, listed, mapped = value(pickle.dumps([Thing(), Listed([1, 2]), Mapped(a=1)], protocol), unknown="inert")

    assert thing.name == "Thing"
    assert thing.state["numbers"] == [1, 2]
    assert (type(thing.state["me"]), thing.state["me"].name, thing.state["me"].state) == (Inert, "Thing", None)
    if protocol >= 2:
        assert listed.items == [1, 2]
        assert mapped.items == [("a", 1)]


def test_classes_and_enumerations_as_keys_become_text() -> None:
    """Old checkpoints of Lightning have the classes of callbacks as keys; their state is worth having."""
    data = b"\x80\x02}(cpl.callbacks\nStop\n}X\x01\x00\x00\x00nK\x03scm\nColor\nK\x01\x85RK\x02ctorch\nfloat32\nK\x04u."

    found = value(data, unknown="inert", known=TORCH)

    assert found == {"pl.callbacks.Stop": {"n": 3}, "m.Color(1)": 2, "torch.float32": 4}


def test_inert_results_can_be_called_and_filled() -> None:
    """getattr(os, 'system')('ls') with a state, an item and an entry on the result is a record of all that."""
    data = b"\x80\x02" + call("builtins", "getattr", b"(cos\npath\nX\x04\x00\x00\x00join")
    data += b"X\x02\x00\x00\x00ls\x85R}X\x01\x00\x00\x00sK\x05sbK\x01aK\x02K\x03s."

    found = value(data, unknown="inert")

    assert (found.module, found.name) == ("builtins", "getattr.__call__")
    assert found.args[0].args == (Inert("os", "path"), "join") or found.args[0].args[1] == "join"
    assert found.args[1] == "ls"
    assert found.state == {"s": 5}
    assert found.items == [1, (2, 3)]


U = b"X\x03\x00\x00\x00abc"
WRONG = {
    "empty": (b"", TruncatedFileError, "cut off"),
    "no STOP": (b"\x80\x02N", TruncatedFileError, "cut off"),
    "unknown opcode": (b"\x80\x02\xfe.", CorruptFileError, "no opcode"),
    "protocol 6": (b"\x80\x06N.", CorruptFileError, "protocol 6"),
    "second header": (b"\x80\x02\x80\x02N.", CorruptFileError, "second protocol header"),
    "empty stack": (b"\x80\x02.", CorruptFileError, "not one value"),
    "not one value": (b"\x80\x02NN.", CorruptFileError, "not one value"),
    "open mark": (b"\x80\x02N(N.", CorruptFileError, "not one value"),
    "no mark": (b"\x80\x02t.", CorruptFileError, "empty stack"),
    "memo from nowhere": (b"\x80\x02h\x05.", CorruptFileError, "memo entry that was never set"),
    "memo far ahead": (b"\x80\x02Nr\xff\xff\xff\x7f.", CorruptFileError, "memo entry 2147483647"),
    "memo in text": (b"Np99999999\n.", CorruptFileError, "memo entry 99999999"),
    "memo in no number": (b"Npx\n.", CorruptFileError, "memo index"),
    "skipped memo entry": (b"\x80\x02Nq\x01h\x00\x86.", CorruptFileError, "never set"),
    "SETITEM on a list": (b"\x80\x02]K\x01K\x02s.", CorruptFileError, "set in a list"),
    "SETITEMS on a tuple": (b"\x80\x02)(K\x01K\x02u.", CorruptFileError, "set in a tuple"),
    "odd SETITEMS": (b"\x80\x02}(K\x01u.", CorruptFileError, "no value"),
    "key twice": (b"\x80\x02}(K\x01NK\x01Nu.", CorruptFileError, "stands twice"),
    "key twice, as True": (b"\x80\x02}(K\x01N\x88Nu.", CorruptFileError, "stands twice"),
    "key twice, later": (b"\x80\x02}K\x01NsK\x01Ns.", CorruptFileError, "stands twice"),
    "list as key": (b"\x80\x02}]Ns.", CorruptFileError, "key is a list"),
    "tuple as key": (b"\x80\x02})Ns.", UnsupportedFormatError, "tuple as key"),
    "huge int as key": (b"\x80\x02}\x8a\x09" + b"\xff" * 8 + b"\x7fNs.", CorruptFileError, "number of 71 bits"),
    "NaN as key": (b"\x80\x02}G\x7f\xf8" + b"\0" * 6 + b"Ns.", CorruptFileError, "key is a float"),
    "APPEND on a dict": (b"\x80\x02}Na.", CorruptFileError, "appended to a dict"),
    "APPENDS on text": (b"\x80\x02" + U + b"(Ne.", CorruptFileError, "appended to a str"),
    "ADDITEMS on a list": (b"\x80\x04](K\x01\x90.", CorruptFileError, "added to a list"),
    "list in a set": (b"\x80\x04\x8f(]\x90.", CorruptFileError, "member of a set"),
    "list in a frozenset": (b"\x80\x04(]\x91.", CorruptFileError, "member of a set"),
    "BUILD on a list": (b"\x80\x02]}b.", CorruptFileError, "state is set on a list"),
    "REDUCE of text": (b"\x80\x02" + U + b")R.", CorruptFileError, "calls a str"),
    "REDUCE without a tuple": (b"\x80\x02cbuiltins\nset\n]R.", CorruptFileError, "place of its arguments"),
    "NEWOBJ of text": (b"\x80\x02" + U + b")\x81.", CorruptFileError, "not a class"),
    "NEWOBJ of a function": (b"\x80\x02c_codecs\nencode\n)\x81.", CorruptFileError, "not stored in this way"),
    "call of a class that is none": (b"\x80\x02cnumpy\nndarray\n)R.", CorruptFileError, "cannot be called"),
    "known with wrong arguments": (b"\x80\x02cbuiltins\nset\n(K\x01tR.", CorruptFileError, "not a list"),
    "encode to rot13": (b"\x80\x02c_codecs\nencode\n" + U + b"X\x05\x00\x00\x00rot13\x86R.", CorruptFileError, "rot13"),
    "class by number": (b"\x80\x04K\x01K\x02\x93.", CorruptFileError, "not a string"),
    "class without a name": (b"\x80\x02c\n\n.", CorruptFileError, "empty or too long"),
    "control characters": (b"\x80\x02cos\x1b[2J\nsystem\n.", CorruptFileError, "control characters"),
    "persistent id": (b"\x80\x02NQ.", CorruptFileError, "outside itself"),
    "persistent id in text": (b"Pabc\n.", CorruptFileError, "outside itself"),
    "out of band": (b"\x80\x05\x97.", CorruptFileError, "out of band"),
    "half a surrogate pair": (b"\x80\x02X\x03\x00\x00\x00\xed\xa0\x80.", CorruptFileError, "UTF-8"),
    "half a surrogate pair in text": (b"V\\ud800\n.", CorruptFileError, "UTF-8"),
    "unquoted": (b"Sabc\n.", CorruptFileError, "not quoted"),
    "odd escape": (b"S'\\q'\n.", CorruptFileError, "escape"),
    "negative length": (b"T\xff\xff\xff\xff.", CorruptFileError, "negative length"),
    "text longer than the file": (b"\x80\x02X\xff\xff\xff\x7fabc.", TruncatedFileError, "cut off"),
    "bytes longer than the file": (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fabc.", TruncatedFileError, "cut off"),
    "integer in letters": (b"Iabc\n.", CorruptFileError, "decimal digits"),
    "float in letters": (b"Fabc\n.", CorruptFileError, "number is not written"),
    "integer of 1 MB": (b"\x80\x02\x8b\x00\x00\x10\x00" + b"\x01" * (1 << 20) + b".", LimitError, "integer of 1048576 bytes"),
    "integer of 3,000 digits": (b"I" + b"9" * 3000 + b"\n.", CorruptFileError, "too many"),
    "endless number": (b"I" + b"9" * 100_000 + b"\n.", LimitError, "longer than 4096 bytes"),
    "frame beyond the file": (b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00N.", TruncatedFileError, "cut off"),
    "frame inside an opcode": (b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00NMxx.", CorruptFileError, "frame ends inside"),
    "frame inside a string": (b"\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00\x8c\x05abcde.", CorruptFileError, "frame ends inside"),
    "frame in a frame": (b"\x80\x04\x95\x0b" + b"\0" * 7 + b"\x95\x01" + b"\0" * 7 + b"N.", CorruptFileError, "begins inside"),
    "list in itself": (b"\x80\x02]q\x00h\x00a.", CorruptFileError, "contains itself"),
    "dict in itself": (b"\x80\x02}q\x00K\x01h\x00s.", CorruptFileError, "contains itself"),
    "tuple in itself": (b"\x80\x02]q\x00h\x00\x85a.", CorruptFileError, "contains itself"),
    "65 lists": (b"\x80\x02" + b"](" * 65 + b"e" * 65 + b".", LimitError, "64 containers"),
    "many tuples": (b"\x80\x02)" + b"\x85" * 10_000 + b".", LimitError, "64 containers"),
    "more tuples than bytes": (b"\x80\x02)" + b"\x85" * 50_000 + b".", LimitError, "more containers"),
    "lists that are dropped": (b"\x80\x02" + b"]0" * 50_000 + b"N.", LimitError, "more containers"),
    "marks": (b"\x80\x02" + b"(" * 5000 + b".", LimitError, "more containers"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "error", "match"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("unknown", ["refuse", "inert"])
def test_broken_pickles_are_refused(
    monkeypatch: pytest.MonkeyPatch, data: bytes, error: type[Exception], match: str, unknown: str
) -> None:
    """Each rule of the format, with its own words and where it was broken."""
    monkeypatch.setattr(_pickle, "FREE_CONTAINERS", 30_000)
    with pytest.raises(error, match=match):
        value(data, unknown=unknown)


def test_lists_of_lists_of_the_same_lists_are_refused() -> None:
    """A billion laughs: 30 lists that unfold to 9**30 values are no tree that anybody could walk."""
    data = b"\x80\x02("
    body = b"]q\x00"
    for i in range(30):
        body += b"](" + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1])
    with pytest.raises(LimitError, match="unfold"):
        value(data + body + b"l.")


def test_a_text_repeated_a_million_times_is_refused() -> None:
    """Shared strings cost nothing in memory, and everything as soon as somebody prints them."""
    data = b"\x80\x02(X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x00" + b"h\x00" * 500_000 + b"l."
    with pytest.raises(LimitError, match="unfold"):
        value(data)


def test_shared_containers_stay_shared() -> None:
    """What is one list in the pickle is one list afterwards."""
    inner = [1]
    found = value(pickle.dumps([inner, inner, (inner,)], 2))

    assert found[0] is found[1]
    assert found[2][0] is found[0]


def test_bytes_behind_the_end_are_the_callers_business() -> None:
    """`end` tells where the pickle ends, from whatever offset it began."""
    data = b"junk" + pickle.dumps([1], 4) + pickle.dumps(2)
    first = load(data, what="x", start=4)

    assert first.value == [1]
    assert load(data, what="x", start=first.end).value == 2


def test_persistent_ids_go_to_the_caller() -> None:
    """With a function for them, ids are values; classes in them come by name."""
    found = value(b"\x80\x02(ctorch\nFloatStorage\nK\x05tQ.", persistent=lambda pid: pid[1] * 2, unknown="inert")

    assert found == 10


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_cut_anywhere_is_refused(protocol: int) -> None:
    """No prefix of a pickle is a pickle."""
    data = pickle.dumps([*PLAIN[:30], np.arange(3), OrderedDict(a=Thing())], protocol)
    for end in range(len(data)):
        with pytest.raises((CorruptFileError, UnsafeFileError)):
            value(data[:end])


SEEDS = [pickle.dumps([*PLAIN, np.arange(3), np.float32(1), Thing(), Mapped(a=1)], protocol) for protocol in range(6)]


@given(st.sampled_from(SEEDS), st.data())
def test_no_bytes_raise_anything_but_our_errors(seed: bytes, draw: st.DataObject) -> None:
    """Changed, doubled, lost bytes: our own errors or a value, in every mode."""
    data = bytearray(seed)
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data) - 1))
        kind = draw.draw(st.integers(0, 2))
        if kind == 0:
            data[at] = draw.draw(st.integers(0, 255))
        elif kind == 1 and len(data) > 9:
            del data[at : at + draw.draw(st.integers(1, 8))]
        else:
            data[at:at] = data[: draw.draw(st.integers(0, 16))]
        data = data or bytearray(b".")
    for unknown in ("refuse", "inert"):
        with contextlib.suppress(TensorkeepError):
            value(bytes(data), unknown=unknown)
    examine(bytes(data), what="x")


def test_the_time_is_linear_in_the_bytes() -> None:
    """25,000 items and entries on one record are taken without copying them each time."""
    record = b"\x80\x02cm\nC\n)\x81"
    found = value(record + b"K\x01a" * 25_000 + b"K\x01K\x02s" * 25_000 + b".", unknown="inert")
    with pytest.raises(CorruptFileError, match="again and again"):
        value(record + b"Nb" * 17 + b".", unknown="inert")

    assert len(found.items) == 50_000


def test_long_numbers_can_be_printed() -> None:
    """The largest integer that is read stays below Python's own limit for printing."""
    found = value(b"\x80\x02\x8b" + struct.pack("<i", 1024) + b"\xff" * 1023 + b"\x7f.")

    assert len(str(found)) == 2466
