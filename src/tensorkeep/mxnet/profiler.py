"""mx.profiler: what takes how long, measured by torch's profiler; dump() writes the trace that browsers show.

Of `set_config` the filename counts, and whether statistics are aggregated; torch records every operator in any case.
"""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from typing import Any

import torch

from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.storage.atomic import replace_file

__all__ = [
    "Counter", "Domain", "Event", "Frame", "Marker", "Task", "dump", "dump_profile", "dumps", "pause",
    "profiler_set_config", "profiler_set_state", "resume", "set_config", "set_kvstore_handle", "set_state",
]  # fmt: skip

_OPTIONS = frozenset((
    "filename", "profile_all", "profile_symbolic", "profile_imperative", "profile_memory", "profile_api",
    "continuous_dump", "dump_period", "aggregate_stats", "profile_process",
))  # fmt: skip
_SORTED_BY = ("total", "avg", "min", "max", "count")


class _Profile:
    """The one profile of the process."""

    def __init__(self) -> None:
        self.filename = "profile.json"
        self.running: Any = None
        self.finished: list[Any] = []
        self.marks: list[dict[str, Any]] = []

    def start(self) -> None:
        if self.running is None:
            activities = [torch.profiler.ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(torch.profiler.ProfilerActivity.CUDA)
            self.running = torch.profiler.profile(activities=activities)
            self.running.start()

    def stop(self) -> None:
        if self.running is not None:
            self.running.stop()
            self.finished.append(self.running)
            self.running = None

    def events(self) -> list[tuple[str, float, float]]:
        """(name, start, duration), in microseconds, of everything that was measured until the last stop."""
        return [
            (event.name, event.time_range.start, event.time_range.elapsed_us())
            for profile in self.finished
            for event in profile.events() or []
        ]


_PROFILE = _Profile()


def set_config(**kwargs: Any) -> None:
    """Choose the file that dump() writes (filename="profile.json"); MXNet's other options are accepted.

    Raises:
        MXNetError: MXNet has no such option.
    """
    unknown = sorted(set(kwargs) - _OPTIONS)
    if unknown:
        raise MXNetError(f"Cannot find argument '{unknown[0]}', Possible Arguments: {', '.join(sorted(_OPTIONS))}")
    _PROFILE.filename = kwargs.get("filename", _PROFILE.filename)


def profiler_set_config(mode: str = "symbolic", filename: str = "profile.json") -> None:
    """What set_config does, under its old name."""
    warnings.warn(
        "profiler.profiler_set_config() is deprecated. Please use profiler.set_config() instead", stacklevel=2
    )
    set_config(**{f"profile_{mode}": True, "filename": filename})


def set_state(state: str = "stop", profile_process: str = "worker") -> None:
    """Start ("run") or stop ("stop") measuring.

    Raises:
        KeyError: another word.
    """
    {"run": _PROFILE.start, "stop": _PROFILE.stop}[state]()


def profiler_set_state(state: str = "stop") -> None:
    """What set_state does, under its old name."""
    warnings.warn("profiler.profiler_set_state() is deprecated. Please use profiler.set_state() instead", stacklevel=2)
    set_state(state)


def pause(profile_process: str = "worker") -> None:
    """Stop measuring for a while."""
    _PROFILE.stop()


def resume(profile_process: str = "worker") -> None:
    """Go on measuring."""
    _PROFILE.start()


def dump(finished: bool = True, profile_process: str = "worker") -> None:
    """Write what was measured to the file of set_config, in Chrome's trace format.

    Args:
        finished: stop measuring first; otherwise what is being measured goes on and is written by the next dump().
    """
    goes_on = not finished and _PROFILE.running is not None
    _PROFILE.stop()
    if goes_on:
        _PROFILE.start()
    trace = [
        {"name": name, "ph": "X", "ts": start, "dur": duration, "pid": 0, "tid": 0, "cat": "operator"}
        for name, start, duration in _PROFILE.events()
    ]
    text = json.dumps({"traceEvents": [*trace, *_PROFILE.marks], "displayTimeUnit": "ms"})
    with replace_file(_PROFILE.filename) as file:
        file.write(text.encode())


def dump_profile() -> None:
    """What dump() does, under its old name."""
    warnings.warn("profiler.dump_profile() is deprecated. Please use profiler.dump() instead", stacklevel=2)
    dump()


def dumps(reset: bool = False, format: str = "table", sort_by: str = "total", ascending: bool = False) -> str:
    """How often each operator ran and how long it took, in milliseconds, as a table or as JSON.

    Args:
        reset: forget what was measured.
        format: "table" or "json".
        sort_by: "total", "avg", "min", "max" or "count".
    """
    assert format in ("table", "json"), f"Invalid value provided for format: {format}. Support: 'table', 'json'"
    assert sort_by in _SORTED_BY, (
        f"Invalid value provided for sort_by: {sort_by}. Support: 'total', 'avg', 'min', 'max', 'count'"
    )
    times: dict[str, list[float]] = {}
    for name, _, duration in _PROFILE.events():
        times.setdefault(name, []).append(duration / 1000)
    rows = [
        {"name": name, "count": len(t), "total": sum(t), "min": min(t), "max": max(t), "avg": sum(t) / len(t)}
        for name, t in times.items()
    ]
    rows.sort(key=lambda row: row[sort_by], reverse=not ascending)
    if reset:
        _PROFILE.finished.clear()
        _PROFILE.marks.clear()
    if format == "json":
        operators = {str(row.pop("name")): {key.capitalize(): value for key, value in row.items()} for row in rows}
        # torch's profile of memory is not asked for, so that there is none; MXNet's readers look for the key.
        return json.dumps({"Time": {"operator": operators}, "Memory": {}, "Unit": {"Time": "ms", "Memory": "kB"}})
    lines = ["Profile Statistics.", f"{'Name':40}{'Total Count':>14}{'Time (ms)':>14}{'Min':>12}{'Max':>12}{'Avg':>12}"]
    for row in rows:
        numbers = "".join(f"{row[key]:12.4f}" for key in ("min", "max", "avg"))
        lines.append(f"{row['name']!s:40.40}{row['count']:14}{row['total']:14.4f}{numbers}")
    return "\n".join(lines) + "\n"


def set_kvstore_handle(handle: Any) -> None:
    """Nothing: there are no parameter servers to profile."""


class _Span:
    """Something that takes time between start() and stop(), by name in the profile."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._range: Any = None

    def start(self) -> None:
        """Begin it."""
        self._range = contextlib.ExitStack()
        self._range.enter_context(torch.profiler.record_function(self.name))

    def stop(self) -> None:
        """End it."""
        if self._range is not None:
            self._range.close()
            self._range = None

    def __str__(self) -> str:
        return self.name


class Domain:
    """A group of tasks, frames, counters and markers."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def new_task(self, name: str) -> Task:
        """A Task of this domain."""
        return Task(self, name)

    def new_frame(self, name: str) -> Frame:
        """A Frame of this domain."""
        return Frame(self, name)

    def new_counter(self, name: str, value: int | None = None) -> Counter:
        """A Counter of this domain."""
        return Counter(self, name, value)

    def new_marker(self, name: str) -> Marker:
        """A Marker of this domain."""
        return Marker(self, name)


class Task(_Span):
    """A piece of work."""

    def __init__(self, domain: Domain, name: str) -> None:
        super().__init__(name)
        self.domain = domain


class Frame(_Span):
    """One round of something that repeats."""

    def __init__(self, domain: Domain, name: str) -> None:
        super().__init__(name)
        self.domain = domain


class Event(_Span):
    """A piece of work that belongs to no domain."""


class Counter:
    """A number that changes."""

    def __init__(self, domain: Domain, name: str, value: int | None = None) -> None:
        self.domain = domain
        self.name = name
        self.value = 0
        if value is not None:
            self.set_value(value)

    def set_value(self, value: int) -> None:
        """Set the number."""
        self.value = int(value)
        _mark(self.name, "C", {"args": {self.name: self.value}})

    def increment(self, delta: int = 1) -> None:
        """Add to the number."""
        self.set_value(self.value + int(delta))

    def decrement(self, delta: int = 1) -> None:
        """Take from the number."""
        self.set_value(self.value - int(delta))

    def __iadd__(self, delta: int) -> Counter:
        self.increment(delta)
        return self

    def __isub__(self, delta: int) -> Counter:
        self.decrement(delta)
        return self

    def __str__(self) -> str:
        return self.name


class Marker:
    """A moment."""

    def __init__(self, domain: Domain, name: str) -> None:
        self.domain = domain
        self.name = name

    def mark(self, scope: str = "process") -> None:
        """Note that it happened now."""
        _mark(self.name, "i", {"s": scope[:1]})


def _mark(name: str, phase: str, more: dict[str, Any]) -> None:
    if _PROFILE.running is not None:
        _PROFILE.marks.append({"name": name, "ph": phase, "ts": time.time_ns() / 1000, "pid": 0, "tid": 0, **more})


claim(globals())
