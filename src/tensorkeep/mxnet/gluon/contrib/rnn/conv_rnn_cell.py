"""Cells whose products are convolutions: states are images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.nn.conv_layers import _spread
from tensorkeep.mxnet.gluon.rnn import HybridRecurrentCell

__all__ = [
    "Conv1DGRUCell", "Conv1DLSTMCell", "Conv1DRNNCell", "Conv2DGRUCell", "Conv2DLSTMCell", "Conv2DRNNCell",
    "Conv3DGRUCell", "Conv3DLSTMCell", "Conv3DRNNCell",
]  # fmt: skip

_LAYOUTS = {1: "NCW", 2: "NCHW", 3: "NCDHW"}


class _BaseConvRNNCell(HybridRecurrentCell):
    """What all have in common.

    Args:
        input_shape: of one step of one example: channels and dimensions, as the layout has them.
        hidden_channels: of the state.
        i2h_kernel, i2h_pad, i2h_dilate: of the convolution of the input.
        h2h_kernel, h2h_dilate: of that of the state; the kernel is odd, so that the state keeps its size.
        conv_layout: "NCW", "NCHW", "NCDHW", or with the channels last.
        activation: of the new state.
    """

    _dims: ClassVar[int]
    _gate_names: ClassVar[tuple[str, ...]]
    _states: ClassVar[int] = 1

    def __init__(
        self,
        input_shape: Sequence[int],
        hidden_channels: int,
        i2h_kernel: Any,
        h2h_kernel: Any,
        i2h_pad: Any = 0,
        i2h_dilate: Any = 1,
        h2h_dilate: Any = 1,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        conv_layout: str | None = None,
        activation: Any = "tanh",
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        dims = self._dims
        self._hidden_channels = hidden_channels
        self._input_shape = tuple(input_shape)
        self._conv_layout = _LAYOUTS[dims] if conv_layout is None else conv_layout
        self._activation = activation
        settings = (i2h_kernel, i2h_pad, i2h_dilate, h2h_kernel, h2h_dilate)
        assert all(isinstance(each, int) or len(each) == dims for each in settings), (
            f"For {dims}D convolution, the convolution settings can only be either int or list/tuple of length {dims}"
        )
        spread = [tuple(_spread(each, dims)) for each in settings]
        self._i2h_kernel, self._i2h_pad, self._i2h_dilate, self._h2h_kernel, self._h2h_dilate = spread
        assert all(size % 2 == 1 for size in self._h2h_kernel), f"Only support odd number, get h2h_kernel= {h2h_kernel}"
        self._stride = (1,) * dims
        self._h2h_pad = tuple([d * (k - 1) // 2 for d, k in zip(self._h2h_dilate, self._h2h_kernel, strict=True)])
        width = hidden_channels * len(self._gate_names)
        self._channel_axis = self._conv_layout.find("C")
        first = self._channel_axis == 1
        in_channels = self._input_shape[self._channel_axis - 1]
        sizes = self._out_sizes(self._input_shape[1:] if first else self._input_shape[:-1])
        self._state_shape = (hidden_channels, *sizes) if first else (*sizes, hidden_channels)

        def shape(channels: int, kernel: tuple[int, ...]) -> tuple[int, ...]:
            return (width, channels, *kernel) if first else (width, *kernel, channels)

        rows = (
            ("i2h_weight", shape(in_channels, self._i2h_kernel), i2h_weight_initializer),
            ("h2h_weight", shape(hidden_channels, self._h2h_kernel), h2h_weight_initializer),
            ("i2h_bias", (width,), i2h_bias_initializer),
            ("h2h_bias", (width,), h2h_bias_initializer),
        )
        for name, dimensions, init in rows:
            setattr(self, name, self.params.get(name, shape=dimensions, init=init, allow_deferred_init=True))

    i2h_weight: Any

    def _out_sizes(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        rows = zip(sizes, self._i2h_kernel, self._i2h_pad, self._i2h_dilate, strict=True)
        return tuple([x + 2 * p - d * (k - 1) if x else 0 for x, k, p, d in rows])

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape and layout of each state."""
        shape = (batch_size, *self._state_shape)
        return [{"shape": shape, "__layout__": self._conv_layout} for _ in range(self._states)]

    def __repr__(self) -> str:
        shape = self.i2h_weight.shape
        channels = shape[1 if self._channel_axis == 1 else -1]
        return f"{type(self).__name__}({channels or None} -> {shape[0]}, {self._activation}, {self._conv_layout})"

    def _products(self, F: Any, inputs: Any, state: Any, params: dict[str, Any], prefix: str) -> tuple[Any, Any]:
        shared = {
            "num_filter": self._hidden_channels * len(self._gate_names), "stride": self._stride,
            "layout": self._conv_layout,
        }  # fmt: skip
        i2h = F.Convolution(
            data=inputs,
            weight=params["i2h_weight"],
            bias=params["i2h_bias"],
            kernel=self._i2h_kernel,
            pad=self._i2h_pad,
            dilate=self._i2h_dilate,
            name=prefix + "i2h",
            **shared,
        )
        h2h = F.Convolution(
            data=state,
            weight=params["h2h_weight"],
            bias=params["h2h_bias"],
            kernel=self._h2h_kernel,
            pad=self._h2h_pad,
            dilate=self._h2h_dilate,
            name=prefix + "h2h",
            **shared,
        )
        return i2h, h2h


class _ConvRNNCell(_BaseConvRNNCell):
    _gate_names = ("",)

    def _alias(self) -> str:
        return "conv_rnn"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **params: Any) -> Any:
        """One step."""
        prefix = f"t{self._counter}_"
        i2h, h2h = self._products(F, inputs, states[0], params, prefix)
        output = self._get_activation(F, i2h + h2h, self._activation, name=prefix + "out")
        return output, [output]


class _ConvLSTMCell(_BaseConvRNNCell):
    _gate_names = ("_i", "_f", "_c", "_o")
    _states = 2

    def _alias(self) -> str:
        return "conv_lstm"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **params: Any) -> Any:
        """One step."""
        prefix = f"t{self._counter}_"
        i2h, h2h = self._products(F, inputs, states[0], params, prefix)
        parts = F.SliceChannel(i2h + h2h, num_outputs=4, name=prefix + "slice", axis=self._channel_axis)
        enter = F.Activation(parts[0], act_type="sigmoid", name=prefix + "i")
        forget = F.Activation(parts[1], act_type="sigmoid", name=prefix + "f")
        change = self._get_activation(F, parts[2], self._activation, name=prefix + "c")
        leave = F.Activation(parts[3], act_type="sigmoid", name=prefix + "o")
        memory = F.elemwise_add(forget * states[1], enter * change, name=prefix + "state")
        shown = self._get_activation(F, memory, self._activation)
        output = F.elemwise_mul(leave, shown, name=prefix + "out")
        return output, [output, memory]


class _ConvGRUCell(_BaseConvRNNCell):
    _gate_names = ("_r", "_z", "_o")

    def _alias(self) -> str:
        return "conv_gru"

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, **params: Any) -> Any:
        """One step."""
        prefix = f"t{self._counter}_"
        i2h, h2h = self._products(F, inputs, states[0], params, prefix)
        axis = self._channel_axis
        i2h_r, i2h_z, i2h = F.SliceChannel(i2h, num_outputs=3, name=prefix + "i2h_slice", axis=axis)
        h2h_r, h2h_z, h2h = F.SliceChannel(h2h, num_outputs=3, name=prefix + "h2h_slice", axis=axis)
        reset = F.Activation(i2h_r + h2h_r, act_type="sigmoid", name=prefix + "r_act")
        update = F.Activation(i2h_z + h2h_z, act_type="sigmoid", name=prefix + "z_act")
        new = self._get_activation(F, i2h + reset * h2h, self._activation, name=prefix + "h_act")
        output = F.elemwise_add((1.0 - update) * new, update * states[0], name=prefix + "out")
        return output, [output]


class Conv1DRNNCell(_ConvRNNCell):
    """An RNNCell of one-dimensional convolutions."""

    _dims = 1


class Conv2DRNNCell(_ConvRNNCell):
    """An RNNCell of two-dimensional convolutions."""

    _dims = 2


class Conv3DRNNCell(_ConvRNNCell):
    """An RNNCell of three-dimensional convolutions."""

    _dims = 3


class Conv1DLSTMCell(_ConvLSTMCell):
    """An LSTMCell of one-dimensional convolutions."""

    _dims = 1


class Conv2DLSTMCell(_ConvLSTMCell):
    """An LSTMCell of two-dimensional convolutions."""

    _dims = 2


class Conv3DLSTMCell(_ConvLSTMCell):
    """An LSTMCell of three-dimensional convolutions."""

    _dims = 3


class Conv1DGRUCell(_ConvGRUCell):
    """A GRUCell of one-dimensional convolutions."""

    _dims = 1


class Conv2DGRUCell(_ConvGRUCell):
    """A GRUCell of two-dimensional convolutions."""

    _dims = 2


class Conv3DGRUCell(_ConvGRUCell):
    """A GRUCell of three-dimensional convolutions."""

    _dims = 3


claim(globals())
