"""Read files that may be hostile under an alarm and a memory limit, in a process that may die of it.

`alarm` bounds the time of a call in this process. A `Guard` runs the verbs on a file in a child process whose address
space is bounded; a child that crashes or hangs costs one verdict, not the test run.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any

__all__ = ["VERBS", "Guard", "Hung", "Verdict", "alarm"]

VERBS = ("load", "read", "scan", "verify")
MEMORY_NBYTES = 64 << 20  # beyond twice the file's size: its bytes mapped, its tensors in memory
SECONDS = 2.0
_GRACE_SECONDS = 8.0  # C code does not hear the alarm; after this the child is killed


class Hung(BaseException):
    """A call took too long. No `except Exception` catches it."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise Hung in the main thread when the block takes longer; elsewhere and without SIGALRM, do nothing."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise Hung(f"still running after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Verdict:
    """What the verbs did with a file.

    Attributes:
        outcomes: verb → "ok …" (it worked), "refused …" (an exception of ours or an OSError), "raised …" (any other
            exception), "memory" (the limit was reached), "hung", "died …" (the process ended).
    """

    outcomes: dict[str, str] = field(default_factory=dict)

    @property
    def bad(self) -> list[str]:
        """The outcomes that no file may cause."""
        return [f"{verb}: {text}" for verb, text in self.outcomes.items() if not text.startswith(("ok", "refused"))]

    def opened(self, verb: str = "load") -> bool:
        """Whether the verb worked."""
        return self.outcomes.get(verb, "").startswith("ok")


class Guard:
    """A child process that reads files for us. Use it in a `with` block.

    Args:
        verbs: which of VERBS to try.
        memory_nbytes: how far the address space may grow beyond twice the file's size.
        seconds: how long a verb may take.
    """

    def __init__(
        self, *, verbs: tuple[str, ...] = VERBS, memory_nbytes: int = MEMORY_NBYTES, seconds: float = SECONDS
    ) -> None:
        self.verbs = verbs
        self.memory_nbytes = memory_nbytes
        self.seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def read(self, path: str | os.PathLike[str]) -> Verdict:
        """What the verbs do with a file or folder."""
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        order = {"path": os.fspath(path), "verbs": self.verbs, "memory": self.memory_nbytes, "seconds": self.seconds}
        child.stdin.write(json.dumps(order).encode() + b"\n")
        child.stdin.flush()
        limit = self.seconds * len(self.verbs) + _GRACE_SECONDS
        ready, _, _ = select.select([child.stdout], [], [], limit)
        line = child.stdout.readline() if ready else b""
        if line.endswith(b"\n"):
            return Verdict(json.loads(line))
        self._child = None
        if not ready:
            child.kill()
        child.communicate()
        return Verdict(dict.fromkeys(self.verbs, f"died with {child.returncode}" if ready else "hung in C code"))

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            # One thread for every numerical library: their stacks would count as address space.
            env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
            command = [sys.executable, "-W", "ignore", "-m", "tensorkeep.testing.guard"]
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        return self._child


def _serve() -> None:
    """The child: one JSON line in, one out, for each file."""
    import ml_dtypes  # noqa: F401  # what reading imports is loaded before memory is bounded
    import numpy  # noqa: F401
    import xxhash  # noqa: F401

    import tensorkeep as tk
    from tensorkeep.api import load, open, scan, verify  # noqa: F401
    from tensorkeep.formats import by_name, names

    for name in names():
        by_name(name)
    assert tk.load is load
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints does not get between the answers
    for line in sys.stdin.buffer:
        order = json.loads(line)
        answer = {verb: _outcome(verb, order) for verb in order["verbs"]}
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


def _outcome(verb: str, order: dict[str, Any]) -> str:
    from tensorkeep.errors import TensorkeepError

    try:
        with _bounded(order["memory"] + 2 * _size(order["path"])), alarm(order["seconds"]):
            return "ok " + _run(verb, order["path"])
    except (TensorkeepError, OSError) as err:
        if isinstance(err, OSError) and err.errno == errno.ENOMEM:
            return f"memory: {err}"
        return f"refused {type(err).__name__}: {str(err)[:500]}"
    except MemoryError:
        return "memory"
    except Hung as err:
        return f"hung {err}"
    except BaseException as err:  # noqa: BLE001  # that nothing else is raised is what is tested
        return f"raised {type(err).__name__}: {str(err)[:500]}"


def _run(verb: str, path: str) -> str:
    import tensorkeep as tk
    from tensorkeep.core.tensor import Tensor

    if verb == "load":
        return type(tk.load(path)).__name__
    if verb == "scan":
        return f"data_only={tk.scan(path).data_only}"
    if verb == "verify":
        return tk.verify(path).status
    with tk.open(path, unknown="inert") as file:
        for tensor in file.values():
            parts = [tensor] if isinstance(tensor, Tensor) else [part for _, part in tensor.parts()]
            for part in parts:
                for _ in part.blocks():
                    pass
                part.numpy()
        repr(file)
        _ = file.structure, file.graph, file.inert
        return f"{len(file)} tensors"


def _size(path: str) -> int:
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return os.path.getsize(path)


@contextmanager
def _bounded(nbytes: int) -> Iterator[None]:
    """Bound the growth of the address space, where the system can."""
    try:
        import resource

        with open("/proc/self/statm", "rb") as table:
            now = int(table.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


if __name__ == "__main__":
    _serve()
