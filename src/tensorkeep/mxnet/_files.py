"""Arrays to and from MXNet's list files, and the bytes of one array that pickles hold: for nd, np and gluon alike.

Files are written whole or not at all (storage.atomic), in the bytes that MXNet 1.9.1 writes: V2 records, V3 ones while
NumPy shapes are on; every array with the device that it is on. Reading goes straight into the memory of the new arrays.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tensorkeep.core.bytesource import BufferSource, ByteSource, FileSource
from tensorkeep.core.dtypes import DTYPES, numpy_dtype
from tensorkeep.core.plan import TensorSegment, WritePlan
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.errors import CorruptFileError, LimitError, SaveError, UnsupportedDataError, UnsupportedFormatError
from tensorkeep.formats._mxnet_array import CutError, Leaf, dense_header, make_dense, read_array, sparse_header
from tensorkeep.formats._mxnet_list import MAGIC, START, U64, walk
from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import settings, state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.context import Context, cpu
from tensorkeep.storage.reading import read_tensors
from tensorkeep.storage.writing import write_file

__all__ = ["load_arrays", "load_buffer", "read_record", "save_arrays", "write_record"]

_V3_WHILE_OFF = (
    "ndarray was saved in np shape semantics, must be loaded in the same semantics. Please turn on np shape semantics "
    "in Python using `with np_shape(True)` or decorator `use_np_shape` to scope the code of loading the ndarray."
)
_V2_WHILE_ON = (
    "ndarray was not saved in np shape semantics, but being loaded in np shape semantics. Please turn off np shape "
    "semantics in Python using `with np_shape(False)` to scope the code of loading the ndarray."
)
_SPARSE_WHILE_ON = "only allow serializing ndarray of default storage type in np shape semantics"
_OPENING = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)


def save_arrays(path: str, arrays: Sequence[Any] | dict[str, Any]) -> None:
    """Write arrays to a list file: with names those of a dict, without those of a sequence.

    Raises:
        MXNetError: the file cannot be made there, or an array cannot be written so; the old file is as it was.
        SaveError, NotEnoughSpaceError: the disk refuses; the old file is as it was.
    """
    names = list(arrays) if isinstance(arrays, dict) else []
    values = list(arrays.values()) if isinstance(arrays, dict) else list(arrays)
    plan = WritePlan("mxnet", tensors=len(values))
    pending = bytearray(START.pack(MAGIC, 0, len(values)))
    for i, array in enumerate(values):
        what = repr(names[i]) if names else f"array {i}"
        header, parts = _record(array, what)
        pending += header
        for part in parts:
            if part.nbytes:
                plan.segments += [bytes(pending), TensorSegment(what, part)]
                pending.clear()
    pending += U64.pack(len(names))
    for name in names:
        raw = name.encode("utf-8")
        if b"\0" in raw:
            raise MXNetError(
                f"The name {name!r} holds a zero byte, which a list file cannot keep. Nothing was written."
            )
        pending += U64.pack(len(raw)) + raw
    plan.segments.append(bytes(pending))
    target = _local(path)
    try:
        write_file(target, plan)
    except SaveError as err:
        if err.errno in _OPENING:
            raise _not_opened(path, err) from err
        raise


def _local(path: str) -> str:
    """The path behind "file://"; MXNet's own error for the other schemes that it may be built with."""
    scheme, found, rest = path.partition("://")
    if not found:
        return path
    if scheme == "file":
        return rest
    for prefix, name in (("s3", "S3"), ("hdfs", "HDFS"), ("http", "S3"), ("azure", "AZURE")):
        if scheme.startswith(prefix):
            raise MXNetError(f"Please compile with DMLC_USE_{name}=1 to use {name}: {path} is no local file.")
    raise MXNetError(f"unknown filesystem protocol {scheme}://")


def _not_opened(path: str, err: OSError) -> MXNetError:
    import os

    return MXNetError(f'LocalFileSystem: Open "{path}": {os.strerror(err.errno or 0)}')


def _record(array: Any, what: str) -> tuple[bytes, list[Tensor]]:
    """The header of an array's record and the tensors behind it."""
    device = (array._ctx.device_typeid, array._ctx.device_id)
    version = 3 if state.np_shape else 2
    if array.stype != "default":
        if version == 3:
            raise MXNetError(_SPARSE_WHILE_ON)
        sparse = array.to_sparse_tensor()
        parts = [sparse.data, *([] if sparse.indptr is None else [sparse.indptr]), sparse.indices]
        return sparse_header(sparse, device), parts
    tensor = array._t
    if version == 2 and tensor.dim() == 0:
        raise MXNetError(
            f"{what} has no dimensions, which a file without NumPy shapes cannot hold: MXNet could not read it back. "
            "Save it under `with np_shape(True)`, or reshape it to (1,)."
        )
    found = tensor_of(tensor)
    return dense_header(found.shape, found.dtype, version, device), [found]


def tensor_of(tensor: torch.Tensor) -> Tensor:
    """The tensorkeep Tensor of a torch tensor, in its memory where that lies on the CPU in C order."""
    name = NAMES.get(tensor.dtype)
    if name is None:
        raise MXNetError(f"MXNet's files cannot hold elements of {tensor.dtype}.")
    if tensor.device.type != "cpu":
        tensor = tensor.cpu()
    tensor = tensor.detach().contiguous()
    dtype = DTYPES[name]
    if name == "bfloat16":
        return Tensor(tuple(tensor.shape), dtype, array=tensor.view(torch.uint16).numpy().view(numpy_dtype(dtype)))
    return Tensor(tuple(tensor.shape), dtype, array=tensor.numpy())


def write_record(array: Any) -> bytearray:
    """The bytes of one array, as pickles hold them."""
    header, parts = _record(array, "the array")
    out = bytearray(header)
    for part in parts:
        for block in part.blocks(1 << 30):
            out += block
    return out


def read_record(record: Any, cls: Any) -> Any:
    """The array of `write_record`'s bytes.

    Raises:
        MXNetError: the bytes are not one whole array, or were written under the other shape semantics.
    """
    if not isinstance(record, (bytes, bytearray, memoryview)):
        raise MXNetError(f"Invalid NDArray file format: the pickled array is no bytes but {type(record).__name__}")
    data = bytes(record)
    source = BufferSource(data, "the pickled array")
    try:
        leaf, end, version, device = read_array(data, 0, 0, source)
    except CutError as err:
        raise MXNetError("Invalid NDArray file format: the pickled array is cut off") from err
    except (CorruptFileError, LimitError, UnsupportedFormatError) as err:
        raise MXNetError(f"Invalid NDArray file format: {err}") from err
    if end != len(data):
        raise MXNetError(f"Invalid NDArray file format: {len(data) - end} bytes follow the pickled array")
    _check_semantics({version})
    return _arrays([leaf], {0: device}, cls)[0]


def load_arrays(path: str, cls: Any, *, any_semantics: bool = False) -> Any:
    """The arrays of a list file: a dict by name, or a list when it has no names; None for an array without values.

    Args:
        cls: the class of dense arrays.
        any_semantics: read V2 and V3 records whether NumPy shapes are on or off.
    Raises:
        MXNetError: there is no such file, it is damaged, or was saved under the other shape semantics.
    """
    local = _local(path)
    try:
        source = FileSource(local)
    except OSError as err:
        raise _not_opened(path, err) from err
    except UnsupportedDataError as err:
        raise MXNetError(f"Invalid NDArray file format: {err}") from err
    try:
        return _load(source, cls, any_semantics)
    finally:
        source.close()


def load_buffer(buffer: bytes, cls: Any) -> Any:
    """What `load_arrays` gives, from the bytes of a file."""
    return _load(BufferSource(buffer, "the buffer"), cls, False)


def _load(source: ByteSource, cls: Any, any_semantics: bool) -> Any:
    try:
        listing = walk(source)
    except (CorruptFileError, LimitError, UnsupportedFormatError) as err:
        raise MXNetError(f"Invalid NDArray file format: {err}") from err
    if not any_semantics:
        _check_semantics(listing.versions)
    if listing.failure is not None:
        raise MXNetError(f"Invalid NDArray file format: {listing.failure}") from listing.failure
    leaves = [make_dense(leaf, source) if type(leaf) is tuple else leaf for leaf in listing.leaves]
    arrays = _arrays(leaves, listing.placed, cls)  # type: ignore[arg-type]  # no record is left
    return arrays if listing.names is None else dict(zip(listing.names, arrays, strict=True))


def _check_semantics(versions: set[int]) -> None:
    if 3 in versions and not state.np_shape:
        raise MXNetError(_V3_WHILE_OFF)
    if versions - {3} and state.np_shape:
        raise MXNetError(_V2_WHILE_ON)


def _arrays(leaves: Sequence[Leaf], placed: dict[int, tuple[int, int]], cls: Any) -> list[Any]:
    """New arrays with the values of the leaves, all read at once."""
    from tensorkeep.mxnet.ndarray.sparse import from_parts

    tensors: list[Tensor] = []
    for leaf in leaves:
        if isinstance(leaf, SparseTensor):
            tensors += [part for part in (leaf.data, leaf.indices, leaf.indptr) if part is not None]
        elif leaf is not None:
            tensors.append(leaf)
    values = iter(read_tensors(tensors, verify=False))
    arrays: list[Any] = []
    for i, leaf in enumerate(leaves):
        ctx = _context(placed[i]) if i in placed else _CPU0
        if leaf is None:
            arrays.append(None)
        elif isinstance(leaf, SparseTensor):
            data, indices = (_tensor(next(values), ctx) for _ in range(2))
            indptr = None if leaf.indptr is None else _tensor(next(values), ctx)
            arrays.append(from_parts(leaf.kind, leaf.shape, data, indices, indptr, ctx=ctx))
        else:
            arrays.append(wrap(_tensor(next(values), ctx), ctx, cls))
    return arrays


_CPU0 = cpu(0)


def _tensor(values: np.ndarray[Any, Any], ctx: Context) -> torch.Tensor:
    """A torch tensor in the memory of new values, or of their copy on the GPU of `ctx`."""
    if values.dtype.kind == "V":  # ml_dtypes' bfloat16
        tensor = torch.from_numpy(values.view(np.uint16)).view(torch.bfloat16)
    elif values.dtype.kind == "b":
        tensor = torch.from_numpy(values.view(np.uint8)) != 0  # a byte that is neither 0 nor 1 would break torch
    else:
        tensor = torch.from_numpy(values)
    return tensor if ctx is _CPU0 else tensor.to(ctx.torch_device)


def _context(device: tuple[int, int]) -> Context:
    """Where an array goes that was saved on a device: to that GPU if there is one, else to cpu(0), as MXNet does it."""
    kind, number = device
    if kind == 2 and (settings.gpu == "cpu" or (torch.cuda.is_available() and number < torch.cuda.device_count())):
        return Context("gpu", number)
    return _CPU0
