"""Adapters: one framework each, model to tensors and tensors to model. Found without importing a framework.

A package of yours adds one by an entry point of the group "tensorkeep.adapters" that names an Adapter.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from tensorkeep.adapters.base import Adapter
from tensorkeep.errors import UnsupportedDataError

__all__ = ["find", "known"]

_OWN = {
    "keras": ("keras", "tensorkeep.adapters.keras"),  # its models on torch are nn.Modules as well
    "torch": ("torch", "tensorkeep.adapters.torch"),
    "flax": ("flax", "tensorkeep.adapters.flax"),
    "equinox": ("equinox", "tensorkeep.adapters.equinox"),
    "mxnet": ("tensorkeep.mxnet", "tensorkeep.adapters.mxnet"),
    "tree": ("", "tensorkeep.adapters.tree"),
}
"""Name → the module that must have been imported for a model of it to exist ("" for none), and the adapter's home.

In the order in which they are asked; the last takes dicts, lists and dataclasses of arrays."""

_NO_TENSORS = {
    "sklearn": "scikit-learn's estimators keep no named tensors. Save them with skops or ONNX; arrays such as `coef_` go into "
    "tk.save as a dict.",
}


@cache
def _adapter(home: str) -> Adapter:
    made: Adapter = import_module(home).ADAPTER
    return made


@cache
def _foreign() -> tuple[Adapter, ...]:
    return tuple(point.load() for point in entry_points(group="tensorkeep.adapters"))


def known() -> list[str]:
    """The names of the adapters: ours, then those of other packages."""
    return [*_OWN, *(adapter.name for adapter in _foreign())]


def find(model: Any) -> Adapter:
    """The adapter of a model.

    Raises:
        UnsupportedDataError (a TypeError): nobody knows what it is; the text says what can be given.
    """
    for adapter in _foreign():
        if adapter.owns(model):
            return adapter
    for needs, home in _OWN.values():
        if (not needs or needs in sys.modules) and _adapter(home).owns(model):
            return _adapter(home)
    kind = type(model)
    root = kind.__module__.partition(".")[0]
    if root in _NO_TENSORS:
        raise UnsupportedDataError(f"{kind.__module__}.{kind.__qualname__}: {_NO_TENSORS[root]}")
    raise UnsupportedDataError(
        f"A {kind.__module__}.{kind.__qualname__} is no model that tensorkeep knows: a torch.nn.Module, a Block or Module of "
        "tensorkeep.mxnet, a Keras 3 model, a Flax or Equinox module, or a dict, list or dataclass of arrays. "
        "An adapter for another framework is one class: docs/extending.md."
    )
