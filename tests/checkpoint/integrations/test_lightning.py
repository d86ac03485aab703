"""Lightning trains, is stopped and goes on: through the callback, through ckpt_path, through files of our plugin."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it imports is its own business
    lightning = pytest.importorskip("lightning.pytorch")
stateful = pytest.importorskip("torchdata.stateful_dataloader")

from tensorkeep.checkpoint.integrations.lightning import CheckpointerCallback, TensorkeepIO  # noqa: E402

# Lightning's own warnings about this machine's cores, and about what its dependencies deprecate.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*GPU available but not used"),
    pytest.mark.filterwarnings("ignore:.*set_vital"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but"),
]


class Stop(Exception):
    """The power goes."""


class Net(lightning.LightningModule):
    """Dropout, batch norm, AdamW with a schedule, and a validation loss."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
        )
        self.stop_at = stop_at
        self.seen: list[int] = []

    def training_step(self, batch: Any, index: int) -> Any:
        if self.global_step == self.stop_at:
            raise Stop
        self.seen.append(self.global_step)
        (x,) = batch
        return ((self.net(x) - x.sum(1, keepdim=True)) ** 2).mean()

    def validation_step(self, batch: Any, index: int) -> None:
        (x,) = batch
        self.log("val_loss", ((self.net(x) - x.sum(1, keepdim=True)) ** 2).mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2)
        return [optimizer], [torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])]


def fit(folder: Path, stop_at: int | None = None, every: Any = None, *, plugins: Any = None, **options: Any) -> Any:
    """Three epochs of six batches, shuffled; the net, also when it was stopped."""
    steps = options.pop("max_steps", -1)
    loader_class = options.pop("loader", stateful.StatefulDataLoader)
    torch.manual_seed(0)
    net = Net(stop_at)
    data = torch.utils.data.TensorDataset(torch.randn(24, 4))
    torch.manual_seed(1)
    ckpt = tk.Checkpointer(folder, every=every or tk.every(steps=2), keep=tk.keep_all())
    callbacks = [CheckpointerCallback(ckpt, restore=options.pop("restore", True)), *options.pop("callbacks", [])]
    trainer = lightning.Trainer(
        max_epochs=3 if steps < 0 else -1, max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, callbacks=callbacks, plugins=plugins, default_root_dir=folder,
    )  # fmt: skip
    loader = loader_class(data, batch_size=4, shuffle=True)
    try:
        trainer.fit(net, loader, torch.utils.data.DataLoader(data, batch_size=8), **options)
    except Stop:
        pass
    finally:
        ckpt.close()
    net.trainer_ = trainer
    return net


def bits(net: Any) -> list[bytes]:
    return [value.numpy().tobytes() for value in net.state_dict().values()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The run that was never stopped."""
    return fit(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("stop_at", [1, 5, 9, 12, 13])
def test_a_fit_goes_on_in_mid_epoch_with_the_same_bits(tmp_path: Path, whole: Any, stop_at: int) -> None:
    """Wherever the power goes: nothing saved yet, in an epoch, before and after its end."""
    fit(tmp_path, stop_at)

    again = fit(tmp_path)

    assert again.seen[0] == stop_at // 2 * 2
    assert bits(again) == bits(whole)
    assert again.lr_schedulers().get_last_lr() == whole.lr_schedulers().get_last_lr()


@pytest.mark.parametrize("options", [{"max_steps": 17}, {"loader": torch.utils.data.DataLoader}], ids=str)
def test_a_fit_goes_on_at_the_end_of_an_epoch(tmp_path: Path, options: dict[str, Any]) -> None:
    """With a number of steps instead of epochs; with a loader that does not know where it is."""
    whole = fit(tmp_path / "whole", **options)
    fit(tmp_path / "cut", 13, **options)

    again = fit(tmp_path / "cut", **options)
    nothing = fit(tmp_path / "cut", **options)

    assert again.seen[0] == 12
    assert bits(again) == bits(whole)
    assert len(nothing.seen) <= 1  # the last step is saved when it is due


def test_ckpt_path_is_a_step_s_folder(tmp_path: Path, whole: Any) -> None:
    """Of an older step too, into another directory; and without the automatic restore."""
    fit(tmp_path / "a", 9)
    steps = tk.Checkpointer(tmp_path / "a").steps()

    again = fit(tmp_path / "b", ckpt_path=steps[1].path, restore=False)

    assert [step.step for step in steps] == [1, 3, 5, 7]
    assert again.seen[0] == 4
    assert bits(again) == bits(whole)


def test_metrics_and_epochs_come_from_the_trainer(tmp_path: Path) -> None:
    """Steps at the ends of epochs, with the validation's loss; the best of them loads into a network alone."""
    net = fit(tmp_path, every=tk.every(epochs=1))
    ckpt = tk.Checkpointer(tmp_path)
    best = ckpt.best("val_loss", mode="min")
    assert best is not None
    fresh = Net()
    tk.load_parameters(fresh, best.path)

    assert [step.step for step in ckpt.steps()] == [5, 11, 17]
    assert [step.manifest.epoch for step in ckpt.steps()] == [0, 1, 2]
    assert best.metrics["val_loss"] == min(step.metrics["val_loss"] for step in ckpt.steps())
    assert ckpt.steps()[-1].metrics["val_loss"] == pytest.approx(net.trainer_.callback_metrics["val_loss"].item())
    assert np.array_equal(fresh.net[0].weight.detach(), ckpt.load(best.step)["model"]["net.0.weight"])


def test_a_step_is_tested_by_its_path(tmp_path: Path, whole: Any) -> None:
    """`trainer.validate(ckpt_path=…)` gives the metric that was saved with the step."""
    trainer = fit(tmp_path, every=tk.every(epochs=1)).trainer_
    data = torch.utils.data.DataLoader(trainer.val_dataloaders.dataset, batch_size=8)
    steps = tk.Checkpointer(tmp_path).steps()

    found = [trainer.validate(Net(), data, ckpt_path=step.path, verbose=False)[0]["val_loss"] for step in steps]

    assert found == [step.metrics["val_loss"] for step in steps]


def test_sigterm_saves_and_stops_the_fit(tmp_path: Path, whole: Any) -> None:
    """In the middle of an epoch, at a step that no policy asks for; the next run goes on there."""

    class Terminate(lightning.Callback):
        def on_train_batch_start(self, trainer: Any, *rest: Any) -> None:
            if trainer.global_step == 8:
                os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit):
            fit(tmp_path, every=tk.every(steps=100), callbacks=[Terminate()])
    finally:
        signal.signal(signal.SIGTERM, before)  # Lightning leaves that of its own time behind after a SIGTERM
    again = fit(tmp_path)

    assert again.seen[0] == 9
    assert bits(again) == bits(whole)


def test_the_plugin_writes_files_that_torch_reads_without_pickled_classes(tmp_path: Path, whole: Any) -> None:
    """And Lightning resumes from them; they are removed through it."""
    net = fit(tmp_path / "steps", 9, plugins=[TensorkeepIO()])
    path = tmp_path / "new" / "last.ckpt"
    net.trainer_.save_checkpoint(path)
    found = torch.load(path, weights_only=True)
    again = fit(tmp_path / "again", plugins=[TensorkeepIO()], ckpt_path=path, restore=False)

    assert list(found["state_dict"]) == list(net.state_dict())
    assert found["global_step"] == 9
    assert torch.equal(found["state_dict"]["net.0.weight"], net.net[0].weight)
    assert not tk.verify(path).damage
    assert again.global_step == whole.global_step
    TensorkeepIO().remove_checkpoint(path)
    assert not path.exists()


def test_the_plugin_reads_lightning_s_own_files_and_refuses_code(tmp_path: Path) -> None:
    """An old .ckpt is data; one that asks for a class is refused with its name."""
    net = fit(tmp_path / "steps", 3)
    net.trainer_.save_checkpoint(tmp_path / "old.ckpt")
    torch.save({"state_dict": {}, "hyper_parameters": {"path": Path("x")}}, tmp_path / "asks.ckpt")

    found = TensorkeepIO().load_checkpoint(tmp_path / "old.ckpt")

    assert torch.equal(found["state_dict"]["net.0.weight"], net.net[0].weight)
    with pytest.raises(tk.UnsafeFileError, match=r"pathlib"):
        TensorkeepIO().load_checkpoint(tmp_path / "asks.ckpt")
    assert TensorkeepIO(unknown="inert").load_checkpoint(tmp_path / "asks.ckpt")["state_dict"] == {}


def test_hyper_parameters_that_are_no_data_are_left_out_and_named(tmp_path: Path) -> None:
    """Paths and namespaces become text and dicts; anything else that is no data is an error."""
    io = TensorkeepIO()
    loss = torch.nn.MSELoss()
    with pytest.warns(UserWarning, match=r"not in the checkpoint: hyper_parameters\.loss\."):
        io.save_checkpoint(
            {"hyper_parameters": {"loss": loss, "where": Path("a/b"), "lr": np.float32(2)}}, tmp_path / "x"
        )

    assert io.load_checkpoint(tmp_path / "x") == {"hyper_parameters": {"where": "a/b", "lr": 2.0}}
    with pytest.raises(tk.UnsupportedDataError, match=r"callbacks\.mine: a builtins\.object is no data"):
        io.save_checkpoint({"callbacks": {"mine": object()}}, tmp_path / "y")
    with pytest.raises(tk.UnsupportedDataError, match="Give a path on this machine"):
        io.save_checkpoint({}, "s3://bucket/x.ckpt")
    assert not (tmp_path / "y").exists()


def test_accumulated_gradients_are_waited_for(tmp_path: Path) -> None:
    """A step is told once, when the optimizer moved."""
    torch.manual_seed(0)
    ckpt = tk.Checkpointer(tmp_path, every=tk.every(steps=1), keep=tk.keep_all())
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, callbacks=[CheckpointerCallback(ckpt)], accumulate_grad_batches=3,
    )  # fmt: skip

    trainer.fit(Net(), stateful.StatefulDataLoader(torch.utils.data.TensorDataset(torch.randn(24, 4)), batch_size=4))

    assert [step.step for step in ckpt.steps()] == [0, 1]


def test_a_failed_fit_leaves_no_step_that_mixes_two_moments(tmp_path: Path) -> None:
    """The Checkpointer's own crash step would hold the last saved step's counters beside the weights of the failure."""
    torch.manual_seed(0)
    loader = stateful.StatefulDataLoader(torch.utils.data.TensorDataset(torch.randn(24, 4)), batch_size=4)
    with pytest.raises(Stop), tk.Checkpointer(tmp_path, every=tk.every(steps=2)) as ckpt:
        lightning.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
            enable_checkpointing=False, callbacks=[CheckpointerCallback(ckpt)],
        ).fit(Net(5), loader)  # fmt: skip

    assert sorted(path.name for path in tmp_path.glob("*-*")) == ["step-0000000001", "step-0000000003"]
