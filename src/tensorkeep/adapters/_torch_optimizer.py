"""The state of a torch optimizer by the names of its parameters, so that it survives parameters that come, go or move."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tensorkeep.adapters._sharded import dtensor_like, is_dtensor
from tensorkeep.core.tensor import Tensor

__all__ = ["plan_state", "state_by_name"]


def state_by_name(optimizer: Any, names: Mapping[int, str]) -> dict[str, Any]:
    """{"state": {parameter's name: its state}, "param_groups": [{…, "params": [names]}]}, and what the optimizer adds.

    Args:
        names: id of each parameter → its name; a parameter of no known model is called by its group and place ("group0.3").
    """
    labels = _labels(optimizer, names)
    whole = optimizer.state_dict()
    groups = []
    for group, own in zip(optimizer.param_groups, whole["param_groups"], strict=True):
        plain = {key: value for key, value in own.items() if key not in ("params", "param_names")}
        groups.append({**plain, "params": [labels[id(tensor)] for tensor in group["params"]]})
    state = {
        labels[id(tensor)]: dict(optimizer.state[tensor])
        for group in optimizer.param_groups
        for tensor in group["params"]
        if tensor in optimizer.state
    }
    more = {key: value for key, value in whole.items() if key not in ("state", "param_groups")}
    return {"state": state, "param_groups": groups, **more}


def _labels(optimizer: Any, names: Mapping[int, str]) -> dict[int, str]:
    return {
        id(tensor): names.get(id(tensor), f"group{g}.{i}")
        for g, group in enumerate(optimizer.param_groups)
        for i, tensor in enumerate(group["params"])
    }


def plan_state(
    optimizer: Any,
    saved: Any,
    names: Mapping[int, str],
    actions: list[Callable[[], None]],
    arrays: Callable[[Any], Any],
) -> list[str]:
    """What stands against loading `saved`; the loading itself goes into `actions`.

    Parameters that the saved state does not know start fresh, and those that are gone are left out.
    """
    if not isinstance(saved, dict) or not {"state", "param_groups"} <= saved.keys():
        return ["an optimizer in the state, something else in the step."]
    if len(saved["param_groups"]) != len(optimizer.param_groups):
        return [
            f"{len(saved['param_groups'])} parameter groups in the step, {len(optimizer.param_groups)} in the optimizer."
        ]
    labels = _labels(optimizer, names)
    problems = []
    for group in optimizer.param_groups:
        for tensor in group["params"]:
            for key, value in saved["state"].get(labels[id(tensor)], {}).items():
                shape = getattr(value, "shape", ())
                if (
                    shape
                    and tuple(shape) != tuple(tensor.shape)
                    and key in ("exp_avg", "exp_avg_sq", "momentum_buffer")
                ):
                    problems.append(
                        f"{labels[id(tensor)]}.{key}: {list(shape)} in the step, the parameter has {list(tensor.shape)}."
                    )

    def act() -> None:
        numbers = {label: i for i, label in enumerate(labels.values())}
        owners = {labels[id(tensor)]: tensor for group in optimizer.param_groups for tensor in group["params"]}
        state = {
            numbers[name]: _state_of(owners[name], own, arrays)
            for name, own in saved["state"].items()
            if name in numbers
        }
        groups = []
        for group, own in zip(optimizer.param_groups, saved["param_groups"], strict=True):
            plain = {key: value for key, value in _tensors(arrays(own)).items() if key != "params"}
            groups.append({**plain, "params": [numbers[labels[id(tensor)]] for tensor in group["params"]]})
        more = {key: _tensors(arrays(value)) for key, value in saved.items() if key not in ("state", "param_groups")}
        optimizer.load_state_dict({**more, "state": state, "param_groups": groups})

    actions.append(act)
    return problems


def _state_of(parameter: Any, own: Mapping[str, Any], arrays: Callable[[Any], Any]) -> dict[str, Any]:
    """The state of one parameter; what has a DTensor's shape becomes a DTensor placed as that is."""
    if not is_dtensor(parameter):
        return dict(_tensors(arrays(own)))
    return {
        key: dtensor_like(parameter, value)
        if isinstance(value, Tensor) and value.shape and tuple(value.shape) == tuple(parameter.shape)
        else _tensors(arrays(value))
        for key, value in own.items()
    }


def _tensors(data: Any) -> Any:
    """Arrays as torch tensors, in nested data."""
    import numpy as np

    from tensorkeep.core.foreign import to_torch
    from tensorkeep.core.tree import map_tree

    assert "torch" in sys.modules
    return map_tree(data, lambda value: to_torch(value) if isinstance(value, np.ndarray) else value)
