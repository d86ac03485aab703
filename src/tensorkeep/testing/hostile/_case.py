"""One hostile file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Case"]


@dataclass(frozen=True, slots=True)
class Case:
    """A file and what is wrong with it.

    Attributes:
        id: format/name, unique.
        filename: what to call it; its suffix must not matter.
        data: its bytes.
        why: what is wrong, in a few words.
        inert: opening with unknown="inert" may succeed (the objects become records); loading may not.
        lazy: opening may succeed, because the contents are checked when they are loaded.
        runs: a plain unpickler would run something: scan must say so.
        harmless: it may also be loaded, if nothing runs, hangs or grows: the format does not forbid it.
        beside: more files, by name, in the same folder.
        folder: the folder itself is opened.
        places: (name, what stands there instead of a file): "folder", "pipe", "device" (a link to one where the system lets
            nobody make it), or "link:" and what it leads to, from its folder.
    """

    id: str
    filename: str
    data: bytes
    why: str
    inert: bool = False
    lazy: bool = False
    runs: bool = False
    harmless: bool = False
    beside: tuple[tuple[str, bytes], ...] = ()
    folder: bool = False
    places: tuple[tuple[str, str], ...] = ()

    def write(self, folder: Path) -> Path:
        """Write it into `folder`; the path to open."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in ((self.filename, self.data), *self.beside):
            (folder / name).write_bytes(data)
        for name, what in self.places:
            _place(folder / name, what)
        return folder if self.folder else folder / self.filename


def _place(path: Path, what: str) -> None:
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "device":
        try:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero of Linux
        except PermissionError:
            path.symlink_to("/dev/zero")
    else:
        path.symlink_to(what.removeprefix("link:"))
