"""`tkeep verify` and `tkeep scan` answer with words and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Run


def flip_last(path: Path) -> None:
    """Change one bit of the last byte."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(path: Path, nbytes: int) -> None:
    """Leave the first bytes only."""
    path.write_bytes(path.read_bytes()[:nbytes])


def test_a_whole_file_is_good(tkeep: Run, hashed: Path) -> None:
    """Every checksum fits: exit code 0."""
    result = tkeep("verify", hashed)

    assert result.code == 0
    assert "good" in result.out
    assert "2 tensors, xxh3-128" in result.out


def test_a_flipped_bit_is_found_and_named(tkeep: Run, hashed: Path) -> None:
    """Exit code 1, and the tensor whose bytes changed."""
    flip_last(hashed)
    result = tkeep("verify", hashed)

    assert result.code == 1
    assert "damaged" in result.out
    assert "1 of 2 tensors" in result.out
    assert "net.b  should be" in result.out


def test_a_cut_file_is_damaged(tkeep: Run, hashed: Path) -> None:
    """Exit code 1, with how much is there."""
    cut(hashed, hashed.stat().st_size - 100)
    result = tkeep("verify", hashed)

    assert result.code == 1
    assert "is cut" in result.out


def test_a_file_without_checksums_gives_2(tkeep: Run, plain: Path) -> None:
    """What the reference library writes carries none: nothing to check against."""
    result = tkeep("verify", plain)

    assert result.code == 2
    assert "nothing to check against" in result.out


def test_the_worst_of_several_files_counts(tkeep: Run, hashed: Path, plain: Path, tmp_path: Path) -> None:
    """Damage outranks an unreadable file, which outranks nothing to check."""
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(hashed.read_bytes())
    flip_last(bad)

    assert tkeep("verify", hashed, plain).code == 2
    assert tkeep("verify", hashed, plain, "absent").code == 3
    assert tkeep("verify", bad, plain, "absent", hashed).code == 1


def test_verify_gives_json(tkeep: Run, hashed: Path) -> None:
    """One document with a status for each file and tensor."""
    flip_last(hashed)
    (file,) = json.loads(tkeep("verify", "--json", hashed).out)["files"]

    assert file["status"] == "damaged"
    assert file["checksum"] == "xxh3-128"
    assert [each["status"] for each in file["tensors"]] == ["good", "damaged"]


def test_the_crc_of_a_torch_file_is_checked(tkeep: Run, tmp_path: Path) -> None:
    """A flipped bit in a file that torch wrote."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pt"
    torch.save({"w": torch.full((64,), 1.5)}, path)
    assert tkeep("verify", path).code == 0
    data = path.read_bytes()
    at = data.index(np.full(64, 1.5, np.float32).tobytes())
    path.write_bytes(data[:at] + b"\x01" + data[at + 1 :])

    assert tkeep("verify", path).code == 1


def test_scan_of_data_gives_0(tkeep: Run, plain: Path) -> None:
    """A format without code in it."""
    result = tkeep("scan", plain)

    assert result.code == 0
    assert "data only" in result.out


def test_scan_lists_what_a_file_would_run(tkeep: Run, hostile: Path) -> None:
    """Exit code 1 and the function that it calls; nothing ran."""
    result = tkeep("scan", hostile)

    assert result.code == 1
    assert "asks for code" in result.out
    assert "print  once" in result.out
    assert "it ran" not in result.out + result.err


def test_scan_gives_json(tkeep: Run, hostile: Path) -> None:
    """The requests with module and name; what is known is marked."""
    (file,) = json.loads(tkeep("scan", "--json", hostile).out)["files"]

    assert file["data_only"] is False
    unknown = [each for each in file["requests"] if not each["known"]]
    assert [(each["name"], each["count"]) for each in unknown] == [("print", 1)]


def test_scan_goes_through_folders(tkeep: Run, tmp_path: Path, hostile: Path, plain: Path) -> None:
    """Every file below, what is no tensor file counted, links not followed."""
    folder = tmp_path / "models" / "deep"
    folder.mkdir(parents=True)
    hostile.rename(folder / hostile.name)
    save_file({"w": np.zeros(2, np.float32)}, tmp_path / "models" / "a.safetensors")
    (tmp_path / "models" / "readme.txt").write_text("about these models")
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    (folder / "link.pt").symlink_to(plain)
    result = tkeep("scan", "-r", "models")

    assert result.code == 1
    assert "2 tensor files · 1 asks for code · 1 other file not looked into" in result.out
    assert "link.pt" not in result.out


def test_scan_of_an_unreadable_file_gives_3(tkeep: Run, tmp_path: Path) -> None:
    """What is no tensor file is not proved harmless."""
    (tmp_path / "x.txt").write_text("hello")

    assert tkeep("scan", "x.txt").code == 3
    assert tkeep("scan", "absent").code == 3
