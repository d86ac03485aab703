"""`state_dict` and `load_state_dict` for what has none, or too little: optimizers of Keras and MXNet, loaders."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tensorkeep.errors import MismatchError, UnsupportedDataError

__all__ = ["AcceleratedLoader", "KerasOptimizer", "Loader", "MXNetUpdaters", "stateful"]


def stateful(value: Any) -> Any:
    """An object that tells and takes the state of `value`: itself when it can, a wrapper, or None where there is no way."""
    if hasattr(value, "use_stateful_dataloader") and hasattr(value, "base_dataloader"):
        # A loader that Accelerate prepared has the methods of a stateful one in any case.
        return AcceleratedLoader(value) if value.use_stateful_dataloader else None
    torchdata = sys.modules.get("torchdata.stateful_dataloader")
    if torchdata is not None and isinstance(value, torchdata.StatefulDataLoader):
        return Loader(value)
    if callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None)):
        return value
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(value, getattr(getattr(keras, "optimizers", None), "Optimizer", ())):
        return KerasOptimizer(value)
    gluon = sys.modules.get("tensorkeep.mxnet.gluon")
    if gluon is not None and isinstance(value, gluon.Trainer):
        return MXNetUpdaters.of_trainer(value)
    return None


class Loader:
    """A StatefulDataLoader of torchdata, which begins to read when it gets its state.

    Its iterator draws a seed when it is made. An uninterrupted run drew it at the beginning of the epoch; so here it is drawn
    before the random generators are restored, and not after.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def state_dict(self) -> Any:
        """Where it is in its epoch."""
        return self._loader.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Go there."""
        self._loader.load_state_dict(state)
        self._loader.state_dict()  # makes the iterator, which the next `for` takes


class AcceleratedLoader:
    """A stateful loader as Accelerate prepared it: also the number of its epoch, which seeds a seedable sampler."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def state_dict(self) -> dict[str, Any]:
        """Its epoch, and where it is in it; None before it was read from."""
        loader = self._loader
        inside = any(each is loader for each in loader.gradient_state.dataloader_references)
        ended = inside and loader.end_of_dataloader  # it counts the epoch only when it is asked for the next batch
        return {"iteration": loader.iteration + ended, "state": getattr(loader, "dl_state_dict", None)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go there."""
        self._loader.set_epoch(int(state["iteration"]))
        if state["state"] is not None:
            self._loader.load_state_dict(state["state"])
            Loader(self._loader.base_dataloader).state_dict()


class KerasOptimizer:
    """The variables of a Keras optimizer: "iteration", "learning_rate", and of each weight "0.kernel.momentum".

    Args:
        names: id of each weight → its name in the model; without them weights are called by their place ("3").
    """

    def __init__(self, optimizer: Any, names: Mapping[int, str] | None = None) -> None:
        self._optimizer = optimizer
        self._names = names or {}

    def _variables(self) -> dict[str, Any]:
        weights = {
            weight.path.replace("/", "_") + "_": self._names.get(id(weight), str(i))
            for i, weight in enumerate(self._optimizer._trainable_variables)
        }
        found: dict[str, Any] = {}
        for variable in self._optimizer.variables:
            starts = [start for start in weights if variable.name.startswith(start)]
            start = max(starts, key=len, default="")
            name = f"{weights[start]}.{variable.name[len(start) :]}" if start else variable.name
            while name in found:
                name += "_"
            found[name] = variable
        return found

    def state_dict(self) -> dict[str, Any]:
        """The variables' arrays by name; none before the optimizer is built."""
        return {name: variable.value for name, variable in self._variables().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the variables.

        Raises:
            MismatchError: the optimizer is not built, or is another one; nothing was changed.
        """
        variables = self._variables()
        if state and not self._optimizer.built:
            raise MismatchError(
                "The Keras optimizer is not built: it has no variables to fill. Call "
                "optimizer.build(model.trainable_variables) first."
            )
        problems = [f"{name}: not in the step" for name in variables if name not in state]
        problems += [f"{name}: not in the optimizer" for name in state if name not in variables]
        problems += [
            f"{name}: {list(state[name].shape)} in the step, {list(variable.shape)} in the optimizer"
            for name, variable in variables.items()
            if name in state and tuple(state[name].shape) != tuple(variable.shape)
        ]
        if problems:
            raise MismatchError(f"The state is of another optimizer; nothing was changed: {'; '.join(problems[:8])}.")
        for name, variable in variables.items():
            value = state[name]
            variable.assign(value if not hasattr(value, "detach") else value.detach().cpu().numpy())


class MXNetUpdaters:
    """What the optimizer of a gluon Trainer or a Module has gathered: counts, learning rates, momenta by place of the weight.

    Args:
        updaters: one for each device; all are alike.
        optimizer: theirs.
    """

    def __init__(self, updaters: list[Any], optimizer: Any) -> None:
        self._updaters = updaters
        self._optimizer = optimizer

    @classmethod
    def of_trainer(cls, trainer: Any) -> MXNetUpdaters:
        """Of a gluon Trainer, wherever it applies its optimizer."""
        if any(param._data is None and param._deferred_init for param in trainer._params):
            if trainer._update_on_kvstore:
                raise UnsupportedDataError(
                    "The Trainer's Parameters have no values yet. Run the network once before saving or restoring."
                )
            return cls(trainer._updaters, trainer._optimizer)
        trainer._ready()
        return cls([trainer._kvstore._updater] if trainer._update_on_kvstore else trainer._updaters, trainer._optimizer)

    @classmethod
    def of_module(cls, module: Any) -> MXNetUpdaters:
        """Of a Module whose init_optimizer() was called."""
        if not module.optimizer_initialized:
            raise UnsupportedDataError(
                "The Module has no optimizer yet. Call its init_optimizer() first; fit() keeps it."
            )
        updater = module._kvstore._updater if module._update_on_kvstore else module._updater
        return cls([updater], module._optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Plain data and torch tensors."""
        return {
            "optimizer": _numbers(self._optimizer),
            "scheduler": _numbers(self._optimizer.lr_scheduler),
            "counts": {
                str(device): {str(key): count for key, count in counts.items()}
                for device, counts in self._optimizer._all_index_update_counts.items()
            },
            "states": {str(index): _arrays_out(value) for index, value in self._updaters[0].states.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set what `state_dict` gave, on every device."""
        optimizer = self._optimizer
        own = {str(key): key for key in optimizer.idx2name} | {str(key): key for key in optimizer.param_dict}
        for target, values in ((optimizer, state["optimizer"]), (optimizer.lr_scheduler, state["scheduler"])):
            for name, value in values.items():
                setattr(target, name, value)
        found = optimizer._all_index_update_counts
        found.clear()
        for device, counts in state["counts"].items():
            found[int(device)] = {own.get(key, _index(key)): count for key, count in counts.items()}
        optimizer._index_update_count = found.setdefault(0, {})
        for updater in self._updaters:
            updater.states = {own.get(i, _index(i)): _arrays_in(value) for i, value in state["states"].items()}
            updater.states_synced = dict.fromkeys(updater.states, False)


def _index(key: str) -> Any:
    return int(key) if key.lstrip("-").isdigit() else key


def _numbers(target: Any) -> dict[str, Any]:
    """The attributes that are numbers, or lists of numbers: what changes in training, and what it was made with."""
    kinds = (bool, int, float)
    return (
        {
            name: value
            for name, value in vars(target).items()
            if isinstance(value, kinds) or (isinstance(value, list) and all(isinstance(each, kinds) for each in value))
        }
        if target is not None
        else {}
    )


def _arrays_out(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_arrays_out(each) for each in value])
    return value.to_torch() if hasattr(value, "to_torch") else value


def _arrays_in(value: Any) -> Any:
    from tensorkeep.core.foreign import to_torch
    from tensorkeep.mxnet import ndarray
    from tensorkeep.mxnet._invoke import wrap
    from tensorkeep.mxnet.context import cpu

    if isinstance(value, (list, tuple)):
        return type(value)([_arrays_in(each) for each in value])
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return wrap(value if hasattr(value, "detach") else to_torch(value), cpu(), ndarray.NDArray)
