"""The Hugging Face Trainer: a callback that drives a Checkpointer, and folders that `resume_from_checkpoint` takes.

This module imports `transformers` at once: the callback is a subclass of its own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from transformers import (
    TrainerCallback,  # the class statement below needs it; only users of the Trainer import this module
)

from tensorkeep.checkpoint._state import Restore
from tensorkeep.checkpoint.checkpointer import Checkpointer
from tensorkeep.checkpoint.integrations._common import numbers, plain, tell, torch_tree
from tensorkeep.checkpoint.steps import Step
from tensorkeep.errors import TensorNotFoundError, UnsupportedDataError

__all__ = ["CheckpointerCallback"]


class CheckpointerCallback(TrainerCallback):  # type: ignore[misc]  # transformers is optional, and so untyped here
    """Saves a training of the Hugging Face Trainer with a Checkpointer.

        ckpt = tk.Checkpointer("runs/bert", every=tk.every(minutes=10), keep=tk.keep_best(2, "eval_loss", mode="min"))
        saver = CheckpointerCallback(ckpt)
        trainer = Trainer(model, TrainingArguments(output_dir, save_strategy="no"), train_dataset=data, callbacks=[saver])
        trainer.train(resume_from_checkpoint=saver.resume_path())  # None in a new directory

    Saved are the model, the optimizer by the names of its parameters, the scheduler, a gradient scaler, the trainer's state
    and the random generators. A step's number is `state.global_step - 1`: steps count from 0. It is saved when the step's
    logging and evaluation are over; the metrics are what was logged at it ("loss", "eval_loss" …). `every(epochs=…)` counts
    at the ends of epochs. SIGTERM saves, then stops the training. The counters of callbacks such as EarlyStoppingCallback
    are not saved.

    Args:
        checkpointer: it is closed at the end of the training.
        load_best: (metric, "min" or "max"): at the end the model gets the weights of the best step; True takes them from the
            first `keep_best`.
    """

    def __init__(self, checkpointer: Checkpointer, *, load_best: bool | tuple[str, str] = False) -> None:
        self.checkpointer = checkpointer
        self._load_best = load_best
        self._ended: int | None = None  # the step whose logging and evaluation may be under way
        self._epoch: int | None = None
        self._resumed = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Refuse what cannot go together."""
        if args.load_best_model_at_end:
            raise UnsupportedDataError(
                "load_best_model_at_end=True looks for the Trainer's own checkpoints. Set it to False, and give "
                "CheckpointerCallback(load_best=True)."
            )
        self._ended = self._epoch = None

    def on_step_end(self, args: Any, state: Any, control: Any, **objects: Any) -> Any:
        """Remember that a step ended; after a signal it is saved at once."""
        self._drop_resumed()
        self._ended = state.global_step - 1
        if self.checkpointer._signals.stop:
            return self._offer(state, control, objects)
        return control

    def on_epoch_end(self, args: Any, state: Any, control: Any, **objects: Any) -> None:
        """Remember that an epoch ended."""
        self._epoch = round(state.epoch) - 1 if state.epoch is not None else None

    def on_step_begin(self, args: Any, state: Any, control: Any, **objects: Any) -> Any:
        """Save the step before when due. Its successor's data were drawn: the Trainer resumes from generators of this moment."""
        return self._offer(state, control, objects)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **objects: Any) -> Any:
        """Save the last step of the epoch before when due."""
        return self._offer(state, control, objects)

    def on_train_end(self, args: Any, state: Any, control: Any, **objects: Any) -> Any:
        """Save the last step when due, wait for all saves, load the best."""
        control = self._offer(state, control, objects)
        self._drop_resumed()
        self.checkpointer.close()
        if self._load_best:
            metric, mode = self._load_best if isinstance(self._load_best, tuple) else (None, None)
            self.load_best(objects["model"], metric, mode=mode)
        return control

    def _offer(self, state: Any, control: Any, objects: Mapping[str, Any]) -> Any:
        step, epoch = self._ended, self._epoch
        self._ended = self._epoch = None
        if step is not None and self.checkpointer.due(step, epoch):
            logged = [entry for entry in state.log_history if entry.get("step") == step + 1]
            metrics = numbers({name: value for entry in logged for name, value in entry.items()})
            tell(self.checkpointer, step, _state(state, objects), metrics, epoch)
        if self.checkpointer.stopping:
            control.should_training_stop = True
        return control

    def load_best(self, model: Any, metric: str | None = None, *, mode: str | None = None) -> Step:
        """Fill a model with the weights of the best step.

        Args:
            metric, mode: as `Checkpointer.best` has them.
        Raises:
            TensorNotFoundError: no step has the metric. MismatchError: the model is another one; nothing was changed.
        """
        best = self.checkpointer.best(metric, mode=mode)
        if best is None:
            raise TensorNotFoundError(
                f"{self.checkpointer.directory}: no step has the metric. The metrics are what the Trainer logs at a step "
                "('eval_loss'); evaluate at the steps that are saved."
            )
        if damage := best.damage():
            raise TensorNotFoundError(f"{best.path}: the best step is damaged: {damage[0]}")
        with best.open() as file:
            restore = Restore({"model": model}, {"model": file.structure["model"]})
            restore.check()
            restore.carry_out()
        return best

    def resume_path(self, folder: str | os.PathLike[str] | None = None) -> str | None:
        """A checkpoint folder of the Trainer's own kind with the newest whole step; None when there is no step.

        It is made anew by each call and, without `folder`, removed once the training goes on. `from_pretrained` reads it too.

        Args:
            folder: where it is made, and kept.
        Raises:
            CorruptFileError: every step is damaged. UnsupportedDataError: the step was not saved by this class.
        """
        step = self.checkpointer.restore()  # the generators too, which are then written as this process has them
        if step is None:
            return None
        target = os.fspath(folder) if folder is not None else os.path.join(self.checkpointer.directory, "resume")
        _export(step, target, *_rank())
        if folder is None:
            self._resumed = target
        return target

    def _drop_resumed(self) -> None:
        from tensorkeep.storage.folders import remove_folder

        path, self._resumed = self._resumed, ""
        if path and _rank()[0] == 0:
            remove_folder(os.path.dirname(path), os.path.basename(path))


def _state(trainer_state: Any, objects: Mapping[str, Any]) -> dict[str, Any]:
    """What is saved of a training; `objects` is what a callback is given."""
    model, optimizer = objects["model"], objects["optimizer"]
    state = {
        "model": model,
        "optimizer": optimizer,
        "scheduler": objects["lr_scheduler"],
        "trainer": plain(dataclasses.asdict(trainer_state), "trainer"),
    }
    if getattr(optimizer, "scaler", None) is not None:
        state["scaler"] = optimizer.scaler
    if hasattr(model, "config") and callable(getattr(model.config, "to_json_string", None)):
        state["config"] = model.config.to_json_string(use_diff=False)
    return state


def _rank() -> tuple[int, int]:
    """This process' number and how many there are."""
    dist = sys.modules.get("torch.distributed")
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def _export(step: Step, folder: str, rank: int, ranks: int) -> None:
    """Write a step as a checkpoint of the Trainer; each rank its generators, the first one all else."""
    from tensorkeep.api import save
    from tensorkeep.storage.folders import make_folder, remove_folder

    if rank == 0:
        tree = step.load()
        if not isinstance(tree, dict) or not {"model", "optimizer", "scheduler", "trainer"} <= tree.keys():
            raise UnsupportedDataError(
                f"{step.path}: this step was not saved by CheckpointerCallback (it has {', '.join(map(str, tree))}). Load its "
                "weights with tk.load_parameters(model, path)."
            )
        if os.path.lexists(folder):
            if not os.path.isfile(os.path.join(folder, "trainer_state.json")) and os.listdir(folder):
                raise UnsupportedDataError(
                    f"{folder}: this folder is no checkpoint of the Trainer; it was not replaced."
                )
            remove_folder(os.path.dirname(os.path.abspath(folder)), os.path.basename(os.path.abspath(folder)))
        make_folder(folder)
        save(os.path.join(folder, "model.safetensors"), dict(tree["model"]), metadata={"format": "pt"})
        save(os.path.join(folder, "optimizer.pt"), torch_tree(_by_number(tree["optimizer"])))
        save(os.path.join(folder, "scheduler.pt"), torch_tree(tree["scheduler"]))
        if "scaler" in tree:
            save(os.path.join(folder, "scaler.pt"), torch_tree(tree["scaler"]))
        if "config" in tree:
            _write_text(os.path.join(folder, "config.json"), tree["config"])
        _write_text(os.path.join(folder, "trainer_state.json"), json.dumps(tree["trainer"], indent=2) + "\n")
    if ranks > 1:
        sys.modules["torch.distributed"].barrier()
    save(os.path.join(folder, "rng_state.pth" if ranks == 1 else f"rng_state_{rank}.pth"), _generators())


def _by_number(optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's state as torch's own state_dict has it: parameters are numbers in the order of the groups."""
    numbers_of: dict[str, int] = {}
    groups = []
    for group in optimizer["param_groups"]:
        groups.append({**group, "params": [numbers_of.setdefault(name, len(numbers_of)) for name in group["params"]]})
    state = {numbers_of[name]: own for name, own in optimizer["state"].items()}
    return {**optimizer, "state": dict(sorted(state.items())), "param_groups": groups}


def _generators() -> dict[str, Any]:
    """The generators of this process, as the Trainer's rng_state.pth has them."""
    import random

    import numpy as np

    torch = sys.modules["torch"]
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    found: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": (kind, [int(key) for key in keys], int(position), int(has_gauss), float(cached)),
        "cpu": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        many = _rank()[1] > 1
        found["cuda"] = torch.cuda.get_rng_state_all() if many else torch.cuda.get_rng_state()
    return found


def _write_text(path: str, text: str) -> None:
    from tensorkeep.core.plan import WritePlan
    from tensorkeep.storage.writing import write_file

    write_file(path, WritePlan("text", [text.encode("utf-8")]))
