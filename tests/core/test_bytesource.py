"""ByteSources: exact ranges, files that change underneath, file objects."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tensorkeep.core.bytesource import BufferSource, FileSource, filesystem_type, open_source
from tensorkeep.errors import TensorkeepError, TruncatedFileError, UnsupportedDataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(256)) * 1024)
    return path


@pytest.mark.parametrize(("offset", "nbytes"), [(0, 10), (250, 20), (100, 200_000), (0, 0), (256 * 1024, 0)])
def test_ranges_are_exact(file: Path, offset: int, nbytes: int) -> None:
    """read, view and readinto give the bytes of the file, small by pread, large by the map."""
    expected = file.read_bytes()[offset : offset + nbytes]
    source = FileSource(file)
    buffer = bytearray(nbytes)
    source.readinto(offset, buffer)

    assert source.read(offset, nbytes) == bytes(source.view(offset, nbytes)) == bytes(buffer) == expected
    source.close()


@pytest.mark.parametrize(("offset", "nbytes"), [(-1, 5), (0, 2**70), (256 * 1024, 1), (2**80, 1), (5, -1)])
def test_ranges_outside_are_told(file: Path, offset: int, nbytes: int) -> None:
    """Before anything is allocated."""
    for source in (FileSource(file), BufferSource(file.read_bytes())):
        with pytest.raises(TruncatedFileError, match="the file ends at 262144"):
            source.view(offset, nbytes)
        source.close()


def test_views_stay_valid_after_close(file: Path) -> None:
    """What was handed out lives on; new ranges are refused by name."""
    source = FileSource(file)
    view = source.view(0, 200_000)
    source.close()

    assert view[255] == 255
    with pytest.raises(ValueError, match="the file was closed"):
        source.read(0, 1)


def test_a_file_cut_while_open_is_an_error_and_no_crash(file: Path) -> None:
    """A map beyond the end would kill the process with SIGBUS."""
    source = FileSource(file)
    source.view(0, 100_000)
    os.truncate(file, 1000)

    with pytest.raises(TruncatedFileError, match="ends at 1000"):
        source.view(200_000, 10)
    with pytest.raises(TruncatedFileError, match="ends at 1000"):
        source.readinto(900, bytearray(200))
    source.close()


def test_a_replaced_file_keeps_its_old_bytes(file: Path) -> None:
    """Renaming a new file over it leaves the open one on the old."""
    source = FileSource(file)
    new = file.with_name("new")
    new.write_bytes(b"x" * 300_000)
    os.replace(new, file)

    assert source.view(0, 100_000)[1] == 1
    source.close()


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A named pipe does not hang, a folder does not read as bytes."""
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(UnsupportedDataError, match="not a regular file"):
            FileSource(path)


def test_file_objects_are_read_from_their_position(file: Path) -> None:
    """BytesIO, real files and readers without seek; a BytesIO stays usable."""
    memory = io.BytesIO(b"0123456789")
    memory.seek(4)

    class Pipe:
        def read(self) -> bytes:
            return b"piped"

    with file.open("rb") as real:
        real.seek(256)
        assert open_source(real).read(0, 3) == b"\0\1\2"
    assert open_source(memory).read(0, 6) == b"456789"
    memory.write(b"x" * 100)
    assert open_source(Pipe()).read(0, 5) == b"piped"
    with pytest.raises(UnsupportedDataError, match="mode 'rb'"):
        open_source(io.StringIO("text"))
    with pytest.raises(TensorkeepError, match="neither a path"):
        open_source(3)


def test_the_file_system_is_known(tmp_path: Path) -> None:
    """The type that the system's own tool prints."""
    import subprocess

    told = subprocess.run(["stat", "-f", "-c", "%T", str(tmp_path)], capture_output=True, text=True).stdout.strip()
    fd = os.open(tmp_path, os.O_RDONLY)
    kind = filesystem_type(fd)
    os.close(fd)

    # coreutils says "ext2/ext3" for all of the family.
    assert kind in told or (kind.startswith("ext") and told.startswith("ext")) or not kind


def test_a_url_says_that_it_is_to_be_downloaded() -> None:
    """Instead of "no such file"."""
    with pytest.raises(UnsupportedDataError, match="Download it first"):
        open_source("https://example.org/model.safetensors")
