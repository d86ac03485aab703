"""RNN, LSTM and GRU layers: all steps and all layers in one operator."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from tensorkeep.mxnet import ndarray, symbol
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.block import HybridBlock
from tensorkeep.mxnet.gluon.parameter import Parameter, tensor_types
from tensorkeep.mxnet.gluon.rnn import rnn_cell

__all__ = ["GRU", "LSTM", "RNN"]

_GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}
_NAME = re.compile(r"(l|r)(\d+)_(i2h|h2h|h2r)_(weight|bias)\Z")


class _RNNLayer(HybridBlock):
    """What the three layers have in common."""

    _state_count: ClassVar[int] = 1

    def __init__(
        self,
        hidden_size: int,
        num_layers: int,
        layout: str,
        dropout: float,
        bidirectional: bool,
        input_size: int,
        i2h_weight_initializer: Any,
        h2h_weight_initializer: Any,
        i2h_bias_initializer: Any,
        h2h_bias_initializer: Any,
        mode: str,
        projection_size: int | None,
        h2r_weight_initializer: Any,
        lstm_state_clip_min: float | None,
        lstm_state_clip_max: float | None,
        lstm_state_clip_nan: bool,
        dtype: Any,
        use_sequence_length: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        assert layout in ("TNC", "NTC"), f"Invalid layout {layout}; must be one of ['TNC' or 'NTC']"
        self._hidden_size = hidden_size
        self._projection_size = projection_size or None
        self._num_layers = num_layers
        self._mode = mode
        self._layout = layout
        self._dropout = dropout
        self._dir = 2 if bidirectional else 1
        self._input_size = input_size
        self._inits = {
            "i2h_weight": i2h_weight_initializer, "h2h_weight": h2h_weight_initializer,
            "i2h_bias": i2h_bias_initializer, "h2h_bias": h2h_bias_initializer,
        }  # fmt: skip
        self._clip = {
            "lstm_state_clip_min": lstm_state_clip_min, "lstm_state_clip_max": lstm_state_clip_max,
            "lstm_state_clip_nan": lstm_state_clip_nan,
        }  # fmt: skip
        self._dtype = dtype
        self._use_sequence_length = use_sequence_length
        self.skip_states: bool | None = None
        self._gates = _GATES[mode]
        width = self._gates * hidden_size
        out = self._projection_size or hidden_size
        inputs = input_size
        for layer in range(num_layers):
            for side in "lr"[: self._dir]:
                shapes = {
                    "i2h_weight": (width, inputs), "h2h_weight": (width, out), "i2h_bias": (width,),
                    "h2h_bias": (width,),
                }  # fmt: skip
                for name, shape in shapes.items():
                    self._register_param(f"{side}{layer}_{name}", shape, self._inits[name], dtype)
                if self._projection_size:
                    self._register_param(f"{side}{layer}_h2r_weight", (out, hidden_size), h2r_weight_initializer, dtype)
            inputs = out * self._dir

    def _register_param(self, name: str, shape: tuple[int, ...], init: Any, dtype: Any) -> Parameter:
        param = self.params.get(name, shape=shape, init=init, allow_deferred_init=True, dtype=dtype)
        setattr(self, name, param)
        return param

    def __repr__(self) -> str:
        shape = self._reg_params["l0_i2h_weight"].shape
        parts = [f"{shape[1] or None} -> {shape[0] // self._gates}", self._layout]
        if self._num_layers != 1:
            parts.append(f"num_layers={self._num_layers}")
        if self._dropout != 0:
            parts.append(f"dropout={self._dropout}")
        if self._dir == 2:
            parts.append("bidirectional")
        return f"{type(self).__name__}({', '.join(parts)})"

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Parameter]:
        # Files name them as those of the cells that `_unfuse` gives, as they did when these layers were cells.
        if prefix:
            prefix += "."
        found = {}
        for name, param in self._reg_params.items():
            match = _NAME.match(name)
            assert match is not None
            side, layer, product, kind = match.groups()
            cell = f"{side}_cell." if self._dir == 2 else ""
            found[f"{prefix}_unfused.{layer}.{cell}{product}_{kind}"] = param
        return found

    def state_info(self, batch_size: int = 0) -> list[dict[str, Any]]:
        """Shape, layout and dtype of each state."""
        layers = self._num_layers * self._dir
        sizes = [self._projection_size or self._hidden_size, self._hidden_size][: self._state_count]
        return [{"shape": (layers, batch_size, size), "__layout__": "LNC", "dtype": self._dtype} for size in sizes]

    def _unfuse(self) -> Any:
        """A stack of cells with the same Parameters.

        Raises:
            AssertionError: there are projections or clipped states, which cells do not have.
        """
        assert not self._projection_size, "_unfuse does not support projection layer yet!"
        clipped = self._clip["lstm_state_clip_min"] or self._clip["lstm_state_clip_max"]
        assert not clipped, "_unfuse does not support state clipping yet!"
        kinds: dict[str, tuple[Any, dict[str, Any]]] = {
            "rnn_relu": (rnn_cell.RNNCell, {"activation": "relu"}),
            "rnn_tanh": (rnn_cell.RNNCell, {"activation": "tanh"}),
            "lstm": (rnn_cell.LSTMCell, {}),
            "gru": (rnn_cell.GRUCell, {}),
        }
        kind, options = kinds[self._mode]
        options = {**options, **{f"{name}_initializer": init for name, init in self._inits.items()}}
        stack = rnn_cell.HybridSequentialRNNCell(prefix=self.prefix, params=self.params)
        inputs = self._input_size
        with stack.name_scope():
            for layer in range(self._num_layers):
                cells = [
                    kind(self._hidden_size, prefix=f"{side}{layer}_", input_size=inputs, **options)
                    for side in "lr"[: self._dir]
                ]
                stack.add(rnn_cell.BidirectionalCell(*cells) if self._dir == 2 else cells[0])
                if self._dropout > 0 and layer != self._num_layers - 1:
                    stack.add(rnn_cell.DropoutCell(self._dropout))
                inputs = self._hidden_size * self._dir
        return stack

    def cast(self, dtype: Any) -> None:
        """Change the dtype of its Parameters and states."""
        super().cast(dtype)
        self._dtype = dtype

    def begin_state(self, batch_size: int = 0, func: Any = None, **kwargs: Any) -> list[Any]:
        """The first states, made by `func` (`mx.nd.zeros` when None)."""
        func = ndarray.zeros if func is None else func
        states = [
            func(name=f"{self.prefix}h0_{i}", **{**info, **kwargs})
            for i, info in enumerate(self.state_info(batch_size))
        ]
        return [made.as_np_ndarray() for made in states] if state.np_array else states

    def __call__(self, inputs: Any, states: Any = None, sequence_length: Any = None, **kwargs: Any) -> Any:
        """(T, N, C) or (N, T, C), states → outputs, new states; only outputs when no states are given."""
        self.skip_states = states is None
        if states is None:
            if isinstance(inputs, ndarray.NDArray):
                size = inputs.shape[self._layout.find("N")]
                states = self.begin_state(size, ctx=inputs.ctx, dtype=inputs.dtype)
            else:
                states = self.begin_state(0, func=symbol.zeros)
        if isinstance(states, tensor_types):
            states = [states]
        if self._use_sequence_length:
            return super().__call__(inputs, states, sequence_length, **kwargs)
        return super().__call__(inputs, states, **kwargs)

    def hybrid_forward(self, F: Any, inputs: Any, states: Any, sequence_length: Any = None, **params: Any) -> Any:
        """All steps."""
        if F is ndarray:
            size = inputs.shape[self._layout.find("N")]
            for given, info in zip(states, self.state_info(size), strict=False):
                if given.shape != info["shape"]:
                    raise ValueError(f"Invalid recurrent state shape. Expecting {info['shape']}, got {given.shape}.")
        out = self._forward_kernel(F, inputs, states, sequence_length, params)
        return out[0] if self.skip_states else out

    def _forward_kernel(self, F: Any, inputs: Any, states: Any, lengths: Any, params: dict[str, Any]) -> Any:
        swap = F.np.swapaxes if state.np_array else F.swapaxes
        if self._layout == "NTC":
            inputs = swap(inputs, 0, 1)
        parts = {"weight": ["i2h", "h2h"], "bias": ["i2h", "h2h"]}
        if self._projection_size:
            parts["weight"].append("h2r")
        flat = [
            params[f"{side}{layer}_{product}_{kind}"].reshape(-1)
            for kind, products in parts.items()
            for layer in range(self._num_layers)
            for side in "lr"[: self._dir]
            for product in products
        ]
        join = F.np._internal.rnn_param_concat if state.np_array else F._internal._rnn_param_concat
        packed = join(*flat, dim=0)
        more = [*states, lengths] if self._use_sequence_length else states
        function = F.npx.rnn if state.np_array else F.RNN
        found = function(
            inputs,
            packed,
            *more,
            use_sequence_length=self._use_sequence_length,
            state_size=self._hidden_size,
            projection_size=self._projection_size,
            num_layers=self._num_layers,
            bidirectional=self._dir == 2,
            p=self._dropout,
            state_outputs=True,
            mode=self._mode,
            **self._clip,
        )
        outputs, new_states = found[0], [found[i + 1] for i in range(self._state_count)]
        if self._layout == "NTC":
            outputs = swap(outputs, 0, 1)
        return outputs, new_states


class RNN(_RNNLayer):
    """Layers of activation(W · x + b + R · h + c).

    Args:
        hidden_size, num_layers: how many units and layers there are.
        activation: "relu" or "tanh".
        layout: "TNC" or "NTC".
        dropout: the share of values that are dropped between layers in training.
        bidirectional: whether each layer runs in both directions.
        input_size: how many inputs there are; 0 waits for the first batch.
    """

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        activation: str = "relu",
        layout: str = "TNC",
        dropout: float = 0,
        bidirectional: bool = False,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        input_size: int = 0,
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            hidden_size, num_layers, layout, dropout, bidirectional, input_size, i2h_weight_initializer,
            h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer, "rnn_" + activation, None, None, None,
            None, False, dtype, **kwargs,
        )  # fmt: skip


class LSTM(_RNNLayer):
    """Layers with a memory; see RNN.

    Args:
        projection_size: None, or to how many units the output is projected.
        state_clip_min, state_clip_max, state_clip_nan: limits of the memory.
    """

    _state_count = 2

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        layout: str = "TNC",
        dropout: float = 0,
        bidirectional: bool = False,
        input_size: int = 0,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        projection_size: int | None = None,
        h2r_weight_initializer: Any = None,
        state_clip_min: float | None = None,
        state_clip_max: float | None = None,
        state_clip_nan: bool = False,
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            hidden_size, num_layers, layout, dropout, bidirectional, input_size, i2h_weight_initializer,
            h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer, "lstm", projection_size,
            h2r_weight_initializer, state_clip_min, state_clip_max, state_clip_nan, dtype, **kwargs,
        )  # fmt: skip


class GRU(_RNNLayer):
    """Layers with gates but no memory; see RNN."""

    def __init__(
        self,
        hidden_size: int,
        num_layers: int = 1,
        layout: str = "TNC",
        dropout: float = 0,
        bidirectional: bool = False,
        input_size: int = 0,
        i2h_weight_initializer: Any = None,
        h2h_weight_initializer: Any = None,
        i2h_bias_initializer: Any = "zeros",
        h2h_bias_initializer: Any = "zeros",
        dtype: Any = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            hidden_size, num_layers, layout, dropout, bidirectional, input_size, i2h_weight_initializer,
            h2h_weight_initializer, i2h_bias_initializer, h2h_bias_initializer, "gru", None, None, None, None, False,
            dtype, **kwargs,
        )  # fmt: skip


claim(globals())
