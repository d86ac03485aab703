"""Write blocks at their offsets: at once from one buffer, or by threads from several while the next one is filled."""

from __future__ import annotations

import errno
import mmap
import threading
from queue import SimpleQueue

from tensorkeep.core.progress import advance
from tensorkeep.storage._direct import ALIGN, aligned_memory, join_all
from tensorkeep.storage.atomic import write_all

__all__ = ["Inline", "Pool"]


class Inline:
    """A Sink that writes each block before the next one is filled."""

    def __init__(self, fd: int, block_nbytes: int) -> None:
        self._fd = fd
        self._block = memoryview(bytearray(block_nbytes))

    def take(self) -> memoryview:
        return self._block

    def give(self, nbytes: int, offset: int) -> None:
        write_all(self._fd, self._block[:nbytes], offset)
        advance(nbytes)


class Pool:
    """A Sink whose blocks are written by threads, in any order, while the next ones are filled.

    Args:
        fd: the file, written through the page cache.
        direct: the same file opened for direct transfers; None to write through the page cache.
        block_nbytes: a multiple of 4,096.
        buffers, threads: how many.
    """

    def __init__(self, fd: int, direct: int | None, block_nbytes: int, *, buffers: int, threads: int) -> None:
        self._fd = fd
        self._direct = direct
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[tuple[memoryview, int, int] | None] = SimpleQueue()
        self._taken: memoryview | None = None
        self._failures: list[BaseException] = []
        self._memory: mmap.mmap = aligned_memory(block_nbytes * buffers)
        view = memoryview(self._memory)
        for i in range(buffers):
            self._free.put(view[i * block_nbytes : (i + 1) * block_nbytes])
        self._threads: list[threading.Thread] = []
        try:
            for _ in range(threads):
                thread = threading.Thread(target=self._work, name="tensorkeep-write")
                thread.start()
                self._threads.append(thread)
        except RuntimeError:  # the limit of threads is reached: those that run, or `give`, do the work
            pass
        except BaseException:
            self._stop()
            raise

    def take(self) -> memoryview:
        block = self._free.get()
        self._raise_failure()
        self._taken = block
        return block

    def give(self, nbytes: int, offset: int) -> None:
        block, self._taken = self._taken, None
        assert block is not None
        if self._threads:
            self._full.put((block, nbytes, offset))
        else:
            self._do(block, nbytes, offset)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exc: object) -> None:
        """Wait for the threads; raises what one of them met, unless the block failed already."""
        self._stop()
        if exc[0] is None:
            self._raise_failure()

    def _stop(self) -> None:
        self._full.put(None)
        interrupt = join_all(self._threads)
        if interrupt is not None:
            self._failures.append(interrupt)

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures[0]

    def _work(self) -> None:
        while (job := self._full.get()) is not None:
            self._do(*job)
        self._full.put(None)  # for the next thread

    def _do(self, block: memoryview, nbytes: int, offset: int) -> None:
        try:
            if not self._failures:
                self._write(block[:nbytes], offset)
                advance(nbytes)
        except BaseException as err:  # noqa: BLE001  # handed to the thread that feeds
            self._failures.append(err)
        self._free.put(block)

    def _write(self, data: memoryview, offset: int) -> None:
        done = 0
        if self._direct is not None:
            whole = len(data) // ALIGN * ALIGN  # less only at the end of the file
            try:
                write_all(self._direct, data[:whole], offset)
                done = whole
            except OSError as err:
                if err.errno != errno.EINVAL:  # the device asks for another alignment: write through the cache
                    raise
        write_all(self._fd, data[done:], offset + done)
