"""`writer`: a safetensors file written tensor by tensor, for data larger than memory.

The header of a safetensors file comes first and is known last. Room for it is kept, data follow, and the header is put into
the room when all is there, padded with spaces as the format allows. Should it outgrow the room, the data are copied once.
Tensors whose size is no multiple of 8 would leave the next one unaligned, which the format's readers dislike, so these are
held back in an unnamed file beside and put at the end, widest elements first.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from typing import IO, Any

from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.hashing import XXH3_128, Digest, new_hasher
from tensorkeep.core.plan import Receipt
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import SaveError, UnsupportedDataError, UnsupportedFormatError

__all__ = ["TensorWriter", "writer"]

# Room for the entries of about 1,500 tensors. It is a hole in the data of a large file, not worth less.
_ROOM_NBYTES = 1 << 18
_COPY_NBYTES = 8 << 20


def writer(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> TensorWriter:
    """Write a file tensor by tensor, for data larger than memory: `with tk.writer(path) as w: w["name"] = tensor`.

    Each tensor is written (and hashed) when it is assigned and can be freed at once. The file appears, whole and durable,
    when the `with` block ends without an error; otherwise nothing is left and an old file stays.

    Args:
        path: ends in .safetensors, unless `format="safetensors"` is given; other formats need all tensors at once (`save`).
        metadata: strings to keep beside.
    Raises: as `save`.
    """
    return TensorWriter(os.fspath(path), format=format, metadata=metadata)


def _unnamed_file(folder: str) -> IO[bytes]:
    return tempfile.TemporaryFile(dir=folder)  # the writer's exit stack closes it


class TensorWriter:
    """What `tk.writer` gives: assign tensors by name inside a `with` block.

    `receipt` is the Receipt after the block has ended well, None before.
    """

    def __init__(self, path: str, *, format: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
        from tensorkeep import formats
        from tensorkeep.formats._safetensors_write import check_metadata

        chosen = formats.by_name(format) if format is not None else formats.for_writing(path)
        if chosen.name != "safetensors":
            raise UnsupportedFormatError(
                f"{path}: files of the format {chosen.name} cannot be written tensor by tensor. Use a path that ends in "
                ".safetensors, then tk.convert."
            )
        self._metadata = dict(metadata or {})
        check_metadata(self._metadata)
        self.path = path
        self.receipt: Receipt | None = None
        self._specs: dict[str, Tensor] = {}
        self._offsets: dict[str, int] = {}
        self._digests: dict[str, Digest] = {}
        self._late: list[tuple[str, int]] = []
        self._late_file: IO[bytes] | None = None
        self._stack = ExitStack()
        self._out: Any = None
        self._room = _ROOM_NBYTES
        self._at = 0

    def __enter__(self) -> TensorWriter:
        from tensorkeep.storage.atomic import replace_file

        with ExitStack() as opening:  # undone when the first seek fails
            self._out = opening.enter_context(replace_file(self.path))
            self._seek(self._room)
            self._stack = opening.pop_all()
        return self

    def __setitem__(self, name: str, value: Any) -> None:
        """Write a tensor. It is on its way to the disk when this returns and is not held.

        Raises:
            UnsupportedDataError: the name was used before, the value is no dense tensor, or safetensors has no such dtype.
            SaveError: writing failed; leaving the block removes what was written.
        """
        from tensorkeep.formats._safetensors_write import code_of

        if self._out is None:
            raise UnsupportedDataError(f"{self.path}: the writer is not open. Use it in a with block.")
        if type(name) is not str:
            raise UnsupportedDataError(f"{name!r:.80}: a tensor's name is a str, not a {type(name).__name__}.")
        if name in self._specs or name == "__metadata__":
            raise UnsupportedDataError(f"{name!r}: the name is taken. Choose another.")
        tensor = as_tensor(value, where=repr(name))
        if not isinstance(tensor, Tensor):
            raise UnsupportedDataError(
                f"{name!r}: a {type(value).__name__} is no dense tensor. Save plain values and sparse tensors with tk.save."
            )
        code_of(tensor, name)
        hasher = new_hasher(XXH3_128)
        late = tensor.nbytes % 8 != 0
        for block in tensor.blocks():
            hasher.update(block)
            if late:
                self._spool().write(block)
            else:
                self._write(block)
        if late:
            self._late.append((name, tensor.nbytes))
        else:
            self._offsets[name] = self._at
            self._at += tensor.nbytes
        self._digests[name] = Digest(XXH3_128, hasher.hexdigest())
        self._specs[name] = Tensor(tensor.shape, tensor.dtype)

    def _write(self, block: Any) -> None:
        from tensorkeep.storage.atomic import save_error

        try:
            self._out.write(block)
        except SaveError:
            raise
        except OSError as err:
            raise save_error(self.path, err) from err

    def _seek(self, offset: int) -> None:
        os.lseek(self._out.fd, offset, os.SEEK_SET)

    def _spool(self) -> IO[bytes]:
        if self._late_file is None:
            folder = os.path.dirname(os.path.abspath(self.path))
            self._late_file = self._stack.enter_context(_unnamed_file(folder))
        return self._late_file

    def __exit__(self, kind: Any, err: BaseException | None, trace: Any) -> bool | None:
        if kind is not None:
            return self._stack.__exit__(kind, err, trace)
        try:
            nbytes = self._finish()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.close()
        self._out = None
        self.receipt = Receipt(self.path, "safetensors", nbytes, len(self._specs), (self.path,), dict(self._digests))
        return None

    def _finish(self) -> int:
        from tensorkeep.formats._safetensors_write import place_header

        starts, at = {}, 0
        for name, nbytes in self._late:
            starts[name] = at
            at += nbytes
        for name, nbytes in sorted(self._late, key=lambda pair: -self._specs[pair[0]].dtype.itemsize):
            spool = self._spool()
            spool.seek(starts[name])
            left = nbytes
            while left:
                block = spool.read(min(left, _COPY_NBYTES))
                self._write(block)
                left -= len(block)
            self._offsets[name] = self._at
            self._at += nbytes
        header = place_header(self._specs, self._offsets, self._digests, self._metadata, self._room)
        if len(header) > self._room:
            self._make_room(len(header))
        self._seek(0)
        self._write(header)
        return len(header) + self._at

    def _make_room(self, room: int) -> None:
        """Move the data up, the last block first."""
        fd, shift = self._out.fd, room - self._room
        at = self._at
        while at:
            size = min(at, _COPY_NBYTES)
            at -= size
            block = os.pread(fd, size, self._room + at)
            self._seek(self._room + at + shift)
            self._write(block)
        self._room = room
