"""Where bytes come from: a file, a buffer. Ranges are read exactly, or a TruncatedFileError says what is missing.

A `FileSource` reads with `pread` (thread-safe, no shared position) and maps the file only when a zero-copy view is
asked for. On network and FUSE file systems it never maps: a lost connection would kill the process with SIGBUS, and
page-sized reads over a network are slow.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
from pathlib import Path
from typing import Any

from tensorkeep.errors import TruncatedFileError, UnsafeFileError, UnsupportedDataError

__all__ = ["BufferSource", "ByteSource", "FileSource", "filesystem_type", "open_source"]

_UNMAPPABLE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse", "ceph", "lustre", "afs", "sshfs", "glusterfs", "beegfs")

_OPEN_FLAGS = ("O_CLOEXEC", "O_BINARY", "O_NONBLOCK")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://")

# Below this, a read into fresh memory costs less than the page faults of a map.
_MAP_FROM_NBYTES = 1 << 16


class ByteSource:
    """Random access to `size` bytes. `name` is what error messages call it."""

    __slots__ = ("__weakref__", "name", "size")

    name: str
    size: int

    def readinto(self, offset: int, buffer: Any) -> None:
        """Fill `buffer` (writable, contiguous) with the bytes from `offset` on."""
        out = memoryview(buffer).cast("B")
        out[:] = self.view(offset, out.nbytes)

    def view(self, offset: int, nbytes: int) -> memoryview:
        """The bytes of a range, read-only, without a copy where the source can."""
        raise NotImplementedError

    def read(self, offset: int, nbytes: int) -> bytes:
        """A copy of the bytes of a range."""
        return bytes(self.view(offset, nbytes))

    def whole(self) -> memoryview | None:
        """All the bytes, read-only, where that reads none of them now (memory, a mapped file); None elsewhere."""
        return None

    def fileno(self) -> int | None:
        """The file descriptor, for readers that do better than `readinto`; None for a buffer."""
        return None

    def close(self) -> None:
        """Release what is held. Views that were handed out stay valid."""

    def check(self, offset: int, nbytes: int) -> None:
        """Raise TruncatedFileError unless the range lies inside the source."""
        if offset < 0 or nbytes < 0 or offset + nbytes > self.size:
            raise TruncatedFileError(
                f"{self.name}: bytes {offset} to {offset + nbytes} are needed, but the file ends at {self.size}. "
                "It was cut off or is damaged; compare its size or hash with the source."
            )


class BufferSource(ByteSource):
    """Bytes in memory (bytes, bytearray, memoryview, mmap): no copy is made."""

    __slots__ = ("_view",)

    def __init__(self, data: Any, name: str = "<bytes>") -> None:
        self._view = memoryview(data).cast("B").toreadonly()
        self.name = name
        self.size = self._view.nbytes

    def view(self, offset: int, nbytes: int) -> memoryview:
        self.check(offset, nbytes)
        return self._view[offset : offset + nbytes]

    def whole(self) -> memoryview:
        return self._view


class FileSource(ByteSource):
    """A regular file, opened for reading. Replacing the file (by rename) leaves this one on the old bytes."""

    __slots__ = ("_fd", "_map", "_mappable", "path")

    def __init__(self, path: str | os.PathLike[str], *, fd: int | None = None, follow: bool = True) -> None:
        """Open it; with `follow=False` not through a symbolic link.

        Raises:
            OSError: it cannot be opened. UnsupportedDataError: it is no regular file. UnsafeFileError: it is a link.
        """
        self.path = Path(path)
        self.name = str(path)
        self._fd = -1
        if not follow and os.path.islink(path):
            raise UnsafeFileError(
                f"{path}: a symbolic link in the place of a file; links are not followed here, since they may lead anywhere. "
                "Put the file itself there."
            )
        if fd is None:
            # Not blocking: a named pipe without a writer would hang here, before it can be refused.
            fd = os.open(
                path,
                os.O_RDONLY | sum(getattr(os, name, 0) for name in (*_OPEN_FLAGS, *([] if follow else ["O_NOFOLLOW"]))),
            )
        self._fd = fd
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise UnsupportedDataError(f"{path}: not a regular file. Copy its bytes into a file first.")
        self.size = status.st_size
        self._map: Any = None
        self._mappable: bool | None = None

    def fileno(self) -> int:
        if self._fd < 0:
            raise ValueError(f"{self.name}: the file was closed; read its tensors before leaving the with block.")
        return self._fd

    def readinto(self, offset: int, buffer: Any) -> None:
        out = memoryview(buffer).cast("B")
        self.check(offset, out.nbytes)
        fd = self.fileno()
        if not hasattr(os, "preadv"):  # Windows
            super().readinto(offset, buffer)
            return
        done = 0
        while done < out.nbytes:
            count = os.preadv(fd, [out[done:]], offset + done)
            if count == 0:
                self.size = min(self.size, offset + done)
                self.check(offset, out.nbytes)
            done += count

    def read(self, offset: int, nbytes: int) -> bytes:
        self.check(offset, nbytes)
        if not hasattr(os, "pread"):  # Windows
            return super().read(offset, nbytes)
        data = os.pread(self.fileno(), nbytes, offset)
        if len(data) == nbytes:
            return data
        out = bytearray(nbytes)
        self.readinto(offset, out)
        return bytes(out)

    def view(self, offset: int, nbytes: int) -> memoryview:
        self.check(offset, nbytes)
        if self._map is None and hasattr(os, "pread") and (nbytes < _MAP_FROM_NBYTES or not self._can_map()):
            return memoryview(self.read(offset, nbytes))
        if self._map is None:
            import mmap

            self._map = memoryview(mmap.mmap(self.fileno(), self.size, access=mmap.ACCESS_READ))
        elif os.fstat(self.fileno()).st_size < offset + nbytes:
            # The file was cut while it is open: touching the map there would kill the process.
            self.size = os.fstat(self.fileno()).st_size
            self.check(offset, nbytes)
        view: memoryview = self._map[offset : offset + nbytes]
        return view

    def unmap(self, offset: int, nbytes: int) -> None:
        """Give back what `view` mapped of these bytes: no memory is held for them until somebody looks again."""
        import mmap

        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            start = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
            end = (offset + nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
            if start < end:
                self._map.obj.madvise(mmap.MADV_DONTNEED, start, end - start)

    def whole(self) -> memoryview | None:
        return self.view(0, self.size) if self.size < _MAP_FROM_NBYTES or self._can_map() else None

    def _can_map(self) -> bool:
        if self._mappable is None:
            self._mappable = filesystem_type(self.fileno()) not in _UNMAPPABLE
        return self._mappable

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        self._map = None
        if fd >= 0:
            with contextlib.suppress(OSError):  # nothing was written through it, so nothing can be lost
                os.close(fd)

    def __del__(self) -> None:
        self.close()


def filesystem_type(fd: int) -> str:
    """The kernel's name of the file system that an open file lies on ("ext4", "tmpfs", "nfs4" …); "" where unknown.

    FUSE subtypes ("fuse.sshfs") are told as "fuse". Source: proc(5), /proc/self/mountinfo.
    """
    try:
        device = os.fstat(fd).st_dev
        with open("/proc/self/mountinfo", "rb") as table:
            rows = table.read().splitlines()
    except OSError:
        return ""
    wanted = b"%d:%d" % (os.major(device), os.minor(device))
    for row in rows:
        fields = row.split()
        if len(fields) > 4 and fields[2] == wanted and b"-" in fields:
            kind = fields[fields.index(b"-") + 1].decode("ascii", "replace")
            return kind.partition(".")[0]
    return ""


def open_source(source: Any) -> ByteSource:
    """A ByteSource for a path, for bytes, or for an open binary file (from its current position to its end).

    Raises:
        OSError: the path cannot be opened.
        UnsupportedDataError: none of these.
    """
    if isinstance(source, ByteSource):
        return source
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if isinstance(path, str) and _URL.match(path) and not os.path.exists(path):
            raise UnsupportedDataError(
                f"{path}: a URL, and only local files are read. Download it first, then open the file."
            )
        return FileSource(path)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return BufferSource(source)
    if isinstance(source, io.BytesIO):
        start = source.tell()
        return BufferSource(memoryview(source.getvalue())[start:])
    if callable(getattr(source, "read", None)):
        return _file_object(source)
    raise UnsupportedDataError(
        f"A {type(source).__name__} is neither a path, nor bytes, nor an open binary file. Pass one of these."
    )


def _file_object(file: Any) -> ByteSource:
    name = getattr(file, "name", None)
    label = name if isinstance(name, str) else f"<{type(file).__name__}>"
    data = file.read()
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise UnsupportedDataError(f"{label}: the file object gives text, not bytes. Open it with mode 'rb'.")
    return BufferSource(data, label)
