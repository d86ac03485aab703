"""The rules by which optimizers change weights: (weight, gradient, states) → new weight, the states changed in place.

Sources: Kingma and Ba (Adam), Loshchilov and Hutter (AdamW), You et al. (LAMB), McMahan et al. (FTRL), Zheng and Kwok
(FTML), Hinton and Graves (RMSProp), Bernstein et al. (signSGD, Signum); where the weight decay enters before or after
clipping is MXNet's own choice, different from rule to rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

__all__ = [
    "adagrad", "adam", "adamw", "clipped", "decayed", "ftml", "ftrl", "group_adagrad", "lamb_direction", "lamb_step",
    "length", "nag", "rmsprop", "rmspropalex", "sgd", "sgd_mom", "signsgd", "signum", "unrecorded", "usable",
]  # fmt: skip

_Fn = TypeVar("_Fn", bound=Callable[..., Any])


def unrecorded(fn: _Fn) -> _Fn:
    """The function, outside of what autograd records: updates have no gradient."""
    return torch.no_grad()(fn)


def clipped(grad: Tensor, rescale_grad: float, clip_gradient: float) -> Tensor:
    """The gradient times `rescale_grad`, at most `clip_gradient` away from 0 unless that is negative."""
    if rescale_grad != 1.0:
        grad = grad * rescale_grad
    return torch.clamp(grad, -clip_gradient, clip_gradient) if clip_gradient >= 0 else grad


def decayed(grad: Tensor, weight: Tensor, wd: float, rescale_grad: float, clip_gradient: float) -> Tensor:
    """The rescaled gradient plus `wd` times the weight, clipped after that."""
    if rescale_grad != 1.0:
        grad = grad * rescale_grad
    if wd:
        grad = grad + wd * weight
    return torch.clamp(grad, -clip_gradient, clip_gradient) if clip_gradient >= 0 else grad


def sgd(
    weight: Tensor, grad: Tensor, *, lr: float, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0
) -> Tensor:
    """weight - lr · (gradient + wd · weight), the gradient rescaled and clipped."""
    step = clipped(grad, rescale_grad, clip_gradient)
    return weight - lr * (step + wd * weight if wd else step)


def sgd_mom(
    weight: Tensor, grad: Tensor, mom: Tensor, *, lr: float, momentum: float = 0.0, wd: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight + mom, where mom becomes momentum · mom - lr · (gradient + wd · weight), in place."""
    step = clipped(grad, rescale_grad, clip_gradient)
    mom.mul_(momentum).sub_(lr * (step + wd * weight if wd else step))
    return weight + mom


def nag(
    weight: Tensor, grad: Tensor, mom: Tensor, *, lr: float, momentum: float = 0.0, wd: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """Nesterov's: as sgd_mom, but weight + momentum · mom - lr · (gradient + wd · weight); mom is changed in place."""
    grad = clipped(grad, rescale_grad, clip_gradient)
    step = lr * (grad + wd * weight if wd else grad)
    mom.mul_(momentum)
    found = weight + (momentum * (mom - step) - step)
    # with out=weight MXNet has overwritten the weight by the time that it decays mom with it
    mom.sub_(lr * (grad + wd * found) if wd else step)
    return found


def _moments(grad: Tensor, mean: Tensor, var: Tensor, beta1: float, beta2: float) -> None:
    mean.mul_(beta1).add_(grad, alpha=1.0 - beta1)
    var.mul_(beta2).addcmul_(grad, grad, value=1.0 - beta2)


def adam(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, *, lr: float, beta1: float = 0.9, beta2: float = 0.999,
    epsilon: float = 1e-8, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight - lr · mean / (√var + epsilon), mean and var being running means of the gradient and its square.

    Both are changed in place; lr is to hold the correction for the first steps.
    """
    _moments(decayed(grad, weight, wd, rescale_grad, clip_gradient), mean, var, beta1, beta2)
    return weight - lr * mean / (torch.sqrt(var) + epsilon)


def usable(rescale_grad: Tensor) -> float:
    """The number in the array; 0 where it is infinite or NaN, too: a step that overflowed and changes nothing."""
    scale = float(rescale_grad.reshape(()))
    return scale if scale - scale == 0 else 0.0


def adamw(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, rescale_grad: Tensor, *, lr: float, beta1: float = 0.9,
    beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0.0, eta: float, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight - eta · (lr · mean / (√var + epsilon) + wd · weight); mean and var are changed in place.

    rescale_grad is an array of one number: where it is 0, infinite or NaN nothing changes.
    """
    scale = usable(rescale_grad)
    if not scale:
        return weight.clone()
    _moments(clipped(grad, scale, clip_gradient), mean, var, beta1, beta2)
    return weight - eta * (lr * mean / (torch.sqrt(var) + epsilon) + wd * weight)


def rmsprop(
    weight: Tensor, grad: Tensor, n: Tensor, *, lr: float, gamma1: float = 0.95, epsilon: float = 1e-8,
    wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0, clip_weights: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight - lr · gradient / √(n + epsilon), n being the running mean of its square, changed in place."""
    grad = decayed(grad, weight, wd, rescale_grad, clip_gradient)
    n.mul_(gamma1).addcmul_(grad, grad, value=1.0 - gamma1)
    found = weight - lr * (grad / torch.sqrt(n + epsilon))
    return torch.clamp(found, -clip_weights, clip_weights) if clip_weights >= 0 else found


def rmspropalex(
    weight: Tensor, grad: Tensor, n: Tensor, g: Tensor, delta: Tensor, *, lr: float, gamma1: float = 0.95,
    gamma2: float = 0.9, epsilon: float = 1e-8, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
) -> Tensor:  # fmt: skip
    """RMSProp as Alex Graves describes it: n and g are running means of the square and of the gradient.

    delta becomes gamma2 · delta - lr · gradient / √(n - g² + epsilon) and is added to the weight; all three are
    changed in place.
    """
    grad = decayed(grad, weight, wd, rescale_grad, clip_gradient)
    n.mul_(gamma1).addcmul_(grad, grad, value=1.0 - gamma1)
    g.mul_(gamma1).add_(grad, alpha=1.0 - gamma1)
    delta.mul_(gamma2).sub_(lr * (grad / torch.sqrt(n - g * g + epsilon)))
    found = weight + delta
    return torch.clamp(found, -clip_weights, clip_weights) if clip_weights >= 0 else found


def ftrl(
    weight: Tensor, grad: Tensor, z: Tensor, n: Tensor, *, lr: float, lamda1: float = 0.01, beta: float = 1.0,
    wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """Follow the regularised leader: 0 where |z| ≤ lamda1; z and n are changed in place."""
    grad = clipped(grad, rescale_grad, clip_gradient)
    square = grad * grad
    z.add_(grad - (torch.sqrt(n + square) - torch.sqrt(n)) * weight / lr)
    n.add_(square)
    found = (torch.sign(z) * lamda1 - z) / ((beta + torch.sqrt(n)) / lr + wd)
    return found * (z.abs() > lamda1)


def ftml(
    weight: Tensor, grad: Tensor, d: Tensor, v: Tensor, z: Tensor, *, lr: float, beta1: float = 0.6,
    beta2: float = 0.999, epsilon: float = 1e-8, t: int, wd: float = 0.0, rescale_grad: float = 1.0,
    clip_grad: float = -1.0,
) -> Tensor:  # fmt: skip
    """Follow the moving leader, t being the number of the step, from 1; d, v and z are changed in place."""
    grad = decayed(grad, weight, wd, rescale_grad, clip_grad)
    v.mul_(beta2).addcmul_(grad, grad, value=1.0 - beta2)
    now = (1.0 - beta1**t) / lr * (torch.sqrt(v / (1.0 - beta2**t)) + epsilon)
    z.mul_(beta1).add_(grad, alpha=1.0 - beta1).sub_((now - beta1 * d) * weight)
    d.copy_(now)
    return -z / now


def signsgd(
    weight: Tensor, grad: Tensor, *, lr: float, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0
) -> Tensor:
    """(1 - lr · wd) · weight - lr · sign(gradient)."""
    return (1.0 - lr * wd) * weight - lr * torch.sign(grad)


def signum(
    weight: Tensor, grad: Tensor, mom: Tensor, *, lr: float, momentum: float = 0.0, wd: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0, wd_lh: float = 0.0,
) -> Tensor:  # fmt: skip
    """(1 - lr · wd_lh) · weight + lr · sign(mom), mom being the running mean of the falling gradient, in place."""
    grad = clipped(grad, rescale_grad, clip_gradient)
    mom.mul_(momentum).sub_((1.0 - momentum) * (grad + wd * weight))
    return (1.0 - lr * wd_lh) * weight + lr * torch.sign(mom)


def lamb_direction(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, *, beta1: float = 0.9, beta2: float = 0.999,
    epsilon: float = 1e-6, t: int, bias_correction: bool = True, wd: float, rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """LAMB's direction: Adam's plus wd · weight; t is the number of the step, from 1; mean and var change in place."""
    _moments(clipped(grad, rescale_grad, clip_gradient), mean, var, beta1, beta2)
    if bias_correction:
        step = (mean / (1.0 - beta1**t)) / (torch.sqrt(var / (1.0 - beta2**t)) + epsilon)
    else:
        step = mean / (torch.sqrt(var) + epsilon)
    return step + wd * weight


def lamb_step(
    weight: Tensor,
    g: Tensor,
    r1: Tensor,
    r2: Tensor,
    *,
    lr: float,
    lower_bound: float = -1.0,
    upper_bound: float = -1.0,
) -> Tensor:
    """weight - lr · r1 / r2 · g: r1 the norm of the weight, within the bounds; r2 that of g; without them if one is 0."""
    if lower_bound >= 0:
        r1 = torch.clamp_min(r1, lower_bound)
    if upper_bound >= 0:
        r1 = torch.clamp_max(r1, upper_bound)
    ratio = torch.where((r1 == 0) | (r2 == 0), torch.ones_like(r1), r1 / r2)
    return weight - (lr * ratio).to(g.dtype) * g


def adagrad(
    weight: Tensor, grad: Tensor, history: Tensor, *, lr: float, epsilon: float = 1e-7, wd: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight - lr · gradient / √(history + epsilon), history being the sum of its squares, changed in place."""
    grad = clipped(grad, rescale_grad, clip_gradient)
    history.addcmul_(grad, grad)
    step = grad / torch.sqrt(history + epsilon)
    return weight - lr * (step + wd * weight if wd else step)


def group_adagrad(
    weight: Tensor, grad: Tensor, history: Tensor, *, lr: float, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
    epsilon: float = 1e-5,
) -> Tensor:  # fmt: skip
    """AdaGrad with one history a row: the mean of the squares of the row's gradient, changed in place."""
    grad = clipped(grad, rescale_grad, clip_gradient)
    rows = grad.square().flatten(1).mean(1)
    history.add_(rows.reshape(history.shape))
    root = torch.sqrt(history + epsilon).reshape(-1, *[1] * (weight.dim() - 1))
    return weight - lr * grad / root


def length(array: Tensor) -> Tensor:
    """The Euclidean norm, an array of one number in float32 or wider; squares are rounded to the array's dtype."""
    square = array.square().double().sum()
    return torch.sqrt(square).to(torch.promote_types(array.dtype, torch.float32)).reshape(1)
