"""Convolutions whose windows are moved by what another convolution finds."""

from __future__ import annotations

from typing import Any, ClassVar

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.block import HybridBlock
from tensorkeep.mxnet.gluon.nn import Activation
from tensorkeep.mxnet.gluon.nn.conv_layers import _spread, _weight_shape

__all__ = ["DeformableConvolution", "ModulatedDeformableConvolution"]


class _Deformable(HybridBlock):
    """What both have in common; `_per_tap` numbers are found for each tap of the kernel."""

    _per_tap: ClassVar[int]
    _offset_first: ClassVar[bool]

    def __init__(
        self,
        channels: int,
        kernel_size: Any = (1, 1),
        strides: Any = (1, 1),
        padding: Any = (0, 0),
        dilation: Any = (1, 1),
        groups: int = 1,
        num_deformable_group: int = 1,
        layout: str = "NCHW",
        use_bias: bool = True,
        in_channels: int = 0,
        activation: str | None = None,
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        offset_weight_initializer: Any = "zeros",
        offset_bias_initializer: Any = "zeros",
        offset_use_bias: bool = True,
        op_name: str | None = None,
        adj: Any = None,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        assert layout in ("NCHW", "NHWC"), "Only supports 'NCHW' and 'NHWC' layout for now"
        kernel = _spread(kernel_size, 2)
        self._channels = channels
        self._in_channels = in_channels
        self._op_name = op_name or type(self).__name__
        taps = num_deformable_group * kernel[0] * kernel[1]
        offsets = self._per_tap * taps
        self.offset_split_index = 2 * taps
        shared = {
            "kernel": kernel, "stride": _spread(strides, 2), "dilate": _spread(dilation, 2),
            "pad": _spread(padding, 2), "num_group": groups, "layout": layout, **({"adj": adj} if adj else {}),
        }  # fmt: skip
        self._kwargs_offset = {**shared, "num_filter": offsets, "no_bias": not offset_use_bias}
        self._kwargs_deformable_conv = {
            **shared, "num_filter": channels, "num_deformable_group": num_deformable_group, "no_bias": not use_bias,
        }  # fmt: skip
        offset_shape = _weight_shape(offsets, in_channels, kernel, groups, layout, False)
        rows: list[tuple[str, Any, Any, bool]] = [
            ("offset_weight", offset_shape, offset_weight_initializer, True),
            ("offset_bias", (offsets,), offset_bias_initializer, offset_use_bias),
            ("deformable_conv_weight", [channels, 0, *kernel], weight_initializer, True),
            ("deformable_conv_bias", (channels,), bias_initializer, use_bias),
        ]
        with self.name_scope():
            for name, shape, init, used in rows if self._offset_first else [*rows[2:], *rows[:2]]:
                made = self.params.get(name, shape=shape, init=init, allow_deferred_init=True) if used else None
                setattr(self, name, made)
            self.act = Activation(activation, prefix=activation + "_") if activation else None

    deformable_conv_weight: Any
    deformable_conv_bias: Any

    def _offsets(self, F: Any, x: Any, weight: Any, bias: Any) -> Any:
        inputs = (x, weight) if bias is None else (x, weight, bias)
        return F.Convolution(*inputs, cudnn_off=True, **self._kwargs_offset)

    def _activated(self, out: Any) -> Any:
        return self.act(out) if self.act else out

    def __repr__(self) -> str:
        given, shape = self._kwargs_deformable_conv, self.deformable_conv_weight.shape
        parts = [f"{shape[1] or None} -> {shape[0]}", f"kernel_size={given['kernel']}", f"stride={given['stride']}"]
        if given["pad"] != (0, 0):
            parts.append(f"padding={given['pad']}")
        if given["dilate"] != (1, 1):
            parts.append(f"dilation={given['dilate']}")
        if given["num_group"] != 1:
            parts.append(f"groups={given['num_group']}")
        if self.deformable_conv_bias is None:
            parts.append("bias=False")
        if self.act:
            parts.append(str(self.act))
        return f"{type(self).__name__}({', '.join(parts)})"


class DeformableConvolution(_Deformable):
    """A Conv2D each of whose taps is moved by an offset that a second convolution finds.

    Args:
        num_deformable_group: in how many groups of channels the offsets differ.
        offset_use_bias, offset_weight_initializer, offset_bias_initializer: of the second convolution.
    """

    _per_tap = 2
    _offset_first = True

    def hybrid_forward(
        self,
        F: Any,
        x: Any,
        offset_weight: Any,
        deformable_conv_weight: Any,
        offset_bias: Any = None,
        deformable_conv_bias: Any = None,
    ) -> Any:
        """x, convolved."""
        bias = {} if deformable_conv_bias is None else {"bias": deformable_conv_bias}
        out = F.contrib.DeformableConvolution(
            data=x,
            offset=self._offsets(F, x, offset_weight, offset_bias),
            weight=deformable_conv_weight,
            **bias,
            name="fwd",
            **self._kwargs_deformable_conv,
        )
        return self._activated(out)

    def _alias(self) -> str:
        return "deformable_conv"


class ModulatedDeformableConvolution(_Deformable):
    """A DeformableConvolution whose taps are weighed as well, from 0 to 2."""

    _per_tap = 3
    _offset_first = False

    def hybrid_forward(
        self,
        F: Any,
        x: Any,
        offset_weight: Any,
        deformable_conv_weight: Any,
        offset_bias: Any = None,
        deformable_conv_bias: Any = None,
    ) -> Any:
        """x, convolved."""
        found = self._offsets(F, x, offset_weight, offset_bias)
        offset = F.slice_axis(found, axis=1, begin=0, end=self.offset_split_index)
        mask = F.sigmoid(F.slice_axis(found, axis=1, begin=self.offset_split_index, end=None)) * 2
        bias = {} if deformable_conv_bias is None else {"bias": deformable_conv_bias}
        out = F.contrib.ModulatedDeformableConvolution(
            data=x,
            offset=offset,
            mask=mask,
            weight=deformable_conv_weight,
            **bias,
            name="fwd",
            **self._kwargs_deformable_conv,
        )
        return self._activated(out)

    def _alias(self) -> str:
        return "modulated_deformable_conv"


claim(globals())
