"""Name scopes: the prefix and the ParameterDict of a new Block, and the counters behind them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tensorkeep.mxnet.gluon._parameter_dict import ParameterDict
from tensorkeep.mxnet.name import NameManager, Prefix

if TYPE_CHECKING:
    from tensorkeep.mxnet.gluon._block import Block

__all__ = ["BlockScope"]


class _Current(threading.local):
    value: BlockScope | None = None


_current = _Current()


class BlockScope:
    """What `block.name_scope()` gives: blocks made inside are called after the block, with counters of their own."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self._counter: dict[str, int] = {}
        self._outer: list[tuple[BlockScope | None, Any]] = []

    @staticmethod
    def create(prefix: str | None, params: Any, hint: str) -> tuple[str, ParameterDict]:
        """The full prefix of a new block and its ParameterDict.

        Args:
            prefix: as it was given; None makes one from `hint` and a counter.
            params: the ParameterDict to share with, or None.
        """
        scope = _current.value
        if scope is None:
            if prefix is None:
                manager = getattr(NameManager._current, "value", None)
                if manager is None:
                    manager = NameManager._current.value = NameManager()
                prefix = f"{manager.get(None, hint)}_"
            if params is None:
                return prefix, ParameterDict(prefix)
            return prefix, ParameterDict(params.prefix, params)
        if prefix is None:
            count = scope._counter.get(hint, 0)
            scope._counter[hint] = count + 1
            prefix = f"{hint}{count}_"
        if params is None:
            parent = scope._block.params
            return scope._block.prefix + prefix, ParameterDict(parent.prefix + prefix, parent._shared)
        return scope._block.prefix + prefix, ParameterDict(params.prefix, params)

    def __enter__(self) -> BlockScope:
        if not self._block._empty_prefix:
            names = Prefix(self._block.prefix)
            self._outer.append((_current.value, names))
            _current.value = self
            names.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        if not self._block._empty_prefix:
            _current.value, names = self._outer.pop()
            names.__exit__(*exc)
