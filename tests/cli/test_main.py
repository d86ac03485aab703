"""The command itself: exit codes, errors in plain words, help, completion, quiet pipes."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

import tensorkeep
from tensorkeep.cli import _main
from tensorkeep.cli._errors import exit_code, paragraph, worst
from tensorkeep.errors import CorruptFileError, TensorkeepError, TensorNotFoundError
from tests.cli.conftest import Run

TKEEP = [sys.executable, "-c", "import sys; from tensorkeep.cli import main; sys.exit(main())"]


def test_version(tkeep: Run) -> None:
    """Name and version."""
    assert tkeep("--version").out == f"tensorkeep {tensorkeep.__version__}\n"


def test_help_lists_every_command_and_exit_code(tkeep: Run) -> None:
    """Without importing the commands."""
    out = tkeep("--help").out

    assert all(f"  {name} " in out for name in _main.COMMANDS)
    assert all(f"  {code} " in out for code in (0, 1, 2, 3, 130))


@pytest.mark.parametrize("name", list(_main.COMMANDS))
def test_each_command_is_there_and_has_help(name: str) -> None:
    """The table of commands names real ones; click's own runner shows their help."""
    module = importlib.import_module(f"tensorkeep.cli.{_main.COMMANDS[name][0]}")
    result = CliRunner().invoke(_main.cli, [name, "--help"])

    assert getattr(module, name.replace("-", "_")).name == name
    assert result.exit_code == 0
    assert f"Usage: cli {name}" in result.output or f"Usage: tkeep {name}" in result.output


def test_a_mistyped_command_gets_a_hint(tkeep: Run) -> None:
    """Exit code 2 and the nearest command."""
    result = tkeep("verfy", "x")

    assert result.code == 2
    assert "Did you mean verify?" in result.err


def test_a_file_in_the_place_of_a_command_gets_a_hint(tkeep: Run, plain: Path) -> None:
    """`tkeep model.safetensors` says how to list it."""
    assert f"tkeep ls {plain}" in tkeep(plain).err


def test_a_missing_file_is_told_in_one_line(tkeep: Run, plain: Path) -> None:
    """Exit code 3, no traceback, the near name."""
    result = tkeep("ls", "plain.safetensor")

    assert result.code == 3
    assert result.err == "tkeep: plain.safetensor: no such file or folder. Did you mean plain.safetensors?\n"
    assert result.out == ""


def test_the_prefix_of_a_checkpoint_gets_a_hint(tkeep: Run, tmp_path: Path) -> None:
    """The name that MXNet users know has no file of its own."""
    (tmp_path / "net-0003.params").write_bytes(b"x")
    (tmp_path / "net-0012.params").write_bytes(b"x")

    assert "add --epoch 12" in tkeep("ls", "net").err


def test_a_folder_without_tensors_is_told(tkeep: Run, tmp_path: Path) -> None:
    """No traceback for what is not a file."""
    (tmp_path / "empty").mkdir()
    result = tkeep("ls", "empty")

    assert result.code == 3
    assert result.err.startswith("tkeep: ")


def test_errors_name_options_not_arguments() -> None:
    """What the library calls verify=False is --no-verify here."""
    text = paragraph(
        TensorkeepError("verify=False reads it; unknown='inert' keeps; only='a.*' fits none; pass format=.")
    )

    assert text == "--no-verify reads it; --unknown inert keeps; --only 'a.*' fits none; pass --format."


def test_what_was_asked_wrongly_is_no_unreadable_file() -> None:
    """A name that is not there is 2, a damaged file 3."""
    assert exit_code(TensorNotFoundError("x")) == 2
    assert exit_code(CorruptFileError("x")) == 3
    assert exit_code(FileNotFoundError("x")) == 3


def test_errors_cannot_steer_the_terminal(tkeep: Run, tmp_path: Path) -> None:
    """A name from the file that is part of an error is escaped."""
    save_file({"w\x1b[31m": np.zeros(3, np.float32)}, tmp_path / "x.safetensors")
    result = tkeep("show", "x.safetensors", "w")
    missing = tkeep("ls", "\x1b[2J.npz")

    assert "\x1b" not in result.err + missing.err


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, plain: Path) -> None:
    """Only expected errors become a paragraph."""

    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("tensorkeep.cli.ls.open_file", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        _main.run(["ls", str(plain)])


def test_ctrl_c_gives_130(tkeep: Run, monkeypatch: pytest.MonkeyPatch, plain: Path) -> None:
    """One word, no traceback."""

    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tensorkeep.cli.ls.open_file", interrupted)
    result = tkeep("ls", plain)

    assert result.code == 130
    assert result.err.strip() == "tkeep: interrupted"


@pytest.mark.parametrize(("codes", "code"), [([0, 0], 0), ([], 0), ([0, 2], 2), ([2, 3], 3), ([3, 1, 2, 0], 1)])
def test_the_worst_code_wins(codes: list[int], code: int) -> None:
    """A finding, then an unreadable file, then nothing to check."""
    assert worst(codes) == code


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise on Windows")
def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    """`tkeep ls file | head -1` prints its line and nothing on standard error."""
    save_file({f"w{i:05d}": np.zeros(1, np.float32) for i in range(20_000)}, tmp_path / "x.safetensors")
    process = subprocess.Popen(
        [*TKEEP, "ls", "x.safetensors"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    process.wait()

    assert first.startswith(b"x.safetensors")
    assert err == b""
    assert process.returncode == -signal.SIGPIPE


def test_a_terminal_without_unicode_gets_escapes(plain: Path) -> None:
    """An ASCII-only standard output is no error."""
    done = subprocess.run(
        [*TKEEP, "ls", str(plain)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=False,
    )

    assert done.returncode == 0
    assert b"3 \\xd7 4" in done.stdout


def test_piped_output_has_no_colours(plain: Path) -> None:
    """No escape sequence, even when the terminal would have colours."""
    done = subprocess.run(
        [*TKEEP, "ls", str(plain)], capture_output=True, env={**os.environ, "TERM": "xterm"}, check=True
    )

    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o nosort -F"), ("zsh", "#compdef tkeep"), ("fish", "complete --no-files")]
)
def test_completion_scripts_are_clicks(tkeep: Run, shell: str, mark: str) -> None:
    """The script of each shell."""
    result = tkeep("completion", shell)

    assert result.code == 0
    assert mark in result.out
    assert "_TKEEP_COMPLETE" in result.out


def test_the_shell_completes_commands_and_names(plain: Path) -> None:
    """What the script of bash asks for: command words, and the tensors of the file for `show`."""

    def answer(words: str, at: int) -> str:
        asked = {"_TKEEP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        return subprocess.run(TKEEP, capture_output=True, text=True, env={**os.environ, **asked}, check=False).stdout

    assert "verify" in answer("tkeep ver", 1)
    assert "encoder.0.bias" in answer(f"tkeep show {plain} enc", 3)


def test_formats_are_listed_as_they_are_known(tkeep: Run) -> None:
    """Every format of the table, with what it reads and writes."""
    from tensorkeep import formats

    document = json.loads(tkeep("formats", "--json").out)["formats"]
    rows = {row["name"]: row for row in document}

    assert list(rows) == formats.names()
    assert [name for name, row in rows.items() if row["write"]] == formats.names(written=True)
    assert all(row["read"] for row in rows.values())
    assert rows["safetensors"]["suffixes"] == [".safetensors"]
    assert rows["safetensors"]["salvage"]
    assert not rows["symbol"]["salvage"]
    assert "safetensors" in tkeep("formats").out


def test_no_exception_escapes_from_strange_files(tkeep: Run, tmp_path: Path) -> None:
    """Empty, short, text, page and zip-like files: a paragraph and exit code 3 (or "not provably data" of a scan)."""
    heads = [b"", b"\0", b"{", b"PK\x03\x04", b"\x80\x02", b"\x93NUMPY", b"<html><body>", b"version https://git-lfs"]
    for i, head in enumerate(heads):
        path = tmp_path / f"x{i}.bin"
        path.write_bytes(head)
        for command in (["ls"], ["show", "w"], ["scan"], ["diff", path]):
            result = tkeep(command[0], path, *command[1:])

            assert result.code in ((1, 3) if command == ["scan"] else (3,)), (head, command, result)
            assert result.code == 1 or result.err.startswith("tkeep: ")
