"""Let the n-th system call of a program fail, by strace: also calls of C code, which `testing.faults` does not see."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["SystemCall", "calls_on", "run_with_fault"]

_CALLS = (
    "openat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync,?rename,renameat,renameat2,"
    "?unlink,unlinkat,?mkdir,mkdirat,close,flock,fstat,newfstatat,getdents64,fchmod,fchown,statfs,fstatfs,pread64,read"
)


@dataclass(frozen=True, slots=True)
class SystemCall:
    """A call of a program on the watched folder: the `ordinal`-th (from 1) of its name in the program's main thread."""

    name: str
    ordinal: int


def calls_on(folder: str | os.PathLike[str], command: Sequence[str]) -> list[SystemCall]:
    """Run a program; its main thread's calls on the folder between `mark("begin")` and `mark("ack")`."""
    root = os.path.realpath(folder)
    found: list[SystemCall] = []
    counts: Counter[str] = Counter()
    inside = False
    main = ""
    for line in _traced(command, ["-e", f"trace={_CALLS},?access,faccessat,faccessat2"])[1].splitlines():
        matched = re.match(r"(\d+) +(\w+)\(", line)
        if matched is None:
            continue
        main = main or matched[1]
        if matched[1] != main:
            continue
        name = matched[2]
        if "tensorkeep-mark" in line:
            inside = '/tensorkeep-mark/begin"' in line
        else:
            counts[name] += 1
            if inside and root in line:
                found.append(SystemCall(name, counts[name]))
    return found


def run_with_fault(call: SystemCall, fault: str, command: Sequence[str]) -> tuple[int, str, bool]:
    """Run a program whose `call` fails with an errno's name, or that is killed there ("SIGKILL").

    Returns:
        The exit status (negative for a signal), what it wrote to stderr, and whether the fault was delivered.
    """
    how = f"signal={fault}" if fault.startswith("SIG") else f"error={fault}"
    options = ["-e", f"trace={call.name}", "-e", f"inject={call.name}:{how}:when={call.ordinal}"]
    done, log = _traced(command, options)
    return done.returncode, done.stderr, "(INJECTED)" in log or done.returncode in (-9, 137)


def _traced(command: Sequence[str], options: list[str]) -> tuple[subprocess.CompletedProcess[str], str]:
    # Two runs make the same calls only when they find the same bytecode and hash alike.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as log:
        strace = ["strace", "-f", "-qq", "-y", "-o", log.name, "-e", "signal=none", *options, "--", *command]
        done = subprocess.run(strace, capture_output=True, text=True, check=False, env=env)
        return done, log.read()
