"""What a training run has that its state lacks: looked for once, at the first save."""

from __future__ import annotations

import gc
import sys
from typing import Any

from tensorkeep.checkpoint._state import is_loader

__all__ = ["not_captured"]


def not_captured(state: Any) -> list[str]:
    """Sentences about live objects of torch whose state belongs into a checkpoint and is not in `state`."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    inside = {id(value) for value in _objects(state)}
    for value in _objects(state):  # Accelerate wraps optimizers and schedulers
        inside |= {id(getattr(value, name, None)) for name in ("optimizer", "scheduler", "scaler")}
    parameters = {id(p) for value in _objects(state) if isinstance(value, torch.nn.Module) for p in value.parameters()}
    kinds: list[tuple[type, str, str]] = [
        (torch.optim.Optimizer, "an optimizer", "its moments start at zero after a resume"),
        (torch.optim.lr_scheduler.LRScheduler, "a learning-rate scheduler", "its schedule starts again after a resume"),
    ]
    scaler = getattr(torch.amp, "GradScaler", None)
    if scaler is not None:
        kinds.append((scaler, "a gradient scaler", "its scale starts again after a resume"))
    bases = tuple(base for base, _, _ in kinds)
    found = []
    for value in gc.get_objects():
        kind = type(value)  # never value.__class__, which proxies answer with code of their own
        if not issubclass(kind, bases):
            continue
        for base, called, loss in kinds:
            if issubclass(kind, base) and id(value) not in inside and _belongs(value, parameters):
                found.append(f"{called} ({kind.__name__}) is not in the state: {loss}.")
    loaders = [value for value in _objects(state) if is_loader(value)]
    found += [
        "a DataLoader does not know where it is in its epoch. torchdata's StatefulDataLoader does." for _ in loaders
    ]
    return sorted(set(found))


def _belongs(value: Any, parameters: set[int]) -> bool:
    """Whether an optimizer (or the one a scheduler drives) trains a model of the state; scalers have no model."""
    optimizer = getattr(value, "optimizer", value)
    groups = getattr(optimizer, "param_groups", None)
    if groups is None:
        return bool(parameters)
    return any(id(p) in parameters for group in groups for p in group["params"])


def _objects(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [found for item in value.values() for found in _objects(item)]
    if isinstance(value, (list, tuple)):
        return [found for item in value for found in _objects(item)]
    return [value]
