"""Parameter files as dicts of arrays: MXNet's list files, and the npz archives that MXNet 2.0's savez writes."""

from __future__ import annotations

import os
from typing import Any

import torch

from tensorkeep.core.bytesource import FileSource
from tensorkeep.core.tensor import SparseTensor
from tensorkeep.formats import by_name
from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.context import cpu
from tensorkeep.mxnet.ndarray.sparse import from_parts

__all__ = ["is_archive", "load", "read_archive"]

_ZIP_BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06")  # the second one of an archive without members


def is_archive(filename: Any) -> bool:
    """Whether a file is a zip archive, which MXNet 1.9.1 never writes."""
    if not isinstance(filename, str) or not os.path.isfile(filename):
        return False  # what MXNet says of it, its own reader says
    with open(filename, "rb") as file:
        return file.read(4) in _ZIP_BEGINNINGS


def load(filename: str) -> Any:
    """The arrays of a file as `nd.load` gives them, npz archives included."""
    return read_archive(filename) if is_archive(filename) else ndarray.load(filename)


def read_archive(filename: str) -> dict[str, Any]:
    """The arrays of an npz archive by name.

    Raises:
        CorruptFileError, UnsupportedFormatError, UnsafeFileError: what tensorkeep says of such archives.
    """
    cls: Any = ndarray.NDArray
    if state.np_array:
        from tensorkeep.mxnet import numpy

        cls = numpy.ndarray
    opener = by_name("npz").open
    assert opener is not None
    source = FileSource(filename)
    try:
        return {name: _array(tensor, cls) for name, tensor in opener(source, "refuse").items()}
    finally:
        source.close()


def _array(tensor: Any, cls: Any) -> Any:
    if isinstance(tensor, SparseTensor):
        parts = [None if part is None else _tensor(part) for part in (tensor.data, tensor.indices, tensor.indptr)]
        return from_parts(tensor.kind, tensor.shape, *parts, ctx=cpu())
    return wrap(_tensor(tensor), cpu(), cls)


def _tensor(tensor: Any) -> torch.Tensor:
    found: torch.Tensor = tensor.torch().clone()
    return found
