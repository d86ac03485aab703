"""mx.sym.npx.image: the image operators on symbols."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet.numpy_extension._op import IMAGE, names
from tensorkeep.mxnet.symbol.numpy_extension._op import operator

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    found = None if name.startswith("__") else operator(name, IMAGE)
    if found is None:
        raise missing("mxnet.symbol.numpy_extension.image", name, names(IMAGE))
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(names(IMAGE))
