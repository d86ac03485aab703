"""MobileNet, versions 1 and 2."""

from __future__ import annotations

from typing import Any

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon import nn
from tensorkeep.mxnet.gluon.block import HybridBlock
from tensorkeep.mxnet.gluon.model_zoo.model_store import trained

__all__ = [
    "MobileNet",
    "MobileNetV2",
    "get_mobilenet",
    "get_mobilenet_v2",
    "mobilenet0_5",
    "mobilenet0_25",
    "mobilenet0_75",
    "mobilenet1_0",
    "mobilenet_v2_0_5",
    "mobilenet_v2_0_25",
    "mobilenet_v2_0_75",
    "mobilenet_v2_1_0",
]  # fmt: skip


class RELU6(HybridBlock):
    """x between 0 and 6."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, cut off."""
        return F.clip(x, 0, 6, name="relu6")


def _add_conv(
    out: Any,
    channels: int = 1,
    kernel: int = 1,
    stride: int = 1,
    pad: int = 0,
    num_group: int = 1,
    active: bool = True,
    relu6: bool = False,
) -> None:
    out.add(nn.Conv2D(channels, kernel, stride, pad, groups=num_group, use_bias=False), nn.BatchNorm(scale=True))
    if active:
        out.add(RELU6() if relu6 else nn.Activation("relu"))


class LinearBottleneck(HybridBlock):
    """MobileNetV2's block: wider by `t`, each channel by itself, narrow again; added to x where the sizes agree."""

    def __init__(self, in_channels: int, channels: int, t: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use_shortcut = stride == 1 and in_channels == channels
        wide = in_channels * t
        with self.name_scope():
            self.out = nn.HybridSequential()
            _add_conv(self.out, wide, relu6=True)
            _add_conv(self.out, wide, kernel=3, stride=stride, pad=1, num_group=wide, relu6=True)
            _add_conv(self.out, channels, active=False, relu6=True)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Features → features."""
        out = self.out(x)
        return F.elemwise_add(out, x) if self.use_shortcut else out


class MobileNet(HybridBlock):
    """MobileNet (Howard et al., 2017): (n, 3, 224, 224) → (n, classes).

    Args:
        multiplier: how many of the channels there are.
    """

    def __init__(self, multiplier: float = 1.0, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        widths = [int(size * multiplier) for size in [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]]
        strides = [1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            with self.features.name_scope():
                _add_conv(self.features, widths[0], kernel=3, pad=1, stride=2)
                for i, stride in enumerate(strides):
                    _add_conv(self.features, widths[i], kernel=3, stride=stride, pad=1, num_group=widths[i])
                    _add_conv(self.features, widths[i + 1])
                self.features.add(nn.GlobalAvgPool2D(), nn.Flatten())
            self.output = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Images → classes."""
        return self.output(self.features(x))


class MobileNetV2(HybridBlock):
    """MobileNetV2 (Sandler et al., 2018): (n, 3, 224, 224) → (n, classes); see MobileNet."""

    def __init__(self, multiplier: float = 1.0, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = [32, 16, 24, 24, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320]
        widths = [int(size * multiplier) for size in sizes]
        strides = [1, 2, 1, 2, 1, 1, 2, *[1] * 6, 2, 1, 1, 1]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="features_")
            with self.features.name_scope():
                _add_conv(self.features, widths[0], kernel=3, stride=2, pad=1, relu6=True)
                for i, stride in enumerate(strides):
                    self.features.add(LinearBottleneck(widths[i], widths[i + 1], t=1 if i == 0 else 6, stride=stride))
                _add_conv(self.features, int(1280 * multiplier) if multiplier > 1.0 else 1280, relu6=True)
                self.features.add(nn.GlobalAvgPool2D())
            self.output = nn.HybridSequential(prefix="output_")
            with self.output.name_scope():
                self.output.add(nn.Conv2D(classes, 1, use_bias=False, prefix="pred_"), nn.Flatten())

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Images → classes."""
        return self.output(self.features(x))


def _suffix(multiplier: float) -> str:
    """ "1.0", "0.75", "0.5", "0.25", as files are called."""
    text = f"{multiplier:.2f}"
    return text[:-1] if text in ("1.00", "0.50") else text


def get_mobilenet(
    multiplier: float, pretrained: bool = False, ctx: Any = None, root: str | None = None, **kwargs: Any
) -> MobileNet:
    """MobileNet of 1.0, 0.75, 0.5 or 0.25 of the channels; with trained parameters when `pretrained`."""
    name = f"mobilenet{_suffix(multiplier)}"
    net: MobileNet = trained(MobileNet(multiplier, **kwargs), name, pretrained, ctx, root)
    return net


def get_mobilenet_v2(
    multiplier: float, pretrained: bool = False, ctx: Any = None, root: str | None = None, **kwargs: Any
) -> MobileNetV2:
    """MobileNetV2 of 1.0, 0.75, 0.5 or 0.25 of the channels; with trained parameters when `pretrained`."""
    name = f"mobilenetv2_{_suffix(multiplier)}"
    net: MobileNetV2 = trained(MobileNetV2(multiplier, **kwargs), name, pretrained, ctx, root)
    return net


def mobilenet1_0(**kwargs: Any) -> MobileNet:
    """MobileNet with all channels; see get_mobilenet."""
    return get_mobilenet(1.0, **kwargs)


def mobilenet0_75(**kwargs: Any) -> MobileNet:
    """MobileNet with 0.75 of the channels; see get_mobilenet."""
    return get_mobilenet(0.75, **kwargs)


def mobilenet0_5(**kwargs: Any) -> MobileNet:
    """MobileNet with half of the channels; see get_mobilenet."""
    return get_mobilenet(0.5, **kwargs)


def mobilenet0_25(**kwargs: Any) -> MobileNet:
    """MobileNet with a quarter of the channels; see get_mobilenet."""
    return get_mobilenet(0.25, **kwargs)


def mobilenet_v2_1_0(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2 with all channels; see get_mobilenet_v2."""
    return get_mobilenet_v2(1.0, **kwargs)


def mobilenet_v2_0_75(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2 with 0.75 of the channels; see get_mobilenet_v2."""
    return get_mobilenet_v2(0.75, **kwargs)


def mobilenet_v2_0_5(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2 with half of the channels; see get_mobilenet_v2."""
    return get_mobilenet_v2(0.5, **kwargs)


def mobilenet_v2_0_25(**kwargs: Any) -> MobileNetV2:
    """MobileNetV2 with a quarter of the channels; see get_mobilenet_v2."""
    return get_mobilenet_v2(0.25, **kwargs)


claim(globals())
