"""CheckpointHandler: an Estimator's network and trainer, saved while it trains, and found again."""

from __future__ import annotations

import os
import re
import warnings
from typing import Any

import numpy as np

from tensorkeep.mxnet.gluon.contrib.estimator._events import BatchEnd, EpochEnd, TrainBegin, comparison, worst
from tensorkeep.mxnet.metric import EvalMetric

__all__ = ["CheckpointHandler"]

_ONE_PERIOD = (
    "To use resume from checkpoint, you must only specify the same type of period you used for training.For example, if "
    "you are training based on number of epochs,you must save only based on epochs, and set batch_period to None."
)
_WRONG_NAME = (
    "Error parsing checkpoint file, please check your checkpoints have the format: "
    "{model_name}-epoch{epoch_number}batch{batch_number}.params, there should also be a .states file for each .params "
    "file "
)
_NAME = re.compile(r"-epoch(\d+)batch(\d+)\.params\Z")


class CheckpointHandler(TrainBegin, BatchEnd, EpochEnd):
    """Saves Parameters and trainer states as `prefix-epochEbatchB.params` and `.states`.

    The traced graph goes to `prefix-symbol.json`, the best so far to `prefix-best.params` and `.states`.

    Args:
        model_dir: the folder; it is made when it is not there.
        monitor: the metric that `save_best` looks at, one of the Estimator's.
        verbose: whether it is logged.
        mode: "min", "max" or "auto": what is better.
        epoch_period, batch_period: after how many rounds or batches; None is never.
        max_checkpoints: how many are kept; older ones are deleted, the best one is not.
        resume_from_checkpoint: whether training goes on with the newest one in the folder.
    Raises:
        ValueError: `save_best` without a metric.
    """

    def __init__(
        self,
        model_dir: str,
        model_prefix: str = "model",
        monitor: Any = None,
        verbose: int = 0,
        save_best: bool = False,
        mode: str = "auto",
        epoch_period: int | None = 1,
        batch_period: int | None = None,
        max_checkpoints: int = 5,
        resume_from_checkpoint: bool = False,
    ) -> None:
        self.monitor = monitor
        self.verbose = verbose
        os.makedirs(model_dir, exist_ok=True)
        self.model_dir = model_dir
        self.model_prefix = model_prefix
        self.save_best = save_best
        if save_best and not isinstance(monitor, EvalMetric):
            raise ValueError(
                "To save best model only, please provide one of the metric objects from estimator.train_metrics and "
                "estimator.val_metrics as monitor."
            )
        self.epoch_period = epoch_period
        self.batch_period = batch_period
        self.current_batch = 0
        self.current_epoch = 0
        self.max_checkpoints = max_checkpoints
        self.resume_from_checkpoint = resume_from_checkpoint
        self.saved_checkpoints: list[str] = []
        self.trained_epoch = -1
        self.trained_batch = -1
        if save_best:
            self.monitor_op = comparison(monitor, mode, "ModelCheckpoint")
            self.best = worst(self.monitor_op)

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Begin to count, with the newest checkpoint where that was asked for."""
        self.current_epoch = 0
        self.current_batch = 0
        if self.save_best:
            self.best = worst(self.monitor_op)
        if not self.resume_from_checkpoint:
            return
        for counted, own, other in (
            (estimator.max_batch, self.batch_period, self.epoch_period),
            (estimator.max_epoch, self.epoch_period, self.batch_period),
        ):
            if counted:
                assert own, _ONE_PERIOD
                assert not other, _ONE_PERIOD
        self._resume_from_checkpoint(estimator)

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool | None:
        """Save when it is time."""
        if self.current_batch == 0:
            self._save_symbol(estimator)
        if self.batch_period and (self.current_batch + 1) % self.batch_period == 0:
            self._save_checkpoint(estimator)
        self.current_batch += 1
        return None

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool | None:
        """Save when it is time."""
        if self.epoch_period and (self.current_epoch + 1) % self.epoch_period == 0:
            self._save_checkpoint(estimator)
        self.current_epoch += 1
        return None

    def _save_checkpoint(self, estimator: Any) -> None:
        epoch, batch = self.current_epoch, self.current_batch
        if self.resume_from_checkpoint:
            epoch += self.trained_epoch + 1
            batch += self.trained_batch + (0 if estimator.max_epoch else 1)
        prefix = f"{self.model_prefix}-epoch{epoch}batch{batch}"
        self._save_params_and_trainer(estimator, prefix)
        if self.verbose > 0:
            estimator.logger.info(
                "[Epoch %d] CheckpointHandler: trained total %d batches, saving model at %s with prefix: %s",
                self.current_epoch,
                self.current_batch + 1,
                self.model_dir,
                prefix,
            )
        if self.save_best:
            self._save_if_best(estimator)

    def _save_if_best(self, estimator: Any) -> None:
        name, value = self.monitor.get()
        if np.isnan(value):
            warnings.warn(
                f"Skipping save best because {name} is not updated, make sure you pass one of the metric objects "
                "estimator.train_metrics and estimator.val_metrics as monitor",
                RuntimeWarning,
                stacklevel=2,
            )
        elif self.monitor_op(value, self.best):
            prefix = self.model_prefix + "-best"
            self._save_params_and_trainer(estimator, prefix)
            before, self.best = self.best, value
            if self.verbose > 0:
                estimator.logger.info(
                    "[Epoch %d] CheckpointHandler: %s improved from %0.5f to %0.5f, updating best model at %s with "
                    "prefix: %s",
                    self.current_epoch,
                    name,
                    before,
                    value,
                    self.model_dir,
                    prefix,
                )
        elif self.verbose > 0:
            estimator.logger.info(
                "[Epoch %d] CheckpointHandler: %s did not improve from %0.5f, skipping updating best model",
                self.current_epoch,
                name,
                self.best,
            )

    def _save_symbol(self, estimator: Any) -> None:
        path = os.path.join(self.model_dir, self.model_prefix + "-symbol.json")
        graph = getattr(estimator.net, "_cached_graph", None)
        if graph:
            graph[1].save(path)
        else:
            estimator.logger.info(
                "Model architecture(symbol file) is not saved, please use HybridBlock to construct your model, and call "
                "net.hybridize() before passing to Estimator in order to save model architecture as %s.",
                path,
            )

    def _save_params_and_trainer(self, estimator: Any, prefix: str) -> None:
        path = os.path.join(self.model_dir, prefix)
        estimator.net.save_parameters(path + ".params")
        estimator.trainer.save_states(path + ".states")
        if "best" not in prefix:
            self.saved_checkpoints.append(prefix)
        if len(self.saved_checkpoints) > self.max_checkpoints:
            # The new one is on disk by now. Only these two files: "epoch1batch1" also begins "epoch1batch10".
            oldest = os.path.join(self.model_dir, self.saved_checkpoints.pop(0))
            for name in (oldest + ".params", oldest + ".states"):
                if os.path.exists(name):
                    os.remove(name)

    def _found(self) -> list[tuple[int, int]]:
        """(epoch, batch) of every checkpoint in the folder, the oldest first."""
        found = []
        for name in os.listdir(self.model_dir):
            if name.startswith(self.model_prefix + "-epoch") and ".params" in name:
                match = _NAME.fullmatch(name[len(self.model_prefix) :])
                if match is None:
                    raise ValueError(_WRONG_NAME)
                found.append((int(match[1]), int(match[2])))
        return sorted(found)

    def _resume_from_checkpoint(self, estimator: Any) -> None:
        found = self._found()
        if not found:
            for_how_long = f"{estimator.max_batch} batches" if estimator.max_batch else f"{estimator.max_epoch} epochs"
            estimator.logger.info("CheckpointHandler: No checkpoint found, training from scratch for %s", for_how_long)
            return
        self.saved_checkpoints += [f"{self.model_prefix}-epoch{epoch}batch{batch}" for epoch, batch in found]
        self.trained_epoch, self.trained_batch = found[-1]
        text = (
            f"CheckpointHandler: Checkpoint resumed from epoch {self.trained_epoch} batch {self.trained_batch}, "
            "continue to train for "
        )
        if estimator.max_epoch:
            estimator.max_epoch = _remaining(self.trained_epoch, estimator.max_epoch, "epoch")
            text += f"{estimator.max_epoch} epochs "
        if estimator.max_batch:
            estimator.max_batch = _remaining(self.trained_batch, estimator.max_batch, "batch")
            text += f"{estimator.max_batch} batches "
        path = os.path.join(self.model_dir, self.saved_checkpoints[-1])
        for name in (path + ".params", path + ".states"):
            assert os.path.exists(name), f"Failed to load checkpoint, {name} does not exist"
        estimator.net.load_parameters(path + ".params", ctx=estimator.context)
        estimator.trainer.load_states(path + ".states")
        estimator.logger.warning(text)


def _remaining(done: int, wanted: int, what: str) -> int:
    if done >= wanted - 1:
        raise ValueError(
            f"Found checkpoint with maximum number of {what} {wanted} reached, please specify "
            "resume_from_checkpoint=False (default value) if you wan to train from scratch."
        )
    return wanted - done - 1
