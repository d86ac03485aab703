"""Rebuild each state that a crash may leave, read it, and judge: the old data, the new data, or a failure."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorkeep.testing._equal import same as same_data
from tensorkeep.testing.crash.model import MODELS, State, states
from tensorkeep.testing.crash.trace import Recording

__all__ = ["Report", "examine", "rebuild"]

_ROUNDS = 20  # of drawing mixtures of sectors, when so many different states are asked for


@dataclass
class Report:
    """What became of the data in the states that were examined.

    Attributes:
        states: how many states were examined, by model.
        distinct: how many of them are different folders (or owe different data).
        lost: neither the old nor the new data could be read.
        wrong: something else was read, and no error said so.
        unacknowledged: the save had been acknowledged, but the new data are not there.
    """

    states: Counter[str] = field(default_factory=Counter)
    distinct: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unacknowledged: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no state is a failure."""
        return not (self.lost or self.wrong or self.unacknowledged)

    @property
    def total(self) -> int:
        """How many states were examined in all models."""
        return sum(self.states.values())

    def __str__(self) -> str:
        text = f"{self.total} states ({self.distinct} distinct): {len(self.lost)} lost, {len(self.wrong)} wrong, "
        text += f"{len(self.unacknowledged)} acknowledged but not new"
        for kind in ("lost", "wrong", "unacknowledged"):
            text += "".join(f"\n  {kind}: {line}" for line in getattr(self, kind)[:5])
        return text


def examine(
    recording: Recording,
    read: Callable[[Path], Any],
    *,
    old: Any,
    new: Any,
    same: Callable[[Any, Any], bool] = same_data,
    models: Sequence[str] = MODELS,
    samples: int = 40,
    at_least: int = 0,
) -> Report:
    """Read every state of a recorded save and judge it.

    Args:
        recording: from `record`.
        read: gets a folder, returns its data (verified), None when the file is not there; raises when it is damaged.
        old, new: what may be there before the acknowledgement; after it only `new`. None for "no file".
        same: whether what was read is one of them.
        samples: see `states`.
        at_least: so many different states; more mixtures of sectors are drawn until they are reached.
    """
    report = Report()
    seen: dict[Any, tuple[str, str]] = {}
    owed: set[Any] = set()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as scratch:
        for seed in range(_ROUNDS):
            for model in models:
                for state in states(recording, model, samples=samples, seed=seed):
                    report.states[model] += 1
                    key = _key(state.tree)
                    if key not in seen:
                        seen[key] = _read(state.tree, Path(scratch) / "state", read, old, new, same)
                    if (key, state.acknowledged) not in owed:
                        owed.add((key, state.acknowledged))
                        _judge(report, state, *seen[key])
            if len(owed) >= at_least:
                break
    report.distinct = len(owed)
    return report


def _judge(report: Report, state: State, verdict: str, detail: str) -> None:
    line = f"{state.model}, crash after {state.after} calls, {state.how or 'nothing lost'}: {detail}"
    if verdict in ("lost", "wrong"):
        getattr(report, verdict).append(line)
    elif verdict == "old" and state.acknowledged:
        report.unacknowledged.append(line)


def _read(
    tree: Mapping[str, bytes | None],
    folder: Path,
    read: Callable[[Path], Any],
    old: Any,
    new: Any,
    same: Callable[[Any, Any], bool],
) -> tuple[str, str]:
    rebuild(tree, folder)
    try:
        value = read(folder)
    except Exception as err:  # noqa: BLE001  # whatever a reader raises, the data could not be read
        return "lost", f"{type(err).__name__}: {err}"
    if same(value, new):
        return "new", "the new data"
    if same(value, old):
        return "old", "the old data" if old is not None else "no file"
    return "wrong", "no file" if value is None else f"other data, of type {type(value).__name__}"


def rebuild(tree: Mapping[str, bytes | None], folder: Path) -> None:
    """Make `folder` hold exactly the tree."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for path, data in sorted(tree.items()):
        if data is None:
            (folder / path).mkdir(parents=True, exist_ok=True)
        else:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


def _key(tree: Mapping[str, bytes | None]) -> frozenset[tuple[str, bytes]]:
    import xxhash

    return frozenset(
        (path, b"folder" if data is None else xxhash.xxh3_128(data).digest()) for path, data in tree.items()
    )
