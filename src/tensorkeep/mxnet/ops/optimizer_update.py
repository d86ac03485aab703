"""What optimizers call: the new weight, usually into out=weight; the states among the inputs are changed in place."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tensorkeep.mxnet._dtypes import NAMES
from tensorkeep.mxnet._registry import operator
from tensorkeep.mxnet._schema import schema
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops import _updates as rules
from tensorkeep.mxnet.ops._elementwise import same_dtype, same_shape

_Rule = Callable[..., Tensor]


def _checked(weight: Tensor, others: tuple[Tensor, ...]) -> None:
    if not weight.is_floating_point():
        raise MXNetError(f"This operation only support floating point types, not {NAMES[weight.dtype]}")
    for at, array in enumerate(others, 1):
        same_shape(weight, array, at)
        same_dtype(weight, array, at)


def _described(update: Callable[..., Any], rule: _Rule, name: str, more: str = "") -> Callable[..., Any]:
    """`update` with the parameters of `rule`, whose defaults become MXNet's (0.9 is float32's 0.899999976)."""
    params = schema(name).params
    defaults = rule.__kwdefaults__ or {}
    for key, value in defaults.items():
        if type(value) is float and key in params:
            defaults[key] = params[key].parse(value)
    update.__signature__ = inspect.signature(rule)  # type: ignore[attr-defined]  # the registry asks for it
    update.__doc__ = f"{rule.__doc__}{more}"
    return update


def _plain(name: str, rule: _Rule, unchecked: int = 0) -> None:
    """Register `rule` under a name; the last `unchecked` inputs may have other shapes."""

    @rules.unrecorded
    def update(weight: Tensor, *others: Tensor, **attrs: Any) -> Tensor:
        _checked(weight, others[: len(others) - unchecked])
        return rule(weight, *others, **attrs)

    operator(name, shape=None if unchecked else "same")(_described(update, rule, name))


def _mixed(name: str, rule: _Rule, at: int) -> None:
    """Register the form of `rule` with a weight in float32 as input `at`, from which the narrow one is rounded."""

    @rules.unrecorded
    def update(weight: Tensor, grad: Tensor, *others: Tensor, **attrs: Any) -> Tensor:
        wide = others[at - 2]
        found = rule(wide, grad.float(), *others[: at - 2], *others[at - 1 :], **attrs)
        wide.copy_(found)
        return found.to(weight.dtype)

    more = (
        "\n\nComputed in float32: weight32 is the exact weight, changed in place; the result has the dtype of weight."
    )
    operator(name, shape="same", dtype="meta")(_described(update, rule, name, more))


def _adamw(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, rescale_grad: Tensor, *, lr: float, beta1: float = 0.9,
    beta2: float = 0.999, epsilon: float = 1e-8, wd: float = 0.0, eta: float, clip_gradient: float = -1.0,
) -> Tensor:  # fmt: skip
    """weight - eta · (lr · mean / (√var + epsilon) + wd · weight); mean and var are changed in place.

    rescale_grad is an array of one number: where it is 0, infinite or NaN nothing changes. grad is left rescaled and
    clipped, as MXNet leaves it.
    """
    scale = rules.usable(rescale_grad)
    if scale and (scale != 1.0 or clip_gradient >= 0):
        grad.copy_(rules.clipped(grad, scale, clip_gradient))
        rescale_grad = torch.ones_like(rescale_grad)
    return rules.adamw(
        weight, grad, mean, var, rescale_grad, lr=lr, beta1=beta1, beta2=beta2, epsilon=epsilon, wd=wd, eta=eta
    )


_PLAIN: dict[str, _Rule] = {
    "sgd_update": rules.sgd, "sgd_mom_update": rules.sgd_mom, "nag_mom_update": rules.nag, "adam_update": rules.adam,
    "rmsprop_update": rules.rmsprop, "rmspropalex_update": rules.rmspropalex, "ftrl_update": rules.ftrl,
    "ftml_update": rules.ftml, "signsgd_update": rules.signsgd, "signum_update": rules.signum,
    "lamb_update_phase1": rules.lamb_direction, "_sparse_adagrad_update": rules.adagrad,
}  # fmt: skip
for _name, _rule in _PLAIN.items():
    _plain(_name, _rule)
_plain("_adamw_update", _adamw, unchecked=1)
_plain("lamb_update_phase2", rules.lamb_step, unchecked=2)
_plain("_contrib_group_adagrad_update", rules.group_adagrad, unchecked=1)
_mixed("mp_sgd_update", rules.sgd, at=2)
_mixed("mp_sgd_mom_update", rules.sgd_mom, at=3)
_mixed("mp_nag_mom_update", rules.nag, at=3)


@operator("_mp_adamw_update", dtype="meta")
@rules.unrecorded
def mp_adamw_update(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, weight32: Tensor, rescale_grad: Tensor, **attrs: Any
) -> Tensor:
    """A step of AdamW, computed in float32: mean, var and weight32 are changed in place, unless it is skipped.

    rescale_grad is an array of one number: where it is 0, infinite or NaN nothing changes.
    """
    if not rules.usable(rescale_grad):
        return weight.clone()
    found = rules.adamw(weight32, grad.float(), mean, var, rescale_grad, **attrs)
    weight32.copy_(found)
    return found.to(weight.dtype)


@operator("mp_lamb_update_phase1", dtype="meta")
@rules.unrecorded
def mp_lamb_update_phase1(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, weight32: Tensor, **attrs: Any
) -> Tensor:
    """LAMB's direction, computed in float32 from weight32; mean and var are changed in place."""
    return rules.lamb_direction(weight32, grad.float(), mean, var, **attrs)


@operator("mp_lamb_update_phase2", dtype="meta")
@rules.unrecorded
def mp_lamb_update_phase2(weight: Tensor, g: Tensor, r1: Tensor, r2: Tensor, weight32: Tensor, **attrs: Any) -> Tensor:
    """LAMB's step, computed in float32: weight32 is changed in place, the result has the dtype of weight."""
    found = rules.lamb_step(weight32, g, r1, r2, **attrs)
    weight32.copy_(found)
    return found.to(weight.dtype)
