"""Optimizers that follow the gradient, with or without momentum."""

from __future__ import annotations

import logging
import math
import os
from typing import Any

from torch import Tensor

from tensorkeep.mxnet import _update_rules as _rules
from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._invoke import invoke
from tensorkeep.mxnet._registry import get
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.optimizer._base import Optimizer, check, half, listed, register, tensor, zeros

__all__ = ["DCASGD", "LARS", "LBSGD", "NAG", "SGD", "SGLD", "Signum", "Test", "ccSGD"]


def _aggregation(default: int) -> int:
    """How many weights one update takes: MXNET_OPTIMIZER_AGGREGATION_SIZE."""
    return int(os.environ.get("MXNET_OPTIMIZER_AGGREGATION_SIZE", default))


class _Momentum(Optimizer):
    """What SGD, LARS and NAG share: momentum, and a float32 copy behind it in the state."""

    momentum: float
    _called = "SGD "

    def create_state_multi_precision(self, index: Any, weight: NDArray) -> Any:
        """The momentum, and with it a float32 copy of a float16 weight where multi_precision asks for one."""
        if self.multi_precision and half(weight):
            master = weight.astype("float32")
            return self.create_state(index, master), master
        self._warn_half(weight, self._called)
        return self.create_state(index, weight)

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum; None without one."""
        return zeros(weight, None) if self.momentum != 0.0 else None

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight or a list of them."""
        self._update_all(index, weight, grad, state, multi_precision=False)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight or a list of them; float16 ones in their float32 copy."""
        if self._updated_sparsely(index, weight, grad, state):
            return
        first = listed(weight)[0]
        self._update_all(index, weight, grad, state, multi_precision=self.multi_precision and half(first))

    def _update_all(self, index: Any, weight: Any, grad: Any, state: Any, multi_precision: bool) -> None:
        many = isinstance(index, (list, tuple))
        indices, weights, grads = listed(index), listed(weight), listed(grad)
        states = list(state) if many else [state]
        for one, its in zip(weights, grads, strict=True):
            check(one, its)
        self._update_count(indices)
        lrs, wds = self._get_lrs(indices), self._get_wds(indices)
        rate = self._rate()
        for i, one, its, held, lr, wd in zip(indices, weights, grads, states, lrs, wds, strict=True):
            momentum, master = held if multi_precision else (held, None)
            target = tensor(one if master is None else master)
            step = its._t.detach().to(target.dtype)
            lr = self._layer_rate(i, tensor(one), step, lr, wd)
            self._step(target, step, None if momentum is None else tensor(momentum), lr, wd, rate)
            if master is not None:
                tensor(one).copy_(target)

    def _rate(self) -> float:
        return self.momentum

    def _layer_rate(self, index: Any, weight: Tensor, grad: Tensor, lr: float, wd: float) -> float:
        return lr

    def _step(self, weight: Tensor, grad: Tensor, momentum: Tensor | None, lr: float, wd: float, rate: float) -> None:
        _rules.sgd(weight, grad, momentum, lr, wd, rate, self._scaling())


@register
class SGD(_Momentum):
    """Stochastic gradient descent with momentum and weight decay.

    Args:
        momentum: how much of the last step is kept.
        lazy_update: a row_sparse gradient changes only the rows that it stores.
    """

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.lazy_update = lazy_update
        self.aggregate_num = _aggregation(4)


@register
class ccSGD(SGD):
    """SGD under the name that it once had in C++."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


@register
class LARS(_Momentum):
    """SGD with a learning rate for each layer that follows from its norms (You et al., arXiv:1708.03888).

    Args:
        momentum: how much of the last step is kept.
        lazy_update: for sparse gradients, which are not computed here.
        eta: the trust in a layer's own rate.
        eps: added to the denominator.
        momentum_correction: scale the momentum when the learning rate changes.
    """

    def __init__(
        self,
        momentum: float = 0.0,
        lazy_update: bool = True,
        eta: float = 0.001,
        eps: float = 0,
        momentum_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.momentum_correction = momentum_correction
        self.lazy_update = lazy_update
        self.aggregate_num = _aggregation(4)
        self.eta = eta
        self.eps = eps
        self.skip = 0
        self.last_lr: float | None = None
        self.cur_lr: float | None = None

    def set_wd_mult(self, args_wd_mult: dict[Any, float]) -> None:
        """Multiply the weight decay, which is 0 for everything not called …_weight."""
        self._set_wd_mult(args_wd_mult, ("_weight",))

    def _get_lrs(self, indices: Any) -> list[float]:
        lr = self.learning_rate
        self.last_lr = lr if self.cur_lr is None else self.cur_lr
        self.cur_lr = lr
        return super()._get_lrs(indices)

    def _rate(self) -> float:
        if self.momentum_correction and self.last_lr:
            return self.momentum * (float(self.cur_lr or 0.0) / self.last_lr)
        return self.momentum

    def _layer_rate(self, index: Any, weight: Tensor, grad: Tensor, lr: float, wd: float) -> float:
        if self.idx2name.get(index, str(index)).endswith(("gamma", "beta", "bias")):
            return lr
        return _rules.lars_rate(weight, grad, lr, wd, self.eta, self.eps, self.rescale_grad)


@register
class NAG(_Momentum):
    """SGD with Nesterov's momentum."""

    _called = "NAG "

    def __init__(self, momentum: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum

    def _step(self, weight: Tensor, grad: Tensor, momentum: Tensor | None, lr: float, wd: float, rate: float) -> None:
        if momentum is None:
            _rules.sgd(weight, grad, None, lr, wd, 0.0, self._scaling())
        else:
            _rules.nag(weight, grad, momentum, lr, wd, rate, self._scaling())


@register
class Signum(Optimizer):
    """Steps along the sign of the gradient or of its momentum (Bernstein et al., arXiv:1802.04434).

    Args:
        momentum: how much of the last step is kept; 0 for SignSGD.
        wd_lh: weight decay apart from the gradient (Loshchilov and Hutter).
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9, wd_lh: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum = momentum
        self.wd_lh = wd_lh

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum; None without one."""
        return zeros(weight, None) if self.momentum != 0.0 else None

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        if state is None:
            _rules.signsgd(w, g, lr, wd)
        else:
            _rules.signum(w, g, tensor(state), lr, wd, self.momentum, self.wd_lh or 0.0, self._scaling())


@register
class LBSGD(Optimizer):
    """SGD for large batches: gradients of several batches are added up, the learning rate warms up.

    Args:
        momentum: how much of the last step is kept.
        warmup_strategy: "linear", "power2", "sqrt", or "lars".
        warmup_epochs: how long the warm-up takes.
        batch_scale: how many batches make one step.
        updates_per_epoch: batches of an epoch.
        begin_epoch: the epoch it begins with.
        num_epochs: kept as it is.
    """

    def __init__(
        self,
        momentum: float = 0.0,
        multi_precision: bool = False,
        warmup_strategy: str = "linear",
        warmup_epochs: int = 5,
        batch_scale: int = 1,
        updates_per_epoch: int = 32,
        begin_epoch: int = 0,
        num_epochs: int = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        logging.info("Running Large-Batch SGD Algorithm")
        logging.info(
            "(Batch_scale=%f, warmup_epochs=%d, warmup_strategy=%s, updates_per_epoch=%d)",
            batch_scale,
            warmup_epochs,
            warmup_strategy,
            updates_per_epoch,
        )
        self.momentum = momentum
        self.multi_precision = multi_precision
        self.warmup_strategy = warmup_strategy
        self.warmup_epochs = warmup_epochs
        self.batch_scale = batch_scale
        self.updates_per_epoch = updates_per_epoch
        self.init_updates = begin_epoch * updates_per_epoch
        self.num_epochs = num_epochs
        self.lbmult = 1
        self.cumgrads: dict[Any, dict[str, Any]] = {}
        self.adaptive = False
        self.admult = 1

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum, None without one; with multi_precision a tuple of it and a float32 copy."""
        if self.multi_precision and half(weight):
            return (zeros(weight) if self.momentum != 0.0 else None), weight.astype("float32")
        self._warn_half(weight, "SGD ")
        return zeros(weight, None) if self.momentum != 0.0 else None

    def _get_lbmult(self, nup: int) -> float:
        """What the learning rate is multiplied with after so many updates."""
        length, most = self.warmup_epochs * self.updates_per_epoch, float(self.batch_scale)
        if nup >= length:
            return most
        shares = {"linear": nup / length, "power2": nup * nup / length**2, "sqrt": math.sqrt(nup / length)}
        return 1.0 + (most - 1) * shares.get(self.warmup_strategy, 0.0) if length > 1 else 1.0

    def _get_lars(self, weight: Tensor, grad: Tensor, wd: float) -> float:
        w, g = float((weight * weight).sum()), float((grad * grad).sum())
        return min(max(math.sqrt(w / (g + wd * w + 1e-18)), 0.01), 100)

    def _add_up(self, index: Any, grad: Tensor) -> dict[str, Any]:
        held = self.cumgrads.get(index)
        if held and held["num_cums"] > 0:
            found = {"cum_grad": held["cum_grad"] + grad, "num_cums": held["num_cums"] + 1}
        else:
            found = {"cum_grad": grad, "num_cums": self.init_updates + 1}
        self.cumgrads[index] = found
        return found

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Add a gradient up; change the weight when there are batch_scale of them."""
        check(weight, grad)
        lr, wd = self._get_lr(index), self._get_wd(index)
        self._update_count(index)
        held = self._add_up(index, grad._t.detach().clone())
        if held["num_cums"] % self.batch_scale:
            return
        step = held["cum_grad"] / self.batch_scale
        if self.warmup_strategy == "lars":
            lr = lr * self._get_lars(tensor(weight), step, wd)
        else:
            lr = lr * self._get_lbmult(held["num_cums"])
        momentum, master = state if isinstance(state, (list, tuple)) else (state, None)
        target = tensor(weight if master is None else master)
        mom = None if momentum is None else tensor(momentum)
        _rules.sgd(target, step.to(target.dtype), mom, lr, wd, self.momentum, self._scaling())
        if master is not None:
            tensor(weight).copy_(target)
        held["cum_grad"] = 0


@register
class DCASGD(Optimizer):
    """Asynchronous SGD that makes up for delays (Zheng et al., arXiv:1609.08326).

    Args:
        momentum: how much of the last step is kept.
        lamda: how strongly it makes up.
    """

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum
        self.weight_previous: dict[Any, Any] = {}
        self.lamda = lamda

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The momentum (None without one) and the weight as it was."""
        return (None if self.momentum == 0.0 else zeros(weight, None)), weight.copy()

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        g = self._rescaled(g)
        momentum, previous = state
        step = (g + w * wd + g * self.lamda * g * (w - tensor(previous))) * -lr
        if momentum is not None:
            step = tensor(momentum).mul_(self.momentum).add_(step)
        tensor(previous).copy_(w)
        w.add_(step)


@register
class SGLD(Optimizer):
    """Stochastic gradient Langevin dynamics (Welling and Teh, 2011): noise with the variance lr at every step."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        w.add_((self._rescaled(g) + w * wd) * (-lr / 2))
        attrs = {"loc": 0.0, "scale": math.sqrt(lr), "shape": tuple(w.shape), "dtype": NAMES[w.dtype]}
        noise = invoke(get("_random_normal"), (), {**attrs, "ctx": str(weight.context)}, None, NDArray)
        w.add_(noise._t)


@register
class Test(Optimizer):
    """weight += grad * rescale_grad; the state is a copy of the weight. For tests of what calls optimizers."""

    __test__ = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """Zeros."""
        return zeros(weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        tensor(weight).add_(grad._t.detach() * self.rescale_grad)
        tensor(state).copy_(tensor(weight))


claim(globals(), "mxnet.optimizer.optimizer")
