"""Tensors' values read straight into memory that is there already: a model's own parameters."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import CorruptFileError
from tensorkeep.storage._direct import do_all, threads
from tensorkeep.storage.reading import checksum_tensors

__all__ = ["check_tensors", "read_into"]

_BLOCK_NBYTES = 8 << 20
_THREADED_FROM_NBYTES = 16 << 20
"""Below this, starting threads costs more than it gains."""

_SHOWN = 20


def check_tensors(tensors: Sequence[Tensor], names: Sequence[str], *, where: str) -> int:
    """Check the bytes of the tensors that carry a digest; how many did.

    Raises:
        CorruptFileError: some differ; all of them are named.
    """
    found = checksum_tensors(tensors, names)
    bad = [
        f"{name!r}: expected {tensor.digest}, got {found[name]}"
        for tensor, name in zip(tensors, names, strict=True)
        if name in found and found[name] != tensor.digest
    ]
    if bad:
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise CorruptFileError(
            f"{where}: the bytes of {len(bad)} of {len(tensors)} tensors are not those that were written: "
            f"{'; '.join(bad[:_SHOWN])}{more}. Nothing was changed. Copy the file again from its source, or restore a backup."
        )
    return len(found)


def read_into(tensors: Sequence[Tensor], memory: Sequence[Any]) -> None:
    """Read each tensor into the memory given for it.

    Args:
        tensors: of any files.
        memory: a writable numpy.ndarray for each, C-contiguous, of just its shape and dtype.
    Raises:
        TruncatedFileError, OSError: a file was cut or fails meanwhile; some of the memory may have been written then.
    """
    import numpy as np

    jobs: deque[tuple[FileSource, int, memoryview]] = deque()
    others: list[tuple[Tensor, Any]] = []
    total = 0
    for tensor, array in zip(tensors, memory, strict=True):
        ext = tensor.extent
        if ext is None or not ext.plain or tensor.dtype.packed or type(ext.source) is not FileSource:
            others.append((tensor, array))
        elif ext.nbytes:
            flat = memoryview(array.reshape(-1).view(np.uint8))
            total += ext.nbytes
            for start in range(0, ext.nbytes, _BLOCK_NBYTES):
                jobs.append((ext.source, ext.offset + start, flat[start : start + _BLOCK_NBYTES]))
    for tensor, array in others:
        np.copyto(array, tensor.numpy(), casting="no")

    def work(job: tuple[FileSource, int, memoryview]) -> None:
        source, offset, part = job
        source.readinto(offset, part)

    do_all(jobs, work, threads(4) if total >= _THREADED_FROM_NBYTES and hasattr(os, "preadv") else 1)
