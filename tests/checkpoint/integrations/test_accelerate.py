"""What Accelerate prepared goes into a Checkpointer's state as it is."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
accelerate = pytest.importorskip("accelerate")
pytest.importorskip("torchdata")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory"),
    pytest.mark.filterwarnings("ignore:.*set_vital"),
]
BATCHES = 6


def run(folder: Path, stop_at: int | None = None, *, stateful: bool = True, **options: Any) -> Any:
    """Three epochs of six batches in a plain loop; the net and the steps that it did."""
    for shared in (accelerate.state.AcceleratorState, accelerate.state.GradientState):
        shared._reset_state()
    torch.manual_seed(0)
    config = accelerate.DataLoaderConfiguration(use_stateful_dataloader=stateful, use_seedable_sampler=True)
    accelerator = accelerate.Accelerator(cpu=True, dataloader_config=config, **options)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 9])
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(24, 4)), 4, shuffle=True)
    net, optimizer, schedule, loader = accelerator.prepare(net, optimizer, schedule, loader)
    state = {"model": net, "optimizer": optimizer, "scheduler": schedule, "loader": loader, "epoch": 0}
    done = []
    with tk.Checkpointer(folder, every=tk.every(steps=2), keep=tk.keep_all()) as ckpt:
        start = ckpt.restore(state)
        step = start.step + 1 if start else 0
        while step < 3 * BATCHES:
            state["epoch"] = step // BATCHES
            for (x,) in loader:
                if step == stop_at:
                    return net, done
                with accelerator.accumulate(net):
                    accelerator.backward(((net(x) - x.sum(1, keepdim=True)) ** 2).mean())
                    optimizer.step()
                    schedule.step()
                    optimizer.zero_grad()
                done.append(step)
                ckpt.step(step, state)
                step += 1
    return net, done


def bits(net: Any) -> list[bytes]:
    return [value.numpy().tobytes() for value in net.state_dict().values()]


@pytest.mark.parametrize("stop_at", [1, 7, 9, 12, 13])
def test_prepared_objects_go_on_in_mid_epoch_with_the_same_bits(tmp_path: Path, stop_at: int) -> None:
    """Model, optimizer, scheduler and a stateful loader; nothing is reported as forgotten."""
    whole, _ = run(tmp_path / "whole")
    with warnings.catch_warnings():
        warnings.simplefilter("error", tk.NotCapturedWarning)
        run(tmp_path / "cut", stop_at)

    again, done = run(tmp_path / "cut")

    assert done[0] == stop_at // 2 * 2
    assert bits(again) == bits(whole)


def test_the_optimizer_is_stored_by_names(tmp_path: Path) -> None:
    """As one that nobody wrapped."""
    run(tmp_path)
    saved = tk.Checkpointer(tmp_path).steps()[-1].load()

    assert saved["optimizer"]["param_groups"][0]["params"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert set(saved["optimizer"]["state"]) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_a_loader_without_state_is_reported(tmp_path: Path) -> None:
    """Accelerate's class has the methods of a stateful one; what it would save is nothing."""
    with pytest.warns(tk.NotCapturedWarning, match="a DataLoader does not know where it is in its epoch"):
        run(tmp_path, 5, stateful=False)

    assert "loader" not in tk.Checkpointer(tmp_path).steps()[-1].load()
