"""The contract has teeth: a format with one fault fails the test that is for it, and the good one passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorkeep import formats
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.dtypes import DTYPES
from tensorkeep.core.plan import TensorSegment, WritePlan
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.core.tree import Content
from tensorkeep.errors import CorruptFileError, UnsupportedDataError
from tensorkeep.testing import FormatContract

MAGIC = b"TOY1"
DTYPE_NAMES = frozenset({"float32", "int32"})


class Toy:
    """A format in thirty lines: magic, length, JSON of (name, dtype, shape), data. Each attribute is a fault."""

    eager = False  # reads all data when it is opened
    unchecked = False  # believes the header
    drops_metadata = False  # says that it has room for metadata, and has not
    random_bytes = False
    accepts_all = False  # writes what it cannot hold

    def plan(self, content: Content) -> WritePlan:
        if content.metadata and not self.drops_metadata:
            raise UnsupportedDataError("A toy file has no room for metadata. Leave them out.")
        flat = isinstance(content.tree, dict) and all(isinstance(leaf, Tensor) for leaf in content.tree.values())
        if not self.accepts_all and (
            not flat or type(content.tree) is not dict or len(content.tree) != len(content.tensors)
        ):
            raise UnsupportedDataError(
                "A toy file holds a dict of tensors, of which here is none. Save as .safetensors."
            )
        for name, tensor in content.tensors.items():
            if (
                tensor.dtype not in DTYPE_NAMES
                or not isinstance(name, str)
                or "\ud800" in name
                or not isinstance(content.tree, dict)
            ):
                raise UnsupportedDataError(f"{name!a}: {tensor.dtype} is not among the toy's dtypes. Convert it first.")
        rows = [[name, str(tensor.dtype), list(tensor.shape)] for name, tensor in content.tensors.items()]
        header = json.dumps(rows).encode()
        if self.random_bytes:
            header += b" " * np.random.default_rng().integers(1, 50)
        segments: list[Any] = [MAGIC + len(header).to_bytes(4, "little") + header]
        segments += [TensorSegment(name, tensor) for name, tensor in content.tensors.items()]
        return WritePlan("toy", segments, None, len(content.tensors))

    def open(self, source: ByteSource, unknown: str) -> TensorFile:
        length = int.from_bytes(source.read(4, 4), "little")
        if self.eager:
            source.read(0, source.size)
        raw = source.read(8, length)
        try:
            rows = json.loads(raw)
            at, tensors = 8 + length, {}
            for name, dtype, shape in rows:
                nbytes = int(np.prod(shape, dtype=np.int64)) * 4
                source.check(at, nbytes)
                tensors[str(name)] = Tensor(tuple(shape), DTYPES[dtype], extent=Extent(source, at, nbytes))
                at += nbytes
        except (ValueError, TypeError, KeyError) as err:
            if self.unchecked:
                raise
            raise CorruptFileError(f"{source.name}: the header is no list of rows. The file is damaged.") from err
        if (
            at != source.size
            or any(type(n) is not int or n < 0 for _, _, shape in rows for n in shape)
            or len(rows) != len(tensors)
        ):
            raise CorruptFileError(f"{source.name}: the tensors end at {at}, the file at {source.size}. It is damaged.")
        return TensorFile(source=source, path=source.name, format="toy", tensors=tensors)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[Toy], None]:
    """Makes a Toy a format that `save` and `load` know, for one test."""
    monkeypatch.setattr(formats, "_ROWS", list(formats._ROWS))
    monkeypatch.setattr(formats, "_registered", dict(formats._registered))

    def register(toy: Toy) -> None:
        made = formats.Format("toy", (".toy",), open=toy.open, plan=toy.plan, metadata=toy.drops_metadata)
        formats.register(made, recognise=lambda head, source: head[:4] == MAGIC)

    return register


class ToyContract(FormatContract):
    """Twenty lines for a new format; here six."""

    name, suffix = "toy", ".toy"
    dtypes = DTYPE_NAMES
    kinds = frozenset({"dict", "empty dict"})
    __test__ = False


TESTS: dict[str, Callable[[FormatContract, Path], None]] = {
    "eager": lambda contract, path: contract.test_opening_reads_the_header_only(path),
    "unchecked": lambda contract, path: contract.test_a_flipped_bit_of_the_structure_does_no_harm(path),
    "drops_metadata": lambda contract, path: contract.test_metadata_come_back_or_are_refused(path),
    "random_bytes": lambda contract, path: contract.test_the_same_data_give_the_same_bytes(path),
    "accepts_all": lambda contract, path: contract.test_the_kind_comes_back_or_is_refused(path, "plain values"),
}


@pytest.mark.parametrize("fault", TESTS)
def test_a_format_with_a_fault_fails(tmp_path: Path, registered: Callable[[Toy], None], fault: str) -> None:
    """The good toy passes the test, and the toy with the fault does not."""
    good, bad = Toy(), Toy()
    setattr(bad, fault, True)

    registered(good)
    (tmp_path / "good").mkdir()
    TESTS[fault](ToyContract(), tmp_path / "good")
    registered(bad)
    (tmp_path / "bad").mkdir()

    assert fails(lambda: TESTS[fault](ToyContract(), tmp_path / "bad"))


def fails(test: Callable[[], None]) -> bool:
    """Whether a test fails: by an assertion, by `pytest.raises`, or by an exception that no format may raise."""
    try:
        test()
    except (AssertionError, pytest.fail.Exception, ValueError, TypeError, KeyError):
        return True
    return False


def test_a_claimed_checksum_is_tried(tmp_path: Path, registered: Callable[[Toy], None]) -> None:
    """A format that says it has checksums, and has none, is found out."""

    class Boastful(ToyContract):
        checksums = True
        __test__ = False

    registered(Toy())

    assert fails(lambda: Boastful().test_a_flipped_bit_of_the_data_is_noticed(tmp_path))


def test_the_contract_has_thirty_tests() -> None:
    """What a subclass inherits."""
    assert len([name for name in vars(FormatContract) if name.startswith("test_")]) >= 28
