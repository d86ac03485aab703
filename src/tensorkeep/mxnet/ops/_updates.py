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

from tensorkeep.mxnet import _update_rules as rules
from tensorkeep.mxnet._update_rules import Scaling

__all__ = [
    "adagrad", "adam", "adamw", "clipped", "ftml", "ftrl", "group_adagrad", "lamb_direction", "lamb_step",
    "length", "nag", "rmsprop", "rmspropalex", "sgd", "sgd_mom", "signsgd", "signum", "unrecorded", "usable",
]  # fmt: skip

_Fn = TypeVar("_Fn", bound=Callable[..., Any])


def unrecorded(fn: _Fn) -> _Fn:
    """The function, outside of what autograd records: updates have no gradient."""
    made: Any = torch.no_grad()(fn)
    made.unrecorded = True
    return made


def clipped(grad: Tensor, rescale_grad: float, clip_gradient: float) -> Tensor:
    """The gradient times `rescale_grad`, at most `clip_gradient` away from 0 unless that is negative."""
    if rescale_grad != 1.0:
        grad = grad * rescale_grad
    return torch.clamp(grad, -clip_gradient, clip_gradient) if clip_gradient >= 0 else grad


def sgd(
    weight: Tensor, grad: Tensor, *, lr: float, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0
) -> Tensor:
    """weight - lr · (gradient + wd · weight), the gradient rescaled and clipped."""
    found = weight.clone()
    rules.sgd(found, grad, None, lr, wd, 0.0, Scaling(rescale_grad, clip_gradient))
    return found


def sgd_mom(
    weight: Tensor, grad: Tensor, mom: Tensor, *, lr: float, momentum: float = 0.0, wd: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight + mom, where mom becomes momentum · mom - lr · (gradient + wd · weight), in place."""
    found = weight.clone()
    rules.sgd(found, grad, mom, lr, wd, momentum, Scaling(rescale_grad, clip_gradient))
    return found


def nag(
    weight: Tensor, grad: Tensor, mom: Tensor, *, lr: float, momentum: float = 0.0, wd: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """Nesterov's: as sgd_mom, but weight + momentum · mom - lr · (gradient + wd · weight); mom is changed in place."""
    found = weight.clone()
    rules.nag(found, grad, mom, lr, wd, momentum, Scaling(rescale_grad, clip_gradient))
    return found


def adam(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, *, lr: float, beta1: float = 0.9, beta2: float = 0.999,
    epsilon: float = 1e-8, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight - lr · mean / (√var + epsilon), mean and var being running means of the gradient and its square.

    Both are changed in place; lr is to hold the correction for the first steps.
    """
    found = weight.clone()
    rules.adam(found, grad, mean, var, lr, wd, beta1, beta2, epsilon, Scaling(rescale_grad, clip_gradient))
    return found


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
    rules.moments(clipped(grad, scale, clip_gradient), mean, var, beta1, beta2)
    return weight - eta * (lr * mean / (torch.sqrt(var) + epsilon) + wd * weight)


def rmsprop(
    weight: Tensor, grad: Tensor, n: Tensor, *, lr: float, gamma1: float = 0.95, epsilon: float = 1e-8,
    wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0, clip_weights: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight - lr · gradient / √(n + epsilon), n being the running mean of its square, changed in place."""
    found = weight.clone()
    rules.rmsprop(found, grad, n, lr, wd, gamma1, epsilon, clip_weights, Scaling(rescale_grad, clip_gradient))
    return found


def rmspropalex(
    weight: Tensor, grad: Tensor, n: Tensor, g: Tensor, delta: Tensor, *, lr: float, gamma1: float = 0.95,
    gamma2: float = 0.9, epsilon: float = 1e-8, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
) -> Tensor:  # fmt: skip
    """RMSProp as Alex Graves describes it: n and g are running means of the square and of the gradient.

    delta becomes gamma2 · delta - lr · gradient / √(n - g² + epsilon) and is added to the weight; all three are
    changed in place.
    """
    found = weight.clone()
    rules.rmsprop_centered(
        found, grad, n, g, delta, lr, wd, gamma1, gamma2, epsilon, clip_weights, Scaling(rescale_grad, clip_gradient)
    )
    return found


def ftrl(
    weight: Tensor, grad: Tensor, z: Tensor, n: Tensor, *, lr: float, lamda1: float = 0.01, beta: float = 1.0,
    wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """Follow the regularised leader: 0 where |z| ≤ lamda1; z and n are changed in place."""
    found = weight.clone()
    rules.ftrl(found, grad, z, n, lr, wd, lamda1, beta, Scaling(rescale_grad, clip_gradient))
    return found


def ftml(
    weight: Tensor, grad: Tensor, d: Tensor, v: Tensor, z: Tensor, *, lr: float, beta1: float = 0.6,
    beta2: float = 0.999, epsilon: float = 1e-8, t: int, wd: float = 0.0, rescale_grad: float = 1.0,
    clip_grad: float = -1.0,
) -> Tensor:  # fmt: skip
    """Follow the moving leader, t being the number of the step, from 1; d, v and z are changed in place."""
    found = weight.clone()
    rules.ftml(found, grad, d, v, z, lr, wd, beta1, beta2, epsilon, t, Scaling(rescale_grad, clip_grad))
    return found


def signsgd(
    weight: Tensor, grad: Tensor, *, lr: float, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0
) -> Tensor:
    """(1 - lr · wd) · weight - lr · sign(gradient)."""
    found = weight.clone()
    rules.signsgd(found, grad, lr, wd)
    return found


def signum(
    weight: Tensor, grad: Tensor, mom: Tensor, *, lr: float, momentum: float = 0.0, wd: float = 0.0,
    rescale_grad: float = 1.0, clip_gradient: float = -1.0, wd_lh: float = 0.0,
) -> Tensor:  # fmt: skip
    """(1 - lr · wd_lh) · weight + lr · sign(mom), mom being the running mean of the falling gradient, in place."""
    found = weight.clone()
    rules.signum(found, grad, mom, lr, wd, momentum, wd_lh, Scaling(rescale_grad, clip_gradient))
    return found


def lamb_direction(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, *, beta1: float = 0.9, beta2: float = 0.999,
    epsilon: float = 1e-6, t: int, bias_correction: bool = True, wd: float, rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """LAMB's direction: Adam's plus wd · weight; t is the number of the step, from 1; mean and var change in place."""
    return rules.lamb_direction(
        weight, grad, mean, var, wd, beta1, beta2, epsilon, t, bias_correction, Scaling(rescale_grad, clip_gradient)
    )


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
    found = weight.clone()
    rules.lamb_step(found, g, r1, r2, lr, lower_bound, upper_bound)
    return found


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
