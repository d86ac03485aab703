"""Ranks that save and restore together, over gloo: any number to any number, killed, signalled, failing, through DCP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.testing.crash import same
from tests.checkpoint.ranks import ROOT, Server, wholes

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def ranks() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def steps(folder: Path) -> list[int]:
    return [step.step for step in tk.Checkpointer(folder, signals=False).steps()]


def ordinary(folder: Path) -> list[str]:
    """What lies in a directory besides whole steps and the lock."""
    return [each.name for each in folder.iterdir() if not each.name.startswith("step-") and each.name != ".lock"]


@pytest.mark.parametrize(("saved_by", "restored_by"), [(1, 2), (2, 1), (2, 3), (3, 2), (4, 1), (1, 4), (2, 2)])
def test_a_state_comes_back_on_any_number_of_ranks(
    ranks: Server, tmp_path: Path, saved_by: int, restored_by: int
) -> None:
    """Uneven parts, empty parts, other axes: each value is right, and no rank puts a whole tensor together."""
    assert ranks.run("save_placed", saved_by, tmp_path) == [[3]] * saved_by

    same_axes = ranks.run("restore_placed", restored_by, tmp_path)
    other_axes = ranks.run("restore_placed", restored_by, tmp_path, turn=1)

    assert same_axes == other_axes == [[3, 4, []]] * restored_by


def test_a_step_of_several_ranks_is_a_step_for_everybody(ranks: Server, tmp_path: Path) -> None:
    """tk.load, verify and `tkeep ls` need neither ranks nor torch; each file is a safetensors file; nothing is a pickle."""
    from safetensors.numpy import load_file

    ranks.run("save_placed", 3, tmp_path)
    step = tk.Checkpointer(tmp_path, signals=False).latest()
    assert step is not None
    folder = Path(step.path)

    loaded = step.load()["tensors"]
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import tensorkeep as tk\n"
        "from tensorkeep.cli import main\n"
        "print(tk.load(sys.argv[1])['tensors']['rows'].sum())\n"
        "main(['ls', sys.argv[1]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, cwd=ROOT, check=False
    )

    for name, value in wholes().items():
        whole = loaded[name] if name != "half" else loaded[name].astype(np.float32)
        assert np.array_equal(whole, value.float().numpy() if name == "half" else value.numpy()), name
    assert step.damage() == []
    assert tk.verify(folder).ok
    assert "tensors.columns" in done.stdout, done.stderr
    files = [load_file(each) for each in folder.glob("*-rank0000?.safetensors")]
    assert sum(file["rows"].shape[0] for file in files if "rows" in file) == 7
    assert sum("replicated" in file for file in files) == sum("plain" in file for file in files) == 1
    assert {each.suffix for each in folder.iterdir()} == {".json", ".safetensors"}


def test_a_damaged_part_is_seen_by_everybody(ranks: Server, tmp_path: Path) -> None:
    """load, verify and convert: a bit of one rank's file is enough."""
    ranks.run("save_placed", 2, tmp_path)
    (folder,) = tmp_path.glob("step-*")
    record = tk.Checkpointer(tmp_path, signals=False).steps()[0].manifest.tensors["tensors.cube"]
    assert len(record.parts) == 2
    file = folder / record.parts[1].file
    raw = bytearray(file.read_bytes())
    raw[record.parts[1].offset] ^= 1
    file.write_bytes(raw)

    assert [name for name, check in tk.verify(folder).tensors.items() if check.status == "damaged"] == ["tensors.cube"]
    with pytest.raises(tk.CorruptFileError, match=r"tensors\.cube"):
        tk.load(folder)
    with pytest.raises(tk.CorruptFileError, match=r"tensors\.cube"):
        tk.Checkpointer(tmp_path, signals=False).load(3)
    with pytest.raises(tk.CorruptFileError, match=r"tensors\.cube"):
        tk.convert(folder, tmp_path / "whole.safetensors")
    found = ranks.run("dcp_read", 2, folder)
    assert all("'tensors.cube from [0, 0, " in each["error"] for each in found)
    assert np.array_equal(tk.load(folder, only="tensors.plain")["tensors"]["plain"], wholes()["plain"].numpy())


@pytest.mark.parametrize(
    ("boxes", "whole"),
    [
        ({(0, 0): (2, 3), (2, 0): (1, 3)}, True),
        ({(0, 0): (3, 2), (0, 2): (3, 1)}, True),
        ({(0, 0): (2, 3)}, False),  # a part is missing
        ({(0, 0): (2, 3), (1, 0): (1, 3)}, False),  # as many elements, one row twice
        ({(0, 0): (2, 3), (2, 0): (2, 3)}, False),  # beyond the end
    ],
)
def test_parts_must_make_up_the_whole(boxes: dict[tuple[int, ...], tuple[int, ...]], whole: bool) -> None:
    """Each element once: what does not is refused before a byte is written."""
    from tensorkeep.checkpoint._agree import _tiles

    assert _tiles((3, 3), boxes) is whole


def test_training_goes_on_with_the_same_losses_on_other_ranks(ranks: Server, tmp_path: Path) -> None:
    """FSDP2 and AdamW: stopped on three ranks, resumed on two, then on one; what each rank had is reported."""
    whole = ranks.run("train", 1, tmp_path / "whole", stop=9)[0]["losses"]
    first = ranks.run("train", 3, tmp_path / "cut", stop=4)[0]
    second = ranks.run("train", 2, tmp_path / "cut", stop=6)[0]
    third = ranks.run("train", 1, tmp_path / "cut", stop=9)[0]

    losses = {**first["losses"], **second["losses"], **third["losses"]}
    assert list(losses) == list(whole)
    assert list(second["losses"]) == ["4", "5"]
    # Sums over ranks come in another order: some roundings of float32.
    assert np.allclose(list(losses.values()), list(whole.values()), rtol=64 * np.finfo(np.float32).eps)
    assert any("each of 3 ranks had its own, and 2 go on" in line for line in second["lost"])
    assert any(line.startswith("position.seen: ") for line in second["lost"])


def test_a_model_changes_its_layout_between_runs(ranks: Server, tmp_path: Path) -> None:
    """HSDP, tensor parallelism with FSDP2 (strided shards), DDP: each goes on where another stopped."""
    found = ranks.run("layouts", 4, tmp_path, names=["hsdp", "tensor parallel", "ddp", "hsdp"])

    for losses, resumed, lost in found[0]:
        assert np.allclose(losses, resumed, rtol=64 * np.finfo(np.float32).eps)
        assert lost == []
    assert len(found[0]) == 3


def test_a_resume_on_as_many_ranks_is_exact(ranks: Server, tmp_path: Path) -> None:
    """To the bit, with dropout from each rank's own generator and a value that differs between ranks."""
    whole = ranks.run("train", 2, tmp_path / "whole", stop=8, dropout=True)
    ranks.run("train", 2, tmp_path / "cut", stop=4, dropout=True)

    again = ranks.run("train", 2, tmp_path / "cut", stop=8, dropout=True)

    assert [each["bits"] for each in again] == [each["bits"] for each in whole]
    assert [each["seen"] for each in again] == [8, 16]
    assert again[0]["lost"] == []
    assert whole[0]["losses"]["3"] != ranks.run("train", 2, tmp_path / "dry", stop=4)[0]["losses"]["3"]


@pytest.mark.parametrize(
    ("who", "where", "background"), [(1, "write_files", False), (2, "write_files", True), (0, "write_bytes", False)]
)
def test_a_rank_killed_in_mid_save_leaves_the_step_before(
    ranks: Server, tmp_path: Path, who: int, where: str, background: bool
) -> None:
    """SIGKILL when its files are written, or to the coordinator before the manifest: the others are told, nothing is half."""
    found = ranks.run("killed", 3, tmp_path, who=who, where=where, background=background)

    assert found[who] is None
    others = [each for rank, each in enumerate(found) if rank != who]
    assert [each["kind"] for each in others] == ["SaveError"] * 2
    assert all("another rank has ended, or gave no answer" in each["error"] for each in others)
    assert steps(tmp_path) == [0]
    assert tk.Checkpointer(tmp_path, signals=False).steps()[0].damage() == []
    ranks.run("save_placed", 2, tmp_path)
    assert steps(tmp_path) == [0, 3]
    assert ordinary(tmp_path) == []


@pytest.mark.parametrize(("who", "background"), [(0, False), (1, False), (1, True)])
def test_what_fails_on_one_rank_is_raised_on_all(ranks: Server, tmp_path: Path, who: int, background: bool) -> None:
    """With which rank it was; nothing is left of the step, and the next save works."""
    found = ranks.run("failing", 3, tmp_path, who=who, background=background)

    assert [each[0] for each in found] == ["NotEnoughSpaceError"] * 3
    assert [each[1] for rank, each in enumerate(found) if rank != who] == [f"rank {who}: no room on this node"] * 2
    assert found[who][2] == [f"(on rank {who} of 3; the other ranks raise it as well)"]
    assert steps(tmp_path) == [0, 3]
    assert ordinary(tmp_path) == []


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("object", "bad: a builtins.object has no state that can be saved"),
        ("entries", "has not the same structure, dtypes and shapes on all ranks"),
        ("step", r"the ranks save different steps: [0, 1], by rank"),
    ],
)
def test_ranks_that_do_not_fit_together_are_told(ranks: Server, tmp_path: Path, what: str, text: str) -> None:
    """A state that one rank cannot store, states of different structure, different steps: an error on every rank."""
    found = ranks.run("unlike", 2, tmp_path, what=what)

    assert [each["kind"] for each in found] == ["UnsupportedDataError"] * 2
    assert all(text in each["error"] for each in found)
    assert steps(tmp_path) == []


def test_a_state_that_does_not_fit_on_one_rank_is_changed_on_none(ranks: Server, tmp_path: Path) -> None:
    """All ranks look first."""
    found = ranks.run("misfit", 2, tmp_path)

    assert [values for _, values in found] == [0.0, 0.0]
    assert found[0][0].startswith("rank 1: The step does not fit the state; nothing was changed.")


def test_nobody_waits_for_ever(ranks: Server, tmp_path: Path) -> None:
    """A rank that does not come to the save: the others give up after timeout_s."""
    found = ranks.run("late", 2, tmp_path)

    assert "gave no answer within 1 s" in found[0]["error"]
    assert steps(tmp_path) == [0]


def test_an_exception_on_one_rank_is_told_to_those_who_wait(ranks: Server, tmp_path: Path) -> None:
    """By the broken connection, long before the time is over."""
    found = ranks.run("raising", 3, tmp_path)

    assert [each[0] for each in found] == ["SaveError", "ZeroDivisionError", "SaveError"]
    assert all(soon for _, _, soon in found)


def test_a_rank_may_work_alone(ranks: Server, tmp_path: Path) -> None:
    """together=False: nobody is waited for; one Checkpointer after the other works as well."""
    assert ranks.run("alone", 2, tmp_path) == [[True, [0, 0, 0]], [False, [0, 0, 0]]]


def test_sigterm_to_one_rank_saves_on_all_at_the_same_step(ranks: Server, tmp_path: Path) -> None:
    """And all of them are told to stop."""
    assert ranks.run("sigterm", 3, tmp_path) == [3, 3, 3]
    assert steps(tmp_path) == [3]


def test_the_clock_of_rank_0_decides(ranks: Server, tmp_path: Path) -> None:
    """Saves by time come at the same steps on all ranks, however their clocks go."""
    first, second = ranks.run("clocks", 2, tmp_path)

    assert first == second
    assert len(first) > 1


def test_replicated_tensors_are_written_once_and_shared_out(ranks: Server, tmp_path: Path) -> None:
    """Each rank writes half; from the third save on, what did not change is linked; the index is that of the Hugging Face tools."""
    found = ranks.run("replicas", 2, tmp_path)

    size = 70_000 * 4
    assert found == [[4 * size, 4 * size, 2 * size]] * 2
    last = Path(tk.Checkpointer(tmp_path, signals=False).steps()[-1].path)
    index = json.loads((last / "model.safetensors.index.json").read_text())
    assert sorted(index["weight_map"]) == [f"t{i}" for i in range(8)]
    assert len(set(index["weight_map"].values())) > 1
    assert any((last / name).stat().st_nlink > 1 for name in set(index["weight_map"].values()))
    assert same(tk.load(last)["model"]["t1"], np.full(70_000, 4, np.float32))


def test_all_ranks_pass_over_a_damaged_step(ranks: Server, tmp_path: Path) -> None:
    """Whichever of them meets the damage."""
    ranks.run("failing", 2, tmp_path)
    newest = tmp_path / "step-0000000003"
    file = max(newest.glob("tensors-rank0000?.safetensors"), key=lambda each: each.stat().st_size)
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)

    found = ranks.run("restore_damaged", 3, tmp_path)

    assert [step for step, _ in found] == [0, 0, 0]
    assert all("step 3 is damaged" in skipped[0] for _, skipped in found)


@pytest.mark.parametrize("background", [False, True])
def test_torch_distributed_checkpoint_writes_and_reads_our_steps(
    ranks: Server, tmp_path: Path, background: bool
) -> None:
    """dcp.save or async_save on two ranks, dcp.load on three and one: tensors, moments and values; training goes on alike."""
    folder = tmp_path / "step-0000000007"
    losses = ranks.run("dcp_save", 2, folder, background=background, value=[1, 2])

    for size in (3, 1):
        found = ranks.run("dcp_load", size, folder)
        assert [each["bad"] for each in found] == [[]] * size
        assert found[0]["notes"] == "['α', ('b', 2.5), None]"
        assert found[0]["epoch"] == 3
        assert np.allclose(found[0]["losses"], losses[0], rtol=64 * np.finfo(np.float32).eps)
    state = tk.load(folder)
    assert sorted(state) == ["epoch", "model", "more", "notes", "optim", "tensors"]
    assert state["optim"]["param_groups"][0]["betas"] == (0.9, 0.999)
    assert state["more"] == [1, 2]
    assert tk.Checkpointer(tmp_path, signals=False).steps()[0].metrics == {"loss": 1.5}
    assert {each.suffix for each in folder.iterdir()} == {".json", ".safetensors"}


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_dcp_reads_what_the_checkpointer_saved(ranks: Server, tmp_path: Path) -> None:
    """By the same names: dcp.load needs no other layout."""
    import torch.distributed.checkpoint as dcp

    net = torch.nn.Linear(3, 2)
    with tk.Checkpointer(tmp_path) as ckpt:
        ckpt.save(0, {"model": net, "epoch": 5})
    state: dict[str, Any] = {"model": {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}, "epoch": 0}

    dcp.load(state, storage_reader=tk.TensorkeepReader(tmp_path / "step-0000000000"), no_dist=True)

    assert torch.equal(state["model"]["weight"], net.weight.detach())
    assert state["epoch"] == 5


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_dcp_refuses_what_is_no_data_and_leaves_nothing(ranks: Server, tmp_path: Path) -> None:
    """An object, a step that is there, a folder that is no step."""
    import torch.distributed.checkpoint as dcp

    found = ranks.run("dcp_save", 2, tmp_path / "a", value="object")
    writer = tk.TensorkeepWriter(tmp_path / "b")
    dcp.save({"w": torch.ones(2)}, storage_writer=writer, no_dist=True)

    assert all("more: a builtins.object cannot be stored" in each["error"] for each in found)
    with pytest.raises(BaseException, match="step 0 is there already, and whole"):
        dcp.save({"w": torch.ones(2)}, storage_writer=writer, no_dist=True)
    with pytest.raises(BaseException, match=r"this is no step: it has no manifest\.json"):
        dcp.load({"w": torch.ones(2)}, checkpoint_id=str(tmp_path), storage_reader=tk.TensorkeepReader(), no_dist=True)
    assert [each.name for each in tmp_path.iterdir()] == ["b"]
    assert np.array_equal(tk.load(tmp_path / "b")["w"], np.ones(2, np.float32))
