"""A plan becomes the same bytes whichever way it is written, and a failure leaves the old file."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import xxhash

from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.dtypes import DType
from tensorkeep.core.hashing import Digest
from tensorkeep.core.plan import Deferred, Receipt, TensorSegment, WritePlan
from tensorkeep.core.progress import listening
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.errors import NotEnoughSpaceError, SaveError
from tensorkeep.storage import _feed, _pool, writing
from tensorkeep.storage.writing import write_file, write_stream
from tests.conftest import threads_at_work


class Chunks:
    """Memory that NumPy cannot see: what `Tensor` takes for an accelerator's."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def blocks(self, max_nbytes: int) -> Iterator[memoryview]:
        for start in range(0, len(self.data), 700):
            yield memoryview(self.data)[start : start + 700]


def tensor(array: np.ndarray[Any, Any]) -> Tensor:
    return Tensor(array.shape, DType.of(array.dtype), array=array)


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    """Small and large, of all kinds of memory; the same at each call."""
    rng = np.random.default_rng(11)
    found: dict[str, np.ndarray[Any, Any]] = {
        f"small{i}": rng.integers(0, 99, (i % 7, 3)).astype("i4") for i in range(60)
    }
    found |= {
        "large": rng.standard_normal(50_001).astype("f4"),
        "scalar": np.array(2.5),
        "empty": np.empty((0, 4), "f4"),
        "half": rng.standard_normal(301).astype(ml_dtypes.bfloat16),
        "fp8": np.ones(5, ml_dtypes.float8_e4m3fn),
        "packed": np.array([1, 2, 3, -4, 5], ml_dtypes.int4),
        "fortran": np.asfortranarray(rng.standard_normal((40, 30))),
        "strided": rng.standard_normal((60, 60))[::2, 1::3],
        "backward": np.arange(100, dtype="i8")[::-1],
        "big endian": np.arange(3000, dtype=">i4"),
        "bool": rng.random(77) > 0.5,
        "complex": (rng.standard_normal(9) + 1j).astype("c16"),
        "large strided": rng.standard_normal((300, 300)).T,
        "tail": np.arange(13, dtype="u1"),
    }
    return found


def file_bytes(array: np.ndarray[Any, Any]) -> bytes:
    """What a file holds of an array, by the plainest means."""
    if array.dtype == ml_dtypes.int4:  # two an element, the first in the low bits
        nibbles = [int(v) & 15 for v in array] + [0] * (array.size % 2)
        return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.tobytes()


def xxh(data: bytes) -> str:
    return xxhash.xxh3_128(data).hexdigest()


def sample_plan(checksum: str | None = "xxh3-128", *, deferred: bool = True) -> tuple[WritePlan, bytes]:
    """A plan with every kind of segment, and the bytes that it stands for."""
    segments: list[Any] = [b"magic"]
    body = b""
    for name, array in arrays().items():
        segments += [TensorSegment(name, tensor(array)), b"\0" * (len(body) % 5)]
        body += file_bytes(array) + b"\0" * (len(body) % 5)
    opaque = np.random.default_rng(5).bytes(3333)
    segments.append(TensorSegment("device", Tensor((3333,), DType.of("uint8"), array=Chunks(opaque))))
    body += opaque
    hashes = {name: (xxh if checksum == "xxh3-128" else crc)(file_bytes(a)) for name, a in arrays().items()}
    head = tail = b""
    if deferred:
        width = 32 if checksum == "xxh3-128" else 8

        def make(digests: Mapping[str, Digest]) -> bytes:
            return "".join(digests[name].value for name in hashes).encode()

        head = tail = "".join(hashes.values()).encode()
        segments.insert(1, Deferred(width * len(hashes), make))
        segments.append(Deferred(width * len(hashes), make))
    segments.append(b"end")
    return WritePlan("sample", segments, checksum, len(hashes) + 1), b"magic" + head + body + tail + b"end"


def crc(data: bytes) -> str:
    return f"{zlib.crc32(data):08x}"


STRATEGIES = ["inline", "inline, odd blocks", "pool", "direct", "direct refused", "direct misaligned"]


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way of writing a file, made to take small blocks so that small files show their edges."""
    name: str = request.param
    monkeypatch.setattr(_feed, "PASS_NBYTES", 1000)
    monkeypatch.setattr(_feed, "SMALL_NBYTES", 100)
    monkeypatch.setattr(writing, "INLINE_BLOCK_NBYTES", 97 if "odd" in name else 4096)
    monkeypatch.setattr(writing, "BLOCK_NBYTES", 8192)
    if name.startswith("inline"):
        return name
    if not hasattr(os, "pwrite"):
        pytest.skip("threads write at offsets, which this system cannot")
    monkeypatch.setattr(writing, "POOL_FROM_NBYTES", 1)
    monkeypatch.setattr(writing, "DEFERRED_EVERY_NBYTES", 1)
    monkeypatch.setattr(writing, "direct_is_known", lambda fd: name != "pool")
    if name == "direct refused":
        monkeypatch.setattr(writing, "open_direct", lambda fd, flags: None)
    elif name == "direct misaligned":
        monkeypatch.setattr(_pool, "write_all", misaligned(_pool.write_all))
    return name


def misaligned(real: Any) -> Any:
    """A device that takes no direct writes of our alignment."""

    def write_all(fd: int, data: memoryview, offset: int) -> None:
        import fcntl

        if data and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(fd, data, offset)

    return write_all


@pytest.mark.parametrize("checksum", ["xxh3-128", "crc32", None])
def test_every_strategy_writes_the_same_bytes(tmp_path: Path, strategy: str, checksum: str | None) -> None:
    """The file is what the segments say, and the checksums are those of the tensors' bytes."""
    plan, expected = sample_plan(checksum, deferred=checksum is not None)
    path = tmp_path / "x"
    receipt = write_file(path, plan)

    assert path.read_bytes() == expected
    assert os.listdir(tmp_path) == ["x"]
    if checksum is not None:
        one_shot = xxh if checksum == "xxh3-128" else crc
        assert {n: d for n, d in receipt.digests.items() if n != "device"} == {
            n: Digest(checksum, one_shot(file_bytes(a))) for n, a in arrays().items()
        }
    else:
        assert receipt.digests == {}


@pytest.mark.parametrize("checksum", ["xxh3-128", "crc32", None])
def test_a_stream_gets_the_same_bytes_in_order(checksum: str | None) -> None:
    """BytesIO after write_stream holds what the file would, what stood in it before stays."""
    plan, expected = sample_plan(checksum, deferred=checksum is not None)
    stream = io.BytesIO()
    stream.write(b"before")
    receipt = write_stream(stream, plan)

    assert stream.getvalue() == b"before" + expected
    assert receipt.nbytes == len(expected)
    assert receipt.path == "<BytesIO>"
    assert receipt.files == ()


class Reluctant(io.RawIOBase):
    """A raw stream that takes at most 777 bytes a call."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data[:777])
        return min(777, len(data))


class Keeper:
    """A stream that keeps what it is given instead of copying it, and returns None."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def write(self, data: Any) -> None:
        self.parts.append(data)


def test_a_stream_with_short_writes_gets_everything() -> None:
    """Raw streams may take a part; the rest is offered again."""
    plan, expected = sample_plan()
    stream = Reluctant()
    write_stream(stream, plan)

    assert stream.data == expected


def test_a_stream_may_keep_what_it_is_given() -> None:
    """Our buffer is used again: objects that we do not know get copies."""
    plan, expected = sample_plan()
    stream = Keeper()
    write_stream(stream, plan)

    assert b"".join(stream.parts) == expected


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EPIPE])
def test_a_stream_that_refuses_is_a_save_error(code: int) -> None:
    """With the cause chained, and what the stream holds said."""

    class Refusing(io.RawIOBase):
        def write(self, data: Any) -> int:
            raise OSError(code, os.strerror(code))

    plan, _ = sample_plan()
    kind = NotEnoughSpaceError if code == errno.ENOSPC else SaveError
    with pytest.raises(kind, match=r"<Refusing>.*The stream holds a part of the data") as caught:
        write_stream(Refusing(), plan)

    assert caught.value.errno == code
    assert isinstance(caught.value.__cause__, OSError)


def test_a_stream_that_takes_nothing_is_no_endless_loop() -> None:
    """A write that returns 0 is an error."""

    class Full(io.RawIOBase):
        def write(self, data: Any) -> int:
            return 0

    with pytest.raises(SaveError, match="takes no more bytes"):
        write_stream(Full(), sample_plan()[0])


def test_a_tensor_that_changes_between_its_checksum_and_its_bytes_is_noticed() -> None:
    """A stream's header comes first and is made of checksums: they must fit what follows."""
    array = np.zeros(5000, "f4")

    class Meddling(io.BytesIO):
        def write(self, data: Any) -> int:
            array[:] = 7
            return super().write(data)

    header = Deferred(40_000, lambda digests: digests["w"].value.encode().ljust(40_000))
    plan = WritePlan(
        "x", [b"a" * writing.INLINE_BLOCK_NBYTES, header, TensorSegment("w", tensor(array))], "xxh3-128", 1
    )
    with pytest.raises(SaveError, match=r"tensors changed while they were saved \('w'\)"):
        write_stream(Meddling(), plan)


def test_a_tensor_that_changes_while_a_file_is_written_still_fits_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is hashed is the copy that is written, not the array that somebody trains on."""
    array = np.zeros(1000, "u1")
    real = os.pwrite

    def pwrite(fd: int, data: Any, offset: int) -> int:
        array[:] += 1
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr(writing, "INLINE_BLOCK_NBYTES", 100)
    receipt = write_file(tmp_path / "x", WritePlan("x", [TensorSegment("w", tensor(array))], "xxh3-128", 1))
    written = (tmp_path / "x").read_bytes()

    assert len(set(written)) > 1
    assert receipt.digests["w"].value == xxh(written)


def test_runs_of_small_opaque_arrays_are_written_as_they_lie(tmp_path: Path) -> None:
    """bfloat16 and float8 among others, 0-d and not contiguous ones too."""
    kinds = [ml_dtypes.bfloat16, np.float32, ml_dtypes.float8_e4m3fn, np.int16]
    made = [np.arange(8).reshape(shape).astype(kind) for kind in kinds for shape in [(8,), (2, 4)]]
    made += [np.array(3, ml_dtypes.bfloat16)]
    for extra in ([], [made[1].T], [np.arange(4, dtype=">i2")]):
        arrays = [*made, *extra]
        plan = WritePlan("x", [TensorSegment(str(i), tensor(a)) for i, a in enumerate(arrays)], "crc32", len(arrays))
        receipt = write_file(tmp_path / "x", plan)

        assert (tmp_path / "x").read_bytes() == b"".join(map(file_bytes, arrays))
        assert [d.value for d in receipt.digests.values()] == [crc(file_bytes(a)) for a in arrays]


def test_the_receipt_tells_what_was_written(tmp_path: Path) -> None:
    """Path, format, size, number of tensors, files."""
    plan, expected = sample_plan()
    path = tmp_path / "x"
    receipt = write_file(path, plan)

    assert receipt == Receipt(str(path), "sample", len(expected), len(arrays()) + 1, (str(path),), receipt.digests)
    assert plan.nbytes == len(expected)


def test_an_empty_plan_is_an_empty_file(tmp_path: Path) -> None:
    """No segment, no byte."""
    write_file(tmp_path / "x", WritePlan("x", []))
    write_stream(stream := io.BytesIO(), WritePlan("x", []))

    assert (tmp_path / "x").read_bytes() == b""
    assert stream.getvalue() == b""


def test_tensors_of_another_file_are_copied(tmp_path: Path, strategy: str) -> None:
    """Converting: the bytes come from a range of a file, at any offset."""
    data = np.random.default_rng(3).bytes(100_003)
    (tmp_path / "from").write_bytes(data)
    source = FileSource(tmp_path / "from")
    segments = [
        TensorSegment(f"t{i}", Tensor((n,), DType.of("uint8"), extent=Extent(source, at, n)))
        for i, (at, n) in enumerate([(1, 90_000), (77, 5), (3, 0), (90_001, 10_002)])
    ]
    write_file(tmp_path / "to", WritePlan("x", [*segments], "xxh3-128", 4))

    assert (tmp_path / "to").read_bytes() == data[1:90_001] + data[77:82] + data[90_001:]


def test_the_progress_is_the_size_of_the_file(tmp_path: Path, strategy: str) -> None:
    """A listener hears of every byte once; what is made at the end is written twice and may be heard once."""
    plan, expected = sample_plan()
    heard: list[int] = []
    with listening(heard.append):
        write_file(tmp_path / "x", plan)

    assert sum(heard) == len(expected)


FAULTS = [("pwrite", code, nth) for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT) for nth in (1, 3, 7)]
FAULTS += [("fsync", errno.EIO, 1), ("fsync", errno.ENOSPC, 1)]


@pytest.mark.skipif(sys.platform != "linux", reason="the calls are those of Linux")
@pytest.mark.parametrize(("call", "code", "nth"), FAULTS)
def test_a_failing_call_of_any_strategy_keeps_the_old_file(
    tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch, call: str, code: int, nth: int
) -> None:
    """In a thread or not: our exception, the old bytes, no temporary, no thread left; then it works."""
    plan, expected = sample_plan()
    path = tmp_path / "x"
    path.write_bytes(b"old")
    real = getattr(os, call)
    count = []

    def failing(*args: Any) -> Any:
        count.append(1)
        if len(count) == nth:
            raise OSError(code, os.strerror(code))
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        kind = SaveError if code == errno.EIO else NotEnoughSpaceError
        with pytest.raises(kind) as caught:
            write_file(path, plan)

    assert caught.value.errno == code
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]
    assert threads_at_work() == []

    write_file(path, plan)

    assert path.read_bytes() == expected


def test_a_system_without_writes_at_offsets_gets_the_same_file(
    tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has no pwrite: the position is set and the bytes are written by one thread."""
    monkeypatch.delattr(os, "pwrite")
    plan, expected = sample_plan()
    write_file(tmp_path / "x", plan)

    assert (tmp_path / "x").read_bytes() == expected


def test_short_writes_are_completed(tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that writes 600 bytes at a time still writes all of them, also between direct blocks."""
    plan, expected = sample_plan()
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:600], offset))
    write_file(tmp_path / "x", plan)

    assert (tmp_path / "x").read_bytes() == expected


@pytest.mark.skipif(sys.platform != "linux", reason="the calls are those of Linux")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_reservation_that_fails_fails_the_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Before any tensor is written; a file system without reservations is written all the same."""
    monkeypatch.setattr(writing, "POOL_FROM_NBYTES", 1)
    monkeypatch.setattr(writing, "DEFERRED_EVERY_NBYTES", 1)
    monkeypatch.setattr(writing, "direct_is_known", lambda fd: True)
    monkeypatch.setattr(writing, "open_direct", lambda fd, flags: os.dup(fd))
    plan, expected = sample_plan()

    def refuse(code: int) -> None:
        def posix_fallocate(fd: int, offset: int, nbytes: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "posix_fallocate", posix_fallocate)

    refuse(code)
    with pytest.raises((SaveError, NotEnoughSpaceError)):
        write_file(tmp_path / "x", plan)
    assert os.listdir(tmp_path) == []

    refuse(errno.EOPNOTSUPP)
    write_file(tmp_path / "x", plan)

    assert (tmp_path / "x").read_bytes() == expected


def test_an_exception_of_a_tensor_stops_the_threads(tmp_path: Path, strategy: str) -> None:
    """A tensor that cannot give its bytes: its own exception comes out, the old file stays, no thread is left."""

    def fail() -> Any:
        raise ZeroDivisionError("no bytes")

    plan, _ = sample_plan()
    plan.segments.append(TensorSegment("bad", Tensor((9000,), DType.of("uint8"), make=fail)))
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        write_file(tmp_path / "x", plan)

    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]
    assert threads_at_work() == []


def test_an_interrupt_while_threads_end_waits_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during the last writes: KeyboardInterrupt, but only when no thread can write any more."""
    monkeypatch.setattr(writing, "POOL_FROM_NBYTES", 1)
    monkeypatch.setattr(writing, "BLOCK_NBYTES", 8192)
    real = threading.Thread.join
    joined: list[int] = []

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        joined.append(1)
        if len(joined) in (1, 3):
            raise KeyboardInterrupt
        real(thread, timeout)

    (tmp_path / "x").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "join", join)
        with pytest.raises(KeyboardInterrupt):
            write_file(tmp_path / "x", sample_plan()[0])

    assert threads_at_work() == []
    assert (tmp_path / "x").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_save_goes_on_with_the_threads_that_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    """Where the limit of threads is reached, one writes, or none and the blocks are written in turn."""
    monkeypatch.setattr(writing, "POOL_FROM_NBYTES", 1)
    monkeypatch.setattr(writing, "BLOCK_NBYTES", 8192)
    real = threading.Thread.start
    started: list[int] = []

    def start(thread: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(1)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    plan, expected = sample_plan()
    write_file(tmp_path / "x", plan)

    assert len(started) == allowed
    assert (tmp_path / "x").read_bytes() == expected
    assert threads_at_work() == []


def test_a_save_takes_little_memory_beside_the_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool's blocks are all it has: 16 MiB, whatever the size of the file."""
    asked: list[int] = []
    real = _pool.aligned_memory
    monkeypatch.setattr(_pool, "aligned_memory", lambda nbytes: asked.append(nbytes) or real(nbytes))
    array = np.zeros(writing.POOL_FROM_NBYTES, "u1")
    write_file(tmp_path / "x", WritePlan("x", [TensorSegment("w", tensor(array))], "xxh3-128", 1))

    assert sum(asked) == 16 << 20
    assert (tmp_path / "x").stat().st_size == array.nbytes
