"""The operators behind mx.np by their own names: _internal.add_scalar."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import face, missing, public_names
from tensorkeep.mxnet.numpy_extension._op import call

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    found = public_names()["_npi"]
    if name not in found:
        raise missing("mxnet.numpy._internal", name, found)
    function = globals()[name] = face(found[name], name, call)
    return function


def __dir__() -> list[str]:
    return sorted(public_names()["_npi"])
