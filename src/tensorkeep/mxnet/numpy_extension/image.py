"""mx.npx.image: the image operators on mx.np's arrays, and everything of mx.image."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet._faces import missing
from tensorkeep.mxnet.numpy_extension._op import IMAGE, names, operator

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    found = operator(name, IMAGE)
    if found is None:
        from tensorkeep.mxnet import image

        if not hasattr(image, name):
            raise missing("mxnet.numpy_extension.image", name, __dir__())
        found = getattr(image, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    from tensorkeep.mxnet import image

    return sorted({*dir(image), *names(IMAGE)})
