"""Lightning 2: a CheckpointIO that writes durable files without pickle, and a Callback that drives a Checkpointer.

This module imports `lightning` (or `pytorch_lightning`, when that is what the process has loaded) at once: its classes are
subclasses of Lightning's.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

# Their base classes are needed for the class statements below; only users of Lightning import this module.
if "pytorch_lightning" in sys.modules and "lightning" not in sys.modules:
    from lightning_fabric.plugins import CheckpointIO
    from pytorch_lightning.callbacks import Callback
    from pytorch_lightning.strategies import Strategy
else:
    from lightning.fabric.plugins import CheckpointIO
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.strategies import Strategy

from tensorkeep.checkpoint.checkpointer import Checkpointer
from tensorkeep.checkpoint.integrations._common import numbers, plain, tell, torch_tree
from tensorkeep.checkpoint.rng import restore_generators
from tensorkeep.checkpoint.steps import Step
from tensorkeep.errors import UnsupportedDataError
from tensorkeep.formats._step_manifest import NAME as MANIFEST

__all__ = ["CheckpointerCallback", "TensorkeepIO"]

_MODEL, _OPTIMIZERS, _REST = "model", "optimizers", "lightning"
_GENERATORS = "tensorkeep_generators"
_HYPER_PARAMETERS = ("hyper_parameters", "datamodule_hyper_parameters")


class TensorkeepIO(CheckpointIO):  # type: ignore[misc]  # Lightning is optional, and so untyped here
    """Lightning's `.ckpt` files, written atomically and durably, without pickled classes, and read without running anything.

        trainer = Trainer(plugins=[TensorkeepIO()])

    What it writes, `torch.load(weights_only=True)` and Lightning without this plugin read. It reads old `.ckpt` files of
    Lightning's own, and the folders of a Checkpointer's steps that CheckpointerCallback saved. Hyper-parameters that are no
    data (a network, a function) are left out, and named in a warning.

    Args:
        unknown: for files that ask for classes: "refuse" them with the list of what they ask for, or "inert" keeps records.
    """

    def __init__(self, *, unknown: str = "refuse") -> None:
        self._unknown = unknown

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write Lightning's dict to a file; it is durable when this returns.

        Raises:
            UnsupportedDataError: something in it is no data, or the path is on another machine; nothing was written.
            NotEnoughSpaceError, SaveError: the old file is whole.
        """
        from tensorkeep.api import save
        from tensorkeep.storage.folders import make_folder

        if storage_options is not None:
            raise UnsupportedDataError(
                f"{path}: storage_options={storage_options!r} are for remote storage, and TensorkeepIO writes local files. "
                "Leave them out."
            )
        path = _local(path)
        make_folder(os.path.dirname(path) or ".")
        save(path, _plain(checkpoint), format="torch")

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Lightning's dict out of a file or a step's folder, checked against its hashes.

        Args:
            map_location: a device; None is the CPU.
            weights_only: means nothing here: no file can run anything.
        Raises:
            FileNotFoundError; CorruptFileError, UnsafeFileError: as `tk.load`.
        """
        from tensorkeep.api import load

        path = _local(path)
        if not os.path.exists(path):
            raise FileNotFoundError(f"{path}: there is no such checkpoint.")
        if map_location is not None and (callable(map_location) or isinstance(map_location, dict)):
            raise UnsupportedDataError(
                f"{path}: map_location={map_location!r}: files are read by bytes, not by their writer's devices. Give one "
                "device, such as 'cpu' or 'cuda:0'."
            )
        if is_step(path):
            return _lightning_dict(path, map_location)
        found: dict[str, Any] = load(path, framework="torch", device=map_location, unknown=self._unknown)
        return found

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a file or a step's folder, durably; one that is not there is fine."""
        from tensorkeep.storage.folders import remove_file, remove_folder

        path = os.path.abspath(_local(path))
        if os.path.isdir(path):
            if not is_step(path):
                raise UnsupportedDataError(f"{path}: this folder is no checkpoint of tensorkeep; it was not removed.")
            remove_folder(os.path.dirname(path), os.path.basename(path))
        else:
            remove_file(path)


def is_step(path: str) -> bool:
    """Whether a path is the folder of a step."""
    return os.path.isfile(os.path.join(path, MANIFEST))


def _local(path: Any) -> str:
    text = os.fspath(path)
    if "://" in text:
        raise UnsupportedDataError(f"{text}: TensorkeepIO writes and reads local files. Give a path on this machine.")
    return str(text)


def _plain(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Lightning's dict as data; hyper-parameters that are none are left out with a warning."""
    left_out: list[str] = []
    made = {
        key: plain(value, str(key), left_out if key in _HYPER_PARAMETERS else None)
        for key, value in checkpoint.items()
        if not key.endswith("hparams_type")  # a class of omegaconf; the values are kept
    }
    if left_out:
        warnings.warn(
            f"Hyper-parameters that are no data are not in the checkpoint: {', '.join(left_out)}. "
            "Exclude them: self.save_hyperparameters(ignore=[…]).",
            stacklevel=4,
        )
    return made


def _lightning_dict(path: str, device: Any = None) -> dict[str, Any]:
    """The dict that Lightning saved into a step."""
    step = Step(_number(path), path)
    tree = step.load()
    if not isinstance(tree, dict) or not {_MODEL, _REST} <= tree.keys():
        raise UnsupportedDataError(
            f"{path}: this step was not saved by CheckpointerCallback (it has {', '.join(map(str, tree))}). Load its weights "
            "with tk.load_parameters(model, path)."
        )
    generators = next((tree[key] for key, kind in step.manifest.entries.items() if kind == "generators"), None)
    made: dict[str, Any] = torch_tree(dict(tree[_REST]), device)
    made["state_dict"] = torch_tree(tree[_MODEL], device)
    if _OPTIMIZERS in tree:
        made["optimizer_states"] = torch_tree(tree[_OPTIMIZERS], device)
    if generators is not None:
        made[_GENERATORS] = generators
    return made


def _number(path: str) -> int:
    from tensorkeep.formats._step_manifest import read_manifest

    return read_manifest(path).step


class _StepsToo(CheckpointIO):  # type: ignore[misc]
    """The trainer's own plugin, which reads steps as well."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self._own.save_checkpoint(checkpoint, path, storage_options=storage_options)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        if is_step(os.fspath(path)):
            return TensorkeepIO().load_checkpoint(path, map_location)
        options = {} if map_location is None else {"map_location": map_location}
        found: dict[str, Any] = self._own.load_checkpoint(path, weights_only=weights_only, **options)
        return found

    def remove_checkpoint(self, path: Any) -> None:
        self._own.remove_checkpoint(path)

    def teardown(self) -> None:
        self._own.teardown()


class CheckpointerCallback(Callback):  # type: ignore[misc]
    """Saves a Lightning training with a Checkpointer, and goes on from its newest whole step by itself.

        ckpt = tk.Checkpointer("runs/mlp", every=tk.every(steps=500), keep=tk.keep_best(2, "val_loss", mode="min"))
        trainer = Trainer(callbacks=[CheckpointerCallback(ckpt)], enable_checkpointing=False)
        trainer.fit(model, loader)          # a second run of the script goes on where the first one ended

    A step's number is `trainer.global_step - 1`: steps count from 0. Steps are saved after the optimizer moved, the last of
    an epoch after the epoch's validation; `every(epochs=…)` counts at the ends of epochs. The metrics are the single numbers
    of `trainer.callback_metrics`. SIGTERM saves, then stops the fit. Under DDP every rank has the callback.

    Steps hold all that Lightning's own checkpoints hold, and the random generators: a run resumed in mid-epoch is exact when
    the loader is stateful (torchdata's StatefulDataLoader); with others Lightning begins the epoch's data anew and says so.
    At the end of an epoch it is exact with any loader. What Lightning does not save is not saved: gradients of an
    accumulation under way, metrics logged so far in the epoch.

    Args:
        checkpointer: it is closed at the end of the fit.
        restore: whether `fit` without `ckpt_path` goes on from the newest whole step. `fit(ckpt_path=step.path)` goes on
            from that one, with or without this.
    """

    def __init__(self, checkpointer: Checkpointer, *, restore: bool = True) -> None:
        self.checkpointer = checkpointer
        self._restore = restore
        self._offered = -1  # the last step that the Checkpointer was told of
        self._generators: Any = None  # of the step that the fit goes on from, until they are set
        self._epoch_ended = False
        self._loaders: Any = None  # the same, of its loaders, when its epoch had ended

    def resume_path(self) -> str | None:
        """The folder of the newest whole step, for `ckpt_path=`; None when there is none."""
        latest = self.checkpointer.latest()
        return latest.path if latest is not None else None

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Let the trainer read steps."""
        own = trainer.strategy.checkpoint_io
        if not isinstance(own, (_StepsToo, TensorkeepIO)):
            trainer.strategy.checkpoint_io = _StepsToo(own)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Go on from the newest whole step, unless `fit` was given a path or there is none."""
        self._offered = -1
        if self._restore and not trainer.ckpt_path:
            found = self.checkpointer.restore()
            if found is not None:
                # As Lightning does itself at this place for strategies that restore after their setup.
                trainer._checkpoint_connector._restore_modules_and_callbacks(found.path)

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take the generators out of what Lightning loads, and tell the Checkpointer which step it is."""
        self._generators = checkpoint.pop(_GENERATORS, None)
        loop = checkpoint["loops"]["fit_loop"]
        epochs = loop["epoch_progress"]["current"]
        self._epoch_ended = epochs["ready"] == epochs["processed"]
        self._loaders = loop["state_dict"].get("combined_loader") if self._epoch_ended else None
        path = os.path.abspath(trainer.ckpt_path or "")
        if trainer.training and is_step(path) and os.path.dirname(path) == os.path.abspath(self.checkpointer.directory):
            self.checkpointer.restore(step=_number(path))

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Set the generators, now that Lightning's preparations, which draw from them, are over."""
        self._offered = trainer.global_step - 1
        if self._generators is None:
            return
        loop = trainer.fit_loop
        begins = self._epoch_ended and not loop.restarting  # a new epoch, for whose loader Lightning does nothing more
        if begins and self._loaders is not None:
            # Lightning gives loaders their state back only in mid-epoch; a sampler's own generator goes on over epochs.
            loop._combined_loader._load_state_dicts(self._loaders)
            iter(loop._data_fetcher)  # to the end of the epoch that ended
        restore_generators(self._generators)
        if begins:
            iter(loop._data_fetcher)  # the next epoch, drawn as an uninterrupted fit draws it
        self._generators = self._loaders = None

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save when due; the last batch of an epoch waits for its end."""
        if not trainer.is_last_batch:
            self._offer(trainer, None)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Save when due, with the metrics of the epoch's validation."""
        self._offer(trainer, trainer.current_epoch)

    def _offer(self, trainer: Any, epoch: int | None) -> None:
        step = trainer.global_step - 1
        if step <= self._offered:  # gradients are being accumulated, or the epoch was cut short
            return
        self._offered = step
        if self.checkpointer.due(step, epoch):
            tell(self.checkpointer, step, _state(trainer), numbers(trainer.callback_metrics), epoch)
        if self.checkpointer.stopping:
            trainer.should_stop = True

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Let the save under way end; what it met is added to the exception as a note."""
        try:
            self.checkpointer.close()
        except Exception as err:  # noqa: BLE001  # the first error is the one to be told
            exception.add_note(f"The last save in the background had failed: {err}")

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the Checkpointer: all steps are durable then."""
        self.checkpointer.close()


def _state(trainer: Any) -> dict[str, Any]:
    """What Lightning would write now, as the state of a step."""
    strategy = trainer.strategy
    if type(strategy).save_checkpoint is not Strategy.save_checkpoint:
        raise UnsupportedDataError(
            f"The strategy {type(strategy).__name__} writes its checkpoints itself; a Checkpointer cannot hold them. Use one that "
            "hands them to its CheckpointIO, such as DDP."
        )
    made = _plain(trainer._checkpoint_connector.dump_checkpoint())
    state = {_MODEL: made.pop("state_dict")}
    if "optimizer_states" in made:
        state[_OPTIMIZERS] = made.pop("optimizer_states")
    return {**state, _REST: made}
