"""Convolutions, transposed convolutions, pooling, reflection padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.gluon.block import HybridBlock
from tensorkeep.mxnet.gluon.nn.activations import Activation

__all__ = [
    "AvgPool1D", "AvgPool2D", "AvgPool3D", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D",
    "Conv3DTranspose", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D", "GlobalMaxPool2D",
    "GlobalMaxPool3D", "MaxPool1D", "MaxPool2D", "MaxPool3D", "ReflectionPad2D",
]  # fmt: skip

Size = int | Sequence[int]

_LAYOUTS = {1: ("NCW",), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
_POOL_LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def _spread(value: Any, dims: int) -> Any:
    """A number for every axis; what is no number stays as it is."""
    return (value,) * dims if isinstance(value, (int, float, np.generic)) else value


class _Conv(HybridBlock):
    """What all convolutions have in common; `adj` makes it a transposed one's."""

    def __init__(
        self,
        channels: int,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        layout: str,
        in_channels: int = 0,
        activation: str | None = None,
        use_bias: bool = True,
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        op_name: str = "Convolution",
        adj: Any = None,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        dims = len(kernel_size)
        self._channels = channels
        self._in_channels = in_channels
        self._op_name = op_name
        self._kwargs = {
            "kernel": kernel_size, "stride": _spread(strides, dims), "dilate": _spread(dilation, dims),
            "pad": _spread(padding, dims), "num_filter": channels, "num_group": groups, "no_bias": not use_bias,
            "layout": layout,
        }  # fmt: skip
        if adj is not None:
            self._kwargs["adj"] = adj
        shape = _weight_shape(channels, in_channels, kernel_size, groups, layout, op_name.lower() == "deconvolution")
        with self.name_scope():
            self.weight = self.params.get("weight", shape=shape, init=weight_initializer, allow_deferred_init=True)
            self.bias = None
            if use_bias:
                self.bias = self.params.get("bias", shape=(channels,), init=bias_initializer, allow_deferred_init=True)
            self.act = Activation(activation, prefix=activation + "_") if activation is not None else None

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        """x, convolved."""
        function = getattr(F.npx if state.np_array else F, self._op_name)
        inputs = (x, weight) if bias is None else (x, weight, bias)
        out = function(*inputs, name="fwd", **self._kwargs)
        return out if self.act is None else self.act(out)

    def _alias(self) -> str:
        return "conv"

    def __repr__(self) -> str:
        given, shape = self._kwargs, self.weight.shape
        dims = len(given["kernel"])
        parts = [f"{shape[1] or None} -> {shape[0]}", f"kernel_size={given['kernel']}", f"stride={given['stride']}"]
        if given["pad"] != (0,) * dims:
            parts.append(f"padding={given['pad']}")
        if given["dilate"] != (1,) * dims:
            parts.append(f"dilation={given['dilate']}")
        if given["num_group"] != 1:
            parts.append(f"groups={given['num_group']}")
        if self.bias is None:
            parts.append("bias=False")
        if self.act:
            parts.append(str(self.act))
        return f"{type(self).__name__}({', '.join(parts)})"


def _weight_shape(
    channels: int, in_channels: int, kernel: Sequence[int], groups: int, layout: str, transposed: bool
) -> tuple[int, ...]:
    """Filters, then channels where the layout has them, 0 when they are not known yet; the other way when transposed.

    Raises:
        MXNetError: the groups do not divide the channels.
    """
    for count, which in ((in_channels, "input"), (channels, "output")):
        if count > 0 and count % groups:
            raise MXNetError(f"{which} num_filter must divide group size")
    first, second = (in_channels, channels) if transposed else (channels, in_channels)
    second = second // groups if second > 0 else second
    return (first, second, *kernel) if layout[1] == "C" else (first, *kernel, second)


def _checked(kernel_size: Any, layout: str, dims: int) -> Any:
    names = " and ".join(f"'{name}'" for name in _LAYOUTS[dims])
    assert layout in _LAYOUTS[dims], f"Only supports {names} layout for now"
    kernel_size = _spread(kernel_size, dims)
    assert len(kernel_size) == dims, f"kernel_size must be a number or a list of {dims} ints"
    return kernel_size


class _Convolution(_Conv):
    _dims: ClassVar[int]

    def __init__(
        self,
        channels: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        layout: str | None = None,
        activation: str | None = None,
        use_bias: bool = True,
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        layout = _LAYOUTS[self._dims][0] if layout is None else layout
        kernel_size = _checked(kernel_size, layout, self._dims)
        op_name = kwargs.pop("op_name", "Convolution")
        super().__init__(
            channels, kernel_size, strides, padding, dilation, groups, layout, in_channels, activation, use_bias,
            weight_initializer, bias_initializer, "convolution" if state.np_array else op_name, **kwargs,
        )  # fmt: skip


class Conv1D(_Convolution):
    """(n, channels, width) convolved with `channels` filters.

    Args:
        kernel_size, strides, padding, dilation: a number, or a list of one.
        groups: into how many parts the channels are split, which do not see each other.
        layout: "NCW".
        activation: None, or what Activation takes.
        in_channels: how many there are; 0 waits for the first batch.
    """

    _dims = 1


class Conv2D(_Convolution):
    """(n, channels, height, width) convolved with `channels` filters; see Conv1D. Layouts: "NCHW" and "NHWC"."""

    _dims = 2


class Conv3D(_Convolution):
    """(n, channels, depth, height, width) convolved; see Conv1D. Layouts: "NCDHW" and "NDHWC"."""

    _dims = 3


class _Transposed(_Conv):
    _dims: ClassVar[int]

    def __init__(
        self,
        channels: int,
        kernel_size: Size,
        strides: Size = 1,
        padding: Size = 0,
        output_padding: Any = 0,
        dilation: Size = 1,
        groups: int = 1,
        layout: str | None = None,
        activation: str | None = None,
        use_bias: bool = True,
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        layout = _LAYOUTS[self._dims][0] if layout is None else layout
        kernel_size = _checked(kernel_size, layout, self._dims)
        output_padding = _spread(output_padding, self._dims)
        assert len(output_padding) == self._dims, f"output_padding must be a number or a list of {self._dims} ints"
        op_name = kwargs.pop("op_name", "Deconvolution")
        super().__init__(
            channels, kernel_size, strides, padding, dilation, groups, layout, in_channels, activation, use_bias,
            weight_initializer, bias_initializer, "deconvolution" if state.np_array else op_name, output_padding,
            **kwargs,
        )  # fmt: skip
        self.outpad = output_padding


class Conv1DTranspose(_Transposed):
    """The transpose of a Conv1D, which makes the width larger.

    Args:
        output_padding: is added at one side of the result.
    """

    _dims = 1


class Conv2DTranspose(_Transposed):
    """The transpose of a Conv2D; see Conv1DTranspose."""

    _dims = 2


class Conv3DTranspose(_Transposed):
    """The transpose of a Conv3D; see Conv1DTranspose."""

    _dims = 3


class _Pooling(HybridBlock):
    """What all pooling layers have in common."""

    def __init__(
        self,
        pool_size: Any,
        strides: Any,
        padding: Any,
        ceil_mode: bool,
        global_pool: bool,
        pool_type: str,
        layout: str,
        count_include_pad: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        dims = len(pool_size)
        self._kwargs = {
            "kernel": pool_size, "stride": _spread(pool_size if strides is None else strides, dims),
            "pad": _spread(padding, dims), "global_pool": global_pool, "pool_type": pool_type, "layout": layout,
            "pooling_convention": "full" if ceil_mode else "valid",
        }  # fmt: skip
        if count_include_pad is not None:
            self._kwargs["count_include_pad"] = count_include_pad

    def _alias(self) -> str:
        return "pool"

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, pooled."""
        function = F.npx.pooling if state.np_array else F.Pooling
        return function(x, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        given = self._kwargs
        return (
            f"{type(self).__name__}(size={given['kernel']}, stride={given['stride']}, padding={given['pad']}, "
            f"ceil_mode={given['pooling_convention'] == 'full'}, global_pool={given['global_pool']}, "
            f"pool_type={given['pool_type']}, layout={given['layout']})"
        )


def _pool_layout(layout: str, dims: int) -> str:
    names = _POOL_LAYOUTS[dims]
    assert layout in names, f"Only {names[0]} and {names[1]} layouts are valid for {dims}D Pooling"
    return layout


def _pool_size(pool_size: Any, dims: int) -> Any:
    pool_size = _spread(pool_size, dims)
    assert len(pool_size) == dims, f"pool_size must be a number or a list of {dims} ints"
    return pool_size


class MaxPool1D(_Pooling):
    """The largest value of every window of `pool_size`.

    Args:
        strides: how far the windows lie apart: their size when None.
        padding: how much is put at both sides.
        layout: "NCW" or "NWC".
        ceil_mode: whether a last window may reach over the end.
    """

    def __init__(
        self,
        pool_size: Size = 2,
        strides: Size | None = None,
        padding: Size = 0,
        layout: str = "NCW",
        ceil_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        size, layout = _pool_size(pool_size, 1), _pool_layout(layout, 1)
        super().__init__(size, strides, padding, ceil_mode, False, "max", layout, **kwargs)


class MaxPool2D(_Pooling):
    """The largest value of every window; see MaxPool1D. Layouts: "NCHW" and "NHWC"."""

    def __init__(
        self,
        pool_size: Size = (2, 2),
        strides: Size | None = None,
        padding: Size = 0,
        layout: str = "NCHW",
        ceil_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        size, layout = _pool_size(pool_size, 2), _pool_layout(layout, 2)
        super().__init__(size, strides, padding, ceil_mode, False, "max", layout, **kwargs)


class MaxPool3D(_Pooling):
    """The largest value of every window; see MaxPool1D. Layouts: "NCDHW" and "NDHWC"."""

    def __init__(
        self,
        pool_size: Size = (2, 2, 2),
        strides: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        layout: str = "NCDHW",
        **kwargs: Any,
    ) -> None:
        size, layout = _pool_size(pool_size, 3), _pool_layout(layout, 3)
        super().__init__(size, strides, padding, ceil_mode, False, "max", layout, **kwargs)


class AvgPool1D(_Pooling):
    """The mean of every window; see MaxPool1D.

    Args:
        count_include_pad: whether the padding counts as values.
    """

    def __init__(
        self,
        pool_size: Size = 2,
        strides: Size | None = None,
        padding: Size = 0,
        layout: str = "NCW",
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        size, layout = _pool_size(pool_size, 1), _pool_layout(layout, 1)
        super().__init__(size, strides, padding, ceil_mode, False, "avg", layout, count_include_pad, **kwargs)


class AvgPool2D(_Pooling):
    """The mean of every window; see AvgPool1D. Layouts: "NCHW" and "NHWC"."""

    def __init__(
        self,
        pool_size: Size = (2, 2),
        strides: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        layout: str = "NCHW",
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        size, layout = _pool_size(pool_size, 2), _pool_layout(layout, 2)
        super().__init__(size, strides, padding, ceil_mode, False, "avg", layout, count_include_pad, **kwargs)


class AvgPool3D(_Pooling):
    """The mean of every window; see AvgPool1D. Layouts: "NCDHW" and "NDHWC"."""

    def __init__(
        self,
        pool_size: Size = (2, 2, 2),
        strides: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        layout: str = "NCDHW",
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        size, layout = _pool_size(pool_size, 3), _pool_layout(layout, 3)
        super().__init__(size, strides, padding, ceil_mode, False, "avg", layout, count_include_pad, **kwargs)


class _GlobalPooling(_Pooling):
    _dims: ClassVar[int]
    _type: ClassVar[str]

    def __init__(self, layout: str | None = None, **kwargs: Any) -> None:
        layout = _pool_layout(_POOL_LAYOUTS[self._dims][0] if layout is None else layout, self._dims)
        super().__init__((1,) * self._dims, None, 0, True, True, self._type, layout, **kwargs)


class GlobalMaxPool1D(_GlobalPooling):
    """The largest value of every channel."""

    _dims, _type = 1, "max"


class GlobalMaxPool2D(_GlobalPooling):
    """The largest value of every channel."""

    _dims, _type = 2, "max"


class GlobalMaxPool3D(_GlobalPooling):
    """The largest value of every channel."""

    _dims, _type = 3, "max"


class GlobalAvgPool1D(_GlobalPooling):
    """The mean of every channel."""

    _dims, _type = 1, "avg"


class GlobalAvgPool2D(_GlobalPooling):
    """The mean of every channel."""

    _dims, _type = 2, "avg"


class GlobalAvgPool3D(_GlobalPooling):
    """The mean of every channel."""

    _dims, _type = 3, "avg"


class ReflectionPad2D(HybridBlock):
    """(n, c, h, w) made larger by its own reflection.

    Args:
        padding: a number, or eight: before and after every axis.
    """

    def __init__(self, padding: Size = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(padding, int):
            padding = (0, 0, 0, 0, padding, padding, padding, padding)
        assert len(padding) == 8
        self._padding = padding

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """x, padded."""
        return F.pad(x, mode="reflect", pad_width=self._padding)


claim(globals())
