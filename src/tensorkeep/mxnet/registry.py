"""Classes that can be made from their name: initializers, optimizers, metrics."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet.base import claim

__all__ = ["get_alias_func", "get_create_func", "get_register_func", "get_registry"]

_REGISTRY: dict[type, dict[str, type]] = {}
"""Base class → name in lower case → class."""


def get_registry(base_class: type) -> dict[str, type]:
    """A copy of what is registered under a base class: name in lower case → class."""
    return _REGISTRY.setdefault(base_class, {}).copy()


def get_register_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A function register(klass, name=None) that puts subclasses of `base_class` into its table."""
    table = _REGISTRY.setdefault(base_class, {})

    def register(klass: type, name: str | None = None) -> type:
        assert issubclass(klass, base_class), f"Can only register subclass of {base_class.__name__}"
        key = (klass.__name__ if name is None else name).lower()
        if key in table and table[key] is not klass:
            warnings.warn(
                f"\033[91mNew {nickname} {klass.__module__}.{klass.__name__} registered with name {key} is"
                f"overriding existing {nickname} {table[key].__module__}.{table[key].__name__}\033[0m",
                UserWarning,
                stacklevel=2,
            )
        table[key] = klass
        return klass

    register.__doc__ = f"Register {nickname} to the {nickname} factory"
    return register


def get_alias_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A decorator alias(*names) that registers a class under further names."""
    register = get_register_func(base_class, nickname)

    def alias(*names: str) -> Callable[[type], type]:
        def decorate(klass: type) -> type:
            for name in names:
                register(klass, name)
            return klass

        return decorate

    return alias


def get_create_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A function create(what, …): an instance from a name, from JSON (`["name", {…}]`), from a dict, or itself."""
    table = _REGISTRY.setdefault(base_class, {})

    def create(*args: Any, **kwargs: Any) -> Any:
        if args:
            name, args = args[0], args[1:]
        else:
            name = kwargs.pop(nickname)
        if isinstance(name, base_class):
            extra = (*args, *kwargs)
            assert not extra, f"{nickname} is already an instance. Additional arguments are invalid"
            return name
        if isinstance(name, dict):
            return create(**name)
        assert isinstance(name, str), f"{nickname} must be of string type"
        if name.startswith("["):
            assert not (*args, *kwargs), "JSON leaves no room for other arguments"
            name, kwargs = json.loads(name)
            return create(name, **kwargs)
        if name.startswith("{"):
            assert not (*args, *kwargs), "JSON leaves no room for other arguments"
            return create(**json.loads(name))
        name = name.lower()
        assert name in table, f"{name} is not registered. Please register with {nickname}.register first"
        return table[name](*args, **kwargs)

    create.__doc__ = f"Create a {nickname} from its name, its JSON, or take one as it is."
    return create


claim(globals())
