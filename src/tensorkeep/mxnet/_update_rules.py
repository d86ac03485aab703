"""How optimizers change a weight: MXNet's update kernels on torch tensors, in place.

Every function changes `weight` and the states. Parameters are float in MXNet's kernels, so that 0.999 is
0.99900001287 there; 1 - 0.999 differs in the fifth digit, and so does what is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Scaling", "adam", "f32", "ftml", "ftrl", "lamb_direction", "lamb_step", "lars_rate", "moments", "nag", "rest", "rmsprop",
    "rmsprop_centered", "scaled", "sgd", "signsgd", "signum", "times",
]  # fmt: skip


def f32(value: float) -> float:
    """The float32 value nearest to a parameter."""
    return float(np.float32(value))


def rest(share: float, like: Tensor) -> float:
    """1 - share as the kernels compute it: in float32, or exactly from a float32 for float64 arrays."""
    found = 1.0 - f32(share)
    return found if like.dtype is torch.float64 else f32(found)


def times(a: float, b: float, like: Tensor) -> float:
    """a * b of two float32 parameters as the kernels compute it."""
    found = f32(a) * f32(b)
    return found if like.dtype is torch.float64 else f32(found)


@dataclass(frozen=True, slots=True)
class Scaling:
    """What happens to a gradient first.

    Attributes:
        rescale: it is multiplied with this.
        clip: it is kept between -clip and clip; None or a negative number: it is not.
    """

    rescale: float = 1.0
    clip: float | None = None


def scaled(grad: Tensor, scaling: Scaling, decay: float = 0.0, weight: Tensor | None = None) -> Tensor:
    """A new tensor: the gradient rescaled, with the weight's decay added where given, then clipped."""
    found = grad * f32(scaling.rescale)
    if weight is not None and decay:
        found.add_(weight, alpha=f32(decay))
    if scaling.clip is not None and scaling.clip >= 0:
        found.clamp_(-f32(scaling.clip), f32(scaling.clip))
    return found


def sgd(
    weight: Tensor, grad: Tensor, momentum: Tensor | None, lr: float, wd: float, rate: float, scaling: Scaling
) -> None:
    """weight -= lr * (grad + wd * weight), through the momentum where there is one."""
    step = scaled(grad, scaling)
    lr, decay = f32(lr), times(lr, wd, weight)
    if momentum is None:
        weight.mul_(1 - decay).sub_(step, alpha=lr)
        return
    momentum.mul_(f32(rate)).sub_(weight, alpha=decay).sub_(step, alpha=lr)
    weight.add_(momentum)


def nag(weight: Tensor, grad: Tensor, momentum: Tensor, lr: float, wd: float, rate: float, scaling: Scaling) -> None:
    """Nesterov's accelerated gradient: a step along the momentum that will be.

    MXNet writes the weight before it computes the momentum, whose decay therefore is that of the new weight.
    """
    step, lr, wd, rate = scaled(grad, scaling), f32(lr), f32(wd), f32(rate)
    momentum.mul_(rate)
    ahead = momentum - (step + weight * wd) * lr
    weight.sub_(momentum).add_(ahead, alpha=rate + 1)
    momentum.sub_((step + weight * wd) * lr)


def signsgd(weight: Tensor, grad: Tensor, lr: float, wd: float) -> None:
    """A step of lr against the gradient's sign."""
    weight.mul_(1 - times(lr, wd, weight)).sub_(torch.sign(grad), alpha=f32(lr))


def signum(
    weight: Tensor, grad: Tensor, momentum: Tensor, lr: float, wd: float, rate: float, wd_lh: float, scaling: Scaling
) -> None:
    """A step of lr along the sign of the momentum."""
    step = scaled(grad, scaling)
    left = rest(rate, weight)
    momentum.mul_(f32(rate)).sub_(weight, alpha=left * f32(wd)).sub_(step, alpha=left)
    weight.mul_(1 - times(lr, wd_lh, weight)).add_(torch.sign(momentum), alpha=f32(lr))


def moments(step: Tensor, mean: Tensor, var: Tensor, beta1: float, beta2: float) -> None:
    """The running means of a gradient and of its square."""
    mean.mul_(f32(beta1)).add_(step, alpha=rest(beta1, mean))
    var.mul_(f32(beta2)).addcmul_(step, step, value=rest(beta2, var))


def adam(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, lr: float, wd: float, beta1: float, beta2: float,
    epsilon: float, scaling: Scaling,
) -> None:  # fmt: skip
    """Adam without the correction of the bias, which is in lr."""
    moments(scaled(grad, scaling, wd, weight), mean, var, beta1, beta2)
    weight.addcdiv_(mean, var.sqrt().add_(f32(epsilon)), value=-f32(lr))


def rmsprop(
    weight: Tensor, grad: Tensor, n: Tensor, lr: float, wd: float, gamma1: float, epsilon: float,
    clip_weights: float | None, scaling: Scaling,
) -> None:  # fmt: skip
    """RMSProp of Tieleman and Hinton."""
    step = scaled(grad, scaling, wd, weight)
    n.mul_(f32(gamma1)).addcmul_(step, step, value=rest(gamma1, weight))
    weight.addcdiv_(step, (n + f32(epsilon)).sqrt_(), value=-f32(lr))
    _clip_weights(weight, clip_weights)


def rmsprop_centered(
    weight: Tensor, grad: Tensor, n: Tensor, g: Tensor, delta: Tensor, lr: float, wd: float, gamma1: float,
    gamma2: float, epsilon: float, clip_weights: float | None, scaling: Scaling,
) -> None:  # fmt: skip
    """RMSProp of Graves, arXiv:1308.0850."""
    step = scaled(grad, scaling, wd, weight)
    left = rest(gamma1, weight)
    n.mul_(f32(gamma1)).addcmul_(step, step, value=left)
    g.mul_(f32(gamma1)).add_(step, alpha=left)
    delta.mul_(f32(gamma2)).addcdiv_(step, (n - g * g + f32(epsilon)).sqrt_(), value=-f32(lr))
    weight.add_(delta)
    _clip_weights(weight, clip_weights)


def _clip_weights(weight: Tensor, most: float | None) -> None:
    if most is not None and most >= 0:
        weight.clamp_(-f32(most), f32(most))


def ftrl(
    weight: Tensor, grad: Tensor, z: Tensor, n: Tensor, lr: float, wd: float, lamda1: float, beta: float,
    scaling: Scaling,
) -> None:  # fmt: skip
    """Follow the regularised leader (McMahan et al., 2013)."""
    step = scaled(grad, scaling)
    lr, lamda1 = f32(lr), f32(lamda1)
    squared = step * step
    z.add_(step - ((n + squared).sqrt_() - n.sqrt()) * weight / lr)
    n.add_(squared)
    found = (torch.sign(z) * lamda1 - z) / ((n.sqrt() + f32(beta)) / lr + f32(wd))
    weight.copy_(found * (z.abs() > lamda1))


def ftml(
    weight: Tensor, grad: Tensor, d: Tensor, v: Tensor, z: Tensor, lr: float, wd: float, beta1: float, beta2: float,
    epsilon: float, t: int, scaling: Scaling,
) -> None:  # fmt: skip
    """Follow the moving leader (Zheng and Kwok, 2017)."""
    step = scaled(grad, scaling, wd, weight)
    b1, b2 = f32(beta1), f32(beta2)
    v.mul_(b2).addcmul_(step, step, value=rest(beta2, weight))
    now = ((v / rest(b2**t, weight)).sqrt_() + f32(epsilon)) * f32(rest(b1**t, weight) / f32(lr))
    z.mul_(b1).add_(step, alpha=rest(beta1, weight)).sub_((now - b1 * d) * weight)
    d.copy_(now)
    weight.copy_(-z / now)


def lamb_direction(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, wd: float, beta1: float, beta2: float, epsilon: float,
    t: int, bias_correction: bool, scaling: Scaling,
) -> Tensor:  # fmt: skip
    """Where LAMB goes (You et al., arXiv:1904.00962, the first phase): a new tensor; the states change."""
    moments(scaled(grad, scaling), mean, var, beta1, beta2)
    first, second = mean, var
    if bias_correction:
        first = mean / rest(f32(beta1) ** t, weight)
        second = var / rest(f32(beta2) ** t, weight)
    return first / (second.sqrt() + f32(epsilon)) + weight * f32(wd)


def lamb_step(
    weight: Tensor, direction: Tensor, r1: Tensor, r2: Tensor, lr: float, lower: float | None, upper: float | None
) -> None:
    """LAMB's second phase: a step whose length follows from the norms of the weight (r1) and the direction (r2)."""
    if lower is not None and lower >= 0:
        r1 = r1.clamp(min=f32(lower))
    if upper is not None and upper >= 0:
        r1 = r1.clamp(max=f32(upper))
    ratio = torch.where((r1 == 0) | (r2 == 0), torch.ones_like(r1), r1 / r2)
    weight.sub_(direction * (ratio * f32(lr)))


def lars_rate(weight: Tensor, grad: Tensor, lr: float, wd: float, eta: float, eps: float, rescale: float) -> float:
    """The learning rate of one layer (You et al., arXiv:1708.03888)."""
    w = float(weight.float().norm())
    g = float(grad.float().norm())
    if w > 0 and g > 0:
        return lr * eta * w / (g * rescale + wd * w + eps)
    return lr
