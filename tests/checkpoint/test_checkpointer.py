"""Steps saved and restored: exactly, in the background, over damage, against a second writer, on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.checkpoint import checkpointer as module
from tensorkeep.testing.crash import same

torch = pytest.importorskip("torch")
nn = torch.nn


def arrays(version: int, count: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(version)
    return {
        "w": rng.standard_normal((4, 5)),
        "layers": [rng.standard_normal(3) for _ in range(count)],
        "epoch": version,
    }


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.unlink()  # other steps may share the file
    path.write_bytes(data)


class Training:
    """A little run with everything that a resume needs: frozen layer, dropout, AdamW, schedule, history."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 2))
        self.net[0].weight.requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-2)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 5)
        self.state: dict[str, Any] = {
            "model": self.net, "optimizer": self.optimizer, "scheduler": self.scheduler, "history": [],
        }  # fmt: skip
        torch.manual_seed(1)

    def step(self) -> float:
        x, y = torch.randn(4, 8), torch.randn(4, 2)
        loss = ((self.net(x) - y) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        self.state["history"].append(loss.item())
        return loss.item()

    def bits(self) -> list[bytes]:
        return [value.numpy().tobytes() for value in self.net.state_dict().values()]


@pytest.mark.parametrize("stop", [0, 4, 5, 11])
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    """Wherever it stops: weights, moments, schedule, dropout's generator and the history go on as if nothing had been."""
    whole = Training()
    for _ in range(20):
        whole.step()

    first = Training()
    with tk.Checkpointer(tmp_path, every=tk.every(steps=3)) as ckpt:
        for i in range(stop + 1):
            ckpt.step(i, first.state, {"loss": first.step()})
    again = Training()
    with tk.Checkpointer(tmp_path, every=tk.every(steps=3)) as ckpt:
        start = ckpt.restore(again.state)
        for i in range(start.step + 1 if start else 0, 20):
            ckpt.step(i, again.state, {"loss": again.step()})

    assert again.bits() == whole.bits()
    assert again.state["history"] == whole.state["history"]
    assert again.scheduler.get_last_lr() == whole.scheduler.get_last_lr()


def test_the_state_comes_back_as_it_was_given(tmp_path: Path) -> None:
    """`load` needs no model: arrays, lists, numbers; a step's file is a safetensors file of its entry."""
    from safetensors.numpy import load_file

    with tk.Checkpointer(tmp_path) as ckpt:
        handle = ckpt.save(7, arrays(1), metrics={"loss": 0.5})

        assert handle.done
        assert same(ckpt.load(7), arrays(1))
    step = tk.Checkpointer(tmp_path).latest()
    assert step is not None
    assert step.metrics == {"loss": 0.5}
    assert np.array_equal(load_file(Path(step.path) / "layers.safetensors")["1"], arrays(1)["layers"][1])


def test_arrays_are_filled_in_place_and_plain_values_replaced(tmp_path: Path) -> None:
    """A NumPy array that somebody else holds gets the values; the epoch is the step's."""
    state = arrays(2)
    held = state["w"]
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, arrays(1))

        ckpt.restore(state)

    assert state["w"] is held
    assert same(state, arrays(1))


def test_optimizer_state_is_stored_by_the_names_of_parameters(tmp_path: Path) -> None:
    """So that it fits when parameters are added or come in another order."""
    training = Training()
    training.step()
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, training.state)
        saved = ckpt.load(0)["optimizer"]
    other = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 2), nn.Linear(2, 2))
    reordered = torch.optim.AdamW([other[3].weight, *other[4].parameters()], lr=1.0)

    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.restore({"model": other, "optimizer": reordered}, strict=False)

    assert saved["param_groups"][0]["params"] == [name for name, _ in training.net.named_parameters()]
    assert np.array_equal(reordered.state[other[3].weight]["exp_avg"], saved["state"]["3.weight"]["exp_avg"])
    assert other[4].weight not in reordered.state
    assert reordered.param_groups[0]["lr"] == 1e-2


def test_what_does_not_change_is_linked_from_the_third_save_on(tmp_path: Path) -> None:
    """The cold file costs no bytes, and deleting any step harms no other."""
    state = {"model": {f"t{i}": np.full(300_000, i, np.float32) for i in range(10)}}
    with tk.Checkpointer(tmp_path, keep=tk.keep_all(), generators=False) as ckpt:
        for i in range(4):
            state["model"]["t3"][:] = 100 + i
            handle = ckpt.save(i, state)
        steps = ckpt.steps()
        last = Path(steps[-1].path)

        assert handle.nbytes_written == 1_200_000
        cold, hot = sorted(steps[-1].manifest.files.items(), key=lambda item: -item[1].nbytes)
        assert os.stat(last / cold[0]).st_nlink > 1
        assert os.stat(last / hot[0]).st_nlink == 1
        shutil.rmtree(steps[2].path)
        assert same(ckpt.load(3), state)
        assert not any(step.damage() for step in ckpt.steps())
        index = json.loads((last / "model.safetensors.index.json").read_text())
        assert index["weight_map"]["t3"] == hot[0]


def test_no_file_holds_a_stale_tensor(tmp_path: Path) -> None:
    """A cold tensor that changes after all takes its file along: other readers find one value for each name."""
    from safetensors.numpy import load_file

    state = {"model": {f"t{i}": np.full(300_000, i, np.float32) for i in range(4)}}
    with tk.Checkpointer(tmp_path, keep=tk.keep_all(), generators=False) as ckpt:
        for i, changed in enumerate(["t0", "t0", "t0", "t2", "t2", "t1"]):
            state["model"][changed] = state["model"][changed] + 1
            ckpt.save(i, state)
            names = [n for f in ckpt.steps()[-1].manifest.files for n in load_file(Path(ckpt.steps()[-1].path) / f)]

            assert sorted(names) == ["t0", "t1", "t2", "t3"]
            assert same(ckpt.load(i), state)


def test_a_background_save_holds_the_values_of_its_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training goes on changing the arrays while threads write; tensors that did not change are not copied at all."""
    gate = threading.Event()
    write = module.write_step

    def slow(*args: Any, **options: Any) -> Any:
        gate.wait(30)
        return write(*args, **options)

    state = {"model": {f"t{i}": np.full(50_000, i, np.float32) for i in range(4)}}
    with tk.Checkpointer(tmp_path, keep=tk.keep_all()) as ckpt:
        ckpt.save(0, state)
        state["model"]["t0"] += 1
        ckpt.save(1, state)
        monkeypatch.setattr(module, "write_step", slow)
        state["model"]["t0"] += 1
        handle = ckpt.save(2, state, background=True)
        for array in state["model"].values():
            array[:] = -7
        assert not handle.done
        gate.set()
        handle.wait()
        loaded = ckpt.load(2)["model"]

    assert [float(loaded[f"t{i}"][0]) for i in range(4)] == [2, 1, 2, 3]


def test_an_error_in_the_background_surfaces_once_at_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At `step`, `wait` or `close`, whichever comes first; afterwards saving goes on."""
    write = module.write_step

    def failing(*args: Any, **options: Any) -> Any:
        raise tk.SaveError(5, "the disk has a fault", str(tmp_path))

    ckpt = tk.Checkpointer(tmp_path, every=tk.every(steps=1))
    monkeypatch.setattr(module, "write_step", failing)
    handle = ckpt.step(0, arrays(0))
    assert handle is not None
    with pytest.raises(tk.SaveError, match="the disk has a fault"):
        handle.wait()
    with pytest.raises(tk.SaveError, match="the disk has a fault"):
        ckpt.step(1, arrays(1))
    monkeypatch.setattr(module, "write_step", write)
    ckpt.step(2, arrays(2))
    ckpt.close()
    ckpt.close()

    assert [step.step for step in ckpt.steps()] == [2]


def test_damaged_steps_are_passed_over_and_named(tmp_path: Path) -> None:
    """The newest that verifies is restored; only damaged ones are an error; none is None."""
    with tk.Checkpointer(tmp_path) as ckpt:
        assert ckpt.restore(arrays(0)) is None
        for i in range(3):
            ckpt.save(i, arrays(i))
    flip(tmp_path / "step-0000000002" / "w.safetensors", -1)
    (tmp_path / "step-0000000001" / "manifest.json").unlink()

    state = arrays(9)
    reader = tk.Checkpointer(tmp_path)
    with pytest.warns(UserWarning, match="step 2 is damaged: .*Restored step 0 instead"):
        found = reader.restore(state)

    assert found is not None
    assert found.step == 0
    assert [line.partition(":")[0] for line in found.skipped] == ["step 2 is damaged", "step 1 is damaged"]
    assert same(state, arrays(0))
    with pytest.raises(tk.CorruptFileError, match="1 tensor is damaged"):
        reader.load(2)
    shutil.rmtree(tmp_path / "step-0000000000")
    with pytest.raises(tk.CorruptFileError, match="no step is whole"):
        reader.restore(state)


@pytest.mark.parametrize("where", ["size", "header", "manifest"])
def test_every_kind_of_damage_is_seen(tmp_path: Path, where: str) -> None:
    """A cut file, a flipped bit in a header, an edited manifest."""
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, arrays(0))
    folder = tmp_path / "step-0000000000"
    if where == "size":
        (folder / "w.safetensors").write_bytes((folder / "w.safetensors").read_bytes()[:-1])
    elif where == "header":
        flip(folder / "w.safetensors", 30)
    else:
        text = (folder / "manifest.json").read_text()
        (folder / "manifest.json").write_text(text.replace('"step": 0', '"step": 1'))

    assert tk.Checkpointer(tmp_path).steps()[0].damage(quick=True)
    assert tk.Checkpointer(tmp_path).latest() is None


def test_a_step_is_never_replaced(tmp_path: Path) -> None:
    """A whole one is refused and stays; a damaged one is set aside, not lost."""
    with tk.Checkpointer(tmp_path, keep=tk.keep_all()) as ckpt:
        ckpt.save(5, arrays(1))
        with pytest.raises(tk.StepExistsError, match="step 5 is there already, and whole"):
            ckpt.save(5, arrays(2))
        assert same(ckpt.load(5), arrays(1))
        flip(tmp_path / "step-0000000005" / "w.safetensors", -1)
        ckpt.save(5, arrays(3))

        assert same(ckpt.load(5), arrays(3))
    assert (tmp_path / "damaged-step-0000000005-1" / "w.safetensors").exists()


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    """It writes nothing, and may read; when the first is closed it may write."""
    first, second = tk.Checkpointer(tmp_path), tk.Checkpointer(tmp_path)
    first.save(0, arrays(0))

    with pytest.raises(tk.WriterConflictError, match=f"process {os.getpid()} on .* writes steps here"):
        second.save(1, arrays(1))
    assert same(second.load(0), arrays(0))
    first.close()
    second.save(1, arrays(1))
    second.close()

    assert [step.step for step in first.steps()] == [0, 1]


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(tmp_path: Path) -> None:
    """A draft whose lock is free is removed by the next save; one that is locked is not touched."""
    from tensorkeep.storage.folders import Draft

    living = Draft(str(tmp_path), "step-0000000008")
    dead = tmp_path / ".tmp-step-0000000009-0123456789ab"
    dead.mkdir()
    (dead / "w.safetensors").write_bytes(b"half")

    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, arrays(0))

    assert not dead.exists()
    assert Path(living.path).exists()
    living.abort()


def test_retention_keeps_what_any_policy_keeps(tmp_path: Path) -> None:
    """Last, best, pinned; the newest never goes."""
    with tk.Checkpointer(tmp_path, keep=(tk.keep_last(1), tk.keep_best(1, "loss", mode="min"))) as ckpt:
        for i, loss in enumerate([0.9, 0.1, 0.5, 0.7, 0.8]):
            ckpt.save(i, arrays(i), metrics={"loss": loss})
            if i == 2:
                ckpt.pin(2)

        assert [step.step for step in ckpt.steps()] == [1, 2, 4]
        best = ckpt.best()
        assert best is not None
        assert best.step == 1
        ckpt.unpin(2)
        ckpt.save(5, arrays(5), metrics={"loss": 0.95})
        assert [step.step for step in ckpt.steps()] == [1, 5]


def test_a_full_disk_leaves_everything_and_says_how_much_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, the steps before load."""
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, arrays(0))
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 100, 100))
        with pytest.raises(tk.NotEnoughSpaceError, match=r"needs .*, 100 B free"):
            ckpt.save(1, arrays(1))
        assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "step-0000000000"]
        monkeypatch.undo()
        ckpt.save(1, arrays(1))
        assert same(ckpt.load(0), arrays(0))


def test_sigterm_saves_at_the_next_step_and_says_stop(tmp_path: Path) -> None:
    """SIGUSR1 saves and goes on; the handlers that were there come back."""
    before = signal.getsignal(signal.SIGUSR1)
    with tk.Checkpointer(tmp_path) as ckpt:
        assert ckpt.step(0, arrays(0)) is None
        os.kill(os.getpid(), signal.SIGUSR1)
        handle = ckpt.step(1, arrays(1))
        assert handle is not None
        assert handle.done
        assert not ckpt.stopping
        signal.signal(signal.SIGTERM, ckpt._signals._arrived)
        ckpt._signals._before[signal.SIGTERM] = signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGTERM)
        ckpt.step(2, arrays(2))
        assert ckpt.stopping

    assert [step.step for step in ckpt.steps()] == [1, 2]
    assert signal.getsignal(signal.SIGUSR1) == before


def test_an_exception_leaves_a_marked_crash_step(tmp_path: Path) -> None:
    """It is never restored by itself, never best, never counted; the exception goes on."""

    def train() -> None:
        with tk.Checkpointer(tmp_path, every=tk.every(steps=2)) as ckpt:
            for i in range(3):
                ckpt.step(i, arrays(i))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()

    assert (tmp_path / "crash-0000000002").is_dir()
    reader = tk.Checkpointer(tmp_path)
    assert [step.step for step in reader.steps()] == [1]
    state = arrays(9)
    found = reader.restore(state)
    assert found is not None
    assert found.step == 1


def test_what_is_not_captured_is_reported_once(tmp_path: Path) -> None:
    """An optimizer and a scheduler that train a model of the state and are not in it."""
    training = Training()
    with tk.Checkpointer(tmp_path) as ckpt:
        with pytest.warns(tk.NotCapturedWarning) as caught:
            ckpt.save(0, {"model": training.net})
        ckpt.save(1, {"model": training.net})

    text = str(caught[0].message)
    assert "an optimizer (AdamW) is not in the state: its moments start at zero after a resume." in text
    assert "a learning-rate scheduler (StepLR) is not in the state" in text


def test_a_loader_without_a_position_is_reported_and_left_out(tmp_path: Path) -> None:
    """The rest is saved, and restored beside it."""
    state = {"w": np.ones(2), "loader": torch.utils.data.DataLoader([1, 2, 3])}
    with tk.Checkpointer(tmp_path) as ckpt:
        with pytest.warns(
            tk.NotCapturedWarning, match=r"a DataLoader does not know where it is in its epoch\. torchdata's"
        ):
            ckpt.save(0, state)

        assert ckpt.restore(state) is not None
        assert list(ckpt.load(0)) == ["w"]


def test_what_has_no_state_is_refused_with_its_place(tmp_path: Path) -> None:
    """Nothing is written; the text says what to do."""
    with tk.Checkpointer(tmp_path) as ckpt:
        with pytest.raises(tk.UnsupportedDataError, match=r"cfg\.fn: a builtins\.builtin_function_or_method"):
            ckpt.save(0, {"cfg": {"fn": print}})

        assert ckpt.steps() == []


def test_a_state_that_does_not_fit_is_left_as_it_is(tmp_path: Path) -> None:
    """All differences at once, before anything is changed."""
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, {"model": nn.Linear(4, 3), "w": np.ones(3)})
        state = {"w": np.zeros(3), "model": nn.Linear(4, 2), "ema": nn.Linear(1, 1)}
        before = state["model"].weight.clone()

        with pytest.raises(tk.MismatchError) as caught:
            ckpt.restore(state)

    text = str(caught.value)
    assert "the step has no 'ema' (it has model, w)" in text
    assert "weight: file [3, 4], model [2, 4]" in text
    assert torch.equal(state["model"].weight, before)
    assert np.array_equal(state["w"], np.zeros(3))


def test_manifests_say_where_a_step_comes_from_unless_asked_not_to(tmp_path: Path) -> None:
    """Command line, versions, host, parent; nothing with provenance=False."""
    with tk.Checkpointer(tmp_path / "a") as ckpt:
        ckpt.save(0, arrays(0))
        ckpt.save(1, arrays(1))
        manifest = ckpt.steps()[-1].manifest
    with tk.Checkpointer(tmp_path / "b", provenance=False) as ckpt:
        ckpt.save(0, arrays(0))
        bare = ckpt.steps()[-1].manifest

    assert manifest.provenance["packages"]["torch"] == torch.__version__
    assert manifest.parent == 0
    assert dict(bare.provenance) == {}


def test_the_mean_of_steps(tmp_path: Path) -> None:
    """Floats are averaged in float64, counters are the last step's."""
    with tk.Checkpointer(tmp_path, keep=tk.keep_all()) as ckpt:
        for i in range(3):
            ckpt.save(i, {"model": {"w": np.full(4, float(i), np.float32), "n": np.array(i)}})

        mean = tk.average(ckpt.steps())

    assert np.array_equal(mean["w"], np.full(4, 1, np.float32))
    assert mean["w"].dtype == np.float32
    assert mean["n"] == 2


def test_due_says_what_step_would_do(tmp_path: Path) -> None:
    """By the policy, after SIGUSR1 and SIGTERM; asking changes nothing."""
    with tk.Checkpointer(tmp_path, every=tk.every(steps=3), keep=tk.keep_all()) as ckpt:
        asked, saved = [], []
        for i in range(8):
            if i == 3:
                os.kill(os.getpid(), signal.SIGUSR1)
            asked.append(ckpt.due(i) and ckpt.due(i))
            saved.append(ckpt.step(i, arrays(i)) is not None)

        assert asked == saved == [False, False, True, True, False, True, False, False]
        os.kill(os.getpid(), signal.SIGTERM)
        assert ckpt.due(7)
        assert not ckpt.stopping
        ckpt.step(7, arrays(7))
        assert ckpt.stopping
        assert ckpt.steps()[-1].step == 7


def test_the_epoch_is_in_the_step_and_a_resumed_run_counts_on_from_it(tmp_path: Path) -> None:
    """Every second epoch stays every second epoch."""

    def run(epochs: range) -> None:
        with tk.Checkpointer(tmp_path, every=tk.every(epochs=2), keep=tk.keep_all()) as ckpt:
            ckpt.restore(arrays(0))
            for epoch in epochs:
                ckpt.step(epoch, arrays(epoch), epoch=epoch)

    run(range(4))
    run(range(3, 7))
    steps = tk.Checkpointer(tmp_path).steps()

    assert [step.step for step in steps] == [0, 2, 4, 6]
    assert [step.manifest.epoch for step in steps] == [0, 2, 4, 6]
