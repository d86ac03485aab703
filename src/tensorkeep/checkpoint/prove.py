"""Is a resume exact? A script is run whole, then killed and resumed, and what both runs saved is compared to the bit.

The script needs no change: while `VARIABLE` is set, every Checkpointer in it writes below that folder, keeps all its steps,
and saves its last state when it is closed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorkeep.checkpoint.steps import HIDDEN, Step, list_steps
from tensorkeep.core.tree import leaves
from tensorkeep.errors import TensorkeepError

__all__ = ["VARIABLE", "Proof", "ProofError", "compare", "prove", "redirected"]

VARIABLE = "TENSORKEEP_PROVE"
_POLL_S = 0.02
_ATTEMPTS = 5


class ProofError(TensorkeepError, RuntimeError):
    """The script could not be run as the proof needs it; the text says why. Nothing outside the scratch folder was written."""


@dataclass(frozen=True)
class Proof:
    """What came of it.

    Attributes:
        exact: whether everything that both runs saved is equal, to the bit.
        killed_after: the newest step that was there when the second run was killed.
        steps: how many steps were compared.
        values: how many tensors and values were compared in them.
        difference: the first thing that differs, in words; "" when nothing does.
    """

    exact: bool
    killed_after: int
    steps: int
    values: int
    difference: str


def redirected(directory: str) -> str | None:
    """Where a Checkpointer writes while a proof is under way; None otherwise."""
    scratch = os.environ.get(VARIABLE)
    if not scratch:
        return None
    return os.path.join(scratch, os.path.abspath(directory).strip(os.sep).replace(os.sep, "~"))


def prove(
    command: Sequence[str],
    *,
    kills: int = 1,
    seed: int | None = None,
    timeout_s: float = 3600.0,
    say: Callable[[str], None] = lambda line: None,
) -> Proof:
    """Run `command` whole, then killed with SIGKILL at a random moment and started again, and compare.

    Args:
        command: a Python script and its arguments. It must use a Checkpointer, restore from it, and end by itself.
        kills: how often the second run is killed.
        seed: of the moments; None for different ones each time.
        timeout_s: for one run.
        say: told what is under way.
    Raises:
        ProofError: the script fails, saves nothing, or ends before it can be killed.
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="tensorkeep-prove-") as scratch:
        whole, cut = Path(scratch, "whole"), Path(scratch, "cut")
        say("running the script to its end")
        _finish(_start(command, whole), timeout_s, command)
        count = len(_steps(whole))
        if count < 2:
            raise ProofError(
                f"The script saved {count} steps; at least 2 are needed, one before the kill and one after. Save more often: "
                "every=tk.every(steps=…)."
            )
        killed_after = -1
        for _ in range(kills):
            killed_after = _kill(command, cut, count, chance, say)
        say("resuming, to the end")
        _finish(_start(command, cut), timeout_s, command)
        return compare(_steps(whole), _steps(cut), killed_after)


def _start(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, VARIABLE: str(folder), "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0")}
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _finish(process: subprocess.Popen[bytes], timeout_s: float, command: Sequence[str]) -> None:
    try:
        _, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        raise ProofError(f"{command[0]} did not end within {timeout_s:.0f} s.") from None
    except BaseException:
        _end(process)
        raise
    if process.returncode:
        tail = err.decode("utf-8", "replace").strip().splitlines()[-12:]
        raise ProofError("\n".join([f"{command[0]} ended with exit status {process.returncode}:", *tail]))


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the script and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _kill(command: Sequence[str], folder: Path, count: int, chance: random.Random, say: Callable[[str], None]) -> int:
    """Run until a random number of steps is there, and a random moment longer; then SIGKILL. The newest step that is left."""
    for _ in range(_ATTEMPTS):
        before = len(_steps(folder))
        if before >= count - 1:
            break
        wanted = chance.randint(before + 1, max(before + 1, count - 2))
        say(f"killing it after {wanted} of {count} saves")
        process = _start(command, folder)
        try:
            seen, at, gap = before, time.monotonic(), 0.0
            while process.poll() is None and seen < wanted:
                time.sleep(_POLL_S)
                now, there = time.monotonic(), len(_steps(folder))
                if there > seen:
                    # Between the first save of this process and the one before lies its start, which tells nothing.
                    gap = (now - at) / (there - seen) if seen > before else _POLL_S
                    seen, at = there, now
            if process.poll() is None:
                time.sleep(chance.random() * gap)
        finally:
            ended = process.poll() is not None
            if not ended:
                _end(process)
        if not ended:
            return _steps(folder)[-1].step
        if process.returncode:
            _finish(process, 1.0, command)
        process.communicate()
        for each in sorted(folder.iterdir()):
            for step in list_steps(str(each), kind=None):
                _remove(Path(step.path))
    raise ProofError(
        "The script ends too quickly to be killed between two saves. Let it run longer, or save more often."
    )


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)


def _steps(folder: Path) -> list[Step]:
    """The steps of the script's Checkpointers; of several, of the first by name."""
    if not folder.is_dir():
        return []
    found = [list_steps(str(each)) for each in sorted(folder.iterdir())]
    return next((steps for steps in found if steps), [])


def compare(whole: Sequence[Step], cut: Sequence[Step], killed_after: int) -> Proof:
    """Compare the steps that both runs have, in their order."""
    others = {each.step: each for each in cut}
    steps = values = 0
    for each in whole:
        other = others.get(each.step)
        if other is None:
            continue
        steps += 1
        a, b = _values(each), _values(other)
        for name in [*a, *(key for key in b if key not in a)]:
            values += 1
            line = _difference(a, b, name)
            if line:
                return Proof(False, killed_after, steps, values, f"step {each.step}: {name or 'the state'}: {line}")
    last = whole[-1].step
    if last not in others:
        got = max(others, default=-1)
        return Proof(
            False, killed_after, steps, values, f"the whole run ended at step {last}, the resumed one at step {got}."
        )
    return Proof(True, killed_after, steps, values, "")


def _values(step: Step) -> dict[str, Any]:
    """What a step holds, by path, without the generators: one that the script never seeds begins anywhere, and one that it
    uses shows in what it made."""
    entries = step.manifest.entries
    tree = {key: value for key, value in step.load().items() if entries.get(str(key)) not in HIDDEN}
    return dict(leaves(tree))


def _difference(a: dict[str, Any], b: dict[str, Any], name: str) -> str:
    import numpy as np

    if name not in a or name not in b:
        return f"only the {'whole' if name in a else 'resumed'} run has it."
    x, y = a[name], b[name]
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        if x.shape != y.shape or x.dtype != y.dtype:
            return f"{x.dtype} {list(x.shape)} in the whole run, {y.dtype} {list(y.shape)} in the resumed one."
        if x.tobytes() == y.tobytes():
            return ""
        count = int(np.count_nonzero(x != y))
        with np.errstate(all="ignore"):
            far = float(np.max(np.abs(x.astype(np.float64) - y.astype(np.float64)))) if x.dtype.kind in "fiu" else 0.0
        return f"{count} of {x.size} elements differ, by at most {far:.3g}."
    return "" if repr(x) == repr(y) else f"{x!r:.60} in the whole run, {y!r:.60} in the resumed one."
