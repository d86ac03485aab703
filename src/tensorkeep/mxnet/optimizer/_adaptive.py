"""Optimizers with a step of its own for every element."""

from __future__ import annotations

import os
from typing import Any

import torch

from tensorkeep.mxnet import _update_rules as _rules
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.ndarray.ndarray import NDArray
from tensorkeep.mxnet.optimizer._base import Optimizer, check, half, listed, register, tensor, zeros

__all__ = ["FTML", "LAMB", "AdaDelta", "AdaGrad", "Adam", "Adamax", "Ftrl", "Nadam", "RMSProp"]


@register
class Adam(Optimizer):
    """Adam (Kingma and Ba, arXiv:1412.6980).

    Args:
        beta1, beta2: how fast the averages of the gradient and of its square forget.
        epsilon: added to the denominator.
        lazy_update: a row_sparse gradient changes only the rows that it stores.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lazy_update = lazy_update

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The averages of the gradient and of its square."""
        return zeros(weight, None), zeros(weight, None)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        t = self._index_update_count[index]
        lr *= (1.0 - self.beta2**t) ** 0.5 / (1.0 - self.beta1**t)
        mean, var = state
        _rules.adam(w, g, tensor(mean), tensor(var), lr, wd, self.beta1, self.beta2, self.epsilon, self._scaling())


@register
class AdaGrad(Optimizer):
    """AdaGrad (Duchi et al., 2011). `eps` is added to the sum of squares."""

    def __init__(self, eps: float = 1e-7, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.float_stable_eps = eps

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The sum of the squared gradients."""
        return zeros(weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        g = self._rescaled(g)
        history = tensor(state).add_(g * g)
        w.add_((g / (history + self.float_stable_eps).sqrt_() + w * wd) * -lr)


@register
class RMSProp(Optimizer):
    """RMSProp: of Tieleman and Hinton, or, centered, of Graves (arXiv:1308.0850).

    Args:
        gamma1: how fast the average of the squares forgets.
        gamma2: the momentum, when centered.
        epsilon: added to the average.
        centered: subtract the square of the average gradient.
        clip_weights: weights are kept between -clip_weights and clip_weights.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        gamma1: float = 0.9,
        gamma2: float = 0.9,
        epsilon: float = 1e-8,
        centered: bool = False,
        clip_weights: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.gamma1 = gamma1
        self.gamma2 = gamma2
        self.centered = centered
        self.epsilon = epsilon
        self.clip_weights = clip_weights

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The average of the squares; when centered also those of the gradient and of the step."""
        return tuple(zeros(weight) for _ in range(3 if self.centered else 1))

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        held = [tensor(each) for each in state]
        clip = self.clip_weights or None
        if self.centered:
            _rules.rmsprop_centered(
                w, g, held[0], held[1], held[2], lr, wd, self.gamma1, self.gamma2, self.epsilon, clip, self._scaling()
            )
        else:
            _rules.rmsprop(w, g, held[0], lr, wd, self.gamma1, self.epsilon, clip, self._scaling())


@register
class AdaDelta(Optimizer):
    """AdaDelta (Zeiler, arXiv:1212.5701); it has no learning rate.

    Args:
        rho: how fast the averages forget.
        epsilon: added to them.
    """

    def __init__(self, rho: float = 0.90, epsilon: float = 1e-5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The averages of the squared gradient and of the squared step."""
        return zeros(weight), zeros(weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight. The gradient is rescaled in place, as MXNet does it."""
        w, _, _, wd = self._begin(index, weight, grad)
        g = tensor(grad).mul_(self.rescale_grad)
        if self.clip_gradient is not None:
            g = g.clamp(-self.clip_gradient, self.clip_gradient)
        gained, moved = (tensor(each) for each in state)
        gained.mul_(self.rho).add_(g * (1.0 - self.rho) * g)
        step = (moved + self.epsilon).sqrt_() / (gained + self.epsilon).sqrt_() * g
        moved.mul_(self.rho).add_(step * (1.0 - self.rho) * step)
        w.sub_(step + w * wd)


@register
class Ftrl(Optimizer):
    """Follow the regularised leader (McMahan et al., 2013).

    Args:
        lamda1: the weight of the L1 norm.
        learning_rate: 0.1 by default.
        beta: added to the root of the sum of squares.
    """

    def __init__(self, lamda1: float = 0.01, learning_rate: float = 0.1, beta: float = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lamda1 = lamda1
        self.beta = beta
        self.lr = learning_rate

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """z and n."""
        return zeros(weight), zeros(weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        z, n = state
        _rules.ftrl(w, g, tensor(z), tensor(n), lr, wd, self.lamda1, self.beta, self._scaling())


@register
class FTML(Optimizer):
    """Follow the moving leader (Zheng and Kwok, 2017).

    Args:
        beta1, beta2: how fast the averages forget.
        epsilon: added to the denominator.
    """

    def __init__(self, beta1: float = 0.6, beta2: float = 0.999, epsilon: float = 1e-8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """d, v and z."""
        return zeros(weight, None), zeros(weight, None), zeros(weight, None)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        d, v, z = (tensor(each) for each in state)
        t = self._index_update_count[index]
        _rules.ftml(w, g, d, v, z, lr, wd, self.beta1, self.beta2, self.epsilon, t, self._scaling())


@register
class Adamax(Optimizer):
    """Adam with the largest gradient in the place of the average square."""

    def __init__(self, learning_rate: float = 0.002, beta1: float = 0.9, beta2: float = 0.999, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The average gradient, and the largest one."""
        return zeros(weight, None), zeros(weight, None)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        lr /= 1.0 - self.beta1 ** self._index_update_count[index]
        g = self._rescaled(g, w, wd)
        mean, most = (tensor(each) for each in state)
        mean.mul_(self.beta1).add_(g * (1.0 - self.beta1))
        most.copy_(torch.maximum(most * self.beta2, g.abs()))
        w.sub_(mean * lr / most)


@register
class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    Args:
        beta1, beta2: how fast the averages forget.
        epsilon: added to the denominator.
        schedule_decay: how fast the momentum grows.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.schedule_decay = schedule_decay
        self.m_schedule = 1.0

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The averages of the gradient and of its square."""
        return zeros(weight, None), zeros(weight, None)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight."""
        w, g, lr, wd = self._begin(index, weight, grad)
        t = self._index_update_count[index]
        g = self._rescaled(g, w, wd)
        now = self.beta1 * (1.0 - 0.5 * 0.96 ** (t * self.schedule_decay))
        then = self.beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * self.schedule_decay))
        self.m_schedule = self.m_schedule * now
        mean, var = (tensor(each) for each in state)
        mean.mul_(self.beta1).add_(g * (1.0 - self.beta1))
        var.mul_(self.beta2).add_(g * (1.0 - self.beta2) * g)
        step = g / (1.0 - self.m_schedule) * (1.0 - now) + mean / (1.0 - self.m_schedule * then) * then
        w.sub_(step * lr / ((var / (1.0 - self.beta2**t)).sqrt_() + self.epsilon))


@register
class LAMB(Optimizer):
    """Adam's direction with a length that follows from the layer's norms (You et al., arXiv:1904.00962).

    Args:
        beta1, beta2: how fast the averages forget.
        epsilon: added to the denominator.
        lower_bound, upper_bound: of the weight's norm.
        bias_correction: whether the averages are corrected for their start at 0.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        bias_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound
        self.bias_correction = bias_correction
        self.aggregate_num = max(1, min(45, int(os.environ.get("MXNET_OPTIMIZER_AGGREGATION_SIZE", "45"))))

    def create_state(self, index: Any, weight: NDArray) -> Any:
        """The averages of the gradient and of its square."""
        return zeros(weight, None), zeros(weight, None)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight or a list of them."""
        self._update_all(index, weight, grad, state, multi_precision=False)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change one weight or a list of them; float16 ones in their float32 copy."""
        first = listed(weight)[0]
        self._update_all(index, weight, grad, state, multi_precision=self.multi_precision and half(first))

    def _update_all(self, index: Any, weight: Any, grad: Any, state: Any, multi_precision: bool) -> None:
        many = isinstance(index, (list, tuple))
        rows = zip(index, weight, grad, state, strict=True) if many else [(index, weight, grad, state)]
        for i, one, its, held in rows:
            check(one, its)
            self._update_count(i)
            lr, wd, t = self._get_lr(i), self._get_wd(i), self._index_update_count[i]
            master, (mean, var) = held if multi_precision else (None, held)
            target = tensor(one if master is None else master)
            direction = _rules.lamb_direction(
                target, its._t.detach().to(target.dtype), tensor(mean), tensor(var), wd, self.beta1, self.beta2,
                self.epsilon, t, self.bias_correction, self._scaling(),
            )  # fmt: skip
            norms = (tensor(one).to(target.dtype).norm(), direction.norm())
            _rules.lamb_step(target, direction, *norms, lr, self.lower_bound or None, self.upper_bound or None)
            if master is not None:
                tensor(one).copy_(target)


claim(globals(), "mxnet.optimizer.optimizer")
