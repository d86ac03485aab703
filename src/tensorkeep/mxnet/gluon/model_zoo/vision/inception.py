"""Inception version 3."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon import nn
from tensorkeep.mxnet.gluon.block import HybridBlock
from tensorkeep.mxnet.gluon.contrib.nn import HybridConcurrent
from tensorkeep.mxnet.gluon.model_zoo.model_store import trained

__all__ = ["Inception3", "inception_v3"]


def _conv(channels: int, kernel_size: Any, strides: Any = 1, padding: Any = 0) -> Any:
    out = nn.HybridSequential(prefix="")
    out.add(
        nn.Conv2D(channels, kernel_size, strides, padding, use_bias=False),
        nn.BatchNorm(epsilon=0.001),
        nn.Activation("relu"),
    )
    return out


def _branch(*convs: tuple[Any, ...], first: Any = None) -> Any:
    """Convolutions (channels, kernel, strides, padding) in a row, behind a pooling where one is given."""
    out = nn.HybridSequential(prefix="")
    if first is not None:
        out.add(first)
    for conv in convs:
        out.add(_conv(*conv))
    return out


def _beside(*branches: Any, prefix: str = "") -> Any:
    out = HybridConcurrent(axis=1, prefix=prefix)
    with out.name_scope():
        # Each is made by a call, so that its layers are counted within the scope.
        for branch in branches:
            out.add(branch())
    return out


def _average() -> Any:
    return nn.AvgPool2D(pool_size=3, strides=1, padding=1)


def _maximum() -> Any:
    return nn.MaxPool2D(pool_size=3, strides=2)


_ACROSS, _DOWN = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))


def _a(pooled: int, prefix: str) -> Any:
    return _beside(
        lambda: _branch((64, 1)),
        lambda: _branch((48, 1), (64, 5, 1, 2)),
        lambda: _branch((64, 1), (96, 3, 1, 1), (96, 3, 1, 1)),
        lambda: _branch((pooled, 1), first=_average()),
        prefix=prefix,
    )


def _b(prefix: str) -> Any:
    return _beside(
        lambda: _branch((384, 3, 2)),
        lambda: _branch((64, 1), (96, 3, 1, 1), (96, 3, 2)),
        lambda: _branch(first=_maximum()),
        prefix=prefix,
    )


def _c(width: int, prefix: str) -> Any:
    across, down = (width, *_ACROSS), (width, *_DOWN)
    return _beside(
        lambda: _branch((192, 1)),
        lambda: _branch((width, 1), across, (192, *_DOWN)),
        lambda: _branch((width, 1), down, across, down, (192, *_ACROSS)),
        lambda: _branch((192, 1), first=_average()),
        prefix=prefix,
    )


def _d(prefix: str) -> Any:
    return _beside(
        lambda: _branch((192, 1), (320, 3, 2)),
        lambda: _branch((192, 1), (192, *_ACROSS), (192, *_DOWN), (192, 3, 2)),
        lambda: _branch(first=_maximum()),
        prefix=prefix,
    )


def _split(*convs: tuple[Any, ...]) -> Any:
    """Convolutions, then two beside each other: one wide and one high."""
    out = nn.HybridSequential(prefix="")
    out.add(_branch(*convs))
    out.add(_beside(lambda: _branch((384, (1, 3), 1, (0, 1))), lambda: _branch((384, (3, 1), 1, (1, 0)))))
    return out


def _e(prefix: str) -> Any:
    return _beside(
        lambda: _branch((320, 1)),
        lambda: _split((384, 1)),
        lambda: _split((448, 1), (384, 3, 1, 1)),
        lambda: _branch((192, 1), first=_average()),
        prefix=prefix,
    )


class Inception3(HybridBlock):
    """Inception version 3 (Szegedy et al., 2015): (n, 3, 299, 299) → (n, classes)."""

    def __init__(self, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                _conv(32, 3, 2),
                _conv(32, 3),
                _conv(64, 3, 1, 1),
                _maximum(),
                _conv(80, 1),
                _conv(192, 3),
                _maximum(),
                _a(32, "A1_"),
                _a(64, "A2_"),
                _a(64, "A3_"),
                _b("B_"),
                _c(128, "C1_"),
                _c(160, "C2_"),
                _c(160, "C3_"),
                _c(192, "C4_"),
                _d("D_"),
                _e("E1_"),
                _e("E2_"),
                nn.AvgPool2D(pool_size=8),
                nn.Dropout(0.5),
            )
            self.output = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Images → classes."""
        return self.output(self.features(x))


def inception_v3(pretrained: bool = False, ctx: Any = None, root: str | None = None, **kwargs: Any) -> Inception3:
    """Inception version 3; with trained parameters when `pretrained` (see model_store)."""
    net: Inception3 = trained(Inception3(**kwargs), "inceptionv3", pretrained, ctx, root)
    return net


claim(globals())
