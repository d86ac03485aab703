"""VGG, with and without BatchNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon import nn
from tensorkeep.mxnet.gluon.block import HybridBlock
from tensorkeep.mxnet.gluon.model_zoo.model_store import trained
from tensorkeep.mxnet.initializer import Xavier

__all__ = ["VGG", "get_vgg", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]


def _wide() -> Any:
    return nn.Dense(4096, activation="relu", weight_initializer="normal", bias_initializer="zeros")


class VGG(HybridBlock):
    """VGG (Simonyan and Zisserman, 2014): (n, 3, 224, 224) → (n, classes).

    Args:
        layers: how many convolutions each stage has.
        filters: how many channels each stage has.
        batch_norm: whether a BatchNorm follows each convolution.
    """

    def __init__(
        self,
        layers: Sequence[int],
        filters: Sequence[int],
        classes: int = 1000,
        batch_norm: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        assert len(layers) == len(filters)
        with self.name_scope():
            self.features = self._make_features(layers, filters, batch_norm)
            self.features.add(_wide(), nn.Dropout(rate=0.5), _wide(), nn.Dropout(rate=0.5))
            self.output = nn.Dense(classes, weight_initializer="normal", bias_initializer="zeros")

    def _make_features(self, layers: Sequence[int], filters: Sequence[int], batch_norm: bool) -> Any:
        net = nn.HybridSequential(prefix="")
        for count, channels in zip(layers, filters, strict=True):
            for _ in range(count):
                init = Xavier(rnd_type="gaussian", factor_type="out", magnitude=2)
                net.add(
                    nn.Conv2D(channels, kernel_size=3, padding=1, weight_initializer=init, bias_initializer="zeros")
                )
                if batch_norm:
                    net.add(nn.BatchNorm())
                net.add(nn.Activation("relu"))
            net.add(nn.MaxPool2D(strides=2))
        return net

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Images → classes."""
        return self.output(self.features(x))


_FILTERS = [64, 128, 256, 512, 512]
vgg_spec = {
    11: ([1, 1, 2, 2, 2], _FILTERS), 13: ([2, 2, 2, 2, 2], _FILTERS), 16: ([2, 2, 3, 3, 3], _FILTERS),
    19: ([2, 2, 4, 4, 4], _FILTERS),
}  # fmt: skip
"""Layers with parameters → convolutions and channels of each stage."""


def get_vgg(num_layers: int, pretrained: bool = False, ctx: Any = None, root: str | None = None, **kwargs: Any) -> VGG:
    """VGG of 11, 13, 16 or 19 layers; with trained parameters when `pretrained` (see model_store)."""
    layers, filters = vgg_spec[num_layers]
    name = f"vgg{num_layers}{'_bn' if kwargs.get('batch_norm') else ''}"
    net: VGG = trained(VGG(layers, filters, **kwargs), name, pretrained, ctx, root)
    return net


def vgg11(**kwargs: Any) -> VGG:
    """VGG of 11 layers; see get_vgg."""
    return get_vgg(11, **kwargs)


def vgg13(**kwargs: Any) -> VGG:
    """VGG of 13 layers; see get_vgg."""
    return get_vgg(13, **kwargs)


def vgg16(**kwargs: Any) -> VGG:
    """VGG of 16 layers; see get_vgg."""
    return get_vgg(16, **kwargs)


def vgg19(**kwargs: Any) -> VGG:
    """VGG of 19 layers; see get_vgg."""
    return get_vgg(19, **kwargs)


def vgg11_bn(**kwargs: Any) -> VGG:
    """VGG of 11 layers with BatchNorm; see get_vgg."""
    return get_vgg(11, **{**kwargs, "batch_norm": True})


def vgg13_bn(**kwargs: Any) -> VGG:
    """VGG of 13 layers with BatchNorm; see get_vgg."""
    return get_vgg(13, **{**kwargs, "batch_norm": True})


def vgg16_bn(**kwargs: Any) -> VGG:
    """VGG of 16 layers with BatchNorm; see get_vgg."""
    return get_vgg(16, **{**kwargs, "batch_norm": True})


def vgg19_bn(**kwargs: Any) -> VGG:
    """VGG of 19 layers with BatchNorm; see get_vgg."""
    return get_vgg(19, **{**kwargs, "batch_norm": True})


claim(globals())
