"""`verify` and `scan`: is a file whole, and what would it run?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tensorkeep.api.loading import Source, open, opener
from tensorkeep.core.bytesource import open_source
from tensorkeep.core.reports import ScanReport, TensorCheck, VerifyReport
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import CorruptFileError

if TYPE_CHECKING:
    from tensorkeep.formats import Format

__all__ = ["scan", "sentences", "verify", "verify_file"]


def verify(path: Source, *, unknown: str = "inert", epoch: int | None = None) -> VerifyReport:
    """Check every checksum that a file carries, with bounded memory.

    Returns:
        A VerifyReport, true when everything was checked and is good. A file that cannot be opened because it is cut or
        damaged gives a report that says so. Formats without checksums (npy, MXNet's) give the status "unchecked".
    Raises:
        OSError: the file cannot be read. UnsupportedFormatError: it is no file of ours.
    """
    try:
        with open(path, unknown=unknown, epoch=epoch) as file:
            return verify_file(file)
    except CorruptFileError as err:
        name = str(path) if isinstance(path, (str, os.PathLike)) else "<bytes>"
        return VerifyReport(name, "", {}, (str(err),))


def verify_file(file: TensorFile) -> VerifyReport:
    from tensorkeep.storage.reading import checksum_tensors

    damage: list[str] = []
    try:
        damage += file.check()
    except CorruptFileError as err:
        damage.append(str(err))
    parts = file.dense()
    checked = {name: tensor for name, tensor in parts.items() if tensor.digest is not None}
    found = checksum_tensors(list(checked.values()), names=list(checked))
    tensors: dict[str, TensorCheck] = {}
    for name, tensor in parts.items():
        if tensor.digest is None:
            tensors[name] = TensorCheck(name, "unchecked" if file.checksum is None else "good")
            continue
        got = found[name].value
        status = "good" if got == tensor.digest.value else "damaged"
        tensors[name] = TensorCheck(name, status, tensor.digest.value, got)
    return VerifyReport(file.path, file.format, tensors, tuple(damage), file.checksum)


def sentences(report: VerifyReport) -> list[str]:
    bad = [check.name for check in report.tensors.values() if check.status == "damaged"]
    shown = ", ".join(map(repr, bad[:5])) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
    return [*report.damage, *([f"the checksums of {shown} do not fit their bytes"] if bad else [])]


def scan(path: Source) -> ScanReport:
    """What a file would run if its own framework loaded it; `data_only` is true when that is provably nothing.

    Pickles are read opcode by opcode against an allow-list; nothing is imported or executed.

    Raises:
        OSError; UnsupportedFormatError and CorruptFileError: it is no readable file of ours.
    """
    from tensorkeep import formats

    if isinstance(path, (str, os.PathLike)) and os.path.isdir(path):
        found = formats.detect_folder(Path(path))
        return _scan_folder(Path(path), found)
    source = open_source(path)
    try:
        found = formats.detect(source)
        if found.scan is not None:
            return found.scan(source)
        opener(found)(source, "inert")
        return ScanReport(source.name, found.name, True)
    finally:
        source.close()


def _scan_folder(path: Path, found: Format) -> ScanReport:
    if found.scan_folder is not None:
        return found.scan_folder(path)
    assert found.open_folder is not None
    found.open_folder(path, "inert").close()
    return ScanReport(str(path), found.name, True)
