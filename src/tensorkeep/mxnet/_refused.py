"""Names of MXNet's that tensorkeep does not have, so that programs that only import them go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tensorkeep.mxnet.base import MXNetError

__all__ = ["refuse"]


def refuse(namespace: dict[str, Any], names: Iterable[str], instead: str) -> None:
    """Put functions into a module that raise MXNetError when they are called.

    Args:
        namespace: the module's globals().
        names: what MXNet has there.
        instead: a sentence for the error: why it is not there, or what to use.
    """
    module = namespace["__name__"].replace("tensorkeep.mxnet", "mxnet", 1)
    for name in names:
        namespace[name] = _refused(module, name, instead)


def _refused(module: str, name: str, instead: str) -> Any:
    def refused(*args: Any, **kwargs: Any) -> Any:
        raise MXNetError(f"{module}.{name}: tensorkeep does not have it. {instead}")

    refused.__name__ = refused.__qualname__ = name
    refused.__module__ = module
    refused.__doc__ = f"Not there: raises MXNetError. {instead}"
    return refused
