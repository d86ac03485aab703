"""SqueezeNet."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon import nn
from tensorkeep.mxnet.gluon.block import HybridBlock
from tensorkeep.mxnet.gluon.contrib.nn import HybridConcurrent
from tensorkeep.mxnet.gluon.model_zoo.model_store import trained

__all__ = ["SqueezeNet", "squeezenet1_0", "squeezenet1_1"]

_POOL = 0
_STAGES = {
    "1.0": ((96, 7), (_POOL, 16, 16, 32, _POOL, 32, 48, 48, 64, _POOL, 64)),
    "1.1": ((64, 3), (_POOL, 16, 16, _POOL, 32, 32, _POOL, 48, 48, 64, 64)),
}
"""Version → channels and kernel of the first convolution; then squeezed channels of each fire module, or a pooling."""


def _conv(channels: int, kernel_size: int, padding: int = 0) -> Any:
    out = nn.HybridSequential(prefix="")
    out.add(nn.Conv2D(channels, kernel_size, padding=padding), nn.Activation("relu"))
    return out


def _fire(squeezed: int) -> Any:
    out = nn.HybridSequential(prefix="")
    out.add(_conv(squeezed, 1))
    paths = HybridConcurrent(axis=1, prefix="")
    paths.add(_conv(4 * squeezed, 1), _conv(4 * squeezed, 3, 1))
    out.add(paths)
    return out


class SqueezeNet(HybridBlock):
    """SqueezeNet (Iandola et al., 2016): (n, 3, 224, 224) → (n, classes).

    Args:
        version: "1.0", or "1.1", which needs less than half of the work.
    """

    def __init__(self, version: str, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        assert version in _STAGES, f"Unsupported SqueezeNet version {version}:1.0 or 1.1 expected"
        (channels, kernel), stages = _STAGES[version]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(nn.Conv2D(channels, kernel_size=kernel, strides=2), nn.Activation("relu"))
            for squeezed in stages:
                pool = squeezed == _POOL
                self.features.add(nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True) if pool else _fire(squeezed))
            self.features.add(nn.Dropout(0.5))
            self.output = nn.HybridSequential(prefix="")
            self.output.add(nn.Conv2D(classes, kernel_size=1), nn.Activation("relu"), nn.AvgPool2D(13), nn.Flatten())

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Images → classes."""
        return self.output(self.features(x))


def get_squeezenet(
    version: str, pretrained: bool = False, ctx: Any = None, root: str | None = None, **kwargs: Any
) -> SqueezeNet:
    """SqueezeNet "1.0" or "1.1"; with trained parameters when `pretrained` (see model_store)."""
    net: SqueezeNet = trained(SqueezeNet(version, **kwargs), f"squeezenet{version}", pretrained, ctx, root)
    return net


def squeezenet1_0(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.0; see get_squeezenet."""
    return get_squeezenet("1.0", **kwargs)


def squeezenet1_1(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.1; see get_squeezenet."""
    return get_squeezenet("1.1", **kwargs)


claim(globals())
