"""Tensors come out of files equal, owned, aligned and verified, whichever way they are read."""

from __future__ import annotations

import errno
import gc
import os
import sys
import threading
import time
import zlib
from collections import deque
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import xxhash

from tensorkeep.core.bytesource import BufferSource, ByteSource, FileSource
from tensorkeep.core.dtypes import DType
from tensorkeep.core.hashing import Digest
from tensorkeep.core.progress import listening
from tensorkeep.core.tensor import Extent, Tensor
from tensorkeep.errors import CorruptFileError, LimitError, TruncatedFileError
from tensorkeep.storage import _arena, reading
from tensorkeep.storage._direct import do_all
from tensorkeep.storage.reading import checksum_tensors, read_tensors
from tests.conftest import threads_at_work

DTYPES = ["u1", "f4", "f8", "c16", "bool", "i2", "bfloat16", "float8_e5m2"]


def numpy_type(name: str) -> np.dtype[Any]:
    return np.dtype(getattr(ml_dtypes, name)) if name.startswith(("bf", "float8")) else np.dtype(name)


def digest(data: bytes, algorithm: str) -> Digest:
    """By the libraries themselves."""
    value = xxhash.xxh3_128(data).hexdigest() if algorithm == "xxh3-128" else f"{zlib.crc32(data):08x}"
    return Digest(algorithm, value)


class Sample:
    """A file of arrays at given distances from one another, and the Tensors that stand for them."""

    def __init__(self, path: Path, sizes: list[int], gaps: list[int], algorithm: str = "xxh3-128") -> None:
        rng = np.random.default_rng(4)
        self.path = path
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.offsets: list[int] = []
        data = b""
        for i, size in enumerate(sizes):
            kind = numpy_type(DTYPES[i % len(DTYPES)])
            raw = rng.integers(0, 2 if kind.kind == "b" else 64, size * kind.itemsize, dtype="u1")
            data += b"\xee" * gaps[i % len(gaps)]
            self.offsets.append(len(data))
            self.arrays.append(raw.view(kind))
            data += raw.tobytes()
        path.write_bytes(data)
        self.data = data
        self.algorithm = algorithm

    def tensors(self, source: ByteSource | None = None) -> list[Tensor]:
        source = FileSource(self.path) if source is None else source
        return [
            Tensor(
                array.shape,
                DType.of(array.dtype),
                extent=Extent(source, offset, array.nbytes),
                digest=digest(array.tobytes(), self.algorithm),
            )
            for array, offset in zip(self.arrays, self.offsets, strict=True)
        ]

    def flip(self, number: int, byte: int = 0) -> None:
        at = self.offsets[number] + byte
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(bytes([self.data[at] ^ 1]))


SIZES = [5, 3000, 1, 0, 700, 1200, 40, 9000, 2, 2, 2, 20_000, 1, 600, 33, 0, 8]

STRATEGIES = ["small", "mapped", "threads", "direct", "direct refused", "direct misaligned", "no probe", "default"]


@pytest.fixture(params=STRATEGIES)
def strategy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way of reading, made to work on blocks so small that a small file has many of them."""
    name: str = request.param
    if name == "default":
        return name
    monkeypatch.setattr(_arena, "BLOCK_NBYTES", 8192)
    monkeypatch.setattr(_arena, "ARENA_NBYTES", 50_000)
    monkeypatch.setattr(_arena, "OWN_NBYTES", 30_000)
    monkeypatch.setattr(_arena, "GAP_NBYTES", 1000)
    if name == "small":
        return name
    monkeypatch.setattr(_arena, "MAP_FROM_NBYTES", 1)
    if name == "mapped":
        return name
    monkeypatch.setattr(_arena, "THREADS_FROM_NBYTES", 1)
    monkeypatch.setattr(_arena, "threads", lambda most: 3)
    if name == "threads":
        return name
    if not hasattr(os, "O_DIRECT"):
        pytest.skip("this system has no direct reads")
    monkeypatch.setattr(_arena, "DIRECT_FROM_NBYTES", 1)
    monkeypatch.setattr(_arena, "direct_is_known", lambda fd: True)
    if name == "no probe":
        monkeypatch.delattr(os, "RWF_NOWAIT")
        return name
    monkeypatch.setattr(_arena, "is_cached", lambda source, start, end: False)
    if name == "direct refused":
        monkeypatch.setattr(_arena, "open_direct", lambda fd, flags: None)
    elif name == "direct misaligned":
        real = os.preadv

        def preadv(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
            if is_direct(fd):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            return real(fd, buffers, offset, flags)

        monkeypatch.setattr(os, "preadv", preadv)
    return name


def is_direct(fd: int) -> bool:
    import fcntl

    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & getattr(os, "O_DIRECT", 0))


def check(sample: Sample, found: list[np.ndarray[Any, Any]]) -> None:
    """Equal, and as `read_tensors` promises them."""
    for got, array in zip(found, sample.arrays, strict=True):
        assert got.dtype == array.dtype
        assert got.shape == array.shape
        assert got.tobytes() == array.tobytes()
        assert got.flags.writeable
        assert got.flags.c_contiguous
        assert got.size == 0 or got.ctypes.data % min(16, got.itemsize) == 0


@pytest.mark.parametrize("gaps", [[0], [16, 0, 0, 64], [1, 3, 21], [2000, 0, 7], [100_000]], ids=str)
@pytest.mark.parametrize("algorithm", ["xxh3-128", "crc32"])
def test_every_way_of_reading_gives_the_same(tmp_path: Path, strategy: str, gaps: list[int], algorithm: str) -> None:
    """Tensors of all sizes at all offsets, aligned in the file or not, near or far from one another."""
    sample = Sample(tmp_path / "x", SIZES, gaps, algorithm)

    check(sample, read_tensors(sample.tensors()))
    check(sample, read_tensors(sample.tensors(), verify=False))
    assert threads_at_work() == []


def test_arrays_are_apart(tmp_path: Path, strategy: str) -> None:
    """Writing into one changes no other, and not the file."""
    sample = Sample(tmp_path / "x", SIZES, [0, 3])
    found = read_tensors(sample.tensors())
    for array in found[::2]:
        array.view("u1")[:] = 0xAA

    for got, expected in list(zip(found, sample.arrays, strict=True))[1::2]:
        assert got.tobytes() == expected.tobytes()
    assert sample.path.read_bytes() == sample.data


def test_arrays_outlive_the_file(tmp_path: Path, strategy: str) -> None:
    """Closed, cut to nothing and collected: what was read stays."""
    sample = Sample(tmp_path / "x", SIZES, [8])
    source = FileSource(sample.path)
    found = read_tensors(sample.tensors(source))
    source.close()
    os.truncate(sample.path, 0)
    gc.collect()

    check(sample, found)


def test_any_order_and_any_choice_is_read(tmp_path: Path, strategy: str) -> None:
    """Reversed, every third, one alone."""
    sample = Sample(tmp_path / "x", SIZES, [5, 0])
    for chosen in (slice(None, None, -1), slice(None, None, 3), slice(11, 12), slice(0, 0)):
        found = read_tensors(sample.tensors()[chosen])

        assert [a.tobytes() for a in found] == [a.tobytes() for a in sample.arrays[chosen]]


def test_the_same_tensor_twice_is_one_array(tmp_path: Path, strategy: str) -> None:
    """Tied weights stay tied."""
    tensors = Sample(tmp_path / "x", SIZES, [0]).tensors()
    first, again, other = read_tensors([tensors[1], tensors[1], tensors[4]])

    assert first is again
    assert not np.shares_memory(first, other)


def test_two_tensors_of_the_same_bytes_are_two_arrays(tmp_path: Path, strategy: str) -> None:
    """Views of one storage overlap in the file, and not in memory."""
    sample = Sample(tmp_path / "x", SIZES, [0])
    source = FileSource(sample.path)
    whole, part, same = (
        Tensor((n,), DType.of("uint8"), extent=Extent(source, at, n)) for at, n in [(10, 5000), (20, 100), (10, 5000)]
    )
    found = read_tensors([whole, part, same])

    assert [a.tobytes() for a in found] == [sample.data[10:5010], sample.data[20:120], sample.data[10:5010]]
    assert not any(np.shares_memory(a, b) for a, b in [found[:2], found[1:], found[::2]])


def test_several_files_are_read_at_once(tmp_path: Path) -> None:
    """Shards: the order of the result is that of the tensors."""
    one = Sample(tmp_path / "1", SIZES, [0])
    two = Sample(tmp_path / "2", SIZES[::-1], [3])
    mixed = [t for pair in zip(one.tensors(), two.tensors(), strict=True) for t in pair]
    found = read_tensors(mixed)

    check(one, found[::2])
    check(two, found[1::2])


def test_a_single_flipped_bit_is_found_anywhere(tmp_path: Path, strategy: str) -> None:
    """In the first, a middle and the last byte of each tensor; the error names it, its place, and the way out."""
    sample = Sample(tmp_path / "x", SIZES, [0, 9])
    names = [f"layer.{i}" for i in range(len(SIZES))]
    for number, array in enumerate(sample.arrays):
        for byte in {0, array.nbytes // 2, array.nbytes - 1} if array.nbytes else ():
            sample.flip(number, byte)
            with pytest.raises(CorruptFileError, match="1 tensor is damaged") as caught:
                read_tensors(sample.tensors(), names=names)
            start = sample.offsets[number]
            assert f"'layer.{number}' (bytes {start} to {start + array.nbytes}): expected xxh3-128:" in str(
                caught.value
            )
            assert "verify=False reads the damaged values anyway" in str(caught.value)
            sample.path.write_bytes(sample.data)


def test_tensors_without_checksum_are_read_among_those_with_one(tmp_path: Path, strategy: str) -> None:
    """Damage in them cannot be seen; in their neighbours it is."""
    sample = Sample(tmp_path / "x", SIZES, [0, 9])
    sample.flip(1)
    sample.flip(11)
    tensors = sample.tensors()
    for i in (1, 4, 11):
        tensors[i].digest = None
    assert len(read_tensors(tensors)) == len(SIZES)

    sample.flip(7, 3)
    with pytest.raises(CorruptFileError, match=r"1 tensor is damaged.*\n +number 7 "):
        read_tensors(tensors)


def test_all_damaged_tensors_are_reported_at_once(tmp_path: Path, strategy: str) -> None:
    """In the order of the names; verify=False reads them with their damage."""
    sample = Sample(tmp_path / "x", SIZES, [0, 9])
    for number in (0, 4, 7, 11):
        sample.flip(number)
    with pytest.raises(CorruptFileError, match=r"(?s)4 tensors are damaged.*'t0'.*'t4'.*'t7'.*'t11'"):
        read_tensors(sample.tensors(), names=[f"t{i}" for i in range(len(SIZES))])
    found = read_tensors(sample.tensors(), verify=False)

    assert found[4].tobytes()[0] == sample.data[sample.offsets[4]] ^ 1


def test_a_long_list_of_damage_is_cut(tmp_path: Path) -> None:
    """20 are shown, the rest is counted."""
    sample = Sample(tmp_path / "x", [1] * 50, [0])
    for number in range(50):
        sample.flip(number)
    with pytest.raises(CorruptFileError, match="50 tensors are damaged") as caught:
        read_tensors(sample.tensors())

    assert str(caught.value).count("expected") == 20
    assert "and 30 more" in str(caught.value)


def test_checksums_are_computed_anew(tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For good tensors those of the file, for damaged ones what their bytes give, for others none."""
    monkeypatch.setattr(reading, "_CHECK_NBYTES", 60_000)
    monkeypatch.setattr(reading, "_VIEW_FROM_NBYTES", 20_000)
    sample = Sample(tmp_path / "x", SIZES, [0, 9])
    sample.flip(7)
    tensors = sample.tensors()
    tensors[2].digest = None
    names = [f"t{i}" for i in range(len(SIZES))]
    damaged = bytearray(sample.arrays[7].tobytes())
    damaged[0] ^= 1
    expected = {f"t{i}": digest(a.tobytes(), "xxh3-128") for i, a in enumerate(sample.arrays) if i != 2}
    expected["t7"] = digest(bytes(damaged), "xxh3-128")

    assert checksum_tensors(tensors, names) == expected
    assert checksum_tensors([tensors[0], tensors[0]], ["a", "b"]) == {"a": expected["t0"], "b": expected["t0"]}


def test_checksums_of_a_cached_file_hold_no_memory(tmp_path: Path) -> None:
    """Large tensors are hashed where the page cache has them, by several threads, and nothing of them stays mapped."""
    sample = Sample(tmp_path / "x", [40 << 20, 5 << 20, 1 << 17], [5])
    tensors = sample.tensors()
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[2]) * os.sysconf("SC_PAGE_SIZE")  # pages of files that are mapped

    found = checksum_tensors(tensors, ["a", "b", "c"])

    with open("/proc/self/statm") as file:
        after = int(file.read().split()[2]) * os.sysconf("SC_PAGE_SIZE")
    assert found == {
        name: digest(array.tobytes(), "xxh3-128") for name, array in zip("abc", sample.arrays, strict=True)
    }
    assert after - before < 8 << 20


def test_the_first_failure_ends_all_threads() -> None:
    """Jobs that were left are not begun, and nobody is at work when the error arrives."""
    done: list[int] = []

    def work(job: int) -> None:
        if job == 3:
            raise OSError("no")
        time.sleep(0.001)
        done.append(job)

    with pytest.raises(OSError, match="no"):
        do_all(deque(range(1000)), work, 4)

    assert threads_at_work() == []
    assert len(done) < 1000


def test_bytes_in_memory_are_read_and_verified(tmp_path: Path) -> None:
    """A BufferSource: owned copies, and damage found."""
    sample = Sample(tmp_path / "x", SIZES, [16])
    check(sample, read_tensors(sample.tensors(BufferSource(sample.data))))
    broken = bytearray(sample.data)
    broken[sample.offsets[1]] ^= 128
    with pytest.raises(CorruptFileError, match="<bytes>: 1 tensor is damaged"):
        read_tensors(sample.tensors(BufferSource(broken)))

    with pytest.raises(CorruptFileError, match="number 1 "):
        read_tensors(sample.tensors(BufferSource(broken)))


def test_strided_big_endian_packed_and_made_tensors_are_owned_copies(tmp_path: Path) -> None:
    """What no read can lay out by itself goes through Tensor.numpy; the digest is over the file's bytes."""
    base = np.arange(24, dtype="<i4").reshape(4, 6)
    big = np.arange(5, dtype=">f8")
    packed = bytes([0x21, 0x43, 0xF5])
    data = base.tobytes() + big.tobytes() + packed
    (tmp_path / "x").write_bytes(data)
    source = FileSource(tmp_path / "x")
    tensors = [
        Tensor(
            (6, 4), DType.of("int32"), extent=Extent(source, 0, 96, strides=(1, 6)), digest=digest(data[:96], "crc32")
        ),
        Tensor((5,), DType.of("float64"), extent=Extent(source, 96, 40, big_endian=True)),
        Tensor((6,), DType.of("int4"), extent=Extent(source, 136, 3), digest=digest(packed, "xxh3-128")),
        Tensor((2,), DType.of("float32"), array=np.ones(2, "f4")),
        Tensor((2, 2), DType.of("int64"), make=lambda: np.eye(2, dtype="i8")),
    ]
    found = read_tensors(tensors)

    assert np.array_equal(found[0], base.T)
    assert np.array_equal(found[1], big)
    assert found[1].dtype.isnative
    assert [int(v) for v in found[2]] == [1, 2, 3, 4, 5, -1]
    assert np.array_equal(found[3], [1, 1])
    assert np.array_equal(found[4], [[1, 0], [0, 1]])
    assert all(a.flags.writeable and a.flags.c_contiguous and a.flags.owndata for a in found)
    assert not np.shares_memory(found[3], tensors[3].numpy())
    assert checksum_tensors(tensors, list("abcde")) == {"a": tensors[0].digest, "c": tensors[2].digest}

    with open(tmp_path / "x", "r+b") as file:
        file.seek(137)
        file.write(b"\x44")
    with pytest.raises(CorruptFileError, match=r"number 2 \(bytes 136 to 139\)"):
        read_tensors(tensors)


def test_shapes_without_elements_and_without_axes_are_kept(tmp_path: Path) -> None:
    """(), (0,), (3, 0, 2), (1, 1)."""
    (tmp_path / "x").write_bytes(np.arange(2, dtype="f4").tobytes())
    source = FileSource(tmp_path / "x")
    rows = [((), 0, 4), ((0,), 4, 0), ((3, 0, 2), 8, 0), ((1, 1), 4, 4)]
    found = read_tensors([Tensor(s, DType.of("float32"), extent=Extent(source, o, n)) for s, o, n in rows])

    assert [a.shape for a in found] == [s for s, _, _ in rows]
    assert [a.size for a in found] == [1, 0, 0, 1]
    assert float(found[3][0, 0]) == 1.0


def test_a_file_that_ends_early_is_told(tmp_path: Path, strategy: str) -> None:
    """Also when it was cut after it was opened."""
    sample = Sample(tmp_path / "x", SIZES, [0])
    tensors = sample.tensors()
    os.truncate(sample.path, sample.offsets[11] + 500)
    with pytest.raises(TruncatedFileError, match="but the file ends at"):
        read_tensors([tensor for tensor in tensors if tensor.nbytes])
    assert threads_at_work() == []

    with pytest.raises(TruncatedFileError, match="but the file ends at"):
        read_tensors(sample.tensors())
    with pytest.raises(TruncatedFileError, match="but the file ends at"):
        checksum_tensors(sample.tensors(), [str(i) for i in range(len(SIZES))])


@pytest.mark.parametrize(("offset", "nbytes"), [(-1, 10), (10**12, 10), (0, 10**12)])
def test_an_extent_outside_the_file_is_refused_before_memory_is_taken(tmp_path: Path, offset: int, nbytes: int) -> None:
    """Whatever a format let through."""
    (tmp_path / "x").write_bytes(bytes(100))
    tensor = Tensor((nbytes,), DType.of("uint8"), extent=Extent(FileSource(tmp_path / "x"), offset, nbytes))
    with pytest.raises(TruncatedFileError, match="are needed, but the file ends at 100"):
        read_tensors([tensor])


def test_a_file_larger_than_any_memory_is_told(tmp_path: Path) -> None:
    """A sparse file of 2**46 bytes costs its maker nothing: no MemoryError, and the way out is said."""
    (tmp_path / "x").write_bytes(b"")
    source = FileSource(tmp_path / "x")
    if not _refuses(2**46):
        pytest.skip("this system promises any amount of memory")
    source.size = 2**46
    tensor = Tensor((2**46,), DType.of("uint8"), extent=Extent(source, 0, 2**46))
    with pytest.raises(LimitError, match="of memory are needed for the tensors"):
        read_tensors([tensor])


def _refuses(nbytes: int) -> bool:
    try:
        _arena.aligned_memory(nbytes).close()
    except (MemoryError, OSError):
        return True
    return False


@pytest.mark.parametrize("nbytes", [36, 44])
def test_an_extent_that_does_not_fit_its_shape_is_refused(tmp_path: Path, nbytes: int) -> None:
    """Its array would show a neighbour's bytes, or miss some."""
    (tmp_path / "x").write_bytes(bytes(100))
    tensor = Tensor((10,), DType.of("float32"), extent=Extent(FileSource(tmp_path / "x"), 0, nbytes))
    with pytest.raises(CorruptFileError, match=rf"float32\[10\] takes 40 bytes, but {nbytes} are there at offset 0"):
        read_tensors([tensor])


def test_a_failing_read_comes_out_of_its_thread(tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own error, from whichever thread, and no thread is left."""
    sample = Sample(tmp_path / "x", SIZES, [0])
    real = os.preadv
    count: list[int] = []

    def preadv(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
        count.append(1)
        if not flags and len(count) > 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, buffers, offset, flags)

    tensors = sample.tensors()
    monkeypatch.setattr(os, "preadv", preadv)
    if strategy == "default":  # one read, one call
        count += [1, 1]
    with pytest.raises(OSError, match="Input/output error") as caught:
        read_tensors(tensors)

    assert caught.value.errno == errno.EIO
    assert threads_at_work() == []


def test_a_system_without_reads_at_offsets_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no preadv: files are mapped and copied, and verified all the same."""
    monkeypatch.delattr(os, "preadv")
    monkeypatch.delattr(os, "pread")
    sample = Sample(tmp_path / "x", SIZES, [0, 5])
    names = [str(i) for i in range(len(SIZES))]
    check(sample, read_tensors(sample.tensors()))
    assert checksum_tensors(sample.tensors(), names) == {
        n: t.digest for n, t in zip(names, sample.tensors(), strict=True)
    }

    sample.flip(7)
    with pytest.raises(CorruptFileError, match="number 7 "):
        read_tensors(sample.tensors())


def test_short_reads_are_completed(tmp_path: Path, strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that gives 600 bytes at a time still gives all of them."""
    sample = Sample(tmp_path / "x", SIZES, [0, 5])
    real = os.preadv

    def preadv(fd: int, buffers: Any, offset: int, flags: int = 0) -> int:
        size = 4096 if is_direct(fd) else 600
        return real(fd, [memoryview(buffers[0])[:size]], offset, flags)

    monkeypatch.setattr(os, "preadv", preadv)
    check(sample, read_tensors(sample.tensors()))


def test_an_interrupt_while_threads_end_waits_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during the last reads: KeyboardInterrupt, but only when no thread reads any more."""
    monkeypatch.setattr(_arena, "THREADS_FROM_NBYTES", 1)
    monkeypatch.setattr(_arena, "BLOCK_NBYTES", 8192)
    monkeypatch.setattr(_arena, "threads", lambda most: 4)
    real = threading.Thread.join
    joined: list[int] = []

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        joined.append(1)
        if len(joined) in (1, 3):
            raise KeyboardInterrupt
        real(thread, timeout)

    sample = Sample(tmp_path / "x", SIZES, [0])
    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        read_tensors(sample.tensors())

    assert threads_at_work() == []


@pytest.mark.parametrize("allowed", [0, 1])
def test_a_load_goes_on_with_the_threads_that_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    """Where the limit of threads is reached, fewer do the work."""
    monkeypatch.setattr(_arena, "THREADS_FROM_NBYTES", 1)
    monkeypatch.setattr(_arena, "BLOCK_NBYTES", 8192)
    monkeypatch.setattr(_arena, "threads", lambda most: 4)
    real = threading.Thread.start
    started: list[int] = []

    def start(thread: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(1)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    sample = Sample(tmp_path / "x", SIZES, [0])
    check(sample, read_tensors(sample.tensors()))

    assert len(started) == allowed


def test_the_progress_is_the_bytes_read(tmp_path: Path, strategy: str) -> None:
    """A listener hears of each byte once; small gaps between tensors may be read along."""
    sample = Sample(tmp_path / "x", SIZES, [0])
    heard: list[int] = []
    with listening(heard.append):
        read_tensors(sample.tensors())

    assert sum(heard) == sum(array.nbytes for array in sample.arrays)


@pytest.mark.parametrize(("arena", "own"), [(40_000, 10**9), (10**9, 10_000)])
def test_small_tensors_share_no_more_than_an_arena(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arena: int, own: int
) -> None:
    """Keeping one tensor of a large file keeps its neighbours' memory up to a bound, not the whole file's."""
    monkeypatch.setattr(_arena, "ARENA_NBYTES", arena)
    monkeypatch.setattr(_arena, "OWN_NBYTES", own)
    sample = Sample(tmp_path / "x", [1000] * 64, [0])
    held = {}
    for array in read_tensors(sample.tensors()):
        base = array
        while isinstance(base, np.ndarray) and base.base is not None:
            base = base.base
        held[id(base)] = memoryview(base).nbytes

    assert len(held) > 5
    assert max(held.values()) <= 40_000 + 2 * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
def test_a_load_takes_little_more_than_the_tensors(tmp_path: Path) -> None:
    """200 MB of tensors: at most 64 MB beside them."""
    path = tmp_path / "x"
    with open(path, "wb") as file:
        file.truncate(200_000_000)
    source = FileSource(path)
    tensors = [
        Tensor((n,), DType.of("uint8"), extent=Extent(source, i * n, n)) for n in [1_000_000] for i in range(200)
    ]

    def resident() -> int:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    gc.collect()
    before = resident()
    found = read_tensors(tensors)

    assert resident() - before < 264_000_000
    assert not found[0].any()
