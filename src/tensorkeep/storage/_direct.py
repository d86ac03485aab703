"""What reading and writing share: page-aligned memory, and O_DIRECT where it is known to pay."""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

from tensorkeep.core.bytesource import filesystem_type

__all__ = [
    "ALIGN",
    "HUGE_NBYTES",
    "aligned_memory",
    "direct_is_known",
    "do_all",
    "join_all",
    "open_direct",
    "round_up",
    "threads",
]

_Job = TypeVar("_Job")

ALIGN = 4096
"""Direct transfers begin and end at multiples of this in the file and in memory; devices ask for 512 or 4096."""

HUGE_NBYTES = 2 << 20
"""A huge page on x86-64 and on arm64 with 4 KiB pages."""

_DIRECT = frozenset({"ext4", "xfs", "f2fs", "overlay"})
"""Local file systems whose direct transfers bypass the page cache. Others copy anyway (btrfs, zfs), or refuse, or have
rules of their own (network file systems)."""


def threads(most: int) -> int:
    """How many threads of a kind to run: the processors that this process may use, at most `most`."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, most)


def round_up(nbytes: int, unit: int) -> int:
    """The smallest multiple of `unit` that is not below `nbytes`."""
    return -(-nbytes // unit) * unit


def aligned_memory(nbytes: int) -> mmap.mmap:
    """Private zeroed memory of at least `nbytes`, page-aligned, in huge pages where it is large.

    Fresh 4 KiB pages cost more than the copy into them: they cap a load at 2 GB/s where huge pages give 10.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, max(nbytes, 1))
    if nbytes < HUGE_NBYTES:
        return mmap.mmap(-1, round_up(max(nbytes, 1), ALIGN), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # Whole huge pages are mapped, so that the kernel aligns them; what of the last one is not needed is never touched.
    memory = mmap.mmap(-1, round_up(nbytes, HUGE_NBYTES), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        over = nbytes % HUGE_NBYTES
        memory.madvise(mmap.MADV_HUGEPAGE, 0, nbytes - over if over < HUGE_NBYTES // 2 else len(memory))
    return memory


def direct_is_known(fd: int) -> bool:
    """Whether the file lies where direct transfers are known to work and to pay."""
    return hasattr(os, "O_DIRECT") and filesystem_type(fd) in _DIRECT


def open_direct(fd: int, flags: int) -> int | None:
    """A second descriptor of the same open file, for direct transfers; None where the system refuses."""
    try:
        # By /proc, not by path: the path may name another file by now.
        return os.open(f"/proc/self/fd/{fd}", flags | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None


def join_all(workers: Iterable[threading.Thread]) -> KeyboardInterrupt | None:
    """Wait for all threads; an interrupt meanwhile is given back when they have ended.

    Leaving earlier would close descriptors that they still write to, whose numbers another file may have by then.
    """
    interrupt = None
    for worker in workers:
        while True:
            try:
                worker.join()
                break
            except KeyboardInterrupt as err:
                interrupt = err
    return interrupt


def do_all(jobs: deque[_Job], work: Callable[[_Job], object], workers: int) -> None:
    """Do the jobs in this thread and `workers - 1` others, each taking the next one that is left.

    Raises: what the first of them met; none is at work then, and the jobs that were left are not done.
    """
    failures: list[BaseException] = []

    def take() -> None:
        try:
            while not failures:
                try:
                    job = jobs.popleft()
                except IndexError:
                    return
                work(job)
        except BaseException as err:  # noqa: BLE001  # handed to the thread that waits
            failures.append(err)

    started = [threading.Thread(target=take) for _ in range(min(workers, len(jobs)) - 1)]
    for thread in started:
        thread.start()
    try:
        take()
    finally:
        jobs.clear()
        interrupt = join_all(started)
    if interrupt is not None:
        raise interrupt
    if failures:
        raise failures[0]
