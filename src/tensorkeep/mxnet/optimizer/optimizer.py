"""mx.optimizer: the optimizers, and the Updater that keeps their states."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._state import state as switches
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.optimizer import _states
from tensorkeep.mxnet.optimizer._adaptive import (
    FTML,
    LAMB,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    Ftrl,
    Nadam,
    RMSProp,
)
from tensorkeep.mxnet.optimizer._base import Optimizer, register
from tensorkeep.mxnet.optimizer._descent import DCASGD, LARS, LBSGD, NAG, SGD, SGLD, Signum, Test, ccSGD

__all__ = [
    "DCASGD", "FTML", "LAMB", "LARS", "LBSGD", "NAG", "SGD", "SGLD", "AdaDelta", "AdaGrad", "Adam", "Adamax", "Ftrl",
    "Nadam", "Optimizer", "RMSProp", "Signum", "Test", "Updater", "ccSGD", "create", "get_updater", "register",
]  # fmt: skip

create = Optimizer.create_optimizer


class Updater:
    """Updates weights and keeps what the optimizer needs for each of them.

    Attributes:
        optimizer: what updates.
        states: index → None, an array, or a tuple of them.
        states_synced: index → whether its state lies on the device of its weight.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}
        self.states_synced: dict[Any, bool] = {}
        self.aggregate_updates = optimizer.aggregate_num > 0

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Change a weight, or a list of them, by its gradient."""
        many = isinstance(index, (list, tuple))
        indices: list[Any] = [i.decode() if isinstance(i, bytes) else i for i in (index if many else [index])]
        grads = [self._classic(each) for each in (grad if many else [grad])]
        weights = [self._classic(each) for each in (weight if many else [weight])]
        if weights:
            self.optimizer._set_current_context(weights[0].context.device_id)
        for i, one in zip(indices, weights, strict=True):
            if i not in self.states:
                self.states[i] = self.optimizer.create_state_multi_precision(i, one)
                self.states_synced[i] = True
            elif not self.states_synced[i]:
                self.states[i] = self.sync_state_context(self.states[i], one.context)
                self.states_synced[i] = True
        if any(its.stype != "default" for its in (*grads, *weights)):
            left = []
            for row in zip(indices, weights, grads, strict=True):
                if row[1].stype == row[2].stype == "default":
                    left.append(row)
                else:
                    self.optimizer.update_multi_precision(*row, self.states[row[0]])
            indices, weights, grads = ([row[k] for row in left] for k in range(3))
        if self.aggregate_updates:
            self._update_together(indices, weights, grads)
        else:
            for i, one, its in zip(indices, weights, grads, strict=True):
                self.optimizer.update_multi_precision(i, one, its, self.states[i])

    def _update_together(self, indices: list[Any], weights: list[NDArray], grads: list[NDArray]) -> None:
        by_dtype: dict[Any, list[tuple[Any, NDArray, NDArray]]] = {}
        for row in zip(indices, weights, grads, strict=True):
            by_dtype.setdefault(row[1]._t.dtype, []).append(row)
        most = self.optimizer.aggregate_num
        for rows in by_dtype.values():
            for start in range(0, len(rows), most):
                some, ones, its = zip(*rows[start : start + most], strict=True)
                self.optimizer.update_multi_precision(list(some), list(ones), list(its), [self.states[i] for i in some])

    def _classic(self, array: Any) -> Any:
        from tensorkeep.mxnet.numpy import ndarray

        if not isinstance(array, ndarray):
            return array
        if not getattr(self.optimizer, "allow_np_array", switches.np_array):
            raise ValueError("Converting np.ndarray to mx.nd.NDArray is not allowed")
        return array.as_nd_ndarray()

    def sync_state_context(self, state: Any, context: Any) -> Any:
        """The state with every array on a device."""
        if isinstance(state, NDArray):
            return state.as_in_context(context)
        if isinstance(state, (tuple, list)):
            return type(state)(self.sync_state_context(each, context) for each in state)
        return state

    def set_states(self, states: bytes) -> None:
        """Take over states, and the optimizer if it is with them, from what get_states() or MXNet wrote.

        Raises:
            UnsafeFileError: the bytes ask for something else than arrays and optimizers; nothing was executed.
            MXNetError: they are no states; those that there were are kept.
        """
        found = _states.loads(states, what="the optimizer's states")
        optimizer = self.optimizer
        if isinstance(found, tuple) and len(found) == 2:
            found, optimizer = found
        if not isinstance(found, dict) or not isinstance(optimizer, Optimizer):
            raise MXNetError(
                f"The optimizer's states: a dict of states, alone or with an optimizer, was expected; these are "
                f"{type(found).__name__} and {type(optimizer).__name__}. Give the file that save_states or "
                "save_optimizer_states wrote."
            )
        strange = [f"{key!r:.60} ({type(state).__name__})" for key, state in found.items() if not _is_state(state)]
        if strange:
            raise MXNetError(f"The optimizer's states: what is kept for {', '.join(strange[:5])} is no array.")
        self.states, self.optimizer = found, optimizer
        self.aggregate_updates = optimizer.aggregate_num > 0
        self.states_synced = dict.fromkeys(self.states.keys(), False)

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """The states, with dump_optimizer also the optimizer, as MXNet pickles them."""
        return _states.dumps((self.states, self.optimizer) if dump_optimizer else self.states)


def _is_state(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_state(item) for item in value)
    return value is None or isinstance(value, (NDArray, int, float))


def get_updater(optimizer: Optimizer) -> Updater:
    """An Updater of the optimizer."""
    return Updater(optimizer)


claim(globals())
