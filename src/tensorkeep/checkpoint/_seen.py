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
    if not parameters:  # nothing could train them: spare the search through the process
        return _positions(state)
    kinds: list[tuple[type, str, str]] = [
        (torch.optim.Optimizer, "an optimizer", "its moments start at zero after a resume"),
        (torch.optim.lr_scheduler.LRScheduler, "a learning-rate scheduler", "its schedule starts again after a resume"),
    ]
    scaler = getattr(torch.amp, "GradScaler", None)
    if scaler is not None:
        kinds.append((scaler, "a gradient scaler", "its scale starts again after a resume"))
    wanted = {kind for base, _, _ in kinds for kind in _with_subclasses(base)}
    found = _positions(state)
    # type(value), never value.__class__, which proxies answer with code of their own; a process may have millions of objects
    for value in [value for value in gc.get_objects() if type(value) in wanted]:
        for base, called, loss in kinds:
            if issubclass(type(value), base) and id(value) not in inside and _belongs(value, parameters):
                found.append(f"{called} ({type(value).__name__}) is not in the state: {loss}.")
    return sorted(set(found))


def _with_subclasses(kind: type[Any]) -> set[type[Any]]:
    return {kind}.union(*(_with_subclasses(each) for each in kind.__subclasses__()))


def _positions(state: Any) -> list[str]:
    """What is said of loaders in the state that have no state."""
    lost = "a DataLoader does not know where it is in its epoch. torchdata's StatefulDataLoader does."
    return [lost] if any(is_loader(value) for value in _objects(state)) else []


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
