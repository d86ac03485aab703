"""Keras 3, on any of its frameworks: a callback that drives a Checkpointer.

This module imports `keras` at once: the callback is a subclass of Keras' own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras  # the class statement below needs its base; only users of Keras import this module

from tensorkeep.adapters import find
from tensorkeep.adapters._stateful import KerasOptimizer
from tensorkeep.checkpoint.checkpointer import Checkpointer
from tensorkeep.checkpoint.integrations._common import numbers, tell
from tensorkeep.errors import UnsupportedDataError

__all__ = ["CheckpointerCallback"]


class CheckpointerCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is optional, and so untyped here
    """Saves a Keras training with a Checkpointer, and lets `fit` go on from its newest whole step.

        ckpt = tk.Checkpointer("runs/mlp", every=tk.every(epochs=1), keep=tk.keep_best(2, "val_loss", mode="min"))
        model.fit(x, y, epochs=20, validation_split=0.1, callbacks=[CheckpointerCallback(ckpt)])

    Saved are the model's weights, the optimizer's variables by name, the seed generators of layers such as Dropout, and the
    epoch. A step's number counts training batches from 0. The metrics are the logs of the epoch's end, `val_…` included.
    A second run of the script begins at the epoch after the last that was saved, and ends with the weights of an uninterrupted
    run when its data come in the same order. `fit` cannot begin in mid-epoch: a step that was saved there (by steps, by time,
    by SIGTERM) lets it begin that epoch anew, with a warning. SIGTERM saves, then stops the fit after the batch. Give
    `Checkpointer(every=tk.every(epochs=…))` for exact resumes.

    Args:
        checkpointer: it is closed at the end of the fit.
        restore: whether `fit` goes on from the newest whole step; the model must be built then.
    """

    def __init__(self, checkpointer: Checkpointer, *, restore: bool = True) -> None:
        super().__init__()
        self.checkpointer = checkpointer
        self._restore = restore
        self._epoch = 0
        self._before = 0  # batches of the epochs before this one
        self._batches = 0  # of all
        self._saved = -1

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Fill the model and its optimizer from the newest whole step, if there is one."""
        self._batches, self._saved = 0, -1
        if not self._restore or not self.checkpointer.steps():
            return
        model = self.model
        if not model.built:
            raise UnsupportedDataError(
                f"The Keras model {model.name!r} is not built, and cannot be filled from {self.checkpointer.directory}. Give it an "
                "Input, or call it on a batch, before fit()."
            )
        if model.optimizer is not None and not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        state = _state(model, 0, 0, whole=True)
        found = self.checkpointer.restore(state)
        if found is None:
            return
        for variable, value in zip(_seeds(model), state["seeds"], strict=True):
            variable.assign(value)
        self._batches = int(state["batches"])
        self._saved = found.step
        model._initial_epoch = int(state["epoch"])  # as Keras' own BackupAndRestore says where to begin
        if not state["whole"]:
            warnings.warn(
                f"{found.path} was saved in the middle of epoch {state['epoch']}: fit() begins it anew, and trains its first "
                "batches twice.",
                stacklevel=2,
            )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remember which it is."""
        self._epoch = epoch
        self._before = self._batches

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save when due by steps, by time or by a signal; whole epochs wait for their end."""
        self._batches = self._before + batch + 1
        params = self.params or {}
        if params.get("steps") != batch + 1:
            self._offer(None, {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save when due, with the epoch's logs as metrics."""
        self._offer(epoch, logs or {})

    def _offer(self, epoch: int | None, logs: Mapping[str, Any]) -> None:
        step = self._batches - 1
        if step > self._saved and self.checkpointer.due(step, epoch):
            whole = epoch is not None
            state = _state(self.model, self._epoch + whole, self._batches, whole=whole)
            tell(self.checkpointer, step, state, numbers(logs), epoch)
            self._saved = step
        if self.checkpointer.stopping:
            self.model.stop_training = True

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the Checkpointer: all steps are durable then."""
        self.checkpointer.close()


def _state(model: Any, epoch: int, batches: int, *, whole: bool) -> dict[str, Any]:
    """What is saved: epochs that are done, batches that were trained, whether the last epoch is whole."""
    state = {
        "model": model,
        "seeds": [variable.value for variable in _seeds(model)],
        "epoch": epoch,
        "batches": batches,
        "whole": whole,
    }
    if model.optimizer is not None:
        names = {id(slot.handle): slot.name for slot in find(model).slots(model)}
        state["optimizer"] = KerasOptimizer(model.optimizer, names)
    return state


def _seeds(model: Any) -> list[Any]:
    """The states of the layers' random generators, in the order of the layers."""
    return list(_seeds_of(model, set()))


def _seeds_of(layer: Any, seen: set[int]) -> Iterator[Any]:
    if id(layer) in seen:
        return
    seen.add(id(layer))
    for generator in layer._seed_generators:
        yield generator.state
    for child in layer._layers:
        yield from _seeds_of(child, seen)
