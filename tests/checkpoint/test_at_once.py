"""Several at once: readers beside a writer that removes, threads that save, forks, interrupts; and numbers of every kind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.checkpoint import checkpointer as module
from tensorkeep.checkpoint.steps import Step
from tensorkeep.testing.crash import same

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")


def test_a_step_that_vanishes_under_a_reader_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer saves a newer one and removes what is being restored: the newer one is restored, without a warning."""
    writer, reader = tk.Checkpointer(tmp_path, keep=tk.keep_last(1)), tk.Checkpointer(tmp_path, signals=False)
    writer.save(0, {"w": np.zeros(3)})
    opened = Step.open
    seen = []

    def late(self: Step) -> Any:
        if self.step not in seen:
            seen.append(self.step)
            if self.step < 2:
                writer.save(self.step + 1, {"w": np.full(3, self.step + 1.0)})
        return opened(self)

    monkeypatch.setattr(Step, "open", late)
    found = reader.restore()
    writer.close()

    assert found is not None
    assert (found.step, found.skipped, seen) == (2, (), [0, 1, 2])
    shutil.rmtree(found.path)
    with pytest.raises(tk.CorruptFileError, match="no longer there"):
        found.load()


def test_threads_that_save_take_turns(tmp_path: Path) -> None:
    """Every step is whole; waiting and closing from several threads at once is fine."""
    errors: list[BaseException] = []
    with tk.Checkpointer(tmp_path, keep=tk.keep_all(), signals=False) as ckpt:

        def saver(first: int) -> None:
            try:
                for i in range(first, 12, 3):
                    ckpt.save(i, {"w": np.full(1_000, i)}, background=True)
                    ckpt.wait()
                ckpt.close()
                ckpt.close()
            except BaseException as err:  # noqa: BLE001  # told below
                errors.append(err)

        threads = [threading.Thread(target=saver, args=(first,)) for first in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert errors == []
    assert [step.step for step in ckpt.steps()] == list(range(12))
    assert not any(step.damage() for step in ckpt.steps())


FORKED = """
import os, signal, sys
import numpy as np
import tensorkeep as tk

ckpt = tk.Checkpointer(sys.argv[1])
ckpt.save(0, {"w": np.zeros(3)})
read, write = os.pipe()
child = os.fork()
if child == 0:
    try:
        ckpt.save(1, {"w": np.ones(3)})
        os.write(write, b"saved")
    except tk.WriterConflictError:
        os.write(write, b"refused")
    signal.pause()
    os._exit(0)
said = os.read(read, 20).decode()
ckpt.close()
with tk.Checkpointer(sys.argv[1]) as other:
    other.save(2, {"w": np.ones(3)})
os.kill(child, signal.SIGTERM)
print(said, [step.step for step in ckpt.steps()], os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@posix
def test_a_fork_holds_no_lock_and_hears_signals_as_before(tmp_path: Path) -> None:
    """A worker may not save beside its parent, ends at SIGTERM, and does not keep the directory when the parent is gone.

    In an interpreter of its own: signal handlers, and threads that forbid a fork, are whatever other tests' libraries left.
    """
    run = subprocess.run([sys.executable, "-c", FORKED, tmp_path], capture_output=True, text=True, timeout=60)

    assert run.stderr == ""
    assert run.stdout.split(maxsplit=1) == ["refused", f"[0, 2] {-signal.SIGTERM}\n"]


@pytest.mark.parametrize("call", ["write_files", "write_indexes", "write_bytes"])
def test_an_interrupt_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Ctrl-C in the middle of a save: it goes on to the caller, no draft stays, the next save works."""
    from tensorkeep.checkpoint import commit

    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, {"w": np.zeros(3)})
        with monkeypatch.context() as patch:
            patch.setattr(commit, call, interrupted)
            with pytest.raises(KeyboardInterrupt):
                ckpt.save(1, {"w": np.ones(3)})

        assert sorted(os.listdir(tmp_path)) == [".lock", "step-0000000000"]
        ckpt.save(1, {"w": np.ones(3)})
        assert same(ckpt.load(1), {"w": np.ones(3)})


def test_a_step_that_cannot_be_read_now_is_not_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing read is no proof of damage: the save is refused, and the step stays where it is."""

    def failing(*args: Any, **options: Any) -> Any:
        raise OSError(5, "Input/output error", str(tmp_path))

    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, {"w": np.zeros(3)})
        with monkeypatch.context() as patch:
            patch.setattr(module.Step, "proven_damage", failing)
            with pytest.raises(tk.SaveError, match="steps that are there are untouched"):
                ckpt.save(0, {"w": np.ones(3)})

        assert [step.step for step in ckpt.steps()] == [0]
        assert not ckpt.steps()[0].damage()


def test_metrics_and_steps_are_numbers_of_any_library(tmp_path: Path) -> None:
    """Scalars of NumPy and torch, NaN and infinities; what is no single number is named."""
    torch = pytest.importorskip("torch")
    given = {
        "a": np.float32(0.5),
        "b": torch.tensor(2.0),
        "c": float("nan"),
        "d": float("-inf"),
        "e": 3,
        "f": np.int8(4),
    }
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(np.int64(5), {"w": np.zeros(2)}, metrics=given)
        metrics = dict(ckpt.steps()[0].metrics)
        for bad in ("low", torch.ones(2), None, 1j):
            with pytest.raises(tk.UnsupportedDataError, match=r"metrics\['x'\] is a"):
                ckpt.save(6, {"w": np.zeros(2)}, metrics={"x": bad})

    assert repr(metrics.pop("c")) == "nan"
    assert metrics == {"a": 0.5, "b": 2.0, "d": float("-inf"), "e": 3.0, "f": 4.0}
    assert [step.step for step in ckpt.steps()] == [5]


@pytest.mark.parametrize(
    "state",
    [
        {
            key: np.arange(3.0)
            for key in ("", ".", "..", "a.b", "a/b", "/etc", "é", "日本", "x" * 400, "rng", "state", "A", "a")
        },
        {"a": {"b": np.zeros(1)}, "a.b": np.ones(1)},
        {
            "scalar": np.float64(1.0),
            "zero": np.zeros(()),
            "empty": np.zeros((0, 4)),
            "view": np.arange(12.0).reshape(3, 4).T[::2],
        },
        [np.arange(3), {"x": np.ones(2)}, None, "text"],
        np.arange(6).reshape(2, 3),
        {"many": {f"t{i}": np.full(2, i) for i in range(2_000)}},
    ],
    ids=["names", "dots", "shapes", "list", "array", "many"],
)
def test_states_of_every_shape_come_back(tmp_path: Path, state: Any) -> None:
    """Names are keys and never paths; what is no dict is itself again."""
    with tk.Checkpointer(tmp_path / "run", signals=False) as ckpt:
        ckpt.save(0, state)

        assert same(ckpt.load(0), state)
    assert os.listdir(tmp_path) == ["run"]


def test_torch_dtypes_come_back(tmp_path: Path) -> None:
    """bfloat16, float8 and a view with gaps are filled in place."""
    torch = pytest.importorskip("torch")
    state = {
        "bf16": torch.arange(4).to(torch.bfloat16),
        "f8": torch.arange(4).to(torch.float8_e4m3fn),
        "gaps": torch.arange(12.0).reshape(3, 4)[:, ::2],
    }
    empty = {name: torch.zeros_like(value) for name, value in state.items()}
    with tk.Checkpointer(tmp_path, signals=False) as ckpt:
        ckpt.save(0, state)
        ckpt.restore(empty)

    for name, value in state.items():
        assert torch.equal(empty[name].float(), value.float()), name


def test_an_object_that_fails_in_the_middle_of_a_restore_is_told(tmp_path: Path) -> None:
    """Its own error, with a note on what the state is now; the step is untouched and restores elsewhere."""

    class Broken:
        def state_dict(self) -> dict[str, int]:
            return {"n": 1}

        def load_state_dict(self, state: dict[str, int]) -> None:
            raise RuntimeError("no")

    with tk.Checkpointer(tmp_path, signals=False) as ckpt:
        ckpt.save(0, {"w": np.ones(2), "object": Broken()})
        with pytest.raises(RuntimeError, match="no") as caught:
            ckpt.restore({"w": np.zeros(2), "object": Broken()})

        assert "0 of 1 objects are those of the step" in caught.value.__notes__[0]
        assert ckpt.load(0)["object"] == {"n": 1}
