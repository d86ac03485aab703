"""NameManager and Prefix: how nodes that were given no name come to one ("fullyconnected0")."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from tensorkeep.mxnet.base import claim

__all__ = ["NameManager", "Prefix"]


class _Current(type):
    """Gives the classes `current`: the innermost scope of the calling thread."""

    _current: Any

    @property
    def current(cls) -> Any:
        return scope_of(cls)

    @current.setter
    def current(cls, value: Any) -> None:
        cls._current.value = value


def scope_of(cls: Any) -> Any:
    """The innermost scope of a kind in the calling thread; a plain one is made when there is none."""
    try:
        return cls._current.value
    except AttributeError:
        cls._current.value = made = cls._outermost()
        return made


class NameManager(metaclass=_Current):
    """Counts each kind of name: the first exp is exp0. In a `with` block, the counting starts anew."""

    _current: ClassVar[Any] = threading.local()

    def __init__(self) -> None:
        self._counter: dict[str, int] = {}
        self._old_manager: NameManager | None = None

    @staticmethod
    def _outermost() -> NameManager:
        return NameManager()

    def get(self, name: str | None, hint: str) -> str:
        """The name itself when one is given, else `hint` with the next number."""
        if name:
            return name
        number = self._counter.get(hint, 0)
        self._counter[hint] = number + 1
        return f"{hint}{number}"

    def __enter__(self) -> NameManager:
        self._old_manager = scope_of(NameManager)
        NameManager._current.value = self
        return self

    def __exit__(self, *exc: object) -> None:
        NameManager._current.value = self._old_manager


class Prefix(NameManager):
    """Puts a prefix before every name, given or counted, of the operators in its `with` block."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        """The prefixed name."""
        return self._prefix + super().get(name, hint)


claim(globals())
