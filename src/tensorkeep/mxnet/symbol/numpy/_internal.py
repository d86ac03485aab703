"""The operators behind mx.sym.np by their own names: _internal.add_scalar."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing, public_names
from tensorkeep.mxnet.symbol.numpy_extension._op import composed

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    found = public_names()["_npi"]
    if name not in found:
        raise missing("mxnet.symbol.numpy._internal", name, found)
    function = globals()[name] = composed(found[name], name)
    return function


def __dir__() -> list[str]:
    return sorted(public_names()["_npi"])
