"""One hostile file."""

from __future__ import annotations

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

    def write(self, folder: Path) -> Path:
        """Write it into `folder`; the path to open."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in ((self.filename, self.data), *self.beside):
            (folder / name).write_bytes(data)
        return folder if self.folder else folder / self.filename
