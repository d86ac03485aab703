"""One buffer that is used again and again: what a background save writes while the training loop goes on changing the originals."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from tensorkeep.core.hashing import Digest, digest_of
from tensorkeep.core.tensor import Tensor
from tensorkeep.storage._direct import aligned_memory, join_all, round_up, threads

__all__ = ["Staging", "digest_tensors"]

_ALIGN = 64
_PIECE_NBYTES = 16 << 20
"""What one thread copies at once."""

_THREADED_FROM_NBYTES = 8 << 20


class Staging:
    """Host memory that grows to what a save needs and is then reused: fresh pages would cost as much again as the copy.

    Attributes:
        nbytes: how large it is now.
    """

    def __init__(self) -> None:
        self._memory: Any = None
        self.nbytes = 0

    def copy(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copies of the tensors, in the buffer; valid until the next call."""
        import numpy as np

        offsets: dict[str, int] = {}
        at = 0
        for name, tensor in tensors.items():
            offsets[name] = at
            at = round_up(at + tensor.nbytes, _ALIGN)
        if at > self.nbytes:
            self._memory = None  # give the old one back first
            self._memory = np.frombuffer(aligned_memory(at), np.uint8)
            self.nbytes = len(self._memory)
        jobs: list[tuple[Any, Any]] = []
        copies: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            source = tensor.numpy()
            place = self._memory[offsets[name] : offsets[name] + source.nbytes]
            target = place.view(source.dtype).reshape(source.shape)
            copies[name] = Tensor(tensor.shape, tensor.dtype, array=target)
            jobs += _pieces(source, target)
        _run(jobs)
        return copies

    def release(self) -> None:
        """Give the memory back to the system."""
        self._memory, self.nbytes = None, 0


def _pieces(source: Any, target: Any) -> Iterable[tuple[Any, Any]]:
    """The copy of an array in parts that threads share; one that is not contiguous is one part."""
    if source.nbytes <= _PIECE_NBYTES or not source.flags.c_contiguous:
        yield source, target
        return
    a, b = source.reshape(-1), target.reshape(-1)
    step = _PIECE_NBYTES // source.itemsize
    for start in range(0, len(a), step):
        yield a[start : start + step], b[start : start + step]


def _run(jobs: list[tuple[Any, Any]]) -> None:
    """Copy; NumPy releases the interpreter lock, so threads add up."""
    import numpy as np

    total = sum(source.nbytes for source, _ in jobs)
    pending = list(reversed(jobs))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not failures:
                try:
                    source, target = pending.pop()
                except IndexError:
                    return
                np.copyto(target, source)
        except BaseException as err:  # noqa: BLE001  # handed to the thread that waits
            failures.append(err)

    many = threads(4) if total >= _THREADED_FROM_NBYTES else 1
    started = [threading.Thread(target=work) for _ in range(min(many, len(jobs)) - 1)]
    for thread in started:
        thread.start()
    work()
    interrupt = join_all(started)
    if interrupt is not None:
        raise interrupt
    if failures:
        raise failures[0]


def digest_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Digest]:
    """The xxh3-128 of the bytes that a file would hold, of each tensor; large ones side by side in threads."""
    names = list(tensors)
    total = sum(tensor.nbytes for tensor in tensors.values())
    if total < _THREADED_FROM_NBYTES:
        return {name: _digest(tensors[name]) for name in names}
    found: dict[str, Digest] = {}
    pending = sorted(names, key=lambda name: tensors[name].nbytes)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not failures:
                try:
                    name = pending.pop()
                except IndexError:
                    return
                found[name] = _digest(tensors[name])
        except BaseException as err:  # noqa: BLE001  # handed to the thread that waits
            failures.append(err)

    started = [threading.Thread(target=work) for _ in range(threads(4) - 1)]
    for thread in started:
        thread.start()
    work()
    interrupt = join_all(started)
    if interrupt is not None:
        raise interrupt
    if failures:
        raise failures[0]
    return found


def _digest(tensor: Tensor) -> Digest:
    from tensorkeep.core.hashing import XXH3_128, new_hasher

    if tensor.nbytes <= 4 << 20:
        return digest_of(b"".join(tensor.blocks()) if tensor.nbytes else b"")
    hasher = new_hasher(XXH3_128)
    for block in tensor.blocks(64 << 20):
        hasher.update(block)
    return Digest(XXH3_128, hasher.hexdigest())
