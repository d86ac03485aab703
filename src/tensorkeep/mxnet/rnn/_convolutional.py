"""Recurrent cells whose gates are convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorkeep.mxnet import symbol as sym
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.rnn._cells import BaseRNNCell, RNNParams, gru_step, lstm_step

__all__ = ["BaseConvRNNCell", "ConvGRUCell", "ConvLSTMCell", "ConvRNNCell"]


def _leaky(data: Any, **kwargs: Any) -> Any:
    return sym.LeakyReLU(data, act_type="leaky", slope=0.2, **kwargs)


class BaseConvRNNCell(BaseRNNCell):
    """What convolutional cells have.

    Args:
        input_shape: of one step, the batch included.
        num_hidden: the channels of the state.
        h2h_kernel, h2h_dilate: of the convolution of the state; the kernel is odd.
        i2h_kernel, i2h_stride, i2h_pad, i2h_dilate: of the convolution of the input.
        activation: the name of an activation, or a function of symbols.
        conv_layout: "NCHW" or "NHWC".
    """

    _states = 1
    _default_prefix = ""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        num_hidden: int,
        h2h_kernel: tuple[int, int] = (3, 3),
        h2h_dilate: tuple[int, int] = (1, 1),
        i2h_kernel: tuple[int, int] = (3, 3),
        i2h_stride: tuple[int, int] = (1, 1),
        i2h_pad: tuple[int, int] = (1, 1),
        i2h_dilate: tuple[int, int] = (1, 1),
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        activation: Any = _leaky,
        prefix: str | None = None,
        params: RNNParams | None = None,
        conv_layout: str = "NCHW",
    ) -> None:
        super().__init__(prefix=self._default_prefix if prefix is None else prefix, params=params)
        assert all(size % 2 == 1 for size in h2h_kernel), f"Only support odd number, get h2h_kernel= {h2h_kernel}"
        self._num_hidden = num_hidden
        self._activation = activation
        self._conv_layout = conv_layout
        self._i2h = {"kernel": i2h_kernel, "stride": i2h_stride, "pad": i2h_pad, "dilate": i2h_dilate}
        pad = tuple([d * (k - 1) // 2 for d, k in zip(h2h_dilate, h2h_kernel, strict=True)])
        self._h2h = {"kernel": h2h_kernel, "dilate": h2h_dilate, "pad": pad, "stride": (1, 1)}
        first = sym.Convolution(data=sym.Variable("data"), num_filter=num_hidden, layout=conv_layout, **self._i2h)
        outputs = first.infer_shape(data=input_shape)[1]
        self._state_shape = (0, *outputs[0][1:])
        self._iW = self.params.get("i2h_weight", init=i2h_weight_initializer)
        self._hW = self.params.get("h2h_weight", init=h2h_weight_initializer)
        self._iB = self.params.get("i2h_bias", init=i2h_bias_initializer)
        self._hB = self.params.get("h2h_bias", init=h2h_bias_initializer)

    @property
    def state_info(self) -> list[Any]:
        """Shape and layout of its states."""
        return [{"shape": self._state_shape, "__layout__": self._conv_layout} for _ in range(self._states)]

    def _sums(self, inputs: Any, state: Any, name: str) -> tuple[Any, Any]:
        filters = self._num_hidden * len(self._gate_names)
        i2h = sym.Convolution(
            name=f"{name}i2h", data=inputs, num_filter=filters, weight=self._iW, bias=self._iB,
            layout=self._conv_layout, **self._i2h,
        )  # fmt: skip
        h2h = sym.Convolution(
            name=f"{name}h2h", data=state, num_filter=filters, weight=self._hW, bias=self._hB,
            layout=self._conv_layout, **self._h2h,
        )  # fmt: skip
        return i2h, h2h

    def __call__(self, inputs: Any, states: Any) -> Any:
        raise NotImplementedError("BaseConvRNNCell is abstract class for convolutional RNN")


class ConvRNNCell(BaseConvRNNCell):
    """RNNCell with convolutions. The arguments are those of BaseConvRNNCell."""

    _default_prefix = "ConvRNN_"

    @property
    def _gate_names(self) -> Sequence[str]:
        return ("",)

    def __call__(self, inputs: Any, states: Any) -> Any:
        name = self._step_name()
        i2h, h2h = self._sums(inputs, states[0], name)
        output = self._get_activation(i2h + h2h, self._activation, name=f"{name}out")
        return output, [output]


class ConvLSTMCell(BaseConvRNNCell):
    """LSTMCell with convolutions. The arguments are those of BaseConvRNNCell."""

    _states = 2
    _default_prefix = "ConvLSTM_"

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_i", "_f", "_c", "_o"]

    def __call__(self, inputs: Any, states: Any) -> Any:
        name = self._step_name()
        i2h, h2h = self._sums(inputs, states[0], name)
        return lstm_step(self, i2h, h2h, states[1], name, self._activation, axis=self._conv_layout.find("C"))


class ConvGRUCell(BaseConvRNNCell):
    """GRUCell with convolutions. The arguments are those of BaseConvRNNCell."""

    _default_prefix = "ConvGRU_"

    @property
    def _gate_names(self) -> Sequence[str]:
        return ["_r", "_z", "_o"]

    def __call__(self, inputs: Any, states: Any) -> Any:
        name = self._step_name()
        i2h, h2h = self._sums(inputs, states[0], name)
        return gru_step(self, i2h, h2h, states[0], name, self._activation)


claim(globals())
