"""MXNet, as `tensorkeep.mxnet` has it: a Checkpointer at the ends of the epochs of Module.fit and FeedForward.fit.

Gluon needs none of this: `{"model": net, "trainer": trainer}` is a Checkpointer's state as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tensorkeep.adapters._stateful import MXNetUpdaters
from tensorkeep.checkpoint.checkpointer import Checkpointer
from tensorkeep.checkpoint.integrations._common import tell, torch_tree
from tensorkeep.checkpoint.steps import Step
from tensorkeep.errors import UnsupportedDataError

__all__ = ["EpochCheckpoint", "Resumed"]


class Resumed(NamedTuple):
    """Where a fit goes on: arguments of `fit`, or of FeedForward.

    Attributes:
        begin_epoch: the first epoch that is not done; 0 in a new directory.
        arg_params, aux_params: arrays by name; None in a new directory.
    """

    begin_epoch: int
    arg_params: dict[str, Any] | None
    aux_params: dict[str, Any] | None


class EpochCheckpoint:
    """Saves the symbol, the parameters and the optimizer's state of each epoch as a step; the step's number is the epoch.

        ckpt = tk.Checkpointer("runs/lenet", keep=(tk.keep_last(3), tk.keep_best(1, "accuracy", mode="max")))
        saver = EpochCheckpoint(ckpt, module=mod, metric=metric)
        module.bind(…); module.init_params(…); module.init_optimizer(…)
        mod.fit(data, num_epoch=20, eval_metric=metric, epoch_end_callback=saver, **saver.resume()._asdict())

    Args:
        checkpointer: without `every` all epochs are saved; with it those that are due.
        module: the Module that is fitted, for its optimizer's state; without it, as with FeedForward, momenta begin anew.
        metric: an EvalMetric whose values at the epoch's end are the step's metrics.
    """

    def __init__(self, checkpointer: Checkpointer, *, module: Any = None, metric: Any = None) -> None:
        self.checkpointer = checkpointer
        self._module = module
        self._metric = metric

    def __call__(
        self, epoch: int, symbol: Any, arg_params: Mapping[str, Any] | None, aux_params: Mapping[str, Any] | None
    ) -> None:
        """What `fit` calls at the end of an epoch."""
        state: dict[str, Any] = {
            "model": {f"arg:{name}": array.to_torch() for name, array in (arg_params or {}).items()}
            | {f"aux:{name}": array.to_torch() for name, array in (aux_params or {}).items()},
            "symbol": symbol.tojson() if symbol is not None else None,
            "epoch": epoch,
        }
        if self._module is not None:
            state["optimizer"] = MXNetUpdaters.of_module(self._module).state_dict()
        metrics = {} if self._metric is None else {name: float(value) for name, value in self._metric.get_name_value()}
        if self.checkpointer._every is None:
            self.checkpointer.save(epoch, state, metrics=metrics, background=True, epoch=epoch)
        else:
            tell(self.checkpointer, epoch, state, metrics, epoch)

    def resume(self) -> Resumed:
        """Where the newest whole step ends; the Module's parameters and optimizer are set to it.

        Raises:
            CorruptFileError: every step is damaged.
            UnsupportedDataError: the module has no optimizer yet, or the step is none of this class.
        """
        step = self.checkpointer.restore()
        if step is None:
            return Resumed(0, None, None)
        state = self._checked(step)
        arg, aux = _parameters(state["model"])
        if self._module is not None and "optimizer" in state:
            updaters = MXNetUpdaters.of_module(self._module)
            self._module.set_params(arg, aux)
            updaters.load_state_dict(torch_tree(state["optimizer"]))
        return Resumed(int(state["epoch"]) + 1, arg, aux)

    def load(self, step: Step) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """The symbol, the parameters and the auxiliary states of a step, as `mx.model.load_checkpoint` gives them."""
        from tensorkeep.mxnet import symbol

        state = self._checked(step)
        made = None if state["symbol"] is None else symbol.load_json(state["symbol"])
        return (made, *_parameters(state["model"]))

    @staticmethod
    def _checked(step: Step) -> dict[str, Any]:
        state = step.load()
        if not isinstance(state, dict) or not {"model", "symbol", "epoch"} <= state.keys():
            raise UnsupportedDataError(
                f"{step.path}: this step was not saved by EpochCheckpoint. Load its tensors with Step.load()."
            )
        return state


def _parameters(model: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    from tensorkeep.core.foreign import to_torch
    from tensorkeep.mxnet import ndarray
    from tensorkeep.mxnet._invoke import wrap
    from tensorkeep.mxnet.context import cpu

    found: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
    for name, array in model.items():
        kind, _, bare = name.partition(":")
        found[kind][bare] = wrap(to_torch(array), cpu(), ndarray.NDArray)
    return found["arg"], found["aux"]
