"""The progress bar: in a terminal only, after a while only, gone at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tensorkeep.cli import _progress
from tensorkeep.cli._progress import progress, size_of
from tensorkeep.core.progress import advance

WORK = """
from tensorkeep.cli import _progress
from tensorkeep.core.progress import advance
_progress._QUIET_S = {quiet}
with _progress.progress("check x\\x1b[2J[red]", 1000):
    advance(250)
    advance(250)
    import sys
    print("rich" in sys.modules)
"""


def in_terminal(program: str, **variables: str) -> tuple[str, str]:
    """Run a program whose standard error is a terminal; what it prints, and what the terminal gets."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **variables},
            check=True,
        )
        os.close(slave)
        slave = -1
        shown = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the end of a terminal's output, on Linux
                break
            if not part:
                break
            shown += part
    finally:
        os.close(master)
        if slave >= 0:
            os.close(slave)
    return done.stdout.decode(), shown.decode()


def test_a_bar_is_drawn_and_taken_away() -> None:
    """Title (harmless), amount and total; at the end the line is erased."""
    printed, shown = in_terminal(WORK.format(quiet=-1))

    assert printed == "True\n"
    assert "check x\\x1b[2J[red]" in shown
    assert "/1.0 kB" in shown
    assert shown.rstrip("\r\n").endswith("\x1b[2K")


def test_quick_work_shows_nothing() -> None:
    """And rich is not imported for it."""
    assert in_terminal(WORK.format(quiet=1000)) == ("False\n", "")


def test_a_dumb_terminal_shows_nothing() -> None:
    """Logs that pretend to be terminals stay clean."""
    assert in_terminal(WORK.format(quiet=-1), TERM="dumb") == ("False\n", "")


def test_piped_errors_have_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing on standard error that is no terminal."""
    monkeypatch.setattr(_progress, "_QUIET_S", -1)
    with progress("x", 100):
        advance(10)

    assert capsys.readouterr().err == ""


def test_sizes_of_files_and_folders(tmp_path: Path) -> None:
    """What the total is taken from; nothing for what is not there."""
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"123")

    assert size_of(str(tmp_path / "a")) == 5
    assert size_of(str(tmp_path)) == 8
    assert size_of(str(tmp_path / "absent")) == 0
