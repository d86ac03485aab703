"""Profiler, engine and runtime: small, and true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tensorkeep.mxnet import engine, nd, profiler, runtime
from tensorkeep.mxnet.base import MXNetError


def test_trace_holds_what_ran(tmp_path: Path) -> None:
    """Tasks, counters, markers and operators are in the file, the table and the JSON, until they are reset."""
    path = tmp_path / "profile.json"
    profiler.set_config(filename=str(path), profile_all=True, aggregate_stats=True)
    domain = profiler.Domain("mine")
    task, counter = domain.new_task("my task"), domain.new_counter("steps", 1)
    profiler.set_state("run")
    task.start()
    nd.dot(nd.ones((2, 2)), nd.ones((2, 2)))
    task.stop()
    counter += 2
    domain.new_marker("here").mark()
    profiler.set_state("stop")
    table = profiler.dumps()
    rows = json.loads(profiler.dumps(format="json"))
    profiler.dump()
    profiler.dumps(reset=True)
    trace = json.loads(path.read_text())["traceEvents"]
    names = {event["name"] for event in trace}

    assert {"my task", "aten::mm", "steps", "here"} <= names
    assert next(event for event in trace if event["name"] == "steps")["args"] == {"steps": 3}
    assert table.startswith("Profile Statistics.")
    assert "my task" in table
    assert rows["Time"]["operator"]["my task"]["Count"] == 1
    assert set(rows) == {"Time", "Memory", "Unit"}
    assert set(rows["Time"]["operator"]["my task"]) == {"Count", "Total", "Min", "Max", "Avg"}
    assert "my task" not in profiler.dumps()


def test_options_that_mxnet_lacks_are_refused() -> None:
    """A misspelt option of the profiler is an error with its name."""
    with pytest.raises(MXNetError, match="Cannot find argument 'foo'"):
        profiler.set_config(foo=1)


def test_bulk_size_is_remembered_and_put_back() -> None:
    """Setting it tells the one before, and a block restores that."""
    before = engine.set_bulk_size(4)
    with engine.bulk(20):
        assert engine.set_bulk_size(20) == 20

    assert engine.set_bulk_size(before) == 4


def test_features_are_listed_by_name() -> None:
    """There is one list, asked for by names in any case; unknown ones are refused."""
    features = runtime.Features()

    assert features is runtime.Features()
    assert repr(features["TVM_OP"]) == "✖ TVM_OP"
    assert features.is_enabled("lapack")
    with pytest.raises(RuntimeError, match="Feature 'FOO' is unknown, known features are"):
        features.is_enabled("foo")
