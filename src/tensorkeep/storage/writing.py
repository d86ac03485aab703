"""Carry out a WritePlan: to a file, atomically and durably, or to a stream, in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tensorkeep.core.hashing import Digest, new_hasher
from tensorkeep.core.plan import Deferred, Receipt, WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.storage.atomic import replace_file, save_error, write_all

__all__ = ["write_file", "write_stream"]

_BLOCK_NBYTES = 2 << 20


def write_file(path: str | os.PathLike[str], plan: WritePlan) -> Receipt:
    """Write the plan's file durably in place of `path`; see `replace_file` for what a failure leaves.

    Raises:
        SaveError, NotEnoughSpaceError: as `replace_file`.
    """
    digests: dict[str, Digest] = {}
    with replace_file(path, nbytes=plan.nbytes) as out:
        offset = 0
        later: list[tuple[int, Deferred]] = []
        for segment in plan.segments:
            if isinstance(segment, Deferred):
                later.append((offset, segment))
                offset += segment.nbytes
            elif isinstance(segment, bytes):
                write_all(out.fd, memoryview(segment), offset)
                offset += len(segment)
            else:
                for block in _hashed(segment.name, segment.tensor, plan.checksum, digests):
                    write_all(out.fd, block, offset)
                    offset += block.nbytes
        for at, deferred in later:
            write_all(out.fd, memoryview(_made(deferred, digests)), at)
    name = os.fspath(path)
    return Receipt(name, plan.format, plan.nbytes, plan.tensors, (name,), digests)


def write_stream(file: Any, plan: WritePlan) -> Receipt:
    """Write the plan's bytes in order to an open binary file object, which stays open; nothing is synced.

    Raises:
        SaveError: the file object's write raised an OSError; the stream then holds part of the bytes.
    """
    digests: dict[str, Digest] = {}
    name = getattr(file, "name", None)
    label = name if isinstance(name, str) else f"<{type(file).__name__}>"
    last_tensor = max((i for i, s in enumerate(plan.segments) if not isinstance(s, (bytes, Deferred))), default=-1)
    if any(isinstance(segment, Deferred) for segment in plan.segments[: last_tensor + 1]):
        for segment in plan.segments:
            if not isinstance(segment, (bytes, Deferred)):
                for _ in _hashed(segment.name, segment.tensor, plan.checksum, digests):
                    pass
    for segment in plan.segments:
        if isinstance(segment, Deferred):
            _write_to(file, memoryview(_made(segment, digests)), label)
        elif isinstance(segment, bytes):
            _write_to(file, memoryview(segment), label)
        else:
            for block in _hashed(segment.name, segment.tensor, plan.checksum, digests):
                _write_to(file, block, label)
    return Receipt(label, plan.format, plan.nbytes, plan.tensors, (), digests)


def _write_to(file: Any, data: memoryview, label: str) -> None:
    try:
        done = 0
        while done < data.nbytes:
            count = file.write(data[done:])
            done = data.nbytes if count is None else done + count  # buffered writers take everything
            if count == 0:
                raise OSError("the stream takes no more bytes")
    except OSError as err:
        raise save_error(label, err, state="The stream holds a part of the data.") from err


def _hashed(name: str, tensor: Tensor, checksum: str | None, digests: dict[str, Digest]) -> Iterator[memoryview]:
    hasher = None if checksum is None else new_hasher(checksum)
    for block in tensor.blocks(_BLOCK_NBYTES):
        held = memoryview(bytes(block))
        if hasher is not None:
            hasher.update(held)
        yield held
    if hasher is not None and checksum is not None:
        digests[name] = Digest(checksum, hasher.hexdigest())


def _made(deferred: Deferred, digests: dict[str, Digest]) -> bytes:
    data = deferred.make(digests)
    assert len(data) == deferred.nbytes, (len(data), deferred.nbytes)
    return data
