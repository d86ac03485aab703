"""The workloads that all benchmarks share, and how they are timed.

Each sample runs in a forked child, contenders take turns, and medians and minima are kept: the disk and the host of a
virtual machine drift within a minute, so only figures of one interleaved run may be compared. Virtual machines also give
freed memory back to their host, and the first touch afterwards costs more than the operation: a sample touches as much
memory as the operation will need and frees it just before the clock starts.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

State = dict[str, np.ndarray[Any, Any]]


def w2() -> State:
    """A transformer-like state: 1.25 GB of float32 in 292 tensors (24 blocks of 12, embeddings, final norm)."""
    width, inner, words, places = 1024, 4096, 8192, 1024
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (words, width), "wpe.weight": (places, width)}
    for i in range(24):
        shapes |= {
            f"h.{i}.ln_1.weight": (width,),
            f"h.{i}.ln_1.bias": (width,),
            f"h.{i}.attn.qkv.weight": (3 * width, width),
            f"h.{i}.attn.qkv.bias": (3 * width,),
            f"h.{i}.attn.proj.weight": (width, width),
            f"h.{i}.attn.proj.bias": (width,),
            f"h.{i}.ln_2.weight": (width,),
            f"h.{i}.ln_2.bias": (width,),
            f"h.{i}.mlp.fc.weight": (inner, width),
            f"h.{i}.mlp.fc.bias": (inner,),
            f"h.{i}.mlp.proj.weight": (width, inner),
            f"h.{i}.mlp.proj.bias": (width,),
        }
    shapes |= {"ln_f.weight": (width,), "ln_f.bias": (width,)}
    return _fill(shapes)


def w3() -> State:
    """10,000 tensors of 1 KiB (float32)."""
    flat = _random(10_000 * 256).reshape(10_000, 16, 16)
    return {f"layer.{i // 10}.part.{i % 10}": flat[i].copy() for i in range(10_000)}


def w5() -> State:
    """A ResNet-50: 102 MB in 267 tensors (53 convolutions, 53 norms of four vectors, the classifier), float32."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7)} | _norm("bn1", 64)
    inside = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            shapes |= {f"{at}.conv1.weight": (width, inside, 1, 1)} | _norm(f"{at}.bn1", width)
            shapes |= {f"{at}.conv2.weight": (width, width, 3, 3)} | _norm(f"{at}.bn2", width)
            shapes |= {f"{at}.conv3.weight": (4 * width, width, 1, 1)} | _norm(f"{at}.bn3", 4 * width)
            if block == 0:
                shapes |= {f"{at}.downsample.0.weight": (4 * width, inside, 1, 1)}
                shapes |= _norm(f"{at}.downsample.1", 4 * width)
            inside = 4 * width
    return _fill(shapes | {"fc.weight": (1000, 2048), "fc.bias": (1000,)})


def _norm(at: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{at}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}


def _fill(shapes: dict[str, tuple[int, ...]]) -> State:
    state = {}
    for name, shape in shapes.items():
        state[name] = _random(int(np.prod(shape))).reshape(shape)
    return state


def _random(count: int) -> np.ndarray[Any, Any]:
    """Normal-looking float32 whose bytes do not repeat at any block size; deterministic."""
    if not _POOL:
        _POOL.append(np.random.default_rng(2).standard_normal(1 << 22, np.float32))
    start = _DRAWN[0] % 1_048_573
    _DRAWN[0] += count
    reps = -(-(start + count) // _POOL[0].size)
    out = np.tile(_POOL[0], reps)[start : start + count] if reps > 1 else _POOL[0][start : start + count].copy()
    out[:: 1 << 10] = np.arange(_DRAWN[0], _DRAWN[0] + len(out[:: 1 << 10]), dtype=np.float32)
    return np.ascontiguousarray(out)


_POOL: list[np.ndarray[Any, Any]] = []
_DRAWN = [0]


def nbytes(state: State) -> int:
    """All the tensors' bytes."""
    return sum(array.nbytes for array in state.values())


class Sample:
    """One measurement inside a child: `with sample:` is the timed part; everything before is preparation."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_extra = 0
        self.ballast_nbytes = 0

    def __enter__(self) -> Sample:
        if self.ballast_nbytes:
            ballast = mmap.mmap(-1, self.ballast_nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            ballast.madvise(mmap.MADV_HUGEPAGE)
            _touch(ballast)
            ballast.close()
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self._before = _status("VmRSS")
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self.peak_extra = max(0, _status("VmHWM") - self._before)


def _touch(memory: mmap.mmap) -> None:
    view = np.frombuffer(memory, np.uint8)
    view[::4096] = 1
    del view


def _status(field_name: str) -> int:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(field_name):
                return int(line.split()[1]) << 10
    return 0


@dataclass
class Timing:
    """What a contender needed, in seconds and bytes over what it held before."""

    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    error: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else float("nan")

    @property
    def minimum(self) -> float:
        return min(self.seconds, default=float("nan"))

    @property
    def peak(self) -> int:
        return max(self.peaks, default=0)


Contender = Callable[[Sample], Any]


def compare(contenders: dict[str, Contender], *, n: int = 5, ballast_nbytes: int = 0) -> dict[str, Timing]:
    """Time the contenders in turns, each sample in a forked child; a contender that fails keeps its error's text."""
    timings = {name: Timing() for name in contenders}
    for turn in range(n):
        order = list(contenders)
        if turn % 2:
            order.reverse()
        for name in order:
            if timings[name].error:
                continue
            result = in_child(contenders[name], ballast_nbytes)
            if isinstance(result, str):
                timings[name].error = result
            else:
                timings[name].seconds.append(result[0])
                timings[name].peaks.append(result[1])
    return timings


def in_child(contender: Contender, ballast_nbytes: int = 0) -> tuple[float, int] | str:
    """Seconds and peak extra bytes of one sample in a forked child, or the text of what it raised."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            sample = Sample()
            sample.ballast_nbytes = ballast_nbytes
            try:
                contender(sample)
                answer: Any = (sample.seconds, sample.peak_extra)
            except BaseException:  # noqa: BLE001  # the child must not go on as a second parent
                answer = traceback.format_exc()
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(answer, pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(data) if data else "the child died"


def forget(path: str | os.PathLike[str]) -> None:
    """Drop a file from the page cache, so that the next read comes from the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def sync(path: str) -> None:
    """Bring a file or a folder to the disk."""
    for folder, _, files in os.walk(path):
        for name in (*files, "."):
            sync_one(os.path.join(folder, name))
    if os.path.isfile(path):
        sync_one(path)
    sync_one(os.path.dirname(path))


def sync_one(path: str) -> None:
    """Bring a file, or a folder's entries, to the disk."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def warm(path: str | os.PathLike[str]) -> None:
    """Bring a file into the page cache."""
    buffer = bytearray(4 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


@contextlib.contextmanager
def folder(where: str | None = None) -> Iterator[Path]:
    """A scratch folder on the disk to be measured, removed afterwards."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tensorkeep-bench-", dir=where) as name:
        yield Path(name)


def table(title: str, timings: dict[str, Timing], size: int, base: str | None = None) -> str:
    """A Markdown table: median, minimum, GB/s of the median, peak extra memory, ratio to `base`."""
    lines = [f"### {title}", "", "| | median s | min s | GB/s | extra MB | ratio |", "|---|---|---|---|---|---|"]
    unit = timings[base].median if base is not None else float("nan")
    for name, timing in timings.items():
        if timing.error:
            lines.append(f"| {name} | failed: {timing.error.strip().splitlines()[-1][:80]} | | | | |")
            continue
        rate = size / timing.median / 1e9
        lines.append(
            f"| {name} | {timing.median:.4f} | {timing.minimum:.4f} | {rate:.2f} | {timing.peak / 1e6:.0f} "
            f"| {timing.median / unit:.2f} |"
        )
    return "\n".join(lines) + "\n"


def machine() -> str:
    """One line on the machine: processor, cores, memory, kernel, Python."""
    import platform

    model = ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.release()}, Python {platform.python_version()}"
    )
