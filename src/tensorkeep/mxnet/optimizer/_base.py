"""Optimizer: what all optimizers share, and the table of their names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import torch_of
from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import state as switches
from tensorkeep.mxnet._update_rules import Scaling
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = ["Optimizer", "check", "half", "listed", "register", "tensor", "zeros"]


def zeros(weight: NDArray, dtype: Any = "float32") -> NDArray:
    """Zeros in the shape and place of a weight, float32 unless `dtype` is None (the weight's) or another."""
    kind = weight._t.dtype if dtype is None else torch_of(dtype)
    made: NDArray = wrap(torch.zeros(weight._t.shape, dtype=kind, device=weight._t.device), weight._ctx, NDArray)
    return made


def tensor(array: NDArray) -> Tensor:
    """The memory of an array, to be written in place."""
    return array._t.data


def half(weight: NDArray) -> bool:
    """Whether the weight is float16."""
    return weight._t.dtype is torch.float16


def listed(value: Any) -> list[Any]:
    """A list of one, or the items of a list or tuple."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


class Optimizer:
    """The base of all optimizers.

    Args:
        rescale_grad: gradients are multiplied with it: 1 / batch size.
        param_idx2name: the name of each index; biases, for one, then get no weight decay.
        wd: weight decay (L2).
        clip_gradient: gradients are kept between -clip_gradient and clip_gradient.
        learning_rate: 0.01 by default.
        lr_scheduler: number of updates → learning rate; it goes before `learning_rate`.
        sym: a Symbol whose `__lr_mult__` and `__wd_mult__` count.
        begin_num_update: the number of updates made before.
        multi_precision: float16 weights are updated in a float32 copy.
        param_dict: index → gluon Parameter, whose lr_mult and wd_mult count.
    """

    opt_registry: ClassVar[dict[str, type[Optimizer]]] = {}
    """Every optimizer by its name in lower case."""

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: dict[int, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: Any = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: dict[int, Any] | None = None,
    ) -> None:
        # The order of the attributes is that of MXNet's pickles.
        self.rescale_grad = rescale_grad
        self.lr_scheduler = lr_scheduler
        if self.lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        self.lr: Any = learning_rate
        if self.lr_scheduler is not None and learning_rate is not None and self.lr_scheduler.base_lr != learning_rate:
            warnings.warn(
                "learning rate from ``lr_scheduler`` has been overwritten by ``learning_rate`` in optimizer.",
                UserWarning,
                stacklevel=3,
            )
            self.lr_scheduler.base_lr = learning_rate
        self.wd = wd
        self.lr_mult: dict[Any, float] = {}
        self.wd_mult: dict[Any, float] = {}
        self.begin_num_update = begin_num_update
        self.num_update = begin_num_update
        self._all_index_update_counts: dict[int, dict[Any, int]] = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.clip_gradient = clip_gradient
        self.multi_precision = multi_precision
        self.aggregate_num = 0
        names = {} if param_idx2name is None else param_idx2name
        assert isinstance(names, dict), "param_idx2name should be a dict of param indexes to names."
        self.idx2name = names.copy()
        self.sym_info: tuple[Any, ...] = (sym.attr_dict(), sym.list_arguments()) if sym is not None else ()
        self.param_dict = param_dict or {}
        self.allow_np_array = switches.np_array
        self.set_lr_mult({})
        self.set_wd_mult({})

    @staticmethod
    def register(klass: type[Optimizer]) -> type[Optimizer]:
        """Make an optimizer known to create() by its name in lower case; a decorator."""
        assert isinstance(klass, type)
        name = klass.__name__.lower()
        known = Optimizer.opt_registry.get(name)
        if known is not None:
            warnings.warn(
                f"WARNING: New optimizer {klass.__module__}.{klass.__name__} is overriding "
                f"existing optimizer {known.__module__}.{known.__name__}",
                stacklevel=2,
            )
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> Optimizer:
        """An optimizer by its name, in any case.

        Raises:
            ValueError: there is none of that name.
        """
        if name.lower() not in Optimizer.opt_registry:
            raise ValueError(f"Cannot find optimizer {name}")
        return Optimizer.opt_registry[name.lower()](**kwargs)

    @property
    def learning_rate(self) -> float:
        """The learning rate at this number of updates."""
        return self.lr_scheduler(self.num_update) if self.lr_scheduler is not None else self.lr

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """What the optimizer keeps for a weight: None, an array, or a tuple of them."""
        return None

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        """The same, with a float32 copy of a float16 weight where multi_precision asks for one."""
        if self.multi_precision and half(weight):
            master = weight.astype("float32")
            return master, self.create_state(index, master)
        self._warn_half(weight)
        return self.create_state(index, weight)

    def _warn_half(self, weight: NDArray, which: str = "") -> None:
        if half(weight):
            warnings.warn(
                "Accumulating with float16 in optimizer can lead to poor accuracy or slow convergence. "
                f"Consider using multi_precision=True option of the {which}optimizer",
                stacklevel=4,
            )

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight, in place, by its gradient; or several of them, all given as lists.

        Args:
            index: the number or name of the weight, by which its multipliers and its count are found.
            state: what create_state() gave.
        """
        raise NotImplementedError

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """The same with a float32 copy of a float16 weight, which create_state_multi_precision() made."""
        if self._updated_sparsely(index, weight, grad, state):
            return
        if self.multi_precision and half(weight):
            master, rest = state
            self.update(index, master, grad.astype("float32"), rest)
            tensor(weight).copy_(tensor(master))
        else:
            self.update(index, weight, grad, state)

    def _updated_sparsely(self, index: Any, weight: Any, grad: Any, state: Any) -> bool:
        """Whether one of the two is sparse, and the update was done here."""
        if isinstance(weight, (list, tuple)) or grad.stype == weight.stype == "default":
            return False
        from tensorkeep.mxnet.optimizer._sparse import update_sparsely

        return update_sparsely(self, index, weight, grad, state)

    def _begin(self, index: Any, weight: Any, grad: Any) -> tuple[Tensor, Tensor, float, float]:
        """Count an update; the two tensors, the learning rate and the weight decay for it."""
        check(weight, grad)
        self._update_count(index)
        return tensor(weight), grad._t.detach(), self._get_lr(index), self._get_wd(index)

    def _scaling(self) -> Scaling:
        """What the kernels do to a gradient: a limit of 0 means none."""
        return Scaling(self.rescale_grad, self.clip_gradient or None)

    def _rescaled(self, grad: Tensor, decayed: Tensor | None = None, wd: float = 0.0) -> Tensor:
        """What optimizers do that are made of several operators: their limit may be 0, their numbers are double."""
        found = grad * self.rescale_grad
        if decayed is not None:
            found = found + decayed * wd
        if self.clip_gradient is not None:
            found = found.clamp(-self.clip_gradient, self.clip_gradient)
        return found

    def set_learning_rate(self, lr: float) -> None:
        """Set the learning rate.

        Raises:
            UserWarning: a scheduler sets it.
        """
        if self.lr_scheduler is not None:
            raise UserWarning(
                "LRScheduler of the optimizer has already been defined. Note that "
                "set_learning_rate can mutate the value of the learning rate of "
                "the optimizer only when the LRScheduler of the optimizer is undefined."
            )
        self.lr = lr

    def set_lr_scale(self, args_lrscale: Any) -> None:
        """Gone since MXNet 0.7: use set_lr_mult()."""
        raise DeprecationWarning

    def set_lr_mult(self, args_lr_mult: dict[Any, float]) -> None:
        """Multiply the learning rate of some weights, given by index or name; the Symbol's attributes go below."""
        self.lr_mult = {**self._from_symbol("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult: dict[Any, float]) -> None:
        """The same for weight decay, which is 0 for everything not called …_weight or …_gamma."""
        self._set_wd_mult(args_wd_mult, ("_weight", "_gamma"))

    def _set_wd_mult(self, given: dict[Any, float], decayed: tuple[str, ...]) -> None:
        free = {name: 0.0 for name in self.idx2name.values() if not name.endswith(decayed)}
        self.wd_mult = {**free, **self._from_symbol("__wd_mult__"), **given}

    def _from_symbol(self, key: str) -> dict[Any, float]:
        if not self.sym_info:
            return {}
        attrs, names = self.sym_info
        return {name: float(attrs[name][key]) for name in names if name in attrs and key in attrs[name]}

    def _set_current_context(self, device_id: int) -> None:
        """Count the updates of another device."""
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        counts = self._index_update_count
        for each in index if isinstance(index, (list, tuple)) else (index,):
            counts[each] = counts.get(each, self.begin_num_update) + 1
            self.num_update = max(counts[each], self.num_update)

    def _multiplier(self, index: Any, which: str) -> float:
        if index in self.param_dict:
            found: float = getattr(self.param_dict[index], which)
            return found
        table: dict[Any, float] = getattr(self, which)
        if index in table:
            return table[index]
        return table.get(self.idx2name[index], 1.0) if index in self.idx2name else 1.0

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        lr = self.learning_rate
        return [lr * self._multiplier(index, "lr_mult") for index in indices]

    def _get_lr(self, index: Any) -> float:
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[Any]) -> list[float]:
        return [self.wd * self._multiplier(index, "wd_mult") for index in indices]

    def _get_wd(self, index: Any) -> float:
        return self._get_wds([index])[0]

    def __getstate__(self) -> dict[str, Any]:
        held = self.__dict__.copy()
        del held["param_dict"]
        return held

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        self.param_dict = {}
        if "_all_index_update_counts" not in state:  # before MXNet 1.5 there was one device
            self._all_index_update_counts = {0: self._index_update_count}


def check(weight: Any, grad: Any) -> None:
    """Raise when a weight or a gradient is no dense array."""
    assert isinstance(weight, NDArray)
    assert isinstance(grad, NDArray)
    if grad.stype != "default" or weight.stype != "default":
        raise MXNetError(
            f"The weight is {weight.stype}, its gradient {grad.stype}: this optimizer updates dense weights by dense "
            "gradients here. Convert them with tostype('default')."
        )


register = Optimizer.register


claim(globals(), "mxnet.optimizer.optimizer")
