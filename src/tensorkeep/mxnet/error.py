"""The classes of errors by name, as MXNet keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet.base import MXNetError, claim

__all__ = ["InternalError", "MXNetError", "register"]

_BY_NAME: dict[str, type] = {
    kind.__name__: kind for kind in (MXNetError, ValueError, TypeError, AttributeError, IndexError, NotImplementedError)
}


def register(func_name: Any = None, cls: type | None = None) -> Any:
    """Keep a class of errors under a name: register("Name", Class), or as a decorator with or without a name."""
    if isinstance(func_name, type):
        return register(func_name.__name__, func_name)

    def keep(kind: type) -> type:
        _BY_NAME[func_name if isinstance(func_name, str) else kind.__name__] = kind
        return kind

    decorate: Callable[[type], type] = keep
    return decorate if cls is None else keep(cls)


@register
class InternalError(MXNetError):
    """An error of MXNet's core; the text says where to report it."""

    def __init__(self, msg: str) -> None:
        if "MXNet hint:" not in msg:
            msg += (
                "\nMXNet hint: You hit an internal error. Please open an issue in "
                "https://github.com/apache/incubator-mxnet/issues/new/choose to report it."
            )
        super().__init__(msg)


claim(globals())
