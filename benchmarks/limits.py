"""What the machine can do at best: bytes to the disk and back, without names, hashes or tensors."""

from __future__ import annotations

import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHUNK_NBYTES = 8 << 20
BLOCK_NBYTES = 4 << 20
THREADS = 4
ALIGN_NBYTES = 4096


def arena(nbytes: int) -> mmap.mmap:
    """Page-aligned memory that the kernel may back with huge pages."""
    memory = mmap.mmap(-1, max(_padded(nbytes), ALIGN_NBYTES), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _padded(nbytes: int) -> int:
    return -(-nbytes // ALIGN_NBYTES) * ALIGN_NBYTES


def block() -> mmap.mmap:
    """Page-aligned bytes to write again and again: the limit of the disk, not of reading what is written."""
    memory = arena(BLOCK_NBYTES)
    memory.write(os.urandom(ALIGN_NBYTES) * (BLOCK_NBYTES // ALIGN_NBYTES))
    return memory


def _chunks(nbytes: int) -> list[tuple[int, int]]:
    return [(at, min(CHUNK_NBYTES, nbytes - at)) for at in range(0, nbytes, CHUNK_NBYTES)]


def write_and_sync(nbytes: int, path: Path) -> None:
    """What `cp` and `sync` do: buffered writes, then fsync of the file and of its folder."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    source = block()
    for at in range(0, nbytes, BLOCK_NBYTES):
        os.write(fd, memoryview(source)[: min(BLOCK_NBYTES, nbytes - at)])
    _finish(fd, path)


def write_direct(nbytes: int, path: Path) -> None:
    """Past the page cache, in several threads, then fsync of the file and of its folder."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_DIRECT, 0o644)
    source = block()
    os.posix_fallocate(fd, 0, _padded(nbytes))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda at: os.pwrite(fd, source, at), range(0, nbytes, BLOCK_NBYTES)))
    os.ftruncate(fd, nbytes)
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
