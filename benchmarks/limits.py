"""What the machine can do at best: bytes to the disk and back, without names, hashes or tensors."""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks import _w

CHUNK_NBYTES = 8 << 20
THREADS = 4
ALIGN_NBYTES = 4096


def arena(nbytes: int) -> mmap.mmap:
    """Page-aligned memory that the kernel may back with huge pages."""
    memory = mmap.mmap(-1, max(_padded(nbytes), ALIGN_NBYTES), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _padded(nbytes: int) -> int:
    return -(-nbytes // ALIGN_NBYTES) * ALIGN_NBYTES


def filled(state: _w.State) -> mmap.mmap:
    """The arrays' bytes one after the other."""
    memory = arena(_w.nbytes(state))
    view = np.frombuffer(memory, np.uint8)
    at = 0
    for array in state.values():
        view[at : at + array.nbytes] = array.reshape(-1).view(np.uint8)
        at += array.nbytes
    del view
    return memory


def _chunks(nbytes: int) -> list[tuple[int, int]]:
    return [(at, min(CHUNK_NBYTES, nbytes - at)) for at in range(0, nbytes, CHUNK_NBYTES)]


def write_and_sync(memory: mmap.mmap, path: Path) -> None:
    """What `cp` and `sync` do: buffered writes, then fsync of the file and of its folder."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    view = memoryview(memory)
    for at, nbytes in _chunks(len(memory)):
        os.write(fd, view[at : at + nbytes])
    _finish(fd, path)


def write_direct(memory: mmap.mmap, path: Path) -> None:
    """Past the page cache, in several threads, then fsync of the file and of its folder."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DIRECT, 0o644)
    os.posix_fallocate(fd, 0, len(memory))
    view = memoryview(memory)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda span: os.pwrite(fd, view[span[0] : span[0] + span[1]], span[0]), _chunks(len(memory))))
    _finish(fd, path)


def _finish(fd: int, path: Path) -> None:
    os.fsync(fd)
    os.close(fd)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def read(path: Path, *, direct: bool = False, threads: int = 2) -> None:
    """All bytes of a file into fresh huge-page memory, from the page cache or past it."""
    fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if direct else 0))
    memory = arena(os.fstat(fd).st_size)
    view = memoryview(memory)

    def fetch(span: tuple[int, int]) -> None:
        at, nbytes = span
        done = 0
        while done < nbytes:
            count = os.preadv(fd, [view[at + done : at + nbytes]], at + done)
            if not count:
                break
            done += count

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fetch, _chunks(len(memory))))
    os.close(fd)
