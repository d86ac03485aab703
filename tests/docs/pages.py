"""Pages of the documentation as programs: their Python and their command lines are run, and what they print is compared.

In a page, a ```python block is run in the namespace of the blocks before it; a ```text block right after it is what it prints.
A ```console block holds `$ command` lines with their output. A block with title="name.py" becomes that file. In expected
output, … stands for anything within a line, and a line that is only … for any lines. Comments that readers do not see
prepare files:

    <!-- test: copy tests/golden/mxnet/gluon/cnn-0007.params cnn-0007.params -->
    <!-- test: python shared = 1 -->
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_PIECE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$|^<!-- test: (.*?) -->$", re.M | re.S)
_COMMANDS = ("tkeep ", "python ")


@dataclass
class Block:
    """A block of a page: its kind ("python", "text", "console" or "prepare"), its text, its line and the file it is."""

    kind: str
    text: str
    line: int
    title: str = ""


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page in their order; a ```text block that does not follow Python is left out."""
    text = page.read_text("utf-8")
    before = Block("", "", 0)
    end = 0
    for match in _PIECE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        title = re.search(r'title="([\w.-]+)"', match[2] or "")
        block = Block(match[1] or "prepare", match[3] or match[4], line, title[1] if title else "")
        follows = before.kind == "python" and not text[end : match.start()].strip()
        if block.kind in ("python", "console", "prepare") or (block.kind == "text" and follows):
            yield block
        before, end = block, match.end()


def run(page: Path) -> int:
    """Run a page in the working directory and return how many blocks were run; AssertionError where it is not as it says."""
    namespace: dict[str, Any] = {"__name__": "page"}
    printed = ""
    count = 0
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.kind == "prepare":
            prepare(block.text, namespace)
            continue
        count += 1
        if block.title:
            Path(block.title).write_text(block.text, "utf-8")
        elif block.kind == "python":
            printed = run_python(block, where, namespace)
        elif block.kind == "text":
            assert fits(printed, block.text), f"{where} shows\n{block.text}\nbut the lines above print\n{printed}"
        else:
            run_console(block.text, where)
    return count


def prepare(text: str, namespace: dict[str, Any]) -> None:
    """Carry out a comment: copy a file of the checkout, or run a line of Python."""
    verb, _, rest = text.partition(" ")
    if verb == "copy":
        source, target = rest.split()
        shutil.copy(ROOT / source, target)
    else:
        assert verb == "python", text
        exec(rest, namespace)


def run_python(block: Block, where: str, namespace: dict[str, Any]) -> str:
    """Run a block and return what it prints."""
    out = io.StringIO()
    code = compile("\n" * block.line + block.text, where, "exec")  # so that a traceback shows the page's own line
    with contextlib.redirect_stdout(out):
        exec(code, namespace)
    return out.getvalue()


def run_console(text: str, where: str) -> None:
    """Run the `$` lines of a console block in a shell and compare what they print, where the page shows that."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, expected = part.partition("\n")
        assert command.startswith(_COMMANDS), f"{where}: {command}: only tkeep and python are run"
        done = subprocess.run(
            command,
            shell=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PATH": path, "PYTHONIOENCODING": "utf-8"},
            timeout=120,
        )
        shown = re.sub(r"  +#.*$", "", command)
        assert done.returncode < 4, f"{where}: {shown} ended with {done.returncode}\n{done.stdout}"
        shows_failure = expected.strip() and command.startswith("tkeep ")
        assert shows_failure or not done.returncode, f"{where}: {shown} ended with {done.returncode}\n{done.stdout}"
        if expected.strip():
            assert fits(done.stdout, expected), f"{where}: {shown} shows\n{expected}\nbut prints\n{done.stdout}"


def fits(printed: str, expected: str) -> bool:
    """Whether a text is as the page shows it: … is anything within a line, a line of … any lines; spacing at ends is free."""
    lines = [line.rstrip() for line in expected.strip("\n").splitlines()]
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line).replace("…", ".*?") + r"\n" for line in lines
    )
    text = "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, text) is not None
