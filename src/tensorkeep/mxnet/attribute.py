"""AttrScope: attributes that every symbol made in a `with` block gets."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.name import _Current, scope_of

__all__ = ["AttrScope"]


class AttrScope(metaclass=_Current):
    """Attributes (ctx_group="stage1", __lr_mult__="2") for all symbols that are made inside; inner scopes add theirs.

    Raises:
        ValueError: a value is no string.
    """

    _current: ClassVar[Any] = threading.local()
    _subgraph_names: ClassVar[dict[str, int]] = defaultdict(int)  # how many loop bodies of each name there are

    def __init__(self, **kwargs: str) -> None:
        for value in kwargs.values():
            if not isinstance(value, str):
                raise ValueError("Attributes need to be string")
        self._attr = kwargs
        self._old_scope: AttrScope | None = None

    @staticmethod
    def _outermost() -> AttrScope:
        return AttrScope()

    def get(self, attr: Mapping[str, Any] | None) -> dict[str, Any]:
        """The scope's attributes with those of the call over them."""
        return {**self._attr, **attr} if attr else dict(self._attr)

    def __enter__(self) -> AttrScope:
        self._old_scope = scope_of(AttrScope)
        self._attr = {**self._old_scope._attr, **self._attr}
        AttrScope._current.value = self
        return self

    def __exit__(self, *exc: object) -> None:
        AttrScope._current.value = self._old_scope


claim(globals())
