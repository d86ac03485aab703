"""Batch normalisation with MXNet's rules: moving statistics change in backward, gamma may be fixed to 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["batch_norm"]

_forward = torch._batch_norm_impl_index
_backward = torch.ops.aten._batch_norm_impl_index_backward.default


class _Train(torch.autograd.Function):
    """torch's own kernels, with the moving statistics moved in backward by the batch's biased variance."""

    @staticmethod
    def forward(
        ctx: Any, data: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float, momentum: float,
        fixed: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        out, batch_mean, batch_scale, reserve, ctx.kernel = _forward(
            data, gamma, beta, None, None, True, 0.0, eps, True
        )
        ctx.save_for_backward(data, gamma, batch_mean, batch_scale, reserve)
        ctx.moving = mean, var
        ctx.settings = eps, momentum, fixed
        ctx.set_materialize_grads(False)
        return out, batch_mean, batch_scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> Any:
        data, gamma, batch_mean, batch_scale, reserve = ctx.saved_tensors
        eps, momentum, fixed = ctx.settings
        if grad is None:
            grad = torch.zeros_like(data)
        for_data, for_gamma, for_beta = ctx.needs_input_grad[:3]
        wanted = [for_data, for_gamma, for_beta]
        d_data, d_gamma, d_beta = _backward(
            ctx.kernel, data, grad, gamma, None, None, batch_mean, batch_scale, True, eps, wanted, reserve
        )
        if fixed and for_gamma:
            d_gamma = torch.zeros_like(gamma)
        mean, var = ctx.moving
        with torch.no_grad():
            mean.lerp_(batch_mean, 1 - momentum)
            var.lerp_(batch_scale.pow(-2).sub_(eps), 1 - momentum)
        return d_data, d_gamma, d_beta, None, None, None, None, None


class _Stopped(torch.autograd.Function):
    """The same values; a gradient of zeros."""

    @staticmethod
    def forward(ctx: Any, gamma: Tensor) -> Tensor:
        return gamma.view_as(gamma)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return torch.zeros_like(grad)


def batch_norm(
    data: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor, eps: float, momentum: float, fixed: bool,
    batch: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    """Normalise data (N, C, …) for each channel.

    Args:
        fixed: gamma is 1: written into it, and its gradient is 0.
        batch: the statistics of the batch count, and backward moves mean and var towards them.
    Returns:
        The result; the batch's mean and 1 / sqrt(variance + eps), None where the moving ones were used.
    """
    if fixed:
        gamma.detach().fill_(1)
    if not batch:
        if fixed and gamma.requires_grad and torch.is_grad_enabled():
            gamma = _Stopped.apply(gamma)
        if mean.requires_grad or var.requires_grad:
            mean, var = mean.detach(), var.detach()
        return torch.batch_norm(data, gamma, beta, mean, var, False, 0.0, eps, True), None, None
    if torch.is_grad_enabled() and (data.requires_grad or gamma.requires_grad or beta.requires_grad):
        found: tuple[Tensor, Tensor, Tensor] = _Train.apply(data, gamma, beta, mean, var, eps, momentum, fixed)
        return found
    out, batch_mean, batch_scale, _, _ = _forward(data, gamma, beta, None, None, True, 0.0, eps, True)
    return out, batch_mean, batch_scale
