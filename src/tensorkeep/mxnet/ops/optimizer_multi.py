"""Updates of several weights in one call: arrays of one weight after those of another, one result a weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, operator
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.ops import _updates as rules

_Rule = Callable[..., Tensor]
_WORDS = {"lrs": "learning rates", "learning_rates": "learning rates", "wds": "weight decays", "etas": "etas"}


def _groups(name: str, arrays: tuple[Tensor, ...], count: int, width: int, behind: int) -> Iterator[tuple[Tensor, ...]]:
    """The arrays of each weight; `behind` arrays that follow them all are left out."""
    if len(arrays) != count * width + behind:
        raise MXNetError(f"Operator {name} expects {count * width + behind} inputs, but got {len(arrays)} instead.")
    return (arrays[i : i + width] for i in range(0, count * width, width))


def _listed(attrs: Attrs, count: int, *names: str) -> list[tuple[float, ...]]:
    """The values of attributes that hold one for each weight, weight by weight."""
    for name in names:
        if len(attrs[name]) != count:
            said = _WORDS.get(name, name)
            raise MXNetError(
                f"Number of {said} is inconsistent with num_weights parameter passed. "
                f"Expected number of {said}: {count}, and got {len(attrs[name])}"
            )
    return list(zip(*[attrs.pop(name) for name in names], strict=True))


def _updated(rule: _Rule, group: tuple[Tensor, ...], mixed: bool, **attrs: Any) -> Tensor:
    """One weight's update; `mixed`: the last array is the weight in float32, which is changed in place."""
    if not mixed:
        return rule(*group, **attrs)
    weight, grad, *states, wide = group
    found = rule(wide, grad.float(), *states, **attrs)
    wide.copy_(found)
    return found.to(weight.dtype)


def _sgd(name: str, rule: _Rule, width: int, mixed: bool, preloaded: bool) -> None:
    @rules.unrecorded
    def update(*data: Tensor, num_weights: int = 1, **attrs: Any) -> tuple[Tensor, ...]:
        groups = _groups(name, data, num_weights, width, 2 if preloaded else 0)
        if preloaded:
            attrs |= {"lrs": data[-2].tolist(), "wds": data[-1].tolist()}
        rates = _listed(attrs, num_weights, "lrs", "wds")
        return tuple(
            [_updated(rule, group, mixed, lr=lr, wd=wd, **attrs) for group, (lr, wd) in zip(groups, rates, strict=True)]
        )

    states = ("weight, grad", "weight, grad, mom")[rule is rules.sgd_mom] + (", weight32" if mixed else "")
    update.__doc__ = (
        f"The new weights after a step of gradient descent each: {states} of one after those of another."
        + ("\n\nTwo arrays with the learning rates and the weight decays follow." if preloaded else "")
    )
    operator(name, outputs=lambda attrs: int(attrs["num_weights"]), dtype="meta")(update)


for _preloaded in (False, True):
    _start = "preloaded_multi" if _preloaded else "multi"
    _sgd(f"{_start}_sgd_update", rules.sgd, 2, False, _preloaded)
    _sgd(f"{_start}_sgd_mom_update", rules.sgd_mom, 3, False, _preloaded)
    _sgd(f"{_start}_mp_sgd_update", rules.sgd, 3, True, _preloaded)
    _sgd(f"{_start}_mp_sgd_mom_update", rules.sgd_mom, 4, True, _preloaded)


def _adamw(name: str, mixed: bool) -> None:
    @rules.unrecorded
    def update(*data: Tensor, num_weights: int = 1, **attrs: Any) -> tuple[Tensor, ...]:
        groups = _groups(name, data, num_weights, 5 if mixed else 4, 1)
        rates = _listed(attrs, num_weights, "lrs", "wds", "etas")
        if not rules.usable(data[-1]):
            return tuple([group[0].clone() for group in groups])

        def rule(weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, **given: Any) -> Tensor:
            return rules.adamw(weight, grad, mean, var, data[-1], **given)

        return tuple(
            [
                _updated(rule, group, mixed, lr=lr, wd=wd, eta=eta, **attrs)
                for group, (lr, wd, eta) in zip(groups, rates, strict=True)
            ]
        )

    update.__doc__ = (
        f"The new weights after a step of AdamW each: weight, grad, mean, var{', weight32' if mixed else ''} of one "
        "after those of another, then rescale_grad, an array of one number."
    )
    operator(name, outputs=lambda attrs: int(attrs["num_weights"]), dtype="meta")(update)


_adamw("_multi_adamw_update", False)
_adamw("_multi_mp_adamw_update", True)


def _lamb_rule(
    weight: Tensor, grad: Tensor, mean: Tensor, var: Tensor, *, lr: float, lower_bound: float = -1.0,
    upper_bound: float = -1.0, narrow: Tensor, **attrs: Any,
) -> Tensor:  # fmt: skip
    direction = rules.lamb_direction(weight, grad, mean, var, **attrs)
    r1, r2 = rules.length(narrow).to(weight.dtype), rules.length(direction)
    return rules.lamb_step(weight, direction, r1, r2, lr=lr, lower_bound=lower_bound, upper_bound=upper_bound)


def _lamb(name: str, mixed: bool) -> None:
    @rules.unrecorded
    def update(*data: Tensor, num_tensors: int = 1, **attrs: Any) -> tuple[Tensor, ...]:
        groups = _groups(name, data, num_tensors, 5 if mixed else 4, 0)
        rates = _listed(attrs, num_tensors, "learning_rates", "wds", "step_count")
        return tuple(
            [
                _updated(_lamb_rule, group, mixed, lr=lr, wd=wd, t=t, narrow=group[0], **attrs)
                for group, (lr, wd, t) in zip(groups, rates, strict=True)
            ]
        )

    update.__doc__ = (
        f"The new weights after a step of LAMB each: weight, grad, mean, var{', weight32' if mixed else ''} of one after "
        "those of another."
    )
    operator(name, outputs=lambda attrs: int(attrs["num_tensors"]), dtype="meta")(update)


_lamb("_multi_lamb_update", False)
_lamb("_multi_mp_lamb_update", True)
