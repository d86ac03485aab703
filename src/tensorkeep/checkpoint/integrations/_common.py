"""What the integrations share: the dicts of trainers as plain data, and numbers for `metrics`."""

from __future__ import annotations

import argparse
import enum
import os
import sys
from collections.abc import Mapping
from typing import Any

from tensorkeep.checkpoint._state import as_tensor_or_none, is_stateful
from tensorkeep.checkpoint.checkpointer import Checkpointer
from tensorkeep.errors import UnsupportedDataError

__all__ = ["numbers", "plain", "tell", "torch_tree"]


def plain(value: Any, path: str, left_out: list[str] | None = None) -> Any:
    """Dicts, lists, tuples, numbers, strings and tensors that stand for `value`; tensors are shared, not copied.

    Args:
        left_out: where names of what has no such form are added; None makes them errors.
    Raises:
        UnsupportedDataError: something is no data; the text names it and says what to do.
    """
    if isinstance(value, enum.Enum):
        return plain(value.value, path, left_out)
    if value is None or isinstance(value, (bool, bytes)):
        return value
    kinds: tuple[Any, ...] = (str, int, float, complex)
    for kind in kinds:
        if isinstance(value, kind):
            return kind(value)  # NumPy's and others' subclasses as Python's own
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        items = {key: plain(item, f"{path}.{key}", left_out) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _NOTHING}
    if isinstance(value, (list, tuple)):
        found = [plain(item, f"{path}.{i}", left_out) for i, item in enumerate(value)]
        if any(item is _NOTHING for item in found):
            return _NOTHING  # a list that lost an item is another list
        return found if isinstance(value, list) else tuple(found)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return value.item()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return value.detach()
    if torch is None or not isinstance(value, torch.nn.Module):
        if as_tensor_or_none(value) is not None:
            return value
        if is_stateful(value):
            return plain(value.state_dict(), path, left_out)
    if left_out is not None:
        left_out.append(path)
        return _NOTHING
    kind = type(value)
    raise UnsupportedDataError(
        f"{path}: a {kind.__module__}.{kind.__qualname__} is no data that a checkpoint can hold. Give it a state_dict() and a "
        "load_state_dict(), or leave it out of what is saved."
    )


_NOTHING = object()


def torch_tree(data: Any, device: Any = None) -> Any:
    """Data with torch tensors in the place of arrays."""
    import numpy as np

    from tensorkeep.core.foreign import to_torch
    from tensorkeep.core.tree import map_tree

    return map_tree(data, lambda leaf: to_torch(leaf, device=device) if isinstance(leaf, np.ndarray) else leaf)


def numbers(found: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are single numbers, tensors of one element included."""
    metrics = {}
    for name, value in found.items():
        try:
            metrics[str(name)] = float(value)
        except (TypeError, ValueError, RuntimeError):
            continue  # a text, a list, a tensor of several elements
    return metrics


def tell(
    checkpointer: Checkpointer, step: int, state: Any, metrics: Mapping[str, float], epoch: int | None = None
) -> None:
    """`Checkpointer.step` for a state that was gathered at this moment."""
    checkpointer.step(step, state, metrics, epoch=epoch)
    # After an exception later on, a crash step of it would mix this moment's counters with that one's weights.
    checkpointer._last = None
